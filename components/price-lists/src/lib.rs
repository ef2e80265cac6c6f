//! Price lists: prices by item, kept under a name.

mod error;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get};

use error::Error;

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/price-lists", get(routes::list)),
    ("/api/v1/price-lists/{name}", get(routes::find).put(routes::put).delete(routes::remove)),
];

web::service!(Db, ROUTES);
