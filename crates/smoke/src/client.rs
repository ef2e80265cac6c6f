//! The calls: who makes them, what they leave to be removed, and what is noted of them.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use ureq::{Agent, Error, Timeout};

use crate::answer::Answer;
use crate::evidence::{Evidence, Recorded};
use crate::report::Report;
use crate::{Options, tls};

/// As long as any answer that is asked for here.
const LONGEST_BODY: u64 = 4 << 20;

/// Who makes a call that changes something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Caller {
    /// With the token, if there is one.
    Owner,
    /// Without.
    Nobody,
    /// With a token of the wrong kind.
    Stranger,
}

/// Under which path something that is made can be removed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The path of the call.
    Here,
    /// This collection of those that can be removed by name.
    In(&'static str),
    /// The path of the call, and the id in its answer.
    ById,
}

/// What is sent beside method and path.
#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    Nothing,
    Json(&'a Value),
    Text(&'a str),
}

/// A deployment, as its clients see it.
pub(crate) struct Client<'a> {
    agent: Agent,
    base: String,
    token: Option<String>,
    /// Whether the engine's own paths have to be open, have to be closed, or may be either.
    pub(crate) engine: Engine,
    timeout: Duration,
    stop: &'a AtomicUsize,
    prefix: String,
    trace_id: String,
    check: &'static str,
    note: Option<String>,
    calls: u32,
    /// Nothing answered to the latest call.
    away: bool,
    /// A service may have seen the latest call.
    sent: bool,
    cleaning: bool,
    /// The paths of what has been made, or may have been.
    made: Vec<String>,
    /// What may have been made where only the answer, which did not come, has its id.
    lost: Vec<String>,
    evidence: Option<Evidence>,
}

