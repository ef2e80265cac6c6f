//! What all systems share: one PostgreSQL, migrated and full of words.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use katas_host::local::build;
use katas_host::local::postgres::{self, Postgres, Source};
use katas_host::manifest::Manifest;
use migrate::{Database, Password, Project, SeedOptions, UpOptions};
use tokio_postgres::{Client, NoTls};

use crate::application::Application;
use crate::paths::folder;

/// The role that the systems log in as.
const ROLE: &str = "katas_app";
/// Enough for all systems at once: each of them keeps its pools.
pub const CONNECTIONS: u32 = 1000;

/// A database for all systems.
pub struct Stage {
    /// The server.
    pub postgres: Postgres,
    /// The manifest of what is measured; its components are built.
    pub manifest: Manifest,
    /// Words that have an entry.
    pub words: Vec<String>,
    /// How many users there are, with ids from 1.
    pub users: u64,
    /// The newest migration.
    pub schema: i64,
    /// The greatest id of an entry that was there from the start.
    last_entry: i64,
    password: String,
}

impl Stage {
    /// Builds the components, and starts an empty server with `rows` words and as many users.
    pub async fn prepare(rows: u64) -> anyhow::Result<Stage> {
        let manifest = Manifest::read(&Application::Product.manifest())?;
        build::components(&manifest, &|_, _| ()).await?;
        let floor = Manifest::read(&Application::Floor.manifest())?;
        build::components(&floor, &|_, _| ()).await?;
        let folder = folder().join("postgres");
        fs::create_dir_all(&folder)?;
        // With fsync, as in production: what is written has to be on the disk.
        let postgres = Postgres::start_empty(&folder, Source::Any, false).await?;
        let password = postgres::password()?;
        let project = Project::built_in();
        let schema = project.migrations.last().context("there are no migrations")?.version;
        let mut stage = Stage {
            postgres,
            manifest,
            words: vec![],
            users: rows,
            schema,
            last_entry: 0,
            password,
        };
        stage.raise_limits().await?;
        stage.fill(&project, rows).await?;
        Ok(stage)
    }

    async fn raise_limits(&mut self) -> anyhow::Result<()> {
        let client = self.administrator().await?;
        client.execute(&format!("ALTER SYSTEM SET max_connections = {CONNECTIONS}"), &[]).await?;
        drop(client);
        self.postgres.restart().await
    }

    async fn fill(&mut self, project: &Project, rows: u64) -> anyhow::Result<()> {
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

    /// The connection string of the systems.
    pub fn url(&self) -> String {
        self.postgres.url(ROLE, &self.password, postgres::DATABASE)
    }

    /// host:port of the server.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.postgres.port())
    }

    /// The variables of the applications that have no usable default.
    pub fn variables(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("database_url".to_owned(), self.url()),
            ("database_host".to_owned(), self.host()),
        ])
    }

    /// A connection as the server's administrator, until it is dropped.
    pub async fn administrator(&self) -> anyhow::Result<Client> {
        let url = self.postgres.administrator(postgres::DATABASE);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// How many connections the systems may have together; `None` for as many as there are.
    pub async fn limit_connections(&self, most: Option<u32>) -> anyhow::Result<()> {
        let most = most.map_or(-1, i64::from);
        let client = self.administrator().await?;
        client.execute(&format!("ALTER ROLE {ROLE} CONNECTION LIMIT {most}"), &[]).await?;
        Ok(())
    }

    /// Removes the words that a measurement has added, so that the next one begins alike.
    pub async fn clean(&self) -> anyhow::Result<()> {
        let client = self.administrator().await?;
        client.execute("DELETE FROM katas.entry WHERE id > $1", &[&self.last_entry]).await?;
        client.batch_execute("VACUUM katas.entry").await?;
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }
}
