//! The HTTP client. It authorizes requests, tracks the test data to delete, and records evidence.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use ureq::{Agent, Error, Timeout};

use crate::evidence::{CallRecord, Evidence};
use crate::report::Report;
use crate::response::Response;
use crate::{Options, tls};

/// The maximum size of a response body, in bytes. No response is larger.
const BODY_LIMIT: u64 = 4 << 20;

/// The authorization of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Auth {
    /// The configured token, if there is one.
    Token,
    /// No token.
    None,
    /// An invalid token.
    WrongToken,
}

/// The path under which a created resource can be deleted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Location {
    /// The path of the request.
    RequestPath,
    /// This collection, followed by the name of the resource.
    InCollection(&'static str),
    /// The path of the request, followed by the id in the response.
    ById,
}

/// The body of a request.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Empty,
    Json(&'a Value),
    Text(&'a str),
}

/// A client of one deployment.
pub(crate) struct Client<'a> {
    agent: Agent,
    base: String,
    token: Option<String>,
    /// The expected state of Spin's built-in paths.
    pub(crate) engine_paths: EnginePaths,
    timeout: Duration,
    stop: &'a AtomicUsize,
    prefix: String,
    trace_id: String,
    check: &'static str,
    note: Option<String>,
    calls: u32,
    /// Whether the last request failed because the deployment is unreachable.
    unreachable: bool,
    /// Whether a service may have received the last request.
    received: bool,
    cleaning_up: bool,
    /// The paths of resources that were created, or may have been.
    created: Vec<String>,
    /// Descriptions of resources that may have been created but whose id is unknown, because the
    /// response was lost.
    untracked: Vec<String>,
    evidence: Option<Evidence>,
}

/// The expected state of Spin's built-in paths, `/.well-known/spin/…`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EnginePaths {
    Open,
    Closed,
    Either,
}

