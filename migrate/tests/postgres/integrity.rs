//! Contradictions between the ledger and the migrations are rejected before any change.

use crate::support::{Project, assert_exit, assert_failed, assert_success, failed_event};

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);\n");
const SECOND: (&str, &str) = ("0002_second.up.sql", "CREATE TABLE app.second ();\n");
const THIRD: (&str, &str) = ("0003_third.up.sql", "CREATE TABLE app.third ();\n");

/// Creates a project with three migrations, and applies the first two.
fn two_of_three_applied() -> Project {
    let project = Project::new(&[ITEM, SECOND, THIRD]);
    assert_success(&project.migrate(&["up", "--to", "2"]));
    project
}

#[test]
fn edited_and_missing_files_are_rejected_until_repaired() {
    for (change, text, sql) in [
        (
            (|project| project.write("0001_item.up.sql", "CREATE TABLE app.item (id int8);"))
                as fn(&Project),
            "0001_item has been edited since it was applied on ",
            "UPDATE app._sqlx_migrations SET checksum = '\\x",
        ),
        (
            |project| project.remove("0002_second.up.sql"),
            "0002_second was applied on ",
            "DELETE FROM app._sqlx_migrations WHERE version = 2;",
        ),
    ] {
        let project = two_of_three_applied();
        change(&project);
        let before = project.snapshot();
        for command in ["up", "status"] {
            assert_failed(&project.migrate(&[command]), 3, text);
        }
        assert_failed(&project.migrate(&["down", "--production"]), 3, text);
        let repair = project.migrate(&["repair"]);
        assert_exit(&repair, 0, sql);
        assert_exit(&repair, 0, "nothing has been changed");
        assert_eq!(project.snapshot(), before);
        assert_exit(&project.migrate(&["repair", "--yes"]), 0, "-- done");
        assert_exit(&project.migrate(&["repair"]), 0, "nothing to repair");
        assert_success(&project.migrate(&["up"]));
        assert!(project.snapshot().contains("ledger 3 third t"));
    }
}

#[test]
fn late_migration_is_rejected_without_out_of_order() {
    let project = Project::new(&[ITEM, THIRD]);
    assert_success(&project.migrate(&["up"]));
    project.write(SECOND.0, SECOND.1);
    let before = project.snapshot();
    assert_failed(&project.migrate(&["up"]), 3, "0002_second is out of order");
    assert_eq!(project.snapshot(), before);
    assert_success(&project.migrate(&["up", "--out-of-order"]));
    assert!(project.snapshot().contains("ledger 2 second t"));
}

#[test]
fn newer_database_is_left_unchanged() {
    let project = two_of_three_applied();
    assert_success(&project.migrate(&["up"]));
    project.remove("0003_third.up.sql");
    let before = project.snapshot();
    assert_exit(&project.migrate(&["up"]), 0, "the schema is at version 3 (0 applied)");
    assert_exit(&project.migrate(&["status", "--check"]), 0, "unknown to this build");
    assert_exit(&project.migrate(&["wait", "--timeout", "0"]), 0, "version 3");
    let refused = project.migrate(&["down", "--production"]);
    assert_failed(&refused, 3, "0003_third was applied by a newer build");
    assert_eq!(project.snapshot(), before);
}

#[test]
fn changed_line_endings_are_not_an_edit() {
    let project = two_of_three_applied();
    for (file, text) in [ITEM, SECOND, THIRD] {
        project.write(file, &text.replace('\n', "\r\n"));
    }
    assert_success(&project.migrate(&["up"]));
    for (file, text) in [ITEM, SECOND, THIRD] {
        project.write(file, text);
    }
    assert_exit(&project.migrate(&["status", "--check"]), 0, "version 3 of 3");
    assert_exit(&project.migrate(&["repair"]), 0, "nothing to repair");
}

#[test]
fn read_only_and_refused_commands_create_nothing() {
    let project = Project::new(&[ITEM]);
    assert_exit(&project.migrate(&["status", "--check"]), 5, "pending migrations: 1");
    assert_exit(&project.migrate(&["repair"]), 0, "nothing to repair");
    assert_failed(&project.migrate(&["down", "--to", "0"]), 9, "production database");
    let made = "SELECT coalesce(to_regnamespace('app')::text, 'nothing')";
    assert_eq!(project.value(made), "nothing");
}

