//! What is read from the catalog: the same for the same schema on every server, enough to make the
//! schema again, and with every drift in it.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use katas_host::local::postgres::{Postgres, Source};
use migrate::{Difference, Project, Verification};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use crate::support::{RUNTIME, sql};

/// What is installed, and the PostgreSQL 17 that comes with us. They end with this process.
static INSTALLED: LazyLock<Postgres> = LazyLock::new(|| server(Source::Any));
static BUNDLED: LazyLock<Postgres> = LazyLock::new(|| server(Source::Bundled));

fn server(source: Source) -> Postgres {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    RUNTIME.block_on(Postgres::start_empty(folder, source, true)).expect("a server starts")
}

/// A database of a test's own.
struct Database {
    server: &'static Postgres,
    name: String,
}

impl Database {
    fn empty(server: &'static Postgres) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("catalog_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        sql(&server.administrator("postgres"), &format!("CREATE DATABASE {name}"));
        Database { server, name }
    }

    /// With the roles of katas.
    fn bootstrapped(server: &'static Postgres) -> Database {
        let database = Database::empty(server);
        database.bootstrap();
        database
    }

    /// With all migrations of katas.
    fn migrated(server: &'static Postgres) -> Database {
        let database = Database::bootstrapped(server);
        database.up();
        database
    }

    fn bootstrap(&self) {
        let secrets = tempfile::tempdir().expect("a folder");
        let mut command = migrate();
        command.arg("bootstrap").env("DATABASE_URL", self.administrator());
        for role in ["katas_migrator", "katas_app"] {
            let file = secrets.path().join(role);
            std::fs::write(&file, "secret").expect("written");
            command.arg(format!("--password={role}={}", file.display()));
        }
        succeeds(command);
    }

    fn up(&self) {
        let mut command = migrate();
        command.arg("up").env("DATABASE_URL", self.url("katas_migrator"));
        succeeds(command);
    }

    fn administrator(&self) -> String {
        self.server.administrator(&self.name)
    }

    fn url(&self, role: &str) -> String {
        self.server.url(role, "secret", &self.name)
    }

    fn sql(&self, text: &str) {
        sql(&self.administrator(), text);
    }

    fn dump(&self, project: &Project) -> String {
        RUNTIME.block_on(async {
            let mut connection =
                PgConnection::connect(&self.administrator()).await.expect("connects");
            migrate::write_dump(&mut connection, project, project.newest())
                .await
                .expect("it is read")
        })
    }

    fn verify(&self) -> Verification {
        verify(&self.administrator(), &Project::built_in())
    }
}

fn verify(url: &str, project: &Project) -> Verification {
    RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("connects");
        migrate::compare(&mut connection, project, project.newest()).await.expect("it is read")
    })
}

fn migrate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_migrate"))
}

