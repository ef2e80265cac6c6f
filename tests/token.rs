//! The bearer token without which nothing can be changed.

use http::Method;
use katas_host::manifest::{Example, Manifest};

use crate::support::{App, JSON, root};

fn changes(example: &Example) -> bool {
    let computes = ["/spending", "/nth-char"].iter().any(|end| example.path.ends_with(end));
    example.method != "GET" && !computes
}

#[test]
fn nothing_is_changed_without_the_token() {
    let app = App::with_token("secret");
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let examples = manifest.component.values().flat_map(|component| component.examples());
    let mut refused = 0;
    for example in examples {
        let without = app.call(example);
        if changes(example) {
            without.is_problem(401, "authorization required; send Authorization: Bearer <token>");
            assert_eq!(without.header("www-authenticate"), "Bearer realm=\"katas\"");
            let with = app.call_with(example, &[("Authorization", "Bearer secret")]);
            assert_eq!(with.status, example.status, "{example:?} {with:?}");
            refused += 1;
        } else {
            assert_eq!(without.status, example.status, "{example:?} {without:?}");
        }
    }
    assert!(refused > 0);
}

#[test]
fn another_token_is_refused_before_the_body_is_read() {
    let app = App::with_token("secret");
    for authorization in ["Bearer Secret", "Bearer secre", "Basic secret", "Bearer"] {
        let headers = [JSON, ("Authorization", authorization)];
        let response = app.request(Method::POST, "/api/v1/newentry", &headers, "not JSON");
        response.problem(401);
    }
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn the_token_is_not_logged() {
    let app = App::with_token("a-secret-to-keep");
    let headers = [JSON, ("Authorization", "Bearer a-secret-to-keep")];
    app.request(Method::POST, "/api/v1/newentry", &headers, "{}").problem(422);
    app.wait_for_log("{", 1);
    assert!(!app.log().join("\n").contains("a-secret-to-keep"));
}
