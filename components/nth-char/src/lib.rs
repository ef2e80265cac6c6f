//! The word made of the n-th character of the n-th word. It needs no database, and is given none.

mod routes;

use web::{Problem, Routes, compute};

/// Everything this component answers.
pub const ROUTES: Routes<(), Problem> = &[("/api/v1/nth-char", compute(routes::nth_char))];

web::service!((), ROUTES);
