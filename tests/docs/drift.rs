//! The OpenAPI document against the running application: neither says what the other does not.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use katas_host::manifest::{Manifest, Route};
use serde_json::Value;

use super::between;
use super::openapi::examples;
use super::schema::{Document, Operation, fits};
use crate::repository::{files, text};
use crate::support::{App, Response, cluster, root};

/// A way to call an operation.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    /// The parameters of the path.
    path_parameters: BTreeMap<String, String>,
}

impl Call {
    fn send(&self, app: &App) -> Response {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        app.request(self.method.clone(), &self.path, &headers, &self.body)
    }

    fn with(&self, name: &str, value: &str) -> Call {
        let mut call = self.clone();
        call.headers.retain(|(known, _)| known != name);
        call.headers.push((name.to_owned(), value.to_owned()));
        call
    }
}

/// Values of parameters that an answer gave, by operation and name.
type Known = BTreeMap<(String, String), String>;

/// The calls that an operation's examples show: one for each body.
fn calls(operation: &Operation, known: &Known, document: &Document) -> Vec<Call> {
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    let mut path_parameters = BTreeMap::new();
    for parameter in &operation.parameters {
        let name = parameter["name"].as_str().expect("a name");
        let answered = known.get(&(operation.id().to_owned(), name.to_owned())).cloned();
        let value = answered.or_else(|| parameter.get("example").map(plain));
        match (parameter["in"].as_str(), value) {
            (Some("path"), value) => {
                let value = value.unwrap_or_else(|| panic!("{name} has no example"));
                path = path.replace(&format!("{{{name}}}"), &encoded(&value));
                path_parameters.insert(name.to_owned(), value);
            }
            (Some("query"), Some(value)) => query.push(format!("{name}={}", encoded(&value))),
            _ => {}
        }
    }
    let separator = if query.is_empty() { "" } else { "?" };
    let call = Call {
        method: operation.method.clone(),
        path: format!("{path}{separator}{}", query.join("&")),
        headers: Vec::new(),
        body: String::new(),
        path_parameters,
    };
    let content = document.resolve(&operation.json["requestBody"])["content"].as_object();
    let bodies = content.into_iter().flatten().flat_map(|(media_type, content)| {
        examples(content).into_iter().map(move |body| (media_type, plain(body)))
    });
    let with_body = bodies.map(|(media_type, body)| {
        let call = call.with("Content-Type", media_type);
        Call { body, ..call }
    });
    let with_body: Vec<_> = with_body.collect();
    if with_body.is_empty() { vec![call] } else { with_body }
}

/// A text as it is, everything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Panics unless the answer is one that the document promises.
#[track_caller]
fn is_documented(document: &Document, operation: &Operation, response: &Response) {
    let what = format!("{} answers {response:?}", operation.id());
    let documented = &operation.json["responses"][response.status.to_string()];
    assert!(documented.is_object(), "not documented: {what}");
    let documented = document.resolve(documented);
    for (name, header) in documented["headers"].as_object().into_iter().flatten() {
        let header = document.resolve(header);
        match response.header(name) {
            "" => assert_ne!(header["required"], true, "without {name}: {what}"),
            value => fits(&document.promises(&header["schema"]), &value.into(), name),
        }
    }
    let media_type = response.header("content-type").split(';').next().unwrap_or_default();
    match documented["content"].as_object() {
        None => assert_eq!(response.body, "", "{what}"),
        Some(content) => {
            let content = content.get(media_type);
            let content = content.unwrap_or_else(|| panic!("not documented: {what}"));
            if media_type.ends_with("json") {
                fits(&document.promises(&content["schema"]), &response.json(), &what);
            }
        }
    }
}

/// Notes what the links of an answer lead to.
fn follow(operation: &Operation, call: &Call, response: &Response, known: &mut Known) {
    let links = &operation.json["responses"][response.status.to_string()]["links"];
    for link in links.as_object().into_iter().flat_map(|it| it.values()) {
        let to = link["operationId"].as_str().expect("an operation");
        for (name, from) in link["parameters"].as_object().expect("parameters") {
            let from = from.as_str().expect("an expression");
            let value = match from.split_once(['#', '.']) {
                Some(("$response", pointer)) => {
                    let pointer = pointer.strip_prefix("body#").expect("a part of the body");
                    plain(response.json().pointer(pointer).expect("the body has it"))
                }
                Some(("$request", parameter)) => {
                    let name = parameter.strip_prefix("path.").expect("a part of the path");
                    call.path_parameters[name].clone()
                }
                _ => panic!("{from}"),
            };
            known.insert((to.to_owned(), name.clone()), value);
        }
    }
}

