//! Checks that two systems return the same responses, so that their performance can be compared.

use anyhow::ensure;
use serde_json::Value;

use crate::requests::ENTRY;

/// Calls to compare. In this order they leave no data behind.
const CALLS: [(&str, &str, &str); 15] = [
    ("GET", "/health", ""),
    ("GET", "/db-check", ""),
    ("POST", "/api/v1/newentry", r#"{"word":"this and/or that","definition":"naïve 🦀"}"#),
    ("POST", "/api/v1/newentry", r#"{"word":"this and/or that","definition":"again"}"#),
    ("GET", "/api/v1/look/this%20and%2For%20that", ""),
    ("GET", "/api/v1/look/nothing%20like%20it", ""),
    ("DELETE", "/api/v1/entries/this%20and%2For%20that", ""),
    ("DELETE", "/api/v1/entries/this%20and%2For%20that", ""),
    ("GET", "/api/v1/entries?skip=3&limit=5", ""),
    ("GET", "/api/v1/entries", ""),
    ("GET", "/api/v1/users/1", ""),
    ("GET", "/api/v1/users/999999999", ""),
    ("GET", "/api/v1/users?skip=1&limit=2", ""),
    ("POST", "/api/v1/spending", r#"{"costs":{"a":0.1,"b":0.2},"items":["a","b","a"],"tax":0.05}"#),
    ("POST", "/api/v1/nth-char", r#"{"words":["yoda","best","has"]}"#),
];

/// Fails if `peer` returns a different status or JSON body than `reference` for one of the calls.
pub fn compare(reference: &str, peer: &str) -> anyhow::Result<()> {
    let responses = |base| CALLS.map(|(method, path, body)| call(base, method, path, body));
    let pairs = responses(reference).into_iter().zip(responses(peer));
    for (call, (expected, actual)) in CALLS.iter().zip(pairs) {
        let (expected, actual) = (expected?, actual?);
        ensure!(actual == expected, "{call:?}: expected {expected:?}, got {actual:?}");
    }
    Ok(())
}

/// The paths of the floor's components.
const FLOOR: [&str; 4] = ["/hello", "/open", "/select", "/ladder/8/api/v1/look/abacus"];

/// Fails unless every component of the floor returns 200 with the same entry.
pub fn check_floor(base: &str) -> anyhow::Result<()> {
    let entry: Value = serde_json::from_str(ENTRY)?;
    for path in FLOOR {
        let response = call(base, "POST", path, ENTRY)?;
        ensure!(response == (200, entry.clone()), "{path}: {response:?}");
    }
    Ok(())
}

fn call(base: &str, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, Value)> {
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let url = format!("{base}{path}");
    let mut response = match method {
        "GET" => agent.get(&url).call()?,
        "DELETE" => agent.delete(&url).call()?,
        _ => agent.post(&url).content_type("application/json").send(body)?,
    };
    let text = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), serde_json::from_str(&text)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use katas_host::{App, Config, Server};
    use tokio::net::TcpListener;

    use super::*;
    use crate::fixture::Fixture;
    use crate::paths::root;

    #[tokio::test(flavor = "multi_thread")]
    async fn axum_peer_returns_the_same_responses_as_the_components() {
        let fixture = Fixture::prepare(200, false).await.unwrap();
        let reference = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (reference_base, peer_base) = (base(&reference), base(&peer));
        let variables = fixture.variables();
        let app = Arc::new(App::load(&root().join("spin.toml")).unwrap());
        let config = Config { variables, local_hosts_only: false, log: Arc::new(|_| ()) };
        let server = Server::start(app, reference, config).unwrap();
        let (url, schema) = (fixture.url(), fixture.schema);
        let peer = tokio::spawn(async move { axum_peer::serve(peer, &url, 4, schema).await });
        let compared = tokio::task::spawn_blocking(move || compare(&reference_base, &peer_base));
        compared.await.unwrap().unwrap();
        peer.abort();
        server.stop().await;
    }
}
