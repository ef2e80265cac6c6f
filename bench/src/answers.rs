//! Whether two systems give the same answers: otherwise their speed cannot be compared.

use anyhow::ensure;
use serde_json::Value;

use crate::requests::ENTRY;

/// Calls that leave nothing behind when they are all made, in this order.
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

/// Fails when one of the calls has another status or another JSON body at `peer` than at `ours`.
pub fn compare(ours: &str, peer: &str) -> anyhow::Result<()> {
    let answers = |base| CALLS.map(|(method, path, body)| call(base, method, path, body));
    for (call, (expected, answer)) in CALLS.iter().zip(answers(ours).into_iter().zip(answers(peer)))
    {
        let (expected, answer) = (expected?, answer?);
        ensure!(answer == expected, "{call:?}: {answer:?} where ours is {expected:?}");
    }
    Ok(())
}

/// The paths of the floor's components.
const FLOOR: [&str; 4] = ["/hello", "/open", "/select", "/ladder/8/api/v1/look/abacus"];

/// Fails unless every component of the floor answers 200 with the same entry.
pub fn check_floor(base: &str) -> anyhow::Result<()> {
    let entry: Value = serde_json::from_str(ENTRY)?;
    for path in FLOOR {
        let answer = call(base, "POST", path, ENTRY)?;
        ensure!(answer == (200, entry.clone()), "{path}: {answer:?}");
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
    use crate::paths::root;
    use crate::stage::Stage;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_native_peer_answers_as_the_components_do() {
        let stage = Stage::prepare(200).await.unwrap();
        let ours = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (our_base, peer_base) = (base(&ours), base(&peer));
        let variables = stage.variables();
        let app = Arc::new(App::load(&root().join("spin.toml")).unwrap());
        let config = Config { variables, log: Arc::new(|_| ()) };
        let server = Server::start(app, ours, config).unwrap();
        let (url, schema) = (stage.url(), stage.schema);
        let peer = tokio::spawn(async move { axum_peer::serve(peer, &url, 4, schema).await });
        let compared = tokio::task::spawn_blocking(move || compare(&our_base, &peer_base));
        compared.await.unwrap().unwrap();
        peer.abort();
        server.stop().await;
    }
}
