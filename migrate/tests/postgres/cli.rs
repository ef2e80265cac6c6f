//! The `migrate` binary as a Job runs it: its effects on a database, and its exit codes.

use std::process::{Command, Output};
use std::thread;

use sqlx::migrate::Migrate;
use sqlx::{Connection, PgConnection};

use crate::support::{Database, RUNTIME, assert_exit, migrate, server, sql, value};

/// Returns a database in which the second migration fails: it creates its table, but the name of its
/// constraint's index is in use.
fn with_conflicting_index() -> Database {
    let database = Database::new();
    database.sql(
        "CREATE SCHEMA katas AUTHORIZATION katas_owner;
         CREATE TABLE katas.other (id int CONSTRAINT entry_pkey PRIMARY KEY)",
    );
    database
}

const VERSION: &str = "SELECT max(version)::text FROM katas._sqlx_migrations";

fn newest() -> String {
    migrate::Project::built_in().newest().to_string()
}

/// Returns the number of migrations. Their version numbers may have gaps.
fn count() -> usize {
    let files =
        std::fs::read_dir("../db/migrations").expect("read dir").map(|entry| entry.expect("entry"));
    files.filter(|entry| entry.path().to_string_lossy().ends_with(".up.sql")).count()
}

#[test]
fn second_up_applies_nothing() {
    let database = Database::new();
    let first = format!("the schema is at version {} ({} applied)", newest(), count());
    assert_exit(&database.migrate(&["up"]), 0, &first);
    assert_eq!(database.value(VERSION), newest());
    let second = format!("the schema is at version {} (0 applied)", newest());
    assert_exit(&database.migrate(&["up"]), 0, &second);
}

