//! Statistics over rounds and latencies.

use std::time::Duration;

/// The median, minimum and maximum of a set of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The minimum.
    pub min: f64,
    /// The maximum.
    pub max: f64,
}

impl Spread {
    /// Returns the spread of values in any order, or `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Spread { median, min, max })
    }
}

/// Returns a quantile (0 to 1) of the latencies of `sent` requests. Requests without a response count
/// with `deadline`; omitting them would favor the slowest systems.
pub fn quantile(latencies: &[Duration], sent: usize, share: f64, deadline: Duration) -> Duration {
    let mut sorted = latencies.to_vec();
    sorted.sort();
    let sent = sent.max(sorted.len());
    let rank = (share * sent as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_has_median_minimum_and_maximum() {
        let spread = |values: &[f64]| {
            Spread::of(values).map(|spread| (spread.min, spread.median, spread.max))
        };
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn quantile_counts_missing_responses_with_the_deadline() {
        let second = Duration::from_secs(1);
        let latencies: Vec<_> = (1..=90).map(Duration::from_millis).collect();
        let quantile = |share| quantile(&latencies, 100, share, second).as_millis();
        assert_eq!(quantile(0.5), 50);
        assert_eq!(quantile(0.9), 90);
        assert_eq!(quantile(0.99), 1000);
        assert_eq!(super::quantile(&[], 0, 0.5, second), second);
    }
}
