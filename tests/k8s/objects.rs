//! Kubernetes' objects, and the pods that come of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What is deployed together, in the order in which it is applied.
#[derive(Clone)]
pub(super) struct Objects(Vec<Value>);

/// Labels, by name.
pub(super) type Labels = BTreeMap<String, String>;

/// A pod that one of the objects makes.
pub(super) struct Pod {
    /// Kind and name of that object.
    pub(super) of: String,
    pub(super) labels: Labels,
    /// Its specification, where that is ours and not an operator's.
    pub(super) spec: Option<Value>,
}

impl Objects {
    /// Of a stream of documents.
    pub(super) fn parse(yaml: &str) -> Objects {
        Objects(serde_saphyr::from_multiple(yaml).expect("YAML"))
    }

    /// Those of a kind.
    pub(super) fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// Whether there is one of this kind and name.
    pub(super) fn has(&self, kind: &str, wanted: &str) -> bool {
        self.of(kind).any(|object| name(object) == wanted)
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Value] {
        &self.0
    }

    /// These, and then others.
    pub(super) fn and(mut self, others: Objects) -> Objects {
        self.0.extend(others.0);
        self
    }

    /// With one that is made of `yaml`.
    pub(super) fn plus(self, yaml: &str) -> Objects {
        self.and(Objects::parse(yaml))
    }

    /// With something else at a place in the first object of a kind: a JSON pointer, whose last part
    /// may be new.
    pub(super) fn with(mut self, kind: &str, pointer: &str, value: Value) -> Objects {
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let object = self.0.iter_mut().find(|object| object["kind"] == kind).expect("its kind");
        let parent = object.pointer_mut(parent).expect("the place is there");
        match parent {
            Value::Array(values) => values[key.parse::<usize>().expect("an index")] = value,
            parent => parent[key.replace("~1", "/")] = value,
        }
        self
    }

    /// Without the first object of a kind.
    pub(super) fn without(mut self, kind: &str) -> Objects {
        let place = self.0.iter().position(|object| object["kind"] == kind).expect("its kind");
        self.0.remove(place);
        self
    }

    /// The pods, as far as they can be known before a cluster has them.
    pub(super) fn pods(&self) -> Vec<Pod> {
        self.0.iter().filter_map(pod).collect()
    }
}

/// An object's name.
pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Its kind and its name.
pub(super) fn title(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap_or_default(), name(object))
}

/// Text at a JSON pointer, or none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// The elements at a JSON pointer, or none.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Labels at a JSON pointer.
pub(super) fn labels(object: &Value, pointer: &str) -> Labels {
    let labels = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    labels
        .map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Whether a label selector, which may be empty, selects something with these labels.
pub(super) fn selects(selector: &Value, labels: &Labels) -> bool {
    let equal =
        |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
    let expression = |it: &Value| {
        let label = labels.get(text(it, "/key").expect("a key"));
        let values: Vec<_> = list(it, "/values").iter().filter_map(Value::as_str).collect();
        match text(it, "/operator").expect("an operator") {
            "In" => label.is_some_and(|label| values.contains(&label.as_str())),
            "NotIn" => label.is_none_or(|label| !values.contains(&label.as_str())),
            "Exists" => label.is_some(),
            "DoesNotExist" => label.is_none(),
            other => panic!("{other} is no operator"),
        }
    };
    selector["matchLabels"].as_object().into_iter().flatten().all(equal)
        && list(selector, "/matchExpressions").iter().all(expression)
}

fn pod(object: &Value) -> Option<Pod> {
    let template = |pointer: &str| {
        let template = object.pointer(pointer)?;
        Some((self::labels(template, "/metadata/labels"), Some(template["spec"].clone())))
    };
    let made = |pairs: Value| Some((self::labels(&pairs, ""), None));
    let name = name(object);
    let (labels, spec) = match object["kind"].as_str()? {
        "Job" | "StatefulSet" | "Deployment" => template("/spec/template")?,
        "CronJob" => template("/spec/jobTemplate/spec/template")?,
        // As spin-operator labels them.
        "SpinApp" => (
            self::labels(object, "/spec/podLabels")
                .into_iter()
                .chain([
                    ("core.spinkube.dev/app-name".to_owned(), name.to_owned()),
                    (format!("core.spinkube.dev/app.{name}.status"), "ready".to_owned()),
                ])
                .collect(),
            None,
        ),
        // As CloudNativePG labels them.
        "Cluster" => made(json!({
            "app.kubernetes.io/component": "database",
            "app.kubernetes.io/name": "postgresql",
            "cnpg.io/cluster": name,
        }))?,
        "Pooler" => made(json!({
            "app.kubernetes.io/component": "pooler",
            "app.kubernetes.io/name": "postgresql",
            "cnpg.io/cluster": text(object, "/spec/cluster/name")?,
            "cnpg.io/poolerName": name,
        }))?,
        _ => return None,
    };
    Some(Pod { of: title(object), labels, spec })
}
