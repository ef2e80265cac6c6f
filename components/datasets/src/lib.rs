//! The datasets component: tables of text, loaded from CSV.

mod domain;
mod load;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/datasets", get(routes::list).post(routes::add)),
    ("/api/v1/datasets/{id}", get(routes::find).delete(routes::delete)),
    ("/api/v1/datasets/{id}/rows", get(routes::rows).produces(routes::ROW_TYPES)),
];

web::service!(Db, ROUTES);
