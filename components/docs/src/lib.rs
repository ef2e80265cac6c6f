//! The OpenAPI document, Swagger UI, and the API playground.

mod files;
mod routes;

use web::{Routes, get};

/// The routes of this component.
pub const ROUTES: Routes<()> = &[
    ("/", get(routes::root).produces(&routes::ROOT_TYPES)),
    ("/openapi.json", get(routes::openapi)),
    ("/docs", get(routes::swagger_ui).produces(&["text/html"])),
    ("/docs/{version}/{file}", get(routes::asset).produces(&routes::ASSET_TYPES)),
];

web::service!((), ROUTES);
