//! The database to migrate, and how to connect to it.

use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use crate::Error;
use crate::backoff::Backoff;
use crate::event::{Event, Report};
use crate::session::Session;

/// One attempt to connect: a server that is there answers well within it.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long PostgreSQL may be silent and out of reach: as long as the server takes to give up on us.
const SILENCE: Duration = Duration::from_secs(30);

/// A database, as whom, and how patiently.
#[derive(Clone, Debug)]
pub struct Database {
    options: PgConnectOptions,
    wait: Duration,
    lock_timeout: Duration,
    silence: Duration,
    superuser_allowed: bool,
    /// The server's process behind the session that was opened last, 0 when there was none.
    backend: Arc<AtomicI32>,
}

impl Database {
    /// The database of a `postgres://` URL, which has to answer at once.
    pub fn new(url: &str) -> Result<Database, Error> {
        // Whatever is wrong with it, the password must not be quoted.
        let invalid = |reason: &str| {
            let form = "postgres://user:password@host:port/database";
            Error::Usage(format!("the database URL is not valid: {reason} (expected {form})"))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid("it is of another kind"));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| match error {
            sqlx::Error::Configuration(reason) => invalid(&reason.to_string()),
            _ => invalid("it cannot be read"),
        })?;
        let name = std::env::var("HOSTNAME").unwrap_or_default();
        let options = options
            // The pod's name is its host's: who waits for the lock learns who has it.
            .application_name(format!("migrate/{} {name}", env!("CARGO_PKG_VERSION")).trim_end())
            .disable_statement_logging()
            .options([
                // Names in migrations are qualified; one that is not must not land anywhere.
                ("search_path", ""),
                ("TimeZone", "UTC"),
                ("DateStyle", "ISO"),
                ("idle_in_transaction_session_timeout", "60s"),
                // Without it, a Job that is killed leaves its lock to a server process that notices
                // only when its statement ends.
                ("client_connection_check_interval", "2s"),
                // The same for a node that fails: the server notices after 15 + 3 * 5 s. And a
                // connection on which nothing happens for minutes is forgotten by load balancers.
                ("tcp_keepalives_idle", "15"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
            ]);
        let database = Database {
            options,
            wait: Duration::ZERO,
            lock_timeout: Duration::ZERO,
            silence: SILENCE,
            superuser_allowed: false,
            backend: Arc::default(),
        };
        Ok(database
            .lock_timeout(Duration::from_secs(3))
            .statement_timeout(Duration::from_secs(15 * 60)))
    }

    /// Waits up to this long for the database to accept a connection.
    pub fn wait(self, wait: Duration) -> Database {
        Database { wait, ..self }
    }

    /// How long a statement of a migration waits for a lock before the migration is rolled back and
    /// tried again: behind a statement that waits for its lock, everybody else waits too.
    pub fn lock_timeout(self, timeout: Duration) -> Database {
        let database = self.option("lock_timeout", &milliseconds(timeout));
        Database { lock_timeout: timeout, ..database }
    }

    /// How long a statement of a migration may take.
    pub fn statement_timeout(self, timeout: Duration) -> Database {
        self.option("statement_timeout", &milliseconds(timeout))
    }

    /// How long the server may be silent and out of reach before [`Database::lost`] says so.
    pub fn silence(self, silence: Duration) -> Database {
        Database { silence, ..self }
    }

    /// Acts as this role once connected.
    pub fn role(self, role: &str) -> Database {
        self.option("role", role)
    }

    /// Lets a superuser migrate.
    pub fn allow_superuser(self, superuser_allowed: bool) -> Database {
        Database { superuser_allowed, ..self }
    }

    /// Where it is, without who asks: fit for people and logs.
    pub fn address(&self) -> String {
        let name = self.options.get_database().unwrap_or(self.options.get_username());
        format!("{}:{}/{name}", self.options.get_host(), self.options.get_port())
    }

