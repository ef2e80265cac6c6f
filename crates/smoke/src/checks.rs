//! The checks, in their order: what is reached, what is ready, then each service once.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Caller, Client, Engine, Place};

/// One thing that has to be as docs/API.md promises.
pub(crate) struct Check {
    /// What it is called in reports.
    pub(crate) name: &'static str,
    /// What is true when it passes.
    pub(crate) expects: &'static str,
    /// Whether it means nothing without a token.
    pub(crate) needs_token: bool,
    pub(crate) run: fn(&mut Client<'_>) -> Result<(), String>,
}

const fn check(
    name: &'static str,
    expects: &'static str,
    run: fn(&mut Client<'_>) -> Result<(), String>,
) -> Check {
    Check { name, expects, needs_token: false, run }
}

/// All of them. Each is about one component, or about what is between it and its clients, and names
/// what it makes after itself.
pub(crate) const CHECKS: &[Check] = &[
    check("reachable", "somebody answers", reachable),
    check("engine", "the engine's own paths are open inside and closed outside", engine),
    check("health", "the probes are answered", health),
    check("db-check", "PostgreSQL answers, and its schema is as new as this build needs", db_check),
    check("docs", "the API's description and its pages are there", docs),
    check("errors", "what is refused is refused as promised", errors),
    Check {
        name: "token",
        expects: "nothing can be changed without the token",
        needs_token: true,
        run: token,
    },
    check("nth-char", "a word is made of words, and of nothing else", nth_char),
    check("spending", "an order is reckoned", spending),
    check("dictionary-v1", "a word is added, found and removed", dictionary_v1),
    check("dictionary-v2", "of two writers one wins", dictionary_v2),
    check("users", "a user is added, found, changed and removed", users),
    check("price-lists", "prices are kept, and reckoned with", price_lists),
    check("receipts", "receipts are read, and what cannot be one is refused", receipts),
    check("datasets", "a CSV file comes back as it went", datasets),
    check("runs", "a kata is run over a dataset", runs),
];

/// Statuses that a gateway gives when it has nobody to ask.
const NOBODY: [u16; 3] = [502, 503, 504];

fn reachable(client: &mut Client<'_>) -> Result<(), String> {
    // It needs no database, so a 503 is not a service's own.
    let answer = client.get("/health")?;
    if NOBODY.contains(&answer.status()) && !answer.is_of_service() {
        client.set_away();
        return answer.is(200).map(|_| ());
    }
    client.note(format!("{:?}", answer.version));
    Ok(())
}

fn engine(client: &mut Client<'_>) -> Result<(), String> {
    let mut seen = Vec::new();
    for path in ["/.well-known/spin/health", "/.well-known/spin/info"] {
        let answer = client.get(path)?;
        match (client.engine, answer.status()) {
            (Engine::Open | Engine::Either, 200) => seen.push("open"),
            (Engine::Closed | Engine::Either, 403 | 404) => seen.push("closed"),
            (Engine::Open, _) => return answer.is(200).map(|_| ()),
            (Engine::Either | Engine::Closed, status) => {
                let hint = "a gateway has to close it; --inside if there is none in between";
                return Err(answer.wrong(format!("{status} in place of 403 or 404: {hint}")));
            }
        }
    }
    seen.dedup();
    client.note(seen.join(", "));
    Ok(())
}

fn health(client: &mut Client<'_>) -> Result<(), String> {
    for (path, expected) in [
        ("/health", json!({"status": "healthy"})),
        ("/healthcheck", json!({"Healthy": true})),
        ("/status", json!(1)),
    ] {
        client.get(path)?.is(200)?.shows(&expected)?.has("cache-control", "no-store")?;
    }
    Ok(())
}

fn db_check(client: &mut Client<'_>) -> Result<(), String> {
    let answer = client.get("/db-check")?.is(200)?;
    let answer = answer.shows(&json!({"status": "ready", "database": "connected"}))?;
    let schema = &answer.json()?["schema"];
    match (schema["version"].as_i64(), schema["required"].as_i64()) {
        (Some(version), Some(required)) if version >= required => {
            client.note(format!("version {version}, required {required}"));
            Ok(())
        }
        _ => Err(answer.wrong(format!("the schema is {schema}"))),
    }
}

fn docs(client: &mut Client<'_>) -> Result<(), String> {
    let root = client.get("/")?.is(200)?.shows(&json!({"status": "healthy", "app": "katas"}))?;
    let version = root.json()?["version"].as_str().unwrap_or_default().to_owned();

    let openapi = client.get("/openapi.json")?.is(200)?;
    let description = openapi.json()?;
    if !description["openapi"].as_str().unwrap_or_default().starts_with("3.1") {
        return Err(openapi.wrong(format!("it is version {}", description["openapi"])));
    }
    let paths = description["paths"].as_object().map_or(0, serde_json::Map::len);
    if paths == 0 {
        return Err(openapi.wrong("it has no paths"));
    }
    let tag = openapi.etag()?;
    client.get_with("/openapi.json", &[("if-none-match", &tag)])?.is(304)?;

    for path in ["/", "/docs"] {
        let page = client.get_with(path, &[("accept", "text/html")])?.is(200)?;
        let page = page.has_in("content-type", "text/html")?;
        let page = page.has_in("content-security-policy", "default-src 'none'")?;
        page.has("x-content-type-options", "nosniff")?;
    }
    client.note(format!("version {version}, {paths} paths"));
    Ok(())
}

fn errors(client: &mut Client<'_>) -> Result<(), String> {
    let nowhere = format!("/api/v1/{}", client.name());
    client.get(&nowhere)?.refused(404)?;
    client.post("/health", &json!({}))?.refused(405)?.has_in("allow", "GET")?;
    client.get_with("/health", &[("accept", "text/csv")])?.refused(406)?;
    Ok(())
}

fn token(client: &mut Client<'_>) -> Result<(), String> {
    let name = client.name();
    let changes = [
        (Method::POST, "/api/v1/newentry".to_owned()),
        (Method::DELETE, format!("/api/v1/entries/{name}")),
        (Method::PUT, format!("/api/v2/entries/{name}")),
        (Method::DELETE, format!("/api/v2/entries/{name}")),
        (Method::POST, "/api/v2/users".to_owned()),
        (Method::PUT, format!("/api/v1/price-lists/{name}")),
        (Method::DELETE, format!("/api/v1/price-lists/{name}")),
        (Method::POST, "/api/v1/receipts".to_owned()),
        (Method::POST, "/api/v1/datasets".to_owned()),
        (Method::DELETE, format!("/api/v1/datasets/{NO_ID}")),
        (Method::POST, format!("/api/v1/datasets/{NO_ID}/runs")),
    ];
    for (method, path) in changes {
        for caller in [Caller::Nobody, Caller::Stranger] {
            let refused = client.attempt(caller, method.clone(), &path)?.refused(401)?;
            refused.has_in("www-authenticate", "Bearer")?;
        }
    }
    Ok(())
}

/// An id that nothing has.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

fn nth_char(client: &mut Client<'_>) -> Result<(), String> {
    const PATH: &str = "/api/v1/nth-char";
    let words = json!({"words": ["yoda", "best", "has"]});
    let answer = client.post(PATH, &words)?.is(200)?;
    answer.shows(&json!({"word": "yes"}))?.has("api-version", "1")?;
    client.post_text(PATH, "application/json", "{")?.refused(400)?;
    client.post_text(PATH, "text/plain", "yoda")?.refused(415)?;
    let invalid = client.post(PATH, &json!({"words": 1}))?.refused(422)?;
    match &invalid.json()?["errors"][0]["pointer"] {
        pointer if pointer == "/words" => Ok(()),
        pointer => Err(invalid.wrong(format!("it names {pointer}, not /words"))),
    }
}

fn spending(client: &mut Client<'_>) -> Result<(), String> {
    const PATH: &str = "/api/v1/spending";
    let items = ["socks", "shoes", "hat"];
    let order = json!({"costs": {"socks": 5, "shoes": 60}, "items": items, "tax": 0.09});
    let answer = client.post(PATH, &order)?.is(200)?;
    answer.shows(&json!({"total": 70.85}))?.has("api-version", "1")?;
    // For this one it asks the database.
    let order = json!({"price_list": client.name(), "items": items, "tax": 0.09});
    client.post(PATH, &order)?.refused(422)?;
    Ok(())
}

fn dictionary_v1(client: &mut Client<'_>) -> Result<(), String> {
    const ADD: &str = "/api/v1/newentry";
    let word = client.name();
    let entry = json!({"word": word, "definition": "left by a smoke test that was cut off"});
    let added = client.make(Method::POST, ADD, &[], &entry, Place::In("/api/v1/entries"))?;
    added.is(201)?.shows(&entry)?.has("api-version", "1")?;
    client.post(ADD, &entry)?.refused(400)?;
    let found = format!("/api/v1/look/{word}");
    client.get(&found)?.is(200)?.shows(&entry)?;
    let entries = client.get("/api/v1/entries?limit=1")?.is(200)?;
    if entries.json()?.as_array().is_none_or(|entries| entries.len() != 1) {
        return Err(entries.wrong("it is not a list of one entry"));
    }
    client.delete(&format!("/api/v1/entries/{word}"), &[])?.is(200)?;
    client.get(&found)?.refused(404)?;
    Ok(())
}

fn dictionary_v2(client: &mut Client<'_>) -> Result<(), String> {
    let word = client.name();
    let path = format!("/api/v2/entries/{word}");
    let (first, second) = (json!({"definition": "first"}), json!({"definition": "second"}));
    let create = [("if-none-match", "*")];
    let added = client.make(Method::PUT, &path, &create, &first, Place::Here)?;
    let added = added.is(201)?.shows(&first)?.has("api-version", "2")?;
    let old = added.etag()?;
    client.get(&path)?.is(200)?.shows(&first)?.has("etag", &old)?;
    client.get_with(&path, &[("if-none-match", &old)])?.is(304)?;
    client.replace(&path, &create, &second)?.refused(412)?;
    let new = client.replace(&path, &[("if-match", &old)], &second)?.is(200)?.etag()?;
    client.replace(&path, &[("if-match", &old)], &first)?.refused(412)?;
    let page = client.get(&format!("/api/v2/entries?prefix={word}"))?.is(200)?;
    page_has_one(&page.json()?, &json!({"word": word, "definition": "second"}))
        .map_err(|wrong| page.wrong(wrong))?;
    client.delete(&path, &[("if-match", &old)])?.refused(412)?;
    client.delete(&path, &[("if-match", &new)])?.is(204)?;
    client.get(&path)?.refused(404)?;
    Ok(())
}

/// A page with nothing on it but something with these members.
fn page_has_one(page: &Value, expected: &Value) -> Result<(), String> {
    let same = |item: &Value| {
        expected.as_object().into_iter().flatten().all(|(name, value)| item[name] == *value)
    };
    match page["items"].as_array().map(Vec::as_slice) {
        Some([item]) if same(item) && page["next"].is_null() => Ok(()),
        _ => Err(format!("it is {page}, not a page with {expected} alone")),
    }
}

fn users(client: &mut Client<'_>) -> Result<(), String> {
    const USERS: &str = "/api/v2/users";
    let name = client.name();
    let person = json!({"username": name, "email": format!("{name}@example.com")});
    let added = client.make(Method::POST, USERS, &[], &person, Place::ById)?;
    let added = added.is(201)?.shows(&person)?.has("api-version", "2")?;
    let (id, old) = (added.id()?, added.etag()?);
    let path = format!("{USERS}/{id}");
    added.has("location", &path)?;
    client.get(&path)?.is(200)?.shows(&person)?.has("etag", &old)?;
    client.get(&format!("/api/v1/users/{id}"))?.is(200)?.shows(&person)?.has("api-version", "1")?;
    client.get(&format!("{USERS}?limit=1"))?.is(200)?.shows(&json!({}))?;
    let changed = json!({"username": name, "email": format!("{name}@example.org")});
    let if_old = [("if-match", old.as_str())];
    let new = client.replace(&path, &if_old, &changed)?.is(200)?.shows(&changed)?.etag()?;
    client.replace(&path, &if_old, &person)?.refused(412)?;
    client.delete(&path, &[("if-match", &new)])?.is(204)?;
    client.get(&path)?.refused(404)?;
    Ok(())
}

fn price_lists(client: &mut Client<'_>) -> Result<(), String> {
    let name = client.name();
    let path = format!("/api/v1/price-lists/{name}");
    let (cheap, dear) = (json!({"costs": {"socks": 5}}), json!({"costs": {"socks": 7}}));
    let kept = client.make(Method::PUT, &path, &[], &cheap, Place::Here)?;
    kept.is(201)?.shows(&cheap)?.has("api-version", "1")?;
    client.replace(&path, &[], &dear)?.is(200)?.shows(&dear)?;
    client.get(&path)?.is(200)?.shows(&dear)?.shows(&json!({"name": name}))?;
    client.get("/api/v1/price-lists?limit=1")?.is(200)?.shows(&json!({}))?;
    let order = json!({"price_list": name, "items": ["socks", "socks"], "tax": 0.5});
    client.post("/api/v1/spending", &order)?.is(200)?.shows(&json!({"total": 21}))?;
    client.delete(&path, &[])?.is(204)?;
    client.get(&path)?.refused(404)?;
    Ok(())
}

/// A receipt is kept for ever, so none is made: the service answers, validates and reads.
fn receipts(client: &mut Client<'_>) -> Result<(), String> {
    const RECEIPTS: &str = "/api/v1/receipts";
    let page = client.get(&format!("{RECEIPTS}?limit=1"))?.is(200)?.has("api-version", "1")?;
    if !page.json()?["items"].is_array() {
        return Err(page.wrong("it is not a page"));
    }
    client.get(&format!("{RECEIPTS}/{NO_ID}"))?.refused(404)?;
    let unknown = json!({"price_list": client.name(), "items": ["socks"], "tax": 0});
    client.post(RECEIPTS, &unknown)?.refused(422)?;
    client.note("none is made: it could not be removed");
    Ok(())
}

/// As a file that is sent, and as the one that is had back.
const CSV: [&str; 2] = ["word\nyoda\nbest\nhas\n", "word\r\nyoda\r\nbest\r\nhas\r\n"];

/// Loads a dataset; where it is.
fn load(client: &mut Client<'_>) -> Result<String, String> {
    const DATASETS: &str = "/api/v1/datasets";
    let name = client.name();
    let loaded = client.load(&format!("{DATASETS}?name={name}"), CSV[0])?;
    let shown = json!({"name": name, "columns": ["word"], "rows": 3});
    let loaded = loaded.is(201)?.shows(&shown)?.has("api-version", "1")?;
    let path = format!("{DATASETS}/{}", loaded.id()?);
    loaded.has("location", &path)?;
    Ok(path)
}

fn datasets(client: &mut Client<'_>) -> Result<(), String> {
    let path = load(client)?;
    let rows = format!("{path}/rows");
    client.get(&path)?.is(200)?.shows(&json!({"columns": ["word"], "rows": 3}))?;
    let items = json!({"items": [["yoda"], ["best"], ["has"]], "next": null});
    client.get(&rows)?.is(200)?.shows(&items)?;
    let file = client.get_with(&rows, &[("accept", "text/csv")])?.is(200)?;
    let file = file.has_in("content-type", "text/csv")?;
    if file.body != CSV[1] {
        return Err(file.wrong(format!("the file is {:?}, not {:?}", file.body, CSV[1])));
    }
    client.delete(&path, &[])?.is(204)?;
    client.get(&path)?.refused(404)?;
    Ok(())
}

fn runs(client: &mut Client<'_>) -> Result<(), String> {
    let dataset = load(client)?;
    let runs = format!("{dataset}/runs");
    let task = json!({"kata": "nth-char", "column": "word"});
    let result = json!({"kata": "nth-char", "result": {"word": "yes"}, "rows": 3});
    let run = client.post(&runs, &task)?.is(201)?.shows(&result)?.has("api-version", "1")?;
    let path = format!("{runs}/{}", run.id()?);
    run.has("location", &path)?;
    client.get(&path)?.is(200)?.shows(&result)?;
    let page = client.get(&runs)?.is(200)?;
    page_has_one(&page.json()?, &json!({"kata": "nth-char", "rows": 3}))
        .map_err(|wrong| page.wrong(wrong))?;
    // A run goes with its dataset.
    client.delete(&dataset, &[])?.is(204)?;
    client.get(&path)?.refused(404)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_different_and_fit_their_column() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        assert!(names.iter().all(|name| name.len() <= 14), "{names:?}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn a_page_with_one_item_is_that() {
        let expected = json!({"word": "a"});
        let page = |items: Value, next: Value| json!({"items": items, "next": next});
        page_has_one(&page(json!([{"word": "a", "x": 1}]), Value::Null), &expected).expect("is");
        for other in [
            page(json!([{"word": "a"}]), json!("more")),
            page(json!([{"word": "b"}]), Value::Null),
            page(json!([]), Value::Null),
            page(json!([{"word": "a"}, {"word": "a"}]), Value::Null),
            json!({"word": "a"}),
        ] {
            page_has_one(&other, &expected).expect_err("is not");
        }
    }
}
