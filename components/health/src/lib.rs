//! Probes and readiness.
//!
//! This component also handles every path without a route, so that unknown paths get the same error
//! envelope as other failures.

mod routes;
mod store;

use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<()> = &[
    ("/health", get(routes::health)),
    ("/healthcheck", get(routes::healthcheck)),
    ("/status", get(routes::status)),
    ("/db-check", get(routes::db_check)),
];

web::service!((), ROUTES);
