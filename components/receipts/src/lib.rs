//! The receipts component: purchases with the prices at the time of purchase.

mod domain;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get_private, post};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/receipts", post(routes::add).get_private(routes::list)),
    ("/api/v1/receipts/{id}", get_private(routes::find)),
];

web::service!(Db, ROUTES);
