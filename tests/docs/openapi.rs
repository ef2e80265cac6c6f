//! The validity of the OpenAPI document: references, schemas, examples and links.

use std::collections::BTreeSet;

use serde_json::Value;

use super::between;
use super::schema::{Document, assert_valid};
use crate::support::App;

fn document() -> Document {
    Document::fetch(&App::start())
}

/// Calls `visit` with every object in a value.
fn walk<'v>(value: &'v Value, visit: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Object(members) => {
            visit(value);
            members.values().for_each(|member| walk(member, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

/// Returns the examples of a parameter, header or media type object.
pub(super) fn examples(value: &Value) -> Vec<&Value> {
    let named = value["examples"].as_object().into_iter().flat_map(|examples| examples.values());
    named.map(|example| &example["value"]).chain(value.get("example")).collect()
}

#[test]
fn document_is_openapi_3_1_with_current_version() {
    let document = document();
    assert_eq!(document.json["openapi"], "3.1.0");
    assert_eq!(document.json["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document.json["servers"][0]["url"], "/");
}

#[test]
fn references_resolve_and_components_are_used() {
    let document = document();
    let mut used = BTreeSet::new();
    walk(&document.json, &mut |value| {
        if let Some(reference) = value["$ref"].as_str() {
            document.resolve(value);
            used.insert(reference.to_owned());
        }
    });
    for kind in ["headers", "parameters", "responses", "schemas"] {
        for name in document.json["components"][kind].as_object().expect(kind).keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference} is not used");
        }
    }
}

#[test]
fn operations_have_unique_id_tag_summary_and_description() {
    let document = document();
    let tags = declared_tags(&document);
    let mut ids = BTreeSet::new();
    for operation in document.operations() {
        assert!(ids.insert(operation.id().to_owned()), "repeated id {}", operation.id());
        assert!(tags.contains(operation.tag()), "undeclared tag {}", operation.tag());
        for name in ["summary", "description"] {
            let text = operation.json[name].as_str();
            assert!(text.is_some_and(|text| !text.is_empty()), "{} {name}", operation.id());
        }
    }
}

fn declared_tags(document: &Document) -> BTreeSet<&str> {
    let tags = document.json["tags"].as_array().expect("tags").iter();
    tags.map(|tag| tag["name"].as_str().expect("a name")).collect()
}

#[test]
fn path_parameters_match_path_templates() {
    for operation in document().operations() {
        let segments: BTreeSet<_> = between(operation.path, "{", '}').into_iter().collect();
        let parameters = operation.parameters.iter().filter(|parameter| parameter["in"] == "path");
        let parameters: BTreeSet<_> = parameters
            .map(|parameter| {
                assert_eq!(parameter["required"], true, "{}", operation.path);
                parameter["name"].as_str().expect("a name")
            })
            .collect();
        assert_eq!(parameters, segments, "{}", operation.path);
    }
}

#[test]
fn schemas_are_valid_json_schemas() {
    let document = document();
    for (name, schema) in document.json["components"]["schemas"].as_object().expect("schemas") {
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn examples_match_their_schemas() {
    let document = document();
    let mut count = 0;
    walk(&document.json, &mut |value| {
        if value["schema"].is_object() {
            let validator = document.request_validator(&value["schema"]);
            for example in examples(value) {
                assert_valid(&validator, example, "example");
                count += 1;
            }
        }
    });
    assert!(count > 20, "{count}");
}

#[test]
fn links_refer_to_operations_and_their_parameters() {
    let document = document();
    let operations = document.operations();
    for operation in &operations {
        walk(&operation.json["responses"], &mut |response| {
            let links = response["links"].as_object();
            for link in links.into_iter().flat_map(|links| links.values()) {
                let target = operations.iter().find(|target| link["operationId"] == target.id());
                let target = target.unwrap_or_else(|| panic!("{link}"));
                for name in link["parameters"].as_object().expect("parameters").keys() {
                    let mut names = target.parameters.iter().map(|parameter| &parameter["name"]);
                    assert!(names.any(|parameter| parameter == name), "{link}");
                }
            }
        });
    }
}
