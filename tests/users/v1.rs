//! Version 1: what the clients of the first service of users rely on.

use http::Method;
use serde_json::{Value, json};

use super::{add_people, count, with_people};
use crate::support::{App, JSON};

/// Where version 1 is, with the version that an answer names.
const PLACES: [(&str, &str); 3] = [("/users", ""), ("/api/v1/users", "1"), ("/api/users", "1")];

/// The hundredth of the seed.
const LAST: &str = "Kennedy";

#[test]
fn a_user_is_found_by_id_at_every_address() {
    let app = with_people();
    let august = json!({"user_id": 1, "username": "August", "email": "august1@example.com"});
    for (place, version) in PLACES {
        let found = app.get(&format!("{place}/1"));
        found.is(200, &august);
        assert_eq!(found.header("api-version"), version, "{place}");
        let last = app.get(&format!("{place}/100")).json();
        assert_eq!(last["username"], LAST, "{place}");
    }
}

#[test]
fn users_are_listed_in_the_order_of_their_ids_at_every_address() {
    let app = App::start();
    for (place, _) in PLACES {
        app.get(place).is(200, &json!([]));
    }
    add_people(&app);
    // Written again, a row moves to the end of the table's file.
    app.sql("UPDATE katas.person SET version = 2 WHERE id = 1");
    for (place, version) in PLACES {
        let list = app.get(place);
        assert_eq!(list.header("api-version"), version, "{place}");
        let list = list.json();
        let users = list.as_array().expect("a list");
        assert_eq!(users.len(), 100);
        for (user, number) in users.iter().zip(1..) {
            let name = user["username"].as_str().expect("a name");
            let email = format!("{}{number}@example.com", name.to_lowercase());
            let expected = json!({"user_id": number, "username": name, "email": email});
            assert_eq!(*user, expected);
        }
    }
}

#[test]
fn an_id_that_nobody_has_is_unknown_however_large() {
    let app = with_people();
    for (place, _) in PLACES {
        for id in ["101", "0", "-1", "9223372036854775807", "9223372036854775808"] {
            app.get(&format!("{place}/{id}")).is_problem(404, "Unknown User ID");
        }
        let long = "9".repeat(1000);
        app.get(&format!("{place}/{long}")).is_problem(404, "Unknown User ID");
    }
}

#[test]
fn what_is_not_an_integer_is_no_id() {
    let app = with_people();
    let beyond = format!("{}x", "9".repeat(30));
    for (place, _) in PLACES {
        for id in ["August", "1.0", "1e2", "0x1", "%20", "-", "1%00", "1;--", "%D9%A1", &beyond] {
            app.get(&format!("{place}/{id}")).is_invalid(&[("/user_id", "must be an integer")]);
        }
        app.get(&format!("{place}/%FF")).problem(400);
    }
}

#[test]
fn sql_in_an_id_stays_text() {
    let app = with_people();
    for attempt in ["1 OR 1=1", "1; DROP TABLE katas.person", "1) UNION SELECT 1,'a','b' --"] {
        let encoded: String = attempt.bytes().map(|byte| format!("%{byte:02X}")).collect();
        app.get(&format!("/users/{encoded}")).problem(422);
        app.get(&format!("/users?skip={encoded}")).problem(400);
    }
    assert_eq!(count(&app), "100");
}

#[test]
fn a_list_is_bounded() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.person (username, email) \
         SELECT g, 'a@b' FROM generate_series(1, 1500) g",
    );
    for (place, _) in PLACES {
        let ids = |query: &str| {
            let list = app.get(&format!("{place}{query}")).json();
            let users = list.as_array().expect("a list").iter();
            users.map(|user| user["user_id"].as_i64().expect("an id")).collect::<Vec<_>>()
        };
        assert_eq!(ids(""), (1..=100).collect::<Vec<_>>());
        assert_eq!(ids("?limit=1000"), (1..=1000).collect::<Vec<_>>());
        assert_eq!(ids("?skip=1400&limit=1000"), (1401..=1500).collect::<Vec<_>>());
        assert_eq!(ids("?skip=1500"), [0; 0]);
        assert_eq!(ids("?skip=9223372036854775807&limit=1000"), [0; 0]);
        for query in ["limit=0", "limit=1001", "limit=ten", "skip=-1", "skip=9223372036854775808"] {
            let problem = app.get(&format!("{place}?{query}")).problem(400);
            let (parameter, _) = query.split_once('=').expect("a parameter");
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with(&format!("{parameter} must be an integer")), "{detail}");
        }
    }
}

#[test]
fn nothing_can_be_changed() {
    let app = with_people();
    let before = app.get("/users").json();
    for (place, _) in PLACES {
        for path in [place.to_owned(), format!("{place}/1")] {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let refused = app.request(method, &path, &[JSON], "{}");
                refused.problem(405);
                assert_eq!(refused.header("allow"), "GET, HEAD, OPTIONS");
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
        json!({"user_id": id, "username": body["username"], "email": body["email"]});
    app.get(&format!("/users/{id}")).is(200, &expected);
    app.get("/users").is(200, &json!([expected]));
}
