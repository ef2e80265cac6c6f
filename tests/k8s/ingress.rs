//! Traefik's middlewares: slow clients do not use up the concurrency limit of the other clients.

use super::objects::{Objects, name, text, title};

/// Checks that requests and responses are buffered before concurrency is limited. In the opposite
/// order, a request counts while its client is still sending the body or reading the response.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let has = |middleware: &&str, field: &str| {
        objects
            .of_kind("Middleware")
            .any(|it| name(it) == *middleware && !it["spec"][field].is_null())
    };
    let mut violations = Vec::new();
    for ingress in objects.of_kind("Ingress") {
        let mut later = middlewares(ingress);
        while let Some(middleware) = later.next() {
            if has(&middleware, "inFlightReq")
                && let Some(buffer) = later.clone().find(|it| has(it, "buffering"))
            {
                violations.push(format!("{}: {middleware} precedes {buffer}", title(ingress)));
            }
        }
    }
    violations
}

/// Returns the names of the middlewares of an Ingress in the order in which Traefik applies them.
pub(super) fn middlewares(ingress: &serde_json::Value) -> impl Iterator<Item = &str> + Clone {
    let annotation = "/metadata/annotations/traefik.ingress.kubernetes.io~1router.middlewares";
    text(ingress, annotation).unwrap_or_default().split_terminator(',').map(|reference| {
        let name = reference.strip_suffix("@kubernetescrd").unwrap_or(reference);
        name.strip_prefix("katas-").unwrap_or(name)
    })
}
