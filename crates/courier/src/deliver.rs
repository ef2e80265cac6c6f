//! Consumes the queues of the broker.
//!
//! A message is acknowledged once the application has accepted it. A rejected message is published
//! to the queue of dead letters, with the reason in a header, and acknowledged once the broker has
//! confirmed that. If the courier fails in between, the message is delivered again.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::amqp::{Address, Broker, Consumer, Delivered, Outgoing, PublishError, Publisher};
use crate::delivery::{Delivery, Outcome};
use crate::queue::{Message, Queue};
use crate::shared::{panicked, pause};
use crate::{CancellationToken, Error, Event, Peer};

/// How many messages the broker sends ahead, per request at the same time: enough to continue while
/// an acknowledgement is on its way to the disks of the broker.
const PREFETCH: u16 = 3;

/// Delivers messages until `stop`. Reconnects as often as needed. `concurrency` is the maximum
/// number of requests per queue at the same time.
pub async fn run(
    address: &Address,
    delivery: &Arc<Delivery>,
    concurrency: u16,
    stop: &CancellationToken,
) {
    let shared = &delivery.shared;
    shared.metrics.require(Peer::Consumer);
    let mut backoff = shared.timing.reconnect;
    while !stop.is_cancelled() {
        let broker = match Broker::connect(address, "deliver").await {
            Ok(broker) => broker,
            Err(error) => {
                shared.disconnected(Peer::Consumer, &error, &mut backoff, stop).await;
                continue;
            }
        };
        shared.connected(Peer::Consumer);
        let start = Instant::now();
        match consume_all(&broker, delivery, concurrency, stop).await {
            Ok(()) => {
                backoff.reset();
                broker.close().await;
                shared.metrics.set_connected(Peer::Consumer, false);
                wait_until_ready(delivery, stop).await;
            }
            Err(error) => {
                backoff.reset_if_stable(start);
                shared.disconnected(Peer::Consumer, &error, &mut backoff, stop).await;
            }
        }
    }
}

/// Consumes all queues until `stop`, or until the application has been unavailable for too long.
async fn consume_all(
    broker: &Broker,
    delivery: &Arc<Delivery>,
    concurrency: u16,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let release = stop.child_token();
    let consume = Queue::ALL.map(|queue| {
        let stop = release.clone();
        async move {
            let worker = Worker {
                delivery: delivery.clone(),
                publisher: broker.publisher().await?,
                requests: Semaphore::new(usize::from(concurrency)),
                stop,
            };
            let prefetch = concurrency.saturating_mul(PREFETCH);
            consume(broker.consume(queue, prefetch).await?, Arc::new(worker)).await
        }
    });
    let watch = async {
        release_after_long_pause(delivery, &release).await;
        Ok(())
    };
    tokio::try_join!(try_join_all(consume), watch)?;
    Ok(())
}

/// What the deliveries of one queue share.
struct Worker {
    delivery: Arc<Delivery>,
    publisher: Publisher,
    /// Permits for requests at the same time. An acknowledgement needs none.
    requests: Semaphore,
    stop: CancellationToken,
}

/// Consumes a queue until the worker is stopped. Then finishes the requests in progress, and returns
/// all other messages to the broker.
async fn consume(mut consumer: Consumer, worker: Arc<Worker>) -> Result<(), Error> {
    // The broker limits the number of tasks, because it stops sending at the prefetch limit.
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = worker.stop.cancelled() => break,
            Some(settled) = tasks.join_next() => settled.map_err(panicked)??,
            delivered = consumer.next() => {
                let (delivered, worker) = (delivered?, worker.clone());
                tasks.spawn(async move { worker.settle(&delivered).await });
            }
        }
    }
    consumer.cancel().await?;
    while let Some(settled) = tasks.join_next().await {
        settled.map_err(panicked)??;
    }
    consumer.return_all().await
}

impl Worker {
    /// Delivers a message, and acknowledges it.
    async fn settle(&self, delivered: &Delivered) -> Result<(), Error> {
        let _unsettled = self.delivery.shared.metrics.unsettled();
        let message = &delivered.message;
        let outcome = {
            let _permit = self.requests.acquire().await;
            self.delivery.deliver(message, &self.stop).await
        };
        match outcome {
            Outcome::Accepted => delivered.acknowledge().await,
            Outcome::Rejected(reason) => {
                bury(message, &reason, &self.publisher, &self.stop).await?;
                delivered.acknowledge().await?;
                self.delivery.dead_lettered(message, reason);
                Ok(())
            }
            // Returned with all others.
            Outcome::Stopped => Ok(()),
        }
    }
}

/// Publishes a message to the queue of dead letters. It gets a `message_id` if it has none, so that
/// an operator can name it, and a replay is idempotent.
async fn bury(
    message: &Message,
    reason: &str,
    publisher: &Publisher,
    stop: &CancellationToken,
) -> Result<(), Error> {
    let id = match &message.id {
        Some(id) => id.clone(),
        None => random_id()?,
    };
    let now = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or_default();
    let dead = Outgoing {
        queue: message.queue.dead_letters(),
        id: Some(&id),
        body: &message.body,
        timestamp: None,
        died: Some((reason, now)),
    };
    match publisher.publish_confirmed(&dead).await {
        Ok(()) => Ok(()),
        Err(PublishError::Lost(error)) => Err(error),
        Err(PublishError::Rejected(reason)) => {
            // Closing the connection returns the message. Not immediately, because it would come
            // back at once.
            pause(std::time::Duration::from_secs(5), stop).await;
            Err(Error::Unavailable(format!("cannot store a dead letter: {reason}")))
        }
    }
}

/// Returns a random UUID.
fn random_id() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::Unexpected(format!("cannot read random bytes: {error}")))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// Cancels `release` once the application has been unavailable for too long. Returns when `release`
/// is canceled.
async fn release_after_long_pause(delivery: &Delivery, release: &CancellationToken) {
    let limit = delivery.shared.timing.release_after;
    while !release.is_cancelled() {
        let paused = delivery.gate.closed_for().unwrap_or_default();
        if paused >= limit {
            delivery.shared.report(&Event::Released { seconds: paused.as_secs_f64() });
            release.cancel();
        }
        pause(limit / 10, release).await;
    }
}

/// Waits until the application is ready, if it was not.
async fn wait_until_ready(delivery: &Delivery, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = delivery.ready() => delivery.gate.restart_clock(),
    }
}
