//! `katas up`: builds, migrates and serves the application with one command.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use migrations::{Database, Event, Password, Project, Survey, UpOptions, WaitOptions};
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::postgres::{self, Postgres, PostgresInstall};
use super::process::die_with_parent;
use super::queue::{self, Courier, Queue};
use super::spin::Spin;
use super::watch::{self, Snapshot};
use super::{Report, build, log_line, ready, spin};
use crate::component::ComponentConfig;
use crate::manifest::{Example, Manifest, Route};
use crate::pool::Pools;
use crate::router::Router;
use crate::variables::Variables;
use crate::{App, Config, Limits, Log, Server};

/// The options of `katas up`.
pub struct Options {
    /// The path of the manifest.
    pub manifest: PathBuf,
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// Whether other machines may call an application without an API token.
    pub insecure_listen: bool,
    /// An existing database, to be used instead of the local one.
    pub database_url: Option<ConnectionString>,
    /// The connection string for migrating the existing database, if it differs.
    pub migrate_url: Option<ConnectionString>,
    /// Whether the existing database may contain objects of other applications.
    pub shared_database: bool,
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
    /// How messages reach the application.
    pub queue: Queue,
    /// Whether to build and serve the application again when a file changes.
    pub watch: bool,
}

/// The variable with the token of requests that change data.
const TOKEN: &str = "api_token";

/// A connection string and where it comes from.
pub struct ConnectionString {
    /// The connection string.
    pub url: String,
    /// The option or environment variable, for messages.
    pub origin: &'static str,
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
        ensure!(!options.watch, "--watch requires the engine katas; use `spin watch` with Spin");
        spin::ensure_installed()?;
    }
    Router::new(&manifest)?;
    let variables = check_variables(&manifest)?;
    let token =
        variables.iter().find(|(name, _)| *name == TOKEN).map(|(_, value)| value.to_owned());
    if !options.insecure_listen {
        ensure_protected(options.listen, &manifest, token.as_deref())?;
    }
    warn_of_unread_dotenv(&manifest, report);
    let listener = listen(options.listen).await?;
    let address = listener.local_addr()?;
    let mut signals = ShutdownSignals::new()?;

    // Taken before the build, so that later changes are detected.
    let snapshot = options.watch.then(|| Snapshot::read(&manifest.root, &options.state));

    // Nothing is written to a database before the application has been built and loaded.
    let prepare = async {
        let project = project(&manifest)?;
        let existing = match &options.database_url {
            Some(url) if manifest.uses_database() => {
                Some(Existing::check(url, &project, &options, report).await?)
            }
            None if manifest.uses_database() => {
                Postgres::ensure_unused(&options.state.join("postgres"))?;
                None
            }
            _ => None,
        };
        let seeder = match options.seed {
            true => Some(Seeder::build(&manifest, report).await?),
            false => None,
        };
        build::components(&manifest, report).await?;
        let app = load(&options, &manifest, report).await?;
        let database = match existing {
            _ if !manifest.uses_database() => {
                report("Database", "none: the manifest declares no variable database_url");
                None
            }
            Some(existing) => Some(existing.prepare(&project, report).await?),
            None => Some(prepare_local(&options, &project, seeder, report).await?),
        };
        anyhow::Ok((app, database))
    };
    let (app, database) = tokio::select! {
        prepared = prepare => prepared?,
        () = signals.recv() => return Ok(()),
    };
    let mut variables = BTreeMap::new();
    if let Some(database) = &database {
        variables = database_variables(&manifest, &database.url, &database.host);
    }
    let startup_log = StartupLog::default();
    let log = startup_log.log();
    let running = match app {
        Some(app) => {
            let local_hosts_only = address.ip().is_loopback();
            let config = Config { variables, local_hosts_only, log };
            Running::Katas(Server::start(app, listener, config)?)
        }
        None => {
            drop(listener);
            let spin =
                Spin::start(&options.manifest, &options.state, address, &variables, &[], log);
            Running::Spin(spin.await.inspect_err(|_| startup_log.print())?)
        }
    };
    let ready = tokio::select! {
        ready = ready::check(address, &manifest) => ready,
        () = signals.recv() => return Ok(()),
    };
    if let Err(error) = ready {
        let error = not_ready(error, &options, database.as_ref()).await;
        // The log is complete once the server has stopped.
        running.stop().await;
        startup_log.print();
        return Err(error);
    }
    startup_log.discard();
    // An error means that standard output is closed.
    let _ = std::io::stdout()
        .write_all(introduction(&manifest, &format!("http://{address}"))?.as_bytes());
    report("Serving", &format!("http://{address}, until Ctrl-C"));
    let courier = match &database {
        Some(database) => {
            let route = queue::Route {
                database: &database.courier_url,
                application: ready::reachable(address),
                token: token.as_deref().filter(|token| !token.is_empty()),
            };
            Courier::start(options.queue, &route, &options.state.join("queue"))?
        }
        None => None,
    };
    let courier_failed = async {
        match &courier {
            Some(courier) => courier.failed().await,
            None => std::future::pending().await,
        }
    };

    let reload = async {
        match (snapshot, &running) {
            (Some(snapshot), Running::Katas(server)) => {
                reload_on_change(snapshot, &options, server, database.as_ref(), report).await;
            }
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = reload => {}
        () = signals.recv() => report("Stopping", "press Ctrl-C again to stop immediately"),
        error = running.failed() => return Err(error),
        error = courier_failed => return Err(error),
    }
    let stop = async {
        if let Some(courier) = courier {
            courier.stop().await;
        }
        running.stop().await;
    };
    tokio::select! {
        () = stop => {}
        () = signals.recv() => report("Stopping", "immediately"),
    }
    drop(database);
    Ok(())
}

