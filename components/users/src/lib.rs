//! The users component: users with a name and an e-mail address.

mod domain;
mod routes;
mod store;

use pg::Db;
use web::{Routes, get_private};

use routes::{v1, v2};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[
    // The paths of the former users service, without a prefix.
    ("/users", get_private(v1::list).post(v1::add)),
    ("/users/{user_id}", get_private(v1::find)),
    ("/api/v1/users", get_private(v1::list).post(v1::add)),
    ("/api/v1/users/{user_id}", get_private(v1::find)),
    ("/api/v2/users", get_private(v2::list).post(v2::add)),
    (
        "/api/v2/users/{id}",
        get_private(v2::find).put(v2::replace).patch(v2::patch).delete(v2::delete),
    ),
];

web::service!(Db, ROUTES);
