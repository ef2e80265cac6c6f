//! Behavior while the database is down, and recovery after it restarts.

use std::time::{Duration, Instant};

use katas_host::local::postgres::{DATABASE, PostgresInstall};
use serde_json::json;

use crate::support::{App, Cluster, RUNTIME};

/// Waits for a response with `status`. Earlier requests may still get a closed connection from the
/// pool.
fn wait_for_status(app: &App, path: &str, status: u16) {
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

/// Checks that requests fail with 503 after `stop` and succeed once PostgreSQL is restarted.
fn assert_recovers(install: PostgresInstall, stop: fn(&mut Cluster)) {
    let mut cluster = RUNTIME.block_on(Cluster::start(install, false)).expect("the cluster starts");
    let app = App::with_url(&cluster, DATABASE, &cluster.app_url(DATABASE));
    let apple = json!({"word": "Apple", "definition": "A fruit"});
    app.post("/api/v1/newentry", &apple).assert_json(201, &apple);

    stop(&mut cluster);
    for _ in 0..3 {
        let response = app.get("/api/v1/look/Apple");
        response.assert_problem(503, "database unavailable; try again later");
        assert_eq!(response.header("retry-after"), "1");
        app.post("/api/v1/newentry", &apple).problem(503);
        app.get("/db-check").assert_problem(503, "the database does not respond");
        assert_eq!(app.get("/health").status, 200);
    }

    RUNTIME.block_on(cluster.postgres.restart()).expect("the cluster starts again");
    wait_for_status(&app, "/db-check", 200);
    wait_for_status(&app, "/api/v1/look/Apple", 200);
    app.get("/api/v1/look/Apple").assert_json(200, &apple);
}

#[test]
fn stopped_database_returns_503_and_recovers_without_application_restart() {
    assert_recovers(PostgresInstall::Any, |cluster| cluster.postgres.stop());
}

#[test]
fn crashed_database_returns_503_and_recovers_without_application_restart() {
    assert_recovers(PostgresInstall::Any, |cluster| cluster.postgres.crash());
}

#[test]
fn bundled_postgresql_recovers_like_an_installed_one() {
    assert_recovers(PostgresInstall::Bundled, |cluster| cluster.postgres.stop());
}

#[test]
fn lock_timeout_returns_503() {
    let app = App::start();
    app.put("/api/v2/entries/Apple", &json!({"definition": "A fruit"}));
    // Another session holds the row lock until its connection is dropped.
    let lock = app.hold("SELECT FROM katas.entry FOR UPDATE");
    let response = app.put("/api/v2/entries/Apple", &json!({"definition": "later"}));
    response.assert_problem(503, "database unavailable; try again later");
    // Row locks do not block reads.
    assert_eq!(app.get("/api/v2/entries/Apple").status, 200);
    drop(lock);
    assert_eq!(app.put("/api/v2/entries/Apple", &json!({"definition": "now"})).status, 200);
}