/// Builds, migrates and serves the application again whenever a file next to the manifest changes.
async fn reload_on_change(
    mut snapshot: Snapshot,
    options: &Options,
    server: &Server,
    database: Option<&PreparedDatabase>,
    report: Report<'_>,
) {
    let root = options.manifest.parent().unwrap_or(Path::new("."));
    loop {
        let file = watch::changed(&mut snapshot, root, &options.state).await;
        report("Changed", &file.strip_prefix(root).unwrap_or(&file).display().to_string());
        let begun = Instant::now();
        match reload(options, server, database, report).await {
            Ok(()) => {
                let seconds = begun.elapsed().as_secs_f64();
                report("Serving", &format!("the new version, built in {seconds:.1} s"));
            }
            Err(error) => report("Error", &format!("{error:#}; still serving the last version")),
        }
    }
}

async fn reload(
    options: &Options,
    server: &Server,
    database: Option<&PreparedDatabase>,
    report: Report<'_>,
) -> anyhow::Result<()> {
    let manifest = Manifest::read(&options.manifest)?;
    Router::new(&manifest)?;
    check_variables(&manifest)?;
    build::components(&manifest, report).await?;
    let app =
        load(options, &manifest, report).await?.context("the engine does not load applications")?;
    if let Some(database) = database {
        migrate_up(&project(&manifest)?, &database.migrator, report).await?;
    }
    server.replace(app)
}

/// Returns the migrations in `db/` next to the manifest, which may be newer than the built-in ones. Those
/// of another application are ignored.
fn project(manifest: &Manifest) -> anyhow::Result<Project> {
    let (built_in, folder) = (Project::built_in(), manifest.root.join("db"));
    let is_ours = manifest.uses_database()
        && folder.join("migrations").is_dir()
        && Project::read_ledger(&folder)? == built_in.ledger;
    if is_ours { Ok(Project::read(&folder)?) } else { Ok(built_in) }
}

/// Buffers the log until the application is ready. It is printed only if the application fails to
/// start: otherwise, it contains only the readiness probe and messages from Spin.
#[derive(Default)]
struct StartupLog(Arc<Mutex<Option<Vec<String>>>>);

