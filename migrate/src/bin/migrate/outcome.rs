//! What remains of a run: for Kubernetes a message, for Prometheus numbers.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;

use crate::progress::Seen;

/// How a run ended.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) command: &'static str,
    pub(crate) exit_code: u8,
    /// What went wrong, if anything did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The version that the schema is at, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    #[serde(skip)]
    pub(crate) took: Duration,
    #[serde(skip)]
    pub(crate) seen: Seen,
}

/// Kubernetes cuts the messages of a pod's containers, to 4096 bytes each at most.
const LONGEST_MESSAGE: usize = 4096;

impl Outcome {
    /// Writes the message of the container, where there is a place for it: Kubernetes has made the
    /// file.
    pub(crate) fn write_message(&self, path: &Path) -> std::io::Result<()> {
        match path.exists() {
            true => std::fs::write(path, self.message()),
            false => Ok(()),
        }
    }

    fn message(&self) -> String {
        let json = |error: Option<String>| {
            let Outcome { command, exit_code, version, seen, took, .. } = self;
            let cut = Outcome {
                command,
                exit_code: *exit_code,
                error,
                version: *version,
                seen: seen.clone(),
                took: *took,
            };
            serde_json::to_string(&cut).expect("its keys are strings")
        };
        let mut message = json(self.error.clone());
        let mut error = self.error.clone().unwrap_or_default();
        while message.len() > LONGEST_MESSAGE && !error.is_empty() {
            // Escapes make the text longer than it is: half of it may not be enough yet.
            error = error.chars().take(error.chars().count() / 2).collect();
            message = json(Some(format!("{error} ...")));
        }
        message
    }

    /// Writes the metrics. Whoever collects them sees the old file or the new one.
    pub(crate) fn write_metrics(&self, path: &Path) -> std::io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, self.metrics())?;
        std::fs::rename(unfinished, path)
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        let Outcome { command, exit_code, took, seen, version, .. } = self;
        let mut gauge = |name: &str, help: &str, samples: &[(String, f64)]| {
            let name = format!("migrate_{name}");
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        };
        let command = format!("command=\"{command}\"");
        let one = |value: f64| vec![(command.clone(), value)];
        // Whole seconds of this century are exact.
        let now = Utc::now().timestamp() as f64;
        gauge("last_run_timestamp_seconds", "When the last run ended.", &one(now));
        gauge("last_run_exit_code", "How it ended: 0 is well.", &one(f64::from(*exit_code)));
        gauge("last_run_duration_seconds", "How long it took.", &one(took.as_secs_f64()));
        let lock_wait = one(seen.lock_wait.as_secs_f64());
        gauge("last_run_lock_wait_seconds", "How long it waited for the lock.", &lock_wait);
        if let Some(version) = version {
            let at = [(String::new(), *version as f64)];
            gauge("schema_version", "The version that the schema is at.", &at);
        }
        let migrations: Vec<_> = seen
            .migrations
            .iter()
            .map(|(name, took)| (format!("{command},migration=\"{name}\""), took.as_secs_f64()))
            .collect();
        gauge("migration_duration_seconds", "How long each migration took.", &migrations);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(error: Option<String>) -> Outcome {
        let seen = Seen {
            migrations: vec![("0001_a".into(), Duration::from_millis(1500))],
            lock_wait: Duration::from_millis(250),
        };
        let (version, took) = (Some(1), Duration::from_secs(2));
        Outcome { command: "up", exit_code: 4, error, version, took, seen }
    }

    #[test]
    fn a_message_fits() {
        for error in ["\u{1}".repeat(5000), "é".repeat(5000), "short".to_owned()] {
            let message = outcome(Some(error)).message();
            assert!(message.len() <= LONGEST_MESSAGE, "{}", message.len());
            let json: serde_json::Value = serde_json::from_str(&message).expect("it is JSON");
            assert_eq!((&json["exit_code"], &json["version"]), (&4.into(), &1.into()));
        }
    }

    #[test]
    fn metrics_are_in_the_text_format() {
        let text = outcome(None).metrics();
        for line in [
            "# TYPE migrate_schema_version gauge",
            "migrate_schema_version{} 1",
            "migrate_last_run_exit_code{command=\"up\"} 4",
            "migrate_last_run_duration_seconds{command=\"up\"} 2",
            "migrate_last_run_lock_wait_seconds{command=\"up\"} 0.25",
            "migrate_migration_duration_seconds{command=\"up\",migration=\"0001_a\"} 1.5",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }
}
