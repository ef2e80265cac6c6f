//! The release: its version is the same everywhere.

use migrate::Project;

use super::objects::{Objects, name, title};
use super::pods::images;
use crate::repository::text;

/// Of the images and of the Job.
pub(super) fn is_named_once(objects: &Objects) -> Vec<String> {
    let version = env!("CARGO_PKG_VERSION");
    let mut faults = Vec::new();
    for (of, image) in images(objects) {
        let tag = image.strip_prefix("ghcr.io/katas-dev/").and_then(|it| it.split_once(':'));
        if tag.is_some_and(|(_, tag)| tag.split('@').next() != Some(version)) {
            faults.push(format!("{of}: {image} is not version {version}"));
        }
    }
    let wanted =
        format!("katas-migrate-{}-{}", version.replace('.', "-"), Project::built_in().newest());
    for job in objects.of("Job").filter(|job| name(job).starts_with("katas-migrate")) {
        if name(job) != wanted {
            faults.push(format!("{}: should be {wanted}", title(job)));
        }
    }
    faults
}

#[test]
fn gitops_deploys_this_release() {
    for file in ["argocd/application.yaml", "flux/source.yaml"] {
        let text = text(format!("k8s/gitops/{file}").as_ref());
        assert!(text.contains(concat!(": v", env!("CARGO_PKG_VERSION"))), "{file}");
    }
}
