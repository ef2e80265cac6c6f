//! The release: all manifests use the same version.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use migrations::Project;

use super::objects::{Objects, name, title};
use super::pods::images;
use super::render::{copy, run};
use crate::repository::text;

/// Checks the version in image tags and in the names of Jobs.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut violations = Vec::new();
    for (owner, image) in images(objects) {
        let tag = image.strip_prefix("ghcr.io/katas-dev/").and_then(|image| image.split_once(':'));
        if tag.is_some_and(|(_, tag)| tag.split('@').next() != Some(version)) {
            violations.push(format!("{owner}: {image} is not version {version}"));
        }
    }
    let expected =
        format!("katas-migrate-{}-{}", version.replace('.', "-"), Project::built_in().newest());
    for job in objects.of_kind("Job").filter(|job| name(job).starts_with("katas-migrate")) {
        if name(job) != expected {
            violations.push(format!("{}: expected the name {expected}", title(job)));
        }
    }
    violations
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn gitops_deploys_the_current_version() {
    for file in ["argocd/application.yaml", "flux/source.yaml"] {
        let text = text(format!("k8s/gitops/{file}").as_ref());
        assert!(text.contains(concat!(": v", env!("CARGO_PKG_VERSION"))), "{file}");
    }
}

/// Otherwise `kubectl diff` of a release lists every object.
#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn release_changes_only_the_objects_with_its_images() {
    let copy = copy();
    let render = || {
        let overlay = copy.path().join("k8s/overlays/production");
        Objects::parse(&run(Command::new("kubectl").arg("kustomize").arg(overlay)))
    };
    let before = render();
    let file = copy.path().join("k8s/release/kustomization.yaml");
    let release = fs::read_to_string(&file).expect("the release");
    let version = env!("CARGO_PKG_VERSION");
    let next = release.replace(version, "9.9.9").replace(&version.replace('.', "-"), "9-9-9");
    fs::write(&file, next).expect("a file");
    let after = render();
    let changed = after.all().iter().filter(|object| !before.all().contains(object));
    let changed: BTreeSet<_> = changed.map(title).collect();
    let job = format!("Job katas-migrate-9-9-9-{}", Project::built_in().newest());
    assert_eq!(
        changed,
        ["CronJob katas-sweep", "Deployment katas-courier", &job, "SpinApp katas"]
            .map(str::to_owned)
            .into()
    );
}
