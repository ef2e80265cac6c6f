//! PostgreSQL behind PgBouncer, which assigns a connection for a transaction only.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};

use child_process::{Account, Child};
use courier::Event;
use courier::queue::Queue;
use rustix::process::Signal;

use crate::support::application::Reaction::{Accept, Refuse};
use crate::support::postgres::Postgres;
use crate::support::{Bed, RUNTIME, eventually, folder, shared_postgres};

/// Starts PgBouncer, which shares two connections among all clients. Returns its port.
fn pgbouncer(postgres: &Postgres, folder: &std::path::Path) -> (u16, Child) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let port = listener.local_addr().expect("address").port();
    let (settings, users) = (folder.join("settings"), folder.join("users"));
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\n\
         pool_mode = transaction\ndefault_pool_size = 2\n",
        postgres.port(),
        users.display()
    );
    std::fs::write(&settings, text).expect("write");
    std::fs::write(&users, "\"katas_courier\" \"\"\n").expect("write");
    drop(listener);
    let program = test_tools::PGBOUNCER.find().expect("PgBouncer is installed");
    let mut command = Command::new(program);
    command.arg(settings).stdin(Stdio::null()).stderr(Stdio::null());
    let account = Account::other_than_root(folder, &["postgres", "nobody"]);
    account.expect("an account that can access the directory").apply(&mut command);
    (port, Child::spawn(command, Signal::KILL).expect("start PgBouncer").0)
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_pgbouncer)),
    ignore = "PostgreSQL or PgBouncer is not installed"
)]
fn pooler_between_transactions_is_supported() {
    RUNTIME.block_on(async {
        let postgres = shared_postgres().await;
        let folder = folder("pgbouncer");
        let (port, pooler) = pgbouncer(postgres, folder.path());
        let mut bed = Bed::with(postgres, None).await;
        bed.database = bed.database.replace(&format!(":{}/", postgres.port()), &format!(":{port}/"));
        bed.timing.requeue = bed.timing.poll;
        bed.timing.measure = bed.timing.poll;
        bed.application.script(|received| match received.body.as_str() {
            "poison" => Refuse(422, ""),
            _ => Accept,
        });
        bed.enqueue_many(Queue::Receipts, 300).await;
        bed.enqueue("katas.receipts", "poison").await;
        // More couriers than connections.
        let couriers: Vec<_> = (0..5).map(|_| bed.another()).collect();
        bed.effects(300).await;
        eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
        for courier in couriers {
            courier.stop().await;
        }
        assert_eq!(bed.rows().await, 1);
        assert_eq!(bed.dead().await.len(), 1);
        let events = bed.events.lock().unwrap().clone();
        // PgBouncer may not listen yet.
        let failed = |event: &&Event| matches!(event, Event::Disconnected { reason, .. } if !reason.contains("refused"));
        assert_eq!(events.iter().filter(failed).count(), 0, "{events:?}");
        pooler.signal(Signal::KILL);
        pooler.wait().expect("wait");
    });
}
