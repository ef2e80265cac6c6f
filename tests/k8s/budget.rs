//! The connection budget: what Spin can open, and what PostgreSQL accepts.

use serde_json::Value;

use super::objects::{Objects, list, name, text};
use super::variables::database_components;
use crate::repository::text as file;

/// Size of Spin 4's connection pool per component and pod, which is not configurable.
const POOL: u64 = 64;
/// Connections for superusers, replication, monitoring, and the pooler's authentication queries.
const RESERVE: u64 = 15;

/// Checks that the maximum number of connections stays within every limit.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let spin: u64 = objects.of_kind("SpinApp").map(|app| max_app_connections(objects, app)).sum();
    let app_limit = role_limit(objects, "katas_app");
    let other_limits: u64 =
        ["katas_migrator", "katas_courier"].map(|role| role_limit(objects, role)).iter().sum();
    let mut violations = Vec::new();
    let mut require = |subject: &str, count: u64, limit: u64| {
        if count > limit {
            violations.push(format!("{subject}: {count} connections exceed the limit of {limit}"));
        }
    };
    match objects.of_kind("Pooler").next() {
        Some(pooler) => {
            let parameter = |key: &str| number(&pooler["spec"]["pgbouncer"]["parameters"][key]);
            let instances = number(&pooler["spec"]["instances"]);
            require("Spin to each pooler", spin, parameter("max_client_conn"));
            // A rollout adds one instance.
            let pooled = (instances + 1) * parameter("default_pool_size");
            require("poolers as katas_app", pooled, app_limit);
        }
        None => require("Spin as katas_app", spin, app_limit),
    }
    require("all roles", app_limit + other_limits + RESERVE, max_connections(objects));
    violations
}

/// Returns the maximum number of connections that the pods of a SpinApp open.
fn max_app_connections(objects: &Objects, app: &Value) -> u64 {
    let users = database_components();
    let selected = list(app, "/spec/components");
    let is_selected = |id: &String| selected.is_empty() || selected.iter().any(|name| name == id);
    let components = users.iter().filter(|id| is_selected(id)).count() as u64;
    let mut scalers =
        objects.of_kind("HorizontalPodAutoscaler").chain(objects.of_kind("ScaledObject"));
    let scaler = scalers.find(|scaler| scaler["spec"]["scaleTargetRef"]["name"] == name(app));
    let pods = scaler.map_or(&app["spec"]["replicas"], |scaler| {
        let spec = &scaler["spec"];
        spec.get("maxReplicas").unwrap_or(&spec["maxReplicaCount"])
    });
    number(pods) * components * POOL
}

/// Returns the connection limit that `migrate bootstrap` sets for a role.
fn role_limit(objects: &Objects, role: &str) -> u64 {
    let pods = objects.pods();
    let specs = pods.iter().filter_map(|pod| pod.spec.as_ref());
    let mut args =
        specs.flat_map(|spec| list(spec, "/initContainers/0/args")).filter_map(Value::as_str);
    let option = format!("--connection-limit={role}=");
    if let Some(limit) = args.find_map(|arg| arg.strip_prefix(&option)) {
        return limit.parse().expect("a number");
    }
    let sql = file("db/roles.sql".as_ref());
    let statement = format!("ALTER ROLE {role} LOGIN CONNECTION LIMIT ");
    let (_, rest) = sql.split_once(&statement).expect("the role has a limit");
    rest.split(';').next().expect("a statement").parse().expect("a number")
}

/// Returns `max_connections` of the server, 100 if it is not set.
fn max_connections(objects: &Objects) -> u64 {
    let cluster = objects.of_kind("Cluster").next();
    let parameter = |cluster| text(cluster, "/spec/postgresql/parameters/max_connections");
    let server = objects.of_kind("StatefulSet").next();
    let mut args =
        server.into_iter().flat_map(|set| list(set, "/spec/template/spec/containers/0/args"));
    let arg = args.find_map(|arg| arg.as_str()?.strip_prefix("max_connections="));
    cluster.and_then(parameter).or(arg).map_or(100, |limit| limit.parse().expect("a number"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}
