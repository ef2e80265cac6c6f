//! What is read from the catalog: the same for the same schema on every server, enough to make the
//! schema again, and with every drift in it.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use katas_host::local::postgres::{Postgres, Source};
use migrate::{Difference, Project, Verified};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::runtime::Runtime;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

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
        Database::like(server, "template1")
    }

    fn like(server: &'static Postgres, template: &str) -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("catalog_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        run(&server.administrator("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { server, name }
    }

    /// With the roles of katas.
    fn bootstrapped(server: &'static Postgres, arguments: &[&str]) -> Database {
        let database = Database::empty(server);
        database.bootstrap(arguments);
        database
    }

    /// With all migrations of katas.
    fn migrated(server: &'static Postgres) -> Database {
        let database = Database::bootstrapped(server, &[]);
        database.up();
        database
    }

    fn bootstrap(&self, arguments: &[&str]) {
        let secrets = tempfile::tempdir().expect("a folder");
        let mut command = migrate();
        command.arg("bootstrap").args(arguments).env("DATABASE_URL", self.administrator());
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
        run(&self.administrator(), text);
    }

    fn dump(&self, project: &Project) -> String {
        RUNTIME.block_on(async {
            let mut connection = PgConnection::connect(&self.administrator()).await.expect("connects");
            migrate::dump(&mut connection, project, project.newest()).await.expect("it is read")
        })
    }

    fn verify(&self) -> Verified {
        verify(&self.administrator(), &Project::built_in())
    }
}

fn verify(url: &str, project: &Project) -> Verified {
    RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await.expect("connects");
        migrate::verify(&mut connection, project, project.newest()).await.expect("it is read")
    })
}

fn run(url: &str, text: &str) {
    let done = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
        connection.close().await
    });
    if let Err(error) = done {
        let position = error.as_database_error().and_then(|error| {
            match error.try_downcast_ref::<PgDatabaseError>()?.position()? {
                PgErrorPosition::Original(position) => Some(position),
                PgErrorPosition::Internal { .. } => None,
            }
        });
        let from: String = text.chars().skip(position.unwrap_or(1) - 1).take(200).collect();
        panic!("{error} at: {from}");
    }
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
    let checked_in = include_str!("../sql/schema.sql");
    for server in [&*INSTALLED, &*BUNDLED] {
        let dump = Database::migrated(server).dump(&Project::built_in());
        if std::env::var_os("RENEW").is_some() {
            std::fs::write("sql/schema.sql", dump).expect("written");
            continue;
        }
        let help = "renew it: RENEW=1 cargo test -p migrate --test catalog schema_sql";
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
