//! The OpenAPI document: its operations, and validators for its schemas.

use http::Method;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::support::App;

/// An OpenAPI document.
pub(super) struct Document {
    pub(super) json: Value,
    /// The components of the document, with schemas that allow no unknown properties.
    closed_components: Value,
}

/// An operation: a method of a path.
pub(super) struct Operation<'d> {
    pub(super) method: Method,
    pub(super) path: &'d str,
    pub(super) json: &'d Value,
    /// The parameters of the operation and of its path.
    pub(super) parameters: Vec<&'d Value>,
}

impl Document {
    /// Gets `/openapi.json`.
    pub(super) fn fetch(app: &App) -> Document {
        let json = app.get("/openapi.json").json();
        let mut closed_components = json["components"].clone();
        forbid_unknown_properties(&mut closed_components["schemas"]);
        Document { json, closed_components }
    }

    /// Returns the path items by path.
    pub(super) fn paths(&self) -> &Map<String, Value> {
        self.json["paths"].as_object().expect("paths")
    }

    pub(super) fn operations(&self) -> Vec<Operation<'_>> {
        let mut operations = Vec::new();
        for (path, item) in self.paths() {
            for (method, json) in item.as_object().expect("a path item") {
                if method == "parameters" {
                    continue;
                }
                let parameters = [&item["parameters"], &json["parameters"]];
                let parameters = parameters.into_iter().filter_map(Value::as_array).flatten();
                operations.push(Operation {
                    method: method.to_uppercase().parse().expect("a method"),
                    path,
                    json,
                    parameters: parameters.map(|parameter| self.resolve(parameter)).collect(),
                });
            }
        }
        operations
    }

    /// Follows a `$ref`. Returns a value without one unchanged.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        self.json.pointer(pointer).unwrap_or_else(|| panic!("{reference} does not exist"))
    }

    /// Returns a validator for requests.
    pub(super) fn request_validator(&self, schema: &Value) -> Validator {
        validator(schema.clone(), &self.json["components"])
    }

    /// Returns a validator for responses, which may not have unknown properties.
    pub(super) fn response_validator(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        forbid_unknown_properties(&mut schema);
        validator(schema, &self.closed_components)
    }
}

impl Operation<'_> {
    pub(super) fn id(&self) -> &str {
        self.json["operationId"].as_str().expect("an operationId")
    }

    pub(super) fn tag(&self) -> &str {
        match self.json["tags"].as_array().expect("tags").as_slice() {
            [tag] => tag.as_str().expect("a tag"),
            tags => panic!("{} has the tags {tags:?}", self.id()),
        }
    }
}

fn validator(schema: Value, components: &Value) -> Validator {
    // `$ref` is resolved against the root of the schema, so the components are part of it.
    let schema = json!({"allOf": [schema], "components": components});
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema")
}

/// Sets `additionalProperties: false` in object schemas that do not specify it.
fn forbid_unknown_properties(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(forbid_unknown_properties);
            let has_properties = members.get("properties").is_some_and(Value::is_object);
            if has_properties && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_unknown_properties),
        _ => {}
    }
}

/// Panics with all validation errors of a value.
#[track_caller]
pub(super) fn assert_valid(validator: &Validator, value: &Value, context: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{} {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{context}: {errors:?}: {value}");
}
