//! The dictionary: words and what they mean.

mod domain;
mod error;
mod routes;
mod store;

use pg::Db;
use web::{Routes, delete, get, post};

use error::Error;
use routes::{v1, v2};

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/newentry", post(v1::add)),
    ("/api/v1/look/{word}", get(v1::look)),
    ("/api/v1/entries", get(v1::list)),
    ("/api/v1/entries/{word}", delete(v1::remove)),
    ("/api/v2/entries", get(v2::list)),
    ("/api/v2/entries/{word}", get(v2::find).put(v2::put).delete(v2::remove)),
];

web::service!(Db, ROUTES);