/// The operations in an order in which each finds what it needs: what creates under a name of the
/// client's, what gives a name itself, what changes and adds to that, what reads, what removes.
fn in_order(document: &Document) -> Vec<Operation<'_>> {
    let mut operations = document.operations();
    let links: BTreeSet<_> = operations.iter().flat_map(|it| links(it.json)).collect();
    operations.sort_by_key(|operation| match operation.method {
        Method::PUT | Method::POST if links.contains(operation.id()) => 2,
        Method::PUT => 0,
        Method::POST => 1,
        Method::DELETE => 4,
        _ => 3,
    });
    operations
}

/// The operations that the answers of one lead to.
fn links(operation: &Value) -> Vec<&str> {
    let responses = operation["responses"].as_object().expect("responses").values();
    let links = responses.filter_map(|response| response["links"].as_object());
    links.flat_map(|links| links.values()).filter_map(|it| it["operationId"].as_str()).collect()
}

#[test]
fn every_operation_succeeds_as_it_is_documented() {
    let app = App::start();
    let document = Document::of(&app);
    let mut known = Known::new();
    for operation in in_order(&document) {
        for call in calls(&operation, &known, &document) {
            let response = call.send(&app);
            assert!(response.status < 300, "{call:?} {response:?}");
            is_documented(&document, &operation, &response);
            follow(&operation, &call, &response, &mut known);
        }
    }
}

#[test]
fn every_media_type_that_is_documented_can_be_had() {
    let app = App::start();
    let document = Document::of(&app);
    let mut known = Known::new();
    for operation in in_order(&document) {
        let calls = calls(&operation, &known, &document);
        let first = calls[0].send(&app);
        follow(&operation, &calls[0], &first, &mut known);
        let documented = &operation.json["responses"]["200"]["content"];
        let several = documented.as_object().filter(|it| it.len() > 1 && operation.id() != "asset");
        for media_type in several.into_iter().flat_map(|it| it.keys()) {
            let response = calls[0].with("Accept", media_type).send(&app);
            assert!(response.header("content-type").starts_with(media_type), "{response:?}");
            is_documented(&document, &operation, &response);
        }
    }
}

