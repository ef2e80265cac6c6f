//! Floor component `hello`: a constant response, the minimum cost of a component.

use floor_http::{BODY, Guest, IncomingRequest, ResponseOutparam, respond};

struct Hello;

impl Guest for Hello {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        respond(out, &[], BODY.as_bytes());
    }
}

floor_http::export!(Hello with_types_in floor_http::bindings);
