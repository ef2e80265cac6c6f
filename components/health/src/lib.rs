//! Health: what probes ask.
//!
//! It also answers for every path that belongs to nobody, so that such a request gets the same
//! envelope as any other that fails.

mod routes;
mod store;

use pg::Db;
use web::{Problem, Routes, get};

/// Everything this component answers.
pub const ROUTES: Routes<Db, Problem> = &[
    ("/health", get(routes::health)),
    ("/healthcheck", get(routes::healthcheck)),
    ("/status", get(routes::status)),
    ("/db-check", get(routes::db_check)),
];

web::service!(Db, ROUTES);
