//! The ledger and the files: what contradicts each other is refused before anything is done.

use crate::support::{Project, assert_done, assert_ended, assert_failed, failure};

const ITEM: (&str, &str) = ("0001_item.up.sql", "CREATE TABLE app.item (id int);\n");
const SECOND: (&str, &str) = ("0002_second.up.sql", "CREATE TABLE app.second ();\n");
const THIRD: (&str, &str) = ("0003_third.up.sql", "CREATE TABLE app.third ();\n");

/// A project whose first two migrations are applied, and a third is not.
fn with_two_of_three() -> Project {
    let project = Project::new(&[ITEM, SECOND, THIRD]);
    assert_done(&project.migrate(&["up", "--to", "2"]));
    project
}

#[test]
fn edited_and_missing_files_are_refused_until_they_are_accepted() {
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
        let project = with_two_of_three();
        change(&project);
        let before = project.snapshot();
        for command in ["up", "status"] {
            assert_failed(&project.migrate(&[command]), 3, text);
        }
        assert_failed(&project.migrate(&["down", "--production"]), 3, text);
        let said = project.migrate(&["repair"]);
        assert_ended(&said, 0, sql);
        assert_ended(&said, 0, "nothing has been changed");
        assert_eq!(project.snapshot(), before);
        assert_ended(&project.migrate(&["repair", "--yes"]), 0, "-- done");
        assert_ended(&project.migrate(&["repair"]), 0, "nothing to repair");
        assert_done(&project.migrate(&["up"]));
        assert!(project.snapshot().contains("ledger 3 third t"));
    }
}

#[test]
fn a_late_migration_is_refused_unless_it_is_asked_for() {
    let project = Project::new(&[ITEM, THIRD]);
    assert_done(&project.migrate(&["up"]));
    project.write(SECOND.0, SECOND.1);
    let before = project.snapshot();
    assert_failed(&project.migrate(&["up"]), 3, "0002_second is out of order");
    assert_eq!(project.snapshot(), before);
    assert_done(&project.migrate(&["up", "--out-of-order"]));
    assert!(project.snapshot().contains("ledger 2 second t"));
}

#[test]
fn a_database_that_is_ahead_is_left_alone() {
    let project = with_two_of_three();
    assert_done(&project.migrate(&["up"]));
    project.remove("0003_third.up.sql");
    let before = project.snapshot();
    assert_ended(&project.migrate(&["up"]), 0, "the schema is at version 3 (0 applied)");
    assert_ended(&project.migrate(&["status", "--check"]), 0, "unknown to this build");
    assert_ended(&project.migrate(&["wait", "--timeout", "0"]), 0, "version 3");
    let refused = project.migrate(&["down", "--production"]);
    assert_failed(&refused, 3, "0003_third was applied by a newer build");
    assert_eq!(project.snapshot(), before);
}

#[test]
fn other_ends_of_lines_are_the_same_file() {
    let project = with_two_of_three();
    for (file, text) in [ITEM, SECOND, THIRD] {
        project.write(file, &text.replace('\n', "\r\n"));
    }
    assert_done(&project.migrate(&["up"]));
    for (file, text) in [ITEM, SECOND, THIRD] {
        project.write(file, text);
    }
    assert_ended(&project.migrate(&["status", "--check"]), 0, "version 3 of 3");
    assert_ended(&project.migrate(&["repair"]), 0, "nothing to repair");
}

#[test]
fn what_only_looks_makes_nothing() {
    let project = Project::new(&[ITEM]);
    assert_ended(&project.migrate(&["status", "--check"]), 5, "pending migrations: 1");
    assert_ended(&project.migrate(&["repair"]), 0, "nothing to repair");
    assert_failed(&project.migrate(&["down", "--to", "0"]), 9, "production database");
    let made = "SELECT coalesce(to_regnamespace('app')::text, 'nothing')";
    assert_eq!(project.value(made), "nothing");
}

#[test]
fn an_unfinished_migration_can_be_forgotten() {
    let project = Project::new(&[
        ITEM,
        ("0002_steps.up.sql", "-- no-transaction\nCREATE TABLE app.a ();\nSELECT 1 / 0;"),
        ("0002_steps.down.sql", "-- no-transaction\nDROP TABLE app.a;\nSELECT 1 / 0;"),
    ]);
    let forget = ["repair", "--forget", "2", "--yes"];
    assert_failed(&project.migrate(&forget), 2, "version 2 is not an unfinished migration");
    // On the way up: it counts as never begun.
    assert_eq!(failure(&project.migrate(&["up"]), 4)["sql"]["code"], "22012");
    let down = project.migrate(&["down", "--production"]);
    assert_failed(&down, 3, "`migrate up` of 0002_steps is unfinished");
    let before = project.snapshot();
    let said = project.migrate(&forget[..3]);
    assert_ended(&said, 0, "DELETE FROM app._migrate_steps WHERE version = 2;");
    assert_eq!(project.snapshot(), before);
    assert_ended(&project.migrate(&forget), 0, "-- done");
    assert!(!project.snapshot().contains("step "), "{}", project.snapshot());
    project.sql("DROP TABLE app.a");
    project.write("0002_steps.up.sql", "-- no-transaction\nCREATE TABLE app.a ();");
    assert_done(&project.migrate(&["up"]));
    // On the way down: it counts as applied.
    assert_eq!(failure(&project.migrate(&["down", "--production"]), 4)["sql"]["code"], "22012");
    let up = project.migrate(&["up"]);
    assert_failed(&up, 3, "`migrate down` of 0002_steps is unfinished");
    assert_ended(&project.migrate(&forget), 0, "-- done");
    assert!(project.snapshot().contains("ledger 2 steps t"), "{}", project.snapshot());
    assert_ended(&project.migrate(&["up"]), 0, "(0 applied)");
}

#[test]
fn a_baseline_is_for_a_database_without_a_ledger() {
    let project = Project::new(&[ITEM, SECOND, THIRD]);
    assert_failed(&project.migrate(&["baseline", "--to", "9"]), 2, "there is no migration 9");
    project.sql("CREATE SCHEMA app AUTHORIZATION tester; CREATE TABLE app.item (id int)");
    let marked = project.migrate(&["baseline", "--to", "1"]);
    assert_ended(&marked, 0, "recorded as applied up to version 1; migrations: 1");
    assert_ended(&project.migrate(&["up"]), 0, "the schema is at version 3 (2 applied)");
    let refused = project.migrate(&["baseline"]);
    assert_failed(&refused, 3, "the ledger is not empty: it begins with 0001_item");
    let other = Project::new(&[ITEM, SECOND]);
    assert_ended(
        &other.migrate(&["baseline"]),
        0,
        "recorded as applied up to version 2; migrations: 2",
    );
    assert_ended(&other.migrate(&["up"]), 0, "the schema is at version 2 (0 applied)");
}
