//! Pods: restricted security contexts, resource limits, and pinned images.

use serde_json::Value;

use super::objects::{Objects, list, text, title};

/// Checks security contexts, resources and images of all pods that these manifests define.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for pod in objects.pods() {
        let Some(spec) = &pod.spec else { continue };
        let mut require = |pointer: &str, value: Value| {
            if spec.pointer(pointer) != Some(&value) {
                violations.push(format!("{}: {pointer} is not {value}", pod.owner));
            }
        };
        require("/automountServiceAccountToken", false.into());
        require("/enableServiceLinks", false.into());
        require("/securityContext/runAsNonRoot", true.into());
        require("/securityContext/seccompProfile/type", "RuntimeDefault".into());
        for container in containers(spec) {
            let name = text(container, "/name").unwrap_or_default();
            let mut require = |pointer: &str, value: Value| {
                if container.pointer(pointer) != Some(&value) {
                    violations.push(format!("{}, {name}: {pointer} is not {value}", pod.owner));
                }
            };
            require("/securityContext/allowPrivilegeEscalation", false.into());
            require("/securityContext/readOnlyRootFilesystem", true.into());
            require("/securityContext/capabilities/drop/0", "ALL".into());
            let subject = format!("{}, {name}", pod.owner);
            violations.extend(check_resources(&subject, &container["resources"]));
        }
    }
    for app in objects.of_kind("SpinApp") {
        violations.extend(check_resources(&title(app), &app["spec"]["resources"]));
    }
    for (owner, image) in images(objects) {
        if !is_pinned(&image) {
            violations.push(format!("{owner}: the image {image} is not pinned"));
        }
    }
    violations
}

fn check_resources(subject: &str, resources: &Value) -> Vec<String> {
    let all = ["requests", "limits"].into_iter().flat_map(|kind| {
        ["cpu", "memory", "ephemeral-storage"].map(|name| format!("/{kind}/{name}"))
    });
    let missing = all.filter(|pointer| text(resources, pointer).is_none());
    missing.map(|pointer| format!("{subject}: no resources at {pointer}")).collect()
}

/// Returns the containers of a pod, init containers first.
pub(super) fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "/initContainers").iter().chain(list(spec, "/containers"))
}

/// Returns every image with the kind and name of the object that uses it.
pub(super) fn images(objects: &Objects) -> Vec<(String, String)> {
    let mut images = Vec::new();
    for pod in objects.pods() {
        for container in pod.spec.iter().flat_map(containers) {
            let image = container["image"].as_str().unwrap_or_default();
            images.push((pod.owner.clone(), image.to_owned()));
        }
    }
    for (kind, pointer) in [
        ("SpinApp", "/spec/image"),
        ("Cluster", "/spec/imageName"),
        ("Pooler", "/spec/template/spec/containers/0/image"),
        ("RabbitmqCluster", "/spec/image"),
    ] {
        for object in objects.of_kind(kind) {
            images.push((title(object), text(object, pointer).unwrap_or_default().to_owned()));
        }
    }
    images
}

/// Returns whether an image has a digest or a version tag.
fn is_pinned(image: &str) -> bool {
    let (image, digest) =
        image.split_once('@').map_or((image, None), |(image, digest)| (image, Some(digest)));
    if let Some(digest) = digest {
        let hex = digest.strip_prefix("sha256:").unwrap_or_default();
        return hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').is_some_and(|(_, tag)| {
        let version = tag.strip_prefix('v').unwrap_or(tag);
        version.starts_with(|first: char| first.is_ascii_digit()) && version.contains('.')
    })
}
