//! Compares the parser with derived deserialization by `serde_json`, on random bodies, the bodies in
//! `corpus/`, and mutations of those.
//!
//! Names in the corpus begin like those of JSONTestSuite: `y_` for an accepted body, `n_` for malformed
//! JSON, `i_` for well-formed JSON that `serde_json` alone decides on.
//!
//! `PROPTEST_CASES=10000000 cargo test -p json --release` runs longer than the default.

use json::{Error, Fields, FromFields};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The reference. Like this parser, it refuses unknown and duplicate fields.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Body {
    a: String,
    b: Option<i64>,
    c: Option<bool>,
    #[serde(rename = "a/b~c")]
    d: Option<Vec<String>>,
}

impl FromFields for Body {
    fn from_fields(fields: &mut Fields) -> Option<Body> {
        let (a, b, c) = (fields.required("a"), fields.optional("b"), fields.optional("c"));
        let d = fields.optional("a/b~c");
        Some(Body { a: a?, b: b?, c: c?, d: d? })
    }
}

/// Parts of bodies, valid in some places.
fn part() -> impl Strategy<Value = &'static [u8]> {
    let punctuation = b"{}[],: \n\"\\\x00\xff-".chunks(1);
    let tokens = [
        "\"a\"",
        "\"b\"",
        "\"c\"",
        "\"a/b~c\"",
        "\"\\u0061\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\x\"",
        "é",
        "null",
        "true",
        "false",
        "NaN",
        "1",
        "-0",
        "1.0",
        "1e2",
        "01",
        "1e999",
        "9223372036854775807",
        "9223372036854775808",
    ];
    let parts: Vec<_> = punctuation.chain(tokens.map(str::as_bytes)).collect();
    select(parts)
}

/// A JSON value as text.
fn value() -> impl Strategy<Value = String> {
    let leaves = ["null", "true", "1", "-3", "1.5", "\"x\"", "\"\\u00e9\"", "\"\\ud800\"", "1e400"];
    let leaf = select(leaves.to_vec()).prop_map(str::to_owned);
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            inner.prop_map(|value| format!("{{\"k\": {value}}}")),
        ]
    })
}

/// An object, often a valid body.
fn object() -> impl Strategy<Value = Vec<u8>> {
    let name = select(vec!["a", "a", "a", "b", "c", "a/b~c", "\\u0061", "x"]);
    let typed = select(vec!["\"x\"", "\"x\"", "1", "true", "[\"x\"]", "[]", "null"]);
    let value = prop_oneof![3 => typed.prop_map(str::to_owned), 1 => value()];
    vec((name, value), 0..6).prop_map(|fields| {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        format!("{{{}}}", fields.join(",")).into_bytes()
    })
}

/// The directory `corpus/`.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

fn body() -> impl Strategy<Value = Vec<u8>> {
    let file = select(test_tools::corpus(CORPUS)).prop_map(|(_, body)| body);
    prop_oneof![
        vec(part(), 0..12).prop_map(|parts| parts.concat()),
        object(),
        (prop_oneof![object(), file], any::<Index>(), 0..3_usize, part()).prop_map(
            |(mut body, index, removed, part)| {
                let start = index.index(body.len() + 1);
                let end = body.len().min(start + removed);
                body.splice(start..end, part.iter().copied());
                body
            }
        ),
    ]
}

/// Checks that a body is read as `serde_json` reads it.
fn check(body: &[u8]) -> Result<(), TestCaseError> {
    match (json::from_slice::<Body>(body), serde_json::from_slice::<Body>(body)) {
        (Ok(read), Ok(expected)) => prop_assert_eq!(read, expected),
        (Err(Error::Syntax(_)), Err(_)) => {}
        (Err(Error::Invalid(errors)), Err(_)) => {
            prop_assert!(!errors.is_empty());
            let is_json = serde_json::from_slice::<IgnoredAny>(body).is_ok();
            prop_assert!(is_json, "{errors:?}");
        }
        (read, expected) => prop_assert!(false, "{read:?}, serde_json: {expected:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn body_is_read_as_serde_json_reads_it(body in body()) {
        check(&body)?;
    }
}

#[test]
fn file_of_the_corpus_has_the_result_in_its_name() {
    for (name, body) in test_tools::corpus(CORPUS) {
        check(&body).expect(&name);
        let result = json::from_slice::<Body>(&body);
        let expected = match &name[..2] {
            "y_" => result.is_ok(),
            "n_" => matches!(result, Err(Error::Syntax(_))),
            "i_" => matches!(result, Err(Error::Invalid(_))) || result.is_ok(),
            _ => panic!("{name} has no result in its name"),
        };
        assert!(expected, "{name}: {result:?}");
    }
}
