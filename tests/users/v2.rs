//! Version 2 of the users API: writes, entity tags and cursor pagination.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::{Value, json};

use super::{add_users, count, user, with_users};
use crate::support::{App, JSON, Response};

const USERS: &str = "/api/v2/users";
const FIRST: &str = "/api/v2/users/1";

fn august() -> Value {
    json!({"username": "August", "email": "august1@example.com"})
}

/// Sends a conditional PUT to the first user.
fn put_if(app: &App, header: (&str, &str), username: &str) -> Response {
    let body = json!({"username": username, "email": "a@b"}).to_string();
    app.request(Method::PUT, FIRST, &[JSON, header], body)
}

#[test]
fn added_user_is_found_at_its_location() {
    let app = App::start();
    let added = app.post(USERS, &august());
    added.assert_json(201, &user(1, "August", "august1@example.com"));
    assert_eq!(added.header("location"), FIRST);
    assert_eq!(added.header("api-version"), "2");
    let found = app.get(FIRST);
    found.assert_json(200, &added.json());
    assert_eq!(found.header("etag"), added.header("etag"));
    assert!(found.header("etag").starts_with('"'), "strong: {found:?}");
}

#[test]
fn username_and_email_may_repeat() {
    let app = App::start();
    app.post(USERS, &august()).assert_json(201, &user(1, "August", "august1@example.com"));
    app.post(USERS, &august()).assert_json(201, &user(2, "August", "august1@example.com"));
}