    /// Ends the session that was opened last, whatever it is doing, and returns once the server has
    /// rolled back and given up its locks: for who has stopped waiting for an answer.
    pub async fn end_session(&self) -> Result<(), Error> {
        let backend = self.backend.swap(0, Ordering::Relaxed);
        if backend == 0 {
            return Ok(());
        }
        let mut connection = self.connect_beside().await?;
        let (short, total) = (Duration::from_millis(20), Duration::from_secs(10));
        let mut backoff = Backoff::new(short, Duration::from_millis(200), total);
        loop {
            // It may have gone already; a process of the same number must not be somebody else's.
            let (left,): (i64,) = sqlx::query_as(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE pid = $1 AND usename = session_user",
            )
            .bind(backend)
            .fetch_one(&mut connection)
            .await?;
            if left == 0 {
                return Ok(connection.close().await?);
            }
            if !backoff.pause().await {
                return Err(Error::Unavailable(format!("process {backend} does not end")));
            }
        }
    }

    /// Returns once the session that was opened last is lost although its connection does not say so:
    /// a network that drops everything tells nobody, and who waits for an answer waits for ever.
    pub async fn lost(&self) -> Error {
        let mut seen = (0, Instant::now());
        loop {
            tokio::time::sleep(self.silence / 3).await;
            let backend = self.backend.load(Ordering::Relaxed);
            if backend != seen.0 || backend == 0 || self.is_there(backend).await {
                seen = (backend, Instant::now());
            } else if seen.1.elapsed() >= self.silence {
                let (address, silence) = (self.address(), self.silence.as_secs_f32());
                return Error::Unavailable(format!("{address} has not answered for {silence} s"));
            }
        }
    }

    /// Whether the server still has the session, as far as it can be asked.
    async fn is_there(&self, backend: i32) -> bool {
        let look = async {
            let mut connection = self.options.clone().options([("role", "none")]).connect().await?;
            let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            let (found,) = sqlx::query_as(sql).bind(backend).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(found)
        };
        match tokio::time::timeout((self.silence / 3).min(ATTEMPT), look).await {
            Ok(Ok(found)) => found,
            // It has answered, that it has no connection left, for one.
            Ok(Err(sqlx::Error::Database(_))) => true,
            _ => false,
        }
    }

    /// Connects, patiently when what stands in the way may pass.
    pub(crate) async fn connect(&self, report: Report<'_>) -> Result<Session, Error> {
        let mut backoff =
            Backoff::new(Duration::from_millis(100), Duration::from_secs(2), self.wait);
        let mut told = String::new();
        loop {
            let error = match tokio::time::timeout(ATTEMPT, self.open()).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => Error::Unavailable(format!("no answer within {} s", ATTEMPT.as_secs())),
            };
            let reason = format!("{}: {error}", self.address());
            if !error.is_temporary() {
                return Err(match error {
                    Error::Refused(_) => Error::Refused(reason),
                    _ => Error::Unexpected(reason),
                });
            }
            if told != reason && !self.wait.is_zero() {
                report(&Event::WaitingForDatabase { reason: reason.clone() });
                told.clone_from(&reason);
            }
            if !backoff.pause().await {
                return Err(Error::Unavailable(reason));
            }
        }
    }

    async fn open(&self) -> Result<Session, Error> {
        // Random enough: it only has to differ from what other sessions have.
        let token = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        let options = self.options.clone().options([("migrate.session", token.as_str())]);
        let session = Session::new(options.connect().await?, self.clone(), token).await?;
        self.backend.store(session.pid(), Ordering::Relaxed);
        Ok(session)
    }

    /// The session has been ended in good order: there is nothing to watch or to end any more.
    pub(crate) fn forget_session(&self, backend: i32) {
        // Unless another one has been opened since.
        let _ = self.backend.compare_exchange(backend, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A second connection, as who logs in and not as the role that is acted as: to look at the
    /// first one, or to end it.
    pub(crate) async fn connect_beside(&self) -> Result<PgConnection, Error> {
        let options = self.options.clone().options([("role", "none")]);
        match tokio::time::timeout(ATTEMPT, options.connect()).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(Error::Unavailable("no answer".to_owned())),
        }
    }

    pub(crate) fn is_superuser_allowed(&self) -> bool {
        self.superuser_allowed
    }

    /// When to look for what a statement waits for: before it gives up.
    pub(crate) fn patience(&self) -> Duration {
        (self.lock_timeout / 2).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }

    fn option(mut self, name: &str, value: &str) -> Database {
        self.options = self.options.options([(name, value)]);
        self
    }
}

/// As PostgreSQL's settings have it. There, 0 would be for ever.
fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis().max(1))
}
