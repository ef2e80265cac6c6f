//! Clients that send or read slowly do not block other clients, and time out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use http::Method;
use tokio::net::TcpSocket;

use crate::support::http2::{self, Http2};
use crate::support::{App, RUNTIME};

/// One more than the number of connections in the host's pool.
const CLIENTS: usize = 65;
const CSV: (&str, &str) = ("Content-Type", "text/csv");

/// Creates a dataset whose export exceeds all buffers between the component and a client that does
/// not read. Returns its path.
fn create_large_dataset(app: &App) -> String {
    let row = format!("{}\n", "x".repeat(1000));
    let file = format!("text\n{}", row.repeat(8000));
    let loaded = app.request(Method::POST, "/api/v1/datasets?name=large", &[CSV], file);
    assert_eq!(loaded.status, 201, "{loaded:?}");
    loaded.header("location").to_owned()
}

/// Opens a connection with a small receive buffer.
fn connect(app: &App) -> TcpStream {
    let address = app.authority().parse().expect("an address");
    let stream = RUNTIME.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        socket.connect(address).await?.into_std()
    });
    let stream = stream.expect("the server accepts");
    stream.set_nonblocking(false).expect("it is a socket");
    stream
}

/// Requests an export and reads only its first bytes.
fn begin_export(app: &App, dataset: &str) -> TcpStream {
    let mut stream = connect(app);
    let request = format!("GET {dataset}/rows HTTP/1.1\r\nHost: x\r\nAccept: text/csv\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut status = [0; 12];
    stream.read_exact(&mut status).expect("the server responds");
    assert_eq!(&status, b"HTTP/1.1 200");
    stream
}

/// Begins an upload and sends its first line.
fn begin_upload(app: &App) -> TcpStream {
    let mut stream = connect(app);
    let request = "POST /api/v1/datasets?name=slow HTTP/1.1\r\nHost: x\r\n\
                   Content-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nword\n\r\n";
    stream.write_all(request.as_bytes()).expect("the server reads");
    stream
}

/// Checks that other clients are served.
fn assert_served(app: &App) {
    for (path, status) in [("/db-check", 200), ("/api/v1/look/Apple", 404), ("/health", 200)] {
        let mut stream = connect(app);
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("the timeout is not zero");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the server reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
    }
}

#[test]
fn stalled_exports_do_not_block_other_clients() {
    let app = App::start();
    let dataset = create_large_dataset(&app);
    let readers: Vec<_> = (0..CLIENTS).map(|_| begin_export(&app, &dataset)).collect();
    assert_served(&app);
    drop(readers);
    assert_served(&app);
}

#[test]
fn stalled_uploads_do_not_block_other_clients() {
    let app = App::start();
    let uploads: Vec<_> = (0..CLIENTS).map(|_| begin_upload(&app)).collect();
    // The column names of every upload have been stored.
    app.wait_for_value("SELECT count(*)::text FROM katas.dataset", &CLIENTS.to_string());
    assert_served(&app);
    drop(uploads);
}

#[test]
fn http_2_streams_with_a_closed_window_do_not_block_other_clients() {
    let app = App::start();
    let dataset = create_large_dataset(&app);
    let path = format!("{dataset}/rows");
    let connection = connect(&app);
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("the timeout is not zero");
    let mut connection = Http2::start(connection, &[(http2::INITIAL_WINDOW_SIZE, 0)]);
    for _ in 0..CLIENTS {
        connection.request("GET", &path, &[("accept", "text/csv")]);
    }
    for _ in 0..CLIENTS {
        assert_eq!(connection.read_response().status(), 200);
    }
    assert_served(&app);
}

#[test]
fn stalled_client_times_out_after_30_seconds() {
    let app = App::start();
    let dataset = create_large_dataset(&app);
    let mut reader = begin_export(&app, &dataset);
    let mut sender = connect(&app);
    let request = "POST /api/v1/nth-char HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                   Content-Length: 100\r\nConnection: close\r\n\r\n{";
    sender.write_all(request.as_bytes()).expect("the server reads");
    let start = Instant::now();
    let mut response = String::new();
    sender.read_to_string(&mut response).expect("the server responds");
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("the body arrived too slowly"), "{response}");
    assert!(start.elapsed() >= Duration::from_secs(25), "{:?}", start.elapsed());
    // The log line of the export is written when it times out.
    while !app.log().iter().any(|line| line.contains("rows") && line.contains("\"GET\"")) {
        assert!(start.elapsed() < Duration::from_secs(90), "{:?}", app.log());
        std::thread::yield_now();
    }
    let mut rest = Vec::new();
    // The connection is closed, possibly by a reset, before the client has received the whole body.
    let _ = reader.read_to_end(&mut rest);
    assert!(rest.len() < 8_000_000, "{}", rest.len());
}
