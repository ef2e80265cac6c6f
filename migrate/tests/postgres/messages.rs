//! Every failure names its cause and the next step.

use std::process::Output;

use crate::support::{Database, Project, assert_failed, assert_success, migrate};

/// Asserts the exit code, and that the message contains the cause and the next step, in this order.
#[track_caller]
fn assert_message(output: &Output, code: i32, cause: &str, step: &str) {
    let event = crate::support::failed_event(output, code);
    let message = event["message"].as_str().expect("a string");
    let rest = message.split_once(cause).map(|(_, rest)| rest);
    assert!(rest.is_some_and(|rest| rest.contains(step)), "{cause:?}, {step:?} in {message:?}");
}

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id bigint);");

#[test]
fn usage_errors_name_cause_and_next_step() {
    let project = Project::new(&[ITEM, ("0002_b.up.sql", "SELECT 1;")]);
    std::fs::write(project.folder.path().join("empty"), "").expect("write file");
    std::fs::write(project.folder.path().join("schema.sql"), "SELECT 1;").expect("write file");
    let empty = project.folder.path().join("empty").display().to_string();
    for (arguments, cause, step) in [
        (&["up", "--to", "7"][..], "there is no migration 7", "its newest is 2"),
        (&["up", "--search-path", "a b"], "invalid search path `a b`", "expected schemas"),
        (&["up", "--source", "/nowhere"], "/nowhere/migrations is not a folder", "a project is"),
        (&["new", "Add"], "invalid migration name \"Add\"", "expected lower-case letters"),
        (&["repair", "--forget", "1"], "version 1 is not an unfinished", "`migrate status` lists"),
        (&["bootstrap"], "the project has no roles.sql", "write it"),
        (&["sweep"], "the project has no sweep.sql", "write it"),
        (&["up", "--database-url", "mysql://h/x"], "unsupported scheme", "expected postgres://"),
        (
            &["up", "--database-url", "postgres://h/x?a=b"],
            "parameter in the database URL: a",
            "remove it",
        ),
        (&["up", "--database-url", "postgres://h/a#b"], "`#` begins a fragment", "write %23"),
        (&["import", &empty], "cannot read ", "Not a directory"),
    ] {
        assert_message(&project.migrate(arguments), 2, cause, step);
    }
    let mut without_url = project.command(&["up"]);
    let output = without_url.env_remove("DATABASE_URL").output().expect("run migrate");
    assert_message(&output, 2, "no database URL", "or set DATABASE_URL");
    let mut empty_file = project.command(&["up", "--database-url-file", &empty]);
    let output = empty_file.env_remove("DATABASE_URL").output().expect("run migrate");
    assert_message(&output, 2, "the database URL in ", "is empty");
    let mut embedded = project.command(&["new", "a"]);
    let output = embedded.env_remove("MIGRATE_SOURCE").output().expect("run migrate");
    assert_message(&output, 2, "no target folder", "pass --source FOLDER");
    assert_success(&project.migrate(&["up"]));
    assert_message(&project.migrate(&["verify"]), 2, "schema.sql is not", "`migrate dump`");
    std::fs::remove_file(project.folder.path().join("schema.sql")).expect("remove file");
    assert_message(&project.migrate(&["verify"]), 2, "has no schema.sql", "`migrate dump`");
    for (file, cause, step) in [
        (
            "0002_c.up.sql",
            "0002_b.up.sql and 0002_c.up.sql have the same version",
            "another number",
        ),
        ("0003_c.down.sql", "0003_c.down.sql has no .up.sql", "of the same version"),
        (
            "99999999999999999999_c.sql",
            "the version 99999999999999999999 is too large",
            "the limit",
        ),
        ("c.sql", "not migrations in ", "name migrations <number>_"),
    ] {
        project.write(file, "SELECT 1;");
        assert_message(&project.migrate(&["up"]), 2, cause, step);
        project.remove(file);
    }
}

