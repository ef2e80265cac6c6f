//! The measured routes on axum and tokio-postgres, with a connection pool and statements that are
//! prepared once per connection.

mod problem;
mod routes;

use anyhow::Context;
use axum::Router;
use axum::routing::{delete, get, post};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

/// The state shared by all routes.
#[derive(Clone)]
struct State {
    pool: Pool,
    required_schema: i64,
}

/// Serves on `listener`, with up to `connections` connections to the database of `url`.
pub async fn serve(
    listener: TcpListener,
    url: &str,
    connections: usize,
    required_schema: i64,
) -> anyhow::Result<()> {
    let config = url.parse().context("invalid database URL")?;
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, NoTls, manager);
    let pool = Pool::builder(manager).max_size(connections).build()?;
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // Failure only costs latency.
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router(State { pool, required_schema })).await?)
}

fn router(state: State) -> Router {
    Router::new()
        .route("/api/v1/look/{word}", get(routes::look))
        .route("/api/v1/entries", get(routes::entries))
        .route("/api/v1/newentry", post(routes::add))
        .route("/api/v1/entries/{word}", delete(routes::remove))
        .route("/api/v1/users/{id}", get(routes::user))
        .route("/api/v1/users", get(routes::users))
        .route("/api/v1/spending", post(routes::spending))
        .route("/api/v1/nth-char", post(routes::nth_char))
        .route("/health", get(routes::health))
        .route("/db-check", get(routes::db_check))
        .with_state(state)
}
