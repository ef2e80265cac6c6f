//! `migrate dump` and `migrate verify`: a dump is the same on every server and restores the schema,
//! and `verify` reports every drift from it.

use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use katas_host::local::postgres::{Postgres, PostgresInstall};
use migrate::{Difference, Project, Verification};
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection};

use crate::support::{RUNTIME, sql};

/// The installed PostgreSQL and the bundled PostgreSQL 17. Both stop with this process.
static INSTALLED: LazyLock<Postgres> = LazyLock::new(|| server(PostgresInstall::Any));
static BUNDLED: LazyLock<Postgres> = LazyLock::new(|| server(PostgresInstall::Bundled));

fn server(source: PostgresInstall) -> Postgres {
    let folder = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR"));
    RUNTIME.block_on(Postgres::start_empty(&folder, source, true)).expect("start a server")
}

/// A database for a single test.
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

    /// Creates a database with the roles of katas.
    fn bootstrapped(server: &'static Postgres) -> Database {
        let database = Database::empty(server);
        database.bootstrap();
        database
    }

    /// Creates a database with all migrations of katas.
    fn migrated(server: &'static Postgres) -> Database {
        let database = Database::bootstrapped(server);
        database.up();
        database
    }

    fn bootstrap(&self) {
        let secrets = tempfile::tempdir().expect("create temp dir");
        let mut command = migrate();
        command.arg("bootstrap").env("DATABASE_URL", self.administrator());
        for role in ["katas_migrator", "katas_app"] {
            let file = secrets.path().join(role);
            std::fs::write(&file, "secret").expect("write file");
            command.arg(format!("--password={role}={}", file.display()));
        }
        run(command);
    }

    fn up(&self) {
        let mut command = migrate();
        command.arg("up").env("DATABASE_URL", self.url("katas_migrator"));
        run(command);
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
                PgConnection::connect(&self.administrator()).await.expect("connect");
            migrate::write_dump(&mut connection, project, project.newest()).await.expect("dump")
        })
    }

    fn verify(&self) -> Verification {
        verify(&self.administrator(), &Project::built_in())
    }
}

fn verify(url: &str, project: &Project) -> Verification {
    RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("connect");
        migrate::compare(&mut connection, project, project.newest()).await.expect("compare")
    })
}

fn migrate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_migrate"))
}

