//! Paths: a request that comes in reaches the component that `spin.toml` has for it, and so do probes.

use katas_host::manifest::Route;
use serde_json::Value;

use super::objects::{Objects, list, name, text, title};
use super::variables::manifest;

/// What the engine answers by itself.
const HEALTH: &str = "/.well-known/spin/health";

/// All of them do.
pub(super) fn lead_to_the_component(objects: &Objects) -> Vec<String> {
    let mut faults = Vec::new();
    for app in objects.of("SpinApp") {
        for probe in ["liveness", "readiness"] {
            let path = text(app, &format!("/spec/checks/{probe}/httpGet/path")).unwrap_or_default();
            if !is_answered(app, path) {
                faults.push(format!("{}: nothing answers {probe} at {path}", title(app)));
            }
        }
        let known = manifest().component;
        for component in list(app, "/spec/components").iter().filter_map(Value::as_str) {
            if !known.contains_key(component) {
                faults.push(format!("{}: there is no component {component}", title(app)));
            }
        }
    }
    let rules = rules(objects);
    if rules.is_empty() {
        return faults;
    }
    for trigger in manifest().trigger.http {
        let (Route::Pattern(route), Some(component)) = (trigger.route, trigger.component) else {
            continue;
        };
        let path = route.replace(":id", "7").replace("...", "anything");
        let backend = backend(&rules, &path);
        let app = objects.of("SpinApp").find(|app| Some(name(app)) == backend);
        if !app.is_some_and(|app| retains(app, &component)) {
            faults.push(format!("{path} goes to {backend:?}, which has no {component}"));
        }
    }
    // These are for the cluster only.
    let closed = rules.iter().filter(|rule| matches(rule, "/.well-known/spin/info").is_some());
    let closed = closed.max_by_key(|rule| matches(rule, "/.well-known/spin/info"));
    if !closed.is_some_and(|rule| rule.is_closed) {
        faults.push("/.well-known/spin/ is open".to_owned());
    }
    faults
}

/// One path of an HTTPRoute or an Ingress.
struct Rule {
    path: String,
    is_exact: bool,
    backend: String,
    is_closed: bool,
}

fn rules(objects: &Objects) -> Vec<Rule> {
    let mut rules = Vec::new();
    for rule in objects.of("HTTPRoute").flat_map(|route| list(route, "/spec/rules")) {
        for path in list(rule, "/matches") {
            rules.push(Rule {
                path: text(path, "/path/value").unwrap_or_default().to_owned(),
                is_exact: path["path"]["type"] == "Exact",
                backend: text(rule, "/backendRefs/0/name").unwrap_or_default().to_owned(),
                is_closed: rule["filters"][0]["type"] == "URLRewrite",
            });
        }
    }
    for ingress in objects.of("Ingress") {
        for path in list(ingress, "/spec/rules/0/http/paths") {
            let backend = text(path, "/backend/service/name").unwrap_or_default();
            rules.push(Rule {
                path: text(path, "/path").unwrap_or_default().to_owned(),
                is_exact: path["pathType"] == "Exact",
                backend: backend.to_owned(),
                is_closed: !objects.has("SpinApp", backend),
            });
        }
    }
    rules
}

/// How well: the longer the better, and the whole path is best.
fn matches(rule: &Rule, path: &str) -> Option<usize> {
    if rule.is_exact {
        return (rule.path == path).then_some(usize::MAX);
    }
    let rest = path.strip_prefix(rule.path.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rule.path.len())
}

fn backend<'a>(rules: &'a [Rule], path: &str) -> Option<&'a str> {
    let matching = rules.iter().filter_map(|rule| Some((matches(rule, path)?, rule)));
    matching.max_by_key(|(length, _)| *length).map(|(_, rule)| rule.backend.as_str())
}

fn retains(app: &Value, component: &str) -> bool {
    let components = list(app, "/spec/components");
    components.is_empty() || components.iter().any(|it| it == component)
}

/// By the engine, or by a component of which `spin.toml` shows that it answers 200.
fn is_answered(app: &Value, path: &str) -> bool {
    let components = manifest().component;
    let mut retained = components.iter().filter(|(id, _)| retains(app, id));
    path == HEALTH
        || retained.any(|(_, it)| {
            it.examples()
                .iter()
                .any(|call| call.path == path && call.method == "GET" && call.status == 200)
        })
}
