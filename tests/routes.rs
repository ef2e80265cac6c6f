//! Routing shared by all components: unknown paths, methods, HEAD, OPTIONS and content negotiation.

use http::Method;

use crate::support::{App, JSON};

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

#[test]
fn unknown_path_returns_a_404_problem() {
    let app = App::start();
    for path in [
        "/nothing",
        "/api",
        "/api/v1",
        "/api/v1/look",
        "/api/v1/look/",
        "/api/v3/entries",
        "/api/v1/newentry/more",
        "/api/v2/entries/a/b",
        "/health/more",
        "/api/v1//look/Apple",
    ] {
        let path = path.to_owned();
        app.get(&path).assert_problem(404, &format!("no resource at {path}"));
        app.request(Method::POST, &path, &[JSON], "{}").problem(404);
    }
}

#[test]
fn trailing_slash_is_ignored() {
    let app = App::start();
    for path in ["/health/", "/db-check/", "/api/v1/entries/", "/api/v2/entries/?limit=1"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
}

#[test]
fn unsupported_method_returns_405_with_allow() {
    let app = App::start();
    for (path, unsupported, allow) in [
        ("/api/v1/newentry", "GET", "POST, OPTIONS"),
        ("/api/v1/look/a", "POST", "GET, HEAD, OPTIONS"),
        ("/api/v1/entries", "DELETE", "GET, HEAD, OPTIONS"),
        ("/api/v1/entries/a", "GET", "DELETE, OPTIONS"),
        ("/api/v2/entries", "POST", "GET, HEAD, OPTIONS"),
        ("/api/v2/entries/a", "PATCH", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/api/v2/entries/a", "BREW", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/health", "POST", "GET, HEAD, OPTIONS"),
    ] {
        let response = app.request(method(unsupported), path, &[], "");
        response.problem(405);
        assert_eq!(response.header("allow"), allow, "{unsupported} {path}");
        let options = app.request(Method::OPTIONS, path, &[], "");
        assert_eq!((options.status, options.body.as_str()), (204, ""));
        assert_eq!(options.header("allow"), allow, "{path}");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &serde_json::json!({"definition": "A fruit"}));
    for path in [
        "/",
        "/health",
        "/db-check",
        "/api/v1/look/Apple",
        "/api/v2/entries/Apple",
        "/api/v2/entries",
        "/nothing",
    ] {
        let get = app.get(path);
        let head = app.request(Method::HEAD, path, &[], "");
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        for name in ["content-type", "content-length", "etag", "api-version"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[test]
fn accept_header_without_json_returns_406() {
    let app = App::start();
    let get = |accept| app.request(Method::GET, "/api/v1/entries", &[("Accept", accept)], "");
    for accepted in
        ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1"]
    {
        assert_eq!(get(accepted).status, 200, "{accepted}");
    }
    for rejected in ["text/html", "application/json;q=0", "application/xml"] {
        get(rejected).problem(406);
    }
}

#[test]
fn versioned_routes_return_api_version() {
    let app = App::start();
    for (path, version) in [
        ("/api/v1/look/nothing", "1"),
        ("/api/look/nothing", "1"),
        ("/api/v1/newentry", "1"),
        ("/api/v2/entries/nothing", "2"),
        ("/api/v2/entries?limit=0", "2"),
        ("/health", ""),
        ("/nothing", ""),
    ] {
        assert_eq!(app.get(path).header("api-version"), version, "{path}");
    }
}
