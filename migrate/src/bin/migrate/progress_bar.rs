//! The progress bar of a seed, for terminals.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use migrate::SeedProgress;

/// The progress bar of the current seed.
pub(crate) struct SeedBar(Mutex<ProgressBar>);

impl Default for SeedBar {
    fn default() -> SeedBar {
        SeedBar(Mutex::new(ProgressBar::hidden()))
    }
}

impl SeedBar {
    pub(crate) fn show(&self, progress: SeedProgress<'_>) {
        let SeedProgress { seed, rows, total } = progress;
        // A panic leaves a usable bar behind.
        let mut bar = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bar.prefix() != seed {
            *bar = ProgressBar::new(total).with_prefix(seed.to_owned()).with_style(style());
            // Rows of earlier runs do not count toward the rate.
            bar.set_position(rows);
            bar.reset_eta();
        }
        bar.set_position(rows);
        if rows == total {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:20} {bar:40} {human_pos}/{human_len} rows, {rate}/s, {eta} left";
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate)
}

/// Formats the rows per second. Unlike indicatif, this omits the fraction.
fn rate(state: &ProgressState, to: &mut dyn Write) {
    // The cast saturates. The rate is never negative.
    let _ = write!(to, "{}", HumanCount(state.per_sec() as u64));
}
