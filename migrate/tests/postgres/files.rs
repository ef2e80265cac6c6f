//! Files that are a transaction: they stay within it, and what fails in them is told with its place.

use crate::support::{Project, assert_done, assert_failed, failure, has_timers};

const NOTHING: &str = "SELECT coalesce(to_regnamespace('app')::text, 'nothing')";

#[test]
fn what_would_end_the_transaction_is_refused_before_anything_is_done() {
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
fn what_stays_within_the_transaction_is_fine() {
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
    assert_done(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (\"COMMIT; BEGIN\")\nrow (done)"));
}

#[test]
fn code_that_commits_is_refused_and_rolled_back() {
    for statement in ["DO $$ BEGIN COMMIT; END $$", "CALL public.commits()"] {
        let file = format!("CREATE TABLE app.item ();\n{statement};");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        project.sql("CREATE PROCEDURE public.commits() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
        let failed = failure(&project.migrate(&["up"]), 4);
        assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&2.into(), &"2D000".into()));
        let left = "SELECT coalesce(to_regclass('app.item')::text, 'nothing')";
        assert_eq!(project.value(left), "nothing");
        assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
    }
}

#[test]
fn a_role_or_search_path_that_is_left_behind_is_refused_and_rolled_back() {
    for (statement, text) in [
        ("SET ROLE somebody_else", "0001_item.up.sql changes the role to somebody_else"),
        ("SET search_path = public", "0001_item.up.sql changes search_path"),
        (
            "SELECT set_config('search_path', 'public', false)",
            "0001_item.up.sql changes search_path",
        ),
        // The ledger is written to by who has set out to do so.
        ("DO 'BEGIN SET ROLE somebody_else; END'", "changes the role to somebody_else"),
    ] {
        let file = format!("CREATE TABLE app.item (); {statement};");
        let project = Project::new(&[("0001_item.up.sql", &file)]);
        project.sql(
            "DO $$ BEGIN CREATE ROLE somebody_else;
             EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             GRANT somebody_else TO tester",
        );
        assert_failed(&project.migrate(&["up"]), 3, text);
        let left = "SELECT coalesce(to_regclass('app.item')::text, 'nothing')";
        assert_eq!(project.value(left), "nothing", "{statement}");
    }
}

#[test]
fn settings_end_with_their_file() {
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
    assert_done(&project.migrate(&up));
    assert!(project.snapshot().ends_with("row (2s)\nrow (3s)\nrow (7s)"));
}

#[test]
fn a_role_that_is_given_back_is_fine() {
    let project = Project::new(&[(
        "0001_item.up.sql",
        "GRANT CREATE, USAGE ON SCHEMA app TO a_third;
         SET ROLE a_third;
         CREATE TABLE app.item ();
         RESET ROLE;",
    )]);
    project.sql("CREATE ROLE a_third; GRANT a_third TO tester");
    assert_done(&project.migrate(&["up"]));
    let owner = "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'item'";
    assert_eq!(project.value(owner), "a_third");
}

/// The mistakes of a file, by line, SQLSTATE, and the beginning of the statement.
#[test]
fn a_mistake_is_told_with_its_place() {
    for (file, line, code, statement) in [
        ("SELECT 1;\n\nSELEC 2;", 3, "42601", "SELEC 2"),
        // PostgreSQL tells where in the statement it is.
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
        // What the server lacks is missing at a place, too.
        (
            "SELECT 1;\nDO $$ BEGIN RAISE 'full' USING ERRCODE = '53100'; END $$",
            2,
            "53100",
            "DO $$",
        ),
    ] {
        let project = Project::new(&[("0001_wrong.up.sql", file)]);
        let output = project.migrate(&["up"]);
        let failed = failure(&output, 4);
        assert_eq!(failed["kind"], "sql");
        let sql = &failed["sql"];
        assert_eq!((&sql["file"], &sql["line"]), (&"0001_wrong.up.sql".into(), &line.into()));
        assert_eq!(sql["code"], code, "{file}");
        let text = sql["statement"].as_str().expect("it is text");
        assert!(text.starts_with(statement), "{text}");
        let next = "the whole file was rolled back; fix the file, then run `migrate up` again";
        assert_eq!(sql["next"], next);
        let message = failed["message"].as_str().expect("it is text");
        for part in [&format!("0001_wrong.up.sql:{line}: "), code, statement, next] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
    }
}

#[test]
fn a_statement_that_takes_too_long_is_told_so() {
    if !has_timers() {
        return;
    }
    let project = Project::new(&[("0001_long.up.sql", "\nSELECT pg_sleep(600)")]);
    let failed = failure(&project.migrate(&["up", "--statement-timeout", "0.1"]), 4);
    assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&2.into(), &"57014".into()));
    let hint = failed["sql"]["hint"].as_str().expect("it is text");
    assert!(hint.contains("--statement-timeout"), "{hint}");
}

#[test]
fn a_statement_whose_session_is_ended_by_somebody_is_worth_another_try() {
    let project = Project::new(&[(
        "0001_ended.up.sql",
        "SELECT 1;\nSELECT pg_terminate_backend(pg_backend_pid());",
    )]);
    let failed = failure(&project.migrate(&["up"]), 75);
    let message = failed["message"].as_str().expect("it is text");
    assert!(message.starts_with("0001_ended.up.sql:2: "), "{message}");
    assert!(message.contains("57P01"), "{message}");
}

#[test]
fn a_right_that_is_missing_is_told_with_its_place() {
    let sql = "CREATE TABLE app.item (id int);\nCREATE ROLE somebody_else;";
    let project = Project::new(&[("0001_item.up.sql", sql)]);
    let text = "0001_item.up.sql:2: permission denied to create role (42501)";
    assert_failed(&project.migrate(&["up"]), 9, text);
    assert_eq!(project.value("SELECT count(*)::text FROM app._sqlx_migrations"), "0");
}