#[test]
fn repair_forget_resets_unfinished_migration() {
    let project = Project::new(&[
        ITEM,
        ("0002_steps.up.sql", "-- no-transaction\nCREATE TABLE app.a ();\nSELECT 1 / 0;"),
        ("0002_steps.down.sql", "-- no-transaction\nDROP TABLE app.a;\nSELECT 1 / 0;"),
    ]);
    let forget = ["repair", "--forget", "2", "--yes"];
    assert_failed(&project.migrate(&forget), 2, "version 2 is not an unfinished migration");
    // Left unfinished by `up`: counts as never started.
    assert_eq!(failed_event(&project.migrate(&["up"]), 4)["sql"]["code"], "22012");
    let down = project.migrate(&["down", "--production"]);
    assert_failed(&down, 3, "`migrate up` of 0002_steps is unfinished");
    let before = project.snapshot();
    let repair = project.migrate(&forget[..3]);
    assert_exit(&repair, 0, "DELETE FROM app._migrate_steps WHERE version = 2;");
    assert_eq!(project.snapshot(), before);
    assert_exit(&project.migrate(&forget), 0, "-- done");
    assert!(!project.snapshot().contains("step "), "{}", project.snapshot());
    project.sql("DROP TABLE app.a");
    project.write("0002_steps.up.sql", "-- no-transaction\nCREATE TABLE app.a ();");
    assert_success(&project.migrate(&["up"]));
    // Left unfinished by `down`: counts as applied.
    assert_eq!(
        failed_event(&project.migrate(&["down", "--production"]), 4)["sql"]["code"],
        "22012"
    );
    let up = project.migrate(&["up"]);
    assert_failed(&up, 3, "`migrate down` of 0002_steps is unfinished");
    assert_exit(&project.migrate(&forget), 0, "-- done");
    assert!(project.snapshot().contains("ledger 2 steps t"), "{}", project.snapshot());
    assert_exit(&project.migrate(&["up"]), 0, "(0 applied)");
}

#[test]
fn baseline_is_rejected_when_ledger_has_entries() {
    let project = Project::new(&[ITEM, SECOND, THIRD]);
    assert_failed(&project.migrate(&["baseline", "--to", "9"]), 2, "there is no migration 9");
    project.sql("CREATE SCHEMA app AUTHORIZATION tester; CREATE TABLE app.item (id int)");
    let marked = project.migrate(&["baseline", "--to", "1"]);
    assert_exit(&marked, 0, "recorded as applied up to version 1; migrations: 1");
    assert_exit(&project.migrate(&["up"]), 0, "the schema is at version 3 (2 applied)");
    let refused = project.migrate(&["baseline"]);
    assert_failed(&refused, 3, "the ledger is not empty: it begins with 0001_item");
    let other = Project::new(&[ITEM, SECOND]);
    assert_exit(
        &other.migrate(&["baseline"]),
        0,
        "recorded as applied up to version 2; migrations: 2",
    );
    assert_exit(&other.migrate(&["up"]), 0, "the schema is at version 2 (0 applied)");
}

#[test]
fn ledger_that_cannot_be_read_in_full_is_an_error() {
    const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);");
    for (sql, text) in [
        (
            "ALTER TABLE app._sqlx_migrations ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
            "cannot read the ledger app._sqlx_migrations in full: row-level security applies",
        ),
        ("REVOKE SELECT ON app._sqlx_migrations FROM tester", "permission denied"),
        (
            "ALTER SCHEMA app OWNER TO postgres; REVOKE ALL ON SCHEMA app FROM tester",
            "permission denied",
        ),
    ] {
        let project = Project::new(&[ITEM]);
        assert_success(&project.migrate(&["up"]));
        project.sql(sql);
        for command in [&["status"][..], &["status", "--check"], &["wait"], &["up"], &["plan"]] {
            assert_failed(&project.migrate(command), 9, text);
        }
    }
}

#[test]
fn event_trigger_that_forces_row_security_is_reported() {
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id int);")]);
    project.sql(
        "CREATE FUNCTION public.ensure_rls() RETURNS event_trigger LANGUAGE plpgsql AS $$
         DECLARE r record; BEGIN
           FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE'
           LOOP
             EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
                            r.object_identity);
           END LOOP;
         END $$;
         CREATE EVENT TRIGGER ensure_rls ON ddl_command_end EXECUTE FUNCTION public.ensure_rls()",
    );
    let text = "run `ALTER TABLE app._sqlx_migrations NO FORCE ROW LEVEL SECURITY";
    assert_failed(&project.migrate(&["up"]), 9, text);
}
