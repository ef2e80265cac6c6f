//! `katas up`: everything from the source to the first answer, with one command.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use migrate::{Database, Event, Password, Project, SeedOptions, UpOptions, WaitOptions};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::postgres::{self, Postgres, Source};
use super::spin::Spin;
use super::{Report, build, spin};
use crate::manifest::{Manifest, Route};
use crate::router::Router;
use crate::{App, Config, Log, Server};

/// What to run, and how.
pub struct Options {
    /// The manifest.
    pub manifest: PathBuf,
    /// Where to listen; port 0 for any that is free.
    pub listen: SocketAddr,
    /// A database that is there already, in place of one of our own.
    pub database_url: Option<String>,
    /// The same database for the migrations, as somebody with the rights for them.
    pub migrate_url: Option<String>,
    /// Where the state is kept: the database of our own, its password.
    pub state: PathBuf,
    /// Whether to begin with an empty database.
    pub fresh: bool,
    /// Whether to load data for trying things out into the database of our own.
    pub seed: bool,
    /// Which PostgreSQL may be used.
    pub source: Source,
    /// What runs the components.
    pub engine: Engine,
}

/// What runs the components.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub enum Engine {
    /// This program
    Katas,
    /// The `spin` command, which has to be installed
    Spin,
}

/// Builds, starts, migrates, serves; returns once it has been told to stop and everything has.
pub async fn run(options: Options, report: Report<'_>) -> anyhow::Result<()> {
    let manifest = Manifest::read(&options.manifest)?;
    // First what takes no time to find out.
    if options.engine == Engine::Spin {
        spin::ensure_installed()?;
    }
    let listener = listen(options.listen).await?;
    let address = listener.local_addr()?;
    let mut stop = Stop::new()?;

    let prepare = async {
        build::components(&manifest, report).await?;
        prepare_database(&options, report).await
    };
    let database = tokio::select! {
        ready = prepare => ready?,
        () = stop.requested() => return Ok(()),
    };
    let mut variables = BTreeMap::from([
        ("database_url".to_owned(), database.url.clone()),
        ("database_host".to_owned(), database.host.clone()),
    ]);
    // Other applications may not declare both.
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
        () = stop.requested() => report("Stopping", "Ctrl-C again does not wait for requests"),
        ended = running.ended() => ended?,
    }
    tokio::select! {
        () = running.stop() => {}
        () = stop.requested() => report("Stopping", "at once"),
    }
    drop(database);
    Ok(())
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "{address} is in use: stop what listens there, or choose another address with --listen"
        ),
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    })
}

/// SIGINT, SIGTERM and SIGHUP, from here on ours to act on.
struct Stop {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Stop {
    fn new() -> anyhow::Result<Stop> {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [a, b, c] = kinds.map(signal);
        Ok(Stop { signals: [a?, b?, c?] })
    }

    async fn requested(&mut self) {
        let [a, b, c] = &mut self.signals;
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
    /// Comes back only if it ends without having been asked to.
    async fn ended(&self) -> anyhow::Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if let Running::Spin(spin) = self
                && spin.has_ended()
            {
                bail!("spin has ended");
            }
        }
    }

    async fn stop(self) {
        match self {
            Running::Katas(server) => server.stop().await,
            Running::Spin(spin) => {
                // An error would be a panic in there.
                let _ = tokio::task::spawn_blocking(|| drop(spin)).await;
            }
        }
    }
}

/// A migrated database and how the components reach it.
struct Ready {
    url: String,
    /// host:port
    host: String,
    _postgres: Option<Postgres>,
}

async fn prepare_database(options: &Options, report: Report<'_>) -> anyhow::Result<Ready> {
    match &options.database_url {
        Some(url) => prepare_given(url, options.migrate_url.as_deref(), report).await,
        None => prepare_own(options, report).await,
    }
}

/// Starts a PostgreSQL of our own, with the roles that a cluster would have.
async fn prepare_own(options: &Options, report: Report<'_>) -> anyhow::Result<Ready> {
    let folder = options.state.join("postgres");
    let postgres = Postgres::start(postgres::Options {
        folder: folder.clone(),
        programs: options.state.join("programs"),
        source: options.source,
        fresh: options.fresh,
        ephemeral: false,
    })
    .await?;
    report("Database", &format!("{}, data in {}", postgres.description(), folder.display()));
    // New passwords every time: nothing to store, and nobody has to know them.
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
    Ok(Ready {
        url: format!("{url}&application_name=katas&connect_timeout=3"),
        host: format!("127.0.0.1:{}", postgres.port()),
        _postgres: Some(postgres),
    })
}

/// Brings a database that somebody has given up to date. The roles are made when they are missing,
/// and left as they are when they are not: others may be using them.
async fn prepare_given(
    url: &str,
    migrate_url: Option<&str>,
    report: Report<'_>,
) -> anyhow::Result<Ready> {
    let host = host(url)?;
    // On a laptop, who is asked for a database often has only its superuser at hand.
    let database = Database::new(migrate_url.unwrap_or(url))?.allow_superuser(true);
    report("Database", &database.address());
    let project = Project::built_in();
    let status = migrate::status(&project, &database, &|_| ()).await.with_context(
        || "the database cannot be used; start it, or leave out --database-url for one of our own",
    )?;
    if status.pending > 0 {
        if !migrate::has_role(&database, "katas_owner").await? {
            migrate::bootstrap(&project, &database, &[], false, &|_| ()).await?;
        }
        migrate_up(&project, &database.role("katas_owner"), report).await?;
    }
    Ok(Ready { url: url.to_owned(), host, _postgres: None })
}

async fn migrate_up(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> anyhow::Result<()> {
    let wait = WaitOptions { lock: Duration::from_secs(60), ..WaitOptions::default() };
    let options = UpOptions { wait, ..UpOptions::default() };
    let tell = |event: &Event| match event {
        // It is there at once, unless somebody else has it, which is told.
        Event::Locked { .. } => {}
        event => report("", &event.to_string()),
    };
    let up = migrate::up(project, database, options, &tell).await?;
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

/// host:port of a connection string as the components' driver reads it.
fn host(url: &str) -> anyhow::Result<String> {
    use tokio_postgres::config::Host;

    let config: tokio_postgres::Config = url
        .parse()
        .ok()
        .context("--database-url: expected postgres://user:password@host:port/database")?;
    match config.get_hosts() {
        [Host::Tcp(host)] => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            Ok(format!("{host}:{port}"))
        }
        _ => bail!("--database-url: components reach one server, over TCP"),
    }
}

/// Every route with a call to try, to be copied from top to bottom.
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

/// The manifest of the project that `folder` is in: here or in a folder above.
pub fn find_manifest(folder: &Path) -> anyhow::Result<PathBuf> {
    let candidates = folder.ancestors().map(|folder| folder.join("spin.toml"));
    let mut found = candidates.filter(|path| path.is_file());
    found.next().context("there is no spin.toml here, nor in a folder above; give --from")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_where_the_driver_connects_to() {
        assert_eq!(host("postgres://u:p@db:5433/x").unwrap(), "db:5433");
        assert_eq!(host("postgresql://u@db/x?sslmode=disable").unwrap(), "db:5432");
        for bad in ["postgres://u@a,b/x", "host=/run user=u", "nonsense"] {
            assert!(host(bad).is_err(), "{bad}");
        }
        let refused = host("postgres://u:secret@db:x/y").unwrap_err();
        assert!(!format!("{refused:#}").contains("secret"));
    }
}
