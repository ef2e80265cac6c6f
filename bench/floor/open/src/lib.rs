//! Floor component `open`: the response of `hello` after opening a database connection. The engine
//! takes the connection from its pool and resets it; no statement is sent.

use floor_http::{BODY, Guest, IncomingRequest, ResponseOutparam, respond};
use spin_sdk::pg4::Connection;
use spin_sdk::variables;

struct Open;

impl Guest for Open {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let url = variables::get("database_url").expect("database_url is set");
        drop(Connection::open(&url).expect("the database is available"));
        respond(out, &[], BODY.as_bytes());
    }
}

floor_http::export!(Open with_types_in floor_http::bindings);
