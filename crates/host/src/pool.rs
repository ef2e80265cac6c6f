//! Connection pools, one per connection string.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use lru::LruCache;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::driver_error::DriverError;

/// The size of a pool (`CONNECTION_POOL_SIZE` in Spin).
const MAX_CONNECTIONS: usize = 64;
/// The maximum number of pools. Beyond it, the least recently used pool is dropped.
const MAX_POOLS: NonZero<usize> = NonZero::new(16).expect("16 is not 0");

/// A pooled connection. It returns to its pool when it is dropped, at the latest at the end of the
/// request.
///
/// As under Spin, the pool resets it on the next `open`, and each statement is prepared, executed
/// and closed: nothing is cached.
///
/// The reset preserves the prepared statements of the session. Unlike under Spin, a connection
/// whose prepared statements may differ from those of a new one is closed instead of returned.
pub struct Connection {
    /// `None` only while it is dropped.
    client: Option<Object>,
    /// Whether a transaction is open, inferred from the leading keywords of the statements so far.
    pub(crate) in_transaction: bool,
    /// Whether the pool may reuse the connection.
    reusable: bool,
}

impl Connection {
    pub(crate) fn new(client: Object) -> Connection {
        Connection { client: Some(client), in_transaction: false, reusable: true }
    }

    pub(crate) fn client(&self) -> &Object {
        self.client.as_ref().expect("only `drop` takes the client")
    }

    /// Updates the state for a statement that is about to run.
    pub(crate) fn track(&mut self, statement: &str) {
        self.reusable &= !changes_prepared_statements(statement);
        self.track_transaction(statement);
    }

    fn track_transaction(&mut self, statement: &str) {
        let mut words =
            statement.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty());
        let mut word = || words.next().unwrap_or_default().to_ascii_uppercase();
        match word().as_str() {
            "BEGIN" => self.in_transaction = true,
            "START" if word() == "TRANSACTION" => self.in_transaction = true,
            "COMMIT" | "END" | "ABORT" => self.in_transaction = false,
            // ROLLBACK TO SAVEPOINT does not end the transaction.
            "ROLLBACK" if word() != "TO" => self.in_transaction = false,
            _ => {}
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.reusable
            && let Some(client) = self.client.take()
        {
            // The pool opens another connection when it needs one.
            drop(Object::take(client));
        }
    }
}

/// Returns whether a statement may prepare or deallocate statements of the session. The keywords
/// are searched for in the whole text, because a `DO` block can execute any string.
fn changes_prepared_statements(statement: &str) -> bool {
    let mut words = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| {
        ["PREPARE", "DEALLOCATE", "DISCARD"].iter().any(|it| word.eq_ignore_ascii_case(it))
    })
}

/// All pools of an application.
pub(crate) struct Pools {
    pools: Mutex<LruCache<String, Pool>>,
    /// How long to wait for a connection when all are in use. Spin waits forever.
    wait: Duration,
}

impl Pools {
    pub(crate) fn new(wait: Duration) -> Pools {
        Pools { pools: Mutex::new(LruCache::new(MAX_POOLS)), wait }
    }

    /// Returns a new or reused connection from the pool of exactly this connection string. A reused
    /// one has been reset, in one round trip; a transaction left open on it is still open.
    pub(crate) async fn get(&self, address: &str) -> anyhow::Result<Object> {
        let pool = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.try_get_or_insert_ref(address, || pool(address, self.wait))?.clone()
        };
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(cause) => {
                let cause = DriverError(cause);
                let text = format!("Error occurred while creating a new object: {cause}");
                anyhow::Error::new(cause).context(text)
            }
            PoolError::Timeout(TimeoutType::Wait) => {
                anyhow!("all {MAX_CONNECTIONS} pooled connections were in use for {:?}", self.wait)
            }
            other => other.into(),
        })
    }
}

fn pool(address: &str, wait: Duration) -> anyhow::Result<Pool> {
    let config: Config = address.parse().context("parsing Postgres connection string")?;
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let manager = match config.get_ssl_mode() {
        SslMode::Disable => Manager::from_config(config, NoTls, manager),
        _ => Manager::from_config(config, tls()?, manager),
    };
    Pool::builder(manager)
        .max_size(MAX_CONNECTIONS)
        .wait_timeout(Some(wait))
        .runtime(Runtime::Tokio1)
        .build()
        .context("building the connection pool")
}

/// Returns a TLS connector that always verifies the server's certificate and host name against the
/// certificate authorities that this machine trusts, as Spin does: `sslmode=prefer` with any other
/// certificate fails.
fn tls() -> anyhow::Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyword_that_changes_prepared_statements_is_detected_anywhere() {
        for statement in [
            "PREPARE a AS SELECT 1",
            "/* ; */ deallocate ALL",
            "-- a comment\nDiscard ALL",
            "DO $$ BEGIN EXECUTE 'PREPARE a AS SELECT 1'; END $$",
        ] {
            assert!(changes_prepared_statements(statement), "{statement}");
        }
        for statement in ["SELECT prepared FROM katas.prepare_list", "EXECUTE a", ""] {
            assert!(!changes_prepared_statements(statement), "{statement}");
        }
    }
}
