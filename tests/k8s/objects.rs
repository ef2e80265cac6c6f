//! Kubernetes objects, and the pods that controllers create from them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Objects that are deployed together, in the order in which they are applied.
#[derive(Clone)]
pub(super) struct Objects(Vec<Value>);

pub(super) type Labels = BTreeMap<String, String>;

/// A pod that a controller creates from an object.
pub(super) struct Pod {
    /// Kind and name of the object.
    pub(super) owner: String,
    pub(super) labels: Labels,
    /// The pod specification, `None` if an operator defines it.
    pub(super) spec: Option<Value>,
}

impl Objects {
    /// Parses a stream of YAML documents.
    pub(super) fn parse(yaml: &str) -> Objects {
        Objects(serde_saphyr::from_multiple(yaml).expect("YAML"))
    }

    /// Returns the objects of a kind.
    pub(super) fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Returns whether an object of this kind and name exists.
    pub(super) fn contains(&self, kind: &str, object_name: &str) -> bool {
        self.of_kind(kind).any(|object| name(object) == object_name)
    }

    pub(super) fn all(&self) -> &[Value] {
        &self.0
    }

    /// Appends other objects.
    pub(super) fn chain(mut self, others: Objects) -> Objects {
        self.0.extend(others.0);
        self
    }

    /// Appends the objects in a stream of YAML documents.
    pub(super) fn with_yaml(self, yaml: &str) -> Objects {
        self.chain(Objects::parse(yaml))
    }

    /// Sets a value in the first object of a kind. The last part of the JSON pointer may be a new
    /// key.
    pub(super) fn with_value(mut self, kind: &str, pointer: &str, value: Value) -> Objects {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let object = self.0.iter_mut().find(|object| object["kind"] == kind);
        let object = object.expect("an object of this kind");
        let parent = object.pointer_mut(parent).expect("the parent exists");
        match parent {
            Value::Array(values) => values[key.parse::<usize>().expect("an index")] = value,
            parent => parent[key.replace("~1", "/")] = value,
        }
        self
    }

    /// Removes the first object of a kind.
    pub(super) fn without_first(mut self, kind: &str) -> Objects {
        let index = self.0.iter().position(|object| object["kind"] == kind);
        self.0.remove(index.expect("an object of this kind"));
        self
    }

    /// Returns the pods that controllers create from these objects.
    pub(super) fn pods(&self) -> Vec<Pod> {
        self.0.iter().filter_map(pod).collect()
    }
}

/// Returns an object's name.
pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Returns an object's kind and name.
pub(super) fn title(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap_or_default(), name(object))
}

/// Returns the string at a JSON pointer.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// Returns the elements of the array at a JSON pointer, none if it does not exist.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Returns the labels at a JSON pointer.
pub(super) fn labels(object: &Value, pointer: &str) -> Labels {
    let labels = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    labels
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Returns whether a label selector matches; an empty one matches everything.
pub(super) fn selects(selector: &Value, labels: &Labels) -> bool {
    let equal =
        |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
    let matches = |expression: &Value| {
        let label = labels.get(text(expression, "/key").expect("a key"));
        let values: Vec<_> = list(expression, "/values").iter().filter_map(Value::as_str).collect();
        match text(expression, "/operator").expect("an operator") {
            "In" => label.is_some_and(|label| values.contains(&label.as_str())),
            "NotIn" => label.is_none_or(|label| !values.contains(&label.as_str())),
            "Exists" => label.is_some(),
            "DoesNotExist" => label.is_none(),
            other => panic!("unknown operator {other}"),
        }
    };
    selector["matchLabels"].as_object().into_iter().flatten().all(equal)
        && list(selector, "/matchExpressions").iter().all(matches)
}

fn pod(object: &Value) -> Option<Pod> {
    let template = |pointer: &str| {
        let template = object.pointer(pointer)?;
        Some((labels(template, "/metadata/labels"), Some(template["spec"].clone())))
    };
    let name = name(object);
    let (labels, spec) = match object["kind"].as_str()? {
        "Job" | "StatefulSet" | "Deployment" => template("/spec/template")?,
        "CronJob" => template("/spec/jobTemplate/spec/template")?,
        // Labels that spin-operator sets.
        "SpinApp" => (
            labels(object, "/spec/podLabels")
                .into_iter()
                .chain([
                    ("core.spinkube.dev/app-name".to_owned(), name.to_owned()),
                    (format!("core.spinkube.dev/app.{name}.status"), "ready".to_owned()),
                ])
                .collect(),
            None,
        ),
        // Labels that CloudNativePG sets.
        "Cluster" => (
            labels(
                &json!({
                    "app.kubernetes.io/component": "database",
                    "app.kubernetes.io/name": "postgresql",
                    "cnpg.io/cluster": name,
                }),
                "",
            ),
            None,
        ),
        "RabbitmqCluster" => (
            labels(
                &json!({
                    "app.kubernetes.io/component": "rabbitmq",
                    "app.kubernetes.io/name": name,
                    "app.kubernetes.io/part-of": "rabbitmq",
                }),
                "",
            ),
            None,
        ),
        "Pooler" => (
            labels(
                &json!({
                    "app.kubernetes.io/component": "pooler",
                    "app.kubernetes.io/name": "postgresql",
                    "cnpg.io/cluster": text(object, "/spec/cluster/name")?,
                    "cnpg.io/poolerName": name,
                }),
                "",
            ),
            None,
        ),
        _ => return None,
    };
    Some(Pod { owner: title(object), labels, spec })
}
