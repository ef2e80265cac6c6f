//! The OpenAPI document, Swagger UI, and a page to try every service.

mod files;
mod routes;

use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<()> = &[
    ("/", get(routes::root).produces(&routes::ROOT)),
    ("/openapi.json", get(routes::openapi)),
    ("/docs", get(routes::swagger).produces(&["text/html"])),
    ("/docs/{version}/{file}", get(routes::asset).produces(&routes::ASSET)),
];

web::service!((), ROUTES);
