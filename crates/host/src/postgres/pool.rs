//! Pools of connections, one for each connection string.

use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use lru::LruCache;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Flat;

/// The most connections of a pool (`CONNECTION_POOL_SIZE` in Spin). Who finds all of them in use
/// waits, without a limit.
const CONNECTIONS: usize = 64;
/// The most pools; the one that has not been used for longest goes.
const POOLS: NonZero<usize> = NonZero::new(16).expect("16 is not 0");

/// All pools of an application.
pub(crate) struct Pools(Mutex<LruCache<String, Pool>>);

impl Pools {
    pub(crate) fn new() -> Pools {
        Pools(Mutex::new(LruCache::new(POOLS)))
    }

    /// Returns a connection from the pool of exactly this connection string, new or used. A used one
    /// has been reset, in one round trip; a transaction that was left open in it is still open.
    pub(crate) async fn get(&self, address: &str) -> anyhow::Result<Object> {
        let pool = {
            let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pools.try_get_or_insert_ref(address, || pool(address))?.clone()
        };
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(cause) => {
                let cause = Flat(cause);
                let text = format!("Error occurred while creating a new object: {cause}");
                anyhow::Error::new(cause).context(text)
            }
            other => other.into(),
        })
    }
}

fn pool(address: &str) -> anyhow::Result<Pool> {
    let config: Config = address.parse().context("parsing Postgres connection string")?;
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Clean };
    let manager = match config.get_ssl_mode() {
        SslMode::Disable => Manager::from_config(config, NoTls, manager),
        _ => Manager::from_config(config, tls()?, manager),
    };
    Pool::builder(manager).max_size(CONNECTIONS).build().context("building the connection pool")
}

/// As in Spin, the server's certificate and name are always verified, against the authorities that
/// this machine trusts: `sslmode=prefer` with any other certificate fails.
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
