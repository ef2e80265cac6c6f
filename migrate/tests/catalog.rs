//! What is read from the catalog: the same for the same schema on every server, enough to make the
//! schema again, and with every drift in it.

use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use katas_host::local::postgres::{Postgres, Source};
use migrate::{Difference, Project, Verified};
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
    done.expect(text);
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
