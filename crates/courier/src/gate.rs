//! Pauses all deliveries while the application is unavailable.
//!
//! An open gate lets every delivery pass. The first one that the application cannot accept closes
//! it. Behind a closed gate, one delivery at a time passes after a delay, as a probe: if the
//! application accepts or rejects it, the gate opens; otherwise the delay doubles.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync;

use crate::backoff::Backoff;

/// The gate before the application.
#[derive(Debug)]
pub struct Gate {
    state: Mutex<State>,
    /// The right to send a probe.
    turn: sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    backoff: Backoff,
    closed: Option<Closed>,
}

#[derive(Clone, Copy, Debug)]
struct Closed {
    since: Instant,
    until: Instant,
}

/// The right to send one request.
#[derive(Debug)]
pub enum Permit<'a> {
    /// The gate was open.
    Open,
    /// The gate was closed, and this request is the probe.
    Probe(sync::MutexGuard<'a, ()>),
}

impl Gate {
    /// Creates an open gate.
    pub fn new(backoff: Backoff) -> Gate {
        Gate { state: Mutex::new(State { backoff, closed: None }), turn: sync::Mutex::new(()) }
    }

    /// Waits until a request may be sent. A closed gate also lets a probe pass when `ready` returns,
    /// even if its delay has not passed.
    pub async fn pass<R: Future<Output = ()>>(&self, ready: impl Fn() -> R) -> Permit<'_> {
        if self.closed().is_none() {
            return Permit::Open;
        }
        let turn = self.turn.lock().await;
        // Another probe may have opened the gate meanwhile.
        let Some(closed) = self.closed() else { return Permit::Open };
        tokio::select! {
            () = tokio::time::sleep_until(closed.until.into()) => {}
            () = ready() => {}
        }
        Permit::Probe(turn)
    }

    /// Records that the application has processed the request. Returns how long the gate was
    /// closed, if this opens it.
    pub fn succeeded(&self, permit: Permit<'_>) -> Option<Duration> {
        // A request that passed the gate before it was closed says nothing about the present.
        let Permit::Probe(_turn) = permit else { return None };
        let mut state = self.lock();
        state.backoff.reset();
        state.closed.take().map(|closed| closed.since.elapsed())
    }

    /// Records that the application could not accept the request. Returns whether this closes the
    /// gate.
    pub fn failed(&self, permit: Permit<'_>) -> bool {
        let mut state = self.lock();
        let closed = state.closed;
        if closed.is_some() && matches!(permit, Permit::Open) {
            return false;
        }
        let now = Instant::now();
        let until = now + state.backoff.next_delay();
        let since = closed.map_or(now, |closed| closed.since);
        state.closed = Some(Closed { since, until });
        closed.is_none()
    }

    /// Returns how long the gate has been closed.
    pub fn closed_for(&self) -> Option<Duration> {
        self.closed().map(|closed| closed.since.elapsed())
    }

    /// Counts the time for [`Gate::closed_for`] from now on.
    pub fn restart_clock(&self) {
        if let Some(closed) = &mut self.lock().closed {
            closed.since = Instant::now();
        }
    }

    fn closed(&self) -> Option<Closed> {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Only a panic while the lock is held could poison it.
        self.state.lock().expect("the lock is not poisoned")
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn gate(delay: Duration) -> Gate {
        Gate::new(Backoff::new(delay, delay))
    }

    #[tokio::test]
    async fn first_failure_closes_the_gate_and_later_ones_do_not_count() {
        let gate = gate(Duration::from_secs(60));
        let (first, second) = (gate.pass(pending).await, gate.pass(pending).await);
        assert!(gate.failed(first));
        assert!(!gate.failed(second));
        assert!(gate.closed_for().is_some());
    }

    #[tokio::test]
    async fn success_of_an_earlier_request_does_not_open_the_gate() {
        let gate = gate(Duration::from_secs(60));
        let (first, second) = (gate.pass(pending).await, gate.pass(pending).await);
        gate.failed(first);
        assert_eq!(gate.succeeded(second), None);
        assert!(gate.closed_for().is_some());
    }

    #[tokio::test]
    async fn closed_gate_lets_one_probe_pass_and_opens_for_all_after_it() {
        let gate = gate(Duration::from_millis(10));
        gate.failed(gate.pass(pending).await);
        let probes = AtomicU32::new(0);
        let deliver = async || match gate.pass(pending).await {
            Permit::Open => {}
            probe => {
                probes.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                assert!(gate.succeeded(probe).is_some());
            }
        };
        tokio::join!(deliver(), deliver(), deliver());
        assert_eq!(probes.into_inner(), 1);
        assert_eq!(gate.closed_for(), None);
    }

    #[tokio::test]
    async fn ready_application_ends_the_delay() {
        let gate = gate(Duration::from_secs(3600));
        gate.failed(gate.pass(pending).await);
        assert!(matches!(gate.pass(async || ()).await, Permit::Probe(_)));
    }
}
