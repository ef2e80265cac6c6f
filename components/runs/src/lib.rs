//! Runs: a kata over all rows of a dataset, its result kept.

mod domain;
mod error;
mod routes;
mod run;
mod store;

use pg::Db;
use web::{Routes, get};

use error::Error;

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/datasets/{id}/runs", get(routes::list).post(routes::add)),
    ("/api/v1/datasets/{id}/runs/{run}", get(routes::find)),
];

web::service!(Db, ROUTES);
