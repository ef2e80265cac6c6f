//! The bad day: the database goes away and comes back.

use std::time::{Duration, Instant};

use katas_host::local::postgres::{DATABASE, PostgresInstall};
use serde_json::json;

use crate::support::{App, Cluster, RUNTIME};

/// The first response that is as it should be: a connection that is being closed may still be in
/// the pool for the one before.
fn eventually(app: &App, path: &str, status: u16) {
    let start = Instant::now();
    loop {
        let response = app.get(path);
        if response.status == status {
            return;
        }
        assert!(matches!(response.status, 200 | 404 | 503), "{response:?}");
        assert!(start.elapsed() < Duration::from_secs(30), "{path} stays {}", response.status);
    }
}

/// Everything that is promised of an application whose database is stopped by `stop`.
fn survives(source: PostgresInstall, stop: fn(&mut Cluster)) {
    let mut cluster = RUNTIME.block_on(Cluster::start(source, false)).expect("a cluster starts");
    let app = App::with(&cluster, DATABASE, &cluster.app(DATABASE));
    let apple = json!({"word": "Apple", "definition": "A fruit"});
    app.post("/api/v1/newentry", &apple).is(201, &apple);

    stop(&mut cluster);
    for _ in 0..3 {
        let refused = app.get("/api/v1/look/Apple");
        refused.is_problem(503, "the database is not ready; try again");
        assert_eq!(refused.header("retry-after"), "1");
        app.post("/api/v1/newentry", &apple).problem(503);
        app.get("/db-check").is_problem(503, "the database does not respond");
        assert_eq!(app.get("/health").status, 200);
    }

    RUNTIME.block_on(cluster.postgres.restart()).expect("the cluster starts again");
    eventually(&app, "/db-check", 200);
    eventually(&app, "/api/v1/look/Apple", 200);
    app.get("/api/v1/look/Apple").is(200, &apple);
}

#[test]
fn a_database_that_is_stopped_is_503_and_then_200_without_a_restart() {
    survives(PostgresInstall::Any, |cluster| cluster.postgres.stop());
}

#[test]
fn a_database_that_crashes_is_503_and_then_200_without_a_restart() {
    survives(PostgresInstall::Any, |cluster| cluster.postgres.crash());
}

#[test]
fn the_postgresql_that_comes_with_katas_serves_as_well() {
    survives(PostgresInstall::Bundled, |cluster| cluster.postgres.stop());
}

#[test]
fn a_statement_that_waits_too_long_is_503() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &json!({"definition": "A fruit"}));
    // The row is locked by somebody else for as long as the connection lives.
    let lock = app.hold("SELECT FROM katas.entry FOR UPDATE");
    let refused = app.put("/api/v2/entries/Apple", &json!({"definition": "later"}));
    refused.is_problem(503, "the database is not ready; try again");
    // Reading goes on.
    assert_eq!(app.get("/api/v2/entries/Apple").status, 200);
    drop(lock);
    assert_eq!(app.put("/api/v2/entries/Apple", &json!({"definition": "now"})).status, 200);
}