#[test]
fn ten_concurrent_runs_apply_each_migration_once() {
    let database = Database::new();
    let outputs: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..10).map(|_| scope.spawn(|| database.migrate(&["up"]))).collect();
        runs.into_iter().map(|run| run.join().expect("join thread")).collect()
    });
    let mut applied = 0;
    for output in &outputs {
        assert_exit(output, 0, &format!("the schema is at version {}", newest()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        applied += stderr.lines().filter(|line| line.starts_with("applied ")).count();
    }
    assert_eq!(applied, count());
}

#[test]
fn up_waits_for_database_to_start() {
    let mut server = server();
    let database = Database::on(&server);
    server.stop();
    let running = database.start_until(&["up"], "waiting for the database: 127.0.0.1:");
    RUNTIME.block_on(server.restart()).expect("restart the server");
    assert_exit(&running.finish(), 0, "the schema is at version");
}

#[test]
fn up_waits_for_lock_of_sqlx_runner() {
    let database = Database::new();
    let mut other = RUNTIME.block_on(PgConnection::connect(&database.migrator)).expect("connect");
    RUNTIME.block_on(other.lock()).expect("lock");
    let busy = database.migrate(&["up", "--lock-wait", "0"]);
    assert_exit(&busy, 75, "the migration lock is held by process ");
    let running = database.start_until(&["up"], "waiting for the lock, held by process ");
    RUNTIME.block_on(other.unlock()).expect("unlock");
    assert_exit(&running.finish(), 0, "the schema is at version");
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn up_resumes_after_killed_run() {
    let database = Database::new();
    database.sql("CREATE SCHEMA katas AUTHORIZATION katas_owner");
    // Creating a table of the same name has to wait for this transaction.
    let held = database.hold("CREATE TABLE katas.entry ()");
    let killed = database.start_until(&["up"], "lock timeout");
    killed.kill();
    drop(held);
    let output = database.migrate(&["up"]);
    assert_exit(&output, 0, "applied 0002_dictionary");
}

#[test]
fn failed_migration_is_rolled_back() {
    let database = with_conflicting_index();
    let failed = database.migrate(&["up"]);
    assert_exit(
        &failed,
        4,
        "0002_dictionary.up.sql:3: relation \"entry_pkey\" already exists (42P07)",
    );
    let table = "SELECT coalesce(to_regclass('katas.entry')::text, 'none')";
    assert_eq!((database.value(VERSION), database.value(table)), ("1".into(), "none".into()));
    database.sql("DROP TABLE katas.other");
    assert_exit(&database.migrate(&["up"]), 0, "applied 0002_dictionary");
}

#[test]
fn edited_migration_is_rejected_before_any_change() {
    let database = with_conflicting_index();
    assert_exit(&database.migrate(&["up"]), 4, "0002_dictionary.up.sql");
    database.sql("UPDATE katas._sqlx_migrations SET checksum = ''; DROP TABLE katas.other");
    for command in ["up", "status"] {
        let refused = database.migrate(&[command]);
        assert_exit(&refused, 3, "0001_schema has been edited since it was applied");
    }
    assert_eq!(database.value(VERSION), "1");
}

#[test]
fn applied_migration_missing_from_build_is_rejected() {
    let database = Database::new();
    assert_exit(&database.migrate(&["up"]), 0, "");
    let insert = "INSERT INTO katas._sqlx_migrations
                  (version, description, success, checksum, execution_time) VALUES";
    database.sql(&format!("{insert} (0, 'lost', true, '', 0)"));
    assert_exit(&database.migrate(&["up"]), 3, "0000_lost was applied on ");
}

#[test]
fn newer_schema_is_left_unchanged() {
    let database = Database::new();
    assert_exit(&database.migrate(&["up"]), 0, "");
    let insert = "INSERT INTO katas._sqlx_migrations
                  (version, description, success, checksum, execution_time) VALUES";
    database.sql(&format!("{insert} (9000, 'of tomorrow', true, '', 0)"));
    assert_exit(&database.migrate(&["up"]), 0, "the schema is at version 9000 (0 applied)");
    let status = database.migrate(&["status", "--check"]);
    assert_exit(&status, 0, "9000_of_tomorrow");
    assert_exit(&status, 0, "unknown to this build");
    assert_exit(&database.migrate(&["wait"]), 0, "the schema is at version 9000");
}

#[test]
fn status_lists_migrations_and_changes_nothing() {
    let database = Database::new();
    // As a whole word: "spending" may be part of a migration's name.
    let pending = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter(|line| line.split_whitespace().any(|word| word == "pending")).count()
    };
    let before = database.migrate(&["status"]);
    assert_exit(&before, 0, "0001_schema");
    assert_eq!(pending(&before), count());
    let checked = database.migrate(&["status", "--check"]);
    assert_exit(&checked, 5, "; run `migrate up`");
    let schema = "SELECT coalesce(to_regnamespace('katas')::text, 'none')";
    assert_eq!(database.value(schema), "none");
    assert_exit(&database.migrate(&["up"]), 0, "");
    let applied = database.migrate(&["status", "--check"]);
    assert_exit(&applied, 0, "0001_schema");
    assert_eq!(pending(&applied), 0);
    // The components' role may read the status too.
    let output = migrate(&database.app, &["status", "--check"]).output().expect("run migrate");
    assert_exit(&output, 0, "applied 2");
}

#[test]
fn wait_returns_when_schema_reaches_version() {
    let database = Database::new();
    let waiting = format!("the schema is at version 0; waiting for version {}", newest());
    let late = database.migrate(&["wait", "--timeout", "0"]);
    assert_exit(&late, 75, &waiting);
    let running = database.start_until(&["wait"], &waiting);
    assert_exit(&database.migrate(&["up"]), 0, "");
    assert_exit(&running.finish(), 0, &format!("the schema is at version {}", newest()));
    let future = database.migrate(&["wait", "--min-version", "9000", "--timeout", "0"]);
    assert_exit(&future, 75, "waiting for version 9000");
}

#[test]
fn unauthorized_roles_and_missing_database_exit_with_9() {
    let database = Database::new();
    let app = migrate(&database.app, &["up"]).output().expect("run migrate");
    assert_exit(&app, 9, "permission denied");
    for (from, to, text) in [
        ("m-secret", "wrong-secret", "password authentication failed"),
        ("katas_migrator", "wrong-password", "password authentication failed"),
        ("test_", "missing_", "does not exist (3D000)"),
    ] {
        let url = database.migrator.replace(from, to);
        let refused = migrate(&url, &["up", "--wait", "0"]).output().expect("run migrate");
        assert_exit(&refused, 9, text);
    }
}

#[test]
fn missing_roles_error_names_bootstrap() {
    let server = server();
    let url = server.administrator("postgres");
    let refused = migrate(&url, &["up"]).output().expect("run migrate");
    assert_exit(&refused, 9, "refusing to run as a superuser");
    let refused = migrate(&url, &["up", "--allow-superuser"]).output().expect("run migrate");
    assert_exit(&refused, 4, "run `migrate bootstrap`");
}

#[test]
fn refused_connection_exits_with_75() {
    let url = "postgres://u:p-secret@127.0.0.1:1/x";
    let refused = migrate(url, &["up", "--wait", "0"]).output().expect("run migrate");
    assert_exit(&refused, 75, "127.0.0.1:1/x: ");
}

#[test]
fn invalid_command_line_exits_with_2() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    let output = command.arg("up").env_remove("DATABASE_URL").output().expect("run migrate");
    assert_exit(&output, 2, "or set DATABASE_URL");
    for (url, arguments) in [
        ("postgres://u:p-secret@h:port/x", &["up"][..]),
        ("mysql://u:p-secret@h/x", &["up"]),
        ("postgres://h/x", &["sideways"]),
        ("postgres://h/x", &["bootstrap", "--password=katas_app"]),
        ("postgres://h/x", &["bootstrap", "--password=katas_app=/nowhere"]),
    ] {
        let refused = migrate(url, arguments).output().expect("run migrate");
        assert_exit(&refused, 2, "");
    }
}

