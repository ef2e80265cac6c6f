//! Migrations that run in one transaction: they cannot leave it, and errors name file and line.

use crate::support::{Project, assert_failed, assert_success, failed_event};

const NOTHING: &str = "SELECT coalesce(to_regnamespace('app')::text, 'nothing')";

#[test]
fn statement_that_ends_transaction_is_rejected_before_any_change() {
    for (statement, text) in [
        ("COMMIT", "This ends the transaction in which the file runs"),
        ("commit and chain", "This ends the transaction in which the file runs"),
        ("ROLLBACK", "This ends the transaction in which the file runs"),
        ("BEGIN", "This ends the transaction in which the file runs"),
        ("START TRANSACTION", "This ends the transaction in which the file runs"),
        ("PREPARE TRANSACTION 'x'", "This ends the transaction in which the file runs"),
        ("CREATE INDEX CONCURRENTLY i ON app.item (id)", "This cannot run in a transaction"),
        ("VACUUM app.item", "This cannot run in a transaction"),
        ("COPY app.item FROM STDIN", "A migration has no client to copy from or to"),
        ("copy (select 1) to stdout", "A migration has no client to copy from or to"),
    ] {
        let project = Project::new(&[
            ("0001_item.up.sql", "CREATE TABLE app.item (id int);"),
            ("0002_ends.up.sql", &format!("-- A comment; with a semicolon.\n\n{statement};")),
        ]);
        let refused = project.migrate(&["up"]);
        assert_failed(&refused, 3, &format!("0002_ends.up.sql:3: {text}"));
        assert_eq!(project.value(NOTHING), "nothing", "{statement}");
    }
}

#[test]
fn savepoints_and_quoted_keywords_are_accepted() {
    let project = Project::new(&[(
        "0001_item.up.sql",
        "CREATE TABLE app.item (text text);
         SAVEPOINT here;
         INSERT INTO app.item VALUES ('gone');
         ROLLBACK TO SAVEPOINT here;
         INSERT INTO app.item VALUES ('COMMIT; BEGIN');
         -- COMMIT;
         DO $$ BEGIN INSERT INTO app.item VALUES ('done'); END $$;
         SET CONSTRAINTS ALL DEFERRED;",
    )]);
    assert_success(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (\"COMMIT; BEGIN\")\nrow (done)"));
}

#[test]
fn commit_in_procedural_code_fails_and_is_rolled_back() {
    for statement in ["DO $$ BEGIN COMMIT; END $$", "CALL public.commits()"] {
        let file = format!("CREATE TABLE app.item ();\n{statement};");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        project.sql("CREATE PROCEDURE public.commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
        let failed = failed_event(&project.migrate(&["up"]), 4);
        assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&2.into(), &"2D000".into()));
        let table = "SELECT coalesce(to_regclass('app.item')::text, 'nothing')";
        assert_eq!(project.value(table), "nothing");
        assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
    }
}

#[test]
fn changed_role_or_search_path_is_rejected_and_rolled_back() {
    for (statement, text) in [
        ("SET ROLE other_role", "0001_item.up.sql changes the role to other_role"),
        ("SET search_path = public", "0001_item.up.sql changes search_path"),
        (
            "SELECT set_config('search_path', 'public', false)",
            "0001_item.up.sql changes search_path",
        ),
        // Otherwise the wrong role would write the ledger.
        ("DO 'BEGIN SET ROLE other_role; END'", "changes the role to other_role"),
    ] {
        let file = format!("CREATE TABLE app.item (); {statement};");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        project.sql(
            "DO $$ BEGIN CREATE ROLE other_role;
             EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             GRANT other_role TO tester",
        );
        assert_failed(&project.migrate(&["up"]), 3, text);
        let table = "SELECT coalesce(to_regclass('app.item')::text, 'nothing')";
        assert_eq!(project.value(table), "nothing", "{statement}");
    }
}

#[test]
fn settings_are_reset_after_their_file() {
    let project = Project::new(&[
        (
            "0001_item.up.sql",
            "SET lock_timeout = '7s';
             CREATE TABLE app.item (text text);
             SET search_path = app;
             INSERT INTO item VALUES (current_setting('lock_timeout'));
             RESET search_path;",
        ),
        (
            "0002_more.up.sql",
            "SET LOCAL statement_timeout = '8s';
             INSERT INTO app.item VALUES (current_setting('lock_timeout'));",
        ),
        ("0003_more.up.sql", "INSERT INTO app.item VALUES (current_setting('statement_timeout'));"),
    ]);
    let up = ["up", "--lock-timeout", "2", "--statement-timeout", "3"];
    assert_success(&project.migrate(&up));
    assert!(project.snapshot().ends_with("row (2s)\nrow (3s)\nrow (7s)"));
}

