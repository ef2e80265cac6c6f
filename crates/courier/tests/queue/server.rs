//! The private RabbitMQ server.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use courier::Secret;
use courier::amqp::{Address, Broker};
use courier::queue::Queue;
use courier::rabbitmq::{Options, RabbitMq};

use crate::support::{RUNTIME, eventually, folder};

/// In the environment of a process that starts a server and is then killed.
const CHILD: &str = "COURIER_TEST_SERVER";

fn options(folder: PathBuf) -> Options {
    Options { folder, vhosts: Vec::new(), policies: Vec::new() }
}

async fn connect(server: &RabbitMq) -> Broker {
    let address = Address::new(Secret::Text(server.url()), None).expect("a valid URL");
    Broker::connect(&address, "test").await.expect("connect")
}

/// Returns the ids of all processes in the process groups.
fn group_members(groups: &[i32]) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").expect("procfs").flatten();
    let stats = processes.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
    let members = stats.filter_map(|stat| {
        let pid = stat.split(' ').next()?.parse().ok()?;
        // The name, in parentheses, may contain spaces. Then: state, parent, process group.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let is_member = groups.contains(&fields.get(2)?.parse().ok()?) && fields[0] != "Z";
        is_member.then_some(pid)
    });
    members.collect()
}

#[test]
#[cfg_attr(not(has_rabbitmq), ignore = "RabbitMQ is not installed")]
fn server_keeps_messages_over_a_restart_and_is_reserved_for_one_process() {
    RUNTIME.block_on(async {
        let folder = folder("server");
        let mut server = RabbitMq::start(options(folder.path().to_owned())).await.expect("start");
        let second = RabbitMq::start(options(folder.path().to_owned())).await;
        let error = second.err().expect("the directory is in use").to_string();
        assert!(error.contains("another process uses it"), "{error}");
        let publisher = connect(&server).await.publisher().await.expect("open a channel");
        let message = courier::amqp::Outgoing {
            queue: Queue::Runs.name(),
            id: Some("kept"),
            body: b"{}",
            timestamp: None,
            died: None,
        };
        publisher.publish_confirmed(&message).await.expect("publish");
        let processes = server.processes().expect("the server runs");
        server.stop();
        assert_eq!(group_members(&processes), [0; 0]);
        drop(server);
        let server = RabbitMq::start(options(folder.path().to_owned())).await.expect("start");
        let broker = connect(&server).await;
        eventually("the message is ready", async || {
            broker.count(Queue::Runs.name()).await.expect("count") == 1
        })
        .await;
    });
}

#[test]
#[cfg_attr(
    not(all(has_rabbitmq, target_os = "linux")),
    ignore = "RabbitMQ is not installed, or the system has no parent-death signal"
)]
fn server_dies_with_its_killed_parent() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let server = RUNTIME.block_on(RabbitMq::start(options(folder.clone().into())));
        let server = server.expect("start");
        let processes = server.processes().expect("the server runs").map(|pid| pid.to_string());
        std::fs::write(PathBuf::from(folder).join("processes"), processes.join(" "))
            .expect("write");
        loop {
            std::thread::park();
        }
    }
    let folder = folder("parent");
    let mut parent = Command::new(std::env::current_exe().expect("the test"))
        .args(["--exact", "server::server_dies_with_its_killed_parent"])
        .env(CHILD, folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("start the parent");
    let processes = || std::fs::read_to_string(folder.path().join("processes")).unwrap_or_default();
    RUNTIME.block_on(eventually("the server runs", async || processes().contains(' ')));
    let groups: Vec<i32> =
        processes().split(' ').map(|pid| pid.parse().expect("a number")).collect();
    assert!(group_members(&groups).len() >= 2);
    parent.kill().expect("kill");
    parent.wait().expect("wait");
    RUNTIME.block_on(eventually("all processes end", async || group_members(&groups).is_empty()));
}
