//! The n-th character of the n-th word, over HTTP.

use serde_json::json;

use crate::support::App;

#[test]
fn it_answers_as_the_first_one_did() {
    let app = App::start();
    let words = json!({"words": ["yoda", "best", "has"], "more": 1});
    for path in ["/api/v1/nth-char", "/api/nth-char"] {
        let answer = app.post(path, &words);
        answer.is(200, &json!({"word": "yes"}));
        assert_eq!(answer.header("api-version"), "1");
    }
}

#[test]
fn it_counts_characters_and_ends_at_the_first_word_that_is_too_short() {
    let app = App::start();
    for (words, expected) in [
        (json!([]), ""),
        (json!(["жук", "🦀🐝", "naïve"]), "ж🐝ï"),
        (json!(["ab", "c", "def"]), "a"),
        (json!(["\u{0}", "\\\""]), "\u{0}\""),
    ] {
        let answer = app.post("/api/v1/nth-char", &json!({"words": words}));
        answer.is(200, &json!({"word": expected}));
    }
}

#[test]
fn ten_thousand_words_are_taken_and_no_more() {
    let app = App::start();
    let ask = |count| app.post("/api/v1/nth-char", &json!({"words": vec!["a"; count]}));
    ask(10_000).is(200, &json!({"word": "a"}));
    ask(10_001).is_invalid(&[("/words", "must have at most 10000 elements")]);
}

#[test]
fn what_is_not_a_list_of_words_is_named() {
    let app = App::start();
    for (body, pointer, detail) in [
        (json!({}), "/words", "is required"),
        (json!({"words": "yoda"}), "/words", "must be an array"),
        (json!({"words": ["a", 1]}), "/words/1", "must be a string"),
        (json!([]), "", "must be an object"),
    ] {
        app.post("/api/v1/nth-char", &body).is_invalid(&[(pointer, detail)]);
    }
    app.get("/api/v1/nth-char").problem(405);
}
