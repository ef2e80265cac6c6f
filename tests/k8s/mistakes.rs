//! Mistakes in the manifests: the rules detect at least one of each kind.

use serde_json::{Value, json};

use super::objects::Objects;
use super::render::{deployment, kustomize, overlay_with};
use super::secrets::secrets_in;
use super::variables::database_components;
use super::violations;

/// Asserts that a change to a deployment causes a violation whose message contains `message`.
#[track_caller]
fn assert_violation(name: &str, change: impl FnOnce(Objects) -> Objects, message: &str) {
    let violations = violations(&change(deployment(name)));
    assert!(violations.iter().any(|violation| violation.contains(message)), "{violations:?}");
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn unknown_field_is_detected() {
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/env", json!([])),
        "unknown field `env`",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/checks/readiness/tcpSocket", json!({})),
        "unknown field `tcpSocket`",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinAppExecutor", "/spec/image", json!("")),
        "unknown field `image`",
    );
    assert_violation(
        "local + monitoring",
        |objects| {
            objects.with_value("SpinAppExecutor", "/spec/deploymentConfig/otel/endpoint", json!(""))
        },
        "unknown field `endpoint`",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn wrong_type_is_detected() {
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/replicas", json!("2")),
        "invalid type: string",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn spinapp_that_the_operator_rejects_is_detected() {
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/enableAutoscaling", json!(true)),
        "set either replicas or enableAutoscaling",
    );
    let variables = json!([{"name": "database_url", "value": ""}]);
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/variables", variables),
        "loadFromSecret excludes",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/invocationLimits/memory", json!("1Gi")),
        "exceeds that of the pod",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/metadata/name", json!("a".repeat(53))),
        "52 characters",
    );
    assert_violation(
        "local",
        |objects| objects.without_first("SpinAppExecutor"),
        "is not applied before it",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/checks/readiness/timeoutSeconds", json!(1)),
        "timeout below 2 s",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn missing_variable_and_missing_database_are_detected() {
    let empty = encode_base64(
        "[[variables_provider]]\ntype = \"static\"\nvalues = { database_url = \"\" }\n",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("Secret", "/data/runtime-config.toml", json!(empty)),
        "the variables are {\"database_url\"}",
    );
    assert_violation(
        "local",
        |objects| {
            objects.with_value("SpinApp", "/spec/runtimeConfig/loadFromSecret", json!("another"))
        },
        "Secret another does not exist",
    );
    assert_violation(
        "production",
        |objects| objects.with_value("Pooler", "/metadata/name", json!("pooler")),
        "no database at katas-pooler:5432",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn dangling_reference_is_detected() {
    assert_violation(
        "production",
        |objects| {
            objects.with_value(
                "HorizontalPodAutoscaler",
                "/spec/scaleTargetRef/name",
                json!("another"),
            )
        },
        "SpinApp another does not exist",
    );
    assert_violation(
        "production",
        |objects| {
            objects.with_value(
                "PodDisruptionBudget",
                "/spec/selector/matchLabels",
                json!({"a": "b"}),
            )
        },
        "selects no pod",
    );
    assert_violation(
        "local",
        |objects| objects.without_first("ServiceAccount"),
        "ServiceAccount katas-postgres does not exist",
    );
    let args = json!(["bootstrap", "--password=katas_app=/run/secrets/bootstrap/another"]);
    assert_violation(
        "local",
        |objects| objects.with_value("Job", "/spec/template/spec/initContainers/0/args", args),
        "/run/secrets/bootstrap/another is not mounted",
    );
    assert_violation(
        "local",
        |objects| {
            objects.with_value("SpinApp", "/spec/checks/liveness/httpGet/path", json!("/livez"))
        },
        "liveness path /livez is not served",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn missing_middleware_is_detected() {
    assert_violation(
        "local + [\"ingress\", \"traefik\"]",
        |objects| objects.without_first("Middleware"),
        "Ingress katas: Middleware katas-rate does not exist",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn concurrency_limit_before_buffering_is_detected() {
    assert_violation(
        "local + [\"ingress\", \"traefik\"]",
        |objects| {
            let pointer = "/metadata/annotations/traefik.ingress.kubernetes.io~1router.middlewares";
            let order = "katas-katas-concurrency@kubernetescrd,katas-katas-buffer@kubernetescrd";
            objects.with_value("Ingress", pointer, json!(order))
        },
        "katas-concurrency precedes katas-buffer",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn broken_monitoring_reference_is_detected() {
    let monitored = "local + monitoring";
    let endpoint = "/spec/deploymentConfig/otel/exporter_otlp_traces_endpoint";
    assert_violation(
        monitored,
        |objects| objects.with_value("SpinAppExecutor", endpoint, json!("http://collector:4318")),
        "Service collector does not exist",
    );
    assert_violation(
        monitored,
        |objects| objects.with_value("PodMonitor", "/spec/selector/matchLabels", json!({"a": "b"})),
        "selects no pod",
    );
    let endpoints = json!([{"port": "metric"}]);
    assert_violation(
        monitored,
        |objects| objects.with_value("PodMonitor", "/spec/podMetricsEndpoints", endpoints),
        "PodMonitor katas-collector: cannot scrape Deployment katas-collector",
    );
    assert_violation(
        monitored,
        |objects| {
            objects.with_value("GrafanaDashboard", "/spec/configMapRef/key", json!("all.json"))
        },
        "no ConfigMap with the key all.json",
    );
    assert_violation(
        monitored,
        |objects| {
            // The first Deployment is the courier.
            objects.without_first("Deployment").with_value(
                "Deployment",
                "/spec/template/spec/containers/0/args",
                json!(["--config=/etc/collector/a"]),
            )
        },
        "no ConfigMap with the key a",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn exceeded_connection_limit_is_detected() {
    let per_pod = 64 * database_components().len();
    assert_violation(
        "production",
        |objects| objects.with_value("HorizontalPodAutoscaler", "/spec/maxReplicas", json!(100)),
        &format!("Spin to each pooler: {} connections exceed the limit of", 100 * per_pod),
    );
    assert_violation(
        "local",
        |objects| objects.with_value("SpinApp", "/spec/replicas", json!(2)),
        &format!("Spin as katas_app: {}", 2 * per_pod),
    );
    assert_violation(
        "production",
        |objects| {
            objects.with_value(
                "Pooler",
                "/spec/pgbouncer/parameters/default_pool_size",
                json!("40"),
            )
        },
        "poolers as katas_app: 120 connections exceed the limit of 80",
    );
    assert_violation(
        "production",
        |objects| {
            objects.with_value(
                "Cluster",
                "/spec/postgresql/parameters/max_connections",
                json!("100"),
            )
        },
        "all roles",
    );
    assert_violation(
        "production",
        |objects| objects.without_first("Pooler"),
        &format!("Spin as katas_app: {} connections exceed the limit of 80", 6 * per_pod),
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn exceeded_memory_limit_is_detected() {
    assert_violation(
        "production",
        |objects| objects.with_value("SpinApp", "/spec/resources/limits/memory", json!("512Mi")),
        "32 instances need 671088640 bytes, which exceeds the limit of 536870912",
    );
    assert_violation(
        "split + [\"worker-keda\", \"rabbitmq-cluster\"]",
        |objects| objects.with_value("Deployment", "/spec/replicas", json!(3)),
        "the couriers can send 32 concurrent requests to a pod with 32 instances",
    );
    let connections = "/spec/circuitBreaker/perEndpoint/maxConnections";
    for deployment in ["production", "split"] {
        assert_violation(
            deployment,
            |objects| objects.with_value("BackendTrafficPolicy", connections, json!(27)),
            "concurrent requests to a pod with 32 instances",
        );
    }
    for (kind, pointer) in [
        ("EnvoyProxy", "/spec/concurrency"),
        ("Gateway", "/spec/infrastructure/parametersRef/name"),
    ] {
        assert_violation(
            "production",
            |objects| objects.with_value(kind, pointer, Value::Null),
            "concurrent requests to a pod with 32 instances",
        );
    }
    let limits = "/spec/provider/kubernetes/envoyDeployment/container/resources/limits";
    assert_violation(
        "production",
        |objects| objects.with_value("EnvoyProxy", limits, json!({})),
        "EnvoyProxy katas: no memory limit",
    );
    assert_violation(
        "production",
        |objects| {
            objects.with_value("BackendTrafficPolicy", "/spec/targetRefs/0/name", json!("another"))
        },
        "HTTPRoute another does not exist",
    );
    let rule = "/spec/targetRefs/0/sectionName";
    assert_violation(
        "production",
        |objects| objects.with_value("BackendTrafficPolicy", rule, json!("another")),
        "rule another does not exist",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn unpinned_image_is_detected() {
    for image in [
        "ghcr.io/katas-dev/katas",
        "ghcr.io/katas-dev/katas:latest",
        "katas@sha256:12",
        "r:5000/katas",
    ] {
        assert_violation(
            "local",
            |objects| objects.with_value("SpinApp", "/spec/image", json!(image)),
            "is not pinned",
        );
    }
    assert_violation(
        "local",
        |objects| {
            objects.with_value("SpinApp", "/spec/image", json!("ghcr.io/katas-dev/katas:9.9.9"))
        },
        "is not version",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn unrestricted_pod_is_detected() {
    let pointer = "/spec/template/spec/containers/0";
    for (part, value, message) in [
        ("securityContext", Value::Null, "allowPrivilegeEscalation is not false"),
        ("resources", json!({}), "no resources at /limits/memory"),
        ("image", json!("docker.io/library/postgres"), "is not pinned"),
    ] {
        assert_violation(
            "local",
            |objects| objects.with_value("StatefulSet", &format!("{pointer}/{part}"), value),
            message,
        );
    }
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn wrong_network_policy_is_detected() {
    assert_violation(
        "local",
        |objects| objects.with_value("NetworkPolicy", "/spec/ingress/0/from", Value::Null),
        "traffic with an unrelated pod",
    );
    assert_violation(
        "production",
        |objects| objects.without_first("NetworkPolicy"),
        "cannot connect to",
    );
    let open = "{apiVersion: v1, kind: NetworkPolicy, metadata: {name: open, namespace: katas}, \
                spec: {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}}";
    assert_violation("production", |objects| objects.with_yaml(open), "must not connect to");
    assert_violation(
        "local + monitoring",
        |objects| objects.with_yaml(open),
        "nothing else may export",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn courier_that_cannot_deliver_is_detected() {
    let spec = "/spec/template/spec";
    assert_violation("local", |objects| objects.without_first("Deployment"), "no courier");
    assert_violation(
        "local",
        |objects| objects.with_value("Deployment", "/spec/replicas", json!(2)),
        "several couriers need a broker",
    );
    assert_violation(
        "local + rabbitmq",
        |objects| objects.with_value("Deployment", &format!("{spec}/containers/0/env"), json!([])),
        "it needs a URL exactly if there is a broker",
    );
    let url = json!({"name": "COURIER_APPLICATION_URL", "value": "http://katas-words"});
    assert_violation(
        "split",
        |objects| objects.with_value("Deployment", &format!("{spec}/containers/0/env/0"), url),
        "no app at its URL runs runs",
    );
    assert_violation(
        "production",
        |objects| {
            let grace = format!("{spec}/terminationGracePeriodSeconds");
            objects.with_value("Deployment", &grace, json!(60))
        },
        "killed before the requests",
    );
    let open = "{apiVersion: v1, kind: NetworkPolicy, metadata: {name: open, namespace: katas}, \
                spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}}";
    let egress = open.replace("Ingress", "Egress").replace("ingress", "egress");
    assert_violation(
        "split",
        |objects| objects.with_yaml(open).with_yaml(&egress),
        "only the courier may connect, to one app",
    );
    let secret = "{apiVersion: v1, kind: Secret, metadata: {name: katas-courier, namespace: katas}, \
                  data: {url: YQ==, token: YQ==, ca.crt: YQ==}}";
    for message in ["connection as katas_courier", "no database at", "its token is not that"] {
        assert_violation("local", |objects| Objects::parse(secret).chain(objects), message);
    }
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn worker_that_cannot_be_scaled_is_detected() {
    let deployment = "production + [\"worker-keda\"]";
    let url = "/spec/triggers/0/metadata/url";
    for wrong in [
        "http://katas-courier.katas.svc:80/metrics",
        "http://katas-worker.katas.svc:80/metrics",
        "http://katas-courier.katas:9090/metrics",
    ] {
        assert_violation(
            deployment,
            |objects| objects.with_value("ScaledObject", url, json!(wrong)),
            "ScaledObject katas-worker: KEDA cannot read",
        );
    }
    assert_violation(
        deployment,
        |objects| objects.without_first("ScaledObject"),
        "SpinApp katas-worker: 0 autoscalers, not 1",
    );
    assert_violation(
        deployment,
        |objects| objects.with_value("ScaledObject", "/spec/maxReplicaCount", json!(1000)),
        "Spin to each pooler: ",
    );
    // Without the worker, no app of `split` has both components that receive messages.
    let split = kustomize("k8s/overlays/production/secrets");
    let split = split.chain(overlay_with("split", &["rabbitmq-cluster"], ""));
    let message = "Deployment katas-courier: no app at its URL runs receipts".to_owned();
    assert_eq!(violations(&split), [message]);
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn wrong_job_policy_is_detected() {
    let codes = "/spec/podFailurePolicy/rules/0/onExitCodes/values";
    assert_violation(
        "local",
        |objects| objects.with_value("Job", codes, json!([2, 75])),
        "invalid permanent exit codes",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("Job", codes, json!([8])),
        "invalid permanent exit codes",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("Job", "/spec/activeDeadlineSeconds", json!(600)),
        "activeDeadlineSeconds is not above",
    );
    assert_violation(
        "local",
        |objects| objects.with_value("Job", "/metadata/name", json!("katas-migrate")),
        "expected the name katas-migrate-",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn misrouted_path_is_detected() {
    assert_violation(
        "split",
        |objects| objects.with_value("SpinApp", "/spec/components", json!(["users", "health"])),
        "which does not run dictionary",
    );
    let rules = json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                        "backendRefs": [{"name": "katas", "port": 80}]}]);
    assert_violation(
        "production",
        |objects| {
            let rules = rules.clone();
            objects.without_first("HTTPRoute").with_value("HTTPRoute", "/spec/rules", rules)
        },
        "/.well-known/spin/ is exposed",
    );
    assert_violation(
        "production",
        |objects| objects.without_first("HTTPRoute").with_value("HTTPRoute", "/spec/rules", rules),
        "/api/v1/entries/ uses the connections of other requests",
    );
    assert_violation(
        "production",
        |objects| objects.with_value("ClientTrafficPolicy", "/spec/path", json!({})),
        "the gateway changes %2F in paths",
    );
    let timeout = json!({"http": {"maxStreamDuration": "60s"}});
    assert_violation(
        "production",
        |objects| objects.with_value("BackendTrafficPolicy", "/spec/timeout", timeout),
        "maxStreamDuration disables route timeouts",
    );
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn secret_in_the_repository_is_detected() {
    for yaml in [
        "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {a: b}}",
        "secretGenerator: [{name: a, literals: [password=secret]}]",
        "data: {url: 'postgres://katas_app:secret@katas-postgres:5432/katas'}",
    ] {
        assert_eq!(secrets_in(yaml).len(), 1, "{yaml}");
    }
    let env = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
    assert_violation(
        "local",
        |objects| objects.with_value("StatefulSet", "/spec/template/spec/containers/0/env", env),
        "a Secret in the environment",
    );
}

/// Encodes a value of a Secret.
fn encode_base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = text.as_bytes().chunks(3).flat_map(|three| {
        let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        (0..=three.len()).map(move |index| DIGITS[bits >> (18 - 6 * index) & 63] as char)
    });
    groups.collect()
}
