//! Checks that a server responds before it is announced.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::manifest::Manifest;

/// The readiness probe of an application that lists it among its examples.
const DB_CHECK: &str = "/db-check";
/// A path to which every host responds without running a component.
const HEALTH: &str = "/.well-known/spin/health";

/// Waits for the response to the readiness probe, or to the liveness probe if the application has no
/// readiness probe. Fails unless its status code is 200.
pub(super) async fn check(address: SocketAddr, manifest: &Manifest) -> anyhow::Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(30);
    let mut examples = manifest.component.values().flat_map(|component| component.examples());
    let has_probe = examples.any(|example| example.path == DB_CHECK);
    let path = if has_probe { DB_CHECK } else { HEALTH };
    let response = tokio::time::timeout(TIMEOUT, get(reachable(address), path)).await;
    let response = response
        .map_err(|_| anyhow!("no response within {} s", TIMEOUT.as_secs()))
        .and_then(|response| response)
        .with_context(|| format!("cannot call http://{address}{path}"))?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        return Ok(());
    }
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    match detail {
        Some(detail) => bail!("GET {path} returned {status}: {detail}"),
        None => bail!("GET {path} returned {status}"),
    }
}

/// Returns an address to connect to for an address to listen on.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Returns the response as text.
async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0 rules out a chunked body.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).await?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}
