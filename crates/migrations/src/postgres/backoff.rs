//! Exponential back-off with jitter and a deadline.

use std::time::{Duration, Instant, SystemTime};

/// A series of growing pauses that ends at a deadline.
pub struct Backoff {
    next: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Creates a series that starts at `first`, doubles up to `longest`, and ends after `total`.
    pub fn new(first: Duration, longest: Duration, total: Duration) -> Backoff {
        Backoff { next: first, longest, deadline: Instant::now() + total }
    }

    /// Sleeps until the next attempt. Returns `false` without sleeping once the deadline has
    /// passed.
    pub async fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(jittered(self.next).min(left)).await;
        self.next = (self.next * 2).min(self.longest);
        true
    }
}

/// Returns between half of `pause` and all of it. The low digits of the clock are random enough to
/// spread out pods that start together.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let half = pause / 2;
    half + half.mul_f64(f64::from(nanos.subsec_nanos() % 1000) / 1000.0)
}
