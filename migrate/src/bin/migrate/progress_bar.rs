//! How far a seed is, on a terminal.

use std::fmt::Write;
use std::sync::Mutex;

use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};
use migrate::SeedProgress;

/// The bar of the seed that is being loaded.
pub(crate) struct Bar(Mutex<ProgressBar>);

impl Default for Bar {
    fn default() -> Bar {
        Bar(Mutex::new(ProgressBar::hidden()))
    }
}

impl Bar {
    pub(crate) fn show(&self, progress: SeedProgress<'_>) {
        let SeedProgress { seed, rows, total } = progress;
        // Whoever panicked with it left a bar.
        let mut bar = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if bar.prefix() != seed {
            *bar = ProgressBar::new(total).with_prefix(seed.to_owned()).with_style(style());
            // What was there before is nobody's speed.
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

/// Rows per second, without the fraction that indicatif shows.
fn rate(state: &ProgressState, to: &mut dyn Write) {
    // A number that is too large for it becomes the largest; there are no negative ones.
    let _ = write!(to, "{}", HumanCount(state.per_sec() as u64));
}
