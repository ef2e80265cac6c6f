//! The binary, as a Job runs it: what it does to a real database, and how it ends.

use std::process::{Command, Output};
use std::thread;

use sqlx::migrate::Migrate;
use sqlx::{Connection, PgConnection};

use crate::support::{Database, RUNTIME, assert_ended, has_timers, migrate, server, sql, value};

/// A database whose second migration will fail: it can make its table, but not the constraint's
/// index.
fn with_something_in_the_way() -> Database {
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

/// How many migrations there are: their numbers may have gaps.
fn count() -> usize {
    let files =
        std::fs::read_dir("../db/migrations").expect("a folder").map(|it| it.expect("a file"));
    files.filter(|it| it.path().to_string_lossy().ends_with(".up.sql")).count()
}

#[test]
fn up_applies_everything_and_then_nothing() {
    let database = Database::new();
    let all = format!("the schema is at version {} ({} applied)", newest(), count());
    assert_ended(&database.migrate(&["up"]), 0, &all);
    assert_eq!(database.value(VERSION), newest());
    let nothing = format!("the schema is at version {} (0 applied)", newest());
    assert_ended(&database.migrate(&["up"]), 0, &nothing);
}

#[test]
fn ten_at_once_apply_everything_once() {
    let database = Database::new();
    let outputs: Vec<_> = thread::scope(|scope| {
        let runs: Vec<_> = (0..10).map(|_| scope.spawn(|| database.migrate(&["up"]))).collect();
        runs.into_iter().map(|run| run.join().expect("no panic")).collect()
    });
    let mut applied = 0;
    for output in &outputs {
        assert_ended(output, 0, &format!("the schema is at version {}", newest()));
        let told = String::from_utf8_lossy(&output.stderr);
        applied += told.lines().filter(|line| line.starts_with("applied ")).count();
    }
    assert_eq!(applied, count());
}

#[test]
fn up_waits_for_the_database() {
    let mut server = server();
    let database = Database::on(&server);
    server.stop();
    let running = database.migrate_until(&["up"], "waiting for the database: 127.0.0.1:");
    RUNTIME.block_on(server.restart()).expect("it starts again");
    assert_ended(&running.end(), 0, "the schema is at version");
}

#[test]
fn up_waits_for_another_runner_even_for_that_of_sqlx() {
    let database = Database::new();
    let mut other = RUNTIME.block_on(PgConnection::connect(&database.migrator)).expect("connects");
    RUNTIME.block_on(other.lock()).expect("nobody else has it");
    let busy = database.migrate(&["up", "--lock-wait", "0"]);
    assert_ended(&busy, 75, "the migration lock is held by process ");
    let running = database.migrate_until(&["up"], "waiting for the lock, held by process ");
    RUNTIME.block_on(other.unlock()).expect("it has it");
    assert_ended(&running.end(), 0, "the schema is at version");
}

#[test]
fn up_goes_on_where_a_killed_one_was() {
    if !has_timers() {
        return;
    }
    let database = Database::new();
    database.sql("CREATE SCHEMA katas AUTHORIZATION katas_owner");
    // Whoever makes the same table has to wait.
    let held = database.hold("CREATE TABLE katas.entry ()");
    let killed = database.migrate_until(&["up"], "lock timeout");
    killed.kill();
    drop(held);
    let output = database.migrate(&["up"]);
    assert_ended(&output, 0, "applied 0002_dictionary");
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    let database = with_something_in_the_way();
    let failed = database.migrate(&["up"]);
    assert_ended(
        &failed,
        4,
        "0002_dictionary.up.sql:3: relation \"entry_pkey\" already exists (42P07)",
    );
    let table = "SELECT coalesce(to_regclass('katas.entry')::text, 'none')";
    assert_eq!((database.value(VERSION), database.value(table)), ("1".into(), "none".into()));
    database.sql("DROP TABLE katas.other");
    assert_ended(&database.migrate(&["up"]), 0, "applied 0002_dictionary");
}

#[test]
fn an_edited_migration_is_refused_before_anything_is_done() {
    let database = with_something_in_the_way();
    assert_ended(&database.migrate(&["up"]), 4, "0002_dictionary.up.sql");
    database.sql("UPDATE katas._sqlx_migrations SET checksum = ''; DROP TABLE katas.other");
    for command in ["up", "status"] {
        let refused = database.migrate(&[command]);
        assert_ended(&refused, 3, "0001_schema has been edited since it was applied");
    }
    assert_eq!(database.value(VERSION), "1");
}

#[test]
fn a_migration_that_this_build_does_not_have_is_refused() {
    let database = Database::new();
    assert_ended(&database.migrate(&["up"]), 0, "");
    let insert = "INSERT INTO katas._sqlx_migrations
                  (version, description, success, checksum, execution_time) VALUES";
    database.sql(&format!("{insert} (0, 'lost', true, '', 0)"));
    assert_ended(&database.migrate(&["up"]), 3, "0000_lost was applied on ");
}

#[test]
fn a_newer_schema_is_left_alone() {
    let database = Database::new();
    assert_ended(&database.migrate(&["up"]), 0, "");
    let insert = "INSERT INTO katas._sqlx_migrations
                  (version, description, success, checksum, execution_time) VALUES";
    database.sql(&format!("{insert} (9000, 'of tomorrow', true, '', 0)"));
    assert_ended(&database.migrate(&["up"]), 0, "the schema is at version 9000 (0 applied)");
    let status = database.migrate(&["status", "--check"]);
    assert_ended(&status, 0, "9000_of_tomorrow");
    assert_ended(&status, 0, "unknown to this build");
    assert_ended(&database.migrate(&["wait"]), 0, "the schema is at version 9000");
}

#[test]
fn status_tells_what_is_applied_and_touches_nothing() {
    let database = Database::new();
    // A word of its own: a migration may be about spending.
    let pending = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter(|line| line.split_whitespace().any(|word| word == "pending")).count()
    };
    let before = database.migrate(&["status"]);
    assert_ended(&before, 0, "0001_schema");
    assert_eq!(pending(&before), count());
    let checked = database.migrate(&["status", "--check"]);
    assert_ended(&checked, 5, "; run `migrate up`");
    let schema = "SELECT coalesce(to_regnamespace('katas')::text, 'none')";
    assert_eq!(database.value(schema), "none");
    assert_ended(&database.migrate(&["up"]), 0, "");
    let applied = database.migrate(&["status", "--check"]);
    assert_ended(&applied, 0, "0001_schema");
    assert_eq!(pending(&applied), 0);
    // The components' role may ask as well.
    let asked = migrate(&database.app, &["status", "--check"]).output().expect("it runs");
    assert_ended(&asked, 0, "applied 2");
}

