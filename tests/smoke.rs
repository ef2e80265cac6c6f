//! The test of a deployment, tested: it passes where all is well, names what is not, and leaves
//! nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ::smoke::{Options, Report, Status};
use katas_host::manifest::Manifest;
use migrate::{Database, Project, UpOptions};
use serde_json::{Value, json};

use crate::support::{App, RUNTIME, cluster, root};

fn options(app: &App) -> Options {
    Options::new(app.base().parse().expect("a URL"))
}

fn with_token(app: &App, token: &str) -> Options {
    Options { token: Some(token.to_owned()), ..options(app) }
}

fn smoke(options: &Options) -> Report {
    ::smoke::run(options, &AtomicUsize::new(0), &mut |_| ()).expect("it begins")
}

/// The checks that ended like this.
fn names(report: &Report, status: Status) -> Vec<&str> {
    let checks = report.checks.iter().filter(|check| check.status == status);
    checks.map(|check| check.name).collect()
}

/// What the check tells.
fn detail<'a>(report: &'a Report, name: &str) -> &'a str {
    let check = report.checks.iter().find(|check| check.name == name).expect(name);
    check.detail.as_deref().unwrap_or_default()
}

#[track_caller]
fn passed(report: &Report) {
    assert_eq!(names(report, Status::Failed), [""; 0], "{report:#?}");
    assert_eq!((report.passed, report.exit_code, &report.left[..]), (true, 0, &[][..]));
}

#[track_caller]
fn failed(report: &Report, expected: &[&str]) {
    assert_eq!(names(report, Status::Failed), expected, "{report:#?}");
    assert_eq!((report.passed, report.exit_code), (false, 1));
}

