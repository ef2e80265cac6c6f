//! `smoke`, as people and Jobs run it, against servers that are not the application.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// The command; what surrounds the tests must not decide them.
fn smoke(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smoke"));
    command.args(arguments);
    for name in ["API_TOKEN", "API_TOKEN_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

#[track_caller]
fn ends(command: &mut Command, code: i32) -> Output {
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    output
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it is UTF-8")
}

/// Answers this to every request, by TLS if it has a configuration for that, for as long as the
/// tests run. With its address, and the head of each request.
fn server(answer: &'static str, tls: Option<Arc<ServerConfig>>) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let (told, heads) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let head = match &tls {
                None => exchange(stream, answer),
                Some(config) => {
                    let connection = ServerConnection::new(config.clone()).expect("a connection");
                    exchange(StreamOwned::new(connection, stream), answer)
                }
            };
            // Nobody has to listen, and a client that does not believe us goes away.
            let _ = head.map(|head| told.send(head));
        }
    });
    (address, heads)
}

/// Reads the head of a request and answers. Bodies are short: they come in the same packet.
fn exchange(mut stream: impl Read + Write, answer: &str) -> std::io::Result<String> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    stream.write_all(answer.as_bytes())?;
    stream.flush()?;
    Ok(head)
}

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Cache-Control: no-store\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"status\":\"healthy\"}";
const NOBODY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// An address where nobody listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it has an address"))
}

/// The last one, as JSON.
fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["name"] == name).expect(name)
}

#[test]
fn where_nobody_listens_is_75_and_nothing_else_is_called() {
    let output = ends(&mut smoke(&[&nowhere(), "--format", "json"]), 75);
    let report = report(&output);
    assert_eq!((&report["format"], &report["calls"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(check(&report, "reachable")["status"], "failed");
    assert_eq!(check(&report, "health")["detail"], "not reachable");
    assert_eq!(report["exit_code"], 75);
}

#[test]
fn a_gateway_with_nobody_behind_it_is_75() {
    let (address, _heads) = server(NOBODY, None);
    let output = ends(&mut smoke(&[&format!("http://{address}")]), 75);
    let expected = "GET /health: 503 in place of 200\n";
    assert!(text(&output.stdout).contains(expected), "{output:?}");
}

#[test]
fn what_is_not_http_is_1() {
    let (address, _heads) = server("220 mail.example ESMTP\r\n\r\n", None);
    let output = ends(&mut smoke(&[&format!("http://{address}")]), 1);
    assert!(text(&output.stdout).contains("FAIL  reachable "), "{output:?}");
}

#[test]
fn somebody_else_is_1() {
    let (address, heads) = server(HEALTHY, None);
    let output = ends(smoke(&[&format!("http://{address}")]).env("API_TOKEN", "secret"), 1);
    let told = text(&output.stdout);
    assert!(told.contains("  ok  reachable "), "{told}");
    assert!(told.contains("FAIL  users "), "{told}");
    let users = "GET /healthcheck: /Healthy is null, not true";
    assert!(told.contains(users), "{told}");
    // What he took cannot be removed by its id: he gave none.
    assert!(told.contains("perhaps smoke-"), "{told}");
    let heads: Vec<_> = heads.try_iter().collect();
    let first = &heads[0];
    assert!(first.starts_with("GET /health HTTP/1.1\r\n"), "{first}");
    assert!(first.contains("\r\ntraceparent: 00-"), "{first}");
    assert!(!first.contains("secret"), "{first}");
    assert!(heads.iter().any(|head| head.contains("\r\nauthorization: Bearer secret")));
}

#[test]
fn the_engine_has_to_be_closed_off_outside() {
    // It gets to this machine, and is no loopback address.
    let (address, _heads) = server(HEALTHY, None);
    let url = format!("http://0.0.0.0:{}", address.port());
    let outside = report(&ends(&mut smoke(&[&url, "--format", "json"]), 1));
    let detail = check(&outside, "engine")["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("200 in place of 403 or 404"), "{outside}");
    let inside = report(&ends(&mut smoke(&[&url, "--inside", "--format", "json"]), 1));
    assert_eq!(check(&inside, "engine")["status"], "passed");
}

#[test]
fn certificates_of_our_own_are_believed_when_they_are_given() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("the key fits");
    let (address, _heads) = server(HEALTHY, Some(Arc::new(config)));
    let url = format!("https://localhost:{}", address.port());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca.pem");
    fs::write(&file, cert.pem()).expect("it can be written");
    let file = file.to_str().expect("UTF-8");

    let output = ends(&mut smoke(&[&url, "--format", "json", "--ca-file", file]), 1);
    assert_eq!(check(&report(&output), "reachable")["status"], "passed", "{output:?}");

    let other = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(file, other.cert.pem()).expect("it can be written");
    let output = ends(&mut smoke(&[&url, "--format", "json", "--ca-file", file]), 1);
    let report = report(&output);
    let detail = check(&report, "reachable")["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("certificate"), "{report}");
}

#[test]
fn mistakes_in_the_command_line_are_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("it can be written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let empty = file("empty.pem", "");
    for arguments in [
        &["katas.example"][..],
        &["https://katas.example", "--wait", "long"],
        &["https://katas.example", "--token-file", "/nowhere"],
        &["https://katas.example", "--ca-file", "/nowhere"],
        &["https://katas.example", "--ca-file", &empty],
        &["https://katas.example", "--evidence", &empty],
        &["https://katas.example", "--namespace", "katas"],
        &[],
    ] {
        let output = ends(&mut smoke(arguments), 2);
        assert!(text(&output.stderr).contains("error: "), "{arguments:?} {output:?}");
    }
}

#[test]
fn a_signal_ends_the_waiting() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (address, heads) = server(NOBODY, None);
        let url = format!("http://{address}");
        let mut command = smoke(&[&url, "--wait", "600", "--format", "json"]);
        let child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        assert!(heads.recv().expect("it asks").starts_with("GET /db-check "));
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(check(&report(&output), "reachable")["detail"], "interrupted");
    }
}

/// A `kubectl` that has a cluster, and no HTTPRoutes in it.
const KUBECTL: &str = r#"#!/bin/sh
case "$*" in
    *version*) echo '{}' ;;
    *httproutes*) echo "error: the server doesn't have a resource type" >&2; exit 1 ;;
    *) echo "$*, secret" ;;
