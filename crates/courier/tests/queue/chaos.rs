//! Random kills of everything, while messages are produced: no message may be lost, have a second
//! effect, or become a dead letter without being poison. The application is a scripted one, which also
//! misbehaves while it runs, or the real one, which `katas up` serves.
//!
//! By default, a short run. The environment sets a longer one: `COURIER_CHAOS_MESSAGES`, the number
//! of messages, and `COURIER_CHAOS_COURIER_KILLS`, `…_BROKER_KILLS`, `…_DATABASE_KILLS` and
//! `…_APPLICATION_KILLS`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use courier::amqp::{Broker, Outgoing, Publisher};
use courier::queue::Queue;
use courier::rabbitmq::RabbitMq;
use sqlx::{Connection, PgConnection};
use tokio::sync::Semaphore;

use crate::support::application::Application;
use crate::support::application::Reaction::{Accept, AcceptAndCut, Cut, Refuse};
use crate::support::katas::Katas;
use crate::support::postgres::Postgres;
use crate::support::process::{Courier, command};
use crate::support::{Bed, RUNTIME, eventually, folder, rabbitmq};

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Victim {
    Courier,
    Broker,
    Database,
    Application,
}

fn parameter(name: &str, default: u64) -> u64 {
    let name = format!("COURIER_CHAOS_{name}");
    std::env::var(&name).map_or(default, |text| text.parse().expect(&name))
}

/// Returns a pseudo-random number. `splitmix64`.
fn random(state: &AtomicU64) -> u64 {
    let mut z = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Message number `n`. One of a hundred is poison.
fn is_poison(number: u64) -> bool {
    number % 100 == 99
}

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Returns an order, or an object that is none. The subtotal of an order is its number.
fn body(number: u64) -> String {
    if is_poison(number) {
        return format!("{{\"poison\":{number}}}");
    }
    format!("{{\"costs\":{{\"socks\":{number}}},\"items\":[\"socks\"],\"tax\":0.09}}")
}

/// What the couriers call.
trait Target {
    fn url(&self) -> String;

    /// Ends it, with all requests that it serves.
    fn crash(&mut self);

    /// Starts it again, at the same address.
    async fn restart(&mut self);

    /// Returns the number of effects, none of which may belong to the same message as another.
    async fn effects(&self) -> usize;
}

impl Target for Application {
    fn url(&self) -> String {
        Application::url(self)
    }

    fn crash(&mut self) {
        self.stop();
    }

    async fn restart(&mut self) {
        Application::restart(self).await;
    }

    async fn effects(&self) -> usize {
        Application::effects(self).len()
    }
}

impl Target for Katas {
    fn url(&self) -> String {
        Katas::url(self)
    }

    fn crash(&mut self) {
        self.kill();
    }

    async fn restart(&mut self) {
        self.run().await;
    }

    async fn effects(&self) -> usize {
        let sql = "SELECT count(*), count(DISTINCT subtotal), count(DISTINCT idempotency_key)
                   FROM katas.receipt";
        let mut connection = PgConnection::connect(self.database()).await.expect("connect");
        let counts: (i64, i64, i64) =
            sqlx::query_as(sql).fetch_one(&mut connection).await.expect("count");
        assert_eq!((counts.0, counts.0), (counts.1, counts.2));
        usize::try_from(counts.0).expect("not negative")
    }
}

/// Produces messages until all are stored. A message whose fate is unknown is produced again, and
/// one of ten is produced twice anyway.
struct Producer<'a> {
    bed: &'a Bed,
    broker: Option<(Broker, Publisher)>,
    database: Option<PgConnection>,
}

