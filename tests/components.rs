//! What is promised of every component.

use std::collections::BTreeSet;
use std::fs;

use katas_host::manifest::Manifest;

use crate::support::{app, root};

fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// The folders in a folder.
fn folders(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(path)).expect(path).map(|entry| entry.expect(path));
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.map(|folder| folder.file_name().into_string().expect("UTF-8")).collect()
}

#[test]
fn every_component_has_its_folder_its_wasm_and_its_tests() {
    let manifest = manifest();
    let ids: BTreeSet<String> = manifest.component.keys().cloned().collect();
    assert_eq!(ids, folders("components"));
    let main = fs::read_to_string(root().join("tests/main.rs")).expect("main.rs");
    for (id, component) in &manifest.component {
        let wasm = format!("target/wasm32-wasip2/release/{id}.wasm");
        assert_eq!(component.source().to_str(), Some(wasm.as_str()));
        let build = component.build.as_ref().expect("a build command");
        let command = format!("cargo build --release --target wasm32-wasip2 -p {id}");
        assert_eq!(build.commands(), [command]);
        assert!(main.contains(&format!("mod {id};")), "{id} has no tests");
        let routed = manifest.trigger.http.iter().any(|it| it.component.as_ref() == Some(id));
        assert!(routed, "{id} has no route");
    }
}

#[test]
fn every_component_is_small() {
    for id in app().manifest.component.keys() {
        let wasm = root().join(format!("target/wasm32-wasip2/release/{id}.wasm"));
        let size = fs::metadata(wasm).expect("built").len();
        assert!(size < 150_000, "{id} has {size} bytes");
    }
}

#[test]
fn every_component_may_reach_the_database_and_nothing_else() {
    for (id, component) in manifest().component {
        assert_eq!(component.allowed_outbound_hosts, ["postgres://{{ database_host }}"], "{id}");
        let variables: Vec<_> = component.variables.into_iter().collect();
        let url = ("database_url".to_owned(), "{{ database_url }}".to_owned());
        assert_eq!(variables, [url], "{id}");
    }
}

#[test]
fn the_variables_are_few() {
    // Opening a connection resolves all of them.
    assert!(manifest().variables.len() <= 5);
}

#[test]
fn the_versions_agree() {
    assert_eq!(manifest().application.version, env!("CARGO_PKG_VERSION"));
}
