//! Write requests require the API token.

use http::Method;
use katas_host::manifest::{Example, Manifest};

use crate::support::{App, JSON, root};

fn is_write(example: &Example) -> bool {
    let is_calculation = ["/spending", "/nth-char"].iter().any(|end| example.path.ends_with(end));
    example.method != "GET" && !is_calculation
}

#[test]
fn writes_without_the_token_return_401() {
    let app = App::with_token("secret");
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let examples = manifest.component.values().flat_map(|component| component.examples());
    let mut writes = 0;
    for example in examples {
        let unauthorized = app.call(example);
        if is_write(example) {
            unauthorized
                .is_problem(401, "authorization required; send Authorization: Bearer <token>");
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
fn private_reads_of_users_and_receipts_without_the_token_return_401() {
    let app = App::with_private_reads("secret");
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let mut private = 0;
    for (name, component) in &manifest.component {
        // In order: reads use what earlier examples have created.
        for example in component.examples() {
            let authorized = app.call_with(example, &[("Authorization", "Bearer secret")]);
            assert_eq!(authorized.status, example.status, "{example:?} {authorized:?}");
            if example.method != "GET" {
                continue;
            }
            let response = app.call(example);
            if ["users", "receipts"].contains(&name.as_str()) {
                response.problem(401);
                private += 1;
            } else {
                assert_ne!(response.status, 401, "{example:?}");
            }
        }
    }
    assert!(private > 0);
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
