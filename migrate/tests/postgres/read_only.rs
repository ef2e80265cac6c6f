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
    // The bundled server has no lz4.
    let dump = String::from_utf8_lossy(&dump.stdout)
        .replace("csv SET STORAGE EXTERNAL;", "csv SET COMPRESSION lz4;");
    assert_eq!(dump, include_str!("../../../db/schema.sql"));
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

/// Returns line, relation, mode, newness and row count of each lock of the first planned file.
fn locks(project: &Project) -> Vec<String> {
    let plan = json(project, &["plan"]);
    let mut lines = Vec::new();
    for statement in plan["scripts"][0]["statements"].as_array().expect("an array") {
        for lock in statement["locks"].as_array().expect("known locks") {
            let word = |key: &str| lock[key].as_str().expect("a string").to_owned();
            let size =
                if lock["new"] == true { "new".into() } else { lock["size"]["rows"].to_string() };
            lines.push(format!(
                "{} {} {} {size}",
                statement["line"],
                word("relation"),
                word("mode")
            ));
        }
    }
    lines
}

#[test]
fn plan_resolves_names_as_postgresql_does() {
    let project = Project::new(&[("0001_item.up.sql", ITEM)]);
    assert_success(&project.migrate(&["up"]));
    project.sql(
        "CREATE TABLE public.orders (id bigint PRIMARY KEY, note text);
         INSERT INTO public.orders SELECT generate_series(1, 500); ANALYZE public.orders;
         CREATE TABLE public.parent (id bigint);
         CREATE TABLE public.child () INHERITS (public.parent);
         INSERT INTO public.child SELECT generate_series(1, 300);
         ANALYZE public.parent; ANALYZE public.child;",
    );
    for (file, expected) in [
        (
            "CREATE TABLE IF NOT EXISTS public.orders (id bigint PRIMARY KEY, note text);
             CREATE INDEX IF NOT EXISTS orders_note ON public.orders (note);
             CREATE INDEX IF NOT EXISTS orders_pkey ON public.orders (id);
             ALTER TABLE public.orders ADD COLUMN r double precision;",
            vec![
                "2 public.orders_note access_exclusive new",
                "2 public.orders share 500",
                "3 public.orders share 500",
                "4 public.orders access_exclusive 500",
            ],
        ),
        (
            "SET LOCAL search_path = app, public;
             CREATE INDEX orders_note ON orders (note);
             CREATE TABLE orders (id bigint);
             CREATE INDEX orders_id ON orders (id);
             RESET search_path;
             ALTER TABLE orders ADD COLUMN a int;
             DROP INDEX public.orders_note;
             DROP INDEX app.orders_id;",
            vec![
                "2 orders_note access_exclusive new",
                "2 orders share 500",
                "3 orders access_exclusive new",
                "4 orders_id access_exclusive new",
                "4 orders share new",
                "6 orders access_exclusive null",
                "7 public.orders_note access_exclusive new",
                "8 app.orders_id access_exclusive new",
            ],
        ),
        (
            "ALTER TABLE public.orders RENAME TO old_orders;
             CREATE TABLE public.orders (id bigint);
             ALTER TABLE public.old_orders ADD COLUMN a int;
             ALTER TABLE public.old_orders SET SCHEMA app;
             LOCK TABLE app.old_orders;
             DROP TABLE public.orders;
             CREATE TABLE IF NOT EXISTS public.orders (id bigint);",
            vec![
                "1 public.orders access_exclusive 500",
                "2 public.orders access_exclusive new",
                "3 public.old_orders access_exclusive 500",
                "4 public.old_orders access_exclusive 500",
                "5 app.old_orders access_exclusive 500",
                "6 public.orders access_exclusive new",
                "7 public.orders access_exclusive new",
            ],
        ),
        (
            "ALTER TABLE public.parent ADD COLUMN a int;
             ALTER TABLE ONLY public.parent SET (fillfactor = 90);
             CREATE INDEX i ON public.parent (id);",
            vec![
                "1 public.parent access_exclusive 300",
                "2 public.parent share_update_exclusive 0",
                "3 public.i access_exclusive new",
                "3 public.parent share 0",
            ],
        ),
    ] {
        project.write("0002_next.up.sql", file);
        let found = locks(&project);
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn plan_reports_invalid_search_path_with_line() {
    let project = Project::new(&[("0001_item.up.sql", "SELECT 1;\nSET LOCAL search_path = ;")]);
    let failed = project.migrate(&["plan"]);
    assert_failed(&failed, 4, "0001_item.up.sql:2: syntax error");
}
