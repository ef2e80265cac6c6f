//! Tests of the `nth-char` component.

use serde_json::json;

use crate::support::App;

#[test]
fn both_paths_return_the_word_and_ignore_unknown_fields() {
    let app = App::start();
    let words = json!({"words": ["yoda", "best", "has"], "more": 1});
    for path in ["/api/v1/nth-char", "/api/nth-char"] {
        let response = app.post(path, &words);
        response.assert_json(200, &json!({"word": "yes"}));
        assert_eq!(response.header("api-version"), "1");
    }
}

#[test]
fn result_counts_characters_and_ends_at_the_first_short_word() {
    let app = App::start();
    for (words, expected) in [
        (json!([]), ""),
        (json!(["жук", "🦀🐝", "naïve"]), "ж🐝ï"),
        (json!(["ab", "c", "def"]), "a"),
        (json!(["\u{0}", "\\\""]), "\u{0}\""),
    ] {
        let response = app.post("/api/v1/nth-char", &json!({"words": words}));
        response.assert_json(200, &json!({"word": expected}));
    }
}

#[test]
fn more_than_10000_words_are_rejected() {
    let app = App::start();
    let post = |count| app.post("/api/v1/nth-char", &json!({"words": vec!["a"; count]}));
    post(10_000).assert_json(200, &json!({"word": "a"}));
    post(10_001).assert_invalid(&[("/words", "must have at most 10000 elements")]);
}

#[test]
fn invalid_body_returns_the_pointer_of_each_error() {
    let app = App::start();
    for (body, pointer, detail) in [
        (json!({}), "/words", "is required"),
        (json!({"words": "yoda"}), "/words", "must be an array"),
        (json!({"words": ["a", 1]}), "/words/1", "must be a string"),
        (json!([]), "", "must be an object"),
    ] {
        app.post("/api/v1/nth-char", &body).assert_invalid(&[(pointer, detail)]);
    }
    app.get("/api/v1/nth-char").problem(405);
}
