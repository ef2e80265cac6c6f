//! Metrics in the text format of Prometheus.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::Peer;
use crate::queue::Queue;

/// A number per queue.
#[derive(Debug, Default)]
pub struct PerQueue([AtomicU64; Queue::ALL.len()]);

impl PerQueue {
    /// Adds to the number.
    pub fn add(&self, queue: Queue, count: u64) {
        self.0[queue.index()].fetch_add(count, Ordering::Relaxed);
    }

    /// Sets the number.
    pub fn set(&self, queue: Queue, count: u64) {
        self.0[queue.index()].store(count, Ordering::Relaxed);
    }

    /// Returns the number.
    pub fn get(&self, queue: Queue) -> u64 {
        self.0[queue.index()].load(Ordering::Relaxed)
    }
}

/// The metrics of a courier.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages of the outbox that the broker has confirmed.
    pub published: PerQueue,
    /// Messages that the application has accepted.
    pub delivered: PerQueue,
    /// Requests that were repeated because the application was unavailable.
    pub held: PerQueue,
    /// Requests that were repeated because the application failed.
    pub retried: PerQueue,
    /// Messages that were moved to the dead letters.
    pub dead: PerQueue,
    /// The total duration of all requests, in microseconds.
    pub request_microseconds: PerQueue,
    /// The number of all requests.
    pub requests: PerQueue,
    /// Messages that are ready in the broker's queue.
    pub ready: PerQueue,
    /// Dead letters, in the broker or in the outbox.
    pub dead_letters: PerQueue,
    unsettled: AtomicU64,
    outbox_messages: AtomicU64,
    outbox_oldest_milliseconds: AtomicU64,
    paused: AtomicBool,
    required: [AtomicBool; Peer::ALL.len()],
    connected: [AtomicBool; Peer::ALL.len()],
}

