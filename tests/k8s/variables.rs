//! The variables of `spin.toml`, and their values in a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use katas_host::local::spin;
use katas_host::manifest::Manifest;
use serde_json::Value;

use super::objects::{Objects, name, text, title};
use super::references::services;
use super::render::{copy, run};
use crate::support::root;

/// Returns the parsed `spin.toml`.
pub(super) fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// Returns the components that connect to the database.
pub(super) fn database_components() -> BTreeSet<String> {
    let components = manifest().component.into_iter();
    let users =
        components.filter(|(_, component)| component.variables.contains_key("database_url"));
    users.map(|(id, _)| id).collect()
}

/// Checks that each SpinApp's runtime configuration sets exactly the variables of `spin.toml`, and
/// that their values are consistent.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let expected: BTreeSet<String> = manifest().variables.into_keys().collect();
    let mut violations = Vec::new();
    for app in objects.of_kind("SpinApp") {
        let secret = text(app, "/spec/runtimeConfig/loadFromSecret").unwrap_or_default();
        let Some(object) = objects.of_kind("Secret").find(|object| name(object) == secret) else {
            continue;
        };
        let config = object["data"]["runtime-config.toml"].as_str();
        let config = config.map(decode_base64).unwrap_or_default();
        let Some(values) = static_values(&config) else {
            violations.push(format!("{}: {secret} has no variables", title(app)));
            continue;
        };
        let actual: BTreeSet<String> = values.keys().cloned().collect();
        if actual != expected {
            violations
                .push(format!("{}: the variables are {actual:?}, not {expected:?}", title(app)));
            continue;
        }
        let url = values["database_url"].as_str().unwrap_or_default();
        let host = values["database_host"].as_str().unwrap_or_default();
        if !url.contains(&format!("@{host}/")) {
            violations.push(format!("{}: database_host differs from database_url", title(app)));
        }
        let (service, port) = host.split_once(':').unwrap_or_default();
        let ports = services(objects).remove(service).unwrap_or_default();
        if !port.parse().is_ok_and(|port| ports.contains(&port)) {
            violations.push(format!("{}: no database at {host}", title(app)));
        }
        if !url.contains("sslmode=require") {
            violations.push(format!("{}: database certificate is not verified", title(app)));
        }
    }
    // The shim reads an environment variable with the name of a variable as its value, and
    // Kubernetes adds environment variables for each Service.
    for service in services(objects).into_keys() {
        let service = service.replace('-', "_");
        for variable in &expected {
            let rest = variable.strip_prefix(&service).unwrap_or_default();
            if rest.starts_with("_port") || rest.starts_with("_service_") {
                violations.push(format!("Service {service} overrides the variable {variable}"));
            }
        }
    }
    violations
}

/// Returns the values of the static provider in a runtime configuration.
pub(super) fn static_values(config: &str) -> Option<toml::Table> {
    let config: toml::Table = config.parse().expect("TOML");
    let provider = config.get("variables_provider")?.get(0)?;
    (provider["type"].as_str() == Some("static"))
        .then_some(provider.get("values")?.as_table()?.clone())
}

/// Returns the runtime configuration that a container of `compose.yaml` writes.
fn compose_config() -> String {
    let text = fs::read_to_string(root().join("compose.yaml")).expect("compose.yaml");
    let compose: Value = serde_saphyr::from_str(&text).expect("YAML");
    let script = compose["services"]["passwords"]["command"][0].as_str().expect("a script");
    let (_, config) = script.split_once("runtime-config.toml <<END\n").expect("a here-document");
    config.split_once("\nEND").expect("its end").0.to_owned()
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn every_runtime_config_has_a_static_value_for_every_variable() {
    let manifest = manifest();
    let copy = copy();
    let secret = |overlay: &str| {
        run(Command::new(copy.path().join("k8s/secrets")).arg(overlay));
        let path = format!("k8s/overlays/{overlay}/secrets/runtime-config.toml");
        fs::read_to_string(copy.path().join(path)).expect("a runtime configuration")
    };
    // `katas up --engine spin`, the benchmarks and these tests start Spin with this configuration.
    let values = ["database_url", "database_host"].map(|name| (name.to_owned(), String::new()));
    let local = spin::runtime_config(&manifest, &BTreeMap::from(values)).expect("all values");
    for (source, config) in [
        ("katas_host::local::spin", local),
        ("k8s/secrets local", secret("local")),
        ("k8s/secrets production", secret("production")),
        ("compose.yaml", compose_config()),
    ] {
        let values = static_values(&config).expect("a static provider");
        let values: BTreeSet<_> = values.keys().collect();
        assert_eq!(values, manifest.variables.keys().collect(), "{source}");
    }
}

/// Decodes a value of a Secret.
pub(super) fn decode_base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<usize> =
        text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        [bits >> 16, bits >> 8, bits].into_iter().take(four.len() - 1).map(|byte| byte as u8)
    });
    String::from_utf8(bytes.collect()).expect("UTF-8")
}
