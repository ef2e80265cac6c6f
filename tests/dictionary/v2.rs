//! Version 2 of the dictionary API: entity tags and cursor pagination.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::{Value, json};

use crate::support::{App, JSON, Response};

const APPLE: &str = "/api/v2/entries/Apple";

fn fruit() -> Value {
    json!({"definition": "A fruit"})
}

/// Sends a conditional PUT.
fn put_if(app: &App, header: (&str, &str), definition: &str) -> Response {
    let body = json!({"definition": definition}).to_string();
    app.request(Method::PUT, APPLE, &[JSON, header], body)
}

#[test]
fn put_creates_and_then_replaces() {
    let app = App::start();
    let created = app.put(APPLE, &fruit());
    assert_eq!(created.status, 201);
    assert_eq!(created.header("api-version"), "2");
    let first = created.json();
    assert_eq!((&first["word"], &first["definition"]), (&json!("Apple"), &json!("A fruit")));
    assert_eq!(first["created_at"], first["updated_at"]);

    let replaced = app.put(APPLE, &json!({"definition": "A company"}));
    assert_eq!(replaced.status, 200);
    let second = replaced.json();
    assert_eq!(second["definition"], "A company");
    assert_eq!(second["created_at"], first["created_at"]);
    assert!(second["updated_at"].as_str() > first["updated_at"].as_str());
    assert_ne!(replaced.header("etag"), created.header("etag"));

    let found = app.get(APPLE);
    found.assert_json(200, &second);
    assert_eq!(found.header("etag"), replaced.header("etag"));
}

#[test]
fn timestamps_are_rfc_3339_in_utc() {
    let app = App::start();
    app.sql(
        "DO $$ BEGIN EXECUTE format('ALTER ROLE katas_app IN DATABASE %I \
           SET TimeZone = %L', current_database(), 'Asia/Kolkata'); END $$",
    );
    app.put(APPLE, &fruit());
    app.sql("UPDATE katas.entry SET created_at = '2026-01-31 10:30:00.5+01'");
    assert_eq!(app.get(APPLE).json()["created_at"], "2026-01-31T09:30:00.500000Z");
}

#[test]
fn both_versions_see_the_same_entries() {
    let app = App::start();
    app.post("/api/v1/newentry", &json!({"word": "Apple", "definition": "A fruit"}));
    assert_eq!(app.get(APPLE).json()["definition"], "A fruit");
    app.put(APPLE, &json!({"definition": "A company"}));
    assert_eq!(app.get("/api/v1/look/Apple").json()["definition"], "A company");
}

#[test]
fn if_none_match_star_on_an_existing_entry_returns_412() {
    let app = App::start();
    assert_eq!(put_if(&app, ("If-None-Match", "*"), "first").status, 201);
    let response = put_if(&app, ("If-None-Match", "*"), "second");
    response.assert_problem(412, "entry for 'Apple' does not match the precondition");
    assert_eq!(app.get(APPLE).json()["definition"], "first");
}

#[test]
fn if_match_with_a_stale_weak_or_missing_tag_returns_412() {
    let app = App::start();
    put_if(&app, ("If-Match", "*"), "nothing to replace").problem(412);
    put_if(&app, ("If-Match", "\"1-1\""), "nothing to replace").problem(412);
    let old = app.put(APPLE, &fruit()).header("etag").to_owned();
    let replaced = put_if(&app, ("If-Match", &old), "second");
    assert_eq!(replaced.status, 200);
    put_if(&app, ("If-Match", &old), "third").problem(412);
    let new = replaced.header("etag");
    put_if(&app, ("If-Match", &format!("W/{new}")), "weak tags never match").problem(412);
    assert_eq!(put_if(&app, ("If-Match", &format!("{old}, {new}")), "fourth").status, 200);
    assert_eq!(put_if(&app, ("If-Match", "*"), "fifth").status, 200);
    put_if(&app, ("If-Match", "fifth"), "not a tag").problem(400);
    assert_eq!(app.get(APPLE).json()["definition"], "fifth");
}

#[test]
fn if_none_match_with_the_current_tag_returns_412() {
    let app = App::start();
    let tag = app.put(APPLE, &fruit()).header("etag").to_owned();
    put_if(&app, ("If-None-Match", &tag), "second").problem(412);
    assert_eq!(put_if(&app, ("If-None-Match", "\"other\""), "second").status, 200);
}

