//! What is wrong is noticed: one mistake of each kind.

use serde_json::{Value, json};

use super::faults;
use super::objects::Objects;
use super::render::deployment;
use super::secrets::in_file;

/// A mistake in one of the overlays, and what is said of it.
#[track_caller]
fn noticed(overlay: &str, mistake: impl FnOnce(Objects) -> Objects, fault: &str) {
    let faults = faults(&mistake(deployment(overlay)));
    assert!(faults.iter().any(|it| it.contains(fault)), "{faults:?}");
}

#[test]
fn an_unknown_field_is_noticed() {
    noticed("local", |it| it.with("SpinApp", "/spec/env", json!([])), "unknown field `env`");
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/checks/readiness/tcpSocket", json!({})),
        "unknown field `tcpSocket`",
    );
    noticed(
        "local",
        |it| it.with("SpinAppExecutor", "/spec/image", json!("")),
        "unknown field `image`",
    );
    noticed(
        "local + monitoring",
        |it| it.with("SpinAppExecutor", "/spec/deploymentConfig/otel/endpoint", json!("")),
        "unknown field `endpoint`",
    );
}

#[test]
fn a_wrong_type_is_noticed() {
    noticed("local", |it| it.with("SpinApp", "/spec/replicas", json!("2")), "invalid type: string");
}

#[test]
fn what_the_operator_refuses_is_noticed() {
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/enableAutoscaling", json!(true)),
        "either replicas or enableAutoscaling",
    );
    let variables = json!([{"name": "database_url", "value": ""}]);
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/variables", variables),
        "beside loadFromSecret",
    );
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/invocationLimits/memory", json!("1Gi")),
        "more memory than all",
    );
    noticed(
        "local",
        |it| it.with("SpinApp", "/metadata/name", json!("a".repeat(53))),
        "52 characters",
    );
    noticed("local", |it| it.without("SpinAppExecutor"), "is not there before it");
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/checks/readiness/timeoutSeconds", json!(1)),
        "waits for less than 2 s",
    );
}

#[test]
fn a_variable_that_is_missing_is_noticed() {
    let empty =
        base64_of("[[variables_provider]]\ntype = \"static\"\nvalues = { database_url = \"\" }\n");
    noticed(
        "local",
        |it| it.with("Secret", "/data/runtime-config.toml", json!(empty)),
        "the variables are {\"database_url\"}",
    );
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/runtimeConfig/loadFromSecret", json!("another")),
        "there is no Secret another",
    );
    noticed(
        "production",
        |it| it.with("Pooler", "/metadata/name", json!("pooler")),
        "there is no database at katas-pooler:5432",
    );
}

#[test]
fn a_name_of_nothing_is_noticed() {
    noticed(
        "production",
        |it| it.with("HorizontalPodAutoscaler", "/spec/scaleTargetRef/name", json!("another")),
        "there is no SpinApp another",
    );
    noticed(
        "production",
        |it| it.with("PodDisruptionBudget", "/spec/selector/matchLabels", json!({"a": "b"})),
        "selects no pod",
    );
    noticed("local", |it| it.without("ServiceAccount"), "there is no ServiceAccount");
    let args = json!(["bootstrap", "--password=katas_app=/run/secrets/bootstrap/another"]);
    noticed(
        "local",
        |it| it.with("Job", "/spec/template/spec/initContainers/0/args", args),
        "there is no /run/secrets/bootstrap/another",
    );
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/checks/liveness/httpGet/path", json!("/livez")),
        "nothing answers liveness at /livez",
    );
}

#[test]
fn what_is_measured_by_nobody_is_noticed() {
    let local = "local + monitoring";
    let endpoint = "/spec/deploymentConfig/otel/exporter_otlp_traces_endpoint";
    noticed(
        local,
        |it| it.with("SpinAppExecutor", endpoint, json!("http://collector:4318")),
        "there is no Service collector",
    );
    noticed(
        local,
        |it| it.with("PodMonitor", "/spec/selector/matchLabels", json!({"a": "b"})),
        "selects no pod",
    );
    let elsewhere = json!([{"port": "metric"}]);
    noticed(
        local,
        |it| it.with("PodMonitor", "/spec/podMetricsEndpoints", elsewhere),
        "PodMonitor katas-collector: cannot ask Deployment katas-collector",
    );
    noticed(
        local,
        |it| it.with("GrafanaDashboard", "/spec/configMapRef/key", json!("all.json")),
        "there is no ConfigMap with all.json",
    );
    noticed(
        local,
        |it| {
            it.with(
                "Deployment",
                "/spec/template/spec/containers/0/args",
                json!(["--config=/etc/collector/a"]),
            )
        },
        "there is no ConfigMap with a",
    );
}