#[test]
fn server_log_contains_no_password() {
    let server = server();
    sql(&server.administrator("postgres"), "ALTER SYSTEM SET log_statement = 'all'");
    sql(&server.administrator("postgres"), "SELECT pg_reload_conf()");
    Database::on(&server);
    let log = std::fs::read_to_string(server.log()).expect("read server log");
    assert!(log.contains("ALTER ROLE katas_app PASSWORD 'SCRAM-SHA-256$"), "{log}");
    assert!(!log.contains("-secret"), "{log}");
}

#[test]
fn sweep_purges_only_obsolete_rows() {
    let database = Database::new();
    assert_exit(&database.migrate(&["up"]), 0, "");
    assert_exit(&database.migrate(&["sweep"]), 0, "0 rows purged");
    database.sql(
        "INSERT INTO katas.dataset (name, columns, state, touched_at)
         SELECT state, '{a}', state, now() - age
         FROM (VALUES ('loaded', interval '1 year'), ('gone', '0'), ('loading', '1 hour'),
                      ('loading', '1 minute')) AS dataset (state, age);
         INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv)
         SELECT number, row, 1, E'a\\r\\n' FROM katas.dataset, generate_series(1, 150) AS row;
         INSERT INTO katas.receipt
           (idempotency_key, body_hash, lines, ignored, subtotal, tax, tax_rate, total, created_at)
         SELECT age, '', '[]', '[]', 0, 0, 0, 0, now() - age::interval
         FROM (VALUES ('31 days'), ('29 days')) AS receipt (age)",
    );
    // Two datasets with 150 chunks each, the update that marks one of them as deleted, and one key.
    assert_exit(&database.migrate(&["sweep"]), 0, "304 rows purged");
    let datasets = "SELECT string_agg(state || ' ' || (SELECT count(*) FROM katas.dataset_chunk
                                                   WHERE dataset = number), ', ' ORDER BY state)
                FROM katas.dataset";
    assert_eq!(database.value(datasets), "loaded 150, loading 150");
    let keys = "SELECT string_agg(coalesce(idempotency_key, 'none'), ', ' ORDER BY number) FROM katas.receipt";
    assert_eq!(database.value(keys), "none, 29 days");
    let app = migrate(&database.app, &["sweep"]).output().expect("run migrate");
    assert_exit(&app, 9, "permission denied");
}

#[test]
fn connection_limit_option_overrides_roles_sql() {
    let server = server();
    let url = server.administrator("postgres");
    let limit = "SELECT rolconnlimit::text FROM pg_roles WHERE rolname = 'katas_app'";
    let output = migrate(&url, &["bootstrap", "--connection-limit=katas_app=512"]).output();
    assert_exit(&output.expect("run migrate"), 0, "");
    assert_eq!(value(&url, limit), "512");
    let again = migrate(&url, &["bootstrap"]).output().expect("run migrate");
    assert_exit(&again, 0, "");
    assert_eq!(value(&url, limit), "80");
    let invalid = migrate(&url, &["bootstrap", "--connection-limit=katas_app=many"]).output();
    assert_exit(&invalid.expect("run migrate"), 2, "expected a number of connections");
}
