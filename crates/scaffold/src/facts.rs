//! Facts that files repeat: the components and routes of `spin.toml`, the version of the release, and
//! the newest migration.
//!
//! Each is written where a reader or another tool needs it. A test of the end-to-end tests compares
//! them all, and `RENEW=1` writes them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Deserialize;

use crate::insert::replace_between;
use crate::workspace::Workspace;

/// The maximum number of connections of a component's pool in Spin 4, per pod.
const POOL: usize = 64;

/// Connections that a PostgreSQL without a pooler accepts besides those of Spin.
const SPARE: usize = 88;

/// The minimum number of clients of a pooler.
const MIN_CLIENTS: usize = 4000;

/// The group of the overlay `split` that runs the components without a group of their own, and
/// receives the requests that no route of another group matches.
const DEFAULT_GROUP: &str = "words";

/// Updates every fact that differs from its source.
pub fn update(workspace: &mut Workspace) -> anyhow::Result<()> {
    let manifest = Manifest::read(workspace)?;
    release(workspace, &manifest)?;
    documents(workspace, &manifest)?;
    collector(workspace, &manifest)?;
    split(workspace, &manifest)?;
    connections(workspace, &manifest)
}

/// The part of `spin.toml` that other files repeat.
#[derive(Deserialize)]
struct Manifest {
    application: Application,
    trigger: Triggers,
    component: BTreeMap<String, Component>,
}

#[derive(Deserialize)]
struct Application {
    version: String,
}

#[derive(Deserialize)]
struct Triggers {
    http: Vec<Trigger>,
}

#[derive(Deserialize)]
struct Trigger {
    route: String,
    component: String,
}

#[derive(Deserialize)]
struct Component {
    description: String,
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl Manifest {
    fn read(workspace: &Workspace) -> anyhow::Result<Manifest> {
        toml::from_str(&workspace.text("spin.toml")?).context("cannot parse spin.toml")
    }

    /// Returns whether a component connects to the database.
    fn uses_database(&self, id: &str) -> bool {
        let component = self.component.get(id);
        component.is_some_and(|component| component.variables.contains_key("database_url"))
    }

    /// Returns how many of these components connect to the database.
    fn count_database_users<'a>(&self, ids: impl IntoIterator<Item = &'a String>) -> usize {
        ids.into_iter().filter(|id| self.uses_database(id)).count()
    }
}

/// Returns the number of the newest migration.
pub(crate) fn newest_migration(workspace: &Workspace) -> anyhow::Result<u64> {
    let names = workspace.file_names("db/migrations")?;
    let ups = names.iter().filter(|name| name.ends_with(".up.sql"));
    let numbers = ups.filter_map(|name| name.split('_').next()?.parse().ok());
    numbers.max().context("db/migrations has no migration")
}

/// Replaces the text between a prefix and a suffix in a file.
fn set(
    workspace: &mut Workspace,
    path: &str,
    (prefix, suffix): (&str, &str),
    value: impl ToString,
) -> anyhow::Result<()> {
    workspace.edit(path, |text| replace_between(text, prefix, suffix, &value.to_string()))
}

/// The name of the migration Job: version of the release and newest migration.
fn release(workspace: &mut Workspace, manifest: &Manifest) -> anyhow::Result<()> {
    let version = manifest.application.version.replace('.', "-");
    let job = format!("katas-migrate-{version}-{}", newest_migration(workspace)?);
    set(
        workspace,
        "k8s/release/kustomization.yaml",
        ("path: /metadata/name\n        value: ", "\n"),
        &job,
    )?;
    set(workspace, "docs/OPERATIONS.md", ("\njob=", " "), &job)
}

/// The list of services in README.md and the table of routes in ARCHITECTURE.md.
fn documents(workspace: &mut Workspace, manifest: &Manifest) -> anyhow::Result<()> {
    let services =
        manifest.component.keys().filter(|id| !["docs", "health"].contains(&id.as_str()));
    let services: Vec<_> = services.map(|id| format!("`{id}`")).collect();
    set(workspace, "README.md", ("\n| Services | ", ": "), services.join(", "))?;

    let heading = "\n| route | component | purpose |\n| --- | --- | --- |\n";
    workspace.edit("docs/ARCHITECTURE.md", |text| {
        let (_, rows) = text.split_once(heading).context("no table of routes")?;
        let rows = rows.lines().take_while(|line| line.starts_with('|'));
        let rows = rows.filter_map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            Some((cells.get(1)?.trim_matches('`'), *cells.get(3)?))
        });
        let purposes: BTreeMap<_, _> = rows.collect();
        let table: String =
            manifest.trigger.http.iter().map(|trigger| row(manifest, &purposes, trigger)).collect();
        replace_between(text, heading, "\n\n", table.trim_end())
    })
}

