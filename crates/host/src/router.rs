//! Matches paths to triggers with the crate and the rules that Spin uses (spin-routes, 3.6).

use anyhow::{anyhow, ensure};

use crate::manifest::{Manifest, Route};

/// The routes of an application.
pub(crate) struct Router {
    routes: routefinder::Router<Handler>,
}

struct Handler {
    /// The index of the trigger in the manifest.
    trigger: usize,
    /// The route as written in the manifest.
    raw: String,
    /// The route with a leading slash and without a trailing one.
    based: String,
}

/// The trigger that matches a path, with the values for Spin's headers.
#[derive(Debug)]
pub(crate) struct RouteMatch<'r> {
    pub(crate) trigger: usize,
    pub(crate) raw_route: &'r str,
    pub(crate) based_route: &'r str,
    /// The part of the path that the trailing wildcard matches.
    pub(crate) path_info: String,
    /// Names and values of the `:name` segments, still percent-encoded.
    pub(crate) named: Vec<(String, String)>,
}

impl Router {
    /// Creates a router for the manifest's routes. Fails on a duplicate route; under Spin, the last
    /// one silently wins.
    pub(crate) fn new(manifest: &Manifest) -> anyhow::Result<Router> {
        let mut routes = routefinder::Router::new();
        let mut seen = std::collections::HashSet::new();
        for (trigger, http) in manifest.trigger.http.iter().enumerate() {
            let Route::Pattern(raw) = &http.route else { continue };
            let based = based(raw);
            ensure!(seen.insert(based.clone()), "duplicate route {raw}");
            let spec = match based.strip_suffix("/...") {
                Some(prefix) => format!("{prefix}/*"),
                None => based.clone(),
            };
            let handler = Handler { trigger, raw: raw.clone(), based };
            routes.add(spec, handler).map_err(|error| anyhow!("invalid route {raw}: {error}"))?;
        }
        Ok(Router { routes })
    }

    /// Returns the best match. Exact segments precede parameters, parameters precede wildcards, and
    /// longer prefixes precede shorter ones.
    pub(crate) fn find(&self, path: &str) -> Option<RouteMatch<'_>> {
        let found = self.routes.best_match(path)?;
        let captures = found.captures();
        let path_info = match captures.wildcard() {
            None => String::new(),
            // Spin preserves a trailing slash, which the crate drops.
            Some("") if path.ends_with('/') => "/".to_owned(),
            Some("") => String::new(),
            Some(rest) if path.ends_with('/') => format!("/{rest}/"),
            Some(rest) => format!("/{rest}"),
        };
        let named = captures.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let handler = found.handler();
        Some(RouteMatch {
            trigger: handler.trigger,
            raw_route: &handler.raw,
            based_route: &handler.based,
            path_info,
            named: named.collect(),
        })
    }
}

fn based(raw: &str) -> String {
    let absolute = if raw.starts_with('/') { raw.to_owned() } else { format!("/{raw}") };
    absolute.strip_suffix('/').unwrap_or(&absolute).to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn router(routes: &[&str]) -> anyhow::Result<Router> {
        let triggers = routes.iter().map(|route| {
            format!("[[trigger.http]]\nroute = \"{route}\"\nstatic_response = {{}}\n")
        });
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"a\"\n{}",
            triggers.collect::<String>()
        );
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("spin.toml");
        std::fs::write(&path, text)?;
        Router::new(&Manifest::read(Path::new(&path))?)
    }

    #[test]
    fn exact_segment_precedes_parameter_which_precedes_wildcard() {
        let routes = ["/...", "/a/...", "/a/:id", "/a/b", "/a/b/..."];
        let router = router(&routes).unwrap();
        for (path, route, path_info) in [
            ("/", "/...", "/"),
            ("/x/y/", "/...", "/x/y/"),
            ("/a", "/a/...", ""),
            ("/a/", "/a/...", "/"),
            ("/a/c", "/a/:id", ""),
            ("/a/b", "/a/b", ""),
            ("/a/b/", "/a/b", ""),
            ("/a/b/c%2Fd", "/a/b/...", "/c%2Fd"),
            ("/a/c/d", "/a/...", "/c/d"),
        ] {
            let found = router.find(path).unwrap();
            assert_eq!((found.raw_route, found.path_info.as_str()), (route, path_info), "{path}");
        }
        assert_eq!(router.find("/a/%C3%A9").unwrap().named, [("id".into(), "%C3%A9".into())]);
    }

    #[test]
    fn leading_and_trailing_slash_of_route_are_ignored() {
        let router = router(&["a/"]).unwrap();
        assert_eq!(router.find("/a").unwrap().based_route, "/a");
        assert!(router.find("/a/").is_some());
        assert!(router.find("/A").is_none());
    }

    #[test]
    fn duplicate_route_is_rejected() {
        assert!(router(&["/a", "/a/"]).is_err());
    }
}
