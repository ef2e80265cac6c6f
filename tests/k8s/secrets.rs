//! Secrets: made where they are used, mounted as files, and not in git.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::objects::{Objects, list, title};
use super::pods::containers;
use super::render::{copy, run};
use super::variables::base64;
use crate::repository::{files, text};

/// No container has one in its environment, and no object but a Secret contains one.
pub(super) fn are_not_in_git(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in objects.pods() {
        let env = pod.spec.iter().flat_map(containers).flat_map(|it| list(it, "/env"));
        if env.into_iter().any(|it| it.pointer("/valueFrom/secretKeyRef").is_some()) {
            faults.push(format!("{}: a secret is in the environment", pod.of));
        }
    }
    // All of it is the password.
    for secret in objects.of("Secret").filter(|it| it["type"] == "kubernetes.io/basic-auth") {
        if base64(secret["data"]["password"].as_str().unwrap_or_default()).contains('\n') {
            faults.push(format!("{}: the password has an end of line", title(secret)));
        }
    }
    for object in objects.all().iter().filter(|object| object["kind"] != "Secret") {
        if contains_password(&object.to_string()) {
            faults.push(format!("{}: a password is in it", title(object)));
        }
    }
    faults
}

/// What is wrong with a file that git has.
pub(super) fn in_file(yaml: &str) -> Vec<String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    let mut faults = Vec::new();
    for document in documents {
        if document["kind"] == "Secret" {
            faults.push("a Secret".to_owned());
        }
        let literals =
            list(&document, "/secretGenerator").iter().flat_map(|it| list(it, "/literals"));
        for literal in literals.filter_map(Value::as_str).filter(|it| !it.starts_with("username="))
        {
            faults.push(format!("the value of {literal}"));
        }
        if contains_password(&document.to_string()) {
            faults.push("a password in a URL".to_owned());
        }
    }
    faults
}

/// `scheme://user:password@host`
fn contains_password(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '"', ' ']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[test]
fn no_secret_is_in_git() {
    // What Helm renders of its templates, which are no YAML yet, is compared in `k8s/check-chart`.
    let manifests = files(".yaml").into_iter().filter(|path| path.starts_with("k8s"));
    for path in manifests.filter(|path| !path.starts_with("k8s/chart/templates")) {
        assert_eq!(in_file(&text(&path)), Vec::<String>::new(), "{}", path.display());
    }
    let made = files("")
        .into_iter()
        .filter(|path| path.components().any(|it| it.as_os_str() == "secrets"));
    let made: Vec<_> =
        made.filter(|path| !path.is_dir() && !path.ends_with("kustomization.yaml")).collect();
    assert_eq!(made, ["k8s/secrets"].map(std::path::PathBuf::from));
}

#[test]
fn what_is_there_is_kept() {
    let copy = copy();
    let folder = copy.path().join("k8s/overlays/production/secrets");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("it is there");
    let make = || run(Command::new(copy.path().join("k8s/secrets")).arg("production"));
    make();
    let before = ["katas_app", "ca.crt", "runtime-config.toml", "migrate-url"].map(read);
    make();
    assert_eq!(["katas_app", "ca.crt", "runtime-config.toml", "migrate-url"].map(read), before);
    // Another password is everywhere.
    fs::remove_file(folder.join("katas_app")).expect("it was there");
    make();
    let [old, ..] = before;
    let new = read("katas_app");
    assert_ne!(new, old);
    let config = read("runtime-config.toml");
    assert!(config.contains(&new) && !config.contains(&old), "the old one is left");
}
