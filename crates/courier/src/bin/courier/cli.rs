//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use courier::amqp::Address;
use courier::application::Application;
use courier::dead::Selection;
use courier::outbox::Outbox;
use courier::{Error, Secret};

/// Deliver queued messages to the application as HTTP requests
///
/// Publishes the messages of the outbox to RabbitMQ, and delivers the messages of RabbitMQ to the
/// application. Without a broker, delivers the messages of the outbox directly. Safe to run
/// concurrently, to kill and to run again: no message is lost.
#[derive(Parser)]
#[command(version, after_long_help = MANUAL, after_help = "`--help` prints details, exit codes and examples.")]
pub(crate) struct Cli {
    /// Database URL: postgres://user:password@host:port/database
    ///
    /// The default of sslmode is verify-full, and prefer for a server on this machine. The role needs
    /// the privileges of katas_courier only.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true, value_name = "URL")]
    database_url: Option<String>,

    /// File with the database URL in its first line
    #[arg(
        long,
        env = "DATABASE_URL_FILE",
        global = true,
        value_name = "FILE",
        conflicts_with = "database_url"
    )]
    database_url_file: Option<PathBuf>,

    /// Broker URL: amqps://user:password@host:port/vhost [default: no broker]
    #[arg(long, env = "AMQP_URL", hide_env_values = true, global = true, value_name = "URL")]
    amqp_url: Option<String>,

    /// File with the broker URL in its first line
    #[arg(
        long,
        env = "AMQP_URL_FILE",
        global = true,
        value_name = "FILE",
        conflicts_with = "amqp_url"
    )]
    amqp_url_file: Option<PathBuf>,

    /// URL of the application: http(s)://HOST[:PORT]
    #[arg(
        long,
        env = "COURIER_APPLICATION_URL",
        default_value = "http://127.0.0.1:3000",
        global = true,
        value_name = "URL"
    )]
    pub(crate) application_url: String,

    /// File with the API token in its first line [default: the token in API_TOKEN]
    #[arg(long, env = "API_TOKEN_FILE", global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// PEM file of certificate authorities to trust in addition to the system's
    ///
    /// For the broker and the application. For the database, use sslrootcert in its URL.
    #[arg(long, env = "COURIER_CA_FILE", global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Maximum number of requests at the same time, for each queue
    #[arg(
        long,
        env = "COURIER_CONCURRENCY",
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1000),
        global = true,
        value_name = "COUNT"
    )]
    pub(crate) concurrency: u16,

    /// Timeout of a request
    #[arg(long, env = "COURIER_REQUEST_TIMEOUT", default_value = "60", value_parser = parse_seconds, global = true, value_name = "SECONDS")]
    request_timeout: Duration,

    /// Address of /healthz, /readyz and /metrics, such as 0.0.0.0:9090 [default: none]
    #[arg(long, env = "COURIER_LISTEN", global = true, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,

    /// Format of the log on standard error [default: human on a terminal, json otherwise]
    #[arg(long, env = "COURIER_LOG", global = true)]
    pub(crate) log: Option<Format>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const MANUAL: &str = "\
Queues:
  katas.receipts   POST /api/v1/receipts, with the message_id as Idempotency-Key
  katas.runs       POST /api/v1/run-parts

Responses:
  2xx                          the message is removed
  408, 425, 429, 502-504,      the message is kept, and all deliveries pause for 0.1 to 30 seconds;
  3xx, 401, 403-405, 421,      after 5 minutes, all messages are returned to the broker until the
  or none                      application is ready
  other 4xx                    the message becomes a dead letter
  other 5xx                    the message is sent again, and becomes a dead letter after 5 attempts

Signals:
  SIGTERM and SIGINT finish the requests in progress, return all other messages to the broker, and
  exit with 0. A second signal ends the process at once.

Files:
  The files with secrets are read again for each new connection.

Exit codes:
  0    success, or stopped by a signal
  1    unexpected error
  2    invalid command line, or an invalid value or file named on it
  4    `dead`: no dead letter with this id
  9    `dead`: not permitted: user, password, privilege
  75   `dead`: the database or the broker is not available; try again

