//! Monitoring: alerts and their documentation. `k8s/check-monitoring` checks the queries.

use std::collections::BTreeSet;
use std::path::Path;

use super::objects::{Objects, list, name, text};
use super::render::{deployment, overlay_with};
use crate::repository::text as file;

/// Returns the names of all alerts.
fn alerts(objects: &Objects) -> BTreeSet<String> {
    let groups = objects.of_kind("PrometheusRule").flat_map(|rule| list(rule, "/spec/groups"));
    let rules = groups.flat_map(|group| list(group, "/rules"));
    rules.filter_map(|rule| text(rule, "/alert").map(str::to_owned)).collect()
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn documented_alerts_equal_the_defined_alerts() {
    let manual = file(Path::new("docs/OPERATIONS.md"));
    let (_, section) = manual.split_once("\n## Alerts\n").expect("the section");
    let section = section.split("\n## ").next().expect("its content");
    let documented: BTreeSet<_> =
        section.lines().filter_map(|line| Some(line.strip_prefix("### ")?.to_owned())).collect();
    assert_eq!(alerts(&deployment("production")), documented);
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn production_scrapes_metrics_and_its_executor_exports_telemetry() {
    let production = deployment("production");
    for (kind, name) in [
        ("PodMonitor", "katas-collector"),
        ("PodMonitor", "katas-courier"),
        ("PodMonitor", "katas-postgres"),
        ("PodMonitor", "katas-pooler"),
        ("ConfigMap", "katas-dashboards"),
    ] {
        assert!(production.contains(kind, name), "{kind} {name}");
    }
    let executor = production.of_kind("SpinAppExecutor").next().expect("an executor");
    for signal in ["traces", "metrics"] {
        let pointer = format!("/spec/deploymentConfig/otel/exporter_otlp_{signal}_endpoint");
        let endpoint = format!("http://katas-collector:4318/v1/{signal}");
        assert_eq!(text(executor, &pointer), Some(endpoint.as_str()));
    }
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn deployment_without_monitoring_needs_no_prometheus_operator() {
    for (deployment, objects) in
        [("local", deployment("local")), ("sweep", overlay_with("local", &["sweep"], ""))]
    {
        for kind in ["PodMonitor", "PrometheusRule"] {
            assert_eq!(
                objects.of_kind(kind).map(name).collect::<Vec<_>>(),
                [""; 0],
                "{deployment}"
            );
        }
    }
}
