//! Requirements on every component: manifest, size and permissions.

use std::collections::BTreeSet;
use std::fs;

use katas_host::manifest::{Manifest, Route};

use crate::docs;
use crate::support::{app, root};

fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// Returns the path of the component that cargo builds.
fn wasm_path(id: &str) -> String {
    format!("target/wasm32-wasip2/release/{}.wasm", id.replace('-', "_"))
}

/// Returns the names of the directories in a directory.
pub(crate) fn directories(path: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(path)).expect(path).map(|entry| entry.expect(path));
    let directories = entries.filter(|entry| entry.path().is_dir());
    directories.map(|directory| directory.file_name().into_string().expect("UTF-8")).collect()
}

/// Returns the last literal segment of a route: `runs` of `/api/v1/datasets/:id/runs/...`.
fn last_segment(route: &str) -> &str {
    let is_literal = |segment: &&str| !segment.starts_with([':', '.']);
    route.rsplit('/').find(is_literal).unwrap_or_default()
}

/// The routes that only the courier calls.
const INTERNAL: [&str; 2] = ["run-parts", "run-failures"];

#[test]
fn every_component_is_complete() {
    let manifest = manifest();
    let text = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_default();
    let (main, document) = (text("tests/main.rs"), text("docs/API.md"));
    let playground = text("components/docs/page/operations.js");
    let mut missing = Vec::new();
    let mut require = |id: &str, exists: bool, what: &str| {
        if !exists {
            missing.push(format!("{id}: {what}"));
        }
    };
    let permissions: BTreeSet<&str> = COMPONENTS.iter().map(|(id, _)| *id).collect();
    for id in &directories("components") {
        let Some(component) = manifest.component.get(id) else {
            require(id, false, "[component] in spin.toml");
            continue;
        };
        let source = component.source().to_str() == Some(&wasm_path(id));
        require(id, source, "the source that cargo builds, in spin.toml");
        let command = format!("cargo build --release --target wasm32-wasip2 -p {id}");
        let commands = component.build.as_ref().map(|build| build.commands().to_vec());
        require(id, commands.is_some_and(|it| it == [command]), "the build command in spin.toml");
        let module = format!("mod {};", id.replace('-', "_"));
        require(id, main.contains(&module), "a test module in tests/main.rs");
        require(id, permissions.contains(id.as_str()), "its permissions in tests/components.rs");
        let part = text(&format!("components/{id}/openapi.yaml"));
        require(id, part.contains(&format!("- name: {id}\n")), "its tag in its openapi.yaml");
        let triggers = manifest.trigger.http.iter();
        let triggers = triggers.filter(|trigger| trigger.component.as_ref() == Some(id));
        let routes = triggers.filter_map(|trigger| match &trigger.route {
            Route::Pattern(route) => Some(route.as_str()),
            Route::Private { .. } => None,
        });
        let routes: Vec<_> = routes.collect();
        require(id, !routes.is_empty(), "a trigger in spin.toml");
        for segment in routes.iter().filter(|it| it.starts_with("/api/")).map(|it| last_segment(it))
        {
            let is_internal = INTERNAL.contains(&segment);
            let segment = format!("/{segment}");
            require(id, document.contains(&segment), &format!("{segment} in docs/API.md"));
            let exists = is_internal || playground.contains(&segment);
            require(id, exists, &format!("{segment} in the playground"));
        }
    }
    for id in manifest.component.keys() {
        require(id, root().join("components").join(id).is_dir(), "a directory in components/");
    }
    assert!(missing.is_empty(), "missing: {missing:#?}");
}

/// The maximum size of a component, embedded files excluded. Each node downloads and compiles a
/// component once; its size has little influence on the duration of a request.
const MAX_BYTES: u64 = 288 << 10;

#[test]
fn every_component_is_smaller_than_the_maximum_size() {
    app();
    for (id, _) in COMPONENTS {
        let size = fs::metadata(root().join(wasm_path(id))).expect("the component is built").len();
        let files = if *id == "docs" { docs::compressed_bytes() } else { 0 };
        assert!(size - files < MAX_BYTES, "{id}: {size} bytes, {files} of them embedded files");
    }
}

/// A host capability besides HTTP and logging.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Permission {
    /// Connecting to the database.
    Database,
    /// Reading the API token that write requests require.
    Token,
    /// Reading whether personal data requires the token.
    PrivateReads,
}

use Permission::{Database, PrivateReads, Token};

/// Every component with its permissions, so that a new permission shows up in review.
const COMPONENTS: &[(&str, &[Permission])] = &[
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
fn every_component_has_exactly_the_listed_permissions() {
    let manifest = manifest();
    let listed: Vec<_> = COMPONENTS.iter().map(|(id, _)| *id).collect();
    assert_eq!(listed, manifest.component.keys().collect::<Vec<_>>());
    for (id, permissions) in COMPONENTS {
        let component = &manifest.component[*id];
        let database = permissions.contains(&Database);
        let hosts: &[&str] = if database { &["postgres://{{ database_host }}"] } else { &[] };
        assert_eq!(component.allowed_outbound_hosts, hosts, "{id}");
        let variables: Vec<_> = component.variables.keys().map(String::as_str).collect();
        let expected =
            [("api_token", Token), ("database_url", Database), ("private_reads", PrivateReads)];
        let expected = expected.iter().filter(|(_, permission)| permissions.contains(permission));
        assert_eq!(variables, expected.map(|(name, _)| *name).collect::<Vec<_>>(), "{id}");

        let interfaces = app().interfaces(id).expect("the component is loaded");
        let imports = |name: &str| interfaces.iter().any(|interface| interface.starts_with(name));
        assert_eq!(imports("spin:postgres/"), database, "{id}: {interfaces:?}");
        assert_eq!(
            imports("fermyon:spin/variables"),
            !permissions.is_empty(),
            "{id}: {interfaces:?}"
        );
    }
}

#[test]
fn manifest_declares_at_most_five_variables() {
    // Opening a connection resolves all variables.
    assert!(manifest().variables.len() <= 5);
}

#[test]
fn manifest_version_equals_the_crate_version() {
    assert_eq!(manifest().application.version, env!("CARGO_PKG_VERSION"));
}
