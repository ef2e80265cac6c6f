//! Paths and methods that nobody answers, and those that come by themselves.

use http::Method;

use crate::support::{App, JSON};

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

#[test]
fn a_path_that_belongs_to_nobody_gets_the_envelope() {
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
        app.get(&path).is_problem(404, &format!("no resource at {path}"));
        app.request(Method::POST, &path, &[JSON], "{}").problem(404);
    }
}

#[test]
fn a_slash_at_the_end_makes_no_difference() {
    let app = App::start();
    for path in ["/health/", "/db-check/", "/api/v1/entries/", "/api/v2/entries/?limit=1"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_method_that_is_not_possible_is_told_which_are() {
    let app = App::start();
    for (path, refused, allow) in [
        ("/api/v1/newentry", "GET", "POST, OPTIONS"),
        ("/api/v1/look/a", "POST", "GET, HEAD, OPTIONS"),
        ("/api/v1/entries", "DELETE", "GET, HEAD, OPTIONS"),
        ("/api/v1/entries/a", "GET", "DELETE, OPTIONS"),
        ("/api/v2/entries", "POST", "GET, HEAD, OPTIONS"),
        ("/api/v2/entries/a", "PATCH", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/api/v2/entries/a", "BREW", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/health", "POST", "GET, HEAD, OPTIONS"),
    ] {
        let response = app.request(method(refused), path, &[], "");
        response.problem(405);
        assert_eq!(response.header("allow"), allow, "{refused} {path}");
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
fn only_json_can_be_had() {
    let app = App::start();
    let get = |accept| app.request(Method::GET, "/api/v1/entries", &[("Accept", accept)], "");
    for taken in ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1"] {
        assert_eq!(get(taken).status, 200, "{taken}");
    }
    for refused in ["text/html", "application/json;q=0", "application/xml"] {
        get(refused).problem(406);
    }
}

#[test]
fn every_response_of_a_versioned_route_names_its_version() {
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
