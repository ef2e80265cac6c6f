//! The rules of the house that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::components::folders;
use crate::support::root;

/// The files that git knows or would know, by their ending.
pub(crate) fn files(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names = names.lines().filter(|name| name.ends_with(ending)).map(PathBuf::from);
    let files: Vec<_> = names.filter(|name| root().join(name).is_file()).collect();
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{}", path.display()))
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    for path in files(".rs") {
        let first = text(&path).lines().next().unwrap_or_default().to_owned();
        assert!(first.starts_with("//! ") && first.len() > 10, "{}: {first:?}", path.display());
    }
}

#[test]
fn domain_knows_no_http_and_no_sql() {
    for path in files("domain.rs") {
        let text = text(&path);
        for word in
            ["http", "web::", "pg::", "spin_sdk", "json::", "SELECT", "INSERT", "StatusCode"]
        {
            assert!(!text.contains(word), "{} knows {word}", path.display());
        }
    }
}

#[test]
fn sql_stands_in_the_store() {
    for path in files(".rs").iter().filter(|path| path.starts_with("components")) {
        if !path.ends_with("store.rs") {
            let text = text(path);
            for word in ["SELECT ", "INSERT ", "UPDATE ", "DELETE FROM", "katas."] {
                assert!(!text.contains(word), "{} has {word:?}", path.display());
            }
        }
    }
}

#[test]
fn the_rooms_do_not_know_each_other() {
    let components: Vec<String> = folders("components").into_iter().collect();
    let components = components.iter().map(String::as_str);
    for (room, forbidden) in [
        ("crates/web/", vec!["pg", "rules", "orders", "spin-sdk"]),
        ("crates/pg/", vec!["rules", "orders", "http"]),
        ("crates/json/", vec!["web", "pg", "rules", "orders", "http"]),
        ("crates/rules/", vec!["web", "pg", "orders", "http", "spin-sdk"]),
        ("components/", components.chain(["katas-host", "migrate", "smoke"]).collect()),
        ("migrate/", vec!["web", "pg", "rules", "katas-host", "smoke"]),
        ("crates/smoke/", vec!["web", "pg", "rules", "katas-host", "migrate"]),
    ] {
        for path in files("Cargo.toml").iter().filter(|path| path.starts_with(room)) {
            let manifest: toml::Table = text(path).parse().expect("TOML");
            let dependencies = manifest["dependencies"].as_table().expect("dependencies");
            for name in &forbidden {
                assert!(!dependencies.contains_key(*name), "{} depends on {name}", path.display());
            }
        }
    }
}

#[test]
fn versions_are_named_once() {
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
fn no_line_ends_with_a_space_and_every_file_with_a_newline() {
    for ending in [".rs", ".toml", ".md", ".sql", ".yml"] {
        for path in files(ending) {
            let text = text(&path);
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", path.display());
            for (number, line) in text.lines().enumerate() {
                assert_eq!(line, line.trim_end(), "{}:{}", path.display(), number + 1);
            }
        }
    }
}

#[test]
fn no_test_is_switched_off() {
    for path in files(".rs") {
        let attribute = concat!("#[", "ignore");
        assert!(!text(&path).contains(attribute), "{}", path.display());
    }
}
