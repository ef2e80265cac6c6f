//! The description of the API, Swagger UI, and the page to try every kata.

mod browser;
mod drift;
mod openapi;
mod page;
mod schema;

use std::collections::BTreeSet;
use std::io::Read;

use flate2::read::GzDecoder;
use http::Method;
use serde_json::json;

use crate::support::{App, Response};

const HTML: (&str, &str) =
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

const PAGES: [&str; 2] = ["/", "/docs"];

fn page(app: &App, path: &str) -> Response {
    app.request(Method::GET, path, &[HTML], "")
}

/// What stands between `before` and the next `after`, wherever it does.
fn between<'t>(text: &'t str, before: &str, after: char) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// Everything that the pages load, and what that loads in turn.
fn assets(app: &App) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in PAGES {
        let page = page(app, path).body;
        let links = [between(&page, "href=\"", '"'), between(&page, "src=\"", '"')].concat();
        found.extend(links.into_iter().filter(|it| it.starts_with("/docs/")).map(str::to_owned));
    }
    for path in found.clone().iter().filter(|path| path.ends_with(".js")) {
        let (folder, _) = path.rsplit_once('/').expect("a folder");
        let module = app.get(path).body;
        let modules = between(&module, "from './", '\'');
        found.extend(modules.into_iter().map(|name| format!("{folder}/{name}")));
    }
    found
}

/// How many bytes of the component are files.
pub(crate) fn compressed_bytes() -> u64 {
    let app = App::start();
    let paths: Vec<_> = assets(&app).into_iter().chain(["/openapi.json".to_owned()]).collect();
    let lengths = paths.iter().map(|path| app.compressed(path).body().len() as u64);
    lengths.sum()
}

#[test]
fn the_root_is_json_for_programs_and_a_page_for_browsers() {
    let app = App::start();
    let version = env!("CARGO_PKG_VERSION");
    let healthy = json!({"status": "healthy", "app": "katas", "version": version});
    for accept in ["*/*", "application/json", "text/html;q=0.5, application/json", ""] {
        let response = app.request(Method::GET, "/", &[("Accept", accept)], "");
        response.is(200, &healthy);
        assert_eq!(response.header("vary"), "accept, accept-encoding");
    }
    let html = page(&app, "/");
    assert_eq!((html.status, html.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(html.header("vary"), "accept, accept-encoding");
    assert!(html.body.contains("<title>katas</title>"));
    app.request(Method::GET, "/", &[("Accept", "image/png")], "").problem(406);
}

#[test]
fn everything_that_the_pages_load_is_served_here() {
    let app = App::start();
    let assets = assets(&app);
    assert!(assets.len() >= 8, "{assets:?}");
    for path in &assets {
        let response = app.get(path);
        let content_type = match path.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => panic!("{path}"),
        };
        assert_eq!((response.status, response.header("content-type")), (200, content_type));
        assert_eq!(response.header("x-content-type-options"), "nosniff", "{path}");
    }
    app.get("/docs/current/nothing.js").is_problem(404, "no file nothing.js");
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let app = App::start();
    for path in PAGES {
        let page = page(&app, path);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(!page.body.contains("://"), "{path}");
    }
    // What others have written names many addresses; that it loads none, the browser shows.
    for path in assets(&app).iter().filter(|path| !path.contains("swagger-ui")) {
        let text = app.get(path).body.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://"), "{path}");
    }
}

#[test]
fn the_licences_are_beside_what_they_are_of() {
    let app = App::start();
    let assets = assets(&app);
    let bundle = assets.iter().find(|path| path.ends_with("swagger-ui-bundle.js")).expect("it is");
    let licences = app.get(&format!("{bundle}.LICENSE.txt"));
    assert_eq!(
        (licences.status, licences.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
}

#[test]
fn who_takes_gzip_gets_it_and_who_does_not_gets_the_same_plain() {
    let app = App::start();
    for path in assets(&app).into_iter().chain(["/openapi.json".into(), "/docs".into()]) {
        let plain = app.request(Method::GET, &path, &[("Accept-Encoding", "gzip;q=0, br")], "");
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        assert_eq!(plain.header("content-length"), plain.body.len().to_string(), "{path}");
        let compressed = app.compressed(&path);
        assert_eq!(compressed.headers()["content-encoding"], "gzip", "{path}");
        assert!(
            compressed.headers()["vary"].to_str().is_ok_and(|it| it.contains("accept-encoding"))
        );
        assert_ne!(compressed.headers()["etag"], plain.header("etag"), "{path}");
        let mut text = String::new();
        GzDecoder::new(compressed.body().as_slice()).read_to_string(&mut text).expect("gzip");
        assert!(text == plain.body, "{path} is another when it is compressed");
    }
}

#[test]
fn what_the_client_has_is_not_sent_again() {
    let app = App::start();
    let assets = assets(&app);
    for path in assets.iter().map(String::as_str).chain(["/", "/docs", "/openapi.json"]) {
        let ask = |name, value: &str| app.request(Method::GET, path, &[HTML, (name, value)], "");
        // As a browser asks for a script.
        let first = match assets.contains(path) {
            true => app.get(path),
            false => page(&app, path),
        };
        let tag = first.header("etag");
        assert!(tag.starts_with('"'), "{path} {tag}");
        let again = ask("If-None-Match", tag);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(again.header(name), first.header(name), "{path} {name}");
        }
        assert_eq!(ask("If-None-Match", "\"other\"").status, 200, "{path}");
    }
}

#[test]
fn only_what_has_its_version_in_its_address_is_kept_for_ever() {
    let app = App::start();
    for path in assets(&app) {
        let kept = app.get(&path);
        assert_eq!(kept.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        let (_, name) = path.rsplit_once('/').expect("a folder");
        let other = app.get(&format!("/docs/another/{name}"));
        assert_eq!((other.status, other.header("cache-control")), (200, "no-cache"), "{path}");
        assert_eq!(other.header("etag"), kept.header("etag"), "{path}");
    }
    for path in ["/docs", "/openapi.json"] {
        assert_eq!(app.get(path).header("cache-control"), "no-cache", "{path}");
    }
}
