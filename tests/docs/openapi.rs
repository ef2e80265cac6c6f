//! The OpenAPI document by itself: complete, consistent, and with examples that fit.

use std::collections::BTreeSet;

use serde_json::Value;

use super::between;
use super::schema::{Document, fits};
use crate::support::App;

fn document() -> Document {
    Document::of(&App::start())
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

/// The examples of a parameter, a header or a body.
pub(super) fn examples(value: &Value) -> Vec<&Value> {
    let several = value["examples"].as_object().into_iter().flat_map(|it| it.values());
    several.map(|example| &example["value"]).chain(value.get("example")).collect()
}

#[test]
fn it_is_openapi_3_1_of_this_version() {
    let document = document();
    assert_eq!(document.json["openapi"], "3.1.0");
    assert_eq!(document.json["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document.json["servers"][0]["url"], "/");
}

#[test]
fn every_reference_points_to_something_and_everything_shared_is_used() {
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
            assert!(used.contains(&reference), "nothing uses {reference}");
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_a_tag() {
    let document = document();
    let tags: BTreeSet<_> = tags_of(&document);
    let mut names = BTreeSet::new();
    for operation in document.operations() {
        assert!(names.insert(operation.id().to_owned()), "{} is there twice", operation.id());
        assert!(tags.contains(operation.tag()), "{} is not a tag", operation.tag());
        assert!(operation.json["summary"].as_str().is_some_and(|it| !it.is_empty()));
    }
}

fn tags_of(document: &Document) -> BTreeSet<&str> {
    let tags = document.json["tags"].as_array().expect("tags").iter();
    tags.map(|tag| tag["name"].as_str().expect("a name")).collect()
}

#[test]
fn every_segment_that_varies_is_a_parameter() {
    for operation in document().operations() {
        let segments: BTreeSet<_> = between(operation.path, "{", '}').into_iter().collect();
        let parameters = operation.parameters.iter().filter(|it| it["in"] == "path");
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
fn every_schema_is_one() {
    let document = document();
    for (name, schema) in document.json["components"]["schemas"].as_object().expect("schemas") {
        if let Err(error) = jsonschema::draft202012::meta::validate(schema) {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut count = 0;
    walk(&document.json, &mut |value| {
        if value["schema"].is_object() {
            let validator = document.accepts(&value["schema"]);
            for example in examples(value) {
                fits(&validator, example, "an example");
                count += 1;
            }
        }
    });
    assert!(count > 20, "{count}");
}

#[test]
fn every_link_leads_to_an_operation_and_names_its_parameters() {
    let document = document();
    let operations = document.operations();
    for from in &operations {
        walk(&from.json["responses"], &mut |response| {
            for link in response["links"].as_object().into_iter().flat_map(|it| it.values()) {
                let to = operations.iter().find(|it| link["operationId"] == it.id());
                let to = to.unwrap_or_else(|| panic!("{link}"));
                for name in link["parameters"].as_object().expect("parameters").keys() {
                    assert!(to.parameters.iter().any(|it| it["name"] == **name), "{link}");
                }
            }
        });
    }
}
