//! Facts that files repeat from `spin.toml` and `db/migrations`: they are generated, not written.

use scaffold::{Workspace, facts};

use crate::support::root;

#[test]
fn repeated_facts_equal_their_source() {
    let mut workspace = Workspace::new(root());
    facts::update(&mut workspace).expect("the files have the expected structure");
    if std::env::var_os("RENEW").is_some() {
        return workspace.write().expect("the files are writable");
    }
    let stale = workspace.changed();
    let help = "to update them: RENEW=1 cargo test --workspace --test e2e -- facts";
    assert!(stale.is_empty(), "out of date: {stale:#?}\n{help}");
}