#[test]
fn concurrently_added_users_have_distinct_ids() {
    let app = App::start();
    let ids: BTreeSet<i64> = std::thread::scope(|scope| {
        let add = || app.post(USERS, &august()).json()["id"].as_i64().expect("an id");
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(ids, (1..=8).collect());
}

#[test]
fn repeated_put_replaces_and_changes_the_etag() {
    let app = with_users();
    let body = json!({"username": "Augusta", "email": "augusta@example.com"});
    let second = app.get("/api/v2/users/2").json();
    let before = app.get(FIRST).header("etag").to_owned();
    let mut tags = BTreeSet::from([before]);
    for _ in 0..2 {
        let replaced = app.put(FIRST, &body);
        replaced.assert_json(200, &user(1, "Augusta", "augusta@example.com"));
        let found = app.get(FIRST);
        found.assert_json(200, &replaced.json());
        assert_eq!(found.header("etag"), replaced.header("etag"));
        assert!(tags.insert(found.header("etag").to_owned()), "{tags:?}");
    }
    app.get("/api/v2/users/2").assert_json(200, &second);
}

/// Sends a JSON Merge Patch to the first user.
fn patch(app: &App, headers: &[(&str, &str)], patch: &Value) -> Response {
    let media_type = ("Content-Type", "application/merge-patch+json");
    app.request(Method::PATCH, FIRST, &[&[media_type], headers].concat(), patch.to_string())
}

#[test]
fn patch_changes_only_the_fields_in_its_body() {
    let app = App::start();
    patch(&app, &[], &json!({})).assert_problem(404, "Unknown User ID");
    let added = app.post(USERS, &august());
    let stale = added.header("etag").to_owned();
    let patched = patch(&app, &[("If-Match", &stale)], &json!({"email": "a@b"}));
    patched.assert_json(200, &user(1, "August", "a@b"));
    let found = app.get(FIRST);
    found.assert_json(200, &patched.json());
    assert_eq!(found.header("etag"), patched.header("etag"));
    let detail = "user 1 does not match the precondition";
    let refused = patch(&app, &[("If-Match", &stale)], &json!({"username": "Augusta"}));
    refused.assert_problem(412, detail);
    let patched = patch(&app, &[], &json!({"username": "Augusta"}));
    patched.assert_json(200, &user(1, "Augusta", "a@b"));
}

#[test]
fn invalid_patch_returns_all_errors_and_changes_nothing() {
    let app = App::start();
    let added = app.post(USERS, &august());
    let invalid = json!({"username": null, "email": "a", "id": 2});
    patch(&app, &[], &invalid).assert_invalid(&[
        ("/username", "must be a string"),
        ("/email", "must be an e-mail address such as name@example.com"),
        ("/id", "is an unknown field"),
    ]);
    let json_patch = [("Content-Type", "application/json-patch+json")];
    let response = app.request(Method::PATCH, FIRST, &json_patch, "[]");
    response.problem(415);
    assert_eq!(response.header("accept-patch"), "application/merge-patch+json");
    app.get(FIRST).assert_json(200, &added.json());
}

#[test]
fn put_with_unknown_id_returns_404() {
    let app = App::start();
    for id in ["1", "0", "-1", "9223372036854775808"] {
        let path = format!("{USERS}/{id}");
        app.put(&path, &august()).assert_problem(404, "Unknown User ID");
        // An unknown id takes precedence over the precondition.
        let headers = [JSON, ("If-Match", "*")];
        let response = app.request(Method::PUT, &path, &headers, august().to_string());
        response.assert_problem(404, "Unknown User ID");
    }
    assert_eq!(count(&app), "0");
}

#[test]
fn repeated_delete_returns_404() {
    let app = with_users();
    let deleted = app.delete(FIRST);
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    app.delete(FIRST).assert_problem(404, "Unknown User ID");
    app.get(FIRST).assert_problem(404, "Unknown User ID");
    app.get("/users/1").assert_problem(404, "Unknown User ID");
    assert_eq!(count(&app), "99");
}

#[test]
fn id_is_not_reused() {
    let app = App::start();
    assert_eq!(app.post(USERS, &august()).json()["id"], 1);
    app.delete(FIRST);
    assert_eq!(app.post(USERS, &august()).json()["id"], 2);
}

#[test]
fn non_integer_id_returns_422() {
    let app = with_users();
    let errors = [("/id", "must be an integer")];
    app.get("/api/v2/users/August").assert_invalid(&errors);
    app.put("/api/v2/users/1.0", &august()).assert_invalid(&errors);
    app.delete("/api/v2/users/1%20OR%201=1").assert_invalid(&errors);
    app.get("/api/v2/users/101").assert_problem(404, "Unknown User ID");
    assert_eq!(count(&app), "100");
}

#[test]
fn invalid_user_returns_all_errors() {
    let app = with_users();
    for (body, errors) in [
        (json!({}), [("/username", "is required"), ("/email", "is required")]),
        (
            json!({"username": "", "email": ""}),
            [
                ("/username", "must not be empty"),
                ("/email", "must be an e-mail address such as name@example.com"),
            ],
        ),
        (
            json!({"username": "x".repeat(101), "email": format!("{}@b", "a".repeat(253))}),
            [
                ("/username", "must have at most 100 characters"),
                ("/email", "must have at most 254 characters"),
            ],
        ),
        (
            json!({"username": "a\0", "email": "a\0@b"}),
            [
                ("/username", "must not contain a NUL character"),
                ("/email", "must be an e-mail address such as name@example.com"),
            ],
        ),
        (
            json!({"username": 5, "email": null}),
            [("/username", "must be a string"), ("/email", "must be a string")],
        ),
    ] {
        app.post(USERS, &body).assert_invalid(&errors);
        app.put(FIRST, &body).assert_invalid(&errors);
    }
    let unknown = json!({"username": "a", "email": "a@b", "id": 7});
    app.post(USERS, &unknown).assert_invalid(&[("/id", "is an unknown field")]);
    app.put(FIRST, &unknown).assert_invalid(&[("/id", "is an unknown field")]);
    app.post(USERS, &json!([august()])).assert_invalid(&[("", "must be an object")]);
    app.request(Method::POST, USERS, &[JSON], "username=a").problem(400);
    app.request(Method::POST, USERS, &[], august().to_string()).problem(415);
    app.get(FIRST).assert_json(200, &user(1, "August", "august1@example.com"));
    assert_eq!(count(&app), "100");
}

#[test]
fn username_and_email_may_contain_any_characters_up_to_their_maximum_length() {
    let app = App::start();
    let long = format!("{}@b", "ü".repeat(252));
    for (id, (username, email)) in (1..).zip([
        ("🦀".repeat(100).as_str(), long.as_str()),
        (" \t\u{1}\u{7f}\"\\\u{2028}", "o'neil+x@例え.テスト"),
        ("'; DROP TABLE katas.person; --", "$1@{{database_url}}"),
    ]) {
        app.post(USERS, &json!({"username": username, "email": email}))
            .assert_json(201, &user(id, username, email));
        app.get(&format!("{USERS}/{id}")).assert_json(200, &user(id, username, email));
    }
    assert_eq!(count(&app), "3");
}

#[test]
fn if_match_with_a_stale_or_weak_tag_returns_412() {
    let app = with_users();
    let old = app.get(FIRST).header("etag").to_owned();
    let replaced = put_if(&app, ("If-Match", &old), "second");
    assert_eq!(replaced.status, 200);
    let response = put_if(&app, ("If-Match", &old), "third");
    response.assert_problem(412, "user 1 does not match the precondition");
    let new = replaced.header("etag");
    put_if(&app, ("If-Match", &format!("W/{new}")), "weak tags never match").problem(412);
    put_if(&app, ("If-Match", "fourth"), "not a tag").problem(400);
    assert_eq!(app.get(FIRST).json()["username"], "second");
    assert_eq!(put_if(&app, ("If-Match", &format!("{old}, {new}")), "fifth").status, 200);
    assert_eq!(put_if(&app, ("If-Match", "*"), "sixth").status, 200);
    assert_eq!(app.get(FIRST).json()["username"], "sixth");
}

#[test]
fn if_none_match_with_the_current_tag_returns_412() {
    let app = with_users();
    let tag = app.get(FIRST).header("etag").to_owned();
    put_if(&app, ("If-None-Match", &tag), "second").problem(412);
    put_if(&app, ("If-None-Match", "*"), "second").problem(412);
    assert_eq!(put_if(&app, ("If-None-Match", "\"other\""), "second").status, 200);
}

#[test]
fn conditional_get_returns_304_or_412() {
    let app = with_users();
    let tag = app.get(FIRST).header("etag").to_owned();
    let get = |name: &str, value: &str| app.request(Method::GET, FIRST, &[(name, value)], "");
    for known in [tag.clone(), format!("W/{tag}"), "*".to_owned()] {
        let response = get("If-None-Match", &known);
        assert_eq!((response.status, response.body.as_str()), (304, ""), "{known}");
        assert_eq!(response.header("etag"), tag);
    }
    assert_eq!(get("If-None-Match", "\"other\"").status, 200);
    assert_eq!(get("If-Match", &tag).status, 200);
    get("If-Match", "\"other\"").problem(412);
    get("If-Match", "nonsense").problem(400);
}

#[test]
fn delete_with_a_failed_precondition_returns_412() {
    let app = with_users();
    let tag = app.get(FIRST).header("etag").to_owned();
    let delete = |header| app.request(Method::DELETE, FIRST, &[header], "");
    delete(("If-Match", "\"other\"")).assert_problem(412, "user 1 does not match the precondition");
    delete(("If-None-Match", &tag)).problem(412);
    assert_eq!(count(&app), "100");
    assert_eq!(delete(("If-Match", &tag)).status, 204);
    delete(("If-Match", &tag)).assert_problem(404, "Unknown User ID");
}

#[test]
fn concurrent_puts_with_the_same_if_match_succeed_once() {
    let app = with_users();
    let mut tag = app.get(FIRST).header("etag").to_owned();
    for round in 1..=3 {
        let responses: Vec<Response> = std::thread::scope(|scope| {
            let write = |writer| put_if(&app, ("If-Match", &tag), &format!("{round} {writer}"));
            let threads: Vec<_> = (0..6).map(|writer| scope.spawn(move || write(writer))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let (succeeded, failed): (Vec<_>, Vec<_>) =
            responses.iter().partition(|response| response.status == 200);
        assert_eq!((succeeded.len(), failed.len()), (1, 5));
        assert!(failed.iter().all(|response| response.status == 412));
        assert_eq!(app.get(FIRST).json(), succeeded[0].json());
        tag = succeeded[0].header("etag").to_owned();
    }
}

#[test]
fn concurrent_deletes_succeed_once() {
    let app = with_users();
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(|| app.delete(FIRST).status)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404, 404, 404, 404, 404]);
}

/// Returns all users of a list, following `Link` and checking that it agrees with `next`.
fn walk(app: &App, start: &str, mut on_page: impl FnMut(&[Value])) -> Vec<Value> {
    let mut users = Vec::new();
    let mut path = start.to_owned();
    loop {
        let page = app.get(&path);
        assert_eq!(page.status, 200, "{page:?}");
        let json = page.json();
        let items = json["items"].as_array().expect("items");
        on_page(items);
        users.extend_from_slice(items);
        let Some(next) = json["next"].as_str() else {
            assert_eq!((page.header("link"), &json["next"]), ("", &Value::Null));
            return users;
        };
        let link = page.header("link");
        assert!(link.ends_with(&format!("after={next}>; rel=\"next\"")), "{link}");
        path = link.trim_start_matches('<').split('>').next().expect("a target").to_owned();
    }
}

#[test]
fn users_are_paged_by_id() {
    let app = App::start();
    app.get(USERS).assert_json(200, &json!({"items": [], "next": null}));
    add_users(&app);
    app.delete("/api/v2/users/50");
    let users: Vec<Value> = (1..=100)
        .filter(|id| *id != 50)
        .map(|id| app.get(&format!("{USERS}/{id}")).json())
        .collect();
    for limit in [7, 33, 98, 99, 1000] {
        let walked = walk(&app, &format!("{USERS}?limit={limit}"), |page| {
            assert!((1..=limit).contains(&page.len()), "{}", page.len());
        });
        assert_eq!(walked, users, "limit {limit}");
    }
    assert_eq!(app.get(USERS).json()["items"].as_array().map(Vec::len), Some(50));
}

#[test]
fn invalid_page_parameters_return_400() {
    let app = App::start();
    // The last three are "", "a" and "9223372036854775808" in hexadecimal.
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=1",
        "after=",
        "after=61",
        "after=39323233333732303336383534373735383038",
    ] {
        app.get(&format!("{USERS}?{query}")).problem(400);
    }
}

#[test]
fn paging_during_writes_returns_every_unchanged_user_once() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.person (username, email) \
         SELECT CASE g % 3 WHEN 0 THEN 'goes' ELSE 'stays' END, 'a@b' \
         FROM generate_series(1, 3000) g",
    );
    let done = AtomicBool::new(false);
    let walked = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Positions before, at and after the current page.
            for number in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                app.delete(&format!("{USERS}/{}", 3 + number * 37 % 1000 * 3));
                app.post(USERS, &json!({"username": "comes", "email": "a@b"}));
            }
        });
        let walked = walk(&app, &format!("{USERS}?limit=97"), |_| ());
        done.store(true, Ordering::Relaxed);
        walked
    });
    let ids: Vec<i64> = walked.iter().map(|user| user["id"].as_i64().expect("an id")).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "in order, without duplicates");
    let unchanged = walked.iter().filter(|user| user["username"] == "stays").count();
    assert_eq!(unchanged, 2000, "none missing");
}

#[test]
fn largest_page_is_complete() {
    let app = App::start();
    // The longest characters: U+0001 has six bytes in JSON, the crab four.
    app.sql(
        "INSERT INTO katas.person (username, email) \
         SELECT repeat(chr(1), 100), repeat('🦀', 252) || '@b' FROM generate_series(1, 1001)",
    );
    let page = app.get(&format!("{USERS}?limit=1000"));
    assert_eq!(page.header("content-length"), page.body.len().to_string());
    assert!(page.body.len() > 1_600_000, "{}", page.body.len());
    let page = page.json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1000));
    assert!(page["next"].is_string());
}
