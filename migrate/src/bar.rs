//! Showing how far a seed is: a bar for who watches, a line of JSON per seed for who does not.

use std::io::{IsTerminal, stderr};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use migrate::SeedProgress;

/// The bar of the seed that is being loaded, on standard error.
pub(crate) struct Bar {
    bar: Option<Mutex<ProgressBar>>,
}

impl Bar {
    /// A bar when standard error is a terminal.
    pub(crate) fn new() -> Bar {
        let bar = stderr().is_terminal().then(|| Mutex::new(ProgressBar::hidden()));
        Bar { bar }
    }

    /// Shows it.
    pub(crate) fn tell(&self, progress: SeedProgress<'_>) {
        let SeedProgress { seed, rows, total } = progress;
        let Some(bar) = &self.bar else {
            if rows == total {
                // A name and two numbers become JSON whatever they are.
                eprintln!("{}", serde_json::to_string(&progress).unwrap_or_default());
            }
            return;
        };
        // Whoever panicked with it left a bar.
        let mut bar = bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if bar.prefix() != seed {
            *bar = ProgressBar::new(total).with_prefix(seed.to_owned()).with_style(style());
        }
        bar.set_position(rows);
        if rows == total {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    let template = "{prefix:20} {bar:40} {human_pos}/{human_len} rows, {per_sec}, {eta} left";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
