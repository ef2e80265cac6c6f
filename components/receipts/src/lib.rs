//! Receipts: what was bought, with the prices of that moment.

mod domain;
mod error;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get, post};

use error::Error;

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/receipts", post(routes::add).get(routes::list)),
    ("/api/v1/receipts/{id}", get(routes::find)),
];

web::service!(Db, ROUTES);
