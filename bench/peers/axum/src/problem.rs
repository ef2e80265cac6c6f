//! Errors as `application/problem+json`.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use deadpool_postgres::PoolError;
use serde_json::json;

/// An error response: status and detail.
pub struct Problem(pub StatusCode, pub String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Problem(status, detail) = self;
        let title = status.canonical_reason();
        let body = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail
        });
        let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, content_type, Json(body)).into_response()
    }
}

impl From<PoolError> for Problem {
    fn from(_: PoolError) -> Problem {
        Problem(StatusCode::SERVICE_UNAVAILABLE, "the database does not respond".to_owned())
    }
}

impl From<tokio_postgres::Error> for Problem {
    fn from(_: tokio_postgres::Error) -> Problem {
        Problem(StatusCode::SERVICE_UNAVAILABLE, "the database does not respond".to_owned())
    }
}
