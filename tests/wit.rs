//! `wit/`: vendored packages equal the published ones, and components import only what the world
//! declares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use katas_host::local::process::cargo;
use serde_json::Value;

use crate::support::{app, root};

/// Returns the imports and exports of a world as `package:name/interface@version`, those of WASI without
/// versions.
fn declared_interfaces(world: &str) -> BTreeSet<String> {
    let lines = world.lines().map(str::trim);
    let names = lines
        .filter_map(|line| line.strip_prefix("import ").or_else(|| line.strip_prefix("export ")));
    names.map(|name| without_wasi_version(name.trim_end_matches(';'))).collect()
}

/// The standard library may use an older patch release of WASI than this repository.
fn without_wasi_version(name: &str) -> String {
    match name.split_once('@') {
        Some((interface, _)) if interface.starts_with("wasi:") => interface.to_owned(),
        _ => name.to_owned(),
    }
}

#[test]
fn components_import_only_declared_interfaces() {
    let world = fs::read_to_string(root().join("wit/world.wit")).expect("world.wit");
    let declared = declared_interfaces(&world);
    for id in app().manifest.component.keys() {
        let used = app().interfaces(id).expect("the component is loaded");
        assert!(
            used.iter().any(|name| name.starts_with("wasi:http/incoming-handler@0.2.")),
            "{id}"
        );
        let used: BTreeSet<_> = used.iter().map(|name| without_wasi_version(name)).collect();
        let undeclared: Vec<_> = used.difference(&declared).collect();
        assert!(undeclared.is_empty(), "{id} uses {undeclared:?}");
    }
}

/// Returns the directory of the published packages, inside of `spin-sdk`; see `wit/README.md`. `cargo
/// metadata` would require the packages of all other platforms; this build, only those of the guest.
fn published_packages() -> PathBuf {
    let output = cargo()
        .args([
            "build",
            "--release",
            "--locked",
            "--target=wasm32-wasip2",
            "-p",
            "older-interfaces",
        ])
        .arg("--message-format=json")
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let messages = String::from_utf8(output.stdout).expect("UTF-8");
    let mut messages =
        messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("a message"));
    let sdk = messages.find(|message| message["target"]["name"] == "spin_sdk").expect("spin-sdk");
    let manifest = sdk["manifest_path"].as_str().expect("a path");
    Path::new(manifest).parent().expect("a directory").join("wit/deps")
}

#[test]
fn vendored_packages_equal_the_published_packages() {
    let published = published_packages();
    let readme = fs::read_to_string(root().join("wit/README.md")).expect("README.md");
    let mut compared = 0;
    for line in readme.lines().filter(|line| line.starts_with("| `")) {
        let columns: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let (vendored, upstream) = (columns[1], columns[2]);
        for file in fs::read_dir(root().join("wit/deps").join(vendored)).expect(vendored) {
            let file = file.expect(vendored).path();
            let name = file.file_name().expect("a name");
            let text = fs::read_to_string(&file).expect("the file is UTF-8");
            let original = fs::read_to_string(published.join(upstream).join(name)).expect(upstream);
            // A file without a package declaration upstream has one prepended here.
            let rest = text.split_once("\n\n").map_or("", |(_, rest)| rest);
            assert!(text == original || rest == original, "{} differs", file.display());
            compared += 1;
        }
    }
    let deps = fs::read_dir(root().join("wit/deps")).expect("deps").count();
    assert!(compared >= deps, "a vendored package is missing from the table in wit/README.md");
}
