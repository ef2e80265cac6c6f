//! The exit codes, which a Job's failure policy relies on. `read_only` tests 6 and 7.

use rustix::process::Signal;

use crate::support::{Project, assert_failed, assert_success, migrate};

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn outcomes_have_distinct_exit_codes() {
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id int);")]);
    let run = |arguments: &[&str]| project.migrate(arguments);
    assert_failed(&run(&["status", "--check"]), 5, "pending migrations: 1");
    assert_success(&run(&["up"]));
    assert_failed(&run(&["up", "--to", "7"]), 2, "there is no migration 7");
    project.write("0001_item.up.sql", "CREATE TABLE app.item ();");
    assert_failed(&run(&["up"]), 3, "has been edited");
    project.write("0001_item.up.sql", "CREATE TABLE app.item (id int);");
    project.write("0002_wrong.up.sql", "SELECT 1 / 0;");
    assert_failed(&run(&["up"]), 4, "division by zero (22012)");
    assert_failed(&run(&["down"]), 9, "production database");
    let held = project.hold("LOCK TABLE app.item");
    project.write("0002_wrong.up.sql", "LOCK TABLE app.item;");
    let brief = ["up", "--lock-timeout", "0.1", "--retry", "0"];
    assert_failed(&run(&brief), 75, "lock timeout");
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut running = project.start(&["up"]);
        running.wait_for_event("blocked");
        running.signal(signal);
        assert_failed(&running.finish(), code, ": the current transaction was rolled back");
    }
    drop(held);
    assert_success(&run(&["up"]));
    // clap reports its own errors, without a `failed` event.
    let usage = migrate("postgres://h/x", &["sideways"]).output().expect("run migrate");
    assert_eq!(usage.status.code(), Some(2));
}
