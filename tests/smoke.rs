//! The smoke test, run against the application: it passes on a healthy deployment, reports faults,
//! and deletes its test data.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ::smoke::{Options, Report, Status, writing_checks};
use katas_host::manifest::Manifest;
use migrations::{Database, Project, UpOptions};
use serde_json::{Value, json};

use crate::support::{App, RUNTIME, cluster, root};

fn options(app: &App) -> Options {
    Options::new(app.base().parse().expect("a URL"))
}

fn with_token(app: &App, token: &str) -> Options {
    Options { token: Some(token.to_owned()), ..options(app) }
}

fn smoke(options: &Options) -> Report {
    ::smoke::run(options, &AtomicUsize::new(0), &mut |_| ()).expect("the smoke test starts")
}

/// Returns the names of the checks with this status.
fn names(report: &Report, status: Status) -> Vec<&str> {
    let checks = report.checks.iter().filter(|check| check.status == status);
    checks.map(|check| check.name).collect()
}

/// Returns the detail of a check.
fn detail<'a>(report: &'a Report, name: &str) -> &'a str {
    let check = report.checks.iter().find(|check| check.name == name).expect(name);
    check.detail.as_deref().unwrap_or_default()
}

#[track_caller]
fn assert_passed(report: &Report) {
    assert_eq!(names(report, Status::Failed), [""; 0], "{report:#?}");
    assert_eq!((report.passed, report.exit_code, &report.left[..]), (true, 0, &[][..]));
}

#[track_caller]
fn assert_failed(report: &Report, expected: &[&str]) {
    assert_eq!(names(report, Status::Failed), expected, "{report:#?}");
    assert_eq!((report.passed, report.exit_code), (false, 1));
}

/// Returns all rows by table, except for messages: those of a deleted run have no effect.
fn contents(app: &App) -> BTreeMap<String, String> {
    const TABLES: &str = "SELECT string_agg(tablename, ' ') FROM pg_tables \
         WHERE schemaname = 'katas' AND tablename <> 'outbox'";
    let rows = |table: &str| {
        let rows = format!("SELECT t::text AS row FROM katas.{table} t");
        let sql =
            format!("SELECT coalesce(json_agg(row ORDER BY row), '[]')::text FROM ({rows}) r");
        (table.to_owned(), app.value(&sql))
    };
    let contents: BTreeMap<_, _> = app.value(TABLES).split(' ').map(rows).collect();
    assert!(contents.contains_key("entry"), "{contents:?}");
    contents
}

/// Creates one resource of each kind, which the smoke test must not change.
fn populate(app: &App) {
    app.post("/api/v1/newentry", &json!({"word": "Apple", "definition": "A fruit"}));
    app.post("/api/v2/users", &json!({"username": "Ada", "email": "ada@example.com"}));
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5}}));
    app.post("/api/v1/datasets", &json!({"name": "x", "columns": ["a"], "rows": [["b"]]}));
    let order = json!({"price_list": "shop", "items": ["socks"], "tax": 0});
    assert_eq!(app.post("/api/v1/receipts", &order).status, 201);
}

#[test]
fn smoke_test_passes_and_leaves_the_database_unchanged() {
    let app = App::start();
    populate(&app);
    let before = contents(&app);
    let report = smoke(&options(&app));
    assert_passed(&report);
    assert_eq!(names(&report, Status::Skipped), ["token"]);
    assert_eq!(contents(&app), before);
}

#[test]
fn smoke_test_calls_every_component() {
    let app = App::start();
    let report = smoke(&options(&app));
    let called = || -> BTreeSet<String> {
        let lines = app.log();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let traced = lines.filter(|line| line["trace_id"] == report.trace_id.as_str());
        traced.filter_map(|line| Some(line["component"].as_str()?.to_owned())).collect()
    };
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    // A log line may follow its response.
    app.wait_for_log("{\"component\":\"runs\"", 4);
    assert_eq!(called(), manifest.component.into_keys().collect());
}

#[test]
fn smoke_test_with_the_token_passes() {
    let app = App::with_token("secret");
    let before = contents(&app);
    let report = smoke(&with_token(&app, "secret"));
    assert_passed(&report);
    assert_eq!(names(&report, Status::Skipped), [""; 0]);
    assert_eq!(contents(&app), before);
}