#[test]
fn etag_is_not_reused_after_delete_and_create() {
    let app = App::start();
    let tag = app.put(APPLE, &fruit()).header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    assert_eq!(app.delete(APPLE).status, 204);
    let recreated = app.put(APPLE, &fruit());
    assert_eq!(recreated.status, 201);
    assert_ne!(recreated.header("etag"), tag);
    put_if(&app, ("If-Match", &tag), "tag of the deleted entry").problem(412);
}

#[test]
fn conditional_get_returns_304_or_412() {
    let app = App::start();
    let tag = app.put(APPLE, &fruit()).header("etag").to_owned();
    let get = |name: &str, value: &str| app.request(Method::GET, APPLE, &[(name, value)], "");
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let response = get("If-None-Match", &known);
        assert_eq!((response.status, response.body.as_str()), (304, ""), "{known}");
        assert_eq!(response.header("etag"), tag);
    }
    assert_eq!(get("If-None-Match", "\"other\"").status, 200);
    assert_eq!(get("If-Match", &tag).status, 200);
    get("If-Match", "\"other\"").problem(412);
    get("If-Match", "nonsense").problem(400);
}

#[test]
fn repeated_delete_returns_404() {
    let app = App::start();
    app.put(APPLE, &fruit());
    let deleted = app.delete(APPLE);
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    app.delete(APPLE).assert_problem(404, "Can't find entry for Apple");
    app.get(APPLE).assert_problem(404, "Can't find entry for Apple");
}

#[test]
fn delete_with_stale_if_match_returns_412() {
    let app = App::start();
    let delete = |value: &str| app.request(Method::DELETE, APPLE, &[("If-Match", value)], "");
    delete("*").problem(404);
    let tag = app.put(APPLE, &fruit()).header("etag").to_owned();
    delete("\"other\"").problem(412);
    assert_eq!(delete(&tag).status, 204);
}

