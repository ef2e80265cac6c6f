//! `wit/`: what is vendored is what was published, and what is imported is what is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{app, root};

/// `package:name/interface` without its version, of each `import` and `export` of a world.
fn named(world: &str) -> BTreeSet<String> {
    let lines = world.lines().map(str::trim);
    let names = lines
        .filter_map(|line| line.strip_prefix("import ").or_else(|| line.strip_prefix("export ")));
    names.map(|name| without_version(name.trim_end_matches(';'))).collect()
}

fn without_version(name: &str) -> String {
    name.split('@').next().unwrap_or(name).to_owned()
}

#[test]
fn every_component_imports_only_what_the_world_names() {
    let world = fs::read_to_string(root().join("wit/world.wit")).expect("world.wit");
    let named = named(&world);
    for id in app().manifest.component.keys() {
        let used = app().interfaces(id).expect("it is loaded");
        assert!(
            used.iter().any(|name| name.starts_with("wasi:http/incoming-handler@0.2.")),
            "{id}"
        );
        let used: BTreeSet<_> = used.iter().map(|name| without_version(name)).collect();
        let foreign: Vec<_> = used.difference(&named).collect();
        assert!(foreign.is_empty(), "{id} uses {foreign:?}");
    }
}

/// Where the packages were taken from: `wit/README.md` says so.
fn published() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--offline"])
        .args(["--filter-platform", "wasm32-wasip2"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("metadata");
    let mut packages = metadata["packages"].as_array().expect("packages").iter();
    let sdk = packages.find(|package| package["name"] == "spin-sdk").expect("spin-sdk");
    let manifest = sdk["manifest_path"].as_str().expect("a path");
    Path::new(manifest).parent().expect("a folder").join("wit/deps")
}

#[test]
fn what_is_vendored_is_what_was_published() {
    let published = published();
    let readme = fs::read_to_string(root().join("wit/README.md")).expect("README.md");
    let mut compared = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<_> = line.split('|').map(|it| it.trim().trim_matches('`')).collect();
        let (ours, theirs) = (columns[1], columns[2]);
        for file in fs::read_dir(root().join("wit/deps").join(ours)).expect(ours) {
            let file = file.expect(ours).path();
            let name = file.file_name().expect("a name");
            let text = fs::read_to_string(&file).expect("it is text");
            let original = fs::read_to_string(published.join(theirs).join(name)).expect(theirs);
            // Files whose package is named in another file have got its name in front.
            let rest = text.split_once("\n\n").map_or("", |(_, rest)| rest);
            assert!(text == original || rest == original, "{} differs", file.display());
            compared += 1;
        }
    }
    let deps = fs::read_dir(root().join("wit/deps")).expect("deps").count();
    assert!(compared >= deps, "a package is not in the table");
}
