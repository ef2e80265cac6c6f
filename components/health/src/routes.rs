//! The handlers. Only `/db-check` queries the database; the others succeed without it.

use std::num::ParseIntError;

use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::store;

/// The schema version that this build requires: the newest migration at build time.
const REQUIRED_SCHEMA: &str = env!("REQUIRED_SCHEMA");

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Returns 200 when the component runs.
pub fn health(_: &Request, (): &()) -> Result<Reply, Problem> {
    Ok(uncached(Reply::ok(&Health { status: "healthy" })))
}

#[derive(Serialize)]
struct Healthcheck {
    #[serde(rename = "Healthy")]
    healthy: bool,
}

/// Returns 200 when the component runs, in the format of the former spending service.
pub fn healthcheck(_: &Request, (): &()) -> Result<Reply, Problem> {
    Ok(uncached(Reply::ok(&Healthcheck { healthy: true })))
}

/// Returns 200 when the component runs, in the format of the former users service.
pub fn status(_: &Request, (): &()) -> Result<Reply, Problem> {
    Ok(uncached(Reply::ok(&1)))
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    database: &'static str,
    schema: Schema,
}

#[derive(Serialize)]
struct Schema {
    version: i64,
    required: i64,
}

/// Returns 200 when the database responds and its schema has at least the required version,
/// otherwise 503. A newer schema is accepted: running pods see one while the next release rolls
/// out.
pub fn db_check(_: &Request, (): &()) -> Result<Reply, Problem> {
    let required =
        REQUIRED_SCHEMA.parse().map_err(|error: ParseIntError| Problem::internal(error))?;
    let version = store::schema_version().map_err(not_ready)?;
    if version < required {
        let detail = format!("the schema is at version {version}; this build requires {required}");
        return Err(Problem::unavailable(detail, "migrations are pending; run `migrate up`"));
    }
    let schema = Schema { version, required };
    Ok(uncached(Reply::ok(&Ready { status: "ready", database: "connected", schema })))
}

fn not_ready(error: pg::Error) -> Problem {
    let detail = match error {
        pg::Error::NotMigrated(_) => "the schema does not exist yet",
        pg::Error::Unavailable(_) => "the database does not respond",
        _ => "the database cannot be queried",
    };
    Problem::unavailable(detail, error)
}

/// Disables caching, because a probe needs the current state.
fn uncached(reply: Reply) -> Reply {
    reply.header("cache-control", "no-store")
}
