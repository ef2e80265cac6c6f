//! The `smoke` command, run against servers that are not the application.

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

/// Returns the command without the environment variables that would influence it.
fn smoke(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smoke"));
    command.args(arguments);
    for name in ["API_TOKEN", "API_TOKEN_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
}

#[track_caller]
fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().expect("smoke starts");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    output
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("UTF-8")
}

/// Starts a server that sends this response to every request, over TLS if `tls` is set. Returns its
/// address and a receiver of the request heads.
fn server(
    response: &'static str,
    tls: Option<Arc<ServerConfig>>,
) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (sender, heads) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let head = match &tls {
                None => exchange(stream, response),
                Some(config) => {
                    let connection = ServerConnection::new(config.clone()).expect("a connection");
                    exchange(StreamOwned::new(connection, stream), response)
                }
            };
            // The receiver may have been dropped, and a client that rejects the certificate closes
            // the connection.
            let _ = head.map(|head| sender.send(head));
        }
    });
    (address, heads)
}

/// Reads the head of a request and sends the response. Bodies are not read: they are short enough
/// to arrive with the head.
fn exchange(mut stream: impl Read + Write, response: &str) -> std::io::Result<String> {
    let mut reader = BufReader::new(&mut stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    stream.write_all(response.as_bytes())?;
    stream.flush()?;
    Ok(head)
}

const HEALTHY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
    Cache-Control: no-store\r\nContent-Length: 20\r\nConnection: close\r\n\r\n{\"status\":\"healthy\"}";
const UNAVAILABLE: &str =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Returns the URL of a port that is not in use.
fn unused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

/// Parses the report on standard output.
fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("a list");
    checks.iter().find(|check| check["name"] == name).expect(name)
}

#[test]
fn refused_connection_exits_75_after_one_request() {
    let output = run(&mut smoke(&[&unused_url(), "--format", "json"]), 75);
    let report = report(&output);
    assert_eq!((&report["format"], &report["calls"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(check(&report, "reachable")["status"], "failed");
    assert_eq!(check(&report, "health")["detail"], "not reachable");
    assert_eq!(report["exit_code"], 75);
}

#[test]
fn gateway_without_backend_exits_75() {
    let (address, _heads) = server(UNAVAILABLE, None);
    let output = run(&mut smoke(&[&format!("http://{address}")]), 75);
    let expected = "GET /health: status 503, expected 200\n";
    assert!(text(&output.stdout).contains(expected), "{output:?}");
}

#[test]
fn server_that_does_not_speak_http_exits_1() {
    let (address, _heads) = server("220 mail.example ESMTP\r\n\r\n", None);
    let output = run(&mut smoke(&[&format!("http://{address}")]), 1);
    assert!(text(&output.stdout).contains("FAIL  reachable "), "{output:?}");
}

#[test]
fn server_of_another_application_exits_1() {
    let (address, heads) = server(HEALTHY, None);
    let output = run(smoke(&[&format!("http://{address}")]).env("API_TOKEN", "secret"), 1);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("  ok  reachable "), "{stdout}");
    assert!(stdout.contains("FAIL  users "), "{stdout}");
    let failure = "GET /healthcheck: /Healthy is null, expected true";
    assert!(stdout.contains(failure), "{stdout}");
    // The responses have no id, so nothing can be deleted by id.
    assert!(stdout.contains("possibly smoke-"), "{stdout}");
    let heads: Vec<_> = heads.try_iter().collect();
    let first = &heads[0];
    assert!(first.starts_with("GET /health HTTP/1.1\r\n"), "{first}");
    assert!(first.contains("\r\ntraceparent: 00-"), "{first}");
    assert!(!first.contains("secret"), "{first}");
    assert!(heads.iter().any(|head| head.contains("\r\nauthorization: Bearer secret")));
}

#[test]
fn open_engine_paths_fail_unless_inside() {
    // 0.0.0.0 connects to this machine but is not a loopback address.
    let (address, _heads) = server(HEALTHY, None);
    let url = format!("http://0.0.0.0:{}", address.port());
    let outside = report(&run(&mut smoke(&[&url, "--format", "json"]), 1));
    let detail = check(&outside, "engine")["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("status 200, expected 403 or 404"), "{outside}");
    let inside = report(&run(&mut smoke(&[&url, "--inside", "--format", "json"]), 1));
    assert_eq!(check(&inside, "engine")["status"], "passed");
}

#[test]
fn self_signed_certificate_is_trusted_only_with_ca_file() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("supported versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key.into())
        .expect("the key matches the certificate");
    let (address, _heads) = server(HEALTHY, Some(Arc::new(config)));
    let url = format!("https://localhost:{}", address.port());
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("ca.pem");
    fs::write(&file, cert.pem()).expect("the file is writable");
    let file = file.to_str().expect("UTF-8");

    let output = run(&mut smoke(&[&url, "--format", "json", "--ca-file", file]), 1);
    assert_eq!(check(&report(&output), "reachable")["status"], "passed", "{output:?}");

    let other = generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(file, other.cert.pem()).expect("the file is writable");
    let output = run(&mut smoke(&[&url, "--format", "json", "--ca-file", file]), 1);
    let report = report(&output);
    let detail = check(&report, "reachable")["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("certificate"), "{report}");
}

#[test]
fn invalid_command_line_exits_2() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("the file is writable");
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
        let output = run(&mut smoke(arguments), 2);
        assert!(text(&output.stderr).contains("error: "), "{arguments:?} {output:?}");
    }
}

#[test]
fn signal_interrupts_the_wait() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let (address, heads) = server(UNAVAILABLE, None);
        let url = format!("http://{address}");
        let mut command = smoke(&[&url, "--wait", "600", "--format", "json"]);
        let child = command.stdout(Stdio::piped()).spawn().expect("smoke starts");
        assert!(heads.recv().expect("a request").starts_with("GET /db-check "));
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.expect("kill starts").success());
        let output = child.wait_with_output().expect("smoke ends");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(check(&report(&output), "reachable")["detail"], "interrupted");
    }
}

/// A `kubectl` for a cluster without the HTTPRoute resource.
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
        smoke(&[&unused_url(), "--format", "json", "--evidence", folder, "--namespace", "shop"]);
    let output = run(command.env("PATH", path).env("API_TOKEN", "secret"), 75);
    report(&output)
}

#[test]
fn evidence_includes_the_cluster_state() {
    let folder = tempfile::tempdir().expect("a directory");
    let kubectl = folder.path().join("kubectl");
    fs::write(&kubectl, KUBECTL).expect("the file is writable");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&kubectl, executable).expect("the test owns the file");
    let evidence = evidence(folder.path(), &folder.path().join("evidence"));
    let expected = "state of namespace shop: 6 files; missing: httproutes \
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
fn evidence_without_kubectl_lacks_the_cluster_state() {
    let folder = tempfile::tempdir().expect("a directory");
    let evidence = evidence(&folder.path().join("empty"), &folder.path().join("evidence"));
    let summary = evidence["evidence"].as_str().unwrap_or_default();
    assert!(summary.starts_with("no cluster state: cannot run kubectl: "), "{summary}");
    assert!(folder.path().join("evidence/calls.jsonl").is_file());
}
