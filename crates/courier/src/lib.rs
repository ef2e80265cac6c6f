//! Delivers queued messages to the components of the application as HTTP requests.
//!
//! ```text
//! component ──► katas.outbox ──► relay ──► RabbitMQ queue ──► deliver ──► component
//! external producer ─────────────────────────┘    │
//!                                                 └─► dead letters
//!
//! without a broker:  katas.outbox ──► direct ──► component
//! ```
//!
//! - [`relay`] publishes the rows of the outbox, and deletes each row once the broker has confirmed
//!   its message. It also has the parts of stalled runs queued again.
//! - [`deliver`] consumes the queues. It sends each message to the fixed route of its queue
//!   ([`queue`]), and acknowledges it once the application has accepted it.
//! - [`direct`] is both in one, without a broker: it sends the rows of the outbox to the application,
//!   and deletes each accepted row.
//! - [`delivery`] is what `deliver` and `direct` share: it sends a message until the application
//!   accepts or rejects it. [`decision`] maps a response to an action. [`gate`] pauses all deliveries
//!   while the application or its database is unavailable.
//! - [`dead`] lists, replays and drops the messages that the application has rejected.
//! - [`rabbitmq`] runs a private RabbitMQ server as a child process.
//!
//! Delivery is at least once: a message is removed only after its effect is confirmed. The routes
//! are idempotent, so that a repeated request has no further effect.
//!
//! Only [`outbox`] contains SQL, and only [`amqp`] uses the AMQP library.

#[cfg(feature = "broker")]
pub mod amqp;
pub mod application;
pub mod backoff;
#[cfg(feature = "broker")]
pub mod dead;
pub mod decision;
#[cfg(feature = "broker")]
pub mod deliver;
pub mod delivery;
pub mod direct;
mod error;
mod event;
pub mod gate;
pub mod metrics;
pub mod monitor;
pub mod outbox;
pub mod queue;
#[cfg(feature = "broker")]
pub mod rabbitmq;
#[cfg(feature = "broker")]
pub mod relay;
pub mod secret;
mod shared;
mod tls;

#[cfg(feature = "broker")]
use std::sync::Arc;

pub use error::Error;
pub use event::{Event, Peer, Report};
pub use secret::Secret;
pub use shared::{Shared, Timing};
pub use tokio_util::sync::CancellationToken;

/// Relays and delivers messages until `stop`: through the broker, or without one directly.
/// `concurrency` is the maximum number of requests at the same time, for each queue of the broker.
#[cfg(feature = "broker")]
pub async fn run(
    database: &Secret,
    broker: Option<&amqp::Address>,
    delivery: &Arc<delivery::Delivery>,
    concurrency: u16,
    stop: &CancellationToken,
) {
    match broker {
        None => direct::run(database, delivery, concurrency, stop).await,
        Some(broker) => {
            tokio::join!(
                relay::run(database, broker, &delivery.shared, stop),
                deliver::run(broker, delivery, concurrency, stop),
            );
        }
    }
}