#[track_caller]
fn succeeds(mut command: Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The first lines in which two texts differ.
#[track_caller]
fn assert_same(one: &str, other: &str, help: &str) {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    if let Some((number, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        panic!("line {}:\n  {one}\n  {other}\n{help}", number + 1);
    }
    assert_eq!(one.len(), other.len(), "{help}");
}

#[test]
fn schema_sql_is_what_the_migrations_make_on_every_version() {
    let checked_in = include_str!("../../../db/schema.sql");
    for server in [&*INSTALLED, &*BUNDLED] {
        let dump = Database::migrated(server).dump(&Project::built_in());
        if std::env::var_os("RENEW").is_some() {
            std::fs::write("../db/schema.sql", dump).expect("written");
            continue;
        }
        let help = "renew it: RENEW=1 cargo test -p migrate schema_sql";
        assert_same(&dump, checked_in, help);
    }
}

/// A project that has nothing to do with katas, and a statement of every kind in its schema.
fn shop() -> Project {
    let (schema, ledger) = ("shop".to_owned(), "shop._sqlx_migrations".to_owned());
    Project { schema, ledger, dump: None, ..Project::built_in() }
}

/// A database in which the roles of the shop may do what they should.
fn shop_database(server: &'static Postgres) -> Database {
    let database = Database::empty(server);
    database.sql(&format!(
        "DO $$
         DECLARE name text;
         BEGIN
           FOREACH name IN ARRAY ARRAY['shop_owner', 'shop_app', 'shop_reader'] LOOP
             IF to_regrole(name) IS NULL THEN EXECUTE format('CREATE ROLE %I', name); END IF;
           END LOOP;
         END
         $$;
         ALTER ROLE shop_app LOGIN NOINHERIT CONNECTION LIMIT 3 BYPASSRLS;
         ALTER ROLE shop_app SET search_path = shop, \"$user\";
         ALTER ROLE shop_app SET lc_messages = 'C';
         ALTER ROLE shop_app IN DATABASE {0} SET work_mem = '5MB';
         GRANT shop_reader TO shop_app WITH ADMIN OPTION;
         GRANT CONNECT, CREATE ON DATABASE {0} TO shop_owner;
         GRANT CONNECT ON DATABASE {0} TO shop_app WITH GRANT OPTION;",
        database.name
    ));
    database
}

#[test]
fn every_kind_of_object_can_be_restored_and_is_the_same_on_every_version() {
    let mut dumps = Vec::new();
    for server in [&*INSTALLED, &*BUNDLED] {
        let (made, restored) = (shop_database(server), shop_database(server));
        made.sql(include_str!("catalog/shop.sql"));
        let dump = made.dump(&shop());
        restored.sql(&dump);
        assert_same(&dump, &restored.dump(&shop()), "the restored schema is another one");
        let project = Project { dump: Some(dump.clone()), ..shop() };
        assert_eq!(verify(&restored.administrator(), &project).drift, []);
        dumps.push(dump);
    }
    assert_same(&dumps[0], &dumps[1], "the versions differ");
    for absent in ["lc_messages", "elsewhere", "_migrate_steps", &INSTALLED.port().to_string()] {
        assert!(!dumps[0].contains(absent), "{absent}");
    }
}

#[test]
fn only_the_extensions_that_the_schema_needs_are_its_own() {
    let database = shop_database(&INSTALLED);
    if !has_citext(&database) {
        // What comes with us has no extensions.
        return;
    }
    let mut project = shop();
    database.sql(
        "CREATE SCHEMA shop AUTHORIZATION shop_owner; CREATE TABLE shop.brand (name text);
         ALTER TABLE shop.brand OWNER TO shop_owner",
    );
    project.dump = Some(database.dump(&project));
    let drift = || first_lines(&verify(&database.administrator(), &project));
    database.sql("CREATE EXTENSION citext WITH SCHEMA public");
    assert_eq!(drift(), [""; 0]);
    database.sql("CREATE INDEX brand_name ON shop.brand ((name::public.citext))");
    assert_eq!(drift(), ["unexpected: extension citext", "unexpected: index shop.brand_name"]);
    database.sql("DROP EXTENSION citext CASCADE; CREATE EXTENSION citext WITH SCHEMA shop");
    assert_eq!(drift(), ["unexpected: extension citext"]);
}

fn has_citext(database: &Database) -> bool {
    RUNTIME.block_on(async {
        let mut connection =
            PgConnection::connect(&database.administrator()).await.expect("connects");
        let sql = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')";
        let (is_there,) =
            sqlx::query_as(sql).fetch_one(&mut connection).await.expect("it is asked");
        is_there
    })
}

fn first_lines(verified: &Verification) -> Vec<String> {
    let first = |it: &Difference| it.to_string().lines().next().unwrap_or_default().to_owned();
    verified.drift.iter().map(first).collect()
}

/// What is done to a database by hand, and what is said about it.
const DRIFTS: [(&str, &[&str]); 45] = [
    ("DROP INDEX katas.dataset_unloaded", &["missing: index katas.dataset_unloaded"]),
    ("CREATE INDEX more ON katas.person (email)", &["unexpected: index katas.more"]),
    (
        "DROP INDEX katas.dataset_unloaded;
         CREATE INDEX dataset_unloaded ON katas.dataset (number) WHERE state <> 'gone'",
        &["changed: index katas.dataset_unloaded"],
    ),
    (
        "UPDATE pg_index SET indisvalid = false
         WHERE indexrelid = 'katas.dataset_run_dataset'::regclass",
        &["changed: index katas.dataset_run_dataset"],
    ),
    ("ALTER INDEX katas.person_pkey SET (fillfactor = 50)", &["unexpected: index options katas.person_pkey"]),
    ("ALTER TABLE katas.person ADD COLUMN age integer", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN version SET DEFAULT 2", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN version DROP DEFAULT", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN version TYPE bigint", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN email DROP NOT NULL", &["changed: table katas.person"]),
    ("ALTER TABLE katas.entry ALTER COLUMN word TYPE text COLLATE \"default\"", &["changed: table katas.entry"]),
    ("ALTER TABLE katas.person ALTER COLUMN id SET GENERATED BY DEFAULT", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN id SET INCREMENT BY 2", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person SET UNLOGGED", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person SET (autovacuum_enabled = false)", &["changed: table katas.person"]),
    ("ALTER TABLE katas.person ALTER COLUMN email SET STATISTICS 7", &["unexpected: column katas.person.email"]),
    (
        "ALTER TABLE katas.person DROP CONSTRAINT person_email_length",
        &["missing: constraint katas.person.person_email_length"],
    ),
    (
        "ALTER TABLE katas.person DROP CONSTRAINT person_email_length, ADD CONSTRAINT
         person_email_length CHECK (char_length(email) BETWEEN 3 AND 254) NOT VALID",
        &["changed: constraint katas.person.person_email_length"],
    ),
    (
        "ALTER TABLE katas.person RENAME CONSTRAINT person_email_length TO other",
        &[
            "unexpected: constraint katas.person.other",
            "missing: constraint katas.person.person_email_length",
        ],
    ),
    (
        "ALTER TABLE katas.dataset_run DISABLE TRIGGER ALL",
        &["unexpected: disabled constraint katas.dataset_run.dataset_run_dataset_fkey"],
    ),
    (
        "CREATE FUNCTION katas.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         REVOKE EXECUTE ON FUNCTION katas.t FROM PUBLIC;
         ALTER FUNCTION katas.t OWNER TO katas_owner;
         CREATE TRIGGER noisy AFTER INSERT ON katas.person EXECUTE FUNCTION katas.t();
         ALTER TABLE katas.person DISABLE TRIGGER noisy",
        &[
            "unexpected: function katas.t()",
            "unexpected: trigger katas.person.noisy",
            "unexpected: revoke katas.t() from PUBLIC",
        ],
    ),
    (
        "CREATE OR REPLACE FUNCTION katas.rfc3339(timestamptz) RETURNS text
         LANGUAGE sql STABLE STRICT PARALLEL SAFE RETURN $1::text",
        &["changed: function katas.rfc3339(timestamp with time zone)"],
    ),
    (
        "ALTER FUNCTION katas.rfc3339 SECURITY DEFINER",
        &["changed: function katas.rfc3339(timestamp with time zone)"],
    ),
    ("GRANT TRUNCATE ON katas.person TO katas_app", &["changed: grant katas.person to katas_app"]),
    ("REVOKE DELETE ON katas.person FROM katas_app", &["changed: grant katas.person to katas_app"]),
    ("REVOKE ALL ON katas.dataset_run FROM katas_app", &["missing: grant katas.dataset_run to katas_app"]),
    (
        "GRANT SELECT ON katas.person TO katas_app WITH GRANT OPTION",
        &["changed: grant katas.person to katas_app"],
    ),
    (
        "GRANT UPDATE (total) ON katas.receipt TO katas_app",
        &["unexpected: grant katas.receipt.total to katas_app"],
    ),
    ("GRANT SELECT ON katas.person TO PUBLIC", &["unexpected: grant katas.person to PUBLIC"]),
    (
        "GRANT EXECUTE ON FUNCTION katas.rfc3339 TO PUBLIC",
        &["missing: revoke katas.rfc3339(timestamp with time zone) from PUBLIC"],
    ),
    ("GRANT CREATE ON SCHEMA katas TO katas_app", &["changed: grant katas to katas_app"]),
    (
        "GRANT USAGE ON SEQUENCE katas.person_id_seq TO katas_app",
        &["unexpected: grant katas.person_id_seq to katas_app"],
    ),
    (
        "GRANT INSERT ON katas._sqlx_migrations TO katas_app",
        &["changed: grant katas._sqlx_migrations to katas_app"],
    ),
    (
        "REVOKE SELECT ON katas._sqlx_migrations FROM katas_app",
        &["missing: grant katas._sqlx_migrations to katas_app"],
    ),
    (
        "REVOKE INSERT ON katas.person FROM katas_owner",
        &["unexpected: revoke katas.person from katas_owner"],
    ),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE katas_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        &["missing: default privileges katas_owner, functions from PUBLIC"],
    ),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE katas_owner IN SCHEMA katas GRANT SELECT ON TABLES TO PUBLIC",
        &["unexpected: default privileges katas_owner in katas, tables to PUBLIC"],
    ),
    ("ALTER TABLE katas.person OWNER TO postgres", &["unexpected: owner katas.person"]),
    ("ALTER TABLE katas.person ENABLE ROW LEVEL SECURITY", &["unexpected: row level security katas.person"]),
    ("CREATE POLICY p ON katas.person USING (true)", &["unexpected: policy katas.person.p"]),
    ("COMMENT ON COLUMN katas.person.email IS 'x'", &["unexpected: comment COLUMN katas.person.email"]),
    (
        "CREATE TABLE katas.more (); ALTER TABLE katas.more OWNER TO katas_owner",
        &["unexpected: table katas.more"],
    ),
    (
        "CREATE VIEW katas.v AS SELECT 1 AS one; CREATE RULE r AS ON INSERT TO katas.v DO INSTEAD NOTHING;
         ALTER VIEW katas.v OWNER TO katas_owner",
        &["unexpected: view katas.v", "unexpected: rule katas.v.r"],
    ),
    (
        "CREATE TYPE katas.t AS ENUM ('a'); CREATE SEQUENCE katas.s;
         ALTER TYPE katas.t OWNER TO katas_owner; ALTER SEQUENCE katas.s OWNER TO katas_owner",
        &["unexpected: type katas.t", "unexpected: sequence katas.s"],
    ),
    (
        "CREATE COLLATION katas.german FROM \"C\"",
        &["unexpected: other collation katas.german"],
    ),
];

#[test]
fn every_drift_is_found_and_named() {
    let database = Database::bootstrapped(&INSTALLED);
    let schema = include_str!("../../../db/schema.sql");
    for (sql, expected) in DRIFTS {
        // To restore it takes a tenth of the time of another database.
        database.sql(&format!("DROP SCHEMA IF EXISTS katas CASCADE; {schema}; {sql}"));
        let verified = database.verify();
        assert_eq!(first_lines(&verified), *expected, "{sql}\n{verified}");
    }
}

#[test]
fn what_is_no_part_of_the_schema_is_no_drift() {
    let database = Database::migrated(&INSTALLED);
    let before = database.verify();
    assert_eq!(before.drift, []);
    database.sql(
        "INSERT INTO katas.person (username, email) SELECT 'x', 'x@y' FROM generate_series(1, 1000);
         DELETE FROM katas._sqlx_migrations WHERE version = 3;
         ANALYZE;
         CREATE TABLE katas._migrate_seeds (name text PRIMARY KEY);
         CREATE INDEX of_the_runner ON katas._sqlx_migrations (success);
         CREATE SCHEMA other_project; CREATE TABLE other_project.t (id int);
         CREATE TABLE public.entry (id int);
         CREATE TEMPORARY TABLE person (id int)",
    );
    assert_eq!(database.verify(), before);
}

#[test]
fn who_may_connect_may_look() {
    let database = Database::migrated(&INSTALLED);
    let administrator = database.verify();
    for role in ["katas_app", "katas_migrator"] {
        assert_eq!(verify(&database.url(role), &Project::built_in()), administrator, "{role}");
    }
}

#[test]
fn without_drift_the_fingerprint_is_that_of_schema_sql() {
    let digest = Sha256::digest(include_bytes!("../../../db/schema.sql"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for database in [Database::migrated(&INSTALLED), Database::migrated(&BUNDLED)] {
        let Verification { version, fingerprint, drift } = database.verify();
        let expected = (Project::built_in().newest(), digest.clone(), Vec::new());
        assert_eq!((version, fingerprint, drift), expected);
    }
}

#[test]
fn a_difference_is_shown_with_what_helps() {
    let database = Database::migrated(&INSTALLED);
    database
        .sql("ALTER TABLE katas.person ALTER COLUMN email TYPE varchar, ADD COLUMN age integer");
    let shown = database.verify().to_string();
    for text in [
        "changed: table katas.person\n  - email text NOT NULL\n  \
         + email character varying NOT NULL\n  + age integer\n",
        "`migrate new`",
    ] {
        assert!(shown.contains(text), "{text} is not in:\n{shown}");
    }
}

#[test]
fn up_down_up_makes_the_same() {
    let project = Project::built_in();
    let untouched = Database::bootstrapped(&INSTALLED);
    untouched.sql("CREATE SCHEMA katas AUTHORIZATION katas_owner");
    let database = Database::migrated(&INSTALLED);
    let before = database.dump(&project);
    for migration in project.migrations.iter().rev() {
        let down = &migration.down.as_ref().expect("it can be undone").sql;
        database.sql(&format!("SET ROLE katas_owner; SET search_path = ''; {down}"));
    }
    let nothing = "something is left, or something is gone";
    assert_same(&database.dump(&project), &untouched.dump(&project), nothing);
    database.sql("DELETE FROM katas._sqlx_migrations");
    database.up();
    assert_same(&database.dump(&project), &before, "the second time made another schema");
}

#[test]
fn the_dump_of_katas_can_be_restored() {
    let database = Database::bootstrapped(&INSTALLED);
    let project = Project::built_in();
    database.sql(project.dump.as_deref().expect("it is built in"));
    assert_eq!(database.verify().drift, []);
    assert_same(
        &database.dump(&project),
        include_str!("../../../db/schema.sql"),
        "it is another one",
    );
}

#[test]
fn without_a_dump_there_is_nothing_to_compare_with() {
    let database = Database::migrated(&INSTALLED);
    for dump in [None, Some("SELECT 1;".to_owned())] {
        let project = Project { dump, ..Project::built_in() };
        let error = RUNTIME.block_on(async {
            let mut connection = PgConnection::connect(&database.administrator()).await.unwrap();
            migrate::compare(&mut connection, &project, 1).await.unwrap_err()
        });
        assert_eq!(error.exit_code(), 2, "{error}");
        assert!(error.to_string().contains("migrate dump"), "{error}");
    }
}

/// What is done to the roles by hand, how it is undone, and what is said about it. `{}` is the
/// database.
const ROLE_DRIFTS: [(&str, &str, &[&str]); 18] = [
    (
        "ALTER ROLE katas_app SET statement_timeout = '1h'",
        "ALTER ROLE katas_app SET statement_timeout = '5s'",
        &["changed: role setting katas_app statement_timeout"],
    ),
    (
        "ALTER ROLE katas_app RESET lock_timeout",
        "ALTER ROLE katas_app SET lock_timeout = '2s'",
        &["missing: role setting katas_app lock_timeout"],
    ),
    (
        "ALTER ROLE katas_app SET session_replication_role = 'replica'",
        "ALTER ROLE katas_app RESET session_replication_role",
        &["unexpected: role setting katas_app session_replication_role"],
    ),
    (
        "ALTER ROLE katas_app IN DATABASE {} SET work_mem = '1GB'",
        "ALTER ROLE katas_app IN DATABASE {} RESET work_mem",
        &["unexpected: role setting katas_app work_mem in this database"],
    ),
    (
        "ALTER ROLE katas_app CONNECTION LIMIT 500",
        "ALTER ROLE katas_app CONNECTION LIMIT 80",
        &[],
    ),
    ("ALTER ROLE katas_app SUPERUSER", "ALTER ROLE katas_app NOSUPERUSER", &["changed: role katas_app"]),
    ("ALTER ROLE katas_app BYPASSRLS", "ALTER ROLE katas_app NOBYPASSRLS", &["changed: role katas_app"]),
    ("ALTER ROLE katas_owner LOGIN", "ALTER ROLE katas_owner NOLOGIN", &["changed: role katas_owner"]),
    ("CREATE ROLE katas_spy", "DROP ROLE katas_spy", &["unexpected: role katas_spy"]),
    (
        "GRANT katas_owner TO katas_app",
        "REVOKE katas_owner FROM katas_app",
        &["unexpected: membership katas_app in katas_owner"],
    ),
    (
        "REVOKE katas_owner FROM katas_migrator",
        "GRANT katas_owner TO katas_migrator",
        &["missing: membership katas_migrator in katas_owner"],
    ),
    (
        "GRANT katas_owner TO katas_migrator WITH ADMIN OPTION",
        "REVOKE ADMIN OPTION FOR katas_owner FROM katas_migrator",
        &["changed: membership katas_migrator in katas_owner"],
    ),
    (
        "GRANT pg_write_all_data TO katas_app",
        "REVOKE pg_write_all_data FROM katas_app",
        &["unexpected: membership katas_app in pg_write_all_data"],
    ),
    (
        "REVOKE CONNECT ON DATABASE {} FROM katas_app",
        "GRANT CONNECT ON DATABASE {} TO katas_app",
        &["missing: database katas_app"],
    ),
    (
        "GRANT CREATE ON DATABASE {} TO PUBLIC",
        "REVOKE CREATE ON DATABASE {} FROM PUBLIC",
        &["unexpected: database PUBLIC"],
    ),
    // In these, honest installations differ.
    ("ALTER ROLE katas_app RESET lc_messages", "ALTER ROLE katas_app SET lc_messages = 'C'", &[]),
    ("REVOKE ALL ON DATABASE {} FROM PUBLIC", "GRANT CONNECT, TEMPORARY ON DATABASE {} TO PUBLIC", &[]),
    (
        "ALTER ROLE katas_app PASSWORD 'other'; CREATE ROLE monitor; GRANT katas_app TO monitor;
         CREATE DATABASE another OWNER katas_owner; ALTER ROLE katas_app IN DATABASE another SET jit = off",
        "DROP DATABASE another; DROP ROLE monitor",
        &[],
    ),
];

/// Roles belong to the server: this test has one of its own.
#[test]
fn every_drift_of_the_roles_is_found_and_named() {
    static SERVER: LazyLock<Postgres> = LazyLock::new(|| server(Source::Any));
    let database = Database::migrated(&SERVER);
    // Each by itself: a database is not made in a transaction.
    let run =
        |sql: &str| sql.replace("{}", &database.name).split(';').for_each(|sql| database.sql(sql));
    for (sql, undo, expected) in ROLE_DRIFTS {
        run(sql);
        let verified = database.verify();
        assert_eq!(first_lines(&verified), *expected, "{sql}\n{verified}");
        if !expected.is_empty() {
            assert!(verified.to_string().contains("`migrate bootstrap`"), "{verified}");
        }
        run(undo);
        assert_eq!(database.verify().drift, [], "{undo}");
    }
}
