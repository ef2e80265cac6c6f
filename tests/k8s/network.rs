//! NetworkPolicies: which pods can connect to each other, evaluated as a cluster does.

use serde_json::{Value, json};

use super::courier;
use super::objects::{Labels, Objects, Pod, labels, list, selects, title};
use super::variables::database_components;

/// Checks that every pod is isolated in both directions, and that exactly the required connections
/// are allowed.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let pods = objects.pods();
    let mut violations = Vec::new();
    for pod in &pods {
        for direction in ["Ingress", "Egress"] {
            if policies(objects, direction, &pod.labels).next().is_none() {
                violations.push(format!("{}: {direction} is not restricted", pod.owner));
            }
        }
    }
    let has_label =
        |pod: &Pod, key: &str, value: &str| pod.labels.get(key).is_some_and(|label| label == value);
    let (name, component) = ("app.kubernetes.io/name", "app.kubernetes.io/component");
    let has_pooler = objects.of_kind("Pooler").next().is_some();
    for from in &pods {
        for to in pods.iter().filter(|to| has_label(to, name, "postgresql")) {
            let to_pooler = has_label(to, component, "pooler");
            let required = if has_label(from, name, "katas") {
                uses_database(objects, from) && to_pooler == has_pooler
            } else if ["katas-courier", "katas-migrate"].iter().any(|it| has_label(from, name, it))
                || has_label(from, component, "pooler")
            {
                !to_pooler
            } else if has_label(from, name, "katas-rabbitmq") {
                false
            } else if has_label(from, component, "monitoring") {
                has_label(from, name, "katas-postgres-exporter")
            } else {
                !to_pooler && objects.of_kind("Cluster").next().is_some()
            };
            if can_connect(objects, &from.labels, &to.labels, 5432) != required {
                let (from, to) = (&from.owner, &to.owner);
                let problem = if required { "cannot connect to" } else { "must not connect to" };
                violations.push(format!("{from} {problem} {to}"));
            }
        }
    }
    let mut require =
        |to_name: &str, port, is_required: &dyn Fn(&Pod, &Pod) -> bool, rule: &str| {
            for from in &pods {
                for to in pods.iter().filter(|to| has_label(to, name, to_name)) {
                    if can_connect(objects, &from.labels, &to.labels, port) != is_required(from, to)
                    {
                        violations.push(format!("{} to {}: {rule}", from.owner, to.owner));
                    }
                }
            }
        };
    let is_courier = |from: &Pod| has_label(from, name, "katas-courier");
    let app = courier::target(objects);
    let is_target =
        |to: &Pod| app.is_some_and(|app| has_label(to, "core.spinkube.dev/app-name", app));
    let is_app = |from: &Pod, _: &Pod| has_label(from, name, "katas");
    require("katas-collector", 4318, &is_app, "all of Spin and nothing else may export");
    let to_target = |from: &Pod, to: &Pod| is_courier(from) && is_target(to);
    require("katas", 80, &to_target, "only the courier may connect, to one app");
    let to_broker = |from: &Pod, _: &Pod| is_courier(from);
    require("katas-rabbitmq", 5671, &to_broker, "only the courier may connect");
    // A pod in the same namespace; policies name every other namespace.
    let other = labels(&json!({"app.kubernetes.io/name": "other"}), "");
    for pod in &pods {
        for port in [80, 4318, 4369, 5432, 5671, 8000, 8889, 9090, 9127, 9187] {
            if allows(objects, "Ingress", &pod.labels, &other, port)
                || allows(objects, "Egress", &pod.labels, &other, port)
            {
                violations.push(format!("{}: traffic with an unrelated pod is allowed", pod.owner));
            }
        }
    }
    violations
}

/// Returns whether a pod runs a component that needs the database.
fn uses_database(objects: &Objects, pod: &Pod) -> bool {
    // `health` runs in every SpinApp and reports the database as unavailable where it is blocked.
    let users = database_components();
    let app = objects.of_kind("SpinApp").find(|app| title(app) == pod.owner);
    let components = app.map(|app| list(app, "/spec/components")).unwrap_or_default();
    components.is_empty()
        || components
            .iter()
            .any(|id| id != "health" && users.contains(id.as_str().unwrap_or_default()))
}

/// Returns whether egress at one end and ingress at the other allow a connection.
fn can_connect(objects: &Objects, from: &Labels, to: &Labels, port: u64) -> bool {
    allows(objects, "Egress", from, to, port) && allows(objects, "Ingress", to, from, port)
}

/// Returns whether the policies of `pod` allow traffic with `peer` in one direction.
fn allows(objects: &Objects, direction: &str, pod: &Labels, peer: &Labels, port: u64) -> bool {
    let (rules, peers) = match direction {
        "Egress" => ("/spec/egress", "to"),
        _ => ("/spec/ingress", "from"),
    };
    policies(objects, direction, pod)
        .any(|policy| list(policy, rules).iter().any(|rule| rule_allows(rule, peers, peer, port)))
}

fn rule_allows(rule: &Value, peers: &str, pod: &Labels, port: u64) -> bool {
    let ports = list(rule, "/ports");
    let peers = rule[peers].as_array();
    // A peer with a namespaceSelector is in another namespace, so it is not one of these pods.
    let is_peer = |peer: &Value| {
        peer.get("namespaceSelector").is_none() && selects(&peer["podSelector"], pod)
    };
    (ports.is_empty() || ports.iter().any(|allowed| allowed["port"] == port))
        && peers.is_none_or(|peers| peers.iter().any(is_peer))
}

/// Returns the policies that restrict a pod in one direction.
fn policies<'a>(
    objects: &'a Objects,
    direction: &'a str,
    pod: &'a Labels,
) -> impl Iterator<Item = &'a Value> {
    objects.of_kind("NetworkPolicy").filter(move |policy| {
        list(policy, "/spec/policyTypes").iter().any(|policy_type| policy_type == direction)
            && selects(&policy["spec"]["podSelector"], pod)
    })
}
