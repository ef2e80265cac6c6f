//! Datasets: tables of text, loaded from CSV.

mod csv;
mod domain;
mod error;
mod load;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get};

use error::Error;

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/datasets", get(routes::list).post(routes::add)),
    ("/api/v1/datasets/{id}", get(routes::find).delete(routes::remove)),
    ("/api/v1/datasets/{id}/rows", get(routes::rows).produces(routes::ROWS_AS)),
];

web::service!(Db, ROUTES);
