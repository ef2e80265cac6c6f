//! `up` and `down` between any two versions.

use katas_host::local::postgres::Postgres;

use crate::support::{
    BUNDLED, Database, Project, SERVER, assert_exit, assert_failed, assert_success, catalog,
    failed_event, lines,
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
fn down_stops_at_requested_version() {
    let project = Project::new(&FILES);
    project.write(A_DOWN.0, A_DOWN.1);
    for (arguments, version_after) in [
        (&["--steps", "1"][..], "2"),
        (&["--steps", "2"], "1"),
        (&["--steps", "9"], "0"),
        (&["--to", "1"], "1"),
        (&["--to", "3"], "3"),
        (&["--to", "0"], "0"),
        (&[], "2"),
    ] {
        assert_success(&project.migrate(&["up"]));
        let down = [&["down", "--production"], arguments].concat();
        let output = project.migrate(&down);
        assert_exit(&output, 0, &format!("the schema is at version {version_after} ("));
        assert_eq!(version(&project), version_after, "{arguments:?}");
        let table = "SELECT coalesce(to_regclass('app.b')::text, 'none')";
        assert_eq!(project.value(table) == "none", version_after != "3");
    }
    assert_failed(&project.migrate(&["down", "--to", "7"]), 2, "there is no migration 7");
}

#[test]
fn down_without_down_script_is_rejected_before_any_change() {
    let project = Project::new(&FILES);
    assert_success(&project.migrate(&["up"]));
    let before = project.snapshot();
    for arguments in [["--to", "0"], ["--to", "1"], ["--steps", "2"]] {
        let down = [&["down", "--production"], &arguments[..]].concat();
        assert_failed(&project.migrate(&down), 3, "0002_a cannot be reverted: it has no .down.sql");
        assert_eq!(project.snapshot(), before);
    }
}

#[test]
fn down_in_production_is_rejected() {
    let project = Project::new(&FILES);
    assert_success(&project.migrate(&["up"]));
    let mark = |name: &str| {
        let (database, mark) = (&project.name, format!("migrate.environment = {name}"));
        project.sql(&format!("COMMENT ON DATABASE {database} IS '{mark}'"));
    };
    let assert_refused = || {
        assert_failed(&project.migrate(&["down"]), 9, "production database");
        assert_eq!(version(&project), "3");
    };
    assert_refused();
    for name in ["", "production"] {
        mark(name);
        assert_refused();
    }
    mark("development");
    assert_success(&project.migrate(&["down"]));
    assert_eq!(version(&project), "2");
}

#[test]
fn interrupted_down_resumes_at_failed_statement() {
    let project = Project::new(&FILES);
    let file = "-- no-transaction\nDELETE FROM app.item;\nSELECT 1 / 0;\nDROP TABLE app.item;";
    project.write("0001_item.down.sql", file);
    project.write(A_DOWN.0, A_DOWN.1);
    assert_success(&project.migrate(&["up"]));
    let down = ["down", "--to", "0", "--production"];
    let failed = failed_event(&project.migrate(&down), 4);
    assert_eq!(failed["sql"]["line"], 3);
    let next = failed["sql"]["next"].as_str().expect("a string");
    assert!(next.contains("run `migrate down` again to resume with this statement"), "{next}");
    assert_exit(&project.migrate(&["status"]), 0, "not finished");
    let up = project.migrate(&["up"]);
    assert_failed(&up, 3, "`migrate down` of 0001_item is unfinished; run `migrate down` first");
    // If the finished DELETE ran again, it would remove this row and the next statement would fail.
    project.sql("INSERT INTO app.item VALUES (7)");
    project.write("0001_item.down.sql", &file.replace("1 / 0", "1 / count(*) FROM app.item"));
    assert_exit(&project.migrate(&down), 0, "the schema is at version 0 (1 reverted)");
    assert_exit(&project.migrate(&["up"]), 0, "the schema is at version 3 (3 applied)");
}

#[test]
fn down_to_each_version_and_up_restores_schema() {
    down_to_each_version_and_up(&SERVER);
}

#[test]
fn down_to_each_version_and_up_restores_schema_on_bundled_server() {
    down_to_each_version_and_up(&BUNDLED);
}

/// Reverts and reapplies the built-in migrations.
fn down_to_each_version_and_up(server: &Postgres) {
    let database = Database::on(server);
    let snapshot = || database.value(&lines(&catalog("katas")));
    assert_success(&database.migrate(&["up"]));
    let expected = snapshot();
    let all = migrate::Project::built_in().migrations;
    for migration in all.iter().rev() {
        let version = migration.version.to_string();
        assert_success(&database.migrate(&["down", "--to", &version, "--production"]));
        assert_success(&database.migrate(&["up"]));
        assert_eq!(snapshot(), expected, "down to {version} and up");
        assert_success(&database.migrate(&["down", "--to", "0", "--production"]));
        assert_success(&database.migrate(&["up", "--to", &version]));
        assert_exit(
            &database.migrate(&["status"]),
            0,
            &format!("version {version} of {}", all.last().expect("a migration").version),
        );
        assert_success(&database.migrate(&["up"]));
        assert_eq!(snapshot(), expected, "up through version {version}");
    }
}

#[test]
fn unfinished_file_that_became_transactional_is_rejected_with_remedy() {
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id int);")]);
    let half = "-- no-transaction\nINSERT INTO app.item VALUES (1);\nSELECT 1 / 0;";
    project.write("0002_fill.up.sql", half);
    project.write("0002_fill.down.sql", "-- no-transaction\nDELETE FROM app.item;");
    failed_event(&project.migrate(&["up"]), 4);
    project.write("0002_fill.up.sql", "INSERT INTO app.item VALUES (1);");
    let text = "run `migrate repair --forget 2`";
    assert_failed(&project.migrate(&["up"]), 3, text);
    assert_success(&project.migrate(&["repair", "--forget", "2", "--yes"]));
    assert_success(&project.migrate(&["up"]));
    // The same for `down`.
    project.write("0002_fill.down.sql", "-- no-transaction\nSELECT 1 / 0;");
    failed_event(&project.migrate(&["down", "--production"]), 4);
    project.write("0002_fill.down.sql", "DELETE FROM app.item;");
    assert_failed(&project.migrate(&["down", "--production"]), 3, text);
    assert_success(&project.migrate(&["repair", "--forget", "2", "--yes"]));
    assert_success(&project.migrate(&["down", "--production"]));
    assert_eq!(version(&project), "1");
}