#[test]
fn smoke_test_with_the_token_passes_where_personal_data_is_private() {
    let app = App::with_private_reads("secret");
    for path in ["/api/v2/users", "/api/v1/receipts"] {
        app.get(path).problem(401);
    }
    let report = smoke(&with_token(&app, "secret"));
    assert_passed(&report);
    assert_eq!(names(&report, Status::Skipped), [""; 0]);
}

#[test]
fn writing_checks_without_a_valid_token_fail() {
    let app = App::with_token("secret");
    for (options, reason) in [
        (options(&app), "authorization required; send Authorization: Bearer <token>"),
        (with_token(&app, "other"), "invalid token"),
    ] {
        let report = smoke(&options);
        assert_failed(&report, &writing_checks());
        for check in writing_checks() {
            let detail = detail(&report, check);
            assert!(detail.contains(": status 401, expected "), "{detail}");
            assert!(detail.ends_with(reason), "{detail}");
        }
        assert_eq!(report.left, [""; 0]);
    }
}

#[test]
fn deployment_without_token_fails_the_token_check() {
    let app = App::start();
    let before = contents(&app);
    let report = smoke(&with_token(&app, "secret"));
    assert_failed(&report, &["token"]);
    let expected = "POST /api/v1/datasets: status 422, expected 401: ";
    assert!(detail(&report, "token").starts_with(expected), "{report:#?}");
    assert_eq!(contents(&app), before);
}

#[test]
fn unreachable_database_fails_db_check_and_writing_checks() {
    let app = App::with_url(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let report = smoke(&options(&app));
    let failing = [&["db-check", "spending"][..], &writing_checks()].concat();
    assert_failed(&report, &failing);
    let expected = "GET /db-check: status 503, expected 200: the database does not respond";
    assert_eq!(detail(&report, "db-check"), expected);
    assert_eq!(report.left, [""; 0]);
}

#[test]
fn missing_schema_fails_db_check() {
    let app = App::with_database(&cluster().create_database(false));
    let report = smoke(&options(&app));
    assert_eq!(report.exit_code, 1);
    let expected = "GET /db-check: status 503, expected 200: the schema does not exist yet";
    assert_eq!(detail(&report, "db-check"), expected);
}

#[test]
fn missing_component_fails_its_checks() {
    for (component, checks) in [
        ("datasets", &["datasets", "runs"][..]),
        ("dictionary", &["dictionary-v1", "dictionary-v2"]),
        ("docs", &["docs"]),
        ("spending", &["spending", "price-lists"]),
    ] {
        let app = App::without(component);
        let before = contents(&app);
        let report = smoke(&options(&app));
        assert_failed(&report, checks);
        assert!(detail(&report, checks[0]).contains("status 404, expected 20"), "{report:#?}");
        assert_eq!(contents(&app), before, "{component}");
    }
}

/// Runs PL/pgSQL before a statement on the entries, to make it fail or wait.
fn obstruct(app: &App, statement: &str, body: &str) {
    app.sql(&format!(
        "CREATE SEQUENCE attempts;
         CREATE FUNCTION obstruct() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN {body}; IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
         CREATE TRIGGER obstruct BEFORE {statement} ON katas.entry
             FOR EACH ROW EXECUTE FUNCTION obstruct()"
    ));
}

#[test]
fn test_data_of_failed_check_is_deleted() {
    let app = App::start();
    obstruct(&app, "UPDATE", "RAISE EXCEPTION 'no'");
    let before = contents(&app);
    let report = smoke(&options(&app));
    assert_failed(&report, &["dictionary-v2"]);
    let detail = detail(&report, "dictionary-v2");
    assert!(detail.contains("status 500, expected 200"), "{report:#?}");
    assert_eq!(contents(&app), before);
}

#[test]
fn undeletable_test_data_is_reported() {
    let app = App::start();
    obstruct(&app, "DELETE", "RAISE EXCEPTION 'no'");
    let report = smoke(&options(&app));
    assert_failed(&report, &["dictionary-v1", "dictionary-v2", "cleanup"]);
    let left = |version: &str| {
        let name = &report.name;
        let path = format!("/api/{version}/entries/{name}-dictionary-{version}");
        format!("DELETE {path}: status 500, expected 204: ")
    };
    assert!(report.left[0].starts_with(&left("v1")), "{:?}", report.left);
    assert!(report.left[1].starts_with(&left("v2")), "{:?}", report.left);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "2");
}

