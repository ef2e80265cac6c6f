//! Compares the OpenAPI document with the running application, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use katas_host::manifest::{Manifest, Route};
use serde_json::Value;

use super::between;
use super::openapi::examples;
use super::schema::{Document, Operation, assert_valid};
use crate::repository::{files, text};
use crate::support::{App, Response, cluster, root};

/// A request for an operation.
#[derive(Clone, Debug)]
struct Call {
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    path_parameters: BTreeMap<String, String>,
}

impl Call {
    fn send(&self, app: &App) -> Response {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        app.request(self.method.clone(), &self.path, &headers, &self.body)
    }

    fn with_header(&self, name: &str, value: &str) -> Call {
        let mut call = self.clone();
        call.headers.retain(|(existing, _)| existing != name);
        call.headers.push((name.to_owned(), value.to_owned()));
        call
    }

    fn with_path(&self, path: String) -> Call {
        Call { path, ..self.clone() }
    }

    fn with_body(&self, body: String) -> Call {
        Call { body, ..self.clone() }
    }
}

/// Parameter values from links in responses, by operation id and parameter name.
type LinkedValues = BTreeMap<(String, String), String>;

/// Returns the calls in the examples of an operation: one for each example body, and one more for each
/// example of a header. A path parameter takes its value from a link, or else from its example.
fn calls(operation: &Operation, linked: &LinkedValues, document: &Document) -> Vec<Call> {
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    let mut path_parameters = BTreeMap::new();
    for parameter in &operation.parameters {
        let name = parameter["name"].as_str().expect("a name");
        let linked_value = linked.get(&(operation.id().to_owned(), name.to_owned())).cloned();
        let value = linked_value.or_else(|| parameter.get("example").map(to_text));
        match (parameter["in"].as_str(), value) {
            (Some("path"), value) => {
                let value = value.unwrap_or_else(|| panic!("{name} has no example"));
                path = path.replace(&format!("{{{name}}}"), &percent_encode(&value));
                path_parameters.insert(name.to_owned(), value);
            }
            (Some("query"), Some(value)) => {
                query.push(format!("{name}={}", percent_encode(&value)));
            }
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
        examples(content).into_iter().map(move |body| (media_type, to_text(body)))
    });
    let mut calls: Vec<_> = bodies
        .map(|(media_type, body)| call.with_header("Content-Type", media_type).with_body(body))
        .collect();
    if calls.is_empty() {
        calls.push(call);
    }
    for parameter in operation.parameters.iter().filter(|parameter| parameter["in"] == "header") {
        if let (Some(name), Some(value)) = (parameter["name"].as_str(), parameter.get("example")) {
            calls.push(calls[0].with_header(name, &to_text(value)));
        }
    }
    calls
}

/// Returns a string unchanged, and any other value as JSON.
fn to_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Panics unless the operation documents the status, headers and body of a response.
#[track_caller]
fn assert_documented(document: &Document, operation: &Operation, response: &Response) {
    let context = format!("{} returns {response:?}", operation.id());
    let documented = &operation.json["responses"][response.status.to_string()];
    assert!(documented.is_object(), "undocumented status: {context}");
    let documented = document.resolve(documented);
    for (name, header) in documented["headers"].as_object().into_iter().flatten() {
        let header = document.resolve(header);
        match response.header(name) {
            "" => assert_ne!(header["required"], true, "missing header {name}: {context}"),
            value => {
                assert_valid(&document.response_validator(&header["schema"]), &value.into(), name);
            }
        }
    }
    let media_type = response.header("content-type").split(';').next().unwrap_or_default();
    match documented["content"].as_object() {
        None => assert_eq!(response.body, "", "{context}"),
        Some(content) => {
            let content = content.get(media_type);
            let content = content.unwrap_or_else(|| panic!("undocumented media type: {context}"));
            if media_type.ends_with("json") {
                let validator = document.response_validator(&content["schema"]);
                assert_valid(&validator, &response.json(), &context);
            }
        }
    }
}

/// Evaluates the links of a response and records their parameter values.
fn record_links(
    operation: &Operation,
    call: &Call,
    response: &Response,
    linked: &mut LinkedValues,
) {
    let links = &operation.json["responses"][response.status.to_string()]["links"];
    for link in links.as_object().into_iter().flat_map(|links| links.values()) {
        let target = link["operationId"].as_str().expect("an operationId");
        for (name, expression) in link["parameters"].as_object().expect("parameters") {
            let expression = expression.as_str().expect("a runtime expression");
            let value = match expression.split_once(['#', '.']) {
                Some(("$response", source)) => {
                    let pointer = source.strip_prefix("body#").expect("a pointer into the body");
                    to_text(response.json().pointer(pointer).expect("the linked value"))
                }
                Some(("$request", source)) => {
                    let parameter = source.strip_prefix("path.").expect("a path parameter");
                    call.path_parameters[parameter].clone()
                }
                _ => panic!("unsupported expression {expression}"),
            };
            linked.insert((target.to_owned(), name.clone()), value);
        }
    }
}

