//! The outcome of a run: a termination message for Kubernetes, and metrics for Prometheus.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;

use crate::progress::RunStats;

/// The outcome of a run.
#[derive(Serialize)]
pub(crate) struct Outcome {
    pub(crate) command: &'static str,
    pub(crate) exit_code: u8,
    /// The error message, if the run failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// The version of the schema, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    #[serde(skip)]
    pub(crate) took: Duration,
    #[serde(skip)]
    pub(crate) stats: RunStats,
}

/// The size limit of a termination message in bytes. Kubernetes truncates longer ones.
const MAX_MESSAGE_BYTES: usize = 4096;

impl Outcome {
    /// Writes the termination message if the file exists. Kubernetes creates it.
    pub(crate) fn write_message(&self, path: &Path) -> std::io::Result<()> {
        match path.exists() {
            true => std::fs::write(path, self.message()),
            false => Ok(()),
        }
    }

    fn message(&self) -> String {
        let json = |error: Option<String>| {
            let Outcome { command, exit_code, version, stats, took, .. } = self;
            let shortened = Outcome {
                command,
                exit_code: *exit_code,
                error,
                version: *version,
                stats: stats.clone(),
                took: *took,
            };
            serde_json::to_string(&shortened).expect("all keys are strings")
        };
        let mut message = json(self.error.clone());
        let mut error = self.error.clone().unwrap_or_default();
        while message.len() > MAX_MESSAGE_BYTES && !error.is_empty() {
            // JSON escapes lengthen the text, so halving it once may not be enough.
            error = error.chars().take(error.chars().count() / 2).collect();
            message = json(Some(format!("{error} ...")));
        }
        message
    }

    /// Writes the metrics. The rename is atomic, so a collector never reads a partial file.
    pub(crate) fn write_metrics(&self, path: &Path) -> std::io::Result<()> {
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, self.metrics())?;
        std::fs::rename(unfinished, path)
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        let Outcome { command, exit_code, took, stats, version, .. } = self;
        let mut gauge = |name: &str, help: &str, samples: &[(String, f64)]| {
            let name = format!("migrate_{name}");
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        };
        let command = format!("command=\"{command}\"");
        let sample = |value: f64| vec![(command.clone(), value)];
        // An f64 represents these seconds exactly.
        let now = Utc::now().timestamp() as f64;
        gauge("last_run_timestamp_seconds", "Unix time at which the last run ended.", &sample(now));
        gauge(
            "last_run_exit_code",
            "Exit code of the last run; 0 is success.",
            &sample(f64::from(*exit_code)),
        );
        gauge(
            "last_run_duration_seconds",
            "Duration of the last run.",
            &sample(took.as_secs_f64()),
        );
        let lock_wait = sample(stats.lock_wait.as_secs_f64());
        gauge(
            "last_run_lock_wait_seconds",
            "Time that the last run waited for the lock.",
            &lock_wait,
        );
        if let Some(version) = version {
            let samples = [(String::new(), *version as f64)];
            gauge("schema_version", "Version of the schema.", &samples);
        }
        let migrations: Vec<_> = stats
            .migrations
            .iter()
            .map(|(name, took)| {
                (format!("{command},migration=\"{}\"", label_value(name)), took.as_secs_f64())
            })
            .collect();
        gauge("migration_duration_seconds", "Duration of each migration.", &migrations);
        text
    }
}

/// Escapes the value of a label, as Prometheus's text format requires.
fn label_value(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(error: Option<String>) -> Outcome {
        let stats = RunStats {
            migrations: vec![("0001_a".into(), Duration::from_millis(1500))],
            lock_wait: Duration::from_millis(250),
        };
        let (version, took) = (Some(1), Duration::from_secs(2));
        Outcome { command: "up", exit_code: 4, error, version, took, stats }
    }

    #[test]
    fn long_message_is_truncated_to_the_limit() {
        for error in ["\u{1}".repeat(5000), "é".repeat(5000), "short".to_owned()] {
            let message = outcome(Some(error)).message();
            assert!(message.len() <= MAX_MESSAGE_BYTES, "{}", message.len());
            let json: serde_json::Value =
                serde_json::from_str(&message).expect("the message is JSON");
            assert_eq!((&json["exit_code"], &json["version"]), (&4.into(), &1.into()));
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut outcome = outcome(None);
        outcome.stats.migrations[0].0 = "0001_a\\b\"c\nd".into();
        let text = outcome.metrics();
        let line =
            r#"migrate_migration_duration_seconds{command="up",migration="0001_a\\b\"c\nd"} 1.5"#;
        assert!(text.lines().any(|actual| actual == line), "{line} in {text}");
    }

    #[test]
    fn metrics_are_in_the_prometheus_text_format() {
        let text = outcome(None).metrics();
        for line in [
            "# TYPE migrate_schema_version gauge",
            "migrate_schema_version{} 1",
            "migrate_last_run_exit_code{command=\"up\"} 4",
            "migrate_last_run_duration_seconds{command=\"up\"} 2",
            "migrate_last_run_lock_wait_seconds{command=\"up\"} 0.25",
            "migrate_migration_duration_seconds{command=\"up\",migration=\"0001_a\"} 1.5",
        ] {
            assert!(text.lines().any(|actual| actual == line), "{line} in {text}");
        }
    }
}
