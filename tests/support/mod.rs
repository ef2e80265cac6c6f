//! Test support: a separate application for each test, on a PostgreSQL that all tests share.

mod collector;
pub(crate) mod http2;
mod response;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use http::Method;
use katas_host::local::build;
use katas_host::local::postgres::{self, Postgres, PostgresInstall};
use katas_host::local::spin::Spin;
use katas_host::manifest::{Example, Manifest};
use katas_host::{Config, Limits, Log, Server};
use migrate::SeedOptions;
use migrations::{Database, Password, Project, UpOptions};
use sqlx::{
    AssertSqlSafe, Connection, Either, Executor, PgConnection, PgPool, SqlSafeStr, Statement,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

pub(crate) use collector::{Collector, Span};
pub(crate) use response::Response;

/// Returns the root directory of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a subdirectory")
}

/// The state that all tests share, created on first use.
static SHARED: LazyLock<Shared> =
    LazyLock::new(|| Shared::new().expect("the application builds and PostgreSQL starts"));

/// The runtime of servers and database connections. Tests themselves are synchronous.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the runtime starts"));

struct Shared {
    app: Arc<katas_host::App>,
    cluster: Cluster,
}

impl Shared {
    fn new() -> anyhow::Result<Shared> {
        let app = build(&root().join("spin.toml"))?;
        let cluster = RUNTIME.block_on(Cluster::start(PostgresInstall::Any, true))?;
        Ok(Shared { app, cluster })
    }
}

/// Builds and loads the application of a manifest.
pub(crate) fn build(manifest: &Path) -> anyhow::Result<Arc<katas_host::App>> {
    RUNTIME.block_on(build::components(&Manifest::read(manifest)?, &|_, _| ()))?;
    Ok(Arc::new(katas_host::App::load(manifest)?))
}

/// Returns the compiled application.
pub(crate) fn app() -> Arc<katas_host::App> {
    SHARED.app.clone()
}

/// Returns the PostgreSQL that all tests share.
pub(crate) fn cluster() -> &'static Cluster {
    &SHARED.cluster
}

/// A PostgreSQL with the application's roles and a migrated template database.
///
/// The shared one is never dropped: a parent-death signal stops it when the test process ends.
pub(crate) struct Cluster {
    pub(crate) postgres: Postgres,
    pub(crate) app_password: String,
    pub(crate) migrator_password: String,
    superuser: PgPool,
}

impl Cluster {
    /// Starts a server. If it is `ephemeral`, a crash may lose data.
    pub(crate) async fn start(
        install: PostgresInstall,
        ephemeral: bool,
    ) -> anyhow::Result<Cluster> {
        let directory = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR"));
        let postgres = Postgres::start_empty(&directory, install, ephemeral).await?;
        let cluster = Cluster {
            superuser: PgPool::connect_lazy(&postgres.administrator("postgres"))?,
            postgres,
            app_password: postgres::password()?,
            migrator_password: postgres::password()?,
        };
        let passwords = [
            Password { role: "katas_app", password: &cluster.app_password },
            Password { role: "katas_migrator", password: &cluster.migrator_password },
        ];
        let administrator = cluster.postgres.administrator(postgres::DATABASE);
        let (project, administrator) = (Project::built_in(), Database::new(&administrator)?);
        migrations::bootstrap(&project, &administrator, &passwords, true, &|_| ()).await?;
        let migrator = Database::new(&cluster.migrator_url(postgres::DATABASE))?;
        migrations::up(&project, &migrator, UpOptions::default(), &|_| ()).await?;
        Ok(cluster)
    }

    /// Returns a connection string for the components.
    pub(crate) fn app_url(&self, database: &str) -> String {
        self.postgres.url("katas_app", &self.app_password, database)
    }

    /// Returns a connection string for migrations.
    pub(crate) fn migrator_url(&self, database: &str) -> String {
        self.postgres.url("katas_migrator", &self.migrator_password, database)
    }