/// Returns the row of a route. Its purpose is written by hand; initially, it is the description of the
/// component.
fn row(manifest: &Manifest, purposes: &BTreeMap<&str, &str>, trigger: &Trigger) -> String {
    let Trigger { route, component } = trigger;
    let is_alias = route.starts_with("/api/") && !is_versioned(route);
    let purpose = match (purposes.get(route.as_str()), manifest.component.get(component)) {
        (Some(purpose), _) => (*purpose).to_owned(),
        (None, Some(component)) if !is_alias => lower_first(&component.description),
        _ => String::new(),
    };
    let purpose = if purpose.is_empty() { String::new() } else { format!("{purpose} ") };
    format!("| `{route}` | `{component}` | {purpose}|\n")
}

/// Returns whether a route begins with `/api/v<number>/`.
pub(crate) fn is_versioned(route: &str) -> bool {
    let version = route.strip_prefix("/api/v").and_then(|rest| rest.split('/').next());
    version.is_some_and(|version| version.parse::<u32>().is_ok())
}

/// Returns the text with its first character in lower case.
pub(crate) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The component of each route in the configuration of the collector.
fn collector(workspace: &mut Workspace, manifest: &Manifest) -> anyhow::Result<()> {
    const SET: &str = "      - set(span.attributes[\"component\"], ";
    let routes: String = manifest
        .trigger
        .http
        .iter()
        .filter(|trigger| trigger.component != "health")
        .map(|Trigger { route, component }| {
            format!("{SET}\"{component}\") where span.attributes[\"http.route\"] == \"{route}\"\n")
        })
        .collect();
    set(
        workspace,
        "k8s/addons/monitoring/collector-config.yaml",
        ("\"health\") where span.kind == SPAN_KIND_SERVER\n", "      # `open`"),
        routes,
    )
}

/// The components of the default group, in the overlay `split` and in the chart.
fn split(workspace: &mut Workspace, manifest: &Manifest) -> anyhow::Result<()> {
    let default = format!("{SPLIT}/{DEFAULT_GROUP}.yaml");
    let mut ungrouped: BTreeSet<String> = manifest.component.keys().cloned().collect();
    for (path, group) in groups(workspace)? {
        if path != default {
            ungrouped.retain(|id| !group.components.contains(id));
        }
    }
    ungrouped.remove("health");
    let components: Vec<_> = ungrouped.into_iter().chain(["health".to_owned()]).collect();
    set(workspace, &default, ("\n  components: [", "]"), components.join(", "))?;
    let prefix = format!("    component: {DEFAULT_GROUP}\n    components: [");
    set(workspace, "k8s/chart/values-split.yaml", (&prefix, "]"), components.join(", "))
}

/// The directory with the groups of the overlay `split`.
const SPLIT: &str = "k8s/overlays/split/apps";

/// A group of components: the components of its app, and the maximum number of its pods.
struct Group {
    components: Vec<String>,
    max_pods: usize,
}

/// Returns the groups of the overlay `split` by file, in the order of its kustomization.
fn groups(workspace: &Workspace) -> anyhow::Result<Vec<(String, Group)>> {
    let kustomization = workspace.text(&format!("{SPLIT}/kustomization.yaml"))?;
    let files = kustomization.lines().filter_map(|line| line.strip_prefix("  - "));
    let files = files.filter(|file| !file.contains(' '));
    let paths = files.map(|file| format!("{SPLIT}/{file}"));
    paths
        .map(|path| {
            let text = workspace.text(&path)?;
            let components = value(&text, "components: [", "]").with_context(|| path.clone())?;
            let components = components.split(", ").map(str::to_owned).collect();
            Ok((path, Group { components, max_pods: max_replicas(&text)? }))
        })
        .collect()
}

fn max_replicas(text: &str) -> anyhow::Result<usize> {
    Ok(value(text, "maxReplicas: ", "\n")?.trim().parse()?)
}

