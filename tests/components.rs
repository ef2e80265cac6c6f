//! What is promised of every component.

use std::collections::BTreeSet;
use std::fs;

use katas_host::manifest::Manifest;

use crate::docs;
use crate::support::{app, root};

fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// Where cargo puts the component.
fn wasm(id: &str) -> String {
    format!("target/wasm32-wasip2/release/{}.wasm", id.replace('-', "_"))
}

/// The folders in a folder.
pub(crate) fn folders(path: &str) -> BTreeSet<String> {
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
        assert_eq!(component.source().to_str(), Some(wasm(id).as_str()));
        let build = component.build.as_ref().expect("a build command");
        let command = format!("cargo build --release --target wasm32-wasip2 -p {id}");
        assert_eq!(build.commands(), [command]);
        assert!(main.contains(&format!("mod {};", id.replace('-', "_"))), "{id} has no tests");
        let routed = manifest.trigger.http.iter().any(|it| it.component.as_ref() == Some(id));
        assert!(routed, "{id} has no route");
    }
}

/// The maximum size of a component, its files aside: it is downloaded and compiled once on every node, and
/// has little influence on the duration of a request.
const MAX_BYTES: u64 = 250_000;

#[test]
fn every_component_is_below_the_maximum_size() {
    app();
    for (id, _) in COMPONENTS {
        let size = fs::metadata(root().join(wasm(id))).expect("built").len();
        let files = if *id == "docs" { docs::compressed_bytes() } else { 0 };
        assert!(size - files < MAX_BYTES, "{id} has {size} bytes, {files} of them files");
    }
}

/// What a component may do but answer and log.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Right {
    /// Use the database.
    Database,
    /// Ask for the token that changes need.
    Token,
    /// Know whether personal data may be read without the token.
    PrivateReads,
}

use Right::{Database, PrivateReads, Token};

/// Every component with its rights. More rights are granted here, where a review sees them.
const COMPONENTS: &[(&str, &[Right])] = &[
    ("datasets", &[Database, Token]),
    ("dictionary", &[Database, Token]),
    ("docs", &[]),
    ("health", &[Database]),
    ("nth-char", &[]),
    ("price-lists", &[Database, Token]),
    ("receipts", &[Database, Token, PrivateReads]),
    ("runs", &[Database, Token]),
    ("spending", &[Database]),
    ("users", &[Database, Token, PrivateReads]),
];

#[test]
fn every_component_has_its_rights_and_no_more() {
    let manifest = manifest();
    let named: Vec<_> = COMPONENTS.iter().map(|(id, _)| *id).collect();
    assert_eq!(named, manifest.component.keys().collect::<Vec<_>>());
    for (id, rights) in COMPONENTS {
        let component = &manifest.component[*id];
        let database = rights.contains(&Database);
        let hosts: &[&str] = if database { &["postgres://{{ database_host }}"] } else { &[] };
        assert_eq!(component.allowed_outbound_hosts, hosts, "{id}");
        let variables: Vec<_> = component.variables.keys().map(String::as_str).collect();
        let expected =
            [("api_token", Token), ("database_url", Database), ("private_reads", PrivateReads)];
        let expected = expected.iter().filter(|(_, right)| rights.contains(right));
        assert_eq!(variables, expected.map(|(name, _)| *name).collect::<Vec<_>>(), "{id}");

        let interfaces = app().interfaces(id).expect("it is loaded");
        let imports = |name: &str| interfaces.iter().any(|it| it.starts_with(name));
        assert_eq!(imports("spin:postgres/"), database, "{id}: {interfaces:?}");
        assert_eq!(imports("fermyon:spin/variables"), !rights.is_empty(), "{id}: {interfaces:?}");
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
