//! Routes: external requests reach the component that `spin.toml` defines for their path, and the
//! paths of probes are served.

use katas_host::manifest::Route;
use serde_json::Value;

use super::objects::{Objects, list, name, text, title};
use super::variables::manifest;

/// Spin's built-in health endpoint.
const HEALTH: &str = "/.well-known/spin/health";
/// Paths whose response can exceed the buffer of a client connection in the gateway. Datasets are
/// streamed; version 1 limits the rows of the list of entries, not its size.
const LARGE: [&str; 6] = [
    "/api/v1/datasets/7/rows",
    "/api/datasets/7/rows",
    "/api/v1/entries",
    "/api/v1/entries/",
    "/api/entries",
    "/api/entries/",
];

/// Checks the paths of probes, HTTPRoutes and Ingresses.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let mut violations = Vec::new();
    for app in objects.of_kind("SpinApp") {
        for probe in ["liveness", "readiness"] {
            let path = text(app, &format!("/spec/checks/{probe}/httpGet/path")).unwrap_or_default();
            if !serves(app, path) {
                violations.push(format!("{}: {probe} path {path} is not served", title(app)));
            }
        }
        let known = manifest().component;
        for component in list(app, "/spec/components").iter().filter_map(Value::as_str) {
            if !known.contains_key(component) {
                violations.push(format!("{}: unknown component {component}", title(app)));
            }
        }
    }
    let rules = rules(objects);
    if rules.is_empty() {
        return violations;
    }
    for trigger in manifest().trigger.http {
        let (Route::Pattern(route), Some(component)) = (trigger.route, trigger.component) else {
            continue;
        };
        let path = route.replace(":id", "7").replace("...", "anything");
        let backend = rule(&rules, &path).map(|rule| rule.backend.as_str());
        let app = objects.of_kind("SpinApp").find(|app| Some(name(app)) == backend);
        if !app.is_some_and(|app| runs(app, &component)) {
            violations
                .push(format!("{path} routes to {backend:?}, which does not run {component}"));
        }
    }
    // Spin's built-in endpoints are for use inside the cluster only.
    if !rule(&rules, "/.well-known/spin/info").is_some_and(|rule| rule.is_blocked) {
        violations.push("/.well-known/spin/ is exposed".to_owned());
    }
    // A segment of a path, such as a word, can contain a slash. By default, Envoy Gateway decodes it
    // and redirects.
    for policy in objects.of_kind("ClientTrafficPolicy") {
        if text(policy, "/spec/path/escapedSlashesAction") != Some("KeepUnchanged") {
            violations.push(format!("{}: the gateway changes %2F in paths", title(policy)));
        }
    }
    // A client that does not read such a response occupies a connection to the pod. Envoy Gateway
    // limits connections per rule.
    if objects.of_kind("BackendTrafficPolicy").next().is_some() {
        let default = rule(&rules, "/health").map(|rule| &rule.name);
        for path in LARGE {
            if rule(&rules, path).map(|rule| &rule.name) == default {
                violations.push(format!("{path} uses the connections of other requests"));
            }
        }
    }
    // Envoy then ignores the timeout of the route.
    for policy in objects.of_kind("BackendTrafficPolicy") {
        if policy.pointer("/spec/timeout/http/maxStreamDuration").is_some() {
            violations
                .push(format!("{}: maxStreamDuration disables route timeouts", title(policy)));
        }
    }
    violations
}

/// One path of an HTTPRoute or an Ingress.
struct PathRule {
    /// Empty for an Ingress.
    name: String,
    path: String,
    is_exact: bool,
    backend: String,
    is_blocked: bool,
}

fn rules(objects: &Objects) -> Vec<PathRule> {
    let mut rules = Vec::new();
    for rule in objects.of_kind("HTTPRoute").flat_map(|route| list(route, "/spec/rules")) {
        for path in list(rule, "/matches") {
            rules.push(PathRule {
                name: text(rule, "/name").unwrap_or_default().to_owned(),
                path: text(path, "/path/value").unwrap_or_default().to_owned(),
                is_exact: path["path"]["type"] == "Exact",
                backend: text(rule, "/backendRefs/0/name").unwrap_or_default().to_owned(),
                is_blocked: rule["filters"][0]["type"] == "URLRewrite",
            });
        }
    }
    for ingress in objects.of_kind("Ingress") {
        for path in list(ingress, "/spec/rules/0/http/paths") {
            let backend = text(path, "/backend/service/name").unwrap_or_default();
            rules.push(PathRule {
                name: String::new(),
                path: text(path, "/path").unwrap_or_default().to_owned(),
                is_exact: path["pathType"] == "Exact",
                backend: backend.to_owned(),
                is_blocked: !objects.contains("SpinApp", backend),
            });
        }
    }
    rules
}

/// Returns the precedence of a rule that matches a path: an exact path first, then the longest
/// prefix.
fn specificity(rule: &PathRule, path: &str) -> Option<usize> {
    if rule.is_exact {
        return (rule.path == path).then_some(usize::MAX);
    }
    let rest = path.strip_prefix(rule.path.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rule.path.len())
}

fn rule<'a>(rules: &'a [PathRule], path: &str) -> Option<&'a PathRule> {
    let matching = rules.iter().filter_map(|rule| Some((specificity(rule, path)?, rule)));
    matching.max_by_key(|(length, _)| *length).map(|(_, rule)| rule)
}

/// Returns whether a SpinApp runs a component.
pub(super) fn runs(app: &Value, component: &str) -> bool {
    let components = list(app, "/spec/components");
    components.is_empty() || components.iter().any(|id| id == component)
}

/// Returns whether a GET request for a path returns 200: from Spin itself, or as an example in
/// `spin.toml` shows.
fn serves(app: &Value, path: &str) -> bool {
    let components = manifest().component;
    let mut running = components.iter().filter(|(id, _)| runs(app, id));
    path == HEALTH
        || running.any(|(_, component)| {
            component
                .examples()
                .iter()
                .any(|call| call.path == path && call.method == "GET" && call.status == 200)
        })
}