/// Who may see the paths of the engine itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Engine {
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
            // A connection for each call: a Service spreads connections over the pods, not calls.
            .max_idle_connections(0);
        if options.url.scheme_str() == Some("https") {
            config = config.tls_config(tls::config(options.ca_file.as_deref())?);
        }
        let host = options.url.host().unwrap_or_default();
        let engine = match options.inside {
            true => Engine::Open,
            false if is_loopback(host) => Engine::Either,
            false => Engine::Closed,
        };
        Ok(Client {
            agent: config.build().into(),
            base: options.url.to_string().trim_end_matches('/').to_owned(),
            token: options.token.clone(),
            engine,
            timeout: options.timeout,
            stop,
            prefix: format!("smoke-{}", random::<4>()?),
            trace_id: random::<16>()?,
            check: "",
            note: None,
            calls: 0,
            away: false,
            sent: false,
            cleaning: false,
            made: Vec::new(),
            lost: Vec::new(),
            evidence,
        })
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// How the name of all begins that is made.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The trace id of all calls, which is in the services' log lines.
    pub(crate) fn trace_id(&self) -> &str {
        &self.trace_id
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away
    }

    /// What answered was in the place of the deployment.
    pub(crate) fn set_away(&mut self) {
        self.away = true;
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }

    /// What is called from here on belongs to this check.
    pub(crate) fn begin(&mut self, check: &'static str) {
        self.check = check;
        self.note = None;
    }

    /// The name of what this check makes.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.prefix, self.check)
    }

    /// Tells more than that it went well.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.note = Some(note.into());
    }

    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        self.send(Method::GET, path, headers, Content::Nothing, Caller::Nobody)
    }

    /// A POST that keeps nothing.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Answer, String> {
        self.send(Method::POST, path, &[], Content::Json(body), Caller::Owner)
    }

    pub(crate) fn post_text(
        &mut self,
        path: &str,
        kind: &str,
        body: &str,
    ) -> Result<Answer, String> {
        let headers = [("content-type", kind)];
        self.send(Method::POST, path, &headers, Content::Text(body), Caller::Owner)
    }

    /// A change of what is there already.
    pub(crate) fn replace(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Answer, String> {
        self.send(Method::PUT, path, headers, Content::Json(body), Caller::Owner)
    }

    pub(crate) fn delete(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let answer = self.send(Method::DELETE, path, headers, Content::Nothing, Caller::Owner)?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            self.made.retain(|made| made != path);
        }
        Ok(answer)
    }

    /// A call that changes nothing, because its body is not what any service takes.
    pub(crate) fn attempt(
        &mut self,
        caller: Caller,
        method: Method,
        path: &str,
    ) -> Result<Answer, String> {
        let nothing = json!({});
        self.send(method, path, &[], Content::Json(&nothing), caller)
    }

    /// A call that makes something, which is removed at the end if it is still there.
    pub(crate) fn make(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
        place: Place,
    ) -> Result<Answer, String> {
        let answer = self.send(method, path, headers, Content::Json(body), Caller::Owner);
        self.keep(path, place, &answer);
        answer
    }

    /// The same, from CSV.
    pub(crate) fn load(&mut self, path: &str, csv: &str) -> Result<Answer, String> {
        let answer = self.post_text(path, "text/csv", csv);
        let collection = path.split('?').next().unwrap_or_default();
        self.keep(collection, Place::ById, &answer);
        answer
    }

    /// Notes what the call has made, or may have: an answer that did not come, or that a gateway
    /// gave in place of a service, leaves that open.
    fn keep(&mut self, path: &str, place: Place, answer: &Result<Answer, String>) {
        let id = match answer {
            Ok(answer) if answer.status.is_success() => answer.id().ok(),
            Ok(answer) if !answer.status.is_server_error() || answer.is_of_service() => return,
            Err(_) if !self.sent => return,
            _ => None,
        };
        match (place, id) {
            (Place::Here, _) => self.made.push(path.to_owned()),
            (Place::In(collection), _) => self.made.push(format!("{collection}/{}", self.name())),
            (Place::ById, Some(id)) => self.made.push(format!("{path}/{id}")),
            (Place::ById, None) => {
                let name = self.name();
                self.lost.push(format!("perhaps {name} in {path}: its id was not answered"));
            }
        }
    }

    /// Removes what is still there. What cannot be removed stays noted, for the next time, and is
    /// returned with the reason.
    pub(crate) fn clean(&mut self) -> Vec<String> {
        self.cleaning = true;
        let mut left = self.lost.clone();
        for path in self.made.clone() {
            let removed = self.delete(&path, &[]).and_then(|answer| match answer.status {
                StatusCode::NOT_FOUND => Ok(()),
                status if status.is_success() => Ok(()),
                _ => answer.is(204).map(|_| ()),
            });
            left.extend(removed.err().map(|failure| self.redact(&failure)));
        }
        self.cleaning = false;
        left
    }

    fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        content: Content<'_>,
        caller: Caller,
    ) -> Result<Answer, String> {
        self.sent = false;
        if self.stopped() && !self.cleaning {
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
            Content::Nothing => String::new(),
            Content::Text(text) => text.to_owned(),
            Content::Json(json) => {
                request = request.header("content-type", "application/json");
                json.to_string()
            }
        };
        request = match (caller, &self.token) {
            (Caller::Owner, Some(token)) => request.header("authorization", bearer(token)),
            (Caller::Stranger, _) => request.header("authorization", bearer(&self.trace_id)),
            _ => request,
        };
        let request = request.body(body).map_err(|error| format!("{call}: {error}"))?;
        let mut recorded = Recorded::of(self.check, self.calls, &request);
        let start = Instant::now();
        let answer = self.exchange(request, &call);
        recorded.answered(&answer, start.elapsed());
        if let Some(evidence) = &mut self.evidence {
            let token = self.token.as_deref();
            evidence.record(&recorded, &|text| redact(token, text));
        }
        answer
    }

    fn exchange(&mut self, request: Request<String>, call: &str) -> Result<Answer, String> {
        let sent = match request.body().is_empty() {
            true => self.agent.run(request.map(|_| ())),
            false => self.agent.run(request),
        };
        let read = sent.and_then(|response| {
            let (head, mut body) = response.into_parts();
            Ok((head, body.with_config().limit(LONGEST_BODY).read_to_vec()?))
        });
        match read {
            Ok((head, body)) => {
                (self.away, self.sent) = (false, true);
                Ok(Answer {
                    call: call.to_owned(),
                    status: head.status,
                    version: head.version,
                    headers: head.headers,
                    body: String::from_utf8_lossy(&body).into_owned(),
                })
            }
            Err(error) => {
                self.away = is_away(&error);
                self.sent = may_have_arrived(&error);
                let what = match error {
                    Error::Timeout(_) => format!("no answer in {:?}", self.timeout),
                    Error::HostNotFound => "the name of the host is not known".to_owned(),
                    error => error.to_string(),
                };
                Err(format!("{call}: {what}"))
            }
        }
    }

    /// Without the token.
    pub(crate) fn redact(&self, text: &str) -> String {
        redact(self.token.as_deref(), text)
    }

    /// Completes what is written, and the report with what came of it.
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
        // A handshake is I/O.
        Error::Io(error) => error.get_ref(),
        _ => None,
    };
    inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

/// Whether nobody has answered, of whatever kind.
fn is_away(error: &Error) -> bool {
    match error {
        Error::HostNotFound | Error::ConnectionFailed | Error::Timeout(_) => true,
        Error::Io(_) => !is_tls(error),
        _ => false,
    }
}

/// Whether the service may have seen the call, which was not answered.
fn may_have_arrived(error: &Error) -> bool {
    match error {
        Error::HostNotFound | Error::ConnectionFailed => false,
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => false,
        error => !is_tls(error),
    }
}

/// Whether it is this very machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// So many random bytes, in hexadecimal digits.
fn random<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["katas.katas.svc", "10.0.0.1", "127.0.0.1.example.com", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn nothing_is_left_of_the_token() {
        assert_eq!(redact(Some("abc"), "Bearer abc, abcd"), "Bearer <redacted>, <redacted>d");
        assert_eq!(redact(None, "abc"), "abc");
    }
}
