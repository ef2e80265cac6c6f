//! The database to migrate, and how to connect to it.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::backoff::Backoff;
use super::url;
use crate::Error;

/// The default limit of one connection attempt. A healthy server answers well within it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The default for [`Database::unreachable_after`]: the time the server takes to give up on a
/// client that has disappeared.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(30);

/// A database with its connection settings and timeouts.
#[derive(Clone, Debug)]
pub struct Database {
    options: PgConnectOptions,
    pub(super) wait: Duration,
    /// The limit of one connection attempt.
    pub(super) connect_timeout: Duration,
    lock_timeout: Duration,
    unreachable_after: Duration,
    pub(super) superuser_allowed: bool,
    /// The server process of the session opened last, or 0.
    backend: Arc<AtomicI32>,
}

impl Database {
    /// Parses a `postgres://` URL. Connection attempts are not repeated unless [`Database::wait`]
    /// is set. Requires TLS and verifies the server's certificate, unless the server is local or
    /// the URL (`sslmode`) or the environment (`PGSSLMODE`) says otherwise.
    ///
    /// Fails if the URL has an unsupported parameter, because the connection would lack a property
    /// that the URL requests, such as `channel_binding=require`.
    pub fn new(url: &str) -> Result<Database, Error> {
        // Never quote the URL: it contains the password.
        let invalid = |reason: &str| {
            let form = "postgres://user:password@host:port/database";
            Error::Usage(format!("invalid database URL: {reason}; expected {form}"))
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid("unsupported scheme"));
        }
        url::check_environment(|name| std::env::var(name).ok()).map_err(Error::Usage)?;
        let (url, connect_timeout) = url::check(url).map_err(Error::Usage)?;
        let options = PgConnectOptions::from_str(&url).map_err(|error| match error {
            sqlx::Error::Configuration(reason) => invalid(&reason.to_string()),
            _ => invalid("syntax error"),
        })?;
        let options = pg_tls::verify_remote(&url, options);
        // Names in migrations must be qualified. With an empty search path, a name that is not
        // fails instead of resolving to an arbitrary schema.
        let options = match options.get_options().is_some_and(url::sets_search_path) {
            true => options,
            false => options.options([("search_path", "")]),
        };
        let hostname = std::env::var("HOSTNAME").unwrap_or_default();
        let options = options
            // In a pod, the host name is the pod's name. A runner that waits for the lock reports
            // it.
            .application_name(
                format!("migrate/{} {hostname}", env!("CARGO_PKG_VERSION")).trim_end(),
            )
            .disable_statement_logging()
            // A file may run DEALLOCATE ALL, so no statement is prepared for longer than one use.
            .statement_cache_capacity(0)
            .options([
                ("TimeZone", "UTC"),
                ("DateStyle", "ISO"),
                ("bytea_output", "hex"),
                // A statement fails if row-level security would hide rows from it.
                ("row_security", "off"),
                ("idle_in_transaction_session_timeout", "60s"),
                // When a Job is killed, the server process would otherwise hold the lock until its
                // current statement ends.
                ("client_connection_check_interval", "2s"),
                // The same for a node failure: the server notices it after 15 + 3 * 5 s. Keepalives
                // also prevent load balancers from dropping a connection that is idle for minutes.
                ("tcp_keepalives_idle", "15"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "3"),
            ]);
        let database = Database {
            options,
            wait: Duration::ZERO,
            connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            lock_timeout: Duration::ZERO,
            unreachable_after: UNREACHABLE_AFTER,
            superuser_allowed: false,
            backend: Arc::default(),
        };
        Ok(database
            .lock_timeout(Duration::from_secs(3))
            .statement_timeout(Duration::from_secs(15 * 60)))
    }

    /// Sets how long to retry until the database accepts a connection.
    pub fn wait(self, wait: Duration) -> Database {
        Database { wait, ..self }
    }

    /// Sets `lock_timeout`, after which a migration is rolled back and retried. Keep it short:
    /// every other session queues behind a statement that waits for a lock.
    pub fn lock_timeout(self, timeout: Duration) -> Database {
        let database = self.option("lock_timeout", &milliseconds(timeout));
        Database { lock_timeout: timeout, ..database }
    }

    /// Sets `statement_timeout` for the statements of migrations.
    pub fn statement_timeout(self, timeout: Duration) -> Database {
        self.option("statement_timeout", &milliseconds(timeout))
    }

    /// Sets how long the server may be unreachable before [`Database::unreachable`] resolves.
    pub fn unreachable_after(self, unreachable_after: Duration) -> Database {
        Database { unreachable_after, ..self }
    }

    /// Sets `search_path`, the schemas in which names without a schema are looked up. Empty by
    /// default. `pg_catalog` is searched before them.
    ///
    /// Fails unless `path` is a list of schemas. Other users must not be able to create objects in
    /// them, which the migrations would then find.
    pub fn search_path(self, path: &str) -> Result<Database, Error> {
        url::check_search_path(path).map_err(Error::Usage)?;
        Ok(self.option("search_path", path))
    }

    /// Sets the role to switch to after logging in.
    pub fn role(self, role: &str) -> Database {
        self.option("role", role)
    }

    /// Permits or forbids running as a superuser. Forbidden by default.
    pub fn allow_superuser(self, superuser_allowed: bool) -> Database {
        Database { superuser_allowed, ..self }
    }

    /// Returns `host:port/database`, without user and password. For a Unix socket, the folder of
    /// the socket stands in place of the host.
    pub fn address(&self) -> String {
        let name = self.options.get_database().unwrap_or(self.options.get_username());
        let port = self.options.get_port();
        match self.options.get_socket() {
            Some(socket) => format!("{}:{port}/{name}", socket.display()),
            None => format!("{}:{port}/{name}", self.options.get_host()),
        }
    }

    /// Terminates the session opened last, and returns once the server has rolled back its
    /// transaction and released its locks.
    pub async fn end_session(&self) -> Result<(), Error> {
        let backend = self.backend.swap(0, Ordering::Relaxed);
        if backend == 0 {
            return Ok(());
        }
        let mut connection = self.connect_observer().await?;
        let (first, total) = (Duration::from_millis(20), Duration::from_secs(10));
        let mut backoff = Backoff::new(first, Duration::from_millis(200), total);
        loop {
            // The session may have ended already, and its process ID may have been reused by the
            // session of another user.
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
                return Err(Error::Unavailable(format!(
                    "server process {backend} has not terminated"
                )));
            }
        }
    }

    /// Resolves once the server has been unreachable for longer than
    /// [`Database::unreachable_after`] while a session is open.
    ///
    /// A network that silently drops packets raises no error: without this check, a statement would
    /// wait for its result indefinitely.
    pub async fn unreachable(&self) -> Error {
        let mut last_seen = (0, Instant::now());
        loop {
            tokio::time::sleep(self.unreachable_after / 3).await;
            let backend = self.backend.load(Ordering::Relaxed);
            if backend != last_seen.0 || backend == 0 || self.is_alive(backend).await {
                last_seen = (backend, Instant::now());
            } else if last_seen.1.elapsed() >= self.unreachable_after {
                let (address, limit) = (self.address(), self.unreachable_after.as_secs_f32());
                return Error::Unavailable(format!("{address} has not answered for {limit} s"));
            }
        }
    }

    /// Returns whether the server still has the session. A server that answers with an error counts
    /// as alive.
    async fn is_alive(&self, backend: i32) -> bool {
        let check = async {
            let mut connection = self.options.clone().options([("role", "none")]).connect().await?;
            let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            let (found,) = sqlx::query_as(sql).bind(backend).fetch_one(&mut connection).await?;
            connection.close().await?;
            Ok(found)
        };
        match tokio::time::timeout((self.unreachable_after / 3).min(self.connect_timeout), check)
            .await
        {
            Ok(Ok(found)) => found,
            // For example, no connection is left.
            Ok(Err(sqlx::Error::Database(_))) => true,
            _ => false,
        }
    }

    /// Opens a connection whose setting `migrate.session` is `token`.
    pub(super) async fn connect_with_token(
        &self,
        token: &str,
    ) -> Result<PgConnection, sqlx::Error> {
        self.options.clone().options([("migrate.session", token)]).connect().await
    }

    /// Opens a second connection to observe or terminate the session. It keeps the login role
    /// instead of switching to [`Database::role`].
    pub(super) async fn connect_observer(&self) -> Result<PgConnection, Error> {
        let options = self.options.clone().options([("role", "none")]);
        match tokio::time::timeout(self.connect_timeout, options.connect()).await {
            Ok(connection) => Ok(connection?),
            Err(_) => Err(self.no_answer()),
        }
    }

    /// Returns the error for a connection attempt that has exceeded its limit.
    pub(super) fn no_answer(&self) -> Error {
        Error::Unavailable(format!("no answer within {} s", self.connect_timeout.as_secs()))
    }

    /// Records the server process of a session that has been opened.
    pub(super) fn set_backend(&self, backend: i32) {
        self.backend.store(backend, Ordering::Relaxed);
    }

    /// Records that the session of this server process has been closed, so that it is neither
    /// watched nor terminated. Has no effect if another session has been opened since.
    pub(super) fn clear_backend(&self, backend: i32) {
        let _ = self.backend.compare_exchange(backend, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns how long a statement may run before its blockers are looked up: less than its lock
    /// timeout.
    pub(super) fn blocker_delay(&self) -> Duration {
        (self.lock_timeout / 2).clamp(Duration::from_millis(50), Duration::from_secs(1))
    }

    fn option(mut self, name: &str, value: &str) -> Database {
        self.options = self.options.options([(name, value)]);
        self
    }
}

/// Formats a duration as the value of a PostgreSQL setting. At least 1 ms, because 0 disables a
/// timeout.
fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis().max(1))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    #[test]
    fn remote_server_is_verified_unless_sslmode_is_given() {
        let is_verified = |url: &str| {
            let options = Database::new(url).expect("a valid URL").options;
            matches!(options.get_ssl_mode(), PgSslMode::VerifyFull)
        };
        for remote in
            ["postgres://u:p@db/x", "postgresql://u:p@10.0.0.1:5432/x?application_name=sslmode"]
        {
            assert!(is_verified(remote), "{remote}");
        }
        for local in [
            "postgres://u:p@localhost/x",
            "postgres://u:p@127.0.0.1:5433/x",
            "postgres://u:p@[::1]/x",
            "postgres:///x?host=/run/postgresql",
            "postgres://u:p@db/x?sslmode=prefer",
            "postgres://u:p@db/x?application_name=a&sslmode=disable",
        ] {
            assert!(!is_verified(local), "{local}");
        }
    }
}
