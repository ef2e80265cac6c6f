//! Limits how slowly a client may send or read a body.
//!
//! Spin has no timeouts: a client that stalls, or sends one byte at a time, would occupy an
//! instance indefinitely. The limits allow for a phone on a poor network.

use std::time::Duration;

/// The time allowed in addition to that at [`RATE`].
const GRACE: Duration = Duration::from_secs(30);
/// The minimum average rate in bytes per second, not counting [`GRACE`].
const RATE: u64 = 8 << 10;

/// The progress of the transfer of one body.
pub(crate) struct Pace {
    start: Duration,
    bytes: u64,
}

impl Pace {
    /// Starts at `now`, a time of the monotonic clock.
    pub(crate) fn new(now: Duration) -> Pace {
        Pace { start: now, bytes: 0 }
    }

    /// Counts bytes that have been transferred.
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Returns the maximum time to wait for the next byte, `None` when the client has used up its
    /// time.
    pub(crate) fn remaining(&self, now: Duration) -> Option<Duration> {
        let allowed = GRACE + Duration::from_secs(self.bytes / RATE);
        let remaining = (self.start + allowed).checked_sub(now)?;
        (!remaining.is_zero()).then_some(remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn remaining(bytes: usize, seconds: u64) -> Option<u64> {
        let mut pace = Pace::new(START);
        pace.advance(bytes);
        pace.remaining(START + Duration::from_secs(seconds)).map(|it| it.as_secs())
    }

    #[test]
    fn client_without_progress_times_out_after_the_grace_period() {
        assert_eq!(remaining(0, 0), Some(30));
        assert_eq!(remaining(0, 29), Some(1));
        assert_eq!(remaining(0, 30), None);
    }

    #[test]
    fn transferred_bytes_extend_the_total_time() {
        assert_eq!(remaining(10 * 8192, 30), Some(10));
        assert_eq!(remaining(10 * 8192, 40), None);
        assert_eq!(remaining(1000 * 8192, 0), Some(1030));
    }
}
