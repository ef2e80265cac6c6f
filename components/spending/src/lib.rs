//! How much will you spend: totals, price lists and receipts.

mod domain;
mod error;
mod order;
mod routes;
mod store;

use pg::Db;
use web::{Routes, compute, get, post};

use error::Error;
use routes::{price_lists, receipts, spending};

/// Everything this component answers.
pub const ROUTES: Routes<Db, Error> = &[
    ("/api/v1/spending", compute(spending::total)),
    ("/api/v1/price-lists", get(price_lists::list)),
    (
        "/api/v1/price-lists/{name}",
        get(price_lists::find).put(price_lists::put).delete(price_lists::remove),
    ),
    ("/api/v1/receipts", post(receipts::add).get(receipts::list)),
    ("/api/v1/receipts/{id}", get(receipts::find)),
];

web::service!(Db, ROUTES);
