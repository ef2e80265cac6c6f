//! The commands that only look, from the command line: plan, verify, dump, lint.

use serde_json::Value;

use crate::support::{Database, Project, assert_done, assert_ended, assert_failed, migrate};

const ITEM: &str = "CREATE TABLE app.item (id bigint CONSTRAINT item_pkey PRIMARY KEY);\n";

fn json(project: &Project, arguments: &[&str]) -> Value {
    let output = project.migrate(&[arguments, &["--format", "json"]].concat());
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// The schemas that are there, and what is in `app`.
const THERE: &str = "SELECT coalesce(string_agg(nspname, ' '), '') FROM pg_namespace \
     WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')";

#[test]
fn a_plan_is_the_exact_sql_and_makes_nothing() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let plan = project.migrate(&["plan"]);
    assert_ended(&plan, 0, ITEM);
    assert_ended(&plan, 0, "app.item  new");
    assert_eq!(project.value(THERE), "");
    assert_done(&project.migrate(&["up"]));
    assert_eq!(json(&project, &["plan"])["scripts"], Value::Array(Vec::new()));
    project.sql("INSERT INTO app.item SELECT generate_series(1, 1000); ANALYZE app.item");
    project.write("0002_name.up.sql", "ALTER TABLE app.item ADD COLUMN name text;");
    let plan = project.migrate(&["plan"]);
    assert_ended(&plan, 0, "app.item  ACCESS EXCLUSIVE: blocks reads and writes");
    assert_ended(&plan, 0, "about 1000 rows");
    let lock = &json(&project, &["plan"])["scripts"][0]["statements"][0]["locks"][0];
    assert_eq!((&lock["relation"], &lock["size"]["rows"]), (&"app.item".into(), &1000.into()));
    assert_failed(&project.migrate(&["plan", "--down"]), 3, "0001_item cannot be reverted");
    project.write("0001_item.down.sql", "DROP TABLE app.item;");
    assert_ended(&project.migrate(&["plan", "--down"]), 0, "removes it");
}

#[test]
fn what_was_changed_by_hand_is_drift() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    assert_failed(&project.migrate(&["verify"]), 5, "pending migrations: 1");
    assert_done(&project.migrate(&["up"]));
    assert_failed(&project.migrate(&["verify"]), 2, "the project has no schema.sql");
    let dump = json(&project, &["dump"])["sql"].as_str().expect("it is text").to_owned();
    project.write("../schema.sql", &dump);
    assert_ended(&project.migrate(&["verify"]), 0, "no drift");
    project.sql("ALTER TABLE app.item ADD COLUMN mine text");
    let verified = project.migrate(&["verify"]);
    assert_ended(&verified, 6, "changed: table app.item");
    assert_failed(&verified, 6, "the schema has drifted");
    assert_eq!(json(&project, &["verify"])["drift"][0]["name"], "app.item");
    project.sql("INSERT INTO app._sqlx_migrations VALUES (9, 'next', now(), true, '', 0)");
    assert_failed(&project.migrate(&["verify"]), 3, "newer than this build");
}

#[test]
fn what_the_built_in_migrations_make_is_no_drift_and_is_what_is_dumped() {
    let database = Database::new();
    assert_ended(&database.migrate(&["up"]), 0, "the schema is at version");
    assert_ended(&database.migrate(&["verify"]), 0, "no drift");
    let dump = database.migrate(&["dump"]);
    assert_eq!(String::from_utf8_lossy(&dump.stdout), include_str!("../../../db/schema.sql"));
    // Whoever may connect may look.
    let asked = migrate(&database.app, &["verify"]).output().expect("it runs");
    assert_ended(&asked, 0, "no drift");
}

#[test]
fn what_is_unsafe_is_found_without_a_database() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let lint = |project: &Project| {
        let mut command = project.command(&["lint"]);
        command.env_remove("DATABASE_URL").output().expect("it runs")
    };
    assert_done(&lint(&project));
    project.write("0002_drop.up.sql", "\nALTER TABLE app.item DROP COLUMN id;");
    assert_ended(&lint(&project), 7, "migrations/0002_drop.up.sql:2:");
    assert_eq!(json(&project, &["lint"])["findings"][0]["rule"], "ban-drop-column");
    let ignored = "-- squawk-ignore ban-drop-column -- nobody reads it\n\
                   ALTER TABLE app.item DROP COLUMN id;";
    project.write("0002_drop.up.sql", ignored);
    assert_done(&lint(&project));
    project.write("0002_drop.up.sql", &ignored.replace(" -- nobody reads it", ""));
    assert_ended(&lint(&project), 7, "unexplained-ignore");
}

#[test]
fn a_result_that_cannot_be_written_is_no_success() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    // There is one on Linux.
    let Ok(full) = full else { return };
    let mut command = project.command(&["lint"]);
    let status = command.stdout(full).stderr(std::process::Stdio::null()).status();
    assert_eq!(status.expect("it runs").code(), Some(1));
}

#[test]
fn of_two_addresses_none_is_chosen() {
    let project = Project::new(&[]);
    let mut command = project.command(&["status", "--database-url-file", "/nowhere"]);
    assert_ended(&command.output().expect("it runs"), 2, "--database-url");
}