#[test]
fn integrity_errors_name_cause_and_next_step() {
    let project = Project::new(&[ITEM, ("0003_c.up.sql", "SELECT 1;")]);
    assert_success(&project.migrate(&["up"]));
    let up = || project.migrate(&["up"]);
    assert_message(&project.migrate(&["baseline"]), 3, "the ledger is not empty", "`migrate up`");
    let down = project.migrate(&["down", "--production"]);
    assert_message(&down, 3, "0003_c cannot be reverted: it has no .down.sql", "write it");
    project.write("0002_b.up.sql", "SELECT 1;");
    assert_message(&up(), 3, "0002_b is out of order", "rename it to a higher version");
    project.remove("0002_b.up.sql");
    project.write("0001_item.up.sql", "SELECT 1;");
    assert_message(&up(), 3, "0001_item has been edited", "restore the file");
    project.remove("0001_item.up.sql");
    assert_message(&up(), 3, "0001_item was applied on ", "restore the file");
    project.write(ITEM.0, ITEM.1);
    for (text, cause, step) in [
        ("SELECT 1;\nCOMMIT;", "0004_d.up.sql:2: This ends the transaction", "Remove it"),
        ("VACUUM;", "0004_d.up.sql:1: This cannot run in a transaction", "`-- no-transaction`"),
        ("\\i a.sql", "0004_d.up.sql:1: This is a command of psql", "Remove it"),
        ("COPY app.item FROM stdin;", "0004_d.up.sql:1: A migration has no client", "`INSERT`"),
        ("SET search_path = app;", "0004_d.up.sql changes search_path", "RESET search_path"),
    ] {
        project.write("0004_d.up.sql", text);
        assert_message(&up(), 3, cause, step);
    }
}

#[test]
fn statement_errors_name_cause_and_next_step() {
    for (text, cause, step) in [
        ("SELECT 1 / 0;", "0001_a.up.sql:1: division by zero (22012)", "fix the file"),
        ("CREATE TABLE a ();", "no schema has been selected", "--search-path"),
        (
            "GRANT USAGE ON SCHEMA app TO missing_role;",
            "\"missing_role\" does not",
            "`migrate boot",
        ),
        ("-- no-transaction\nSELECT 1;\nSELECT 1 / 0;", ":3: division by zero", "to resume with"),
    ] {
        let project = Project::new(&[("0001_a.up.sql", text)]);
        assert_message(&project.migrate(&["up"]), 4, cause, step);
    }
}

#[test]
fn rejected_connections_name_cause_and_next_step() {
    let database = Database::new();
    let run = |url: &str, arguments: &[&str]| {
        let arguments = [arguments, &["--wait", "0"]].concat();
        let mut command = migrate(url, &arguments);
        command.env_remove("MIGRATE_LOG").output().expect("run migrate")
    };
    let wrong_password = database.migrator.replace("m-secret", "wrong-secret");
    let wrong_name = database.migrator.replace("/test_", "/missing_");
    for (url, arguments, code, cause, step) in [
        (&*wrong_password, &["up"][..], 9, "password authentication failed", "check the user and"),
        (&wrong_name, &["up"], 9, "does not exist (3D000)", "create the database"),
        (&database.administrator, &["up"], 9, "as a superuser", "connect as the migration role"),
        (&database.app, &["up"], 9, "permission denied for ", "connect as the migration role"),
        (
            &database.app,
            &["bootstrap"],
            9,
            "permission denied",
            "connect as a superuser or as a role",
        ),
        (
            &database.migrator,
            &["up", "--role", "missing"],
            9,
            "\"missing\" does not exist",
            "--role",
        ),
        (&database.migrator, &["seed"], 9, "a production database", "--environment development"),
        (&database.migrator, &["down"], 9, "a production database", "or pass --production"),
        ("postgres://u@127.0.0.1:1/x", &["up"], 75, "127.0.0.1:1/x: ", "is the server running?"),
        (
            "postgres:///x?host=/nowhere",
            &["up"],
            75,
            "/nowhere:5432/x: No such",
            "is the server ru",
        ),
        (
            "postgres://u@host.invalid/x?sslmode=disable",
            &["up"],
            75,
            "failed to lookup",
            "check the host",
        ),
        (&database.migrator, &["wait", "--timeout", "0"], 75, "at version 0", "run `migrate up`"),
        (&database.migrator, &["status", "--check"], 5, "pending migrations", "run `migrate up`"),
    ] {
        assert_message(&run(url, arguments), code, cause, step);
    }
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn contention_and_lint_name_cause_and_next_step() {
    let project = Project::new(&[ITEM]);
    assert_success(&project.migrate(&["up"]));
    project.write("0002_b.up.sql", "ALTER TABLE app.item DROP COLUMN id;");
    assert_message(&project.migrate(&["lint"]), 7, "lint findings: 1", "fix the files");
    let held = project.hold("LOCK TABLE app.item");
    let up = project.migrate(&["up", "--lock-timeout", "0.1", "--retry", "0"]);
    assert_message(&up, 75, "lock timeout", "run the same command again later");
    drop(held);
    assert_failed(&project.migrate(&["up", "--deadline", "0"]), 75, "run the same command again");
}
