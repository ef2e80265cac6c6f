//! Limits on clients. Spin has none of them: a slow client holds its resources there until it
//! disconnects, and the 1001st concurrent instance fails with 500.

use std::time::Duration;

/// The limits of a [`Server`](crate::Server) on its clients. Tests lower them.
///
/// The defaults keep the memory of `katas` below 512 MiB with the hostile clients listed in
/// docs/PERFORMANCE.md.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of open connections. 64 more are accepted, with an idle timeout of one
    /// second and a 503 response to every request except `/.well-known/spin/health`. Further ones
    /// wait to be accepted.
    pub connections: usize,
    /// The maximum number of instances that are running, or whose response is still being sent.
    /// Further requests get 503. It must not exceed 1000, the size of the engine's pool, beyond
    /// which requests get 500.
    pub instances: usize,
    /// The maximum number of instances whose request body has not arrived completely. Beyond it, a
    /// body of up to 16 KiB has a second to arrive before its instance starts; other requests with
    /// a body get 503. It should be lower than `instances`, so that incomplete requests cannot
    /// occupy all instances.
    pub incomplete_bodies: usize,
    /// The timeout for the head of a request, for an unused connection, and for a response that
    /// makes no progress after its instance has ended.
    pub idle: Duration,
    /// The maximum time between two parts of a request body. Components have shorter limits
    /// (`crates/web/src/pace.rs`).
    pub body_idle: Duration,
    /// The maximum time that a request waits for a pooled database connection.
    pub pool_wait: Duration,
    /// The maximum number of concurrent streams on an HTTP/2 connection.
    pub http2_streams: u32,
    /// The maximum size of the head of an HTTP/1 request in bytes. A larger one gets 431.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 1000,
            instances: 400,
            incomplete_bodies: 100,
            idle: Duration::from_secs(30),
            body_idle: Duration::from_secs(60),
            pool_wait: Duration::from_secs(5),
            http2_streams: 100,
            head_bytes: 64 << 10,
        }
    }
}
