//! Runs a Spin application on a laptop as Spin 3.6 runs it on a cluster, together with a local
//! PostgreSQL. Neither Spin nor PostgreSQL needs to be installed.
//!
//! The host is as strict as Spin, so that an application that works here also works on SpinKube:
//!
//! - It reads `spin.toml`, and rejects keys that it does not implement.
//! - It matches routes with the crate that Spin uses.
//! - Each request runs in a fresh instance.
//! - It links the interfaces in `wit/`, and an empty file system for modules of wasm32-wasip1. Those
//!   include older PostgreSQL interfaces, which Spin 4.0 does not have.
//! - It maps PostgreSQL values as Spin does, including those that Spin cannot read.
//!
//! It deliberately differs from Spin as follows:
//!
//! - Connections have TCP_NODELAY.
//! - SIGTERM lets requests in progress finish.
//! - A guest in an endless loop does not block other requests.
//! - Slow clients are disconnected, and requests beyond a limit get 503: see [`Limits`].
//! - Responses to HEAD have no content over HTTP/2 either.
//! - A request with a header that is not UTF-8 gets a 400 response, not an empty 500.
//! - `hostaddr` in a connection string is rejected; Spin lets it bypass `allowed_outbound_hosts`.
//! - A database connection on which a guest changed prepared statements is not reused.
//! - On a loopback address, `katas up` responds with 421 to a request whose `Host` is neither
//!   `localhost` nor an IP address, as protection against DNS rebinding.
//! - The [`Log`] warns about behavior that causes problems under Spin: two database connections at
//!   once in one request, a transaction left open, a query without rows, a response head sent
//!   before its body.
//!
//! Start with [`App`], which compiles the components of a [`manifest`], and [`Server`], which
//! serves it. [`local`] implements `katas up`: it builds the components and runs PostgreSQL.

mod app;
mod bindings;
mod component;
mod driver_error;
mod headers;
mod limits;
pub mod local;
mod local_host;
pub mod manifest;
mod outbound;
mod pool;
mod postgres;
mod request_body;
mod router;
mod server;
mod state;
mod stdio;
mod variables;

use std::sync::Arc;

pub use app::App;
pub use limits::Limits;
pub use server::{Config, Server};

/// Receives the guests' output and the host's messages, one line at a time.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
