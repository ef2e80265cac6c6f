//! Up and down: as far as is asked for, from wherever the schema is.

use katas_host::local::postgres::Postgres;

use crate::support::{
    BUNDLED, Database, Project, SERVER, assert_done, assert_ended, assert_failed, catalog, failure,
    lines,
};

const FILES: [(&str, &str); 5] = [
    ("0001_item.up.sql", "CREATE TABLE app.item (id int);"),
    ("0001_item.down.sql", "DROP TABLE app.item;"),
    ("0002_a.up.sql", "CREATE TABLE app.a ();"),
    ("0003_b.up.sql", "CREATE TABLE app.b ();"),
    ("0003_b.down.sql", "DROP TABLE app.b;"),
];
const A_DOWN: (&str, &str) = ("0002_a.down.sql", "DROP TABLE app.a;");

fn version(project: &Project) -> String {
    project.value("SELECT coalesce(max(version), 0)::text FROM app._sqlx_migrations")
}

#[test]
fn down_goes_as_far_as_is_said() {
    let project = Project::new(&FILES);
    project.write(A_DOWN.0, A_DOWN.1);
    for (arguments, left) in [
        (&["--steps", "1"][..], "2"),
        (&["--steps", "2"], "1"),
        (&["--steps", "9"], "0"),
        (&["--to", "1"], "1"),
        (&["--to", "3"], "3"),
        (&["--to", "0"], "0"),
        (&[], "2"),
    ] {
        assert_done(&project.migrate(&["up"]));
        let down = [&["down", "--production"], arguments].concat();
        let said = project.migrate(&down);
        assert_ended(&said, 0, &format!("the schema is at version {left} ("));
        assert_eq!(version(&project), left, "{arguments:?}");
        let table = "SELECT coalesce(to_regclass('app.b')::text, 'none')";
        assert_eq!(project.value(table) == "none", left != "3");
    }
    assert_failed(&project.migrate(&["down", "--to", "7"]), 2, "there is no migration 7");
}

#[test]
fn what_cannot_be_undone_is_refused_before_anything_is() {
    let project = Project::new(&FILES);
    assert_done(&project.migrate(&["up"]));
    let before = project.snapshot();
    for arguments in [["--to", "0"], ["--to", "1"], ["--steps", "2"]] {
        let down = [&["down", "--production"], &arguments[..]].concat();
        assert_failed(&project.migrate(&down), 3, "0002_a cannot be reverted: it has no .down.sql");
        assert_eq!(project.snapshot(), before);
    }
}

#[test]
fn real_data_is_not_lost_by_mistake() {
    let project = Project::new(&FILES);
    assert_done(&project.migrate(&["up"]));
    let mark = |name: &str| {
        let (database, mark) = (&project.name, format!("migrate.environment = {name}"));
        project.sql(&format!("COMMENT ON DATABASE {database} IS '{mark}'"));
    };
    let refused = || {
        assert_failed(&project.migrate(&["down"]), 9, "production database");
        assert_eq!(version(&project), "3");
    };
    refused();
    for name in ["", "production"] {
        mark(name);
        refused();
    }
    mark("development");
    assert_done(&project.migrate(&["down"]));
    assert_eq!(version(&project), "2");
}

#[test]
fn a_way_down_that_was_interrupted_is_gone_on_with() {
    let project = Project::new(&FILES);
    let file = "-- no-transaction\nDELETE FROM app.item;\nSELECT 1 / 0;\nDROP TABLE app.item;";
    project.write("0001_item.down.sql", file);
    project.write(A_DOWN.0, A_DOWN.1);
    assert_done(&project.migrate(&["up"]));
    let down = ["down", "--to", "0", "--production"];
    let failed = failure(&project.migrate(&down), 4);
    assert_eq!(failed["sql"]["line"], 3);
    let next = failed["sql"]["next"].as_str().expect("it is text");
    assert!(next.contains("run `migrate down` again to resume with this statement"), "{next}");
    assert_ended(&project.migrate(&["status"]), 0, "not finished");
    let up = project.migrate(&["up"]);
    assert_failed(&up, 3, "`migrate down` of 0001_item is unfinished; run `migrate down` first");
    // What is done twice is seen: there is nothing to delete any more.
    project.sql("INSERT INTO app.item VALUES (7)");
    project.write("0001_item.down.sql", &file.replace("1 / 0", "1 / count(*) FROM app.item"));
    assert_ended(&project.migrate(&down), 0, "the schema is at version 0 (1 reverted)");
    assert_ended(&project.migrate(&["up"]), 0, "the schema is at version 3 (3 applied)");
}

#[test]
fn every_prefix_can_be_upgraded_and_every_step_undone() {
    every_prefix(&SERVER);
}

#[test]
fn every_prefix_can_be_upgraded_and_every_step_undone_on_the_other_version() {
    every_prefix(&BUNDLED);
}

/// The migrations that are built in.
fn every_prefix(server: &Postgres) {
    let database = Database::on(server);
    let snapshot = || database.value(&lines(&catalog("katas")));
    assert_done(&database.migrate(&["up"]));
    let expected = snapshot();
    let all = migrate::Project::built_in().migrations;
    for migration in all.iter().rev() {
        let version = migration.version.to_string();
        assert_done(&database.migrate(&["down", "--to", &version, "--production"]));
        assert_done(&database.migrate(&["up"]));
        assert_eq!(snapshot(), expected, "down to {version} and up");
        assert_done(&database.migrate(&["down", "--to", "0", "--production"]));
        assert_done(&database.migrate(&["up", "--to", &version]));
        assert_ended(
            &database.migrate(&["status"]),
            0,
            &format!("version {version} of {}", all.last().expect("there is one").version),
        );
        assert_done(&database.migrate(&["up"]));
        assert_eq!(snapshot(), expected, "up by way of {version}");
    }
}

#[test]
fn a_file_that_becomes_a_transaction_half_way_is_refused_with_a_way_out() {
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id int);")]);
    let half = "-- no-transaction\nINSERT INTO app.item VALUES (1);\nSELECT 1 / 0;";
    project.write("0002_fill.up.sql", half);
    project.write("0002_fill.down.sql", "-- no-transaction\nDELETE FROM app.item;");
    failure(&project.migrate(&["up"]), 4);
    project.write("0002_fill.up.sql", "INSERT INTO app.item VALUES (1);");
    let text = "run `migrate repair --forget 2`";
    assert_failed(&project.migrate(&["up"]), 3, text);
    assert_done(&project.migrate(&["repair", "--forget", "2", "--yes"]));
    assert_done(&project.migrate(&["up"]));
    // The same on the way down.
    project.write("0002_fill.down.sql", "-- no-transaction\nSELECT 1 / 0;");
    failure(&project.migrate(&["down", "--production"]), 4);
    project.write("0002_fill.down.sql", "DELETE FROM app.item;");
    assert_failed(&project.migrate(&["down", "--production"]), 3, text);
    assert_done(&project.migrate(&["repair", "--forget", "2", "--yes"]));
    assert_done(&project.migrate(&["down", "--production"]));
    assert_eq!(version(&project), "1");
}
