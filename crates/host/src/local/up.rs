//! `katas up`: builds, migrates and serves the application with one command.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use migrate::{Database, Event, Password, Project, SeedOptions, UpOptions, WaitOptions};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::postgres::{self, Postgres, PostgresInstall};
use super::spin::Spin;
use super::{Report, build, spin};
use crate::manifest::{Manifest, Route};
use crate::router::Router;
use crate::{App, Config, Log, Server};

/// The options of `katas up`.
pub struct Options {
    /// The path of the manifest.
    pub manifest: PathBuf,
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The connection string of an existing database, to be used instead of the local one.
    pub database_url: Option<String>,
    /// The connection string for migrating the existing database, if it differs.
    pub migrate_url: Option<String>,
    /// The directory of the local database and its password.
    pub state: PathBuf,
    /// Whether to delete the local database first.
    pub fresh: bool,
    /// Whether to load sample data into the local database.
    pub seed: bool,
    /// The PostgreSQL installation to use.
    pub install: PostgresInstall,
    /// The runtime for the components.
    pub engine: Engine,
}

/// A runtime for the components.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Engine {
    /// The built-in host
    Katas,
    /// The `spin` command, which must be installed
    Spin,
}

/// Builds the components, prepares the database, and serves the application. Returns after a signal
/// has stopped the server and PostgreSQL.
pub async fn run(options: Options, report: Report<'_>) -> anyhow::Result<()> {
    let manifest = Manifest::read(&options.manifest)?;
    // Fail fast: the checks that take no time come first.
    if options.engine == Engine::Spin {
        spin::ensure_installed()?;
    }
    let listener = listen(options.listen).await?;
    let address = listener.local_addr()?;
    let mut signals = ShutdownSignals::new()?;

    let prepare = async {
        build::components(&manifest, report).await?;
        prepare_database(&options, report).await
    };
    let database = tokio::select! {
        prepared = prepare => prepared?,
        () = signals.recv() => return Ok(()),
    };
    let mut variables = BTreeMap::from([
        ("database_url".to_owned(), database.url.clone()),
        ("database_host".to_owned(), database.host.clone()),
    ]);
    // Other applications need not declare both.
    variables.retain(|name, _| manifest.variables.contains_key(name));
    let log: Log = Arc::new(|line: &str| eprintln!("{line}"));
    let running = match options.engine {
        Engine::Katas => {
            let app = Arc::new(App::load(&options.manifest)?);
            Running::Katas(Server::start(app, listener, Config { variables, log })?)
        }
        Engine::Spin => {
            drop(listener);
            let spin =
                Spin::start(&options.manifest, &options.state, address, &variables, &[], log);
            Running::Spin(spin.await?)
        }
    };
    report("Serving", &format!("http://{address}, until Ctrl-C"));
    print!("{}", routes(&manifest, &format!("http://{address}"))?);

    tokio::select! {
        () = signals.recv() => report("Stopping", "press Ctrl-C again to stop immediately"),
        error = running.failed() => return Err(error),
    }
    tokio::select! {
        () = running.stop() => {}
        () = signals.recv() => report("Stopping", "immediately"),
    }
    drop(database);
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow!("cannot listen on {address}: address in use; choose another one with --listen")
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    })
}

/// A receiver of SIGINT, SIGTERM and SIGHUP.
struct ShutdownSignals([tokio::signal::unix::Signal; 3]);

impl ShutdownSignals {
    fn new() -> anyhow::Result<ShutdownSignals> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        Ok(ShutdownSignals([a?, b?, c?]))
    }

    /// Waits for the next signal.
    async fn recv(&mut self) {
        let [a, b, c] = &mut self.0;
        tokio::select! {
            _ = a.recv() => {}
            _ = b.recv() => {}
            _ = c.recv() => {}
        }
    }
}

enum Running {
    Katas(Server),
    Spin(Spin),
}

impl Running {
    /// Waits until the runtime exits by itself, which only Spin can do. Returns the error to
    /// report.
    async fn failed(&self) -> anyhow::Error {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Running::Spin(spin) = self
                && spin.has_ended()
            {
                return anyhow!("spin exited unexpectedly; see its output above");
            }
        }
    }

    async fn stop(self) {
        match self {
            Running::Katas(server) => server.stop().await,
            Running::Spin(spin) => {
                // An error means that the closure panicked.
                let _ = tokio::task::spawn_blocking(|| drop(spin)).await;
            }
        }
    }
}

/// A migrated database.
struct PreparedDatabase {
    /// The connection string for the components.
    url: String,
    /// `host:port` of the server.
    host: String,
    /// Keeps the local server running.
    _postgres: Option<Postgres>,
}

async fn prepare_database(
    options: &Options,
    report: Report<'_>,
) -> anyhow::Result<PreparedDatabase> {
    match &options.database_url {
        Some(url) => prepare_existing(url, options.migrate_url.as_deref(), report).await,
        None => prepare_local(options, report).await,
    }
}