/// Returns the app for messages, which can be added to any overlay.
fn worker(workspace: &Workspace) -> anyhow::Result<Group> {
    let app = workspace.text("k8s/addons/worker/app.yaml")?;
    let autoscaler = workspace.text("k8s/addons/worker-keda/autoscaler.yaml")?;
    let components = value(&app, "components: [", "]")?.split(", ").map(str::to_owned).collect();
    Ok(Group { components, max_pods: value(&autoscaler, "maxReplicaCount: ", "\n")?.parse()? })
}

/// Returns the text between a prefix and a suffix.
fn value<'t>(text: &'t str, prefix: &str, suffix: &str) -> anyhow::Result<&'t str> {
    let value = text.split_once(prefix).and_then(|(_, rest)| rest.split(suffix).next());
    value.with_context(|| format!("no {prefix:?}"))
}

/// The connections that Spin can open, and the limits that follow.
fn connections(workspace: &mut Workspace, manifest: &Manifest) -> anyhow::Result<()> {
    let users = manifest.count_database_users(manifest.component.keys());
    let local = users * POOL;
    let limit = "--connection-limit=katas_app=";
    set(workspace, "k8s/overlays/local/kustomization.yaml", (limit, "\n"), local)?;
    set(
        workspace,
        "k8s/overlays/local/postgres.yaml",
        ("- max_connections=", "\n"),
        local + SPARE,
    )?;
    set(workspace, "compose.yaml", (limit, "\n"), local)?;
    set(workspace, "compose.yaml", ("[-c, max_connections=", "]"), local + SPARE)?;

    let pods = max_replicas(&workspace.text("k8s/addons/autoscaling-hpa/autoscaler.yaml")?)?;
    let production = pods * users * POOL;
    let mut split = Vec::new();
    for (path, group) in groups(workspace)? {
        let users = manifest.count_database_users(&group.components);
        split.push((group.max_pods, users));
        let name = path.trim_start_matches(SPLIT).trim_matches('/').trim_end_matches(".yaml");
        let app = format!(
            "    component: {name}\n    components: [{}]\n    ",
            group.components.join(", ")
        );
        // NetworkPolicies block the database for a group whose readiness does not depend on it.
        let has_database = workspace.text(&path)?.contains("path: /db-check");
        let users = if has_database { users } else { 0 };
        let field = format!("{app}databaseComponents: ");
        set(workspace, "k8s/chart/values-split.yaml", (&field, "\n"), users)?;
    }
    let field = "connections per pod.\n    databaseComponents: ";
    set(workspace, "k8s/chart/values.yaml", (field, "\n"), users)?;

    let worker = worker(workspace)?;
    let worker_users = manifest.count_database_users(&worker.components);
    let field = format!("components: [{}]\n    databaseComponents: ", worker.components.join(", "));
    set(workspace, "k8s/chart/values.yaml", (&field, "\n"), worker_users)?;

    let in_split = POOL * split.iter().map(|(pods, users)| pods * users).sum::<usize>();
    let in_worker = POOL * worker.max_pods * worker_users;
    let clients = (production.max(in_split) + in_worker).next_multiple_of(1000).max(MIN_CLIENTS);
    set(workspace, "k8s/overlays/production/pooler.yaml", ("max_client_conn: \"", "\""), clients)?;
    set(workspace, "k8s/chart/values.yaml", ("maxClientConnections: ", "\n"), clients)?;

    let terms: Vec<_> = split.iter().map(|(pods, users)| format!("{pods} × {users}")).collect();
    let rows = format!(
        "| `local` | 1 pod × {users} × {POOL} = {local} | direct | {local} | {} |\n\
         | `production` | {pods} pods × {users} × {POOL} = {production} | poolers, {clients} clients each | \
         80, of which the poolers use 3 × 25 | 200 |\n\
         | `split` | ({}) × {POOL} = {in_split} | as `production` | as `production` | as `production` |\n\
         | `worker-keda`, in addition | {} pods × {worker_users} × {POOL} = {in_worker} | as the overlay | | |",
        local + SPARE,
        terms.join(" + "),
        worker.max_pods,
    );
    let heading = "| overlay | Spin can open | through | limit of `katas_app` | `max_connections` |\n\
                   | --- | --- | --- | --- | --- |\n";
    set(workspace, "docs/OPERATIONS.md", (heading, "\n\n"), rows)?;
    set(workspace, "docs/OPERATIONS.md", ("--connection-limit=katas_app=", "`"), local)
}
