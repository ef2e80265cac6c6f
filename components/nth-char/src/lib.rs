//! The nth-char component: a word from the n-th character of the n-th word. Uses no database.

mod routes;

use web::{Routes, post_public};

/// The routes of this component.
pub const ROUTES: Routes<()> = &[("/api/v1/nth-char", post_public(routes::nth_char))];

web::service!((), ROUTES);
