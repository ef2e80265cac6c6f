//! Waiting between attempts: longer each time, never in step with others, not for ever.

use std::time::{Duration, Instant, SystemTime};

/// A series of pauses that ends at a deadline.
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
    deadline: Instant,
}

impl Backoff {
    /// Pauses from `first` doubling up to `longest`, for `total` in all.
    pub(crate) fn new(first: Duration, longest: Duration, total: Duration) -> Backoff {
        Backoff { next: first, longest, deadline: Instant::now() + total }
    }

    /// Waits before the next attempt; `false` when the time is up instead.
    pub(crate) async fn pause(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        tokio::time::sleep(jittered(self.next).min(left)).await;
        self.next = (self.next * 2).min(self.longest);
        true
    }
}

/// Half to all of it. The clock's last digits are random enough to part pods that start together.
fn jittered(pause: Duration) -> Duration {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let half = pause / 2;
    half + half.mul_f64(f64::from(nanos.subsec_nanos() % 1000) / 1000.0)
}
