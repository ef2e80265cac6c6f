//! The clock of the host. Rules take the time as a parameter; a handler reads it here.

use chrono::{SecondsFormat, Utc};

/// Returns the current time in UTC: `2026-01-31T09:30:00.123456Z`. Times in this format, such as those
/// of `rules::timestamp`, compare like texts.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Returns the current date in UTC: `2026-01-31`. Dates in this format compare like texts.
pub fn today() -> String {
    Utc::now().date_naive().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_time_are_ordered_texts() {
        let (before, now, today) = (today(), now(), today());
        assert!(before <= now && now[..10] <= *today, "{before} {now} {today}");
        let lengths = [now.len(), today.len()];
        assert_eq!(lengths, ["2026-01-31T09:30:00.123456Z".len(), "2026-01-31".len()]);
    }
}
