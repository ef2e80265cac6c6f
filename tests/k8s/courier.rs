//! The courier: the app that receives its messages, its credentials, and how it stops.

use serde_json::Value;

use super::objects::{Objects, list, name, text, title};
use super::references::services;
use super::routes::runs;
use super::variables::{decode_base64, static_values};
use crate::repository::text as file;

/// The components that receive messages: those of the outbox, and those of external producers, which
/// need a broker.
const OUTBOX: &str = "runs";
const EXTERNAL: &str = "receipts";

/// Checks that every deployment has a courier that can deliver the messages of the outbox.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let Some(courier) = courier(objects) else {
        return vec!["asynchronous runs would not start: no courier".to_owned()];
    };
    let title = title(courier);
    let mut violations = Vec::new();
    let app = objects.of_kind("SpinApp").find(|app| Some(name(app)) == target(objects));
    let has_broker = variable(courier, "AMQP_URL_FILE").is_some();
    for component in [OUTBOX].into_iter().chain(has_broker.then_some(EXTERNAL)) {
        if !app.is_some_and(|app| runs(app, component)) {
            violations.push(format!("{title}: no app at its URL runs {component}"));
        }
    }
    let broker = secret(objects, "katas-courier", "amqp-url");
    let broker = broker.rsplit_once('@').and_then(|(_, address)| address.split_once(':'));
    let broker = broker.and_then(|(host, _)| services(objects).remove(host));
    if has_broker != broker.is_some_and(|ports| ports.contains(&5671)) {
        violations.push(format!("{title}: it needs a URL exactly if there is a broker"));
    }
    if !has_broker && courier["spec"]["replicas"] != 1 {
        violations.push(format!("{title}: several couriers need a broker"));
    }
    let url = secret(objects, "katas-courier", "url");
    let (user, address) = url.split_once('@').unwrap_or_default();
    if !user.starts_with("postgres://katas_courier:") || !address.contains("sslmode=verify-full") {
        violations.push(format!("{title}: not a verified connection as katas_courier"));
    }
    let (host, port) =
        address.split('/').next().and_then(|it| it.split_once(':')).unwrap_or_default();
    let ports = services(objects).remove(host).unwrap_or_default();
    if !port.parse().is_ok_and(|port| ports.contains(&port)) {
        violations.push(format!("{title}: no database at {host}:{port}"));
    }
    let config = app.and_then(|app| text(app, "/spec/runtimeConfig/loadFromSecret"));
    let config = secret(objects, config.unwrap_or_default(), "runtime-config.toml");
    let expected = static_values(&config)
        .and_then(|values| Some(values.get("api_token")?.as_str()?.to_owned()));
    if expected != Some(secret(objects, "katas-courier", "token")) {
        violations.push(format!("{title}: its token is not that of the app"));
    }
    let grace = &courier["spec"]["template"]["spec"]["terminationGracePeriodSeconds"];
    if grace.as_u64().unwrap_or(30) <= request_timeout() {
        violations.push(format!("{title}: killed before the requests in progress are finished"));
    }
    violations
}

/// Returns the Deployment of the courier.
fn courier(objects: &Objects) -> Option<&Value> {
    objects.of_kind("Deployment").find(|deployment| name(deployment) == "katas-courier")
}

/// Returns the name of the app that receives the messages.
pub(super) fn target(objects: &Objects) -> Option<&str> {
    variable(courier(objects)?, "COURIER_APPLICATION_URL")?.strip_prefix("http://")
}

/// Returns how many requests all couriers together send at the same time, also during a rollout.
pub(super) fn max_requests(objects: &Objects) -> u64 {
    let Some(courier) = courier(objects) else { return 0 };
    let spec = &courier["spec"];
    let surge = spec.pointer("/strategy/rollingUpdate/maxSurge").and_then(Value::as_u64);
    let pods = spec["replicas"].as_u64().unwrap_or(1) + surge.unwrap_or(0);
    let concurrency = variable(courier, "COURIER_CONCURRENCY").map(str::to_owned);
    let concurrency = concurrency.unwrap_or_else(|| {
        default_of("env = \"COURIER_CONCURRENCY\",\n        default_value_t = ", ',')
    });
    // With a broker, the limit applies to each queue.
    let queues = if variable(courier, "AMQP_URL_FILE").is_some() { 2 } else { 1 };
    pods * queues * concurrency.parse::<u64>().expect("a number")
}

/// Returns the value of an environment variable.
fn variable<'a>(courier: &'a Value, name: &str) -> Option<&'a str> {
    let mut variables = list(courier, "/spec/template/spec/containers/0/env").iter();
    text(variables.find(|variable| variable["name"] == name)?, "/value")
}

/// Returns a file of a Secret, empty if it does not exist.
fn secret(objects: &Objects, secret: &str, key: &str) -> String {
    let secret = objects.of_kind("Secret").find(|object| name(object) == secret);
    secret.and_then(|secret| secret["data"][key].as_str()).map(decode_base64).unwrap_or_default()
}

/// Returns the default timeout of a request, in seconds.
fn request_timeout() -> u64 {
    let value = default_of("env = \"COURIER_REQUEST_TIMEOUT\", default_value = \"", '"');
    value.parse().expect("a number")
}

/// Returns the default value of an option: the text between a prefix and the next `end`.
fn default_of(prefix: &str, end: char) -> String {
    let text = file("crates/courier/src/bin/courier/cli.rs".as_ref());
    let (_, rest) = text.split_once(prefix).expect("the option");
    rest.split(end).next().expect("a value").to_owned()
}