#[test]
fn role_that_is_reset_is_accepted() {
    let project = Project::new(&[(
        "0001_item.up.sql",
        "GRANT CREATE, USAGE ON SCHEMA app TO a_third;
         SET ROLE a_third;
         CREATE TABLE app.item ();
         RESET ROLE;",
    )]);
    project.sql("CREATE ROLE a_third; GRANT a_third TO tester");
    assert_success(&project.migrate(&["up"]));
    let owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'item'";
    assert_eq!(project.value(owner), "a_third");
}

#[test]
fn failed_statement_is_reported_with_line_and_sqlstate() {
    for (file, line, code, statement) in [
        ("SELECT 1;\n\nSELEC 2;", 3, "42601", "SELEC 2"),
        // PostgreSQL reports the position within the statement.
        ("SELECT 1,\n  2,\n  nothing_of_that_name;", 3, "42703", "SELECT 1, 2, nothing_of"),
        ("/* é\n; */ -- ';\nSELECT\n  1 / 0;", 3, "22012", "SELECT 1 / 0"),
        ("SELECT 'é\né', x;", 2, "42703", "SELECT 'é é', x"),
        (
            "CREATE FUNCTION app.f() RETURNS int LANGUAGE plpgsql AS $body$\nBEGIN\n  -- ;\n  RETURN 1 \
             / 0;\nEND\n$body$;\nSELECT app.f();",
            7,
            "22012",
            "SELECT app.f()",
        ),
        (
            "CREATE TABLE app.a (id int PRIMARY KEY);\nCREATE TABLE app.b (a int REFERENCES app.a \
             DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO app.b VALUES (1);",
            3,
            "23503",
            "COMMIT",
        ),
        // Errors about server resources are reported with the line, too.
        (
            "SELECT 1;\nDO $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$",
            2,
            "53100",
            "DO $$",
        ),
    ] {
        let project = Project::new(&[("0001_wrong.up.sql", file)]);
        let output = project.migrate(&["up"]);
        let failed = failed_event(&output, 4);
        assert_eq!(failed["kind"], "sql");
        let sql = &failed["sql"];
        assert_eq!((&sql["file"], &sql["line"]), (&"0001_wrong.up.sql".into(), &line.into()));
        assert_eq!(sql["code"], code, "{file}");
        let text = sql["statement"].as_str().expect("a string");
        assert!(text.starts_with(statement), "{text}");
        let next = "the whole file was rolled back; fix the file, then run `migrate up` again";
        assert_eq!(sql["next"], next);
        let message = failed["message"].as_str().expect("a string");
        for part in [&format!("0001_wrong.up.sql:{line}: "), code, statement, next] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
    }
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn statement_timeout_error_hints_at_option() {
    let project = Project::new(&[("0001_long.up.sql", "\nSELECT pg_sleep(600)")]);
    let failed = failed_event(&project.migrate(&["up", "--statement-timeout", "0.1"]), 4);
    assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&2.into(), &"57014".into()));
    let hint = failed["sql"]["hint"].as_str().expect("a string");
    assert!(hint.contains("--statement-timeout"), "{hint}");
}

#[test]
fn terminated_session_exits_with_75() {
    let project = Project::new(&[(
        "0001_ended.up.sql",
        "SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());",
    )]);
    let failed = failed_event(&project.migrate(&["up"]), 75);
    let message = failed["message"].as_str().expect("a string");
    assert!(message.starts_with("0001_ended.up.sql:2: "), "{message}");
    assert!(message.contains("57P01"), "{message}");
}

#[test]
fn missing_privilege_is_reported_with_line() {
    let sql = "CREATE TABLE app.item (id int);\nCREATE ROLE other_role;";
    let project = Project::new(&[("0001_item.up.sql", sql)]);
    let text = "0001_item.up.sql:2: permission denied to create role (42501)";
    assert_failed(&project.migrate(&["up"]), 9, text);
    assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
}