#[track_caller]
fn run(mut command: Command) {
    let output = command.output().expect("run migrate");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Panics with the first line in which two texts differ.
#[track_caller]
fn assert_same(one: &str, other: &str, help: &str) {
    let mut lines = one.lines().zip(other.lines()).enumerate();
    if let Some((number, (one, other))) = lines.find(|(_, (one, other))| one != other) {
        panic!("line {}:\n  {one}\n  {other}\n{help}", number + 1);
    }
    assert_eq!(one.len(), other.len(), "{help}");
}

/// The storage of `katas.dataset_chunk.csv`, which depends on the server.
const WITH_LZ4: &str = "csv SET COMPRESSION lz4;";
const WITHOUT_LZ4: &str = "csv SET STORAGE EXTERNAL;";

fn has_lz4(server: &Postgres) -> bool {
    let sql =
        "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'";
    RUNTIME.block_on(async {
        let url = server.administrator("postgres");
        let mut connection = PgConnection::connect(&url).await.expect("connect");
        sqlx::query_as::<_, (bool,)>(sql).fetch_one(&mut connection).await.expect("query").0
    })
}

/// Returns `schema.sql`, adapted to the server.
fn schema_sql(server: &Postgres) -> String {
    let schema = include_str!("../../../db/schema.sql");
    if has_lz4(server) { schema.to_owned() } else { schema.replace(WITH_LZ4, WITHOUT_LZ4) }
}

#[test]
fn chunks_are_compressed_with_lz4_or_not_at_all() {
    for server in [&*INSTALLED, &*BUNDLED] {
        let database = Database::migrated(server);
        let sql = "SELECT attstorage::text || attcompression::text FROM pg_attribute
                   WHERE attrelid = 'katas.dataset_chunk'::regclass AND attname = 'csv'";
        let found = crate::support::value(&database.administrator(), sql);
        assert_eq!(found, if has_lz4(server) { "xl" } else { "e" });
        assert_eq!(database.verify().drift, []);
        // Without lz4, pglz would be drift, and so would no compression with it.
        database.sql(
            "ALTER TABLE katas.dataset_chunk ALTER COLUMN csv SET STORAGE EXTENDED,
             ALTER COLUMN csv SET COMPRESSION pglz",
        );
        assert_eq!(first_lines(&database.verify()), ["changed: column katas.dataset_chunk.csv"]);
    }
}

#[test]
fn schema_sql_matches_migrations_on_every_version() {
    for server in [&*INSTALLED, &*BUNDLED] {
        let dump = Database::migrated(server).dump(&Project::built_in());
        if std::env::var_os("RENEW").is_some() {
            let dump = dump.replace(WITHOUT_LZ4, WITH_LZ4);
            std::fs::write("../db/schema.sql", dump).expect("write file");
            continue;
        }
        let help = "to regenerate it: RENEW=1 cargo test --workspace --test postgres -- \
                    schema_sql_matches";
        assert_same(&dump, &schema_sql(server), help);
    }
}

/// A project other than katas, whose schema has objects of every kind.
fn shop() -> Project {
    let (schema, ledger) = ("shop".to_owned(), "shop._sqlx_migrations".to_owned());
    Project { schema, ledger, dump: None, ..Project::built_in() }
}

/// Creates a database with the roles of the shop and their privileges.
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
fn dump_of_every_kind_of_object_is_restorable_and_same_on_every_version() {
    let mut dumps = Vec::new();
    for server in [&*INSTALLED, &*BUNDLED] {
        let (original, restored) = (shop_database(server), shop_database(server));
        original.sql(include_str!("catalog/shop.sql"));
        let dump = original.dump(&shop());
        restored.sql(&dump);
        assert_same(&dump, &restored.dump(&shop()), "the restored schema differs");
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
fn only_extensions_that_schema_depends_on_are_drift() {
    let database = shop_database(&INSTALLED);
    if !has_citext(&database) {
        // The bundled server has no extensions.
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
            PgConnection::connect(&database.administrator()).await.expect("connect");
        let sql = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')";
        let (available,) =
            sqlx::query_as(sql).fetch_one(&mut connection).await.expect("query extensions");
        available
    })
}

fn first_lines(verified: &Verification) -> Vec<String> {
    let first = |it: &Difference| it.to_string().lines().next().unwrap_or_default().to_owned();
    verified.drift.iter().map(first).collect()
}

/// Manual changes to a database, and the differences that `verify` reports.
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
        &[
            "unexpected: disabled constraint katas.dataset_run.dataset_run_dataset_fkey",
            "unexpected: disabled constraint katas.dataset_run.dataset_run_part_run_fkey",
        ],
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
    ("REVOKE ALL ON katas.dataset_chunk FROM katas_app", &["missing: grant katas.dataset_chunk to katas_app"]),
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
fn verify_reports_every_drift() {
    let database = Database::bootstrapped(&INSTALLED);
    let schema = schema_sql(&INSTALLED);
    for (sql, expected) in DRIFTS {
        // Restoring the schema takes a tenth of the time of creating another database.
        database.sql(&format!("DROP SCHEMA IF EXISTS katas CASCADE; {schema}; {sql}"));
        let verified = database.verify();
        assert_eq!(first_lines(&verified), *expected, "{sql}\n{verified}");
    }
}

#[test]
fn data_and_objects_outside_of_schema_are_not_drift() {
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
    let after = database.verify();
    assert_eq!(after.not_compared, ["schema other_project", "schema public"]);
    assert_eq!(Verification { not_compared: Vec::new(), ..after }, before);
}

#[test]
fn verify_needs_only_connect_privilege() {
    let database = Database::migrated(&INSTALLED);
    let administrator = database.verify();
    for role in ["katas_app", "katas_migrator"] {
        assert_eq!(verify(&database.url(role), &Project::built_in()), administrator, "{role}");
    }
}

#[test]
fn fingerprint_without_drift_is_digest_of_schema_sql() {
    for database in [Database::migrated(&INSTALLED), Database::migrated(&BUNDLED)] {
        let digest = Sha256::digest(schema_sql(database.server));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let Verification { version, fingerprint, drift, .. } = database.verify();
        let expected = (Project::built_in().newest(), digest, Vec::new());
        assert_eq!((version, fingerprint, drift), expected);
    }
}

#[test]
fn difference_is_displayed_with_remedy() {
    let database = Database::migrated(&INSTALLED);
    database
        .sql("ALTER TABLE katas.person ALTER COLUMN email TYPE varchar, ADD COLUMN age integer");
    let text = database.verify().to_string();
    for expected in [
        "changed: table katas.person\n  - email text NOT NULL\n  \
         + email character varying NOT NULL\n  + age integer\n",
        "`migrate new`",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn up_down_up_restores_the_same_schema() {
    let project = Project::built_in();
    let untouched = Database::bootstrapped(&INSTALLED);
    untouched.sql("CREATE SCHEMA katas AUTHORIZATION katas_owner");
    let database = Database::migrated(&INSTALLED);
    let before = database.dump(&project);
    for migration in project.migrations.iter().rev() {
        let down = &migration.down.as_ref().expect("a down script").sql;
        database.sql(&format!("SET ROLE katas_owner; SET search_path = ''; {down}"));
    }
    let help = "the down scripts leave or remove too much";
    assert_same(&database.dump(&project), &untouched.dump(&project), help);
    database.sql("DELETE FROM katas._sqlx_migrations");
    database.up();
    assert_same(&database.dump(&project), &before, "the second run creates another schema");
}

#[test]
fn schema_sql_is_restorable() {
    let database = Database::bootstrapped(&INSTALLED);
    let project = Project::built_in();
    let schema = schema_sql(&INSTALLED);
    database.sql(&schema);
    assert_eq!(database.verify().drift, []);
    assert_same(&database.dump(&project), &schema, "the restored schema differs");
}

#[test]
fn verify_without_valid_dump_is_usage_error() {
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

/// Manual changes to the roles, how to revert them, and the differences that `verify` reports. `{}`
/// stands for the database.
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
    // Legitimate differences between installations.
    ("ALTER ROLE katas_app RESET lc_messages", "ALTER ROLE katas_app SET lc_messages = 'C'", &[]),
    ("REVOKE ALL ON DATABASE {} FROM PUBLIC", "GRANT CONNECT, TEMPORARY ON DATABASE {} TO PUBLIC", &[]),
    (
        "ALTER ROLE katas_app PASSWORD 'other'; CREATE ROLE monitor; GRANT katas_app TO monitor;
         CREATE DATABASE another OWNER katas_owner; ALTER ROLE katas_app IN DATABASE another SET jit = off",
        "DROP DATABASE another; DROP ROLE monitor",
        &[],
    ),
];

/// Uses a separate server, because roles belong to the server.
#[test]
fn verify_reports_every_drift_of_roles() {
    static SERVER: LazyLock<Postgres> = LazyLock::new(|| server(PostgresInstall::Any));
    let database = Database::migrated(&SERVER);
    // One by one: CREATE DATABASE cannot run in a transaction.
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

#[test]
fn verify_names_what_it_does_not_compare() {
    let database = Database::migrated(&INSTALLED);
    assert_eq!(database.verify().not_compared, [""; 0]);
    database.sql(
        "CREATE TABLE public.elsewhere (id int); SELECT lo_create(0);
         CREATE COLLATION katas.plain (LOCALE = 'C'); CREATE PUBLICATION news",
    );
    let verified = database.verify();
    let expected = ["1 large objects of postgres", "publication news", "schema public"];
    assert_eq!(verified.not_compared, expected);
    assert_eq!(verified.compared_by_name, ["collation katas.plain"]);
}

#[test]
#[cfg_attr(not(has_postgres_18), ignore = "PostgreSQL 18 is not installed")]
fn not_null_that_is_not_valid_or_not_inherited_is_drift() {
    let database = shop_database(&INSTALLED);
    database.sql(
        "CREATE SCHEMA shop AUTHORIZATION shop_owner;
         CREATE TABLE shop.brand (id int NOT NULL, name text, CONSTRAINT named NOT NULL id);
         ALTER TABLE shop.brand OWNER TO shop_owner",
    );
    let mut project = shop();
    project.dump = Some(database.dump(&project));
    let drift = || first_lines(&verify(&database.administrator(), &project));
    database.sql("ALTER TABLE shop.brand ADD CONSTRAINT brand_name NOT NULL name NOT VALID");
    assert_eq!(drift(), ["unexpected: constraint shop.brand.brand_name"]);
    // A dump restores what the database contains.
    let restored = shop_database(&INSTALLED);
    restored.sql(&database.dump(&shop()));
    assert_same(&database.dump(&shop()), &restored.dump(&shop()), "the restored schema differs");
    database.sql("ALTER TABLE shop.brand VALIDATE CONSTRAINT brand_name");
    assert_eq!(drift(), ["changed: table shop.brand"]);
    database.sql(
        "ALTER TABLE shop.brand ALTER COLUMN name DROP NOT NULL;
         ALTER TABLE shop.brand ADD CONSTRAINT brand_name NOT NULL name NO INHERIT",
    );
    assert_eq!(drift(), ["unexpected: constraint shop.brand.brand_name"]);
}
