//! Publishes the rows of the outbox.
//!
//! A row is deleted once the broker has confirmed its message, in the transaction that has locked
//! it. If the relay or the database fails in between, the message is published again, with the same
//! `message_id`. Several relays may run at the same time.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use crate::amqp::{Address, Broker, Outgoing, PublishError, Publisher, Unconfirmed};
use crate::outbox::{BATCH, Outbox, Row};
use crate::queue::Queue;
use crate::shared::{Shared, is_due, pause, requeue_stalled_runs};
use crate::{CancellationToken, Error, Event, Peer, Secret};

/// Relays messages until `stop`. Reconnects as often as needed.
pub async fn run(
    database: &Secret,
    broker: &Address,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    shared.metrics.require(Peer::Database);
    shared.metrics.require(Peer::Publisher);
    let mut backoff = shared.timing.reconnect;
    while !stop.is_cancelled() {
        let outbox = match connect_database(database, shared).await {
            Ok(outbox) => outbox,
            Err(error) => {
                shared.disconnected(Peer::Database, &error, &mut backoff, stop).await;
                continue;
            }
        };
        shared.connected(Peer::Database);
        let broker = match connect(broker).await {
            Ok(broker) => broker,
            Err(error) => {
                shared.disconnected(Peer::Publisher, &error, &mut backoff, stop).await;
                continue;
            }
        };
        shared.connected(Peer::Publisher);
        let start = Instant::now();
        let mut relay = Relay { outbox, broker: broker.0, publisher: broker.1, shared };
        match relay.work(stop).await {
            Ok(()) => {
                relay.broker.close().await;
                relay.outbox.close().await;
            }
            Err((peer, error)) => {
                backoff.reset_if_stable(start);
                shared.disconnected(peer, &error, &mut backoff, stop).await;
            }
        }
    }
}

/// Connects to the database, and measures the outbox, which matters most while there is no broker.
async fn connect_database(database: &Secret, shared: &Shared) -> Result<Outbox, Error> {
    let mut outbox = Outbox::connect(database).await?;
    let depth = outbox.depth().await?;
    shared.metrics.set_outbox(depth.waiting, depth.oldest);
    Ok(outbox)
}

async fn connect(address: &Address) -> Result<(Broker, Publisher), Error> {
    let broker = Broker::connect(address, "relay").await?;
    let publisher = broker.publisher().await?;
    Ok((broker, publisher))
}

struct Relay<'a> {
    outbox: Outbox,
    broker: Broker,
    publisher: Publisher,
    shared: &'a Shared,
}

/// A failed connection, and why.
type Failure = (Peer, Error);

impl Relay<'_> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), Failure> {
        let timing = &self.shared.timing;
        let mut backoff = timing.reconnect;
        let (mut requeued, mut measured) = (None, None);
        while !stop.is_cancelled() {
            if is_due(&mut requeued, timing.requeue) {
                requeue_stalled_runs(&mut self.outbox, self.shared).await.map_err(database)?;
            }
            if is_due(&mut measured, timing.measure) {
                self.measure().await?;
            }
            let rows = self.outbox.lock_batch().await.map_err(database)?;
            let (confirmed, rejected) = self.publish(&rows).await?;
            self.outbox.finish_batch(&confirmed).await.map_err(database)?;
            let full = i64::try_from(rows.len()).is_ok_and(|rows| rows == BATCH);
            match rejected {
                Some((queue, reason)) => {
                    self.shared.report(&Event::NotPublished { queue: queue.name(), reason });
                    pause(backoff.next_delay(), stop).await;
                }
                None if full => backoff.reset(),
                None => {
                    backoff.reset();
                    pause(timing.poll, stop).await;
                }
            }
        }
        Ok(())
    }

    /// Publishes the rows. Returns the numbers of those that the broker has confirmed, and why it
    /// rejected another one.
    async fn publish(&self, rows: &[Row]) -> Result<(Vec<i64>, Option<(Queue, String)>), Failure> {
        let mut unconfirmed = Vec::with_capacity(rows.len());
        for row in rows {
            let message = Outgoing {
                queue: &row.queue,
                id: Some(&row.id),
                body: row.body.as_bytes(),
                timestamp: u64::try_from(row.created_at).ok(),
                died: None,
            };
            unconfirmed.push(self.publisher.publish(&message).await.map_err(publisher)?);
        }
        let confirms = join_all(unconfirmed.into_iter().map(Unconfirmed::confirmed));
        let confirms = tokio::time::timeout(self.shared.timing.confirm, confirms).await;
        let confirms = confirms.map_err(|_| {
            let reason = "the broker has not confirmed all messages in time";
            publisher(Error::Unavailable(reason.to_owned()))
        })?;
        let (mut numbers, mut rejected) = (Vec::with_capacity(rows.len()), None);
        for (row, confirm) in rows.iter().zip(confirms) {
            // Only rows of known queues are selected.
            let Some(queue) = Queue::from_name(&row.queue) else { continue };
            match confirm {
                Ok(()) => {
                    numbers.push(row.number);
                    self.shared.metrics.published.add(queue, 1);
                }
                Err(PublishError::Rejected(reason)) => rejected = Some((queue, reason)),
                Err(PublishError::Lost(error)) => return Err(publisher(error)),
            }
        }
        Ok((numbers, rejected))
    }

    async fn measure(&mut self) -> Result<(), Failure> {
        let depth = self.outbox.depth().await.map_err(database)?;
        let metrics = &self.shared.metrics;
        metrics.set_outbox(depth.waiting, depth.oldest);
        for queue in Queue::ALL {
            let ready = self.broker.count(queue.name()).await.map_err(publisher)?;
            let dead = self.broker.count(queue.dead_letters()).await.map_err(publisher)?;
            metrics.ready.set(queue, ready.into());
            metrics.dead_letters.set(queue, dead.into());
        }
        Ok(())
    }
}

fn database(error: Error) -> Failure {
    (Peer::Database, error)
}

fn publisher(error: Error) -> Failure {
    (Peer::Publisher, error)
}
