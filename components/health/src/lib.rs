//! The health component: liveness and readiness probes.
//!
//! Spin also routes unknown paths to this component, so that they return problem details like other
//! errors.

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
