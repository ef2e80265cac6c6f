//! The OpenAPI document: its operations, and what its schemas say of a value.

use http::Method;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use crate::support::App;

/// A description of an API.
pub(super) struct Document {
    pub(super) json: Value,
    /// Its components, with objects closed to fields that they do not name.
    closed: Value,
}

/// A method of a path.
pub(super) struct Operation<'d> {
    pub(super) method: Method,
    pub(super) path: &'d str,
    pub(super) json: &'d Value,
    /// Those of the path, too.
    pub(super) parameters: Vec<&'d Value>,
}

impl Document {
    pub(super) fn of(app: &App) -> Document {
        let json = app.get("/openapi.json").json();
        let mut closed = json["components"].clone();
        close(&mut closed["schemas"]);
        Document { json, closed }
    }

    /// The paths, with what there is at each.
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
                    parameters: parameters.map(|it| self.resolve(it)).collect(),
                });
            }
        }
        operations
    }

    /// What `$ref` points to, or the value itself.
    pub(super) fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        self.json.pointer(pointer).unwrap_or_else(|| panic!("nothing is at {reference}"))
    }

    /// What a request may be, by a schema.
    pub(super) fn accepts(&self, schema: &Value) -> Validator {
        validator(schema.clone(), &self.json["components"])
    }

    /// What a response may be, by a schema: no field more than it names.
    pub(super) fn promises(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        close(&mut schema);
        validator(schema, &self.closed)
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
    // References are into the document, so the schema brings the part along that they point to.
    let schema = json!({"allOf": [schema], "components": components});
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&schema)
        .expect("a schema")
}

/// Lets objects have no other fields than those that are named, unless something is said of others.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(close);
            let named = members.get("properties").is_some_and(Value::is_object);
            if named && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Panics with all that is wrong with a value.
#[track_caller]
pub(super) fn fits(validator: &Validator, value: &Value, what: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{} {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what}: {errors:?}: {value}");
}
