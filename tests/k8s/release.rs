//! The release: all manifests use the same version.

use migrate::Project;

use super::objects::{Objects, name, title};
use super::pods::images;
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
