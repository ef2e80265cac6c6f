//! Argo CD and Flux: the order that they keep, and what they would otherwise repeat.

use serde_json::Value;

use super::objects::{Objects, name, text, title};
use super::render::{combination, kustomize};

/// When Argo CD applies it.
fn wave(object: &Value) -> i32 {
    let annotation = "/metadata/annotations/argocd.argoproj.io~1sync-wave";
    text(object, annotation).map_or(0, |wave| wave.parse().expect("a number"))
}

#[test]
fn argo_cd_has_what_the_job_needs_before_it_and_the_application_last() {
    let objects = combination("production", &["../gitops/argocd/waves"], "");
    let job = objects.of("Job").next().expect("a Job");
    for kind in ["ServiceAccount", "NetworkPolicy", "Cluster"] {
        for object in objects.of(kind) {
            assert!(wave(object) < wave(job), "{}", title(object));
        }
    }
    for object in objects.all().iter().filter(|object| object["kind"] != "SpinApp") {
        assert!(objects.of("SpinApp").all(|app| wave(app) > wave(object)), "{}", title(object));
    }
    assert_eq!(job["metadata"]["annotations"]["argocd.argoproj.io/hook"], "Sync");
}

#[test]
fn argo_cd_is_told_when_a_spinapp_is_healthy() {
    let objects = kustomize("k8s/gitops/argocd");
    let rules = objects.of("ConfigMap").find(|it| name(it) == "argocd-cm").expect("its settings");
    let rule = &rules["data"]["resource.customizations.health.core.spinkube.dev_SpinApp"];
    assert!(rule.as_str().is_some_and(|it| it.contains("return health")), "{rule}");
}

#[test]
fn flux_makes_the_executor_first_and_a_job_that_stays() {
    let flux = kustomize("k8s/gitops/flux");
    let [first, second] = ["katas-namespace", "katas"]
        .map(|step| flux.of("Kustomization").find(|it| name(it) == step).expect("a step"));
    assert_eq!(second["spec"]["dependsOn"][0]["name"], *name(first));
    let rendered = |step: &Value| {
        kustomize(text(step, "/spec/path").expect("a path").trim_start_matches("./"))
    };
    assert!(rendered(first).of("SpinAppExecutor").next().is_some());
    assert!(rendered(second).of("SpinAppExecutor").next().is_none());
    let patches = format!("patches: {}\n", second["spec"]["patches"]);
    let patched: Objects = combination("production", &[], &patches);
    let ends = |objects: &Objects| {
        let job = objects.of("Job").next().expect("a Job");
        job["spec"].get("ttlSecondsAfterFinished").is_some()
    };
    assert!(ends(&rendered(second)) && !ends(&patched));
}
