//! The time that a client has for sending a body or reading one.
//!
//! A client that stalls, or that sends a byte at a time, would hold an instance for as long as it likes:
//! Spin has no timeouts. The limits leave room for a phone on a bad network.

use std::time::Duration;

/// The time for a whole body of any size, before [`RATE`] counts.
const GRACE: Duration = Duration::from_secs(30);
/// The minimum average rate after [`GRACE`], in bytes per second.
const RATE: u64 = 8 << 10;

/// The progress of one body.
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

    /// Returns the time for the next bytes; `None` when the client has used up its time.
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
    fn client_without_progress_has_the_grace_period() {
        assert_eq!(remaining(0, 0), Some(30));
        assert_eq!(remaining(0, 29), Some(1));
        assert_eq!(remaining(0, 30), None);
    }

    #[test]
    fn each_received_kibibyte_extends_the_time() {
        assert_eq!(remaining(10 * 8192, 30), Some(10));
        assert_eq!(remaining(10 * 8192, 40), None);
        assert_eq!(remaining(1000 * 8192, 0), Some(1030));
    }
}
