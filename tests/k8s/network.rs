//! NetworkPolicies: who can talk to whom, as a cluster would decide it.

use serde_json::{Value, json};

use super::objects::{Labels, Objects, Pod, labels, list, selects};
use super::variables::database_components;

/// Every pod is closed in both directions, and what it needs is open; what it does not need is not.
pub(super) fn is_closed_but_for_what_is_needed(objects: &Objects) -> Vec<String> {
    let pods = objects.pods();
    let mut faults = Vec::new();
    for pod in &pods {
        for direction in ["Ingress", "Egress"] {
            if policies(objects, direction, &pod.labels).next().is_none() {
                faults.push(format!("{}: {direction} is open to everybody", pod.of));
            }
        }
    }
    let is = |pod: &Pod, key: &str, value: &str| pod.labels.get(key).is_some_and(|it| it == value);
    let (kind, part) = ("app.kubernetes.io/name", "app.kubernetes.io/component");
    let has_pooler = objects.of("Pooler").next().is_some();
    for from in &pods {
        for to in pods.iter().filter(|to| is(to, kind, "postgresql")) {
            let to_pooler = is(to, part, "pooler");
            let needed = if is(from, kind, "katas") {
                uses_database(objects, from) && to_pooler == has_pooler
            } else if is(from, kind, "katas-migrate") || is(from, part, "pooler") {
                !to_pooler
            } else if is(from, part, "monitoring") {
                is(from, kind, "katas-postgres-exporter")
            } else {
                !to_pooler && objects.of("Cluster").next().is_some()
            };
            if may(objects, &from.labels, &to.labels, 5432) != needed {
                let (from, to) = (&from.of, &to.of);
                let what = if needed { "cannot reach" } else { "needs not reach" };
                faults.push(format!("{from} {what} {to}"));
            }
        }
    }
    for from in &pods {
        for to in pods.iter().filter(|to| is(to, kind, "katas-collector")) {
            if may(objects, &from.labels, &to.labels, 4318) != is(from, kind, "katas") {
                faults.push(format!("{} and {}: only Spin tells, and all of it", from.of, to.of));
            }
        }
    }
    // In this namespace; whoever is in another one is named by it.
    let stranger = labels(&json!({"app.kubernetes.io/name": "stranger"}), "");
    for pod in &pods {
        for port in [80, 4318, 5432, 8000, 8889, 9127, 9187] {
            if lets(objects, "Ingress", &pod.labels, &stranger, port)
                || lets(objects, "Egress", &pod.labels, &stranger, port)
            {
                faults.push(format!("a stranger and {} can talk", pod.of));
            }
        }
    }
    faults
}

fn uses_database(objects: &Objects, pod: &Pod) -> bool {
    // `health` is everywhere, and says there that the database is not to be had.
    let used = database_components();
    let app = objects.of("SpinApp").find(|app| super::objects::title(app) == pod.of);
    let components = app.map(|app| list(app, "/spec/components")).unwrap_or_default();
    components.is_empty()
        || components
            .iter()
            .any(|it| it != "health" && used.contains(it.as_str().unwrap_or_default()))
}

/// Whether both ends let it through.
fn may(objects: &Objects, from: &Labels, to: &Labels, port: u64) -> bool {
    lets(objects, "Egress", from, to, port) && lets(objects, "Ingress", to, from, port)
}

/// Whether one end does.
fn lets(objects: &Objects, direction: &str, own: &Labels, other: &Labels, port: u64) -> bool {
    let (rules, peers) = match direction {
        "Egress" => ("/spec/egress", "to"),
        _ => ("/spec/ingress", "from"),
    };
    policies(objects, direction, own)
        .any(|policy| list(policy, rules).iter().any(|rule| rule_opens(rule, peers, other, port)))
}

fn rule_opens(rule: &Value, peers: &str, other: &Labels, port: u64) -> bool {
    let ports = list(rule, "/ports");
    let peers = rule[peers].as_array();
    // A peer in another namespace is none of these pods.
    let is_peer = |peer: &Value| {
        peer.get("namespaceSelector").is_none() && selects(&peer["podSelector"], other)
    };
    (ports.is_empty() || ports.iter().any(|it| it["port"] == port))
        && peers.is_none_or(|peers| peers.iter().any(is_peer))
}

fn policies<'a>(
    objects: &'a Objects,
    direction: &'a str,
    pod: &'a Labels,
) -> impl Iterator<Item = &'a Value> {
    objects.of("NetworkPolicy").filter(move |policy| {
        list(policy, "/spec/policyTypes").iter().any(|it| it == direction)
            && selects(&policy["spec"]["podSelector"], pod)
    })
}
