//! The API token is required for writes, and for reading personal data if `private_reads` is
//! `true`.

use http::Method;
use katas_host::manifest::{Component, Example, Manifest};

use crate::support::{App, JSON, root};

/// Returns whether an example writes. A component that only calculates cannot read the token.
fn is_write(component: &Component, example: &Example) -> bool {
    example.method != "GET" && component.variables.contains_key("api_token")
}

#[test]
fn writes_without_the_token_return_401() {
    let app = App::with_token("secret");
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let examples = manifest
        .component
        .values()
        .flat_map(|component| component.examples().iter().map(move |example| (component, example)));
    let mut writes = 0;
    for (component, example) in examples {
        let unauthorized = app.call(example);
        if is_write(component, example) {
            unauthorized
                .assert_problem(401, "authorization required; send Authorization: Bearer <token>");
            assert_eq!(unauthorized.header("www-authenticate"), "Bearer realm=\"katas\"");
            let authorized = app.call_with(example, &[("Authorization", "Bearer secret")]);
            assert_eq!(authorized.status, example.status, "{example:?} {authorized:?}");
            writes += 1;
        } else {
            assert_eq!(unauthorized.status, example.status, "{example:?} {unauthorized:?}");
        }
    }
    assert!(writes > 0);
}

#[test]
fn private_reads_without_the_token_return_401() {
    let app = App::with_private_reads("secret");
    for path in [
        "/users",
        "/users/1",
        "/api/v1/users",
        "/api/v1/users/1",
        "/api/v2/users",
        "/api/v2/users/1",
        "/api/v1/receipts",
        "/api/v1/receipts/67e55044-10b1-426f-9247-bb680e5fe0c8",
    ] {
        app.get(path).problem(401);
        let authorized = app.request(Method::GET, path, &[("Authorization", "Bearer secret")], "");
        assert!(matches!(authorized.status, 200 | 404), "{path}: {authorized:?}");
    }
    for path in ["/api/v1/entries", "/api/v1/datasets", "/db-check"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
}

#[test]
fn private_reads_without_a_configured_token_return_500() {
    let app = App::with_private_reads("");
    app.get("/users").problem(500);
    let [line] = app.wait_for_log("{", 1).try_into().expect("one line");
    assert!(line.contains("private_reads is true, but api_token is empty"), "{line}");
}

#[test]
fn wrong_token_is_rejected_before_the_body_is_parsed() {
    let app = App::with_token("secret");
    for authorization in ["Bearer Secret", "Bearer secre", "Basic secret", "Bearer"] {
        let headers = [JSON, ("Authorization", authorization)];
        let response = app.request(Method::POST, "/api/v1/newentry", &headers, "not JSON");
        response.problem(401);
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn token_is_not_logged() {
    let app = App::with_token("a-secret-to-keep");
    let headers = [JSON, ("Authorization", "Bearer a-secret-to-keep")];
    app.request(Method::POST, "/api/v1/newentry", &headers, "{}").problem(422);
    app.wait_for_log("{", 1);
    assert!(!app.log().join("\n").contains("a-secret-to-keep"));
}
