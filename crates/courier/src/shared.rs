//! What the parts of a courier share: settings, metrics, and the callback for events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::outbox::Outbox;
use crate::{CancellationToken, Error, Event, Peer, Report};

/// Intervals and timeouts. The defaults suit production; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How often to look for new rows in the outbox.
    pub poll: Duration,
    /// How often to have the parts of stalled runs queued again.
    pub requeue: Duration,
    /// How often to measure the depths of the outbox and the queues.
    pub measure: Duration,
    /// How long to wait for the broker to confirm a batch. The transaction that locks the rows of
    /// the batch is idle meanwhile.
    pub confirm: Duration,
    /// The delays while the application is unavailable.
    pub hold: Backoff,
    /// How long to keep messages of the broker while the application is unavailable. Less than the
    /// broker's consumer timeout of 30 minutes.
    pub release_after: Duration,
    /// How often to ask the application whether it is ready while it is unavailable.
    pub ready: Duration,
    /// The delays between the attempts to deliver a message that the application fails to process.
    pub retry: Backoff,
    /// The delays between attempts to connect.
    pub reconnect: Backoff,
}

impl Default for Timing {
    fn default() -> Timing {
        let (milliseconds, seconds) = (Duration::from_millis, Duration::from_secs);
        Timing {
            poll: milliseconds(500),
            requeue: seconds(60),
            measure: seconds(10),
            confirm: seconds(10),
            hold: Backoff::new(milliseconds(100), seconds(30)),
            release_after: seconds(300),
            ready: seconds(2),
            retry: Backoff::new(milliseconds(500), seconds(30)),
            reconnect: Backoff::new(milliseconds(200), seconds(5)),
        }
    }
}

/// What the parts of a courier share.
pub struct Shared {
    pub(crate) metrics: Metrics,
    pub(crate) timing: Timing,
    report: Report,
}

impl Shared {
    /// Creates the shared state. `report` is called for every event.
    pub fn new(timing: Timing, report: Report) -> Arc<Shared> {
        Arc::new(Shared { metrics: Metrics::default(), timing, report })
    }

    /// Returns the metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Reports an event.
    pub fn report(&self, event: &Event) {
        (self.report)(event);
    }

    /// Reports a connection that has been opened, unless it only replaces another one.
    pub(crate) fn connected(&self, peer: Peer) {
        if !self.metrics.set_connected(peer, true) {
            self.report(&Event::Connected { peer });
        }
    }

    /// Reports a lost connection, and waits until the next attempt or until `stop`.
    pub(crate) async fn disconnected(
        &self,
        peer: Peer,
        error: &Error,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) {
        self.metrics.set_connected(peer, false);
        let delay = backoff.next_delay();
        self.report(&Event::Disconnected {
            peer,
            reason: error.to_string(),
            retry_in_seconds: delay.as_secs_f64(),
        });
        pause(delay, stop).await;
    }
}

/// Waits for `delay` or until `stop`.
pub(crate) async fn pause(delay: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        () = stop.cancelled() => {}
    }
}

/// Has the parts of stalled runs queued again.
pub(crate) async fn requeue_stalled_runs(
    outbox: &mut Outbox,
    shared: &Shared,
) -> Result<(), Error> {
    let parts = outbox.requeue_stalled_runs().await?;
    if parts > 0 {
        shared.report(&Event::Requeued { parts });
    }
    Ok(())
}

/// Returns whether `interval` has passed since the last time that it has. The first time is now.
pub(crate) fn is_due(last: &mut Option<Instant>, interval: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() >= interval);
    if due {
        *last = Some(Instant::now());
    }
    due
}

/// Returns the error for a task that has panicked.
pub(crate) fn panicked(error: tokio::task::JoinError) -> Error {
    Error::Unexpected(error.to_string())
}
