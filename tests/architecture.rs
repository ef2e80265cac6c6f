//! Architecture rules: layers, dependencies between crates, and conventions for source files.

use std::path::Path;

use crate::components::directories;
use crate::repository::{files, text};

#[test]
fn every_source_file_starts_with_a_module_doc_comment() {
    for path in files(".rs") {
        let first = text(&path).lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with("//! ") && first.len() > 10, "{}: {first:?}", path.display());
    }
}

#[test]
fn domain_modules_use_no_http_and_no_sql() {
    for path in files("domain.rs") {
        let text = text(&path);
        for word in
            ["http", "web::", "pg::", "spin_sdk", "json::", "SELECT", "INSERT", "StatusCode"]
        {
            assert!(!text.contains(word), "{} contains {word}", path.display());
        }
    }
}

#[test]
fn component_sql_is_only_in_the_store() {
    for path in files(".rs").iter().filter(|path| path.starts_with("components")) {
        let is_store = path.ends_with("store.rs") || path.iter().any(|name| name == "store");
        if !is_store {
            let text = text(path);
            for word in ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "katas."] {
                assert!(!text.contains(word), "{} contains {word:?}", path.display());
            }
        }
    }
}

#[test]
fn crates_depend_only_in_the_allowed_direction() {
    let components: Vec<String> = directories("components").into_iter().collect();
    let components = components.iter().map(String::as_str);
    for (directory, forbidden) in [
        ("crates/web/", vec!["pg", "rules", "orders", "spin-sdk"]),
        ("crates/pg/", vec!["rules", "orders", "http"]),
        ("crates/json/", vec!["web", "pg", "rules", "orders", "http"]),
        ("crates/rfc4180/", vec!["json", "web", "pg", "rules", "orders", "http", "spin-sdk"]),
        ("crates/rules/", vec!["web", "pg", "orders", "http", "spin-sdk"]),
        ("crates/orders/", components.clone().chain(["katas-host", "migrations"]).collect()),
        ("crates/host/", vec!["web", "pg", "rules", "orders", "migrate", "scaffold", "smoke"]),
        ("crates/migrations/", vec!["web", "pg", "rules", "katas-host", "migrate", "smoke"]),
        ("crates/smoke/", vec!["web", "pg", "rules", "katas-host", "migrate", "migrations"]),
        (
            "components/",
            components.chain(["katas-host", "migrate", "migrations", "smoke"]).collect(),
        ),
        ("migrate/", vec!["web", "pg", "rules", "katas-host", "smoke"]),
        (
            "crates/courier/",
            vec!["web", "pg", "rules", "katas-host", "migrate", "migrations", "smoke"],
        ),
        ("crates/child-process/", vec!["katas-host", "courier", "migrate", "migrations"]),
    ] {
        for path in files("Cargo.toml").iter().filter(|path| path.starts_with(directory)) {
            let manifest: toml::Table = text(path).parse().expect("TOML");
            let dependencies = manifest["dependencies"].as_table().expect("dependencies");
            for name in &forbidden {
                assert!(!dependencies.contains_key(*name), "{} depends on {name}", path.display());
            }
        }
    }
}

#[test]
fn dependency_versions_are_declared_only_in_the_workspace() {
    for path in files("Cargo.toml") {
        if path != Path::new("Cargo.toml") {
            let manifest: toml::Table = text(&path).parse().expect("TOML");
            assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{}", path.display());
            for (kind, table) in &manifest {
                for (name, dependency) in table.as_table().into_iter().flatten() {
                    if kind.ends_with("dependencies") {
                        let shared = dependency.get("workspace").and_then(toml::Value::as_bool);
                        assert_eq!(shared, Some(true), "{}: {name}", path.display());
                    }
                }
            }
        }
    }
}

#[test]
fn no_test_is_ignored_unconditionally() {
    for path in files(".rs") {
        let attribute = concat!("#[", "ignore");
        assert!(!text(&path).contains(attribute), "{}", path.display());
    }
}
