//! The read-only commands `plan`, `verify`, `dump` and `lint`, run from the command line.

use serde_json::Value;

use crate::support::{Database, Project, assert_exit, assert_failed, assert_success, migrate};

const ITEM: &str = "CREATE TABLE app.item (id bigint CONSTRAINT item_pkey PRIMARY KEY);\n";

fn json(project: &Project, arguments: &[&str]) -> Value {
    let output = project.migrate(&[arguments, &["--format", "json"]].concat());
    serde_json::from_slice(&output.stdout).expect("parse JSON")
}

/// The schemas that are not PostgreSQL's own.
const SCHEMAS: &str = "SELECT coalesce(string_agg(nspname, ' '), '') FROM pg_namespace \
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')";

#[test]
fn plan_prints_exact_sql_and_changes_nothing() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let plan = project.migrate(&["plan"]);
    assert_exit(&plan, 0, ITEM);
    assert_exit(&plan, 0, "app.item  new");
    assert_eq!(project.value(SCHEMAS), "");
    assert_success(&project.migrate(&["up"]));
    assert_eq!(json(&project, &["plan"])["scripts"], Value::Array(Vec::new()));
    project.sql("INSERT INTO app.item SELECT generate_series(1, 1000); ANALYZE app.item");
    project.write("0002_name.up.sql", "ALTER TABLE app.item ADD COLUMN name text;");
    let plan = project.migrate(&["plan"]);
    assert_exit(&plan, 0, "app.item  ACCESS EXCLUSIVE: blocks reads and writes");
    assert_exit(&plan, 0, "about 1000 rows");
    let lock = &json(&project, &["plan"])["scripts"][0]["statements"][0]["locks"][0];
    assert_eq!((&lock["relation"], &lock["size"]["rows"]), (&"app.item".into(), &1000.into()));
    assert_failed(&project.migrate(&["plan", "--down"]), 3, "0001_item cannot be reverted");
    project.write("0001_item.down.sql", "DROP TABLE app.item;");
    assert_exit(&project.migrate(&["plan", "--down"]), 0, "removes it");
}

#[test]
fn verify_reports_manual_change_as_drift() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    assert_failed(&project.migrate(&["verify"]), 5, "pending migrations: 1");
    assert_success(&project.migrate(&["up"]));
    assert_failed(&project.migrate(&["verify"]), 2, "the project has no schema.sql");
    let dump = json(&project, &["dump"])["sql"].as_str().expect("a string").to_owned();
    project.write("../schema.sql", &dump);
    assert_exit(&project.migrate(&["verify"]), 0, "no drift");
    project.sql("ALTER TABLE app.item ADD COLUMN mine text");
    let verified = project.migrate(&["verify"]);
    assert_exit(&verified, 6, "changed: table app.item");
    assert_failed(&verified, 6, "the schema has drifted");
    assert_eq!(json(&project, &["verify"])["drift"][0]["name"], "app.item");
    project.sql("INSERT INTO app._sqlx_migrations VALUES (9, 'next', now(), true, '', 0)");
    assert_failed(&project.migrate(&["verify"]), 3, "newer than this build");
}

#[test]
fn built_in_migrations_match_schema_sql() {
    let database = Database::new();
    assert_exit(&database.migrate(&["up"]), 0, "the schema is at version");
    assert_exit(&database.migrate(&["verify"]), 0, "no drift");
    let dump = database.migrate(&["dump"]);
    assert_eq!(String::from_utf8_lossy(&dump.stdout), include_str!("../../../db/schema.sql"));
    // `verify` needs only the CONNECT privilege.
    let output = migrate(&database.app, &["verify"]).output().expect("run migrate");
    assert_exit(&output, 0, "no drift");
}

#[test]
fn lint_reports_unsafe_sql_without_database() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let lint = |project: &Project| {
        let mut command = project.command(&["lint"]);
        command.env_remove("DATABASE_URL").output().expect("run migrate")
    };
    assert_success(&lint(&project));
    project.write("0002_drop.up.sql", "\nALTER TABLE app.item DROP COLUMN id;");
    assert_exit(&lint(&project), 7, "migrations/0002_drop.up.sql:2:");
    assert_eq!(json(&project, &["lint"])["findings"][0]["rule"], "ban-drop-column");
    let ignored = "-- squawk-ignore ban-drop-column -- no longer read\n\
                   ALTER TABLE app.item DROP COLUMN id;";
    project.write("0002_drop.up.sql", ignored);
    assert_success(&lint(&project));
    project.write("0002_drop.up.sql", &ignored.replace(" -- no longer read", ""));
    assert_exit(&lint(&project), 7, "unexplained-ignore");
}

#[test]
fn unwritable_standard_output_exits_with_1() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    // /dev/full exists only on Linux.
    let Ok(full) = full else { return };
    let mut command = project.command(&["lint"]);
    let status = command.stdout(full).stderr(std::process::Stdio::null()).status();
    assert_eq!(status.expect("run migrate").code(), Some(1));
}

#[test]
fn database_url_and_file_together_are_rejected() {
    let project = Project::new(&[]);
    let mut command = project.command(&["status", "--database-url-file", "/nowhere"]);
    assert_exit(&command.output().expect("run migrate"), 2, "--database-url");
}
