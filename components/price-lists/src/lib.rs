//! The price-lists component: named lists of prices by item.

mod routes;
mod store;

use pg::Db;
use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/price-lists", get(routes::list)),
    ("/api/v1/price-lists/{name}", get(routes::find).put(routes::put).delete(routes::delete)),
];

web::service!(Db, ROUTES);