impl StartupLog {
    /// Returns a log that prints to standard error after [`print`](Self::print) or
    /// [`discard`](Self::discard).
    fn log(&self) -> Log {
        *self.lines() = Some(Vec::new());
        let startup = StartupLog(self.0.clone());
        Arc::new(move |line: &str| match &mut *startup.lines() {
            Some(lines) => lines.push(line.to_owned()),
            None => log_line::print(line),
        })
    }

    fn print(&self) {
        self.lines().take().iter().flatten().for_each(|line| log_line::print(line));
    }

    fn discard(&self) {
        self.lines().take();
    }

    fn lines(&self) -> MutexGuard<'_, Option<Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the values of those variables of the manifest that describe the database.
fn database_variables(manifest: &Manifest, url: &str, host: &str) -> BTreeMap<String, String> {
    let values = [("database_url", url), ("database_host", host)];
    let declared = values.into_iter().filter(|(name, _)| manifest.variables.contains_key(*name));
    declared.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Checks that each variable has a value and that the components' templates are valid. Returns the
/// variables, with a placeholder for the database.
fn check_variables(manifest: &Manifest) -> anyhow::Result<Variables> {
    let database = database_variables(manifest, "postgres://localhost:5432/", "localhost:5432");
    let variables = Variables::resolve(manifest, &database)?;
    for (id, component) in &manifest.component {
        let (pools, log) =
            (Arc::new(Pools::new(Limits::default().pool_wait)), Arc::new(|_: &str| ()));
        ComponentConfig::new(id, component, &variables, pools, log)
            .with_context(|| format!("component {id}"))?;
    }
    Ok(variables)
}

/// Checks that other machines cannot call the application without a token.
fn ensure_protected(
    listen: SocketAddr,
    manifest: &Manifest,
    token: Option<&str>,
) -> anyhow::Result<()> {
    if listen.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    ensure!(
        token.is_some(),
        "refusing to listen on {listen}: the manifest of {} declares no variable {TOKEN}, so every \
         machine on the network could use the application; listen on 127.0.0.1 or pass \
         --insecure-listen",
        manifest.application.name
    );
    ensure!(
        token.is_some_and(|token| !token.is_empty()),
        "refusing to listen on {listen}: without an API token, every machine on the network could \
         change data; set SPIN_VARIABLE_API_TOKEN or pass --insecure-listen"
    );
    Ok(())
}

/// Reports a `.env` file next to the manifest that has no effect: like Spin, `katas` reads the one
/// in the working directory.
fn warn_of_unread_dotenv(manifest: &Manifest, report: Report<'_>) {
    let same = |a: &Path, b: &Path| a.canonicalize().ok() == b.canonicalize().ok();
    let dotenv = manifest.root.join(".env");
    if dotenv.is_file() && !same(&manifest.root, Path::new(".")) {
        let (file, root) = (dotenv.display(), manifest.root.display());
        report("Ignoring", &format!("{file}, as Spin does; to use it, run katas in {root}"));
    }
}

/// Loads the application. Returns `None` for Spin, which loads it itself; in this case, only checks
/// that the files exist.
async fn load(
    options: &Options,
    manifest: &Manifest,
    report: Report<'_>,
) -> anyhow::Result<Option<Arc<App>>> {
    if options.engine == Engine::Spin {
        for (id, component) in &manifest.component {
            let path = manifest.root.join(component.source());
            ensure!(
                path.is_file(),
                "no file {} for component {id}; correct `source` or the build command of the \
                 component",
                path.display()
            );
        }
        return Ok(None);
    }
    // The first time, this takes ten seconds with an unoptimized compiler.
    report("Loading", "the components");
    let manifest = options.manifest.clone();
    let app = tokio::task::spawn_blocking(move || App::load(&manifest)).await??;
    Ok(Some(Arc::new(app)))
}

/// Explains why the application is not ready.
async fn not_ready(
    error: anyhow::Error,
    options: &Options,
    database: Option<&PreparedDatabase>,
) -> anyhow::Error {
    let error = error.context("the application is not ready");
    let Some(database) = database else {
        return anyhow!("{error:#}; see its output above");
    };
    // Connecting may fail only here: the components use a different driver from the migrations.
    if let Err(cause) = Pools::new(Limits::default().pool_wait).get(&database.url).await {
        let cause = cause.root_cause();
        let address = &database.host;
        return match &options.database_url {
            Some(ConnectionString { origin, .. }) => {
                anyhow!("{error:#}; cannot connect to {address}: {cause}; correct {origin}")
            }
            None => anyhow!("{error:#}; cannot connect to {address}: {cause}"),
        };
    }
    match &options.database_url {
        Some(ConnectionString { origin, .. }) => anyhow!(
            "{error:#}; see the output above, and use a user in {origin} that has the privileges of \
             katas_app"
        ),
        None => anyhow!("{error:#}; see the output above"),
    }
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
    /// The connection string for delivering the messages in the outbox.
    courier_url: String,
    /// The database as the role that applies migrations.
    migrator: Database,
    /// Keeps the local server running.
    _postgres: Option<Postgres>,
}

/// Starts the local PostgreSQL, creates the roles that a deployment has, and migrates the database.
async fn prepare_local(
    options: &Options,
    project: &Project,
    seeder: Option<Seeder>,
    report: Report<'_>,
) -> anyhow::Result<PreparedDatabase> {
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
    let (app, courier) = (postgres::password()?, postgres::password()?);
    let migrator = postgres::password()?;
    let administrator = Database::new(&postgres.administrator(postgres::DATABASE))?;
    if postgres.is_bundled() {
        report(
            "Note",
            "in the bundled PostgreSQL, statement_timeout and other timeouts never fire",
        );
    }
    let passwords = [
        Password { role: "katas_app", password: &app },
        Password { role: "katas_courier", password: &courier },
        Password { role: "katas_migrator", password: &migrator },
    ];
    migrations::bootstrap(project, &administrator, &passwords, true, &|_| ()).await?;
    migrations::set_environment(&administrator, &"development".parse()?, &|_| ()).await?;
    let migrate_url = postgres.url("katas_migrator", &migrator, postgres::DATABASE);
    let migrator = Database::new(&migrate_url)?;
    let version = migrate_up(project, &migrator, report).await?;
    report("Schema", &format!("version {version}"));
    if let Some(seeder) = seeder {
        seeder.run(&migrate_url).await?;
    }
    let url = postgres.url("katas_app", &app, postgres::DATABASE);
    Ok(PreparedDatabase {
        url: format!("{url}&application_name=katas&connect_timeout=3"),
        host: format!("127.0.0.1:{}", postgres.port()),
        courier_url: postgres.url("katas_courier", &courier, postgres::DATABASE),
        migrator,
        _postgres: Some(postgres),
    })
}

/// The roles to which the migrations grant privileges.
const ROLES: [&str; 2] = ["katas_app", "katas_courier"];

/// An existing database that is migrated, or can be.
struct Existing {
    url: String,
    /// The connection string of the user that may also migrate.
    migrate_url: String,
    host: String,
    database: Database,
    /// Whether migrations are pending.
    pending: bool,
    /// Whether the roles exist. They are created only if they are missing, because other
    /// applications may use them.
    has_roles: bool,
}

impl Existing {
    /// Checks that the database is reachable and does not belong to another application, and that
    /// the user has the privileges to migrate it. Writes nothing.
    async fn check(
        ConnectionString { url, origin }: &ConnectionString,
        project: &Project,
        options: &Options,
        report: Report<'_>,
    ) -> anyhow::Result<Existing> {
        let host = host(url, origin)?;
        let migrate = options.migrate_url.as_ref();
        let (migrate_url, migrate_origin) =
            migrate.map_or((url, *origin), |migrate| (&migrate.url, migrate.origin));
        // On a laptop, the superuser is often the only role available.
        let database = Database::new(migrate_url)
            .map_err(|error| anyhow!("{migrate_origin}: {error}"))?
            .allow_superuser(true);
        report("Database", &format!("{}, from {origin}", database.address()));
        let status = migrations::status(project, &database, &|_| ()).await;
        let status = status.map_err(|error| unusable(&error, migrate_origin))?;
        let mut existing = Existing {
            url: url.clone(),
            migrate_url: migrate_url.clone(),
            host,
            database,
            pending: status.pending > 0,
            has_roles: true,
        };
        if existing.pending {
            let survey = migrations::survey(project, &existing.database, &ROLES, &|_| ()).await;
            let survey = survey.map_err(|error| unusable(&error, migrate_origin))?;
            let is_new = status.version == 0;
            ensure!(
                !is_new || survey.foreign_relations == 0 || options.shared_database,
                "the database at {} contains {} relations of another application, such as {}; {}, or \
                 pass --shared-database to create schema {} next to them",
                existing.database.address(),
                survey.foreign_relations,
                survey.foreign_relation,
                use_local(origin),
                project.schema
            );
            ensure_may_migrate(&survey, is_new)?;
            existing.has_roles = survey.has_owner && survey.missing_roles.is_empty();
        }
        Ok(existing)
    }

    /// Migrates the database.
    async fn prepare(
        self,
        project: &Project,
        report: Report<'_>,
    ) -> anyhow::Result<PreparedDatabase> {
        if !self.has_roles {
            migrations::bootstrap(project, &self.database, &[], false, &|_| ()).await?;
        }
        let migrator = self.database.role("katas_owner");
        if self.pending {
            let version = migrate_up(project, &migrator, report).await?;
            report("Schema", &format!("version {version}"));
        }
        Ok(PreparedDatabase {
            url: self.url,
            host: self.host,
            courier_url: self.migrate_url,
            migrator,
            _postgres: None,
        })
    }
}

/// Returns the remedy that selects the local database.
fn use_local(origin: &str) -> String {
    let verb = if origin.starts_with("--") { "omit" } else { "unset" };
    format!("{verb} {origin} to use a local database")
}

/// Adds a remedy to the error of an unusable database.
fn unusable(error: &migrations::Error, origin: &str) -> anyhow::Error {
    let text = error.to_string();
    let remedy = match error {
        migrations::Error::Unavailable(_) => format!("start the server, or {}", use_local(origin)),
        // The SQLSTATEs for a wrong password or user.
        _ if text.contains("(28P01)") || text.contains("(28000)") => {
            format!("correct the user and the password in {origin}")
        }
        _ if text.contains("(3D000)") => {
            format!("create the database, or correct its name in {origin}")
        }
        _ if text.contains("(42501)") => {
            "pass --migrate-database-url with the role katas_migrator or a superuser".to_owned()
        }
        _ => use_local(origin),
    };
    anyhow!("cannot use the database: {text}; {remedy}")
}

/// Checks that the user has the privileges to apply the migrations.
fn ensure_may_migrate(survey: &Survey, is_new: bool) -> anyhow::Result<()> {
    let Survey { user, database, missing_roles, .. } = survey;
    if survey.has_owner {
        ensure!(
            survey.is_owner,
            "cannot migrate the database: user {user} is not a member of katas_owner; pass \
             --migrate-database-url with the role katas_migrator or a superuser"
        );
        ensure!(
            !is_new || survey.owner_may_create,
            "cannot migrate the database: katas_owner may not create a schema in database \
             {database}; run `migrate bootstrap` as an administrator"
        );
        // For example, an earlier version of the application has created the others.
        ensure!(
            missing_roles.is_empty() || (survey.may_create_roles && survey.may_grant_create),
            "cannot migrate the database: the migrations need the role {missing_roles}, which does \
             not exist, and user {user} may not create it; run `migrate bootstrap` as an \
             administrator, or pass --migrate-database-url with a superuser"
        );
        return Ok(());
    }
    ensure!(
        survey.may_create_roles,
        "cannot migrate the database: user {user} may not create roles; pass \
         --migrate-database-url with a user that has CREATEROLE, or a superuser"
    );
    ensure!(
        survey.may_grant_create,
        "cannot migrate the database: user {user} does not own database {database}; pass \
         --migrate-database-url with its owner, who also needs CREATEROLE, or a superuser"
    );
    Ok(())
}

async fn migrate_up(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> anyhow::Result<i64> {
    let wait = WaitOptions { lock: Duration::from_secs(60), ..WaitOptions::default() };
    let options = UpOptions { wait, ..UpOptions::default() };
    let on_event = |event: &Event| match event {
        // Not reported: waiting for the lock is a separate event.
        Event::Locked { .. } => {}
        // The event of the file follows soon.
        Event::Step { took, .. } if *took < Duration::from_secs(1) => {}
        event => report("", &event.to_string()),
    };
    Ok(migrations::up(project, database, options, &on_event).await?.version)
}

/// The binary `migrate`, which loads sample data. It is built on first use, because serving does not
/// need it.
struct Seeder(PathBuf);

impl Seeder {
    async fn build(manifest: &Manifest, report: Report<'_>) -> anyhow::Result<Seeder> {
        ensure!(
            manifest.root.join("migrate/Cargo.toml").is_file(),
            "--seed loads the sample data of this repository, but {} is outside of it; omit --seed",
            manifest.root.display()
        );
        report("Building", "migrate, which loads the sample data");
        Ok(Seeder(build::binary(&manifest.root, "migrate").await?))
    }

    /// Loads the sample data that is missing.
    async fn run(self, url: &str) -> anyhow::Result<()> {
        let mut migrate = Command::new(&self.0);
        // The variables of this process may select another database or folder.
        migrate.arg("seed").env_clear().env("DATABASE_URL", url).kill_on_drop(true);
        // Standard output is for the introduction.
        migrate.stdout(std::io::stderr());
        die_with_parent(migrate.as_std_mut(), Signal::KILL);
        let status = migrate.status().await.context("cannot run migrate")?;
        ensure!(status.success(), "cannot load the sample data; see the output of migrate above");
        Ok(())
    }
}

/// Returns `host:port` of a connection string, as the components' driver parses it.
fn host(url: &str, origin: &str) -> anyhow::Result<String> {
    use tokio_postgres::config::Host;

    let config: tokio_postgres::Config = url.parse().map_err(|error| {
        const FORM: &str = "use postgres://user:password@host:port/database";
        match parameter_error(&error) {
            Some(cause) if url.starts_with("postgres") => {
                anyhow!("unsupported parameter in {origin}: {cause}; {FORM}")
            }
            _ => anyhow!("invalid {origin}; {FORM}"),
        }
    })?;
    match config.get_hosts() {
        [Host::Tcp(host)] => {
            let port = config.get_ports().first().copied().unwrap_or(5432);
            Ok(format!("{host}:{port}"))
        }
        _ => bail!("unsupported {origin}; components connect to a single host over TCP"),
    }
}

/// Returns the cause of an invalid parameter in a connection string, without text from the string,
/// which may be part of the password. Returns `None` for any other error.
fn parameter_error(error: &tokio_postgres::Error) -> Option<String> {
    let cause = std::error::Error::source(error)?.to_string();
    if cause.starts_with("invalid value for option") {
        return Some(cause);
    }
    cause.starts_with("unknown option").then(|| "unknown name".to_owned())
}

/// The examples of one route.
struct RouteExamples<'m> {
    route: &'m str,
    component: &'m str,
    examples: Vec<&'m Example>,
}

/// Returns the routes in the order of the manifest, each with the examples of its component that
/// it serves.
fn route_examples(manifest: &Manifest) -> anyhow::Result<Vec<RouteExamples<'_>>> {
    let router = Router::new(manifest)?;
    let mut routes = Vec::new();
    for (index, trigger) in manifest.trigger.http.iter().enumerate() {
        let (Route::Pattern(route), Some(component)) = (&trigger.route, &trigger.component) else {
            continue;
        };
        let is_served = |example: &&Example| {
            let path = example.path.split('?').next().unwrap_or_default();
            router.find(path).is_some_and(|found| found.trigger == index)
        };
        let examples = manifest.component[component].examples().iter().filter(is_served).collect();
        routes.push(RouteExamples { route, component, examples });
    }
    Ok(routes)
}

/// Returns the routes of an application, each with its example requests to `base` as `curl`
/// commands, which work in this order.
pub fn routes(manifest: &Manifest, base: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for RouteExamples { route, component, examples } in route_examples(manifest)? {
        text += &format!("\n{route}  ({component})\n");
        for example in examples {
            text += &format!("  {}\n", example.curl(base));
        }
    }
    Ok(text)
}

/// Returns the first example of each of the first three routes that have one, and how to see all.
/// Empty without examples.
fn introduction(manifest: &Manifest, base: &str) -> anyhow::Result<String> {
    let routes = route_examples(manifest)?;
    let examples: Vec<_> =
        routes.iter().filter_map(|route| route.examples.first()).take(3).collect();
    if examples.is_empty() {
        return Ok(String::new());
    }
    let calls: String = examples.iter().map(|it| format!("  {}\n", it.curl(base))).collect();
    Ok(format!(
        "\nTry it in a browser, or with curl (`katas examples` prints all calls):\n{calls}\n"
    ))
}

/// Returns the path of the nearest `spin.toml` in `folder` or its ancestors. A manifest in an
/// ancestor must belong to this user or to root, because its build commands will be run.
pub fn find_manifest(folder: &Path) -> anyhow::Result<PathBuf> {
    let candidates = folder.ancestors().map(|folder| folder.join("spin.toml"));
    let mut manifests = candidates.filter(|path| path.is_file());
    let manifest =
        manifests.next().context("no spin.toml in this directory or its parents; use --from")?;
    if manifest.parent() != Some(folder) {
        let owner = std::fs::metadata(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?
            .uid();
        ensure_trusted(&manifest, owner, rustix::process::geteuid().as_raw())?;
    }
    Ok(manifest)
}

fn ensure_trusted(manifest: &Path, owner: u32, user: u32) -> anyhow::Result<()> {
    let path = manifest.display();
    ensure!(
        owner == user || owner == 0,
        "refusing to run the build commands of {path}, which belongs to another user (id {owner}); \
         pass --from {path} if you trust it"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_string_must_name_one_tcp_host() {
        let host = |url| host(url, "--database-url");
        assert_eq!(host("postgres://u:p@db:5433/x").unwrap(), "db:5433");
        assert_eq!(host("postgresql://u@db/x?sslmode=disable").unwrap(), "db:5432");
        for url in ["postgres://u@a,b/x", "host=/run user=u", "nonsense"] {
            assert!(host(url).is_err(), "{url}");
        }
        for (url, cause) in [
            ("postgres://u:secret@db:x/y", "invalid value for option `port`; use postgres://"),
            ("mysql://u:secret=1@db/y", "invalid --database-url; use postgres://"),
            ("postgres://u@db/x?sslmode=verify-full", "invalid value for option `sslmode`; use "),
            ("postgres://u@db/x?secret=1", "unsupported parameter in --database-url: unknown name"),
        ] {
            let error = format!("{:#}", host(url).unwrap_err());
            assert!(error.contains(cause) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn manifest_of_another_user_in_a_parent_directory_is_refused() {
        let path = Path::new("/tmp/spin.toml");
        ensure_trusted(path, 1000, 1000).expect("the user's own manifest");
        ensure_trusted(path, 0, 1000).expect("root's manifest");
        for user in [0, 1001] {
            let error = ensure_trusted(path, 1000, user).unwrap_err().to_string();
            assert!(error.contains("/tmp/spin.toml, which belongs to another user (id 1000)"));
        }
    }
}
