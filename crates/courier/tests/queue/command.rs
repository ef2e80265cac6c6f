//! The command: signals, kills, endpoints, and exit codes.

use std::net::{Ipv4Addr, TcpListener};

use courier::queue::Queue;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::application::Reaction::{Accept, AcceptLate, Refuse};
use crate::support::process::{Courier, command, run};
use crate::support::{Bed, Mode, RUNTIME, eventually, folder, in_both_modes};

in_both_modes!(
    sigterm_finishes_the_request_in_progress_and_exits_with_0,
    second_signal_ends_the_process,
    killed_process_loses_and_doubles_nothing,
    endpoints_report_health_and_metrics,
);

async fn sigterm_finishes_the_request_in_progress_and_exits_with_0(bed: Bed) {
    bed.application.script(|_| AcceptLate);
    bed.enqueue_many(Queue::Receipts, 40).await;
    let mut courier = Courier::start(command(&bed, &["run"]));
    eventually("requests are in progress", async || bed.application.received().len() == 16).await;
    courier.signal(Signal::TERM);
    let stopping = courier.event("stopping");
    assert_eq!(stopping["signal"], "SIGTERM", "{stopping}");
    bed.application.release(16);
    courier.event("stopped");
    assert_eq!(courier.wait().code(), Some(0));
    assert_eq!(bed.application.received().len(), 16);
    bed.application.script(|_| Accept);
    let courier = Courier::start(command(&bed, &["run", "--concurrency", "4"]));
    bed.effects(40).await;
    courier.kill();
    assert_eq!(bed.application.received().len(), 40);
}

async fn second_signal_ends_the_process(bed: Bed) {
    bed.application.script(|_| AcceptLate);
    bed.enqueue_many(Queue::Receipts, 1).await;
    let mut courier = Courier::start(command(&bed, &["run"]));
    eventually("a request is in progress", async || bed.application.received().len() == 1).await;
    courier.signal(Signal::INT);
    courier.event("stopping");
    courier.signal(Signal::TERM);
    let failed = courier.event("failed");
    assert_eq!(failed["message"], "received a second SIGTERM");
    assert_eq!(courier.wait().code(), Some(75));
}

async fn killed_process_loses_and_doubles_nothing(bed: Bed) {
    bed.application.script(|_| AcceptLate);
    bed.enqueue_many(Queue::Receipts, 40).await;
    for kills in 1..=3 {
        let courier = Courier::start(command(&bed, &["run"]));
        eventually("requests are in progress", async || {
            bed.application.received().len() >= 16 * kills
        })
        .await;
        courier.kill();
    }
    bed.application.script(|_| Accept);
    let courier = Courier::start(command(&bed, &["run"]));
    bed.effects(40).await;
    bed.empty().await;
    courier.kill();
    assert_eq!(bed.dead().await, []);
}

/// Returns the status and the body of a response.
async fn get(address: &str, path: &str) -> Option<(String, String)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: courier\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await.ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.to_owned(), body.to_owned()))
}

