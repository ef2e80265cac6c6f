//! TLS of the connections to PostgreSQL that `migrate` and `courier` open.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// Requires TLS and verifies the server's certificate, unless the server is local or the URL
/// (`sslmode`) or the environment (`PGSSLMODE`) says otherwise. `options` are those of `url`.
pub fn verify_remote(url: &str, options: PgConnectOptions) -> PgConnectOptions {
    match is_tls_configured(url) || is_local(&options) {
        true => options,
        false => options.ssl_mode(PgSslMode::VerifyFull),
    }
}

/// Returns whether the URL or the environment states whether to use TLS.
fn is_tls_configured(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    names.any(|name| matches!(name, "sslmode" | "ssl-mode"))
        || std::env::var_os("PGSSLMODE").is_some()
}

/// Returns whether a connection stays on this machine: over a Unix socket or the loopback device.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