/// Starts the local PostgreSQL, creates the roles that a deployment has, and migrates the database.
async fn prepare_local(options: &Options, report: Report<'_>) -> anyhow::Result<PreparedDatabase> {
    let folder = options.state.join("postgres");
    let postgres = Postgres::start(postgres::Options {
        folder: folder.clone(),
        programs: options.state.join("programs"),
        install: options.install,
        fresh: options.fresh,
        ephemeral: false,
    })
    .await?;
    report("Database", &format!("{}, data in {}", postgres.description(), folder.display()));
    // New passwords on every start, so that they need not be stored.
    let (app, migrator) = (postgres::password()?, postgres::password()?);
    let administrator = Database::new(&postgres.administrator(postgres::DATABASE))?;
    let passwords = [
        Password { role: "katas_app", password: &app },
        Password { role: "katas_migrator", password: &migrator },
    ];
    let project = Project::built_in();
    migrate::bootstrap(&project, &administrator, &passwords, true, &|_| ()).await?;
    migrate::set_environment(&administrator, &"development".parse()?, &|_| ()).await?;
    let migrator = Database::new(&postgres.url("katas_migrator", &migrator, postgres::DATABASE))?;
    migrate_up(&project, &migrator, report).await?;
    if options.seed {
        seed(&project, &migrator, report).await?;
    }
    let url = postgres.url("katas_app", &app, postgres::DATABASE);
    Ok(PreparedDatabase {
        url: format!("{url}&application_name=katas&connect_timeout=3"),
        host: format!("127.0.0.1:{}", postgres.port()),
        _postgres: Some(postgres),
    })
}

/// Migrates an existing database. Creates the roles only if they are missing, because other
/// applications may use them.
async fn prepare_existing(
    url: &str,
    migrate_url: Option<&str>,
    report: Report<'_>,
) -> anyhow::Result<PreparedDatabase> {
    // On a laptop, the superuser is often the only role at hand.
    let database = Database::new(migrate_url.unwrap_or(url))?.allow_superuser(true);
    let host = host(url)?;
    report("Database", &database.address());
    let project = Project::built_in();
    let status = migrate::status(&project, &database, &|_| ()).await.map_err(|error| {
        let error = anyhow::Error::from(error);
        anyhow!(
            "cannot use the database: {error:#}; start it, or omit --database-url for a local one"
        )
    })?;
    if status.pending > 0 {
        if !migrate::has_role(&database, "katas_owner").await? {
            migrate::bootstrap(&project, &database, &[], false, &|_| ()).await?;
        }
        migrate_up(&project, &database.role("katas_owner"), report).await?;
    }
    Ok(PreparedDatabase { url: url.to_owned(), host, _postgres: None })
}

async fn migrate_up(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> anyhow::Result<()> {
    let wait = WaitOptions { lock: Duration::from_secs(60), ..WaitOptions::default() };
    let options = UpOptions { wait, ..UpOptions::default() };
    let on_event = |event: &Event| match event {
        // Not worth a line: waiting for the lock is a separate event.
        Event::Locked { .. } => {}
        event => report("", &event.to_string()),
    };
    let up = migrate::up(project, database, options, &on_event).await?;
    report("Schema", &format!("version {}", up.version));
    Ok(())
}

async fn seed(project: &Project, database: &Database, report: Report<'_>) -> anyhow::Result<()> {
    let options = SeedOptions::default();
    let seeded = migrate::seed(project, database, &options, &|_| (), &|_| ()).await?;
    for seed in seeded.seeds {
        report("Seed", &seed.to_string());
    }
    Ok(())
}

/// Returns `host:port` of a connection string, as the components' driver parses it.
fn host(url: &str) -> anyhow::Result<String> {
    use tokio_postgres::config::Host;

    let config: tokio_postgres::Config = url
        .parse()
        .ok()
        .context("invalid --database-url; use postgres://user:password@host:port/database")?;
    match config.get_hosts() {
        [Host::Tcp(host)] => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            Ok(format!("{host}:{port}"))
        }
        _ => bail!("unsupported --database-url; components connect to a single host over TCP"),
    }
}

/// Lists every route with its example requests as `curl` commands, which work in the order listed.
pub fn routes(manifest: &Manifest, base: &str) -> anyhow::Result<String> {
    let router = Router::new(manifest)?;
    let mut text = String::new();
    for (index, trigger) in manifest.trigger.http.iter().enumerate() {
        let (Route::Pattern(route), Some(id)) = (&trigger.route, &trigger.component) else {
            continue;
        };
        text += &format!("\n{route}  ({id})\n");
        for example in manifest.component[id].examples() {
            let path = example.path.split('?').next().unwrap_or_default();
            if router.find(path).is_some_and(|found| found.trigger == index) {
                text += &format!("  {}\n", example.curl(base));
            }
        }
    }
    Ok(text)
}

/// Returns the path of the nearest `spin.toml` in `folder` or its ancestors.
pub fn find_manifest(folder: &Path) -> anyhow::Result<PathBuf> {
    let candidates = folder.ancestors().map(|folder| folder.join("spin.toml"));
    let mut manifests = candidates.filter(|path| path.is_file());
    manifests.next().context("no spin.toml in this directory or its parents; use --from")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_string_must_name_one_tcp_host() {
        assert_eq!(host("postgres://u:p@db:5433/x").unwrap(), "db:5433");
        assert_eq!(host("postgresql://u@db/x?sslmode=disable").unwrap(), "db:5432");
        for url in ["postgres://u@a,b/x", "host=/run user=u", "nonsense"] {
            assert!(host(url).is_err(), "{url}");
        }
        let error = host("postgres://u:secret@db:x/y").unwrap_err();
        assert!(!format!("{error:#}").contains("secret"));
    }
}