#[test]
fn every_operation_fails_as_it_is_documented() {
    let app = App::start();
    let document = Document::of(&app);
    let check = |operation: &Operation, call: &Call, status: Option<u16>| {
        let response = call.send(&app);
        is_documented(&document, operation, &response);
        if let Some(status) = status {
            assert_eq!(response.status, status, "{call:?} {response:?}");
        }
    };
    for operation in in_order(&document) {
        for call in calls(&operation, &Known::new(), &document) {
            let nothing = "application/x-nothing";
            check(&operation, &call.with("Accept", nothing), Some(406));
            // In a database that is empty, or nearly so.
            check(&operation, &call, None);
            if !call.body.is_empty() {
                check(&operation, &call.with("Content-Type", nothing), Some(415));
            }
            if call.headers.iter().any(|(_, value)| value == "application/json") {
                let with = |body: &str| Call { body: body.to_owned(), ..call.clone() };
                check(&operation, &with("{"), Some(400));
                check(&operation, &with("[]"), Some(422));
                check(&operation, &with("{}"), Some(422));
                check(&operation, &with(&" ".repeat((1 << 20) + 1)), Some(413));
            }
            for value in call.path_parameters.values() {
                let segment = format!("/{}", encoded(value));
                let path = |with: &str| call.path.replace(&segment, &format!("/{with}"));
                check(&operation, &Call { path: path("%FF"), ..call.clone() }, Some(400));
                check(&operation, &Call { path: path("%00"), ..call.clone() }, None);
                check(&operation, &Call { path: path(&"9".repeat(300)), ..call.clone() }, None);
            }
            for parameter in &operation.parameters {
                let name = parameter["name"].as_str().expect("a name");
                match parameter["in"].as_str() {
                    Some("query") => {
                        // With JSON the body says what the query says with CSV.
                        let status = Some(400).filter(|_| call.method == Method::GET);
                        let path = call.path.split('?').next().unwrap_or_default();
                        let path = format!("{path}?{name}=%00");
                        check(&operation, &Call { path, ..call.clone() }, status);
                    }
                    Some("header") if name.starts_with("If-") => {
                        check(&operation, &call.with(name, "no tag"), Some(400));
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn what_needs_the_token_says_so() {
    let app = App::with_token("secret");
    let document = Document::of(&app);
    for operation in document.operations() {
        let response = calls(&operation, &Known::new(), &document)[0].send(&app);
        is_documented(&document, &operation, &response);
        let refused = response.status == 401;
        assert_eq!(refused, operation.json["security"].is_array(), "{}", operation.id());
        assert_eq!(refused, operation.json["responses"]["401"].is_object(), "{}", operation.id());
    }
}

#[test]
fn what_needs_the_database_says_so() {
    let app = App::with(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let document = Document::of(&app);
    for operation in document.operations() {
        let mut unavailable = false;
        for call in calls(&operation, &Known::new(), &document) {
            let response = call.send(&app);
            is_documented(&document, &operation, &response);
            unavailable |= response.status == 503;
        }
        let documented = operation.json["responses"]["503"].is_object();
        assert_eq!(unavailable, documented, "{}", operation.id());
    }
}

#[test]
fn every_path_is_answered_by_the_component_of_its_tag_with_the_methods_it_has() {
    let app = App::start();
    let document = Document::of(&app);
    // Spin passes a line on after its response.
    app.wait_for_log("{", 1);
    let operations = document.operations();
    for path in document.paths().keys() {
        let here: Vec<_> = operations.iter().filter(|operation| operation.path == path).collect();
        let call = calls(here[0], &Known::new(), &document).remove(0);
        let mut allow: Vec<_> = here.iter().map(|operation| operation.method.as_str()).collect();
        if allow.contains(&"GET") {
            allow.push("HEAD");
        }
        allow.push("OPTIONS");
        allow.sort_unstable();
        for real in [path.clone(), path.replace("/api/v1/", "/api/")] {
            let sent =
                call.path.replace("/api/v1/", if real == *path { "/api/v1/" } else { "/api/" });
            let logged = app.log().iter().filter(|line| line.starts_with('{')).count();
            let options = app.request(Method::OPTIONS, &sent, &[], "");
            let mut allowed: Vec<_> = options.header("allow").split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, allow, "{sent}");
            let lines = app.wait_for_log("{", logged + 1);
            let line: Value = serde_json::from_str(&lines[logged]).expect("JSON");
            let answered = (line["component"].as_str(), line["route"].as_str());
            assert_eq!(answered, (Some(here[0].tag()), Some(path.as_str())), "{sent}");
        }
    }
}

/// The paths in the table of routes of every component.
fn routes() -> BTreeSet<String> {
    let tables = files("src/lib.rs").into_iter().filter(|path| path.starts_with("components"));
    let mut routes = BTreeSet::new();
    for path in tables {
        let text = text(&path);
        let (_, table) = text.split_once("Routes<").unwrap_or_else(|| panic!("{path:?}"));
        let (table, _) = table.split_once("];").expect("the table ends");
        routes.extend(between(table, "(\"", '"').into_iter().map(str::to_owned));
    }
    routes
}

#[test]
fn every_route_of_a_component_is_documented_and_no_other() {
    let document = Document::of(&App::start());
    let documented: BTreeSet<_> = document.paths().keys().cloned().collect();
    let routes = routes();
    let hidden: Vec<_> = routes.difference(&documented).collect();
    let absent: Vec<_> = documented.difference(&routes).collect();
    assert!(hidden.is_empty() && absent.is_empty(), "hidden {hidden:?}, absent {absent:?}");
}

/// Whether a path belongs to a route of the manifest, where that stands alone.
fn leads(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (Some("..."), _) | (None, None) => return true,
            (Some(segment), Some(actual)) if segment == actual || segment.starts_with(':') => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_of_the_manifest_leads_to_a_documented_path() {
    let document = Document::of(&App::start());
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    for trigger in &manifest.trigger.http {
        let Route::Pattern(route) = &trigger.route else { panic!("{trigger:?} is private") };
        let twins = document.paths().keys().map(|path| path.replace("/api/v1/", "/api/"));
        let mut paths = document.paths().keys().cloned().chain(twins);
        assert!(paths.any(|path| leads(route, &path)), "{route}");
    }
}
