//! Routing shared by all components: unknown paths, methods, HEAD, OPTIONS and content negotiation.

use http::Method;

use crate::support::http2::Http2;
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
        ("/api/v2/entries/a", "PROPFIND", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/api/v2/entries/a", "get", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/api/v2/entries/a", "M-SEARCH!#", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/health", "POST", "GET, HEAD, OPTIONS"),
    ] {
        let response = app.request(method(unsupported), path, &[], "");
        response.assert_problem(405, &format!("method {unsupported} not allowed"));
        assert_eq!(response.header("allow"), allow, "{unsupported} {path}");
        let options = app.request(Method::OPTIONS, path, &[], "");
        assert_eq!((options.status, options.body.as_str()), (204, ""));
        assert_eq!(options.header("allow"), allow, "{path}");
    }
}

#[test]
fn options_of_the_server_as_a_whole_returns_204() {
    let app = App::start();
    let response = app.raw(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 204 "), "{response}");
}

#[test]
fn list_headers_may_be_repeated_and_have_empty_elements() {
    let app = App::start();
    let stored = app.put("/api/v2/entries/Apple", &serde_json::json!({"definition": "A fruit"}));
    let known = format!(",, {}", stored.header("etag"));
    let get = |headers: &[(&str, &str)]| {
        app.request(Method::GET, "/api/v2/entries/Apple", headers, "").status
    };
    assert_eq!(get(&[("If-None-Match", ", \"a\" ,"), ("If-None-Match", &known)]), 304);
    assert_eq!(get(&[("If-Match", ", \"a\" ,"), ("If-Match", &known)]), 200);
    assert_eq!(get(&[("Accept", ",, text/html"), ("Accept", ", APPLICATION/json,")]), 200);
    let body = r#"{"words":["abc"]}"#;
    for (coding, status) in [("Identity", 200), (", ", 200), ("GZIP", 415)] {
        let headers = [JSON, ("Content-Encoding", coding)];
        let response = app.request(Method::POST, "/api/v1/nth-char", &headers, body);
        assert_eq!(response.status, status, "{coding}");
    }
}

/// Splits a response into its head and its content.
fn head_and_content(response: &str) -> (&str, &str) {
    response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response:?}"))
}

#[test]
fn head_304_and_204_have_no_content_over_any_version_of_http() {
    let app = App::start();
    let stored = app.put("/api/v2/entries/Apple", &serde_json::json!({"definition": "A fruit"}));
    let etag = stored.header("etag").to_owned();
    let csv = [("Content-Type", "text/csv")];
    let loaded = app.request(Method::POST, "/api/v1/datasets?name=a", &csv, "a\n1\n");
    let rows = format!("{}/rows", loaded.header("location"));
    let page = app.get("/docs").body;
    let asset = page.split('"').find(|text| text.starts_with("/docs/")).expect("an asset");
    let none: &[(&str, &str)] = &[];
    for (method, path, fields, status) in [
        ("HEAD", "/", none, 200),
        ("HEAD", "/", &[("accept", "text/html")], 200),
        ("HEAD", "/openapi.json", none, 200),
        ("HEAD", "/docs", none, 200),
        ("HEAD", asset, none, 200),
        ("HEAD", "/health", none, 200),
        ("HEAD", "/db-check", none, 200),
        ("HEAD", "/api/v1/look/Apple", none, 200),
        ("HEAD", "/api/v2/entries/Apple", none, 200),
        ("HEAD", "/api/v2/entries/Apple", &[("if-none-match", &etag)], 304),
        ("GET", "/api/v2/entries/Apple", &[("if-none-match", &etag)], 304),
        ("OPTIONS", "/api/v2/entries/Apple", none, 204),
        ("HEAD", &rows, &[("accept", "text/csv")], 200),
        ("HEAD", "/nothing", none, 404),
        ("HEAD", "/api/v1/look/Pear", none, 404),
        ("HEAD", "/api/v1/newentry", none, 405),
        ("HEAD", "/api/v2/entries?limit=0", none, 400),
        ("HEAD", "/api/v2/entries", &[("accept", "text/html")], 406),
    ] {
        let headers: String =
            fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let send = |method: &str, version: &str| {
            let close = "host: x\r\nconnection: close\r\n";
            app.raw(format!("{method} {path} {version}\r\n{close}{headers}\r\n").as_bytes())
        };
        let get = send("GET", "HTTP/1.1");
        let content_length = |response: &str| {
            let head = head_and_content(response).0.to_lowercase();
            let line = head.lines().find(|line| line.starts_with("content-length: "));
            line.map(str::to_owned)
        };
        for version in ["HTTP/1.0", "HTTP/1.1"] {
            let response = send(method, version);
            assert!(response.starts_with(&format!("{version} {status} ")), "{path}: {response}");
            assert_eq!(head_and_content(&response).1, "", "{method} {path} {version}");
            // The problem of a 405 names the method.
            if method == "HEAD" && status != 405 {
                assert_eq!(content_length(&response), content_length(&get), "{path} {version}");
            }
        }
        let mut http2 = Http2::start(app.connect(), &[]);
        http2.request(method, path, fields);
        let head = http2.read_response();
        assert_eq!(head.status(), status, "{method} {path}");
        assert!(head.ends_stream(), "{method} {path} has content over HTTP/2");
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
