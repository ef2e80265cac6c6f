//! The OpenAPI document, Swagger UI, and the API playground.

mod browser;
pub(crate) mod drift;
mod openapi;
mod page;
mod schema;

use std::collections::BTreeSet;
use std::io::Read;

use flate2::read::GzDecoder;
use http::Method;
use serde_json::json;

use crate::support::{App, Response};

/// The `Accept` header of a browser that opens a page.
const ACCEPT_HTML: (&str, &str) =
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

const PAGES: [&str; 2] = ["/", "/docs"];

fn page(app: &App, path: &str) -> Response {
    app.request(Method::GET, path, &[ACCEPT_HTML], "")
}

/// Returns the text between each `before` and the next `after`.
fn between<'t>(text: &'t str, before: &str, after: char) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(after).next()).collect()
}

/// Returns the paths of all files that the pages load, directly or by an import.
fn assets(app: &App) -> BTreeSet<String> {
    let mut assets = BTreeSet::new();
    for path in PAGES {
        let page = page(app, path).body;
        let urls = [between(&page, "href=\"", '"'), between(&page, "src=\"", '"')].concat();
        let urls = urls.into_iter().filter(|url| url.starts_with("/docs/"));
        assets.extend(urls.map(str::to_owned));
    }
    for path in assets.clone().iter().filter(|path| path.ends_with(".js")) {
        let (folder, _) = path.rsplit_once('/').expect("a folder");
        let script = app.get(path).body;
        let imports = between(&script, "from './", '\'');
        assets.extend(imports.into_iter().map(|name| format!("{folder}/{name}")));
    }
    assets
}

/// Returns the compressed size of the files in the component, in bytes.
pub(crate) fn compressed_bytes() -> u64 {
    let app = App::start();
    let paths: Vec<_> = assets(&app).into_iter().chain(["/openapi.json".to_owned()]).collect();
    let lengths = paths.iter().map(|path| app.compressed(path).body().len() as u64);
    lengths.sum()
}

#[test]
fn root_is_json_unless_html_is_preferred() {
    let app = App::start();
    let version = env!("CARGO_PKG_VERSION");
    let healthy = json!({"status": "healthy", "app": "katas", "version": version});
    for accept in ["*/*", "application/json", "text/html;q=0.5, application/json", ""] {
        let response = app.request(Method::GET, "/", &[("Accept", accept)], "");
        response.assert_json(200, &healthy);
        assert_eq!(response.header("vary"), "accept, accept-encoding");
    }
    let html = page(&app, "/");
    assert_eq!((html.status, html.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(html.header("vary"), "accept, accept-encoding");
    assert!(html.body.contains("<title>katas API playground</title>"));
    app.request(Method::GET, "/", &[("Accept", "image/png")], "").problem(406);
}

#[test]
fn assets_of_pages_are_served_with_their_media_type() {
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
    app.get("/docs/current/unknown.js").assert_problem(404, "file unknown.js not found");
}

#[test]
fn pages_and_assets_reference_no_other_origin() {
    let app = App::start();
    for path in PAGES {
        let page = page(&app, path);
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(!page.body.contains("://"), "{path}");
    }
    // Swagger UI contains many URLs. The browser test shows that it loads none of them.
    for path in assets(&app).iter().filter(|path| !path.contains("swagger-ui")) {
        let text = app.get(path).body.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("://"), "{path}");
    }
}

#[test]
fn license_of_swagger_ui_is_served_beside_its_bundle() {
    let app = App::start();
    let assets = assets(&app);
    let bundle = assets.iter().find(|path| path.ends_with("swagger-ui-bundle.js"));
    let license = app.get(&format!("{}.LICENSE.txt", bundle.expect("the bundle of Swagger UI")));
    assert_eq!(
        (license.status, license.header("content-type")),
        (200, "text/plain; charset=utf-8")
    );
}

#[test]
fn gzip_and_plain_response_have_same_content_and_different_etag() {
    let app = App::start();
    for path in assets(&app).into_iter().chain(["/openapi.json".into(), "/docs".into()]) {
        let plain = app.request(Method::GET, &path, &[("Accept-Encoding", "gzip;q=0, br")], "");
        assert_eq!((plain.status, plain.header("content-encoding")), (200, ""), "{path}");
        assert_eq!(plain.header("content-length"), plain.body.len().to_string(), "{path}");
        let compressed = app.compressed(&path);
        assert_eq!(compressed.headers()["content-encoding"], "gzip", "{path}");
        let vary = compressed.headers()["vary"].to_str();
        assert!(vary.is_ok_and(|names| names.contains("accept-encoding")), "{path}");
        assert_ne!(compressed.headers()["etag"], plain.header("etag"), "{path}");
        let mut text = String::new();
        GzDecoder::new(compressed.body().as_slice()).read_to_string(&mut text).expect("gzip");
        assert!(text == plain.body, "the content of {path} differs when it is compressed");
    }
}

#[test]
fn matching_if_none_match_returns_304() {
    let app = App::start();
    let assets = assets(&app);
    for path in assets.iter().map(String::as_str).chain(["/", "/docs", "/openapi.json"]) {
        let get_if_none_match =
            |tag: &str| app.request(Method::GET, path, &[ACCEPT_HTML, ("If-None-Match", tag)], "");
        let first = match assets.contains(path) {
            true => app.get(path),
            false => page(&app, path),
        };
        let tag = first.header("etag");
        assert!(tag.starts_with('"'), "{path} {tag}");
        let not_modified = get_if_none_match(tag);
        assert_eq!((not_modified.status, not_modified.body.as_str()), (304, ""), "{path}");
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(not_modified.header(name), first.header(name), "{path} {name}");
        }
        assert_eq!(get_if_none_match("\"other\"").status, 200, "{path}");
    }
}

#[test]
fn only_assets_with_current_version_are_immutable() {
    let app = App::start();
    for path in assets(&app) {
        let current = app.get(&path);
        let cache_control = current.header("cache-control");
        assert_eq!(cache_control, "public, max-age=31536000, immutable", "{path}");
        let (_, name) = path.rsplit_once('/').expect("a folder");
        let other = app.get(&format!("/docs/another/{name}"));
        assert_eq!((other.status, other.header("cache-control")), (200, "no-cache"), "{path}");
        assert_eq!(other.header("etag"), current.header("etag"), "{path}");
    }
    for path in ["/docs", "/openapi.json"] {
        assert_eq!(app.get(path).header("cache-control"), "no-cache", "{path}");
    }
}
