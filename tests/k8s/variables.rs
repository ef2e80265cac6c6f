//! The variables of `spin.toml`, as a cluster gives them.

use std::collections::BTreeSet;

use katas_host::manifest::Manifest;

use super::objects::{Objects, name, text, title};
use super::references::services;
use crate::support::root;

/// What Spin reads.
pub(super) fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// The components that open connections to the database.
pub(super) fn database_components() -> BTreeSet<String> {
    let components = manifest().component.into_iter();
    let uses = components.filter(|(_, it)| it.variables.contains_key("database_url"));
    uses.map(|(id, _)| id).collect()
}

/// Each has a value, there is no other, and they fit each other.
pub(super) fn are_those_of_the_manifest(objects: &Objects) -> Vec<String> {
    let wanted: BTreeSet<String> = manifest().variables.into_keys().collect();
    let mut faults = Vec::new();
    for app in objects.of("SpinApp") {
        let secret = text(app, "/spec/runtimeConfig/loadFromSecret").unwrap_or_default();
        let Some(config) = objects.of("Secret").find(|it| name(it) == secret) else { continue };
        let config = config["data"]["runtime-config.toml"].as_str().map(base64).unwrap_or_default();
        let config: toml::Table = config.parse().expect("TOML");
        let values =
            config.get("variables_provider").and_then(|it| it.get(0)).and_then(|provider| {
                (provider["type"].as_str() == Some("static"))
                    .then_some(provider.get("values")?.as_table()?)
            });
        let Some(values) = values else {
            faults.push(format!("{}: {secret} has no variables", title(app)));
            continue;
        };
        let known: BTreeSet<String> = values.keys().cloned().collect();
        if known != wanted {
            faults.push(format!("{}: the variables are {known:?}, not {wanted:?}", title(app)));
            continue;
        }
        let url = values["database_url"].as_str().unwrap_or_default();
        let host = values["database_host"].as_str().unwrap_or_default();
        if !url.contains(&format!("@{host}/")) {
            faults.push(format!("{}: database_host is not that of database_url", title(app)));
        }
        let (service, port) = host.split_once(':').unwrap_or_default();
        let ports = services(objects).remove(service).unwrap_or_default();
        if !port.parse().is_ok_and(|port| ports.contains(&port)) {
            faults.push(format!("{}: there is no database at {host}", title(app)));
        }
        if !url.contains("sslmode=require") {
            faults.push(format!("{}: the database's certificate is not verified", title(app)));
        }
    }
    // The shim takes such a variable of the environment for the value of one of ours.
    for service in services(objects).into_keys() {
        let service = service.replace('-', "_");
        for variable in &wanted {
            let rest = variable.strip_prefix(&service).unwrap_or_default();
            if rest.starts_with("_port") || rest.starts_with("_service_") {
                faults.push(format!("a Service {service} hides the variable {variable}"));
            }
        }
    }
    faults
}

/// What a Secret has.
pub(super) fn base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<usize> =
        text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte)).collect();
    let bytes = digits.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        [bits >> 16, bits >> 8, bits].into_iter().take(four.len() - 1).map(|byte| byte as u8)
    });
    String::from_utf8(bytes.collect()).expect("UTF-8")
}