#[test]
fn concurrent_puts_with_the_same_if_match_succeed_once() {
    let app = App::start();
    let mut tag = app.put(APPLE, &json!({"definition": "0"})).header("etag").to_owned();
    for round in 1..=5 {
        let responses: Vec<Response> = std::thread::scope(|scope| {
            let write = |writer| put_if(&app, ("If-Match", &tag), &format!("{round} {writer}"));
            let threads: Vec<_> = (0..6).map(|writer| scope.spawn(move || write(writer))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        let (succeeded, failed): (Vec<_>, Vec<_>) =
            responses.iter().partition(|response| response.status == 200);
        assert_eq!((succeeded.len(), failed.len()), (1, 5));
        assert!(failed.iter().all(|response| response.status == 412));
        assert_eq!(app.get(APPLE).json(), succeeded[0].json());
        tag = succeeded[0].header("etag").to_owned();
    }
}

#[test]
fn concurrent_creations_succeed_once() {
    let app = App::start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let create = || put_if(&app, ("If-None-Match", "*"), "x").status;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 412).count(), 7, "{statuses:?}");
}

#[test]
fn invalid_entry_returns_422() {
    let app = App::start();
    app.put(APPLE, &json!({"definition": "x", "word": "Apple"}))
        .assert_invalid(&[("/word", "is an unknown field")]);
    app.put(APPLE, &json!({"definition": "x".repeat(10_001)}))
        .assert_invalid(&[("/definition", "must have at most 10000 characters")]);
    app.put(APPLE, &json!({})).assert_invalid(&[("/definition", "is required")]);
    let long = format!("/api/v2/entries/{}", "a".repeat(201));
    app.put(&long, &fruit()).assert_invalid(&[("/word", "must have at most 200 characters")]);
    app.put("/api/v2/entries/%00", &fruit())
        .assert_invalid(&[("/word", "must not contain a NUL character")]);
    assert_eq!(app.value("SELECT count(*)::text FROM katas.entry"), "0");
}

#[test]
fn encoded_slash_is_part_of_the_word() {
    let app = App::start();
    let path = "/api/v2/entries/and%2For";
    assert_eq!(app.put(path, &fruit()).json()["word"], "and/or");
    assert_eq!(app.get(path).json()["word"], "and/or");
    app.get("/api/v2/entries/and/or").problem(404);
    assert_eq!(app.delete(path).status, 204);
}

/// Returns all words of a list, following `Link` and checking that it agrees with `next`.
fn walk(app: &App, start: &str, mut on_page: impl FnMut(usize)) -> Vec<String> {
    let mut words = Vec::new();
    let mut path = start.to_owned();
    loop {
        let page = app.get(&path);
        assert_eq!(page.status, 200, "{page:?}");
        let json = page.json();
        let items = json["items"].as_array().expect("items").clone();
        on_page(items.len());
        words.extend(items.iter().map(|item| item["word"].as_str().expect("a word").to_owned()));
        let Some(next) = json["next"].as_str() else {
            assert_eq!(page.header("link"), "");
            return words;
        };
        let link = page.header("link");
        assert!(link.ends_with(&format!("after={next}>; rel=\"next\"")), "{link}");
        path = link.trim_start_matches('<').split('>').next().expect("a target").to_owned();
    }
}

#[test]
fn empty_list_is_one_page() {
    let app = App::start();
    app.get("/api/v2/entries").assert_json(200, &json!({"items": [], "next": null}));
}

#[test]
fn list_items_equal_entries() {
    let app = App::start();
    let entry = app.put(APPLE, &fruit()).json();
    app.get("/api/v2/entries").assert_json(200, &json!({"items": [entry], "next": null}));
}

#[test]
fn entries_are_paged_in_byte_order() {
    let app = App::start();
    let mut words = ["b", "B", "a", "ä", "z", "🦀", "ab", "a b", "a\nb", "%", "_"];
    for word in words {
        app.post("/api/v1/newentry", &json!({"word": word, "definition": ""}));
    }
    words.sort_unstable();
    for limit in [1, 3, 10, 1000] {
        let walked = walk(&app, &format!("/api/v2/entries?limit={limit}"), |length| {
            assert!(length <= limit);
        });
        assert_eq!(walked, words, "limit {limit}");
    }
}

#[test]
fn prefix_is_matched_literally() {
    let app = App::start();
    for word in ["100%", "100 percent", "1000", "10_0", "Ä", "Äpfel", "äpfel"] {
        app.post("/api/v1/newentry", &json!({"word": word, "definition": ""}));
    }
    let words =
        |prefix: &str| walk(&app, &format!("/api/v2/entries?limit=1&prefix={prefix}"), |_| ());
    assert_eq!(words("100%25"), ["100%"]);
    assert_eq!(words("10_"), ["10_0"]);
    assert_eq!(words("100+"), ["100 percent"]);
    assert_eq!(words("%C3%84"), ["Ä", "Äpfel"]);
    assert_eq!(words("x"), [""; 0]);
    assert_eq!(words("").len(), 7);
}

#[test]
fn invalid_page_parameters_return_400() {
    let app = App::start();
    for query in ["limit=0", "limit=1001", "limit=x", "after=nonsense", "after=00", "prefix=%00"] {
        app.get(&format!("/api/v2/entries?{query}")).problem(400);
    }
}

#[test]
fn paging_during_writes_returns_every_unchanged_entry_once() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.entry (word, definition) \
         SELECT 'stays ' || lpad(g::text, 5, '0'), '' FROM generate_series(1, 10000) g",
    );
    let done = AtomicBool::new(false);
    let walked = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Positions before, at and after the current page.
            for number in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                let word = format!("stays {:05}+", number * 37 % 10_000);
                let path = format!("/api/v2/entries/{}", word.replace(' ', "%20"));
                app.put(&path, &fruit());
                app.delete(&path);
            }
        });
        let walked = walk(&app, "/api/v2/entries?limit=97", |_| ());
        done.store(true, Ordering::Relaxed);
        walked
    });
    assert!(walked.is_sorted(), "in order");
    let unchanged: Vec<_> = walked.iter().filter(|word| !word.ends_with('+')).collect();
    assert_eq!(unchanged.len(), 10_000, "each entry once");
    assert_eq!(unchanged.iter().collect::<BTreeSet<_>>().len(), 10_000);
}

#[test]
fn pages_of_long_definitions_are_shorter_and_complete() {
    let app = App::start();
    app.sql(
        "INSERT INTO katas.entry (word, definition) \
         SELECT lpad(g::text, 3, '0'), repeat('🦀', 10000) FROM generate_series(1, 50) g",
    );
    let mut pages = 0;
    let words = walk(&app, "/api/v2/entries?limit=1000", |length| {
        pages += 1;
        // A page has at most 256 KiB, which is six and a half definitions of 40,000 bytes.
        assert!(length <= 7, "{length}");
    });
    assert_eq!(words.len(), 50);
    assert_eq!(pages, 8);
}
