//! The spending component: the total of an order. Stores nothing.

mod routes;

use pg::Db;
use web::{Routes, post_public};

/// The routes of this component.
pub const ROUTES: Routes<Db> = &[("/api/v1/spending", post_public(routes::total))];

web::service!(Db, ROUTES);