#[test]
fn a_pool_that_does_not_fit_is_noticed() {
    noticed(
        "production",
        |it| it.with("HorizontalPodAutoscaler", "/spec/maxReplicas", json!(8)),
        "Spin to each pooler: 4096 connections where there are 4000",
    );
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/replicas", json!(2)),
        "Spin as katas_app: 1024",
    );
    noticed(
        "production",
        |it| it.with("Pooler", "/spec/pgbouncer/parameters/default_pool_size", json!("40")),
        "poolers as katas_app: 120 connections where there are 80",
    );
    noticed(
        "production",
        |it| it.with("Cluster", "/spec/postgresql/parameters/max_connections", json!("100")),
        "all roles",
    );
    noticed(
        "production",
        |it| it.without("Pooler"),
        "Spin as katas_app: 3072 connections where there are 80",
    );
}

#[test]
fn an_image_that_can_change_is_noticed() {
    for image in [
        "ghcr.io/katas-dev/katas",
        "ghcr.io/katas-dev/katas:latest",
        "katas@sha256:12",
        "r:5000/katas",
    ] {
        noticed("local", |it| it.with("SpinApp", "/spec/image", json!(image)), "is not pinned");
    }
    noticed(
        "local",
        |it| it.with("SpinApp", "/spec/image", json!("ghcr.io/katas-dev/katas:9.9.9")),
        "is not version",
    );
}

#[test]
fn a_pod_with_too_many_rights_is_noticed() {
    let pointer = "/spec/template/spec/containers/0";
    for (part, value, fault) in [
        ("securityContext", Value::Null, "allowPrivilegeEscalation is not false"),
        ("resources", json!({}), "no resources at /limits/memory"),
        ("image", json!("docker.io/library/postgres"), "is not pinned"),
    ] {
        noticed("local", |it| it.with("StatefulSet", &format!("{pointer}/{part}"), value), fault);
    }
}

#[test]
fn a_hole_in_the_network_is_noticed() {
    noticed(
        "local",
        |it| it.with("NetworkPolicy", "/spec/ingress/0/from", Value::Null),
        "a stranger",
    );
    noticed("production", |it| it.without("NetworkPolicy"), "cannot reach");
    let open = "{apiVersion: v1, kind: NetworkPolicy, metadata: {name: open, namespace: katas}, \
                spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}}";
    noticed("production", |it| it.plus(open), "needs not reach");
    noticed("local + monitoring", |it| it.plus(open), "only Spin tells");
}

#[test]
fn a_job_that_fails_for_no_reason_is_noticed() {
    let codes = "/spec/podFailurePolicy/rules/0/onExitCodes/values";
    noticed("local", |it| it.with("Job", codes, json!([2, 75])), "do not fail it");
    noticed("local", |it| it.with("Job", codes, json!([8])), "do not fail it");
    noticed(
        "local",
        |it| it.with("Job", "/spec/activeDeadlineSeconds", json!(600)),
        "is ended before",
    );
    noticed(
        "local",
        |it| it.with("Job", "/metadata/name", json!("katas-migrate")),
        "should be katas-migrate-",
    );
}

#[test]
fn a_path_that_leads_elsewhere_is_noticed() {
    noticed(
        "split",
        |it| it.with("SpinApp", "/spec/components", json!(["users", "health"])),
        "which has no dictionary",
    );
    let rules = json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                        "backendRefs": [{"name": "katas", "port": 80}]}]);
    noticed(
        "production",
        |it| it.without("HTTPRoute").with("HTTPRoute", "/spec/rules", rules),
        "/.well-known/spin/ is open",
    );
}

#[test]
fn a_secret_in_git_is_noticed() {
    for yaml in [
        "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {a: b}}",
        "secretGenerator: [{name: a, literals: [password=secret]}]",
        "data: {url: 'postgres://katas_app:secret@katas-postgres:5432/katas'}",
    ] {
        assert_eq!(in_file(yaml).len(), 1, "{yaml}");
    }
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
    noticed(
        "local",
        |it| it.with("StatefulSet", "/spec/template/spec/containers/0/env", env),
        "in the environment",
    );
}

/// As a Secret has it.
fn base64_of(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        (0..=three.len()).map(move |place| DIGITS[bits >> (18 - 6 * place) & 63] as char)
    });
    groups.collect()
}