/// A message that was received from the broker and is not settled yet.
pub struct Unsettled<'a>(&'a AtomicU64);

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Declares that the courier is not ready without a connection to `peer`.
    pub fn require(&self, peer: Peer) {
        self.required[peer as usize].store(true, Ordering::Relaxed);
    }

    /// Returns the required peers that are not connected.
    pub fn missing(&self) -> Vec<Peer> {
        let is = |flags: &[AtomicBool], peer| flags[peer as usize].load(Ordering::Relaxed);
        let missing = |peer: &Peer| is(&self.required, *peer) && !is(&self.connected, *peer);
        Peer::ALL.into_iter().filter(missing).collect()
    }

    /// Returns whether deliveries pause.
    pub fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Records whether a connection is open. Returns whether one was.
    pub(crate) fn set_connected(&self, peer: Peer, connected: bool) -> bool {
        self.connected[peer as usize].swap(connected, Ordering::Relaxed)
    }

    pub(crate) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Counts a message of the broker as unsettled until it is dropped.
    pub fn unsettled(&self) -> Unsettled<'_> {
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        Unsettled(&self.unsettled)
    }

    /// Returns the number of messages that are not delivered yet: in the outbox, ready in the broker,
    /// and unsettled in this process. Those of the outbox include the ones being delivered directly.
    fn backlog(&self) -> u64 {
        let ready: u64 = Queue::ALL.into_iter().map(|queue| self.ready.get(queue)).sum();
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        ready + load(&self.outbox_messages) + load(&self.unsettled)
    }

    pub(crate) fn set_outbox(&self, messages: u64, oldest: Duration) {
        self.outbox_messages.store(messages, Ordering::Relaxed);
        let milliseconds = u64::try_from(oldest.as_millis()).unwrap_or(u64::MAX);
        self.outbox_oldest_milliseconds.store(milliseconds, Ordering::Relaxed);
    }

    pub(crate) fn add_request(&self, queue: Queue, took: Duration) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.request_microseconds.add(queue, microseconds);
        self.requests.add(queue, 1);
    }

    /// Returns the metrics in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(4096);
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let queues = |numbers: &PerQueue, scale: f64| {
            Queue::ALL.map(|queue| {
                let labels = format!("{{queue=\"{}\"}}", queue.name());
                (labels, numbers.get(queue) as f64 * scale)
            })
        };
        for (name, help, numbers, scale) in [
            ("published_total", "Outbox messages confirmed by the broker.", &self.published, 1.0),
            ("delivered_total", "Messages accepted by the application.", &self.delivered, 1.0),
            ("held_total", "Requests to an unavailable application.", &self.held, 1.0),
            (
                "retried_total",
                "Requests that the application failed to process.",
                &self.retried,
                1.0,
            ),
            ("dead_total", "Messages moved to the dead letters.", &self.dead, 1.0),
            ("requests_total", "Requests to the application.", &self.requests, 1.0),
            (
                "request_seconds_total",
                "Total duration of the requests.",
                &self.request_microseconds,
                1e-6,
            ),
        ] {
            family(&format!("courier_{name}"), "counter", help, &queues(numbers, scale));
        }
        for (name, help, numbers) in [
            ("queue_messages", "Messages ready in the queue of the broker.", &self.ready),
            ("dead_letters", "Dead letters to replay or drop.", &self.dead_letters),
        ] {
            family(&format!("courier_{name}"), "gauge", help, &queues(numbers, 1.0));
        }
        let number = |value: f64| [(String::new(), value)];
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed) as f64;
        family(
            "courier_backlog_messages",
            "gauge",
            "Messages that are not delivered yet: in the outbox, in the broker, or in this process.",
            &number(self.backlog() as f64),
        );
        family(
            "courier_outbox_messages",
            "gauge",
            "Messages that wait in the outbox.",
            &number(load(&self.outbox_messages)),
        );
        family(
            "courier_outbox_oldest_seconds",
            "gauge",
            "Age of the oldest message that waits in the outbox.",
            &number(load(&self.outbox_oldest_milliseconds) / 1000.0),
        );
        family(
            "courier_paused",
            "gauge",
            "Whether deliveries pause because the application is unavailable.",
            &number(f64::from(u8::from(self.is_paused()))),
        );
        let peers = Peer::ALL
            .into_iter()
            .filter(|peer| self.required[*peer as usize].load(Ordering::Relaxed));
        let connected: Vec<_> = peers
            .map(|peer| {
                let connected = self.connected[peer as usize].load(Ordering::Relaxed);
                (format!("{{peer=\"{}\"}}", peer.label()), f64::from(u8::from(connected)))
            })
            .collect();
        family("courier_connected", "gauge", "Whether a connection is open.", &connected);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_a_sample_per_queue_and_required_peer() {
        let metrics = Metrics::default();
        metrics.delivered.add(Queue::Runs, 3);
        metrics.add_request(Queue::Runs, Duration::from_millis(1500));
        metrics.set_outbox(7, Duration::from_millis(2500));
        metrics.ready.set(Queue::Receipts, 20);
        let unsettled = metrics.unsettled();
        metrics.require(Peer::Database);
        let text = metrics.render();
        for line in [
            "courier_delivered_total{queue=\"katas.receipts\"} 0",
            "courier_delivered_total{queue=\"katas.runs\"} 3",
            "courier_request_seconds_total{queue=\"katas.runs\"} 1.5",
            "courier_outbox_messages 7",
            "courier_outbox_oldest_seconds 2.5",
            "courier_connected{peer=\"database\"} 0",
            "# TYPE courier_dead_letters gauge",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is missing in {text}");
        }
        assert!(text.contains("\ncourier_backlog_messages 28\n"), "{text}");
        drop(unsettled);
        assert!(metrics.render().contains("\ncourier_backlog_messages 27\n"));
        assert!(!text.contains("publisher"), "{text}");
    }

    #[test]
    fn only_required_peers_can_be_missing() {
        let metrics = Metrics::default();
        assert_eq!(metrics.missing(), []);
        metrics.require(Peer::Consumer);
        assert_eq!(metrics.missing(), [Peer::Consumer]);
        metrics.set_connected(Peer::Consumer, true);
        assert_eq!(metrics.missing(), []);
    }
}