/// All rows of all tables.
fn contents(app: &App) -> BTreeMap<String, String> {
    const TABLES: &str =
        "SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'katas'";
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

/// One of each, that a smoke test must not touch.
fn populate(app: &App) {
    app.post("/api/v1/newentry", &json!({"word": "Apple", "definition": "A fruit"}));
    app.post("/api/v2/users", &json!({"username": "Ada", "email": "ada@example.com"}));
    app.put("/api/v1/price-lists/shop", &json!({"costs": {"socks": 5}}));
    app.post("/api/v1/datasets", &json!({"name": "x", "columns": ["a"], "rows": [["b"]]}));
    let order = json!({"price_list": "shop", "items": ["socks"], "tax": 0});
    assert_eq!(app.post("/api/v1/receipts", &order).status, 201);
}

/// What writes, and is refused where a token is missing.
const WRITING: [&str; 7] =
    ["dictionary-v1", "dictionary-v2", "users", "price-lists", "receipts", "datasets", "runs"];

#[test]
fn all_is_well_and_the_database_is_as_it_was() {
    let app = App::start();
    populate(&app);
    let before = contents(&app);
    let report = smoke(&options(&app));
    passed(&report);
    assert_eq!(names(&report, Status::Skipped), ["token"]);
    assert_eq!(contents(&app), before);
}

#[test]
fn every_component_is_called() {
    let app = App::start();
    let report = smoke(&options(&app));
    let called = || -> BTreeSet<String> {
        let lines = app.log();
        let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours = lines.filter(|line| line["trace_id"] == report.trace_id.as_str());
        ours.filter_map(|line| Some(line["component"].as_str()?.to_owned())).collect()
    };
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    // The last lines come after the last answer.
    app.wait_for_log("{\"component\":\"runs\"", 4);
    assert_eq!(called(), manifest.component.into_keys().collect());
}

#[test]
fn a_deployment_with_a_token_is_tested_with_it() {
    let app = App::with_token("secret");
    let before = contents(&app);
    let report = smoke(&with_token(&app, "secret"));
    passed(&report);
    assert_eq!(names(&report, Status::Skipped), [""; 0]);
    assert_eq!(contents(&app), before);
}

#[test]
fn what_needs_the_token_fails_without_it_and_with_another() {
    let app = App::with_token("secret");
    for (options, reason) in [
        (options(&app), "authorization required; send Authorization: Bearer <token>"),
        (with_token(&app, "other"), "invalid token"),
    ] {
        let report = smoke(&options);
        failed(&report, &WRITING);
        for check in WRITING {
            let detail = detail(&report, check);
            assert!(detail.contains(": 401 in place of ") && detail.ends_with(reason), "{detail}");
        }
        assert_eq!(report.left, [""; 0]);
    }
}

#[test]
fn a_deployment_that_does_not_ask_for_the_token_is_open_to_everybody() {
    let app = App::start();
    let before = contents(&app);
    let report = smoke(&with_token(&app, "secret"));
    failed(&report, &["token"]);
    let expected = "POST /api/v1/newentry: 422 in place of 401: ";
    assert!(detail(&report, "token").starts_with(expected), "{report:#?}");
    assert_eq!(contents(&app), before);
}

#[test]
fn a_database_that_is_away_is_named() {
    let app = App::with(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let report = smoke(&options(&app));
    let failing = [&["db-check", "spending"][..], &WRITING].concat();
    failed(&report, &failing);
    let expected = "GET /db-check: 503 in place of 200: the database does not respond";
    assert_eq!(detail(&report, "db-check"), expected);
    assert_eq!(report.left, [""; 0]);
}

#[test]
fn a_schema_that_is_not_there_is_named() {
    let app = App::on(&cluster().create_database(false));
    let report = smoke(&options(&app));
    assert_eq!(report.exit_code, 1);
    let expected = "GET /db-check: 503 in place of 200: the schema does not exist yet";
    assert_eq!(detail(&report, "db-check"), expected);
}

#[test]
fn a_component_that_is_not_there_is_named() {
    for (component, checks) in [
        ("datasets", &["datasets", "runs"][..]),
        ("dictionary", &["dictionary-v1", "dictionary-v2"]),
        ("docs", &["docs"]),
        ("spending", &["spending", "price-lists"]),
    ] {
        let app = App::without(component);
        let before = contents(&app);
        let report = smoke(&options(&app));
        failed(&report, checks);
        assert!(detail(&report, checks[0]).contains("404 in place of 20"), "{report:#?}");
        assert_eq!(contents(&app), before, "{component}");
    }
}

/// Makes a statement on the words fail, or wait.
fn obstruct(app: &App, statement: &str, body: &str) {
    app.sql(&format!(
        "CREATE SEQUENCE times;
         CREATE FUNCTION obstruct() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN {body}; IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
         CREATE TRIGGER obstruct BEFORE {statement} ON katas.entry
             FOR EACH ROW EXECUTE FUNCTION obstruct()"
    ));
}

#[test]
fn what_was_made_is_removed_when_a_check_fails_in_the_middle() {
    let app = App::start();
    obstruct(&app, "UPDATE", "RAISE EXCEPTION 'no'");
    let before = contents(&app);
    let report = smoke(&options(&app));
    failed(&report, &["dictionary-v2"]);
    assert!(detail(&report, "dictionary-v2").contains("500 in place of 200"), "{report:#?}");
    assert_eq!(contents(&app), before);
}

#[test]
fn what_cannot_be_removed_is_told() {
    let app = App::start();
    obstruct(&app, "DELETE", "RAISE EXCEPTION 'no'");
    let report = smoke(&options(&app));
    failed(&report, &["dictionary-v1", "dictionary-v2", "cleanup"]);
    let left = |version: &str| {
        let name = &report.name;
        format!("DELETE /api/{version}/entries/{name}-dictionary-{version}: 500 in place of 204: ")
    };
    assert!(report.left[0].starts_with(&left("v1")), "{:?}", report.left);
    assert!(report.left[1].starts_with(&left("v2")), "{:?}", report.left);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "2");
}

#[test]
fn an_interrupted_one_removes_what_it_has_made() {
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
        running.join().expect("no panic").expect("it begins")
    });
    assert_eq!((report.exit_code, report.passed), (143, false));
    assert_eq!(names(&report, Status::Failed), ["dictionary-v2"], "{report:#?}");
    assert_eq!(detail(&report, "users"), "interrupted");
    assert_eq!(report.left, [""; 0]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn a_failure_that_does_not_last_is_seen_unless_retries_are_wanted() {
    let app = App::start();
    obstruct(
        &app,
        "UPDATE",
        "IF nextval('public.times') % 2 = 1 THEN RAISE EXCEPTION 'no'; END IF",
    );
    failed(&smoke(&options(&app)), &["dictionary-v2"]);
    app.sql("ALTER SEQUENCE times RESTART");
    let report = smoke(&Options { retries: 1, ..options(&app) });
    passed(&report);
    let attempts: Vec<_> = report
        .checks
        .iter()
        .filter(|it| it.attempts > 1)
        .map(|it| (it.name, it.attempts))
        .collect();
    assert_eq!(attempts, [("dictionary-v2", 2)]);
}

#[test]
fn a_deployment_that_is_still_coming_up_is_waited_for() {
    let name = cluster().create_database(false);
    let app = App::on(&name);
    let options = Options { wait: Duration::from_secs(60), ..options(&app) };
    let report = thread::scope(|scope| {
        let running = scope.spawn(|| smoke(&options));
        app.wait_for_log("{\"component\":\"health\"", 1);
        let migrator = Database::new(&cluster().migrator(&name)).expect("a URL");
        let project = Project::built_in();
        let up = migrate::up(&project, &migrator, UpOptions::default(), &|_| ());
        RUNTIME.block_on(up).expect("it is migrated");
        running.join().expect("no panic")
    });
    passed(&report);
    assert!(report.waited_ms > 0 && report.waited_ms < 60_000, "{report:#?}");
}

#[test]
fn inside_is_where_the_engines_paths_are_open() {
    let app = App::start();
    let report = smoke(&Options { inside: true, ..options(&app) });
    passed(&report);
    assert_eq!(detail(&report, "engine"), "open");
}

#[test]
fn the_evidence_has_every_call_and_no_token() {
    const TOKEN: &str = "a-\"secret\"-to-keep";
    let app = App::with_token(TOKEN);
    let folder = tempfile::tempdir().expect("a folder");
    let evidence = Some(folder.path().join("of/this"));
    let report = smoke(&Options { evidence, ..with_token(&app, TOKEN) });
    passed(&report);

    let read = |name: &str| fs::read_to_string(folder.path().join("of/this").join(name));
    let calls = read("calls.jsonl").expect("the calls are written");
    let lines = calls.lines().map(|line| serde_json::from_str(line).expect("a line is JSON"));
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), usize::try_from(report.calls).expect("it is small"));
    let added = lines.iter().find(|line| line["check"] == "dictionary-v1");
    let added = added.expect("a word was added");
    assert_eq!(added["request"]["headers"]["authorization"], "Bearer <redacted>");
    assert_eq!(added["response"]["status"], 201);
    assert!(added["response"]["body"].as_str().is_some_and(|it| it.contains(&report.name)));

    let written: Value =
        serde_json::from_str(&read("report.json").expect("so is the report")).expect("JSON");
    assert_eq!(written, serde_json::to_value(&report).expect("JSON"));
    assert_eq!((&written["format"], &written["exit_code"]), (&json!(1), &json!(0)));
    for entry in fs::read_dir(folder.path().join("of/this")).expect("a folder") {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("text");
        assert!(!text.contains("secret"), "{}", path.display());
    }
}
