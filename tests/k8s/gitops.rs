//! Argo CD and Flux: the order in which they apply objects, and Jobs that they must not repeat.

use serde_json::Value;

use super::objects::{Objects, name, text, title};
use super::render::{kustomize, overlay_with};

/// Returns the sync wave of an object in Argo CD.
fn wave(object: &Value) -> i32 {
    let annotation = "/metadata/annotations/argocd.argoproj.io~1sync-wave";
    text(object, annotation).map_or(0, |wave| wave.parse().expect("a number"))
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn argo_cd_syncs_prerequisites_before_the_job_and_the_spinapp_last() {
    let objects = overlay_with("production", &["../gitops/argocd/waves"], "");
    let job = objects.of_kind("Job").next().expect("a Job");
    for kind in ["ServiceAccount", "NetworkPolicy", "Cluster"] {
        for object in objects.of_kind(kind) {
            assert!(wave(object) < wave(job), "{}", title(object));
        }
    }
    for object in objects.all().iter().filter(|object| object["kind"] != "SpinApp") {
        assert!(
            objects.of_kind("SpinApp").all(|app| wave(app) > wave(object)),
            "{}",
            title(object)
        );
    }
    assert_eq!(job["metadata"]["annotations"]["argocd.argoproj.io/hook"], "Sync");
}

/// A kustomization with the ConfigMap would delete the settings of an existing Argo CD.
#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn argo_cd_kustomization_contains_only_the_application() {
    let objects = kustomize("k8s/gitops/argocd");
    let titles: Vec<_> = objects.all().iter().map(title).collect();
    assert_eq!(titles, ["Application katas"]);
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn flux_applies_the_executor_first_and_keeps_finished_jobs() {
    let flux = kustomize("k8s/gitops/flux");
    let [first, second] = ["katas-namespace", "katas"].map(|step| {
        flux.of_kind("Kustomization").find(|object| name(object) == step).expect("a step")
    });
    assert_eq!(second["spec"]["dependsOn"][0]["name"], *name(first));
    let rendered = |step: &Value| {
        kustomize(text(step, "/spec/path").expect("a path").trim_start_matches("./"))
    };
    assert!(rendered(first).of_kind("SpinAppExecutor").next().is_some());
    assert!(rendered(second).of_kind("SpinAppExecutor").next().is_none());
    let patches = format!("patches: {}\n", second["spec"]["patches"]);
    let patched = overlay_with("production", &[], &patches);
    let job_expires = |objects: &Objects| {
        let job = objects.of_kind("Job").next().expect("a Job");
        job["spec"].get("ttlSecondsAfterFinished").is_some()
    };
    assert!(job_expires(&rendered(second)) && !job_expires(&patched));
}
