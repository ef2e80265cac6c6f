//! Random paths, query strings and cursors, those in `corpus/`, and mutations of those.
//!
//! A file in the corpus has two lines: the target of a request, and the status of its response with, if
//! that is 200, the body.
//!
//! `PROPTEST_CASES=10000000 cargo test -p web --release` runs longer than the default.

use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use web::{Problem, Reply, Request, Routes, get, respond};

const ROUTES: Routes<()> = &[
    ("/api/v1/things/{name}", get(|request, ()| Ok(Reply::ok(&request.param("name"))))),
    ("/api/v2/things/{name}/of/{owner}", get(names)),
    ("/query", get(query)),
    ("/page", get(page)),
    ("/words", get(words)),
];

fn names(request: &Request, _: &()) -> Result<Reply, Problem> {
    Ok(Reply::ok(&[request.param("name"), request.param("owner")]))
}

fn query(request: &Request, _: &()) -> Result<Reply, Problem> {
    let query = request.query()?;
    Ok(Reply::ok(&query.text("name")))
}

fn page(request: &Request, _: &()) -> Result<Reply, Problem> {
    Ok(Reply::ok(&request.query()?.after::<i64>()?))
}

fn words(request: &Request, _: &()) -> Result<Reply, Problem> {
    Ok(Reply::ok(&request.query()?.after::<String>()?))
}

/// Returns the response to `GET`, `None` when HTTP does not permit the target.
fn send(target: &str) -> Option<http::Response<Vec<u8>>> {
    let request = http::Request::get(target).body(Vec::new()).ok()?;
    Some(respond(ROUTES, &(), request))
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Text with the characters that separate or encode parts of a target.
fn text() -> impl Strategy<Value = String> {
    let parts =
        ["/", "%", "%2F", "%25", "+", " ", "&", "=", "?", "#", ".", "..", "a", "ä", "\u{1f600}"];
    vec(select(parts.to_vec()), 1..6).prop_map(|parts| parts.concat())
}

/// A target as a client may send it.
fn target() -> impl Strategy<Value = String> {
    let parts = [
        "/", "/api", "/v1", "/v2", "/things", "/of", "/query", "/page", "?", "&", "=", "after=",
        "name=", "%", "%2", "%2F", "%FF", "%00", "%C3%A4", "+", "a", "3132", ";", "//", "..",
    ];
    let random =
        vec(select(parts.to_vec()), 0..10).prop_map(|parts| format!("/{}", parts.concat()));
    let edits = vec((any::<Index>(), 0..3_usize, select(parts.to_vec())), 0..3);
    let mutated = (select(corpus()), edits).prop_map(|(file, edits)| {
        let mut target = file.target.into_bytes();
        for (index, removed, inserted) in edits {
            let start = index.index(target.len() + 1);
            let end = target.len().min(start + removed);
            target.splice(start..end, inserted.bytes());
        }
        String::from_utf8(target).expect("ASCII")
    });
    prop_oneof![random, mutated]
}

/// A file in `corpus/`.
#[derive(Clone, Debug)]
struct File {
    name: String,
    target: String,
    response: String,
}

fn corpus() -> Vec<File> {
    let files = test_tools::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"));
    let file = |(name, content)| {
        let text = String::from_utf8(content).expect("the file is UTF-8");
        let (target, response) = text.split_once('\n').expect("two lines");
        let (target, response) = (target.to_owned(), response.trim_end().to_owned());
        File { name, target, response }
    };
    files.into_iter().map(file).collect()
}

#[test]
fn target_of_the_corpus_gets_the_recorded_response() {
    for File { name, target, response } in corpus() {
        let received = send(&target).expect(&name);
        let mut text = received.status().as_str().to_owned();
        if received.status() == StatusCode::OK {
            text = format!("{text} {}", String::from_utf8_lossy(received.body()));
        }
        assert_eq!(text, response, "{name}: {target}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn encoded_segments_reach_the_handler_decoded(name in text(), owner in text()) {
        let expected = serde_json::to_vec(&[&name, &owner]).unwrap();
        let path = format!("/api/v2/things/{}/of/{}", encode(&name), encode(&owner));
        prop_assert_eq!(send(&path).unwrap().into_body(), expected);
        let expected = serde_json::to_vec(&name).unwrap();
        for version in ["/v1", ""] {
            let path = format!("/api{version}/things/{}", encode(&name));
            prop_assert_eq!(&send(&path).unwrap().into_body(), &expected);
        }
    }

    #[test]
    fn last_encoded_parameter_reaches_the_handler_decoded(pairs in vec((text(), text()), 0..4), value in text()) {
        let mut query: String = pairs
            .iter()
            .map(|(name, value)| format!("{}={}&", encode(name), encode(value)))
            .collect();
        query += &format!("name={}", encode(&value).replace("%20", "+"));
        let expected = serde_json::to_vec(&Some(value)).unwrap();
        prop_assert_eq!(send(&format!("/query?{query}")).unwrap().into_body(), expected);
    }

    #[test]
    fn arbitrary_target_gets_a_response_to_the_client(target in target()) {
        if let Some(response) = send(&target) {
            let statuses = [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND];
            prop_assert!(statuses.contains(&response.status()), "{response:?}");
        }
    }

    #[test]
    fn cursor_is_a_decimal_integer_in_hexadecimal_or_rejected(cursor in "[0-9a-fA-F]{0,12}|\\PC{0,4}") {
        let response = send(&format!("/page?after={}", encode(&cursor))).unwrap();
        let bytes: Option<Vec<u8>> = (cursor.len() % 2 == 0 && cursor.is_ascii())
            .then(|| (0..cursor.len()).step_by(2).map(|at| u8::from_str_radix(&cursor[at..at + 2], 16)))
            .and_then(|bytes| bytes.collect::<Result<_, _>>().ok());
        let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<i64>().ok());
        match key {
            Some(key) => prop_assert_eq!(response.into_body(), key.to_string().into_bytes()),
            None => prop_assert_eq!(response.status(), StatusCode::BAD_REQUEST),
        }
    }
}
