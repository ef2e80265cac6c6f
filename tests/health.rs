//! Health endpoints and their probe responses.

use migrations::Project;
use serde_json::json;

use crate::support::{App, cluster};

#[test]
fn health_endpoints_return_the_documented_bodies() {
    let app = App::start();
    app.get("/health").assert_json(200, &json!({"status": "healthy"}));
    app.get("/healthcheck").assert_json(200, &json!({"Healthy": true}));
    app.get("/status").assert_json(200, &json!(1));
    let newest = Project::built_in().newest();
    let schema = json!({"version": newest, "required": newest});
    app.get("/db-check")
        .assert_json(200, &json!({"status": "ready", "database": "connected", "schema": schema}));
}

#[test]
fn health_responses_are_not_cacheable() {
    let app = App::start();
    for probe in ["/health", "/healthcheck", "/status", "/db-check"] {
        assert_eq!(app.get(probe).header("cache-control"), "no-store", "{probe}");
    }
}

#[test]
fn only_db_check_requires_the_database() {
    let app = App::with_url(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    for probe in ["/", "/health", "/healthcheck", "/status"] {
        assert_eq!(app.get(probe).status, 200, "{probe}");
    }
    app.get("/db-check").assert_problem(503, "the database does not respond");
}

#[test]
fn missing_schema_is_not_ready() {
    let app = App::with_database(&cluster().create_database(false));
    let response = app.get("/db-check");
    response.assert_problem(503, "the schema does not exist yet");
    assert_eq!(response.header("retry-after"), "1");
    let response = app.get("/api/v1/look/Apple");
    response.assert_problem(503, "database unavailable; try again later");
    assert_eq!(response.header("retry-after"), "1");
}

#[test]
fn outdated_schema_is_not_ready_until_migrated() {
    let app = App::start();
    let newest = Project::built_in().newest();
    app.sql(&format!("DELETE FROM katas._sqlx_migrations WHERE version = {newest}"));
    let old = app.value("SELECT max(version)::text FROM katas._sqlx_migrations");
    let detail = format!("the schema is at version {old}; this build requires {newest}");
    app.get("/db-check").assert_problem(503, &detail);
    app.sql(&format!(
        "INSERT INTO katas._sqlx_migrations VALUES ({newest}, 'x', now(), true, '', 0)"
    ));
    assert_eq!(app.get("/db-check").status, 200);
}

#[test]
fn failed_migration_does_not_count_as_applied() {
    let app = App::start();
    app.sql("UPDATE katas._sqlx_migrations SET success = false");
    app.get("/db-check").problem(503);
}

#[test]
fn newer_schema_is_ready() {
    let app = App::start();
    app.sql("INSERT INTO katas._sqlx_migrations VALUES (9999, 'next', now(), true, '', 0)");
    let ready = app.get("/db-check");
    assert_eq!((ready.status, &ready.json()["schema"]["version"]), (200, &json!(9999)));
}