async fn endpoints_report_health_and_metrics(bed: Bed) {
    let poison = |received: &crate::support::application::Received| received.body == "poison";
    bed.application.script(move |received| if poison(received) { Refuse(400, "") } else { Accept });
    bed.enqueue("katas.receipts", "poison").await;
    bed.enqueue_many(Queue::Runs, 5).await;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let address = listener.local_addr().expect("address").to_string();
    drop(listener);
    let courier = Courier::start(command(&bed, &["run", "--listen", &address]));
    courier.event("started");
    let is = async |path: &str, status: &str| {
        get(&address, path).await.is_some_and(|response| response.0 == status)
    };
    eventually("the process is alive", async || is("/healthz", "200").await).await;
    eventually("the process is ready", async || is("/readyz", "200").await).await;
    bed.effects(5).await;
    let mut expected = vec![
        "courier_delivered_total{queue=\"katas.runs\"} 5",
        "courier_dead_total{queue=\"katas.receipts\"} 1",
        "courier_dead_letters{queue=\"katas.receipts\"} 1",
        "courier_connected{peer=\"database\"} 1",
        "courier_outbox_messages 0",
        "courier_backlog_messages 0",
        "courier_paused 0",
    ];
    if bed.mode == Mode::RabbitMq {
        expected.push("courier_published_total{queue=\"katas.runs\"} 5");
        expected.push("courier_connected{peer=\"consumer\"} 1");
    }
    eventually("metrics are up to date", async || {
        let (_, metrics) = get(&address, "/metrics").await.expect("metrics");
        expected.iter().all(|line| metrics.lines().any(|it| it == *line))
    })
    .await;
    println!("resident memory: {} KiB", courier.resident());
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn private_broker_carries_the_messages_and_ends_with_the_courier() {
    RUNTIME.block_on(async {
        let bed = Bed::new(Mode::Direct).await;
        bed.enqueue_many(Queue::Receipts, 10).await;
        let folder = folder("private-broker");
        let path = folder.path().to_str().expect("UTF-8");
        let mut courier = Courier::start(command(&bed, &["run", "--private-broker", path]));
        assert_eq!(courier.event("started")["mode"], "run");
        bed.effects(10).await;
        courier.signal(Signal::TERM);
        assert_eq!(courier.wait().code(), Some(0));
        // A second server can use the directory: the first one has ended.
        let courier = Courier::start(command(&bed, &["run", "--private-broker", path]));
        courier.event("connected");
        courier.signal(Signal::TERM);
        courier.event("stopped");
    });
}

#[test]
#[cfg_attr(not(has_rabbitmq), ignore = "RabbitMQ is not installed")]
fn sigterm_while_the_private_broker_starts_exits_with_0() {
    RUNTIME.block_on(async {
        let folder = folder("starting-broker");
        let path = folder.path().to_str().expect("UTF-8");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_courier"));
        command.args(["run", "--private-broker", path]);
        for name in ["AMQP_URL", "AMQP_URL_FILE", "DATABASE_URL_FILE"] {
            command.env_remove(name);
        }
        // Never connected.
        command.env("DATABASE_URL", "postgres://katas_courier@127.0.0.1:1/katas");
        let mut courier = Courier::start(command);
        // Written before the server is started, which then takes seconds.
        let config = folder.path().join("rabbitmq.conf");
        eventually("the server is being started", async || config.exists()).await;
        courier.signal(Signal::TERM);
        courier.event("stopped");
        assert_eq!(courier.wait().code(), Some(0));
        // Another server can use the directory: the first one has ended.
        let options = courier::rabbitmq::Options {
            folder: folder.path().to_owned(),
            vhosts: Vec::new(),
            policies: Vec::new(),
        };
        let server = courier::rabbitmq::RabbitMq::start(options).await.expect("start");
        drop(server);
    });
}

#[test]
fn invalid_command_line_exits_with_2() {
    for arguments in [
        "run --database-url postgres://localhost/x --amqp-url amqp://broker --private-broker /tmp/x",
        "run",
        "run --database-url mysql://db",
        "run --database-url postgres://u:secret@localhost/x --amqp-url http://u:secret@broker",
        "run --database-url postgres://u:secret@localhost/x --application-url http://u:secret@app",
        "run --database-url postgres://u:secret@localhost/x --token-file /nonexistent",
        "run --database-url-file /nonexistent",
        "relay --database-url postgres://u:secret@localhost/x",
        "deliver",
        "dead list",
        "dead drop",
        "run --concurrency 0",
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_courier"));
        for name in
            ["DATABASE_URL", "DATABASE_URL_FILE", "AMQP_URL", "AMQP_URL_FILE", "API_TOKEN_FILE"]
        {
            command.env_remove(name);
        }
        let output = command.args(arguments.split(' ')).output().expect("run courier");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn unavailable_servers_are_reported_without_secrets() {
    crate::support::RUNTIME.block_on(async {
        let mut bed = Bed::new(Mode::Direct).await;
        bed.database = "postgres://katas_courier:hidden@127.0.0.1:1/katas".to_owned();
        let courier = Courier::start(command(&bed, &["run"]));
        let event = courier.event("disconnected");
        let reason = event["reason"].as_str().expect("a reason");
        assert!(reason.contains("cannot connect to PostgreSQL at 127.0.0.1:1"), "{reason}");
        assert!(!event.to_string().contains("hidden"), "{event}");
        bed.amqp = Some("amqp://katas:hidden@127.0.0.1:1/katas".to_owned());
        let output = run(&bed, &["dead", "list"]);
        assert_eq!(output.status.code(), Some(75));
        let line: Value = serde_json::from_slice(&output.stderr).expect("a line of JSON");
        assert_eq!(line["level"], "error");
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains("cannot connect to the broker at 127.0.0.1:1"), "{message}");
        assert!(!line.to_string().contains("hidden"), "{line}");
    });
}

#[test]
#[cfg_attr(not(has_rabbitmq), ignore = "RabbitMQ is not installed")]
fn wrong_password_of_the_broker_exits_with_9() {
    crate::support::RUNTIME.block_on(async {
        let url = crate::support::vhost().await;
        let (start, end) = url.rsplit_once('@').expect("credentials");
        let (user, _) = start.rsplit_once(':').expect("a password");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_courier"))
            .args(["dead", "list"])
            .env("AMQP_URL", format!("{user}:wrong@{end}"))
            .output()
            .expect("run courier");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{text}");
        assert!(text.contains("refused the login"), "{text}");
    });
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn role_without_privileges_exits_with_9_and_names_the_right_one() {
    RUNTIME.block_on(async {
        let mut bed = Bed::new(Mode::Direct).await;
        bed.database.clone_from(&bed.application_database);
        let output = run(&bed, &["dead", "list"]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(9), "{text}");
        assert!(text.contains("connect as a role with the privileges of katas_courier"), "{text}");
    });
}
