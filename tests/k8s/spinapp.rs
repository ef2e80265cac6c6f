//! SpinApp and SpinAppExecutor: the fields of spin-operator 0.6.1 (v1alpha1), and what its webhooks
//! refuse. Scanners and schemas of Kubernetes know nothing of them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::objects::{Objects, name, title};

/// An object as far as it is the operator's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a field is checked by being read")]
struct Object<Spec> {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    metadata: Value,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "a field is checked by being read")]
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
    image_pull_secrets: Vec<Named>,
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
#[expect(dead_code, reason = "a field is checked by being read")]
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
#[expect(dead_code, reason = "a field is checked by being read")]
struct HttpGet {
    path: String,
    #[serde(default)]
    http_headers: Vec<Header>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a field is checked by being read")]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(dead_code, reason = "a field is checked by being read")]
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
#[expect(dead_code, reason = "a field is checked by being read")]
struct Resources {
    #[serde(default)]
    limits: BTreeMap<String, String>,
    #[serde(default)]
    requests: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a field is checked by being read")]
struct Named {
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
#[expect(dead_code, reason = "a field is checked by being read")]
struct DeploymentConfig {
    runtime_class_name: Option<String>,
    spin_image: Option<String>,
    ca_cert_secret: Option<String>,
    #[serde(default, rename = "installDefaultCACerts")]
    install_default_ca_certs: bool,
    otel: Option<Otel>,
}

/// Where Spin sends what it has to tell: all of it, or each signal to its own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "a field is checked by being read")]
struct Otel {
    exporter_otlp_endpoint: Option<String>,
    exporter_otlp_traces_endpoint: Option<String>,
    exporter_otlp_metrics_endpoint: Option<String>,
    exporter_otlp_logs_endpoint: Option<String>,
}

/// Each can be read, and is one that the webhooks accept.
pub(super) fn is_what_the_operator_takes(objects: &Objects) -> Vec<String> {
    let apps = objects.of("SpinApp").filter_map(|object| {
        let fault = match serde_json::from_value::<Object<SpinApp>>(object.clone()) {
            Ok(read) => refusal(objects, name(object), &read),
            Err(error) => Some(error.to_string()),
        };
        Some(format!("{}: {}", title(object), fault?))
    });
    let executors = objects.of("SpinAppExecutor").filter_map(|object| {
        let fault = match serde_json::from_value::<Object<SpinAppExecutor>>(object.clone()) {
            Ok(read) => executor_refusal(&read.spec).map(str::to_owned),
            Err(error) => Some(error.to_string()),
        };
        Some(format!("{}: {}", title(object), fault?))
    });
    apps.chain(executors).collect()
}

fn refusal(objects: &Objects, name: &str, object: &Object<SpinApp>) -> Option<String> {
    let app = &object.spec;
    let place = |kind: &str, wanted: &str| {
        objects.all().iter().position(|it| it["kind"] == kind && self::name(it) == wanted)
    };
    // A label's key has `app.<name>.status` in it.
    if name.len() > 52 {
        return Some("the name has more than 52 characters".to_owned());
    }
    if object.api_version != "core.spinkube.dev/v1alpha1" {
        return Some(format!("{} is not its version", object.api_version));
    }
    // Of these the webhook wants the first to be there; without the others the first pod fails.
    let before = [
        ("SpinAppExecutor", Some(&app.executor)),
        ("Secret", app.runtime_config.load_from_secret.as_ref()),
        ("ServiceAccount", app.service_account_name.as_ref()),
    ];
    for (kind, wanted) in before {
        let Some(wanted) = wanted else { continue };
        if place(kind, wanted).is_none_or(|it| Some(it) > place("SpinApp", name)) {
            return Some(format!("{kind} {wanted} is not there before it"));
        }
    }
    if app.enable_autoscaling == app.replicas.is_some_and(|replicas| replicas > 0) {
        return Some("either replicas or enableAutoscaling".to_owned());
    }
    if app.components.as_ref().is_some_and(Vec::is_empty) {
        return Some("no components".to_owned());
    }
    let config = &app.runtime_config;
    let others = !config.key_value_stores.is_empty()
        || !config.sqlite_databases.is_empty()
        || config.llm_compute.is_some()
        || !app.variables.is_empty();
    if config.load_from_secret.is_some() && others {
        return Some("nothing can stand beside loadFromSecret".to_owned());
    }
    let limit = app.resources.limits.get("memory").and_then(|it| quantity(it));
    match app.invocation_limits.iter().next() {
        Some((key, value)) if key == "memory" => match (quantity(value), limit) {
            (None, _) => return Some(format!("{value} is no quantity")),
            (Some(one), Some(all)) if one > all => {
                return Some("a request may have more memory than all of them".to_owned());
            }
            _ => {}
        },
        Some((key, _)) => return Some(format!("the operator knows no invocation limit {key}")),
        None => return Some("no invocation limit".to_owned()),
    }
    let probes = [&app.checks.readiness, &app.checks.liveness];
    if probes.iter().any(|it| it.as_ref().and_then(|it| it.timeout_seconds).unwrap_or(1) < 2) {
        return Some("a probe that is missing, or waits for less than 2 s".to_owned());
    }
    None
}

fn executor_refusal(executor: &SpinAppExecutor) -> Option<&'static str> {
    let Some(config) = &executor.deployment_config else {
        return executor.create_deployment.then_some("no deploymentConfig");
    };
    (config.runtime_class_name.is_some() == config.spin_image.is_some())
        .then_some("either runtimeClassName or spinImage")
}

/// Bytes, of a Kubernetes quantity.
pub(super) fn quantity(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
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
