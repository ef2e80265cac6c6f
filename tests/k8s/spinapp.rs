//! SpinApp and SpinAppExecutor: the fields of spin-operator 0.6.1 (v1alpha1), and the rules of its
//! webhooks. Kubernetes schemas and scanners do not cover them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::objects::{Objects, name, title};

/// A custom resource of spin-operator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Object<Spec> {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    metadata: Value,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct SpinApp {
    image: String,
    executor: String,
    replicas: Option<i32>,
    #[serde(default)]
    enable_autoscaling: bool,
    components: Option<Vec<String>>,
    #[serde(default)]
    checks: Checks,
    #[serde(default)]
    variables: Vec<Variable>,
    #[serde(default)]
    runtime_config: RuntimeConfig,
    #[serde(default)]
    resources: Resources,
    #[serde(default)]
    invocation_limits: BTreeMap<String, String>,
    #[serde(default)]
    image_pull_secrets: Vec<SecretReference>,
    service_account_name: Option<String>,
    #[serde(default)]
    volumes: Vec<Value>,
    #[serde(default)]
    volume_mounts: Vec<Value>,
    #[serde(default)]
    pod_labels: BTreeMap<String, String>,
    #[serde(default)]
    pod_annotations: BTreeMap<String, String>,
    #[serde(default)]
    deployment_annotations: BTreeMap<String, String>,
    #[serde(default)]
    service_annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checks {
    readiness: Option<Probe>,
    liveness: Option<Probe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Probe {
    http_get: HttpGet,
    initial_delay_seconds: Option<i32>,
    timeout_seconds: Option<i32>,
    period_seconds: Option<i32>,
    success_threshold: Option<i32>,
    failure_threshold: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct HttpGet {
    path: String,
    /// Optional in the schema. If missing, the webhook sets null, which the schema rejects.
    http_headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Variable {
    name: String,
    value: Option<String>,
    value_from: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RuntimeConfig {
    load_from_secret: Option<String>,
    #[serde(default)]
    key_value_stores: Vec<Value>,
    #[serde(default)]
    sqlite_databases: Vec<Value>,
    llm_compute: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Resources {
    #[serde(default)]
    limits: BTreeMap<String, String>,
    #[serde(default)]
    requests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct SecretReference {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SpinAppExecutor {
    create_deployment: bool,
    deployment_config: Option<DeploymentConfig>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct DeploymentConfig {
    runtime_class_name: Option<String>,
    spin_image: Option<String>,
    ca_cert_secret: Option<String>,
    #[serde(default, rename = "installDefaultCACerts")]
    install_default_ca_certs: bool,
    otel: Option<Otel>,
}

/// OTLP endpoints of Spin: one for all signals, or one per signal.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "deserializing a field checks it")]
struct Otel {
    exporter_otlp_endpoint: Option<String>,
    exporter_otlp_traces_endpoint: Option<String>,
    exporter_otlp_metrics_endpoint: Option<String>,
    exporter_otlp_logs_endpoint: Option<String>,
}

/// Checks that every SpinApp and SpinAppExecutor has only known fields and is accepted by the
/// webhooks.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let apps = objects.of_kind("SpinApp").filter_map(|object| {
        let error = match serde_json::from_value::<Object<SpinApp>>(object.clone()) {
            Ok(app) => app_error(objects, name(object), &app),
            Err(error) => Some(error.to_string()),
        };
        Some(format!("{}: {}", title(object), error?))
    });
    let executors = objects.of_kind("SpinAppExecutor").filter_map(|object| {
        let error = match serde_json::from_value::<Object<SpinAppExecutor>>(object.clone()) {
            Ok(executor) => executor_error(&executor.spec).map(str::to_owned),
            Err(error) => Some(error.to_string()),
        };
        Some(format!("{}: {}", title(object), error?))
    });
    apps.chain(executors).collect()
}

fn app_error(objects: &Objects, name: &str, object: &Object<SpinApp>) -> Option<String> {
    let app = &object.spec;
    let position = |kind: &str, object_name: &str| {
        let mut all = objects.all().iter();
        all.position(|object| object["kind"] == kind && self::name(object) == object_name)
    };
    // The operator uses the label key `app.<name>.status`.
    if name.len() > 52 {
        return Some("the name is longer than 52 characters".to_owned());
    }
    if object.api_version != "core.spinkube.dev/v1alpha1" {
        return Some(format!("unsupported apiVersion {}", object.api_version));
    }
    // Without the executor the webhook rejects the SpinApp, without the others its first pod fails.
    let prerequisites = [
        ("SpinAppExecutor", Some(&app.executor)),
        ("Secret", app.runtime_config.load_from_secret.as_ref()),
        ("ServiceAccount", app.service_account_name.as_ref()),
    ];
    for (kind, prerequisite) in prerequisites {
        let Some(prerequisite) = prerequisite else { continue };
        if position(kind, prerequisite).is_none_or(|index| Some(index) > position("SpinApp", name))
        {
            return Some(format!("{kind} {prerequisite} is not applied before it"));
        }
    }
    if app.enable_autoscaling == app.replicas.is_some_and(|replicas| replicas > 0) {
        return Some("set either replicas or enableAutoscaling".to_owned());
    }
    if app.components.as_ref().is_some_and(Vec::is_empty) {
        return Some("empty list of components".to_owned());
    }
    let config = &app.runtime_config;
    let has_other_config = !config.key_value_stores.is_empty()
        || !config.sqlite_databases.is_empty()
        || config.llm_compute.is_some()
        || !app.variables.is_empty();
    if config.load_from_secret.is_some() && has_other_config {
        return Some(
            "loadFromSecret excludes variables and other runtime configuration".to_owned(),
        );
    }
    let pod_limit = app.resources.limits.get("memory").and_then(|limit| quantity(limit));
    match app.invocation_limits.iter().next() {
        Some((key, value)) if key == "memory" => match (quantity(value), pod_limit) {
            (None, _) => return Some(format!("invalid quantity {value}")),
            (Some(limit), Some(pod_limit)) if limit > pod_limit => {
                return Some("the memory limit of a request exceeds that of the pod".to_owned());
            }
            _ => {}
        },
        Some((key, _)) => return Some(format!("unknown invocation limit {key}")),
        None => return Some("no invocation limit".to_owned()),
    }
    let mut probes = [&app.checks.readiness, &app.checks.liveness].into_iter();
    let timeout = |probe: &Option<Probe>| probe.as_ref().and_then(|probe| probe.timeout_seconds);
    if probes.any(|probe| timeout(probe).unwrap_or(1) < 2) {
        return Some("a probe is missing or has a timeout below 2 s".to_owned());
    }
    None
}

fn executor_error(executor: &SpinAppExecutor) -> Option<&'static str> {
    let Some(config) = &executor.deployment_config else {
        return executor.create_deployment.then_some("no deploymentConfig");
    };
    (config.runtime_class_name.is_some() == config.spin_image.is_some())
        .then_some("set either runtimeClassName or spinImage")
}

/// Parses a Kubernetes quantity of bytes.
pub(super) fn quantity(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|last: char| last.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| number * unit)
}
