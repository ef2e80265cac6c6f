//! The runs component: applies a kata to all rows of a dataset and stores the result, within the
//! request or in parts, each of which is a request by the courier.

mod domain;
mod routes;
mod rows;
mod run;
mod store;
mod task;

use pg::Db;
use web::{Routes, get, post};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/datasets/{id}/runs", get(routes::list).post(routes::add)),
    ("/api/v1/datasets/{id}/runs/{run}", get(routes::find).delete(routes::delete)),
    ("/api/v1/run-parts", post(routes::parts::add)),
    ("/api/v1/run-failures", post(routes::parts::fail)),
];

web::service!(Db, ROUTES);