#[test]
fn session_state_does_not_reach_the_next_file() {
    const LEAVES: &str = "CREATE TABLE app.item (text text);
         PREPARE left_over AS SELECT 1;
         DECLARE left_over CURSOR WITH HOLD FOR SELECT 1;
         CREATE TEMPORARY TABLE left_over ();
         LISTEN left_over;
         SELECT pg_advisory_lock(7), pg_advisory_lock(7), pg_advisory_lock_shared(8, -9);
         SET DateStyle = 'German'; SET bytea_output = 'escape'; SET row_security = on;
         SET default_transaction_isolation = 'serializable';
         SET default_transaction_read_only = on;
         DEALLOCATE ALL;
         PREPARE left_over AS SELECT 1;";
    const READS: &str = "INSERT INTO app.item SELECT concat_ws(' ',
           (SELECT count(*) FROM pg_prepared_statements WHERE name = 'left_over'),
           (SELECT count(*) FROM pg_cursors WHERE name = 'left_over'),
           coalesce(to_regclass('pg_temp.left_over')::text, 'none'),
           (SELECT count(*) FROM pg_listening_channels()),
           (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
           current_setting('DateStyle'), current_setting('bytea_output'),
           current_setting('row_security'), current_setting('transaction_isolation'),
           current_setting('transaction_read_only'))";
    for first in [LEAVES.to_owned(), format!("-- no-transaction\n{LEAVES}")] {
        for second in [READS.to_owned(), format!("-- no-transaction\n{READS}")] {
            let project =
                Project::new(&[("0001_item.up.sql", &first), ("0002_more.up.sql", &second)]);
            assert_success(&project.migrate(&["up"]));
            let row = "row (\"0 0 none 0 1 ISO, MDY hex off read committed off\")";
            let snapshot = project.snapshot();
            assert!(snapshot.ends_with(row), "{snapshot}");
        }
    }
}

#[test]
fn file_that_releases_the_lock_is_rejected_and_rolled_back() {
    for begin in ["", "-- no-transaction\n"] {
        let file = format!("{begin}CREATE TABLE app.item (); SELECT pg_advisory_unlock_all();");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        let text = "0001_item.up.sql has released the migration lock";
        assert_failed(&project.migrate(&["up"]), 3, text);
        assert_eq!(
            project.value("SELECT count(*)::text FROM app._sqlx_migrations WHERE success"),
            "0"
        );
    }
    // The procedure commits, so the next write to the ledger notices.
    let project =
        Project::new(&[("0001_item.up.sql", "-- no-transaction\nCALL public.releases();")]);
    project.sql(
        "CREATE PROCEDURE public.releases() LANGUAGE plpgsql AS $$ BEGIN
           PERFORM pg_advisory_unlock_all(); COMMIT;
         END $$",
    );
    assert_failed(&project.migrate(&["up"]), 3, "has released the migration lock");
}

#[test]
fn file_that_prevents_its_record_is_rejected() {
    for (statement, text) in [
        ("SET TRANSACTION READ ONLY", "0001_item.up.sql makes its transaction read-only"),
        ("SET client_encoding = 'LATIN1'", "0001_item.up.sql changes client_encoding to LATIN1"),
    ] {
        let file = format!("CREATE TABLE app.item (); {statement};");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        assert_failed(&project.migrate(&["up"]), 3, text);
        assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
    }
}

#[test]
fn secret_in_failed_statement_is_not_reported() {
    for (statement, code) in [
        ("ALTER ROLE missing_role PASSWORD 'x-secret'", "42704"),
        // PostgreSQL quotes the literal in its message.
        ("ALTER ROLE tester PASSWORD 'x-secret' 'y-secret'", "42601"),
        ("DO $$ BEGIN ALTER ROLE missing_role PASSWORD 'x-secret'; END $$", "42704"),
    ] {
        let project = Project::new(&[("0001_role.up.sql", statement)]);
        let folder = tempfile::tempdir().expect("create temp dir");
        let message = folder.path().join("termination-log");
        std::fs::write(&message, "").expect("write file");
        let log = message.to_str().expect("UTF-8 path");
        let failed = failed_event(&project.migrate(&["up", "--termination-log", log]), 4);
        assert_eq!(failed["sql"]["code"], code, "{statement}");
        let message = std::fs::read_to_string(&message).expect("read file");
        assert!(message.contains(code) && !message.contains("-secret"), "{message}");
    }
}