#[test]
fn interrupted_smoke_test_deletes_its_test_data() {
    let app = App::start();
    obstruct(&app, "UPDATE", "PERFORM pg_advisory_xact_lock(1)");
    let lock = app.hold("SELECT pg_advisory_xact_lock(1)");
    let stop = AtomicUsize::new(0);
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| ::smoke::run(&options(&app), &stop, &mut |_| ()));
        let waiting = "SELECT count(*)::text FROM pg_locks
             WHERE NOT granted AND locktype = 'advisory'
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        app.wait_for_value(waiting, "1");
        stop.store(15, Ordering::Relaxed);
        drop(lock);
        running.join().expect("no panic").expect("the smoke test starts")
    });
    assert_eq!((report.exit_code, report.passed), (143, false));
    assert_eq!(names(&report, Status::Failed), ["dictionary-v2"], "{report:#?}");
    assert_eq!(detail(&report, "users"), "interrupted");
    assert_eq!(report.left, [""; 0]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn transient_failure_passes_with_retries() {
    let app = App::start();
    obstruct(
        &app,
        "UPDATE",
        "IF nextval('public.attempts') % 2 = 1 THEN RAISE EXCEPTION 'no'; END IF",
    );
    assert_failed(&smoke(&options(&app)), &["dictionary-v2"]);
    app.sql("ALTER SEQUENCE attempts RESTART");
    let report = smoke(&Options { retries: 1, ..options(&app) });
    assert_passed(&report);
    let attempts: Vec<_> = report
        .checks
        .iter()
        .filter(|check| check.attempts > 1)
        .map(|check| (check.name, check.attempts))
        .collect();
    assert_eq!(attempts, [("dictionary-v2", 2)]);
}

#[test]
fn smoke_test_waits_for_the_migration() {
    let name = cluster().create_database(false);
    let app = App::with_database(&name);
    let options = Options { wait: Duration::from_secs(60), ..options(&app) };
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| smoke(&options));
        app.wait_for_log("{\"component\":\"health\"", 1);
        let migrator = Database::new(&cluster().migrator_url(&name)).expect("a URL");
        let project = Project::built_in();
        let up = migrations::up(&project, &migrator, UpOptions::default(), &|_| ());
        RUNTIME.block_on(up).expect("the migration succeeds");
        running.join().expect("no panic")
    });
    assert_passed(&report);
    assert!(report.waited_ms > 0 && report.waited_ms < 60_000, "{report:#?}");
}

#[test]
fn smoke_test_inside_expects_open_engine_paths() {
    let app = App::start();
    let report = smoke(&Options { inside: true, ..options(&app) });
    assert_passed(&report);
    assert_eq!(detail(&report, "engine"), "open");
}

#[test]
fn evidence_records_every_request_without_the_token() {
    const TOKEN: &str = "a-\"secret\"-to-keep";
    let app = App::with_token(TOKEN);
    let temporary = tempfile::tempdir().expect("a directory");
    let folder = temporary.path().join("missing/parents");
    let evidence = Some(folder.clone());
    let report = smoke(&Options { evidence, ..with_token(&app, TOKEN) });
    assert_passed(&report);

    let read = |name: &str| fs::read_to_string(folder.join(name)).expect(name);
    let calls = read("calls.jsonl");
    let lines = calls.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), usize::try_from(report.calls).expect("a small number"));
    let created = lines.iter().find(|line| line["check"] == "dictionary-v1");
    let created = created.expect("an entry was created");
    assert_eq!(created["request"]["headers"]["authorization"], "Bearer <redacted>");
    assert_eq!(created["response"]["status"], 201);
    let body = created["response"]["body"].as_str().unwrap_or_default();
    assert!(body.contains(&report.name), "{body}");

    let written: Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(written, serde_json::to_value(&report).expect("JSON"));
    assert_eq!((&written["format"], &written["exit_code"]), (&json!(1), &json!(0)));
    for entry in fs::read_dir(&folder).expect("a directory") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("UTF-8");
        assert!(!text.contains("secret"), "{}", path.display());
    }
}