impl Producer<'_> {
    async fn produce(&mut self, number: u64) {
        let copies = if number % 10 == 3 { 2 } else { 1 };
        for _ in 0..copies {
            while !self.try_produce(number).await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    /// Every second message is published as by an external producer.
    async fn try_produce(&mut self, number: u64) -> bool {
        if number.is_multiple_of(2) { self.publish(number).await } else { self.store(number).await }
    }

    async fn publish(&mut self, number: u64) -> bool {
        if self.broker.is_none() {
            let Ok(broker) = Broker::connect(&self.bed.address(), "chaos").await else {
                return false;
            };
            let Ok(publisher) = broker.publisher().await else { return false };
            self.broker = Some((broker, publisher));
        }
        let (id, body) = (id(number), body(number));
        let message = Outgoing {
            queue: Queue::Receipts.name(),
            id: Some(&id),
            body: body.as_bytes(),
            timestamp: None,
            died: None,
        };
        let (_, publisher) = self.broker.as_ref().expect("connected");
        let published = publisher.publish_confirmed(&message).await.is_ok();
        if !published {
            self.broker = None;
        }
        published
    }

    async fn store(&mut self, number: u64) -> bool {
        if self.database.is_none() {
            self.database = PgConnection::connect(&self.bed.administrator).await.ok();
        }
        let Some(database) = &mut self.database else { return false };
        let sql = "INSERT INTO katas.outbox (id, queue, body) VALUES ($1::text::uuid, $2, $3)";
        let insert = sqlx::query(sql).bind(id(number)).bind(Queue::Receipts.name());
        let stored = insert.bind(body(number)).execute(database).await.is_ok();
        if !stored {
            self.database = None;
        }
        stored
    }
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn killed_processes_lose_and_double_nothing() {
    RUNTIME.block_on(async {
        let application = Application::start().await;
        let dice = AtomicU64::new(0);
        application.script(move |received| match random(&dice) % 100 {
            0..4 => Refuse(503, ""),
            4..6 => Refuse(500, ""),
            6..8 => Cut,
            _ if received.body.contains("poison") => Refuse(422, "poison"),
            8..10 => AcceptAndCut,
            _ => Accept,
        });
        let folders = ["postgres", "rabbitmq"].map(folder);
        let (mut postgres, mut broker) =
            tokio::join!(Postgres::start(folders[0].path()), rabbitmq(folders[1].path()));
        let bed = Bed::with(&postgres, Some(broker.url())).await;
        chaos(&bed, &mut postgres, &mut broker, application).await;
    });
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn killed_processes_and_hosts_lose_and_double_nothing() {
    RUNTIME.block_on(async {
        let folders = ["postgres", "rabbitmq"].map(folder);
        let (mut postgres, mut broker) =
            tokio::join!(Postgres::start(folders[0].path()), rabbitmq(folders[1].path()));
        let bed = Bed::with(&postgres, Some(broker.url())).await;
        let katas = Katas::start(&bed).await;
        chaos(&bed, &mut postgres, &mut broker, katas).await;
    });
}

/// Produces messages and kills until all are stored, and checks the effects.
async fn chaos(
    bed: &Bed,
    postgres: &mut Postgres,
    broker: &mut RabbitMq,
    mut application: impl Target,
) {
    let messages = parameter("MESSAGES", 300);
    let victims = [
        (Victim::Courier, parameter("COURIER_KILLS", 8)),
        (Victim::Broker, parameter("BROKER_KILLS", 1)),
        (Victim::Database, parameter("DATABASE_KILLS", 2)),
        (Victim::Application, parameter("APPLICATION_KILLS", 4)),
    ];
    let dice = AtomicU64::new(messages);
    let mut plan: Vec<Victim> =
        victims.iter().flat_map(|&(victim, count)| (0..count).map(move |_| victim)).collect();
    let start = Instant::now();
    let url = application.url();
    let courier = || {
        let mut command = command(bed, &["run"]);
        command.env("COURIER_APPLICATION_URL", &url);
        Courier::start(command)
    };
    let mut couriers = [(); 2].map(|()| courier());
    // Messages are produced throughout the kills, not all before the first few.
    let share = usize::try_from(messages).expect("fits").div_ceil(plan.len() + 1);
    let allowance = Semaphore::new(share);
    let mut producer = Producer { bed, broker: None, database: None };
    let produce = async {
        for number in 0..messages {
            allowance.acquire().await.expect("open").forget();
            producer.produce(number).await;
        }
    };
    let kill = async {
        while !plan.is_empty() {
            allowance.add_permits(share);
            let index = usize::try_from(random(&dice)).unwrap_or_default() % plan.len();
            let victim = plan.swap_remove(index);
            tokio::time::sleep(Duration::from_millis(random(&dice) % 400)).await;
            match victim {
                Victim::Courier => {
                    let index = usize::from(random(&dice).is_multiple_of(2));
                    std::mem::replace(&mut couriers[index], courier()).kill();
                }
                Victim::Broker => {
                    broker.kill();
                    broker.restart().await.expect("start RabbitMQ again");
                }
                Victim::Database => {
                    postgres.crash();
                    tokio::time::sleep(Duration::from_millis(random(&dice) % 300)).await;
                    postgres.run().await;
                }
                Victim::Application => {
                    application.crash();
                    tokio::time::sleep(Duration::from_millis(random(&dice) % 300)).await;
                    application.restart().await;
                }
            }
        }
    };
    tokio::join!(produce, kill);
    let expected = (0..messages).filter(|&number| !is_poison(number)).count();
    let killed = start.elapsed();
    loop {
        let before = application.effects().await;
        if before >= expected {
            break;
        }
        eventually("another effect", async || application.effects().await > before).await;
    }
    bed.empty().await;
    let poison: HashSet<String> = (0..messages).filter(|&it| is_poison(it)).map(id).collect();
    let dead = async || bed.dead().await.into_iter().map(|it| it.id).collect::<HashSet<_>>();
    eventually("all poison is a dead letter", async || dead().await.len() >= poison.len()).await;
    assert_eq!(dead().await, poison);
    assert_eq!(application.effects().await, expected);
    println!(
        "{messages} messages, {victims:?}, {:.0} s and {:.0} s to the end: {expected} effects, {} dead \
         letters",
        killed.as_secs_f64(),
        (start.elapsed() - killed).as_secs_f64(),
        poison.len()
    );
}
