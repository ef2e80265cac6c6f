//! The dictionary component: words and their definitions.

mod domain;
mod routes;
mod store;

use pg::Db;
use web::{Routes, delete, get, post};

use routes::{v1, v2};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    ("/api/v1/newentry", post(v1::add)),
    ("/api/v1/look/{word}", get(v1::look)),
    ("/api/v1/entries", get(v1::list)),
    ("/api/v1/entries/{word}", delete(v1::delete)),
    ("/api/v2/entries", get(v2::list)),
    ("/api/v2/entries/{word}", get(v2::find).put(v2::put).delete(v2::delete)),
];

web::service!(Db, ROUTES);
