//! What several rounds say together.

use std::time::Duration;

/// The middle of some values, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half are at most this.
    pub median: f64,
    /// The least of all.
    pub least: f64,
    /// The greatest of all.
    pub most: f64,
}

impl Spread {
    /// Of values in any order; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        Some(Spread { median, least, most })
    }
}

/// The latency that this share (0 to 1) of `planned` requests stayed below. A request without an
/// answer took at least `deadline`: leaving it out would make the worst systems look best.
pub fn quantile(answered: &[Duration], planned: usize, share: f64, deadline: Duration) -> Duration {
    let mut sorted = answered.to_vec();
    sorted.sort();
    let planned = planned.max(sorted.len());
    let rank = (share * planned as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_extremes() {
        let spread = |values: &[f64]| Spread::of(values).map(|it| (it.least, it.median, it.most));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
        assert_eq!(spread(&[4.0, 1.0]), Some((1.0, 2.5, 4.0)));
        assert_eq!(spread(&[]), None);
    }

    #[test]
    fn a_quantile_counts_what_was_never_answered() {
        let second = Duration::from_secs(1);
        let answered: Vec<_> = (1..=90).map(Duration::from_millis).collect();
        let quantile = |share| quantile(&answered, 100, share, second).as_millis();
        assert_eq!(quantile(0.5), 50);
        assert_eq!(quantile(0.9), 90);
        assert_eq!(quantile(0.99), 1000);
        assert_eq!(super::quantile(&[], 0, 0.5, second), second);
    }
}