Examples:
  courier run --database-url-file db --amqp-url-file amqp --application-url http://katas
  courier run --database-url postgres://katas_courier:secret@localhost/katas
  courier dead list --amqp-url-file amqp
  courier dead replay --all --amqp-url-file amqp";

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// Text
    Human,
    /// JSON
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Publish and deliver messages, in one process
    Run {
        /// Start an installed RabbitMQ that only this process uses, with its data in this directory
        #[arg(long, value_name = "DIR")]
        private_broker: Option<PathBuf>,
    },
    /// Publish the messages of the outbox to the broker
    Relay,
    /// Deliver the messages of the broker to the application
    Deliver,
    /// List, replay or drop dead letters
    ///
    /// With a broker URL, those in the broker; otherwise those in the outbox.
    #[command(subcommand)]
    Dead(Dead),
}

#[derive(Subcommand)]
pub(crate) enum Dead {
    /// List all dead letters with the reasons
    List {
        /// Output format
        #[arg(long, default_value = "human")]
        format: Format,
    },
    /// Print a dead letter with its body as JSON
    Show {
        /// The id in the list
        id: String,
    },
    /// Return dead letters to their queue
    Replay(Letters),
    /// Delete dead letters
    Drop(Letters),
}

/// The dead letters that a command concerns.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Letters {
    /// The ids in the list
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All dead letters
    #[arg(long)]
    all: bool,
}

impl Letters {
    pub(crate) fn selection(&self) -> Selection {
        match self.all {
            true => Selection::All,
            false => Selection::Ids(self.ids.clone()),
        }
    }
}

impl Cli {
    /// Returns the database.
    pub(crate) fn database(&self) -> Result<Secret, Error> {
        let secret = secret(self.database_url.as_ref(), self.database_url_file.as_ref());
        let secret = secret.ok_or_else(|| {
            Error::Usage("no database; use --database-url-file or DATABASE_URL".to_owned())
        })?;
        Outbox::check(&secret)?;
        Ok(secret)
    }

    /// Returns the broker, if there is one.
    pub(crate) fn broker(&self) -> Result<Option<Address>, Error> {
        match secret(self.amqp_url.as_ref(), self.amqp_url_file.as_ref()) {
            None => Ok(None),
            Some(url) => Address::new(url, self.ca_file.as_deref()).map(Some),
        }
    }

    /// Returns the broker.
    pub(crate) fn required_broker(&self) -> Result<Address, Error> {
        self.broker()?
            .ok_or_else(|| Error::Usage("no broker; use --amqp-url-file or AMQP_URL".to_owned()))
    }

    /// Returns a client for the application.
    pub(crate) fn application(&self) -> Result<Application, Error> {
        let text = std::env::var("API_TOKEN").ok().filter(|token| !token.is_empty());
        let token = match &self.token_file {
            Some(file) => Some(Secret::File(file.clone())),
            None => text.map(Secret::Text),
        };
        if let Some(token) = &token {
            token.read()?;
        }
        let ca_file = self.ca_file.as_deref();
        Application::new(&self.application_url, token, ca_file, self.request_timeout)
    }
}

/// Returns the text or the file. An empty text, such as that of an unset variable in a manifest,
/// counts as none.
fn secret(text: Option<&String>, file: Option<&PathBuf>) -> Option<Secret> {
    let text = text.filter(|text| !text.is_empty()).map(|text| Secret::Text(text.clone()));
    text.or_else(|| file.map(|file| Secret::File(file.clone())))
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn replay_and_drop_require_ids_or_all() {
        let parse = |arguments: &str| Cli::try_parse_from(arguments.split(' ')).map(drop);
        for command in ["replay", "drop"] {
            assert!(parse(&format!("courier dead {command}")).is_err());
            assert!(parse(&format!("courier dead {command} --all")).is_ok());
            assert!(parse(&format!("courier dead {command} a b")).is_ok());
            assert!(parse(&format!("courier dead {command} a --all")).is_err());
        }
    }
}