impl<'a> Client<'a> {
    pub(crate) fn new(
        options: &Options,
        stop: &'a AtomicUsize,
        evidence: Option<Evidence>,
    ) -> Result<Client<'a>, String> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(options.timeout))
            .user_agent(concat!("katas-smoke/", env!("CARGO_PKG_VERSION")))
            // One connection per request: a Service balances connections over the pods, not
            // requests.
            .max_idle_connections(0);
        if options.url.scheme_str() == Some("https") {
            config = config.tls_config(tls::config(options.ca_file.as_deref())?);
        }
        let host = options.url.host().unwrap_or_default();
        let engine_paths = match options.inside {
            true => EnginePaths::Open,
            false if is_loopback(host) => EnginePaths::Either,
            false => EnginePaths::Closed,
        };
        Ok(Client {
            agent: config.build().into(),
            base: options.url.to_string().trim_end_matches('/').to_owned(),
            token: options.token.clone(),
            engine_paths,
            timeout: options.timeout,
            stop,
            prefix: format!("smoke-{}", random::<4>()?),
            trace_id: random::<16>()?,
            check: "",
            note: None,
            calls: 0,
            unreachable: false,
            received: false,
            cleaning_up: false,
            created: Vec::new(),
            untracked: Vec::new(),
            evidence,
        })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Returns the prefix of the names of all test data.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the trace id of all requests. The services' log lines contain it.
    pub(crate) fn trace_id(&self) -> &str {
        &self.trace_id
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    /// Marks the deployment as unreachable behind a gateway that responds.
    pub(crate) fn set_unreachable(&mut self) {
        self.unreachable = true;
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// Starts a check. Later requests belong to it.
    pub(crate) fn begin(&mut self, check: &'static str) {
        self.check = check;
        self.note = None;
    }

    /// Returns the name of the current check's test data.
    pub(crate) fn resource_name(&self) -> String {
        format!("{}-{}", self.prefix, self.check)
    }

    /// Sets the detail to report if the current check passes.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.note = Some(note.into());
    }

    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Response, String> {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, String> {
        self.send(Method::GET, path, headers, Content::Empty, Auth::None)
    }

    /// Sends a GET request with the token, because a deployment may require it for personal data.
    pub(crate) fn get_private(&mut self, path: &str) -> Result<Response, String> {
        self.send(Method::GET, path, &[], Content::Empty, Auth::Token)
    }

    /// Sends a POST request that creates nothing to delete.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Response, String> {
        self.send(Method::POST, path, &[], Content::Json(body), Auth::Token)
    }

    pub(crate) fn post_text(
        &mut self,
        path: &str,
        media_type: &str,
        body: &str,
    ) -> Result<Response, String> {
        let headers = [("content-type", media_type)];
        self.send(Method::POST, path, &headers, Content::Text(body), Auth::Token)
    }

    /// Sends a PUT request for an existing resource.
    pub(crate) fn replace(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Response, String> {
        self.send(Method::PUT, path, headers, Content::Json(body), Auth::Token)
    }

    /// Sends a PATCH request, a JSON Merge Patch.
    pub(crate) fn patch(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Response, String> {
        self.send(Method::PATCH, path, headers, Content::Json(body), Auth::Token)
    }

    pub(crate) fn delete(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, String> {
        let response = self.send(Method::DELETE, path, headers, Content::Empty, Auth::Token)?;
        if response.status.is_success() || response.status == StatusCode::NOT_FOUND {
            self.created.retain(|created| created != path);
        }
        Ok(response)
    }

    /// Sends a write request that changes nothing even if it is authorized, because its body is
    /// invalid for every route.
    pub(crate) fn send_invalid(
        &mut self,
        auth: Auth,
        method: Method,
        path: &str,
    ) -> Result<Response, String> {
        let empty = json!({});
        self.send(method, path, &[], Content::Json(&empty), auth)
    }

    /// Sends a request that creates a resource, and tracks the resource for deletion.
    pub(crate) fn create(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
        location: Location,
    ) -> Result<Response, String> {
        let response = self.send(method, path, headers, Content::Json(body), Auth::Token);
        self.track(path, location, &response);
        response
    }

    /// Like [`Client::create`], for a collection that accepts CSV.
    pub(crate) fn create_from_csv(&mut self, path: &str, csv: &str) -> Result<Response, String> {
        let response = self.post_text(path, "text/csv", csv);
        let collection = path.split('?').next().unwrap_or_default();
        self.track(collection, Location::ById, &response);
        response
    }

    /// Tracks a resource that was created or may have been. The latter is the case if the response
    /// was lost or came from a gateway.
    fn track(&mut self, path: &str, location: Location, response: &Result<Response, String>) {
        let id = match response {
            Ok(response) if response.status.is_success() => response.id().ok(),
            Ok(response) if !response.status.is_server_error() || response.is_problem() => return,
            Err(_) if !self.received => return,
            _ => None,
        };
        match (location, id) {
            (Location::RequestPath, _) => self.created.push(path.to_owned()),
            (Location::InCollection(collection), _) => {
                self.created.push(format!("{collection}/{}", self.resource_name()));
            }
            (Location::ById, Some(id)) => self.created.push(format!("{path}/{id}")),
            (Location::ById, None) => {
                let name = self.resource_name();
                self.untracked.push(format!("possibly {name} in {path}: the response has no id"));
            }
        }
    }

    /// Deletes the tracked resources. Those that cannot be deleted remain tracked for the next call
    /// and are returned with the reason.
    pub(crate) fn clean_up(&mut self) -> Vec<String> {
        self.cleaning_up = true;
        let mut left = self.untracked.clone();
        for path in self.created.clone() {
            let deleted = self.delete(&path, &[]).and_then(|response| match response.status {
                StatusCode::NOT_FOUND => Ok(()),
                status if status.is_success() => Ok(()),
                _ => response.expect_status(204).map(|_| ()),
            });
            left.extend(deleted.err().map(|failure| self.redact(&failure)));
        }
        self.cleaning_up = false;
        left
    }

    fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        content: Content<'_>,
        auth: Auth,
    ) -> Result<Response, String> {
        self.received = false;
        if self.stopped() && !self.cleaning_up {
            return Err("interrupted".to_owned());
        }
        self.calls += 1;
        let call = format!("{method} {path}");
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("traceparent", format!("00-{}-{:016x}-01", self.trace_id, self.calls));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match content {
            Content::Empty => String::new(),
            Content::Text(text) => text.to_owned(),
            Content::Json(json) => {
                request = request.header("content-type", "application/json");
                json.to_string()
            }
        };
        request = match (auth, &self.token) {
            (Auth::Token, Some(token)) => request.header("authorization", bearer(token)),
            (Auth::WrongToken, _) => request.header("authorization", bearer(&self.trace_id)),
            _ => request,
        };
        let request = request.body(body).map_err(|error| format!("{call}: {error}"))?;
        let mut record = CallRecord::new(self.check, self.calls, &request);
        let start = Instant::now();
        let response = self.exchange(request, &call);
        record.complete(&response, start.elapsed());
        if let Some(evidence) = &mut self.evidence {
            let token = self.token.as_deref();
            evidence.record(&record, &|text| redact(token, text));
        }
        response
    }

    fn exchange(&mut self, request: Request<String>, call: &str) -> Result<Response, String> {
        let result = match request.body().is_empty() {
            true => self.agent.run(request.map(|_| ())),
            false => self.agent.run(request),
        };
        let result = result.and_then(|response| {
            let (head, mut body) = response.into_parts();
            Ok((head, body.with_config().limit(BODY_LIMIT).read_to_vec()?))
        });
        match result {
            Ok((head, body)) => {
                (self.unreachable, self.received) = (false, true);
                Ok(Response {
                    call: call.to_owned(),
                    status: head.status,
                    version: head.version,
                    headers: head.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                })
            }
            Err(error) => {
                self.unreachable = is_unreachable(&error);
                self.received = may_have_been_received(&error);
                let cause = match error {
                    Error::Timeout(_) => format!("no response within {:?}", self.timeout),
                    Error::HostNotFound => "host not found".to_owned(),
                    error => error.to_string(),
                };
                Err(format!("{call}: {cause}"))
            }
        }
    }

    /// Replaces the token in a text.
    pub(crate) fn redact(&self, text: &str) -> String {
        redact(self.token.as_deref(), text)
    }

    /// Writes the cluster state and the report to the evidence directory, if there is one. Adds the
    /// result to the report.
    pub(crate) fn write_evidence(&mut self, namespace: &str, report: &mut Report) {
        if let Some(evidence) = self.evidence.take() {
            let token = self.token.as_deref();
            evidence.finish(namespace, report, &|text| redact(token, text));
        }
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn redact(token: Option<&str>, text: &str) -> String {
    match token {
        Some(token) => text.replace(token, "<redacted>"),
        None => text.to_owned(),
    }
}

fn is_tls(error: &Error) -> bool {
    let inner = match error {
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) => return true,
        // Errors of the handshake are wrapped in I/O errors.
        Error::Io(error) => error.get_ref(),
        _ => None,
    };
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Returns whether the error means that no server responded.
fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::HostNotFound | Error::ConnectionFailed | Error::Timeout(_) => true,
        Error::Io(_) => !is_tls(error),
        _ => false,
    }
}

/// Returns whether a service may have received the request in spite of the error.
fn may_have_been_received(error: &Error) -> bool {
    match error {
        Error::HostNotFound | Error::ConnectionFailed => false,
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => false,
        error => !is_tls(error),
    }
}

/// Returns whether a host is `localhost` or a loopback address.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns random bytes in hexadecimal.
fn random<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("cannot read random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_and_localhost_are_loopback() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["katas.katas.svc", "10.0.0.1", "127.0.0.1.example.com", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn every_occurrence_of_token_is_redacted() {
        assert_eq!(redact(Some("abc"), "Bearer abc, abcd"), "Bearer <redacted>, <redacted>d");
        assert_eq!(redact(None, "abc"), "abc");
    }
}
