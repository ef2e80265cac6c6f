//! The runs component: applies a kata to all rows of a dataset and stores the result.

mod domain;
mod routes;
mod run;
mod store;

use pg::Db;
use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/datasets/{id}/runs", get(routes::list).post(routes::add)),
    ("/api/v1/datasets/{id}/runs/{run}", get(routes::find)),
];

web::service!(Db, ROUTES);
