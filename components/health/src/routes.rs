//! The probes. Only `/db-check` asks the database: the others say that the guest runs, and stay
//! true when the database is not there.

use pg::Db;
use serde::Serialize;
use web::{Problem, Reply, Request};

use crate::store;

/// The newest migration when this component was built: what it needs at least.
const REQUIRED_SCHEMA: &str = env!("REQUIRED_SCHEMA");

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// The guest runs.
pub fn health(_: &Request, _: &Db) -> Result<Reply, Problem> {
    Ok(fresh(Reply::ok(&Health { status: "healthy" })))
}

#[derive(Serialize)]
struct Healthcheck {
    #[serde(rename = "Healthy")]
    healthy: bool,
}

/// The guest runs, as the first spending service said it.
pub fn healthcheck(_: &Request, _: &Db) -> Result<Reply, Problem> {
    Ok(fresh(Reply::ok(&Healthcheck { healthy: true })))
}

/// The guest runs, as the first users service said it.
pub fn status(_: &Request, _: &Db) -> Result<Reply, Problem> {
    Ok(fresh(Reply::ok(&1)))
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

/// Readiness: the database answers, and its schema is at least what this build needs. A newer one
/// is fine: it is what a pod sees while the next release rolls out.
pub fn db_check(_: &Request, db: &Db) -> Result<Reply, Problem> {
    let required = REQUIRED_SCHEMA.parse().map_err(|error| Problem::internal(&error))?;
    let version = store::schema_version(db).map_err(not_ready)?;
    if version < required {
        let detail = format!("the schema is at version {version}, this build needs {required}");
        return Err(Problem::unavailable(detail, &"run `migrate up`"));
    }
    let schema = Schema { version, required };
    Ok(fresh(Reply::ok(&Ready { status: "ready", database: "connected", schema })))
}

fn not_ready(error: pg::Error) -> Problem {
    match error {
        pg::Error::NotMigrated(_) => Problem::unavailable("the schema is not there yet", &error),
        pg::Error::Unavailable(_) => Problem::unavailable("the database does not answer", &error),
        error => Problem::unavailable("the database cannot be asked", &error),
    }
}

/// A probe's answer is about now.
fn fresh(reply: Reply) -> Reply {
    reply.header("cache-control", "no-store")
}