    /// Creates a migrated or an empty database and returns its name.
    pub(crate) fn create_database(&self, migrated: bool) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let template = if migrated { postgres::DATABASE } else { "template0" };
        self.execute_as_superuser(&format!("CREATE DATABASE {name} TEMPLATE {template}"));
        self.execute_as_superuser(&format!("GRANT CREATE ON DATABASE {name} TO katas_owner"));
        name
    }

    fn execute_as_superuser(&self, sql: &str) {
        let execute = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.superuser);
        RUNTIME.block_on(execute).expect(sql);
    }
}

/// The runtime of the components: the local host or, with `E2E_ENGINE=spin`, an installed Spin. The
/// tests must pass on both.
enum Engine {
    Katas(Server),
    Spin { _spin: Spin, _state: TempDir },
}

impl Engine {
    fn start(
        app: Arc<katas_host::App>,
        variables: BTreeMap<String, String>,
        log: Log,
        environment: &[(&str, &str)],
        limits: Limits,
    ) -> anyhow::Result<(Engine, SocketAddr)> {
        RUNTIME.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            // The local host exports no spans, so a test that collects them runs on Spin.
            if !is_spin() && environment.is_empty() {
                let config = Config { variables, local_hosts_only: false, log };
                let server = Server::start_with_limits(app, listener, config, limits)?;
                return Ok((Engine::Katas(server), address));
            }
            drop(listener);
            let state = tempfile::tempdir()?;
            let manifest = app.manifest.root.join("spin.toml");
            let spin = Spin::start(&manifest, state.path(), address, &variables, environment, log);
            let spin = spin.await?;
            Ok((Engine::Spin { _spin: spin, _state: state }, address))
        })
    }
}

/// Returns whether the tests run on Spin.
pub(crate) fn is_spin() -> bool {
    std::env::var("E2E_ENGINE").is_ok_and(|engine| engine == "spin")
}

/// Returns whether the tests run on this version of Spin, such as `4.0`.
pub(crate) fn is_spin_version(version: &str) -> bool {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let output = Command::new("spin").arg("--version").output().expect("spin is installed");
        String::from_utf8(output.stdout).expect("UTF-8")
    });
    is_spin() && VERSION.starts_with(&format!("spin {version}."))
}

/// Returns the compiled guest in `tests/probe`.
fn probe() -> Arc<katas_host::App> {
    static PROBE: LazyLock<Arc<katas_host::App>> =
        LazyLock::new(|| build(&root().join("tests/probe/spin.toml")).expect("the probe builds"));
    PROBE.clone()
}

/// A running application with its own port and database. The database exists until the next run of the
/// tests: dropping all of them took a seventh of the CPU time.
pub(crate) struct App {
    engine: Option<Engine>,
    base: String,
    agent: ureq::Agent,
    administrator: String,
    /// Connections of the administrator: hashing passwords for each statement would take more time than
    /// the statements.
    superuser: PgPool,
    migrator: String,
    log: Arc<Mutex<Vec<String>>>,
    /// The ids from the responses to earlier manifest examples, by the name in `keep`.
    example_ids: Mutex<BTreeMap<String, String>>,
}

impl App {
    /// Starts the application with a migrated database.
    pub(crate) fn start() -> App {
        App::with_database(&cluster().create_database(true))
    }

    /// Starts the application with this database of the shared cluster.
    pub(crate) fn with_database(database: &str) -> App {
        let cluster = cluster();
        App::with_url(cluster, database, &cluster.app_url(database))
    }

    /// Starts the application with this database. The components connect to `url`.
    pub(crate) fn with_url(cluster: &Cluster, database: &str, url: &str) -> App {
        App::serve(app(), cluster, database, url, &[], &[], Limits::default())
    }

    /// Starts the application with a migrated database. Writes require this token.
    pub(crate) fn with_token(token: &str) -> App {
        App::migrated(app(), &[("api_token", token)], &[])
    }

    /// Starts the application with a migrated database. Writes, and reads of personal data, require
    /// this token.
    pub(crate) fn with_private_reads(token: &str) -> App {
        App::migrated(app(), &[("api_token", token), ("private_reads", "true")], &[])
    }

    /// Starts the application with a migrated database and exports spans to the collector. Only
    /// Spin exports spans.
    pub(crate) fn traced(collector: &Collector) -> App {
        App::migrated(app(), &[], &collector.environment())
    }

