//! The HTTP client for the application.
//!
//! Connections are kept alive for a few seconds only, so that a load balancer that assigns
//! connections, such as kube-proxy, spreads the requests over all pods, new ones included.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::Scheme;
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::queue::Request;
use crate::{Error, Secret, tls};

/// How long a connection is used, and for how many requests.
const MAX_AGE: Duration = Duration::from_secs(10);
const MAX_REQUESTS: u32 = 100;

/// The timeout of opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum size of a response. Receipts and parts are far smaller.
const MAX_RESPONSE: usize = 4 << 20;

/// The application that accepts the messages.
pub struct Application {
    url: Uri,
    host: HeaderValue,
    token: Option<Secret>,
    tls: Option<TlsConnector>,
    timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    authorization: Option<HeaderValue>,
    opened: Instant,
    requests: u32,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status of the response, or `None` if there was no complete response.
    pub status: Option<StatusCode>,
    /// The explanation: `detail` of the problem, or why there was no response.
    pub detail: String,
}

impl Application {
    /// Creates a client. The token is sent as `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// Returns an error if `url` is not `http://HOST[:PORT]` or `https://HOST[:PORT]`, or if the
    /// certificate authorities cannot be read.
    pub fn new(
        url: &str,
        token: Option<Secret>,
        ca_file: Option<&Path>,
        timeout: Duration,
    ) -> Result<Application, Error> {
        let invalid = |reason: &str| {
            let expected = "expected http://HOST[:PORT] or https://HOST[:PORT]";
            Error::Usage(format!("invalid application URL: {reason}; {expected}"))
        };
        let url: Uri = url.parse().map_err(|_| invalid("syntax error"))?;
        let authority = url.authority().ok_or_else(|| invalid("no host"))?.as_str();
        let is_tls = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(invalid("unsupported scheme")),
        };
        if authority.contains('@') {
            return Err(invalid("credentials are not allowed"));
        }
        if url.path() != "/" || url.query().is_some() {
            return Err(invalid("path and query are not allowed"));
        }
        let host = HeaderValue::from_str(authority).map_err(|_| invalid("invalid host"))?;
        let tls = match is_tls {
            true => Some(TlsConnector::from(Arc::new(tls::client_config(ca_file)?))),
            false => None,
        };
        Ok(Application { url, host, token, tls, timeout, idle: Mutex::default() })
    }

    /// Returns the URL, which contains no secret.
    pub fn url(&self) -> &Uri {
        &self.url
    }

    /// Sends a request.
    pub async fn post(&self, request: &Request) -> Answer {
        self.answer(Method::POST, request).await
    }

    /// Returns whether the application and its database are ready.
    pub async fn is_ready(&self) -> bool {
        let (path, body) = ("/db-check", Bytes::new());
        let request = Request { path, idempotency_key: None, body, may_be_gone: false };
        self.answer(Method::GET, &request).await.status == Some(StatusCode::OK)
    }

    async fn answer(&self, method: Method, request: &Request) -> Answer {
        let no_response = |detail: String| Answer { status: None, detail };
        match tokio::time::timeout(self.timeout, self.send(&method, request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => no_response(error),
            Err(_) => no_response(format!("no response within {} s", self.timeout.as_secs())),
        }
    }

    async fn send(&self, method: &Method, request: &Request) -> Result<Answer, String> {
        // The server may have closed an idle connection. All requests are idempotent, so one that
        // fails on an old connection is sent again on a new one.
        if let Some(connection) = self.take_idle()
            && let Ok(answer) = self.send_on(connection, method, request).await
        {
            return Ok(answer);
        }
        self.send_on(self.connect().await?, method, request).await
    }

    async fn send_on(
        &self,
        mut connection: Connection,
        method: &Method,
        request: &Request,
    ) -> Result<Answer, String> {
        let mut head = http::Request::builder()
            .method(method)
            .uri(request.path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json");
        if let Some(key) = &request.idempotency_key {
            head = head.header("idempotency-key", key);
        }
        if let Some(authorization) = &connection.authorization {
            head = head.header(AUTHORIZATION, authorization);
        }
        let request = head.body(Full::new(request.body.clone())).map_err(|it| it.to_string())?;
        connection.requests += 1;
        let sent = async {
            connection.sender.ready().await?;
            connection.sender.send_request(request).await
        };
        let response = sent.await.map_err(|error| cause(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE);
        let body = body.collect().await.map_err(|error| cause(&*error))?.to_bytes();
        // After a 401 response, the next connection reads the token again.
        if status != StatusCode::UNAUTHORIZED {
            self.keep(connection);
        }
        Ok(Answer { status: Some(status), detail: detail(status, &body) })
    }

    async fn connect(&self) -> Result<Connection, String> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.open()).await {
            Ok(connection) => connection,
            Err(_) => Err(format!("cannot connect to {}: timeout", self.url)),
        }
    }

    async fn open(&self) -> Result<Connection, String> {
        let authorization = self.authorization().map_err(|error| error.to_string())?;
        let failed =
            |error: &dyn std::fmt::Display| format!("cannot connect to {}: {error}", self.url);
        let host = self.url.host().unwrap_or_default().trim_matches(['[', ']']);
        let default = if self.url.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = self.url.port_u16().unwrap_or(default);
        let tcp = TcpStream::connect((host, port)).await.map_err(|it| failed(&it))?;
        tcp.set_nodelay(true).map_err(|it| failed(&it))?;
        let sender = match &self.tls {
            None => {
                let (sender, connection) =
                    handshake(TokioIo::new(tcp)).await.map_err(|it| failed(&it))?;
                tokio::spawn(connection);
                sender
            }
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|it| failed(&it))?;
                let tls = tls.connect(name, tcp).await.map_err(|it| failed(&it))?;
                let (sender, connection) =
                    handshake(TokioIo::new(tls)).await.map_err(|it| failed(&it))?;
                tokio::spawn(connection);
                sender
            }
        };
        Ok(Connection { sender, authorization, opened: Instant::now(), requests: 0 })
    }

    fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        let token = match &self.token {
            Some(token) => token.read()?,
            None => return Ok(None),
        };
        if token.is_empty() {
            return Ok(None);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::Usage("the token contains invalid characters".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(Connection::is_usable);
        idle.pop()
    }

    fn keep(&self, connection: Connection) {
        if connection.is_usable() {
            self.idle().push(connection);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        // Only a panic while the lock is held could poison it.
        self.idle.lock().expect("the lock is not poisoned")
    }
}

impl Connection {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.requests < MAX_REQUESTS && self.opened.elapsed() < MAX_AGE
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) if self.detail.is_empty() => write!(to, "HTTP {}", status.as_u16()),
            Some(status) => write!(to, "HTTP {}: {}", status.as_u16(), self.detail),
            None => to.write_str(&self.detail),
        }
    }
}

