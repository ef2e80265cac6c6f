//! Docs: the description of the API, Swagger UI, and a page to try every kata.

mod files;
mod routes;

use web::{Problem, Routes, get};

/// Everything this component answers.
pub const ROUTES: Routes<(), Problem> = &[
    ("/", get(routes::root).produces(&routes::ROOT)),
    ("/openapi.json", get(routes::openapi)),
    ("/docs", get(routes::swagger).produces(&["text/html"])),
    ("/docs/{version}/{file}", get(routes::asset).produces(&routes::ASSET)),
];

web::service!((), ROUTES);
