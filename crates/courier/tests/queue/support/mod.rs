//! Shared servers, and a courier with everything that it talks to.

pub mod application;
pub mod katas;
pub mod postgres;
pub mod process;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use courier::amqp::{Address, Broker, Outgoing};
use courier::backoff::Backoff;
use courier::dead::{self, Entry, Source};
use courier::delivery::Delivery;
use courier::queue::Queue;
use courier::rabbitmq::{Options, RabbitMq};
use courier::{CancellationToken, Event, Secret, Shared, Timing};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use application::Application;
use postgres::Postgres;

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("start runtime"));

/// The number of virtual hosts of the shared broker. Each test takes one.
const VHOSTS: usize = 60;

/// The virtual host with short queues.
pub const SHORT_QUEUES: &str = "short";

static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
static RABBITMQ: OnceCell<RabbitMq> = OnceCell::const_new();

/// A temporary directory that other accounts can search.
pub fn folder(name: &str) -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix(name)
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in(test_tools::data_directory(env!("CARGO_TARGET_TMPDIR")));
    folder.expect("create a directory")
}

/// Starts a broker.
pub async fn rabbitmq(folder: &Path) -> RabbitMq {
    let mut vhosts: Vec<String> = (0..VHOSTS).map(|number| format!("test-{number}")).collect();
    vhosts.push(SHORT_QUEUES.to_owned());
    let policy = serde_json::json!({
        "vhost": SHORT_QUEUES, "name": "short", "pattern": "katas\\.receipts$",
        "apply-to": "queues", "definition": { "max-length": 3 }, "priority": 0,
    });
    let options = Options { folder: folder.to_owned(), vhosts, policies: vec![policy] };
    RabbitMq::start(options).await.expect("start RabbitMQ")
}

pub async fn shared_postgres() -> &'static Postgres {
    POSTGRES.get_or_init(async || Postgres::start(&shared_folder("postgres")).await).await
}

pub async fn shared_rabbitmq() -> &'static RabbitMq {
    RABBITMQ.get_or_init(async || rabbitmq(&shared_folder("rabbitmq")).await).await
}

/// Returns an empty directory for a server that all tests share. The next run of the tests deletes its
/// files: a static is not dropped.
fn shared_folder(name: &str) -> PathBuf {
    let folder = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).expect("create a directory");
    folder
}

/// Returns the URL of an unused virtual host of the shared broker.
pub async fn vhost() -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    assert!(number < VHOSTS, "increase VHOSTS");
    shared_rabbitmq().await.vhost_url(&format!("test-{number}"))
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Direct,
    RabbitMq,
}

/// A courier with everything that it talks to.
pub struct Bed {
    pub mode: Mode,
    pub application: Application,
    /// The URL of the database for `katas_courier`.
    pub database: String,
    /// The URL of the database for `katas_app`.
    pub application_database: String,
    pub administrator: String,
    pub amqp: Option<String>,
    pub timing: Timing,
    pub token: Option<Secret>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub running: Option<Running>,
}

/// A courier in this process.
pub struct Running {
    pub shared: Arc<Shared>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Returns timing that makes tests fast.
fn timing() -> Timing {
    let milliseconds = Duration::from_millis;
    Timing {
        poll: milliseconds(20),
        requeue: Duration::from_secs(3600),
        measure: milliseconds(50),
        hold: Backoff::new(milliseconds(10), milliseconds(100)),
        release_after: Duration::from_secs(3600),
        ready: milliseconds(20),
        retry: Backoff::new(milliseconds(10), milliseconds(100)),
        reconnect: Backoff::new(milliseconds(20), milliseconds(200)),
        ..Timing::default()
    }
}

impl Bed {
    pub async fn new(mode: Mode) -> Bed {
        let amqp = match mode {
            Mode::Direct => None,
            Mode::RabbitMq => Some(vhost().await),
        };
        Bed::with(shared_postgres().await, amqp).await
    }

    pub async fn with(postgres: &Postgres, amqp: Option<String>) -> Bed {
        let name = postgres.database().await;
        Bed {
            mode: if amqp.is_some() { Mode::RabbitMq } else { Mode::Direct },
            application: Application::start().await,
            database: postgres.url("katas_courier", &name),
            application_database: postgres.url("katas_app", &name),
            administrator: postgres.url("postgres", &name),
            amqp,
            timing: timing(),
            token: None,
            events: Arc::default(),
            running: None,
        }
    }

    pub fn address(&self) -> Address {
        let url = self.amqp.clone().expect("a broker");
        Address::new(Secret::Text(url), None).expect("a valid URL")
    }

    pub async fn broker(&self) -> Broker {
        Broker::connect(&self.address(), "test").await.expect("connect to the broker")
    }

    /// Opens a channel of the AMQP library, for what the courier never does.
    pub async fn channel(&self) -> lapin::Channel {
        let url = self.amqp.as_deref().expect("a broker");
        let connection = lapin::Connection::connect(url, Default::default()).await;
        connection.expect("connect").create_channel().await.expect("open a channel")
    }

    /// Starts a courier with both halves.
    pub fn start(&mut self) {
        assert!(self.running.is_none());
        self.running = Some(self.another());
    }