/// Returns the innermost cause of an error of hyper, whose own text names only the phase.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Returns the beginning of `detail` and of the `errors` of a problem.
fn detail(status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        detail: String,
        #[serde(default)]
        errors: Vec<FieldError>,
    }
    #[derive(Deserialize)]
    struct FieldError {
        #[serde(default)]
        pointer: String,
        #[serde(default)]
        detail: String,
    }
    if status.is_success() {
        return String::new();
    }
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else { return String::new() };
    let mut text = problem.detail;
    for error in problem.errors {
        text.push_str(&format!("; {} {}", error.pointer, error.detail));
    }
    // A line of text for headers and logs.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(url: &str) -> Result<Application, Error> {
        Application::new(url, None, None, Duration::from_secs(1))
    }

    #[test]
    fn url_with_path_credentials_or_other_scheme_is_rejected() {
        for url in ["http://127.0.0.1:3000", "http://katas/", "http://[::1]:80"] {
            assert!(application(url).is_ok(), "{url}");
        }
        for url in
            ["", "katas", "ftp://katas", "http://katas/api", "http://katas/?x", "http://u:p@katas"]
        {
            assert!(matches!(application(url), Err(Error::Usage(_))), "{url}");
        }
    }

    #[test]
    fn detail_is_one_bounded_line_of_a_problem() {
        let bad = StatusCode::UNPROCESSABLE_ENTITY;
        let body =
            br#"{"detail":"invalid\nbody","errors":[{"pointer":"/tax","detail":"too large"}]}"#;
        assert_eq!(detail(bad, body), "invalid body; /tax too large");
        assert_eq!(detail(bad, b"<html>"), "");
        assert_eq!(detail(StatusCode::OK, body), "");
        let long = format!(r#"{{"detail":"{}"}}"#, "é".repeat(1000));
        assert_eq!(detail(bad, long.as_bytes()).chars().count(), 500);
    }

    #[tokio::test]
    async fn refused_connection_is_no_response() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let application = application(&url).unwrap();
        let (path, body) = ("/", Bytes::new());
        let request = Request { path, idempotency_key: None, body, may_be_gone: false };
        let answer = application.post(&request).await;
        assert_eq!(answer.status, None);
        assert!(answer.detail.contains("refused"), "{answer}");
    }
}