/// Returns the operations in an order in which each finds the resources that it needs: `PUT` and
/// `POST` that depend on no other operation, those that are the target of a link, reads, deletions.
fn ordered_operations(document: &Document) -> Vec<Operation<'_>> {
    let mut operations = document.operations();
    let linked: BTreeSet<_> =
        operations.iter().flat_map(|operation| linked_operations(operation.json)).collect();
    operations.sort_by_key(|operation| match operation.method {
        Method::PUT | Method::POST if linked.contains(operation.id()) => (2, 0),
        Method::PUT => (0, 0),
        Method::POST => (1, 0),
        // What a resource contains is deleted before the resource.
        Method::DELETE => (4, usize::MAX - operation.path.len()),
        _ => (3, 0),
    });
    operations
}

/// Returns the ids of the operations that the responses of an operation link to.
fn linked_operations(operation: &Value) -> Vec<&str> {
    let responses = operation["responses"].as_object().expect("responses").values();
    let links = responses.filter_map(|response| response["links"].as_object());
    let links = links.flat_map(|links| links.values());
    links.filter_map(|link| link["operationId"].as_str()).collect()
}

#[test]
fn successful_responses_match_document() {
    assert_successful_responses_match_document(&App::start());
}

/// Calls every operation with its examples.
pub(crate) fn assert_successful_responses_match_document(app: &App) {
    let document = Document::fetch(app);
    let mut linked = LinkedValues::new();
    for operation in ordered_operations(&document) {
        for call in calls(&operation, &linked, &document) {
            let response = call.send(app);
            assert!(response.status < 300, "{call:?} {response:?}");
            assert_documented(&document, &operation, &response);
            record_links(&operation, &call, &response, &mut linked);
        }
    }
}

#[test]
fn documented_media_types_are_available() {
    let app = App::start();
    let document = Document::fetch(&app);
    let mut linked = LinkedValues::new();
    for operation in ordered_operations(&document) {
        let call = calls(&operation, &linked, &document).remove(0);
        let response = call.send(&app);
        record_links(&operation, &call, &response, &mut linked);
        let content = operation.json["responses"]["200"]["content"].as_object();
        // Each asset has only one of the media types.
        let negotiated = content.filter(|types| types.len() > 1 && operation.id() != "asset");
        for media_type in negotiated.into_iter().flat_map(|types| types.keys()) {
            let response = call.with_header("Accept", media_type).send(&app);
            assert!(response.header("content-type").starts_with(media_type), "{response:?}");
            assert_documented(&document, &operation, &response);
        }
    }
}

#[test]
fn error_responses_match_document() {
    assert_error_responses_match_document(&App::start());
}