#[test]
fn wait_ends_once_the_schema_is_there() {
    let database = Database::new();
    let waiting = format!("the schema is at version 0; waiting for version {}", newest());
    let late = database.migrate(&["wait", "--timeout", "0"]);
    assert_ended(&late, 75, &waiting);
    let running = database.migrate_until(&["wait"], &waiting);
    assert_ended(&database.migrate(&["up"]), 0, "");
    assert_ended(&running.end(), 0, &format!("the schema is at version {}", newest()));
    let future = database.migrate(&["wait", "--min-version", "9000", "--timeout", "0"]);
    assert_ended(&future, 75, "waiting for version 9000");
}

#[test]
fn who_may_not_is_told_so() {
    let database = Database::new();
    let app = migrate(&database.app, &["up"]).output().expect("it runs");
    assert_ended(&app, 9, "permission denied");
    for (from, to, text) in [
        ("m-secret", "wrong-secret", "password authentication failed"),
        ("katas_migrator", "nobody_here", "password authentication failed"),
        ("test_", "missing_", "does not exist (3D000)"),
    ] {
        let url = database.migrator.replace(from, to);
        let refused = migrate(&url, &["up"]).output().expect("it runs");
        assert_ended(&refused, 9, text);
    }
}

#[test]
fn a_database_without_the_roles_says_what_to_do() {
    let server = server();
    let url = server.administrator("postgres");
    let refused = migrate(&url, &["up"]).output().expect("it runs");
    assert_ended(&refused, 9, "refusing to run as a superuser");
    let refused = migrate(&url, &["up", "--allow-superuser"]).output().expect("it runs");
    assert_ended(&refused, 4, "run `migrate bootstrap`");
}

