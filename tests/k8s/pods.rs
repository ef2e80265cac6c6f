//! Pods: no more rights and no more resources than they need, and images that do not change.

use serde_json::Value;

use super::objects::{Objects, list, text, title};

/// All that are ours keep to it.
pub(super) fn are_bounded_and_confined(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        let mut wanted = |pointer: &str, value: Value| {
            if spec.pointer(pointer) != Some(&value) {
                faults.push(format!("{}: {pointer} is not {value}", pod.of));
            }
        };
        wanted("/automountServiceAccountToken", false.into());
        wanted("/enableServiceLinks", false.into());
        wanted("/securityContext/runAsNonRoot", true.into());
        wanted("/securityContext/seccompProfile/type", "RuntimeDefault".into());
        for container in containers(spec) {
            let name = text(container, "/name").unwrap_or_default();
            let mut wanted = |pointer: &str, value: Value| {
                if container.pointer(pointer) != Some(&value) {
                    faults.push(format!("{}, {name}: {pointer} is not {value}", pod.of));
                }
            };
            wanted("/securityContext/allowPrivilegeEscalation", false.into());
            wanted("/securityContext/readOnlyRootFilesystem", true.into());
            wanted("/securityContext/capabilities/drop/0", "ALL".into());
            faults.extend(resources(&format!("{}, {name}", pod.of), &container["resources"]));
        }
    }
    for app in objects.of("SpinApp") {
        faults.extend(resources(&title(app), &app["spec"]["resources"]));
    }
    for (of, image) in images(objects) {
        if !is_pinned(&image) {
            faults.push(format!("{of}: the image {image} is not pinned"));
        }
    }
    faults
}

fn resources(of: &str, resources: &Value) -> Vec<String> {
    let all = ["requests", "limits"].into_iter().flat_map(|kind| {
        ["cpu", "memory", "ephemeral-storage"].map(|name| format!("/{kind}/{name}"))
    });
    let missing = all.filter(|pointer| text(resources, pointer).is_none());
    missing.map(|pointer| format!("{of}: no resources at {pointer}")).collect()
}

/// The containers of a pod, those first that run first.
pub(super) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "/initContainers").iter().chain(list(spec, "/containers"))
}

/// Every image, with what runs it.
pub(super) fn images(objects: &Objects) -> Vec<(String, String)> {
    let mut images = Vec::new();
    for pod in objects.pods() {
        for container in pod.spec.iter().flat_map(containers) {
            images
                .push((pod.of.clone(), container["image"].as_str().unwrap_or_default().to_owned()));
        }
    }
    for (kind, pointer) in [
        ("SpinApp", "/spec/image"),
        ("Cluster", "/spec/imageName"),
        ("Pooler", "/spec/template/spec/containers/0/image"),
    ] {
        for object in objects.of(kind) {
            images.push((title(object), text(object, pointer).unwrap_or_default().to_owned()));
        }
    }
    images
}

/// A digest, or a tag that says which version it is.
fn is_pinned(image: &str) -> bool {
    let (image, digest) =
        image.split_once('@').map_or((image, None), |(it, digest)| (it, Some(digest)));
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        return hex.len() == 64 && hex.bytes().all(|it| it.is_ascii_hexdigit());
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_some_and(|(_, tag)| {
        let version = tag.strip_prefix('v').unwrap_or(tag);
        version.starts_with(|it: char| it.is_ascii_digit()) && version.contains('.')
    })
}
