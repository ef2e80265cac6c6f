//! The memory of a pod: the maximum number of instances fits into the memory limit, and the gateway
//! sends fewer concurrent requests than that number.

use serde_json::{Map, Value, json};

use super::courier;
use super::objects::{Objects, list, name, text, title};
use super::spinapp::quantity;
use crate::support::App;

/// Memory of Spin without a request, in bytes. Spin 3.6.3 and 4.0.2 used 52 to 91 MiB.
const BASE: u64 = 128 << 20;
/// Memory of one request, in bytes. Repeated bursts of 32 and 64 concurrent receipts with the
/// largest accepted body used up to 15.5 MiB each: the instance, the buffers of the host, and
/// memory that the allocator retains.
const PER_INSTANCE: u64 = 16 << 20;
/// Instances for requests that do not come through the gateway: readiness probes and smoke tests.
const RESERVE: u64 = 4;

/// Checks the number of instances against the memory limits of the pods and the gateway.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    // Without the hardening policy, Spin's default of 1000 applies, and the clients determine how
    // many instances run.
    let Some(instances) = max_instances(objects) else { return violations };
    for app in objects.of_kind("SpinApp") {
        let limit = text(app, "/spec/resources/limits/memory").and_then(quantity).unwrap_or(0);
        let needed = BASE + instances * PER_INSTANCE;
        if needed > limit {
            violations.push(format!(
                "{}: {instances} instances need {needed} bytes, which exceeds the limit of {limit}",
                title(app)
            ));
        }
        let connections = max_gateway_connections(objects, name(app));
        if connections.is_some_and(|connections| connections + RESERVE > instances) {
            violations.push(format!(
                "{}: the gateway can send {connections:?} concurrent requests to a pod with \
                 {instances} instances",
                title(app)
            ));
        }
    }
    // Envoy Gateway limits the heap only if the container has a limit.
    for proxy in objects.of_kind("EnvoyProxy") {
        let limit = "/spec/provider/kubernetes/envoyDeployment/container/resources/limits/memory";
        if text(proxy, limit).and_then(quantity).is_none() {
            violations.push(format!("{}: no memory limit", title(proxy)));
        }
    }
    // Spin responds with 500 at the limit, which counts against the message if readiness still succeeds.
    let requests = courier::max_requests(objects);
    if requests + RESERVE > instances {
        violations.push(format!(
            "the couriers can send {requests} concurrent requests to a pod with {instances} instances"
        ));
    }
    violations
}

/// Returns the number of instances that the hardening policy sets for every pod.
fn max_instances(objects: &Objects) -> Option<u64> {
    let policy = objects.of_kind("MutatingAdmissionPolicy").next()?;
    let expression = text(policy, "/spec/mutations/0/jsonPatch/expression")?;
    let (_, value) = expression.split_once("env{name: \"SPIN_MAX_INSTANCE_COUNT\", value: \"")?;
    value.split('"').next()?.parse().ok()
}

/// Returns the number of connections that Envoy Gateway opens to one pod of an app, over all rules.
/// Each carries one request. A worker thread without a connection opens one in spite of the limit.
/// Returns `None` without Envoy Gateway.
fn max_gateway_connections(objects: &Objects, app: &str) -> Option<u64> {
    objects.of_kind("BackendTrafficPolicy").next()?;
    let limit = |route: &str, rule: &Value| {
        let policy = |section: Option<&str>| {
            objects.of_kind("BackendTrafficPolicy").find(|policy| {
                let target = &policy["spec"]["targetRefs"][0];
                target["name"] == route && target["sectionName"].as_str() == section
            })
        };
        let policy = policy(rule["name"].as_str()).or_else(|| policy(None));
        let limit = policy.and_then(|policy| {
            policy.pointer("/spec/circuitBreaker/perEndpoint/maxConnections")?.as_u64()
        });
        // Envoy's default.
        limit.unwrap_or(1024)
    };
    let routes = objects.of_kind("HTTPRoute");
    let rules = routes
        .flat_map(|route| list(route, "/spec/rules").iter().map(move |rule| (name(route), rule)));
    let rules = rules.filter(|(_, rule)| rule["backendRefs"][0]["name"] == app);
    Some(rules.map(|(route, rule)| limit(route, rule) + workers(objects) - 1).sum())
}

/// Returns the number of worker threads of a proxy.
fn workers(objects: &Objects) -> u64 {
    let parameters = "/spec/infrastructure/parametersRef/name";
    let parameters = objects.of_kind("Gateway").find_map(|gateway| text(gateway, parameters));
    let mut proxies = objects.of_kind("EnvoyProxy");
    let proxy = proxies.find(|proxy| Some(name(proxy)) == parameters);
    let workers = proxy.and_then(|proxy| proxy.pointer("/spec/concurrency")?.as_u64());
    // By default, as many as the node has CPUs.
    workers.unwrap_or(64)
}

#[test]
fn largest_accepted_bodies_stay_within_the_memory_of_an_instance() {
    let app = App::start();
    let names = |length: usize| (0..9_900).map(move |n| format!("{n:05}{}", "x".repeat(length)));
    let costs = |length| -> Map<String, Value> { names(length).map(|n| (n, json!(1))).collect() };
    let items = |length| names(length).collect::<Vec<_>>();
    let given = json!({"costs": costs(40), "items": items(40), "tax": 0});
    let stored = json!({"price_list": "large", "items": items(75), "tax": 0});
    let words = vec!["y".repeat(95); 10_000];
    let rows = vec![["z".repeat(48), "z".repeat(48)]; 10_000];
    let table = json!({"name": "large", "columns": ["a", "b"], "rows": rows});
    assert_eq!(app.put("/api/v1/price-lists/large", &json!({"costs": costs(75)})).status, 201);
    for order in [&given, &stored] {
        assert_eq!(app.post("/api/v1/spending", order).status, 200);
        assert_eq!(app.post("/api/v1/receipts", order).status, 201);
    }
    assert_eq!(app.post("/api/v1/nth-char", &json!({"words": words})).status, 200);
    assert_eq!(app.post("/api/v1/datasets", &table).status, 201);
    for component in ["price-lists", "spending", "receipts", "nth-char", "datasets"] {
        // Spin does not report the memory of its instances.
        let Some(peak) = app.peak_memory(component) else { return };
        // Of the measured memory, up to 6 MiB belonged to the host.
        assert!(peak as u64 <= PER_INSTANCE - (6 << 20), "{component}: {peak} bytes");
    }
}
