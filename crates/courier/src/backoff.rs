//! Exponential back-off with jitter.

use std::time::{Duration, Instant};

/// A sequence of delays that double up to a limit. Jitter shortens each by up to half, so that
/// couriers that failed together do not try again together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    failures: u32,
}

impl Backoff {
    /// Creates a sequence that begins with `first`.
    pub const fn new(first: Duration, limit: Duration) -> Backoff {
        Backoff { first, limit, failures: 0 }
    }

    /// Returns the next delay.
    pub fn next_delay(&mut self) -> Duration {
        let delay = self.first.saturating_mul(1 << self.failures.min(20)).min(self.limit);
        self.failures = self.failures.saturating_add(1);
        delay.mul_f64(1.0 - random() / 2.0)
    }

    /// Starts over if what began at `start`, and has failed now, lasted longer than the longest
    /// delay.
    pub fn reset_if_stable(&mut self, start: Instant) {
        if start.elapsed() > self.limit {
            self.reset();
        }
    }

    /// Starts over.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns a random number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX),
        // Without jitter, the delay is still correct.
        Err(_) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_limit_and_start_over_after_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));
        let mut check = |expected: u64| {
            let delay = backoff.next_delay().as_millis();
            let expected = u128::from(expected);
            assert!((expected / 2..=expected).contains(&delay), "{delay} instead of {expected}");
        };
        for expected in [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000] {
            check(expected);
        }
        backoff.failures = u32::MAX;
        assert!(backoff.next_delay() >= Duration::from_secs(15));
        backoff.reset_if_stable(Instant::now());
        assert!(backoff.next_delay() >= Duration::from_secs(15));
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(100));
    }
}