#[test]
fn nobody_there_is_worth_another_try() {
    let url = "postgres://u:p-secret@127.0.0.1:1/x";
    let refused = migrate(url, &["up", "--wait", "0"]).output().expect("it runs");
    assert_ended(&refused, 75, "127.0.0.1:1/x: ");
}

#[test]
fn a_mistake_in_the_command_line_is_2() {
    let mut without = Command::new(env!("CARGO_BIN_EXE_migrate"));
    let without = without.arg("up").env_remove("DATABASE_URL").output().expect("it runs");
    assert_ended(&without, 2, "or set DATABASE_URL");
    for (url, arguments) in [
        ("postgres://u:p-secret@h:port/x", &["up"][..]),
        ("mysql://u:p-secret@h/x", &["up"]),
        ("postgres://h/x", &["sideways"]),
        ("postgres://h/x", &["bootstrap", "--password=katas_app"]),
        ("postgres://h/x", &["bootstrap", "--password=katas_app=/nowhere"]),
    ] {
        let refused = migrate(url, arguments).output().expect("it runs");
        assert_ended(&refused, 2, "");
    }
}

#[test]
fn a_password_is_not_written_to_the_servers_log() {
    let server = server();
    sql(&server.administrator("postgres"), "ALTER SYSTEM SET log_statement = 'all'");
    sql(&server.administrator("postgres"), "SELECT pg_reload_conf()");
    Database::on(&server);
    let log = std::fs::read_to_string(server.log()).expect("it is readable");
    assert!(log.contains("ALTER ROLE katas_app PASSWORD 'SCRAM-SHA-256$"), "{log}");
    assert!(!log.contains("-secret"), "{log}");
}

#[test]
fn sweep_removes_what_is_gone_and_nothing_else() {
    let database = Database::new();
    assert_ended(&database.migrate(&["up"]), 0, "");
    assert_ended(&database.migrate(&["sweep"]), 0, "0 rows purged");
    database.sql(
        "INSERT INTO katas.dataset (name, columns, state, touched_at)
         SELECT state, '{a}', state, now() - age
         FROM (VALUES ('loaded', interval '1 year'), ('gone', '0'), ('loading', '1 hour'),
                      ('loading', '1 minute')) AS dataset (state, age);
         INSERT INTO katas.dataset_row (dataset, position, size, fields)
         SELECT number, position, 0, '{a}' FROM katas.dataset, generate_series(1, 60000) AS position;
         INSERT INTO katas.receipt
           (idempotency_key, body_hash, lines, ignored, subtotal, tax, tax_rate, total, created_at)
         SELECT age, '', '[]', '[]', 0, 0, 0, 0, now() - age::interval
         FROM (VALUES ('31 days'), ('29 days')) AS receipt (age)",
    );
    // Two datasets with their rows, one of them marked first, and one key.
    assert_ended(&database.migrate(&["sweep"]), 0, "120004 rows purged");
    let left = "SELECT string_agg(state || ' ' || (SELECT count(*) FROM katas.dataset_row
                                                   WHERE dataset = number), ', ' ORDER BY state)
                FROM katas.dataset";
    assert_eq!(database.value(left), "loaded 60000, loading 60000");
    let keys = "SELECT string_agg(coalesce(idempotency_key, 'none'), ', ' ORDER BY number) FROM katas.receipt";
    assert_eq!(database.value(keys), "none, 29 days");
    let app = migrate(&database.app, &["sweep"]).output().expect("it runs");
    assert_ended(&app, 9, "permission denied");
}

#[test]
fn bootstrap_sets_another_limit_of_connections() {
    let server = server();
    let url = server.administrator("postgres");
    let limit = "SELECT rolconnlimit::text FROM pg_roles WHERE rolname = 'katas_app'";
    let more = migrate(&url, &["bootstrap", "--connection-limit=katas_app=512"]).output();
    assert_ended(&more.expect("it runs"), 0, "");
    assert_eq!(value(&url, limit), "512");
    let again = migrate(&url, &["bootstrap"]).output().expect("it runs");
    assert_ended(&again, 0, "");
    assert_eq!(value(&url, limit), "80");
    let nonsense = migrate(&url, &["bootstrap", "--connection-limit=katas_app=many"]).output();
    assert_ended(&nonsense.expect("it runs"), 2, "expected a number of connections");
}