    /// Starts a further courier.
    pub fn another(&self) -> Running {
        let events = self.events.clone();
        let report = Arc::new(move |event: &Event| events.lock().unwrap().push(event.clone()));
        let shared = Shared::new(self.timing.clone(), report);
        let application = courier::application::Application::new(
            &self.application.url(),
            self.token.clone(),
            None,
            Duration::from_secs(10),
        );
        let delivery = Arc::new(Delivery::new(application.expect("a valid URL"), shared.clone()));
        let stop = CancellationToken::new();
        let database = Secret::Text(self.database.clone());
        let broker = self.amqp.as_ref().map(|_| self.address());
        let task = {
            let stop = stop.clone();
            tokio::spawn(async move {
                courier::run(&database, broker.as_ref(), &delivery, 8, &stop).await;
            })
        };
        Running { shared, stop, task }
    }

    /// Stops the courier, and waits until it has ended.
    pub async fn stop(&mut self) {
        self.running.take().expect("the courier runs").stop().await;
    }

    /// Stores a message in the outbox. Returns its id.
    pub async fn enqueue(&self, queue: &str, body: &str) -> String {
        let mut connection = PgConnection::connect(&self.administrator).await.expect("connect");
        let insert = "INSERT INTO katas.outbox (queue, body) VALUES ($1, $2) RETURNING id::text";
        let insert = sqlx::query_as(insert).bind(queue).bind(body);
        let (id,) = insert.fetch_one(&mut connection).await.expect("insert");
        id
    }

    /// Stores several messages in the outbox.
    pub async fn enqueue_many(&self, queue: Queue, count: usize) {
        let sql = format!(
            "INSERT INTO katas.outbox (queue, body)
             SELECT '{}', '{{\"n\":' || n || '}}' FROM generate_series(1, {count}) n",
            queue.name()
        );
        postgres::execute(&self.administrator, &sql).await;
    }

    /// Publishes a message as an external producer does.
    pub async fn produce(&self, id: Option<&str>, body: &str) {
        let broker = self.broker().await;
        let publisher = broker.publisher().await.expect("open a channel");
        let queue = Queue::Receipts.name();
        let body = body.as_bytes();
        let message = Outgoing { queue, id, body, timestamp: None, died: None };
        publisher.publish_confirmed(&message).await.expect("publish");
        broker.close().await;
    }

    /// Returns the number of rows in the outbox, rejected ones included.
    pub async fn rows(&self) -> i64 {
        let mut connection = PgConnection::connect(&self.administrator).await.expect("connect");
        let count = sqlx::query_as("SELECT count(*) FROM katas.outbox");
        let (count,) = count.fetch_one(&mut connection).await.expect("count");
        count
    }

    pub fn source(&self) -> Source {
        match self.amqp {
            Some(_) => Source::Broker(self.address()),
            None => Source::Outbox(Secret::Text(self.database.clone())),
        }
    }

    pub async fn dead(&self) -> Vec<Entry> {
        dead::list(&self.source()).await.expect("list dead letters")
    }

    /// Waits until the application has stored this many effects.
    pub async fn effects(&self, count: usize) {
        eventually("all effects are stored", async || self.application.effects().len() >= count)
            .await;
        assert_eq!(self.application.effects().len(), count);
    }

    /// Waits for the effects, stops the courier, and checks that no message is left.
    pub async fn finish(&mut self, effects: usize) {
        self.effects(effects).await;
        self.stop().await;
        self.empty().await;
        assert_eq!(self.dead().await, []);
    }

    /// Waits until no message is left in the outbox, and none is ready in the broker. One that a
    /// courier is delivering is not ready.
    pub async fn empty(&self) {
        eventually("the outbox is empty", async || self.rows().await == 0).await;
        if self.amqp.is_some() {
            let broker = self.broker().await;
            eventually("the queues are empty", async || {
                let mut count = 0;
                for queue in Queue::ALL {
                    count += broker.count(queue.name()).await.expect("count");
                }
                count == 0
            })
            .await;
            broker.close().await;
        }
    }

    /// Waits until an event has been reported.
    pub async fn event(&self, matches: impl Fn(&Event) -> bool) {
        let has = async || self.events.lock().unwrap().iter().any(&matches);
        eventually("the event is reported", has).await;
    }
}

impl Running {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("the courier does not panic");
    }

    /// Ends the courier wherever it is, as a kill would.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits until a condition holds.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Defines a test for each mode from a function that takes a [`Bed`].
macro_rules! in_both_modes {
    ($($name:ident),* $(,)?) => {
        mod direct {
            $(
                #[test]
                #[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
                fn $name() {
                    use crate::support::{Bed, Mode, RUNTIME};
                    RUNTIME.block_on(async { super::$name(Bed::new(Mode::Direct).await).await });
                }
            )*
        }
        mod through_rabbitmq {
            $(
                #[test]
                #[cfg_attr(
                    not(all(has_postgres, has_rabbitmq)),
                    ignore = "PostgreSQL or RabbitMQ is not installed"
                )]
                fn $name() {
                    use crate::support::{Bed, Mode, RUNTIME};
                    RUNTIME.block_on(async { super::$name(Bed::new(Mode::RabbitMq).await).await });
                }
            )*
        }
    };
}
pub(crate) use in_both_modes;