    /// Starts the application with a migrated database but without one component. `health` serves
    /// its routes and returns 404.
    pub(crate) fn without(component: &str) -> App {
        let text = std::fs::read_to_string(root().join("spin.toml")).expect("the manifest exists");
        let text = text
            .replace(&format!("\ncomponent = \"{component}\""), "\ncomponent = \"health\"")
            .replace("source = \"", &format!("source = \"{}/", root().display()));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("without-{component}"));
        std::fs::create_dir_all(&folder).expect("a directory");
        std::fs::write(folder.join("spin.toml"), text).expect("the file is writable");
        // Creating the shared state builds the components.
        cluster();
        let app = katas_host::App::load(&folder.join("spin.toml")).expect("the components load");
        App::migrated(Arc::new(app), &[], &[])
    }

    /// Starts the application with a migrated database and with these limits, which Spin ignores.
    pub(crate) fn limited(limits: Limits) -> App {
        App::migrated_with(app(), &[], &[], limits)
    }

    /// Starts the guest in `tests/probe` instead of the application, with a migrated database.
    pub(crate) fn probe() -> App {
        App::limited_probe(Limits::default())
    }

    /// Like [`App::probe`], but with these limits, which Spin ignores.
    pub(crate) fn limited_probe(limits: Limits) -> App {
        App::migrated_with(probe(), &[], &[], limits)
    }

    /// Starts the guest in `tests/probe` with this database of the shared cluster.
    pub(crate) fn probe_with_database(database: &str) -> App {
        App::of(probe(), database)
    }

    /// Starts the guest in `tests/older-interfaces`, with a migrated database. Returns `None` on Spin
    /// 4.0, which lacks one of the interfaces.
    pub(crate) fn older_interfaces() -> Option<App> {
        static GUEST: LazyLock<Arc<katas_host::App>> = LazyLock::new(|| {
            build(&root().join("tests/older-interfaces/spin.toml")).expect("the guest builds")
        });
        (!is_spin_version("4.0")).then(|| App::migrated(GUEST.clone(), &[], &[]))
    }

    /// Starts another application with this database of the shared cluster.
    pub(crate) fn of(app: Arc<katas_host::App>, database: &str) -> App {
        let (cluster, limits) = (cluster(), Limits::default());
        let url = cluster.app_url(database);
        App::serve(app, cluster, database, &url, &[], &[], limits)
    }

    /// Starts the application with a migrated database on a host that counts instructions.
    pub(crate) fn metered() -> App {
        App::metered_with_token("")
    }

    /// Like [`App::metered`], but writes require this token.
    pub(crate) fn metered_with_token(token: &str) -> App {
        static METERED: LazyLock<Arc<katas_host::App>> = LazyLock::new(|| {
            let manifest = &app().manifest.root.join("spin.toml");
            Arc::new(katas_host::App::load_metered(manifest).expect("the components load"))
        });
        App::migrated(METERED.clone(), &[("api_token", token)], &[])
    }

    /// Returns the largest number of instructions that the component ran between two host calls
    /// since the last call of this function, or `None` on Spin.
    pub(crate) fn take_longest_run(&self, component: &str) -> Option<u64> {
        match self.engine.as_ref()? {
            Engine::Katas(server) => server.take_longest_run(component),
            Engine::Spin { .. } => None,
        }
    }

    /// Returns the number of instructions that the component ran since the last call of this
    /// function, or `None` on Spin.
    pub(crate) fn take_instructions(&self, component: &str) -> Option<u64> {
        match self.engine.as_ref()? {
            Engine::Katas(server) => RUNTIME.block_on(server.take_instructions(component)),
            Engine::Spin { .. } => None,
        }
    }

    fn migrated(
        app: Arc<katas_host::App>,
        variables: &[(&str, &str)],
        environment: &[(&str, &str)],
    ) -> App {
        App::migrated_with(app, variables, environment, Limits::default())
    }

    fn migrated_with(
        app: Arc<katas_host::App>,
        variables: &[(&str, &str)],
        environment: &[(&str, &str)],
        limits: Limits,
    ) -> App {
        let cluster = cluster();
        let database = cluster.create_database(true);
        let url = cluster.app_url(&database);
        App::serve(app, cluster, &database, &url, variables, environment, limits)
    }

    fn serve(
        app: Arc<katas_host::App>,
        cluster: &Cluster,
        database: &str,
        url: &str,
        extra_variables: &[(&str, &str)],
        environment: &[(&str, &str)],
        limits: Limits,
    ) -> App {
        let log: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = log.clone();
        let sink: Log = Arc::new(move |line| lines.lock().expect("no panic").push(line.to_owned()));
        let mut variables = BTreeMap::from([
            ("database_url".to_owned(), url.to_owned()),
            ("database_host".to_owned(), format!("127.0.0.1:{}", cluster.postgres.port())),
        ]);
        // An empty value is the default, and not every application has the variable.
        for (name, value) in extra_variables.iter().filter(|(_, value)| !value.is_empty()) {
            variables.insert((*name).to_owned(), (*value).to_owned());
        }
        let (engine, address) = Engine::start(app, variables, sink, environment, limits)
            .expect("the application starts");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .build();
        let administrator = cluster.postgres.administrator(database);
        let superuser = RUNTIME.block_on(async { PgPool::connect_lazy(&administrator) });
        App {
            base: format!("http://{address}"),
            engine: Some(engine),
            agent: agent.into(),
            administrator,
            superuser: superuser.expect("the URL is valid"),
            migrator: cluster.migrator_url(database),
            log,
            example_ids: Mutex::default(),
        }
    }

    /// Returns the base URL: scheme, address and port.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns the address and port of the server.
    pub(crate) fn authority(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Returns the largest memory of any instance of the component so far in bytes, or `None` on
    /// Spin.
    pub(crate) fn peak_memory(&self, component: &str) -> Option<usize> {
        match self.engine.as_ref()? {
            Engine::Katas(server) => server.peak_memory(component),
            Engine::Spin { .. } => None,
        }
    }

    /// Waits until `count` lines with this prefix have been logged, and returns them. A log line
    /// may follow its response.
    pub(crate) fn wait_for_log(&self, prefix: &str, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let mut lines = self.log();
            lines.retain(|line| line.starts_with(prefix));
            if lines.len() >= count {
                return lines;
            }
            let timed_out = start.elapsed() >= Duration::from_secs(10);
            assert!(!timed_out, "expected {count} lines with prefix {prefix:?}: {lines:?}");
            std::thread::yield_now();
        }
    }

    /// Returns the lines logged so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, &[], "")
    }

    pub(crate) fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, json: &serde_json::Value) -> Response {
        self.request(Method::POST, path, &[JSON], json.to_string())
    }

    pub(crate) fn put(&self, path: &str, json: &serde_json::Value) -> Response {
        self.request(Method::PUT, path, &[JSON], json.to_string())
    }

    /// Sends the request of a manifest example.
    pub(crate) fn call(&self, example: &Example) -> Response {
        self.call_with(example, &[])
    }

    /// Sends the request of a manifest example with additional headers.
    pub(crate) fn call_with(&self, example: &Example, headers: &[(&str, &str)]) -> Response {
        let method = example.method.parse().expect("a valid method");
        let body = example.body.as_deref().unwrap_or_default();
        let json: &[_] = if body.is_empty() { &[] } else { &[JSON] };
        let mut path = example.path.clone();
        for (name, id) in self.example_ids.lock().expect("no panic").iter() {
            path = path.replace(&format!("${name}"), id);
        }
        let response = self.request(method, &path, &[json, headers].concat(), body);
        if let Some(name) = &example.keep
            && response.status == example.status
        {
            let id = response.json()["id"].to_string().trim_matches('"').to_owned();
            self.example_ids.lock().expect("no panic").insert(name.clone(), id);
        }
        response
    }

    /// Sends a request. `path` is sent unchanged.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Response {
        let mut request =
            http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.as_ref();
        let result = match body {
            [] => self.agent.run(request.body(()).expect("the request is valid")),
            _ => self.agent.run(request.body(body).expect("the request is valid")),
        };
        Response::read(result.unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// Sends a GET request that accepts gzip. The body is returned undecoded.
    pub(crate) fn compressed(&self, path: &str) -> http::Response<Vec<u8>> {
        let request = http::Request::get(format!("{}{path}", self.base))
            .header("Accept-Encoding", "gzip")
            .body(())
            .expect("the request is valid");
        let (head, mut body) = self.agent.run(request).expect("a response").into_parts();
        http::Response::from_parts(head, body.read_to_vec().expect("the body is complete"))
    }

    /// Opens a TCP connection with a read timeout of ten seconds.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.authority()).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("the timeout is not zero");
        stream
    }

    /// Sends these bytes and returns everything that the server sends before it closes the
    /// connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).expect("the server reads");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("the server closes the connection");
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Sends these bytes and closes the connection without reading the response.
    pub(crate) fn send_and_disconnect(&self, bytes: &[u8]) {
        self.connect().write_all(bytes).expect("the server reads");
    }

    /// Runs SQL in a transaction that stays open until the returned connection is dropped.
    pub(crate) fn hold(&self, sql: &str) -> PgConnection {
        let connection = RUNTIME.block_on(async {
            let mut connection = PgConnection::connect(&self.administrator).await?;
            let sql = format!("BEGIN; {sql}");
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
            anyhow::Ok(connection)
        });
        connection.expect(sql)
    }

    /// Runs SQL as the superuser. It must not change the session, which later calls may share.
    pub(crate) fn sql(&self, sql: &str) {
        let execute = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&self.superuser);
        RUNTIME.block_on(execute).expect(sql);
    }

    /// Applies the migrations up to a version, `None` for all.
    pub(crate) fn migrate(&self, to: Option<i64>) {
        let options = UpOptions { to, ..UpOptions::default() };
        let migrated = RUNTIME.block_on(async {
            let migrator = Database::new(&self.migrator)?;
            migrations::up(&Project::built_in(), &migrator, options, &|_| ()).await
        });
        migrated.expect("the migrations succeed");
    }

    /// Loads these seeds, as `migrate seed` does.
    pub(crate) fn seed(&self, names: &[&str]) {
        let only = names.iter().map(|&name| name.to_owned()).collect();
        let options = SeedOptions { scale: None, only };
        let seeded = RUNTIME.block_on(async {
            let environment = "test".parse()?;
            migrations::set_environment(
                &Database::new(&self.administrator)?,
                &environment,
                &|_| (),
            )
            .await?;
            let migrator = Database::new(&self.migrator)?;
            migrate::seed(&Project::built_in(), &migrator, &options, &|_| (), &|_| ()).await
        });
        seeded.expect("the seeds load");
    }

    /// Waits until the SQL query returns this value.
    pub(crate) fn wait_for_value(&self, sql: &str, expected: &str) {
        let start = Instant::now();
        loop {
            let value = self.value(sql);
            if value == expected {
                return;
            }
            let timed_out = start.elapsed() >= Duration::from_secs(10);
            assert!(!timed_out, "{sql} returns {value}, expected {expected}");
        }
    }

    /// Returns the names of the types that PostgreSQL infers for the parameters of a statement.
    pub(crate) fn parameter_types(&self, sql: &str) -> Vec<String> {
        let types = RUNTIME.block_on(async {
            let sql = AssertSqlSafe(sql.to_owned()).into_sql_str();
            let statement = self.superuser.acquire().await?.prepare(sql).await?;
            let types = statement.parameters().and_then(Either::left).unwrap_or_default();
            anyhow::Ok(types.iter().map(ToString::to_string).collect())
        });
        types.expect(sql)
    }

    /// Returns the single value of an SQL query, which must be text.
    pub(crate) fn value(&self, sql: &str) -> String {
        // Not cached: a migration may change the types of the result.
        let query = sqlx::query_as::<_, (String,)>(AssertSqlSafe(sql)).persistent(false);
        RUNTIME.block_on(query.fetch_one(&self.superuser)).expect(sql).0
    }
}

/// The header of a JSON body.
pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");

impl Drop for App {
    fn drop(&mut self) {
        if let Some(Engine::Katas(server)) = self.engine.take() {
            RUNTIME.block_on(server.stop());
        }
        if std::thread::panicking() {
            let log = self.log();
            for line in &log[log.len().saturating_sub(50)..] {
                eprintln!("[guest] {line}");
            }
        }
    }
}
