//! Monitoring: alerts and their manual; the queries are checked by `k8s/check-monitoring`.

use std::collections::BTreeSet;
use std::path::Path;

use super::objects::{Objects, list, name, text};
use super::render::{combination, deployment};
use crate::repository::text as file;

/// The alerts that Prometheus is told of.
fn alerts(objects: &Objects) -> BTreeSet<String> {
    let groups = objects.of("PrometheusRule").flat_map(|it| list(it, "/spec/groups"));
    let rules = groups.flat_map(|group| list(group, "/rules"));
    rules.filter_map(|rule| text(rule, "/alert").map(str::to_owned)).collect()
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() {
    let manual = file(Path::new("docs/OPERATIONS.md"));
    let (_, section) = manual.split_once("\n## Alerts\n").expect("the section");
    let section = section.split("\n## ").next().expect("its end");
    let documented: BTreeSet<_> =
        section.lines().filter_map(|line| Some(line.strip_prefix("### ")?.to_owned())).collect();
    assert_eq!(alerts(&deployment("production")), documented);
}

#[test]
fn production_is_monitored_and_its_executor_tells() {
    let production = deployment("production");
    for (kind, wanted) in [
        ("PodMonitor", "katas-collector"),
        ("PodMonitor", "katas-postgres"),
        ("PodMonitor", "katas-pooler"),
        ("ConfigMap", "katas-dashboards"),
    ] {
        assert!(production.has(kind, wanted), "{kind} {wanted}");
    }
    let executor = production.of("SpinAppExecutor").next().expect("it is among the Secrets");
    for signal in ["traces", "metrics"] {
        let pointer = format!("/spec/deploymentConfig/otel/exporter_otlp_{signal}_endpoint");
        let endpoint = format!("http://katas-collector:4318/v1/{signal}");
        assert_eq!(text(executor, &pointer), Some(endpoint.as_str()));
    }
}

#[test]
fn without_the_component_nobody_needs_the_prometheus_operator() {
    for (what, objects) in
        [("local", deployment("local")), ("sweep", combination("local", &["sweep"], ""))]
    {
        for kind in ["PodMonitor", "PrometheusRule"] {
            assert_eq!(objects.of(kind).map(name).collect::<Vec<_>>(), [""; 0], "{what}");
        }
    }
}