esac
"#;

fn evidence(path: &Path, folder: &Path) -> Value {
    let folder = folder.to_str().expect("UTF-8");
    let mut command =
        smoke(&[&nowhere(), "--format", "json", "--evidence", folder, "--namespace", "shop"]);
    let output = ends(command.env("PATH", path).env("API_TOKEN", "secret"), 75);
    report(&output)
}

#[test]
fn the_state_of_the_cluster_is_part_of_the_evidence() {
    let folder = tempfile::tempdir().expect("a folder");
    let kubectl = folder.path().join("kubectl");
    fs::write(&kubectl, KUBECTL).expect("it can be written");
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let evidence = evidence(folder.path(), &folder.path().join("evidence"));
    let expected = "the state of namespace shop: 6 files; not to be had: httproutes \
        (error: the server doesn't have a resource type)";
    assert_eq!(evidence["evidence"], expected);
    for name in ["pods", "services", "spinapps", "ingresses", "jobs", "events"] {
        let path = folder.path().join(format!("evidence/{name}.yaml"));
        let yaml = fs::read_to_string(path).expect(name);
        assert!(yaml.starts_with("--request-timeout=10s --namespace shop get "), "{yaml}");
        assert!(yaml.ends_with("--output=yaml, <redacted>\n"), "{yaml}");
    }
}

#[test]
fn without_kubectl_there_is_less_evidence_and_no_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let evidence = evidence(&folder.path().join("nothing"), &folder.path().join("evidence"));
    let told = evidence["evidence"].as_str().unwrap_or_default();
    assert!(told.starts_with("no state of a cluster: kubectl: "), "{told}");
    assert!(folder.path().join("evidence/calls.jsonl").is_file());
}
