//! Runs a Spin application on a laptop as Spin 3.6 would run it on a cluster, with nothing else
//! installed, and gives it a PostgreSQL of its own.
//!
//! Faithful before convenient: what passes here is meant to pass on SpinKube. The manifest is the
//! real `spin.toml`, and a key that is not implemented is an error; routes are matched by the crate
//! that Spin uses; each request gets a fresh instance; the interfaces that are linked are those in
//! `wit/` and no others; PostgreSQL's values are mapped as Spin maps them, those that it cannot read
//! included.
//!
//! It differs from Spin in five ways, on purpose:
//!
//! - Connections have TCP_NODELAY.
//! - SIGTERM lets requests in progress finish.
//! - A guest that computes without end does not block other requests.
//! - `hostaddr` in a connection string is rejected; Spin lets it bypass `allowed_outbound_hosts`.
//! - The [`Log`] warns of what causes trouble under Spin: a second database connection in one
//!   request, a transaction left open, a query without rows, a response head sent before its body.
//!
//! - [`manifest`], [`App`], [`Server`]: `spin.toml`, compiled, answering requests
//! - [`local`]: what `katas up` needs beside that: the build and the PostgreSQL

mod app;
mod bindings;
mod headers;
pub mod local;
pub mod manifest;
mod outbound;
mod postgres;
mod router;
mod server;
mod state;
mod stdio;
mod variables;

use std::sync::Arc;

pub use app::App;
pub use server::{Config, Server};

/// Where lines go: what guests write, and what the host has to say about them.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
