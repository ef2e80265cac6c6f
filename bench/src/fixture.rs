//! The database that all systems share: one PostgreSQL server, migrated and seeded.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use katas_host::local::build;
use katas_host::local::postgres::{self, Postgres, PostgresInstall};
use katas_host::manifest::Manifest;
use migrate::{Database, Password, Project, SeedOptions, UpOptions};
use tokio_postgres::{Client, NoTls};

use crate::application::Application;
use crate::paths::output_directory;

/// The role that the systems log in as.
const ROLE: &str = "katas_app";
/// The value of `max_connections`: enough for the pools of all systems at once.
pub const MAX_CONNECTIONS: u32 = 1000;

/// The shared database and the manifest of the product.
pub struct Fixture {
    /// The server.
    pub postgres: Postgres,
    /// Whether the systems must be fast, or only have to work.
    pub must_be_fast: bool,
    /// The manifest of the product, whose components are built.
    pub manifest: Manifest,
    /// The words of all entries, shuffled.
    pub words: Vec<String>,
    /// The number of users; their ids start at 1.
    pub users: u64,
    /// The version of the newest migration.
    pub schema: i64,
    /// The highest id of a seeded entry.
    last_entry: i64,
    password: String,
}

impl Fixture {
    /// Builds the components and starts a server with `rows` words and `rows` users.
    pub async fn prepare(rows: u64, must_be_fast: bool) -> anyhow::Result<Fixture> {
        let manifest = Manifest::read(&Application::Product.manifest())?;
        build::components(&manifest, &|_, _| ()).await?;
        let floor = Manifest::read(&Application::Floor.manifest())?;
        build::components(&floor, &|_, _| ()).await?;
        let directory = output_directory().join("postgres");
        fs::create_dir_all(&directory)?;
        // With fsync, as in production.
        let postgres = Postgres::start_empty(&directory, PostgresInstall::Any, false).await?;
        let password = postgres::password()?;
        let project = Project::built_in();
        let schema = project.migrations.last().context("there are no migrations")?.version;
        let mut fixture = Fixture {
            postgres,
            must_be_fast,
            manifest,
            words: vec![],
            users: rows,
            schema,
            last_entry: 0,
            password,
        };
        fixture.raise_limits().await?;
        fixture.seed(&project, rows).await?;
        Ok(fixture)
    }

    async fn raise_limits(&mut self) -> anyhow::Result<()> {
        let client = self.administrator().await?;
        client
            .execute(&format!("ALTER SYSTEM SET max_connections = {MAX_CONNECTIONS}"), &[])
            .await?;
        drop(client);
        self.postgres.restart().await
    }

    async fn seed(&mut self, project: &Project, rows: u64) -> anyhow::Result<()> {
        let migrator = postgres::password()?;
        let passwords = [
            Password { role: ROLE, password: &self.password },
            Password { role: "katas_migrator", password: &migrator },
        ];
        let administrator = Database::new(&self.postgres.administrator(postgres::DATABASE))?;
        migrate::bootstrap(project, &administrator, &passwords, true, &|_| ()).await?;
        migrate::set_environment(&administrator, &"development".parse()?, &|_| ()).await?;
        let url = self.postgres.url("katas_migrator", &migrator, postgres::DATABASE);
        let migrator = Database::new(&url)?;
        migrate::up(project, &migrator, UpOptions::default(), &|_| ()).await?;
        let only = ["dictionary", "users"].map(str::to_owned).to_vec();
        let options = SeedOptions { scale: Some(rows), only };
        migrate::seed(project, &migrator, &options, &|_| (), &|_| ()).await?;
        self.limit_connections(None).await?;
        let client = self.administrator().await?;
        client.batch_execute("VACUUM ANALYZE").await?;
        let words = client.query("SELECT word FROM katas.entry ORDER BY md5(word)", &[]).await?;
        self.words = words.iter().map(|row| row.get(0)).collect();
        let last = client.query_one("SELECT max(id) FROM katas.entry", &[]).await?;
        self.last_entry = last.get(0);
        Ok(())
    }

    /// Returns the connection string of the systems.
    pub fn url(&self) -> String {
        self.postgres.url(ROLE, &self.password, postgres::DATABASE)
    }

    /// Returns `host:port` of the server.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.postgres.port())
    }

    /// Returns the application variables without a usable default.
    pub fn variables(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("database_url".to_owned(), self.url()),
            ("database_host".to_owned(), self.host()),
        ])
    }

    /// Opens a connection as administrator.
    pub async fn administrator(&self) -> anyhow::Result<Client> {
        let url = self.postgres.administrator(postgres::DATABASE);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Sets the connection limit of the systems' role; `None` for no limit.
    pub async fn limit_connections(&self, limit: Option<u32>) -> anyhow::Result<()> {
        let limit = limit.map_or(-1, i64::from);
        let client = self.administrator().await?;
        client.execute(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT {limit}"), &[]).await?;
        Ok(())
    }

    /// Deletes the entries that a measurement has added, so that all start from the same state.
    pub async fn clean(&self) -> anyhow::Result<()> {
        let client = self.administrator().await?;
        client.execute("DELETE FROM katas.entry WHERE id > $1", &[&self.last_entry]).await?;
        client.batch_execute("VACUUM katas.entry").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}