/// Calls every operation with invalid requests.
pub(crate) fn assert_error_responses_match_document(app: &App) {
    let document = Document::fetch(app);
    let check = |operation: &Operation, call: &Call, status: Option<u16>| {
        let response = call.send(app);
        assert_documented(&document, operation, &response);
        if let Some(status) = status {
            assert_eq!(response.status, status, "{call:?} {response:?}");
        }
    };
    for operation in ordered_operations(&document) {
        for call in calls(&operation, &LinkedValues::new(), &document) {
            let unknown_type = "application/x-unknown";
            check(&operation, &call.with_header("Accept", unknown_type), Some(406));
            // The resources of most operations do not exist, so that 404 is checked as well.
            check(&operation, &call, None);
            if !call.body.is_empty() {
                check(&operation, &call.with_header("Content-Type", unknown_type), Some(415));
            }
            if call.headers.iter().any(|(_, value)| value.ends_with("json")) {
                let with_body = |body: &str| call.with_body(body.to_owned());
                check(&operation, &with_body("{"), Some(400));
                check(&operation, &with_body("[]"), Some(422));
                // Every field of a patch is optional.
                let is_patch = operation.method == Method::PATCH;
                check(&operation, &with_body("{}"), Some(422).filter(|_| !is_patch));
                check(&operation, &with_body(&" ".repeat((1 << 20) + 1)), Some(413));
            }
            for value in call.path_parameters.values() {
                let segment = format!("/{}", percent_encode(value));
                let with_segment =
                    |other: &str| call.with_path(call.path.replace(&segment, &format!("/{other}")));
                check(&operation, &with_segment("%FF"), Some(400));
                check(&operation, &with_segment("%00"), None);
                check(&operation, &with_segment(&"9".repeat(300)), None);
            }
            for parameter in &operation.parameters {
                let name = parameter["name"].as_str().expect("a name");
                match parameter["in"].as_str() {
                    Some("query") => {
                        // `POST` with JSON does not read the query.
                        let status = Some(400).filter(|_| call.method == Method::GET);
                        let path = call.path.split('?').next().unwrap_or_default();
                        let path = format!("{path}?{name}=%00");
                        check(&operation, &call.with_path(path), status);
                    }
                    Some("header") if name.starts_with("If-") => {
                        // A resource that does not exist has no tag to compare.
                        let call = call.with_header(name, "no tag");
                        let status = call.send(app).status;
                        assert!(matches!(status, 400 | 404), "{call:?} {status}");
                        check(&operation, &call, Some(status));
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn operations_with_security_return_401_without_token() {
    let app = App::with_private_reads("secret");
    let document = Document::fetch(&app);
    for operation in document.operations() {
        let response = calls(&operation, &LinkedValues::new(), &document)[0].send(&app);
        assert_documented(&document, &operation, &response);
        let needs_token = response.status == 401;
        let id = operation.id();
        assert_eq!(needs_token, operation.json["security"].is_array(), "{id}");
        assert_eq!(needs_token, operation.json["responses"]["401"].is_object(), "{id}");
    }
}

#[test]
fn operations_that_document_503_return_it_without_database() {
    let app = App::with_url(cluster(), "postgres", "postgres://u:p@127.0.0.1:1/x");
    let document = Document::fetch(&app);
    for operation in document.operations() {
        let mut unavailable = false;
        for call in calls(&operation, &LinkedValues::new(), &document) {
            let response = call.send(&app);
            assert_documented(&document, &operation, &response);
            unavailable |= response.status == 503;
        }
        let documented = operation.json["responses"]["503"].is_object();
        assert_eq!(unavailable, documented, "{}", operation.id());
    }
}

#[test]
fn paths_allow_documented_methods_and_belong_to_component_of_tag() {
    let app = App::start();
    let document = Document::fetch(&app);
    // Spin forwards a log line after the response.
    app.wait_for_log("{", 1);
    let operations = document.operations();
    for path in document.paths().keys() {
        let at_path: Vec<_> =
            operations.iter().filter(|operation| operation.path == path).collect();
        let call = calls(at_path[0], &LinkedValues::new(), &document).remove(0);
        let mut methods: Vec<_> =
            at_path.iter().map(|operation| operation.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        for url in [call.path.clone(), call.path.replace("/api/v1/", "/api/")] {
            let logged = app.log().iter().filter(|line| line.starts_with('{')).count();
            let options = app.request(Method::OPTIONS, &url, &[], "");
            let mut allowed: Vec<_> = options.header("allow").split(", ").collect();
            allowed.sort_unstable();
            assert_eq!(allowed, methods, "{url}");
            let lines = app.wait_for_log("{", logged + 1);
            let line: Value = serde_json::from_str(&lines[logged]).expect("JSON");
            let served_by = (line["component"].as_str(), line["route"].as_str());
            assert_eq!(served_by, (Some(at_path[0].tag()), Some(path.as_str())), "{url}");
        }
    }
}

/// Returns the paths in the route tables of all components.
fn component_routes() -> BTreeSet<String> {
    let sources = files("src/lib.rs").into_iter().filter(|path| path.starts_with("components"));
    let mut routes = BTreeSet::new();
    for path in sources {
        let text = text(&path);
        let (_, table) = text.split_once("Routes<").unwrap_or_else(|| panic!("{path:?}"));
        let (table, _) = table.split_once("];").expect("the end of the table");
        routes.extend(between(table, "\"/", '"').into_iter().map(|path| format!("/{path}")));
    }
    routes
}

#[test]
fn documented_paths_equal_component_routes() {
    let document = Document::fetch(&App::start());
    let documented: BTreeSet<_> = document.paths().keys().cloned().collect();
    let routes = component_routes();
    let undocumented: Vec<_> = routes.difference(&documented).collect();
    let missing: Vec<_> = documented.difference(&routes).collect();
    assert!(
        undocumented.is_empty() && missing.is_empty(),
        "undocumented {undocumented:?}, missing {missing:?}"
    );
}

/// Returns whether a route of the manifest matches a path. Ignores precedence between routes.
fn route_matches(route: &str, path: &str) -> bool {
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
fn manifest_routes_match_documented_paths() {
    let document = Document::fetch(&App::start());
    let manifest = Manifest::read(&root().join("spin.toml")).expect("a valid manifest");
    for trigger in &manifest.trigger.http {
        let Route::Pattern(route) = &trigger.route else { panic!("{trigger:?} is private") };
        let aliases = document.paths().keys().map(|path| path.replace("/api/v1/", "/api/"));
        let mut paths = document.paths().keys().cloned().chain(aliases);
        assert!(paths.any(|path| route_matches(route, &path)), "{route}");
    }
}
