//! Delivers the rows of the outbox without a broker.
//!
//! A row is deleted once the application has accepted its message. A rejected row stays, with the
//! reason. One process is enough; several would send the same requests, which is harmless because
//! they are idempotent.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::delivery::{Delivery, Outcome};
use crate::outbox::{Outbox, Row};
use crate::queue::{Message, Queue};
use crate::shared::{is_due, panicked, pause, requeue_stalled_runs};
use crate::{CancellationToken, Error, Peer, Secret};

/// Delivers messages until `stop`. Reconnects as often as needed. `concurrency` is the maximum
/// number of requests at the same time.
pub async fn run(
    database: &Secret,
    delivery: &Arc<Delivery>,
    concurrency: u16,
    stop: &CancellationToken,
) {
    let shared = &delivery.shared;
    shared.metrics.require(Peer::Database);
    let mut backoff = shared.timing.reconnect;
    while !stop.is_cancelled() {
        let outbox = match Outbox::connect(database).await {
            Ok(outbox) => outbox,
            Err(error) => {
                shared.disconnected(Peer::Database, &error, &mut backoff, stop).await;
                continue;
            }
        };
        shared.connected(Peer::Database);
        let start = Instant::now();
        let mut direct = Direct {
            outbox,
            delivery,
            concurrency,
            waiting: VecDeque::new(),
            active: HashSet::new(),
            tasks: JoinSet::new(),
        };
        match direct.work(stop).await {
            Ok(()) => direct.outbox.close().await,
            // Requests in progress are dropped, and repeated.
            Err(error) => {
                backoff.reset_if_stable(start);
                shared.disconnected(Peer::Database, &error, &mut backoff, stop).await;
            }
        }
    }
}

struct Direct<'a> {
    outbox: Outbox,
    delivery: &'a Arc<Delivery>,
    concurrency: u16,
    /// Rows to deliver next.
    waiting: VecDeque<Row>,
    /// The numbers of the rows that are being delivered.
    active: HashSet<i64>,
    tasks: JoinSet<Delivered>,
}

struct Delivered {
    number: i64,
    message: Message,
    outcome: Outcome,
}

impl Direct<'_> {
    async fn work(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let shared = &self.delivery.shared;
        let (mut requeued, mut measured) = (None, None);
        while !stop.is_cancelled() {
            if is_due(&mut requeued, shared.timing.requeue) {
                requeue_stalled_runs(&mut self.outbox, shared).await?;
            }
            if is_due(&mut measured, shared.timing.measure) {
                self.measure().await?;
            }
            if self.waiting.is_empty() {
                let active: Vec<i64> = self.active.iter().copied().collect();
                self.waiting = self.outbox.next_rows(&active).await?.into();
            }
            while self.tasks.len() < usize::from(self.concurrency)
                && let Some(row) = self.waiting.pop_front()
            {
                self.start(row, stop);
            }
            self.settle_or_wait(stop).await?;
        }
        while let Some(delivered) = self.tasks.join_next().await {
            self.settle(delivered.map_err(panicked)?).await?;
        }
        Ok(())
    }

    fn start(&mut self, row: Row, stop: &CancellationToken) {
        // Only rows of known queues are selected.
        let Some(queue) = Queue::from_name(&row.queue) else { return };
        let message = Message { queue, id: Some(row.id), body: row.body.into() };
        let (delivery, stop, number) = (self.delivery.clone(), stop.clone(), row.number);
        self.active.insert(number);
        self.tasks.spawn(async move {
            let outcome = delivery.deliver(&message, &stop).await;
            Delivered { number, message, outcome }
        });
    }

    /// Waits until the next poll, and settles the deliveries that end meanwhile.
    async fn settle_or_wait(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let delivered = tokio::select! {
            () = pause(self.delivery.shared.timing.poll, stop) => return Ok(()),
            Some(delivered) = self.tasks.join_next() => delivered,
        };
        self.settle(delivered.map_err(panicked)?).await
    }

    /// Deletes a delivered row, together with all others that have been delivered meanwhile.
    async fn settle(&mut self, first: Delivered) -> Result<(), Error> {
        let mut ended = vec![first];
        while let Some(delivered) = self.tasks.try_join_next() {
            ended.push(delivered.map_err(panicked)?);
        }
        let accepted = |it: &&Delivered| it.outcome == Outcome::Accepted;
        let numbers: Vec<i64> = ended.iter().filter(accepted).map(|it| it.number).collect();
        if !numbers.is_empty() {
            self.outbox.delete(&numbers).await?;
        }
        for Delivered { number, message, outcome } in ended {
            if let Outcome::Rejected(reason) = outcome {
                self.outbox.set_reason(number, Some(&reason)).await?;
                self.delivery.dead_lettered(&message, reason);
            }
            self.active.remove(&number);
        }
        Ok(())
    }

    async fn measure(&mut self) -> Result<(), Error> {
        let depth = self.outbox.depth().await?;
        let metrics = &self.delivery.shared.metrics;
        metrics.set_outbox(depth.waiting, depth.oldest);
        for queue in Queue::ALL {
            metrics.dead_letters.set(queue, depth.rejected[queue.index()]);
        }
        Ok(())
    }
}
