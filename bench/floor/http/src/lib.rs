//! Bindings to `wasi:http` for the floor components, without a framework.

#[expect(missing_docs, reason = "generated from wit/world.wit")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "http",
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "floor_http::bindings",
    });
}

use bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse};

pub use bindings::export;
pub use bindings::exports::wasi::http::incoming_handler::Guest;
pub use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

/// The response body of all floor components, so that all send the same number of bytes.
pub const BODY: &str =
    r#"{"word":"abacus","definition":"a frame with beads on rods, for counting"}"#;

/// Sends a response with status 200, `content-length` and `headers`.
///
/// The body is written before the head, as in `crates/web`: Spin does not set TCP_NODELAY, and the
/// other order costs 40 ms on a keep-alive connection.
///
/// # Panics
///
/// Panics if the host does not accept the body in one write. Spin accepts 1 MiB.
pub fn respond(out: ResponseOutparam, headers: &[(&str, &str)], body: &[u8]) {
    let fields = Fields::new();
    let length = body.len().to_string();
    for (name, value) in [("content-length", length.as_str())].iter().chain(headers) {
        fields.append(name, value.as_bytes()).expect("the header is valid");
    }
    let response = OutgoingResponse::new(fields);
    let sink = response.body().expect("the body is taken once");
    let stream = sink.write().expect("the stream is taken once");
    stream.check_write().expect("the stream is open");
    stream.write(body).expect("the host accepts the body");
    drop(stream);
    OutgoingBody::finish(sink, None).expect("the body has the declared length");
    ResponseOutparam::set(out, Ok(response));
}
