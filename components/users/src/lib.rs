//! Users: people with a name and an e-mail address.

mod domain;
mod error;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get};

use error::Error;
use routes::{v1, v2};

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    // Where the first service of users was, with no prefix at all.
    ("/users", get(v1::list)),
    ("/users/{user_id}", get(v1::find)),
    ("/api/v1/users", get(v1::list)),
    ("/api/v1/users/{user_id}", get(v1::find)),
    ("/api/v2/users", get(v2::list).post(v2::add)),
    ("/api/v2/users/{id}", get(v2::find).put(v2::replace).delete(v2::remove)),
];

web::service!(Db, ROUTES);
