//! How much will you spend: the total of an order.

mod error;
mod routes;
mod store;

use pg::Db;
use web::{Routes, compute};

use error::Error;

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[("/api/v1/spending", compute(routes::total))];

web::service!(Db, ROUTES);
