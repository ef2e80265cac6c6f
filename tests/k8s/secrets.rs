//! Secrets: generated locally, mounted as files, and not stored in Git.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::objects::{Objects, list, title};
use super::pods::containers;
use super::render::{copy, run};
use super::variables::decode_base64;
use crate::repository::{files, text};

/// Checks that no container reads a Secret from its environment, and that only Secrets contain
/// passwords.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for pod in objects.pods() {
        let env =
            pod.spec.iter().flat_map(containers).flat_map(|container| list(container, "/env"));
        if env.into_iter().any(|variable| variable.pointer("/valueFrom/secretKeyRef").is_some()) {
            violations.push(format!("{}: a Secret in the environment", pod.owner));
        }
    }
    // A trailing newline would be part of the password.
    for secret in
        objects.of_kind("Secret").filter(|secret| secret["type"] == "kubernetes.io/basic-auth")
    {
        let password = decode_base64(secret["data"]["password"].as_str().unwrap_or_default());
        if password.contains('\n') {
            violations.push(format!("{}: the password contains a newline", title(secret)));
        }
    }
    for object in objects.all().iter().filter(|object| object["kind"] != "Secret") {
        if contains_password(&object.to_string()) {
            violations.push(format!("{}: contains a password", title(object)));
        }
    }
    violations
}

/// Returns the secrets in a YAML file of the repository.
pub(super) fn secrets_in(yaml: &str) -> Vec<String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    let mut found = Vec::new();
    for document in documents {
        if document["kind"] == "Secret" {
            found.push("a Secret".to_owned());
        }
        let literals = list(&document, "/secretGenerator")
            .iter()
            .flat_map(|generator| list(generator, "/literals"))
            .filter_map(Value::as_str);
        for literal in literals.filter(|literal| !literal.starts_with("username=")) {
            found.push(format!("the literal {literal}"));
        }
        if contains_password(&document.to_string()) {
            found.push("a password in a URL".to_owned());
        }
    }
    found
}

/// Returns whether a text contains a URL with a password: `scheme://user:password@host`.
fn contains_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '"', ' ']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn repository_contains_no_secrets() {
    // Helm templates are not YAML; `k8s/check-chart` compares their rendered output.
    let manifests = files(".yaml").into_iter().filter(|path| path.starts_with("k8s"));
    for path in manifests.filter(|path| !path.starts_with("k8s/chart/templates")) {
        assert_eq!(secrets_in(&text(&path)), Vec::<String>::new(), "{}", path.display());
    }
    let secrets: Vec<_> = files("")
        .into_iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "secrets"))
        .filter(|path| !path.is_dir() && !path.ends_with("kustomization.yaml"))
        .collect();
    assert_eq!(secrets, ["k8s/secrets"].map(std::path::PathBuf::from));
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn secrets_script_keeps_existing_passwords_and_replaces_deleted_ones() {
    let copy = copy();
    let folder = copy.path().join("k8s/overlays/production/secrets");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("the file exists");
    let generate = || run(Command::new(copy.path().join("k8s/secrets")).arg("production"));
    generate();
    let before = ["katas_app", "ca.crt", "runtime-config.toml", "migrate-url"].map(read);
    generate();
    assert_eq!(["katas_app", "ca.crt", "runtime-config.toml", "migrate-url"].map(read), before);
    fs::remove_file(folder.join("katas_app")).expect("the file exists");
    generate();
    let [old, ..] = before;
    let new = read("katas_app");
    assert_ne!(new, old);
    let config = read("runtime-config.toml");
    assert!(config.contains(&new) && !config.contains(&old), "the old password remains");
}
