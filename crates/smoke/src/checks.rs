//! The checks in execution order: reachability, readiness, then each service.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Auth, Client, EnginePaths, Location};

/// A check of behavior that docs/API.md documents.
pub(crate) struct Check {
    /// The name in reports.
    pub(crate) name: &'static str,
    /// The condition that the check tests.
    pub(crate) expects: &'static str,
    /// Whether the check is skipped without a token.
    pub(crate) needs_token: bool,
    /// Whether the check writes, and fails if the deployment requires a token that was not given.
    pub(crate) writes: bool,
    pub(crate) run: fn(&mut Client<'_>) -> Result<(), String>,
}

const fn check(
    name: &'static str,
    expects: &'static str,
    run: fn(&mut Client<'_>) -> Result<(), String>,
) -> Check {
    Check { name, expects, needs_token: false, writes: false, run }
}

const fn write(
    name: &'static str,
    expects: &'static str,
    run: fn(&mut Client<'_>) -> Result<(), String>,
) -> Check {
    Check { writes: true, ..check(name, expects, run) }
}

/// All checks. Each one covers a component, or the path between the components and their clients.
/// Its name is part of the names of its test data.
pub(crate) const CHECKS: &[Check] = &[
    check("reachable", "the deployment responds", reachable),
    check("engine", "Spin's built-in paths are open inside the cluster and closed outside", engine),
    check("health", "the health endpoints respond", health),
    check("db-check", "the database is reachable and its schema is recent enough", db_check),
    check("docs", "the OpenAPI document and the pages are served", docs),
    check("errors", "invalid requests get the documented errors", errors),
    Check {
        needs_token: true,
        ..check("token", "writes without a valid token are rejected", token)
    },
    check("nth-char", "a word is computed and invalid input is rejected", nth_char),
    check("spending", "a total is computed and an unknown price list is rejected", spending),
    write("dictionary-v1", "an entry is created, read and deleted", dictionary_v1),
    write("dictionary-v2", "a conditional write with a stale ETag is rejected", dictionary_v2),
    write("users", "a user is created, read, updated and deleted", users),
    write("price-lists", "a price list is stored and used for a total", price_lists),
    write("receipts", "receipts are listed and an invalid one is rejected", receipts),
    write("datasets", "a CSV file is stored and returned unchanged", datasets),
    write("runs", "a kata is run over a dataset, at once and asynchronously", runs),
];

/// Returns the length of the longest name of a check.
pub(crate) fn name_width() -> usize {
    CHECKS.iter().map(|check| check.name.len()).max().unwrap_or_default()
}

/// The status codes of a gateway without a working backend.
const GATEWAY_ERRORS: [u16; 3] = [502, 503, 504];

fn reachable(client: &mut Client<'_>) -> Result<(), String> {
    // This route needs no database, so a 503 does not come from a service.
    let response = client.get("/health")?;
    if GATEWAY_ERRORS.contains(&response.status()) && !response.is_problem() {
        client.set_unreachable();
        return response.expect_status(200).map(|_| ());
    }
    client.note(format!("{:?}", response.version));
    Ok(())
}

fn engine(client: &mut Client<'_>) -> Result<(), String> {
    let mut seen = Vec::new();
    for path in ["/.well-known/spin/health", "/.well-known/spin/info"] {
        let response = client.get(path)?;
        match (client.engine_paths, response.status()) {
            (EnginePaths::Open | EnginePaths::Either, 200) => seen.push("open"),
            (EnginePaths::Closed | EnginePaths::Either, 403 | 404) => seen.push("closed"),
            (EnginePaths::Open, _) => return response.expect_status(200).map(|_| ()),
            (EnginePaths::Either | EnginePaths::Closed, status) => {
                let remedy = "close it at the gateway, or pass --inside if there is none";
                let failure = format!("status {status}, expected 403 or 404; {remedy}");
                return Err(response.failure(failure));
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
        client
            .get(path)?
            .expect_status(200)?
            .expect_json(&expected)?
            .expect_header("cache-control", "no-store")?;
    }
    Ok(())
}

fn db_check(client: &mut Client<'_>) -> Result<(), String> {
    let response = client.get("/db-check")?.expect_status(200)?;
    let response = response.expect_json(&json!({"status": "ready", "database": "connected"}))?;
    let schema = &response.json()?["schema"];
    match (schema["version"].as_i64(), schema["required"].as_i64()) {
        (Some(version), Some(required)) if version >= required => {
            client.note(format!("version {version}, required {required}"));
            Ok(())
        }
        _ => Err(response.failure(format!("/schema is {schema}, expected version >= required"))),
    }
}

fn docs(client: &mut Client<'_>) -> Result<(), String> {
    let root = client
        .get("/")?
        .expect_status(200)?
        .expect_json(&json!({"status": "healthy", "app": "katas"}))?;
    let version = root.json()?["version"].as_str().unwrap_or_default().to_owned();

    let openapi = client.get("/openapi.json")?.expect_status(200)?;
    let document = openapi.json()?;
    if !document["openapi"].as_str().unwrap_or_default().starts_with("3.1") {
        return Err(openapi.failure(format!("/openapi is {}, expected 3.1", document["openapi"])));
    }
    let paths = document["paths"].as_object().map_or(0, serde_json::Map::len);
    if paths == 0 {
        return Err(openapi.failure("/paths is empty"));
    }
    let tag = openapi.etag()?;
    client.get_with("/openapi.json", &[("if-none-match", &tag)])?.expect_status(304)?;

    for path in ["/", "/docs"] {
        let page = client.get_with(path, &[("accept", "text/html")])?.expect_status(200)?;
        let page = page.expect_header_contains("content-type", "text/html")?;
        let page = page.expect_header_contains("content-security-policy", "default-src 'none'")?;
        page.expect_header("x-content-type-options", "nosniff")?;
    }
    client.note(format!("version {version}, {paths} paths"));
    Ok(())
}

fn errors(client: &mut Client<'_>) -> Result<(), String> {
    let unknown = format!("/api/v1/{}", client.resource_name());
    client.get(&unknown)?.expect_problem(404)?;
    client
        .post("/health", &json!({}))?
        .expect_problem(405)?
        .expect_header_contains("allow", "GET")?;
    client.get_with("/health", &[("accept", "text/csv")])?.expect_problem(406)?;
    Ok(())
}

fn token(client: &mut Client<'_>) -> Result<(), String> {
    let name = client.resource_name();
    let document = client.get("/openapi.json")?.expect_status(200)?.json()?;
    let writes = protected_writes(&document, &name);
    if writes.is_empty() {
        return Err("GET /openapi.json: no operation requires a token".to_owned());
    }
    for (method, path) in &writes {
        for auth in [Auth::None, Auth::WrongToken] {
            let problem = client.send_invalid(auth, method.clone(), path)?.expect_problem(401)?;
            problem.expect_header_contains("www-authenticate", "Bearer")?;
        }
    }
    client.note(format!("{} operations", writes.len()));
    Ok(())
}

/// Returns the operations of an OpenAPI document that write and require a token, with ids that no
/// resource has, or `name`, in their paths.
fn protected_writes(document: &Value, name: &str) -> Vec<(Method, String)> {
    let mut writes = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if operation["security"].is_array() && method != Method::GET {
                writes.push((method, with_values(document, path, item, operation, name)));
            }
        }
    }
    writes
}

/// Returns a path with values for its parameters.
fn with_values(
    document: &Value,
    path: &str,
    item: &Value,
    operation: &Value,
    name: &str,
) -> String {
    let parameters = [&item["parameters"], &operation["parameters"]];
    let mut path = path.to_owned();
    for parameter in parameters.into_iter().filter_map(Value::as_array).flatten() {
        let parameter = resolve(document, parameter);
        let schema = resolve(document, &parameter["schema"]);
        let value = match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("integer"), _) => "0",
            (_, Some("uuid")) => UNUSED_ID,
            _ => name,
        };
        if let (Some("path"), Some(name)) = (parameter["in"].as_str(), parameter["name"].as_str()) {
            path = path.replace(&format!("{{{name}}}"), value);
        }
    }
    path
}

/// Follows a reference into the document.
fn resolve<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

/// An id that no resource has.
const UNUSED_ID: &str = "00000000-0000-0000-0000-000000000000";

fn nth_char(client: &mut Client<'_>) -> Result<(), String> {
    const PATH: &str = "/api/v1/nth-char";
    let words = json!({"words": ["yoda", "best", "has"]});
    let response = client.post(PATH, &words)?.expect_status(200)?;
    response.expect_json(&json!({"word": "yes"}))?.expect_header("api-version", "1")?;
    client.post_text(PATH, "application/json", "{")?.expect_problem(400)?;
    client.post_text(PATH, "text/plain", "yoda")?.expect_problem(415)?;
    let invalid = client.post(PATH, &json!({"words": 1}))?.expect_problem(422)?;
    match &invalid.json()?["errors"][0]["pointer"] {
        pointer if pointer == "/words" => Ok(()),
        pointer => {
            Err(invalid.failure(format!("/errors/0/pointer is {pointer}, expected \"/words\"")))
        }
    }
}

fn spending(client: &mut Client<'_>) -> Result<(), String> {
    const PATH: &str = "/api/v1/spending";
    let items = ["socks", "shoes", "hat"];
    let order = json!({"costs": {"socks": 5, "shoes": 60}, "items": items, "tax": 0.09});
    let response = client.post(PATH, &order)?.expect_status(200)?;
    response.expect_json(&json!({"total": 70.85}))?.expect_header("api-version", "1")?;
    // A price list is read from the database.
    let order = json!({"price_list": client.resource_name(), "items": items, "tax": 0.09});
    client.post(PATH, &order)?.expect_problem(422)?;
    Ok(())
}

fn dictionary_v1(client: &mut Client<'_>) -> Result<(), String> {
    const ADD: &str = "/api/v1/newentry";
    let word = client.resource_name();
    let entry = json!({"word": word, "definition": "left over from an aborted smoke test"});
    let added =
        client.create(Method::POST, ADD, &[], &entry, Location::InCollection("/api/v1/entries"))?;
    added.expect_status(201)?.expect_json(&entry)?.expect_header("api-version", "1")?;
    client.post(ADD, &entry)?.expect_problem(400)?;
    let found = format!("/api/v1/look/{word}");
    client.get(&found)?.expect_status(200)?.expect_json(&entry)?;
    let entries = client.get("/api/v1/entries?limit=1")?.expect_status(200)?;
    if entries.json()?.as_array().is_none_or(|entries| entries.len() != 1) {
        return Err(entries.failure("the body is not a list with one entry"));
    }
    client.delete(&format!("/api/v1/entries/{word}"), &[])?.expect_status(200)?;
    client.get(&found)?.expect_problem(404)?;
    Ok(())
}

fn dictionary_v2(client: &mut Client<'_>) -> Result<(), String> {
    let word = client.resource_name();
    let path = format!("/api/v2/entries/{word}");
    let (first, second) = (json!({"definition": "first"}), json!({"definition": "second"}));
    let create = [("if-none-match", "*")];
    let added = client.create(Method::PUT, &path, &create, &first, Location::RequestPath)?;
    let added = added.expect_status(201)?.expect_json(&first)?.expect_header("api-version", "2")?;
    let old = added.etag()?;
    client.get(&path)?.expect_status(200)?.expect_json(&first)?.expect_header("etag", &old)?;
    client.get_with(&path, &[("if-none-match", &old)])?.expect_status(304)?;
    client.replace(&path, &create, &second)?.expect_problem(412)?;
    let new = client.replace(&path, &[("if-match", &old)], &second)?.expect_status(200)?.etag()?;
    client.replace(&path, &[("if-match", &old)], &first)?.expect_problem(412)?;
    let page = client.get(&format!("/api/v2/entries?prefix={word}"))?.expect_status(200)?;
    expect_single_item(&page.json()?, &json!({"word": word, "definition": "second"}))
        .map_err(|failure| page.failure(failure))?;
    client.delete(&path, &[("if-match", &old)])?.expect_problem(412)?;
    client.delete(&path, &[("if-match", &new)])?.expect_status(204)?;
    client.get(&path)?.expect_problem(404)?;
    Ok(())
}

/// Expects a last page with a single item that has these members.
fn expect_single_item(page: &Value, expected: &Value) -> Result<(), String> {
    let matches = |item: &Value| {
        expected.as_object().into_iter().flatten().all(|(name, value)| item[name] == *value)
    };
    match page["items"].as_array().map(Vec::as_slice) {
        Some([item]) if matches(item) && page["next"].is_null() => Ok(()),
        _ => Err(format!("the body is {page}, expected a page with only {expected}")),
    }
}

fn users(client: &mut Client<'_>) -> Result<(), String> {
    const USERS: &str = "/api/v2/users";
    let name = client.resource_name();
    let user = json!({"username": name, "email": format!("{name}@example.com")});
    let added = client.create(Method::POST, USERS, &[], &user, Location::ById)?;
    let added = added.expect_status(201)?.expect_json(&user)?.expect_header("api-version", "2")?;
    let (id, old) = (added.id()?, added.etag()?);
    let path = format!("{USERS}/{id}");
    added.expect_header("location", &path)?;
    client
        .get_private(&path)?
        .expect_status(200)?
        .expect_json(&user)?
        .expect_header("etag", &old)?;
    client
        .get_private(&format!("/api/v1/users/{id}"))?
        .expect_status(200)?
        .expect_json(&user)?
        .expect_header("api-version", "1")?;
    client.get_private(&format!("{USERS}?limit=1"))?.expect_status(200)?.expect_json(&json!({}))?;
    let updated = json!({"username": name, "email": format!("{name}@example.org")});
    let if_old = [("if-match", old.as_str())];
    let new = client
        .replace(&path, &if_old, &updated)?
        .expect_status(200)?
        .expect_json(&updated)?
        .etag()?;
    client.replace(&path, &if_old, &user)?.expect_problem(412)?;
    let patch = json!({"email": format!("{name}@example.net")});
    let patched = client.patch(&path, &[("if-match", &new)], &patch)?.expect_status(200)?;
    let new = patched.expect_json(&patch)?.expect_json(&json!({"username": name}))?.etag()?;
    client.delete(&path, &[("if-match", &new)])?.expect_status(204)?;
    client.get_private(&path)?.expect_problem(404)?;
    Ok(())
}

fn price_lists(client: &mut Client<'_>) -> Result<(), String> {
    let name = client.resource_name();
    let path = format!("/api/v1/price-lists/{name}");
    let (first, second) = (json!({"costs": {"socks": 5}}), json!({"costs": {"socks": 7}}));
    let created = client.create(Method::PUT, &path, &[], &first, Location::RequestPath)?;
    created.expect_status(201)?.expect_json(&first)?.expect_header("api-version", "1")?;
    client.replace(&path, &[], &second)?.expect_status(200)?.expect_json(&second)?;
    client
        .get(&path)?
        .expect_status(200)?
        .expect_json(&second)?
        .expect_json(&json!({"name": name}))?;
    client.get("/api/v1/price-lists?limit=1")?.expect_status(200)?.expect_json(&json!({}))?;
    let order = json!({"price_list": name, "items": ["socks", "socks"], "tax": 0.5});
    client
        .post("/api/v1/spending", &order)?
        .expect_status(200)?
        .expect_json(&json!({"total": 21}))?;
    client.delete(&path, &[])?.expect_status(204)?;
    client.get(&path)?.expect_problem(404)?;
    Ok(())
}

/// Creates no receipt, because receipts cannot be deleted: it only lists, reads and validates.
fn receipts(client: &mut Client<'_>) -> Result<(), String> {
    const RECEIPTS: &str = "/api/v1/receipts";
    let page = client
        .get_private(&format!("{RECEIPTS}?limit=1"))?
        .expect_status(200)?
        .expect_header("api-version", "1")?;
    if !page.json()?["items"].is_array() {
        return Err(page.failure("/items is not a list"));
    }
    client.get_private(&format!("{RECEIPTS}/{UNUSED_ID}"))?.expect_problem(404)?;
    let unknown = json!({"price_list": client.resource_name(), "items": ["socks"], "tax": 0});
    client.post(RECEIPTS, &unknown)?.expect_problem(422)?;
    client.note("none created, because receipts cannot be deleted");
    Ok(())
}

/// The uploaded CSV file.
const UPLOAD: &str = "word\nyoda\nbest\nhas\n";
/// The same rows as the service exports them.
const EXPORT: &str = "word\r\nyoda\r\nbest\r\nhas\r\n";

/// Creates a dataset and returns its path.
fn create_dataset(client: &mut Client<'_>) -> Result<String, String> {
    const DATASETS: &str = "/api/v1/datasets";
    let name = client.resource_name();
    let created = client.create_from_csv(&format!("{DATASETS}?name={name}"), UPLOAD)?;
    let expected = json!({"name": name, "columns": ["word"], "rows": 3});
    let created = created.expect_status(201)?.expect_json(&expected)?;
    let created = created.expect_header("api-version", "1")?;
    let path = format!("{DATASETS}/{}", created.id()?);
    created.expect_header("location", &path)?;
    Ok(path)
}

fn datasets(client: &mut Client<'_>) -> Result<(), String> {
    let path = create_dataset(client)?;
    let rows = format!("{path}/rows");
    client.get(&path)?.expect_status(200)?.expect_json(&json!({"columns": ["word"], "rows": 3}))?;
    let items = json!({"items": [["yoda"], ["best"], ["has"]], "next": null});
    client.get(&rows)?.expect_status(200)?.expect_json(&items)?;
    let file = client.get_with(&rows, &[("accept", "text/csv")])?.expect_status(200)?;
    let file = file.expect_header_contains("content-type", "text/csv")?;
    if file.body != EXPORT {
        return Err(file.failure(format!("the body is {:?}, expected {EXPORT:?}", file.body)));
    }
    client.delete(&path, &[])?.expect_status(204)?;
    client.get(&path)?.expect_problem(404)?;
    Ok(())
}

fn runs(client: &mut Client<'_>) -> Result<(), String> {
    let dataset = create_dataset(client)?;
    let runs = format!("{dataset}/runs");
    let task = json!({"kata": "nth-char", "column": "word"});
    let result = json!({"kata": "nth-char", "result": {"word": "yes"}, "rows": 3});
    let run = client
        .post(&runs, &task)?
        .expect_status(201)?
        .expect_json(&result)?
        .expect_header("api-version", "1")?;
    let path = format!("{runs}/{}", run.id()?);
    run.expect_header("location", &path)?;
    client.get(&path)?.expect_status(200)?.expect_json(&result)?;
    let page = client.get(&runs)?.expect_status(200)?;
    expect_single_item(&page.json()?, &json!({"kata": "nth-char", "rows": 3}))
        .map_err(|failure| page.failure(failure))?;
    // Only a deployment with a courier completes it.
    let prefer = [("prefer", "respond-async")];
    let queued = client.create(Method::POST, &runs, &prefer, &task, Location::ById)?;
    let queued = queued.expect_status(202)?.expect_json(&json!({"kata": "nth-char"}))?;
    let later = format!("{runs}/{}", queued.id()?);
    queued
        .expect_header("location", &later)?
        .expect_header("preference-applied", "respond-async")?;
    client.get(&later)?.expect_status(200)?.expect_json(&json!({"kata": "nth-char"}))?;
    client.delete(&later, &[])?.expect_status(204)?;
    client.get(&later)?.expect_problem(404)?;
    // Deleting a dataset deletes its runs.
    client.delete(&dataset, &[])?.expect_status(204)?;
    client.get(&path)?.expect_problem(404)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_names_are_unique() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }

