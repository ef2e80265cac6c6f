//! Floor component `select`: opens a connection, runs one plain statement and returns its row as
//! JSON. This is the minimum cost of a component that reads a row.

use floor_http::{Guest, IncomingRequest, ResponseOutparam, respond};
use serde::Serialize;
use spin_sdk::pg4::{Connection, DbValue, ParameterValue};
use spin_sdk::variables;

const SQL: &str = "SELECT word, definition FROM katas.entry WHERE word = $1";

#[derive(Serialize)]
struct Entry<'a> {
    word: &'a str,
    definition: &'a str,
}

struct Select;

impl Guest for Select {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let url = variables::get("database_url").expect("database_url is set");
        let connection = Connection::open(&url).expect("the database is available");
        // "abacus" is the first word of the seed.
        let result = connection.query(SQL, &[ParameterValue::Str("abacus".to_owned())]);
        let result = result.expect("the statement is valid");
        // Return the connection to the pool before the response is sent, like the product.
        drop(connection);
        let row = result.rows.first().expect("the word exists");
        let [DbValue::Str(word), DbValue::Str(definition)] = row.as_slice() else {
            panic!("expected two columns of text");
        };
        let body = serde_json::to_vec(&Entry { word, definition }).expect("the row is JSON");
        respond(out, &[], &body);
    }
}

floor_http::export!(Select with_types_in floor_http::bindings);
