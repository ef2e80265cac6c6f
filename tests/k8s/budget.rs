//! Connections: what Spin can open, what PostgreSQL grants.

use serde_json::Value;

use super::objects::{Objects, list, name, text};
use super::variables::database_components;
use crate::repository::text as file;

/// Spin 4 opens so many per component and pod, and no setting changes that.
const POOL: u64 = 64;
/// Superusers, replication, monitoring, the pooler's own look-ups.
const RESERVE: u64 = 15;

/// All that can be opened at once fits.
pub(super) fn fits(objects: &Objects) -> Vec<String> {
    let opened: u64 = objects.of("SpinApp").map(|app| opened(objects, app)).sum();
    let (app, migrator) = (role_limit(objects, "katas_app"), role_limit(objects, "katas_migrator"));
    let mut faults = Vec::new();
    let mut limit = |what: &str, count: u64, most: u64| {
        if count > most {
            faults.push(format!("{what}: {count} connections where there are {most}"));
        }
    };
    match objects.of("Pooler").next() {
        Some(pooler) => {
            let parameter = |key: &str| number(&pooler["spec"]["pgbouncer"]["parameters"][key]);
            let instances = number(&pooler["spec"]["instances"]);
            limit("Spin to each pooler", opened, parameter("max_client_conn"));
            // One more while they are replaced.
            let lent = (instances + 1) * parameter("default_pool_size");
            limit("poolers as katas_app", lent, app);
        }
        None => limit("Spin as katas_app", opened, app),
    }
    limit("all roles", app + migrator + RESERVE, max_connections(objects));
    faults
}

fn opened(objects: &Objects, app: &Value) -> u64 {
    let uses = database_components();
    let selected = list(app, "/spec/components");
    let is_selected = |id: &String| selected.is_empty() || selected.iter().any(|it| it == id);
    let components = uses.iter().filter(|id| is_selected(id)).count() as u64;
    let mut scalers = objects.of("HorizontalPodAutoscaler").chain(objects.of("ScaledObject"));
    let scaler = scalers.find(|it| it["spec"]["scaleTargetRef"]["name"] == name(app));
    let pods = scaler.map_or(&app["spec"]["replicas"], |scaler| {
        let spec = &scaler["spec"];
        spec.get("maxReplicas").unwrap_or(&spec["maxReplicaCount"])
    });
    number(pods) * components * POOL
}

/// What `migrate bootstrap` sets.
fn role_limit(objects: &Objects, role: &str) -> u64 {
    let pods = objects.pods();
    let args = pods.iter().filter_map(|pod| pod.spec.as_ref());
    let mut args =
        args.flat_map(|spec| list(spec, "/initContainers/0/args")).filter_map(Value::as_str);
    let wanted = format!("--connection-limit={role}=");
    if let Some(limit) = args.find_map(|arg| arg.strip_prefix(&wanted)) {
        return limit.parse().expect("a number");
    }
    let sql = file("db/roles.sql".as_ref());
    let wanted = format!("ALTER ROLE {role} LOGIN CONNECTION LIMIT ");
    let (_, rest) = sql.split_once(&wanted).expect("the role has a limit");
    rest.split(';').next().expect("its end").parse().expect("a number")
}

fn max_connections(objects: &Objects) -> u64 {
    let cluster = objects.of("Cluster").next();
    let parameter = |it| text(it, "/spec/postgresql/parameters/max_connections");
    let set = objects.of("StatefulSet").next();
    let mut args = set.into_iter().flat_map(|it| list(it, "/spec/template/spec/containers/0/args"));
    let arg = args.find_map(|arg| arg.as_str()?.strip_prefix("max_connections="));
    cluster.and_then(parameter).or(arg).map_or(100, |it| it.parse().expect("a number"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}
