//! Version 1 of the users API.

use http::Method;
use serde_json::{Value, json};

use super::{add_users, count, with_users};
use crate::support::{App, JSON};

/// The base paths of version 1, each with its `API-Version` response header.
const BASE_PATHS: [(&str, &str); 3] = [("/users", ""), ("/api/v1/users", "1"), ("/api/users", "1")];

/// The name of the hundredth user in the seed.
const LAST_NAME: &str = "Kennedy";

#[test]
fn user_is_found_by_id_at_every_base_path() {
    let app = with_users();
    let august =
        json!({"user_id": 1, "id": 1, "username": "August", "email": "august1@example.com"});
    for (base, version) in BASE_PATHS {
        let found = app.get(&format!("{base}/1"));
        found.assert_json(200, &august);
        assert_eq!(found.header("api-version"), version, "{base}");
        let last = app.get(&format!("{base}/100")).json();
        assert_eq!(last["username"], LAST_NAME, "{base}");
    }
}

#[test]
fn users_are_listed_by_id_at_every_base_path() {
    let app = App::start();
    for (base, _) in BASE_PATHS {
        app.get(base).assert_json(200, &json!([]));
    }
    add_users(&app);
    // The update moves the row to the end of the table.
    app.sql("UPDATE katas.person SET version = 2 WHERE id = 1");
    for (base, version) in BASE_PATHS {
        let list = app.get(base);
        assert_eq!(list.header("api-version"), version, "{base}");
        let list = list.json();
        let users = list.as_array().expect("a list");
        assert_eq!(users.len(), 100);
        for (user, number) in users.iter().zip(1..) {
            let name = user["username"].as_str().expect("a name");
            let email = format!("{}{number}@example.com", name.to_lowercase());
            let expected =
                json!({"user_id": number, "id": number, "username": name, "email": email});
            assert_eq!(*user, expected);
        }
    }
}

#[test]
fn unknown_id_of_any_size_returns_404() {
    let app = with_users();
    for (base, _) in BASE_PATHS {
        for id in ["101", "0", "-1", "9223372036854775807", "9223372036854775808"] {
            app.get(&format!("{base}/{id}")).assert_problem(404, "Unknown User ID");
        }
        let long = "9".repeat(1000);
        app.get(&format!("{base}/{long}")).assert_problem(404, "Unknown User ID");
    }
}

#[test]
fn non_integer_id_returns_422() {
    let app = with_users();
    let beyond = format!("{}x", "9".repeat(30));
    for (base, _) in BASE_PATHS {
        for id in ["August", "1.0", "1e2", "0x1", "%20", "-", "1%00", "1;--", "%D9%A1", &beyond] {
            app.get(&format!("{base}/{id}")).assert_invalid(&[("/user_id", "must be an integer")]);
        }
        app.get(&format!("{base}/%FF")).problem(400);
    }
}

#[test]
fn sql_in_an_id_returns_422() {
    let app = with_users();
    for sql in ["1 OR 1=1", "1; DROP TABLE katas.person", "1) UNION SELECT 1,'a','b' --"] {
        let encoded: String = sql.bytes().map(|byte| format!("%{byte:02X}")).collect();
        app.get(&format!("/users/{encoded}")).problem(422);
        app.get(&format!("/users?skip={encoded}")).problem(400);
    }
    assert_eq!(count(&app), "100");
}

#[test]
fn list_is_limited_by_skip_and_limit() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.person (username, email) \
         SELECT g, 'a@b' FROM generate_series(1, 1500) g",
    );
    for (base, _) in BASE_PATHS {
        let ids = |query: &str| {
            let list = app.get(&format!("{base}{query}")).json();
            let users = list.as_array().expect("a list").iter();
            users.map(|user| user["user_id"].as_i64().expect("an id")).collect::<Vec<_>>()
        };
        assert_eq!(ids(""), (1..=100).collect::<Vec<_>>());
        assert_eq!(ids("?limit=1000"), (1..=1000).collect::<Vec<_>>());
        assert_eq!(ids("?skip=1400&limit=1000"), (1401..=1500).collect::<Vec<_>>());
        assert_eq!(ids("?skip=1500"), [0; 0]);
        assert_eq!(ids("?skip=9223372036854775807&limit=1000"), [0; 0]);
        for query in ["limit=0", "limit=1001", "limit=ten", "skip=-1", "skip=9223372036854775808"] {
            let problem = app.get(&format!("{base}?{query}")).problem(400);
            let (parameter, _) = query.split_once('=').expect("a parameter");
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with(&format!("{parameter} must be an integer")), "{detail}");
        }
    }
}

#[test]
fn post_creates_a_user_at_every_base_path() {
    let app = App::start();
    // Unknown fields are ignored in version 1.
    let body = json!({"username": "August", "email": "august@example.com", "age": 42});
    for ((base, version), id) in BASE_PATHS.into_iter().zip(1..) {
        let created = app.post(base, &body);
        let expected =
            json!({"user_id": id, "id": id, "username": "August", "email": "august@example.com"});
        created.assert_json(201, &expected);
        assert_eq!(created.header("api-version"), version, "{base}");
        app.get(created.header("location")).assert_json(200, &expected);
        app.get(&format!("{base}/{id}")).assert_json(200, &expected);
    }
    app.post("/users", &json!({"username": ""}))
        .assert_invalid(&[("/username", "must not be empty"), ("/email", "is required")]);
}

#[test]
fn put_and_delete_return_405() {
    let app = with_users();
    let before = app.get("/users").json();
    for (base, _) in BASE_PATHS {
        for method in [Method::PUT, Method::DELETE] {
            for (path, allow) in [
                (base.to_owned(), "GET, HEAD, POST, OPTIONS"),
                (format!("{base}/1"), "GET, HEAD, OPTIONS"),
            ] {
                let response = app.request(method.clone(), &path, &[JSON], "{}");
                response.problem(405);
                assert_eq!(response.header("allow"), allow);
            }
        }
    }
    assert_eq!(app.get("/users").json(), before);
}

#[test]
fn both_versions_see_the_same_users() {
    let app = App::start();
    let body = json!({"username": "Zoë 🦀 \"\\\u{1}", "email": "zoë@例え.テスト"});
    let id = app.post("/api/v2/users", &body).json()["id"].clone();
    let expected: Value =
        json!({"user_id": id, "id": id, "username": body["username"], "email": body["email"]});
    app.get(&format!("/users/{id}")).assert_json(200, &expected);
    app.get("/users").assert_json(200, &json!([expected]));
}