    #[test]
    fn protected_writes_are_operations_with_security_that_are_not_reads() {
        let security = json!([{}, {"token": []}]);
        let id = json!({"name": "id", "in": "path", "schema": {"$ref": "#/components/schemas/Id"}});
        let document = json!({
            "paths": {
                "/a": {"get": {"security": security}, "post": {"security": security}},
                "/a/{id}": {
                    "parameters": [id],
                    "delete": {"security": security},
                    "put": {},
                },
                "/b/{word}": {"patch": {
                    "parameters": [{"name": "word", "in": "path", "schema": {"type": "string"}}],
                    "security": security,
                }},
            },
            "components": {"schemas": {"Id": {"type": "integer"}}},
        });
        let writes = protected_writes(&document, "x");
        let writes: Vec<_> =
            writes.iter().map(|(method, path)| format!("{method} {path}")).collect();
        assert_eq!(writes, ["POST /a", "DELETE /a/0", "PATCH /b/x"]);
    }

    #[test]
    fn page_with_other_or_more_items_is_rejected() {
        let expected = json!({"word": "a"});
        let page = |items: Value, next: Value| json!({"items": items, "next": next});
        let single = page(json!([{"word": "a", "x": 1}]), Value::Null);
        expect_single_item(&single, &expected).expect("a single item");
        for other in [
            page(json!([{"word": "a"}]), json!("more")),
            page(json!([{"word": "b"}]), Value::Null),
            page(json!([]), Value::Null),
            page(json!([{"word": "a"}, {"word": "a"}]), Value::Null),
            json!({"word": "a"}),
        ] {
            expect_single_item(&other, &expected).expect_err("not a single item");
        }
    }
}
