//! What the first build compiles.

use std::collections::BTreeSet;

use katas_host::local::process::cargo;

use crate::support::root;

/// The maximum number of packages that `cargo run -- up` compiles, those of the workspace included.
const MAX_PACKAGES: usize = 300;

/// Returns the packages that a selection compiles for this machine, each once per set of features.
fn packages(selection: &[&str]) -> BTreeSet<String> {
    let output = cargo()
        .args(["tree", "--locked", "--color=never", "--prefix=none", "--format={p} [{f}]"])
        .args(selection)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| line.trim_end_matches(" (*)").to_owned()).collect()
}

fn compiled_for_up() -> BTreeSet<String> {
    packages(&["--package=katas-host", "--edges=normal,build"])
}

#[test]
fn up_compiles_few_packages() {
    let name_and_version = |line: &String| line.split(' ').take(2).collect::<String>();
    let names: BTreeSet<_> = compiled_for_up().iter().map(name_and_version).collect();
    assert!(names.len() <= MAX_PACKAGES, "{} packages", names.len());
    for package in [
        "fake",
        "indicatif",
        "minijinja",
        "scaffold",
        "smoke",
        "sqlx-macros",
        "squawk-linter",
        "squawk-syntax",
        "ureq",
    ] {
        let is_compiled = names.iter().any(|name| name.starts_with(&format!("{package}v")));
        assert!(!is_compiled, "serving does not need {package}");
    }
}

/// A dependency of both that has other features in a test, or in a build script of a test, would be
/// compiled again.
#[test]
fn tests_share_the_dependencies_of_up() {
    let up = compiled_for_up();
    let package = |line: &str| line.split(" [").next().unwrap_or_default().to_owned();
    let packages_of_up: BTreeSet<_> = up.iter().map(|line| package(line)).collect();
    let all = packages(&["--workspace", "--edges=normal,build,dev"]);
    let different: Vec<_> = all
        .difference(&up)
        .filter(|line| packages_of_up.contains(&package(line)) && !line.contains("(/"))
        .collect();
    assert!(
        different.is_empty(),
        "enable the features of `katas` in crates/workspace-hack/Cargo.toml:\n{different:#?}"
    );
}

/// If the features of a dependency differ, cargo compiles it and everything that depends on it again,
/// which takes minutes for the engine.
#[test]
fn all_selections_share_dependencies() {
    let all = packages(&["--workspace", "--edges=normal,build,dev"]);
    for selection in [&[][..], &["--package=katas-host"], &["--package=bench"]] {
        for edges in ["--edges=normal,build", "--edges=normal,build,dev"] {
            let some = packages(&[selection, &[edges]].concat());
            // Crates of the workspace, whose features are chosen deliberately, compile fast.
            let different: Vec<_> =
                some.difference(&all).filter(|line| !line.contains("(/")).collect();
            assert!(
                different.is_empty(),
                "{selection:?}: other crates enable more features of these packages; enable them in \
                 crates/workspace-hack/Cargo.toml:\n{different:#?}"
            );
        }
    }
}
