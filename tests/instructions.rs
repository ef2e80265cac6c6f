//! The WebAssembly instructions of each route, compared with a recorded budget.
//!
//! Unlike time, the number of instructions is the same on every machine, but for less than 1 % by ids and
//! timestamps. It depends on the compiler, which `rust-toolchain.toml` pins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use katas_host::manifest::Example;

use crate::support::{App, app, is_spin, root};

/// How many percent a call may exceed its budget.
const TOLERANCE: u64 = 25;

const TOKEN: &str = "secret";

/// Instructions, by component and call.
type Budgets = BTreeMap<String, BTreeMap<String, u64>>;

fn file() -> PathBuf {
    root().join("tests/instructions.toml")
}

/// Calls that fail, beside the manifest's, which do not. What is 401 is sent without the token.
fn failures() -> Vec<(&'static str, Example)> {
    let calls = [
        ("datasets", "GET", "/api/v1/datasets/0", "", 404),
        ("datasets", "POST", "/api/v1/datasets", "{}", 422),
        ("dictionary", "POST", "/api/v1/newentry", "{}", 401),
        ("dictionary", "POST", "/api/v1/newentry", "{}", 422),
        ("dictionary", "POST", "/api/v1/newentry", "{", 400),
        ("dictionary", "GET", "/api/v1/look/nothing", "", 404),
        ("health", "GET", "/nothing", "", 404),
        ("health", "POST", "/health", "", 405),
        ("nth-char", "POST", "/api/v1/nth-char", "{}", 422),
        ("price-lists", "PUT", "/api/v1/price-lists/shop", "{}", 422),
        ("price-lists", "GET", "/api/v1/price-lists/nothing", "", 404),
        ("receipts", "POST", "/api/v1/receipts", "{}", 422),
        ("receipts", "GET", "/api/v1/receipts/0", "", 404),
        ("runs", "POST", "/api/v1/datasets/$dataset/runs", "{}", 422),
        ("runs", "GET", "/api/v1/datasets/$dataset/runs/0", "", 404),
        ("spending", "POST", "/api/v1/spending", "{}", 422),
        ("users", "POST", "/api/v2/users", "{}", 422),
        ("users", "GET", "/api/v2/users/0", "", 404),
    ];
    let example = |(component, method, path, body, status): (_, &str, &str, &str, _)| {
        let body = Some(body.to_owned()).filter(|body| !body.is_empty());
        let (method, path) = (method.to_owned(), path.to_owned());
        (component, Example { method, path, body, status, keep: None })
    };
    calls.map(example).into()
}

/// What every call costs that the manifest shows, and every failure.
fn measure() -> Budgets {
    let (manifest, failures) = (&app().manifest, failures());
    let examples = manifest.component.iter().flat_map(|(component, it)| {
        it.examples().iter().map(move |example| (component.as_str(), example))
    });
    let failures = failures.iter().map(|(component, example)| (*component, example));
    let (app, authorization) = (App::metered_with_token(TOKEN), format!("Bearer {TOKEN}"));
    let mut costs = Budgets::new();
    for (component, example) in examples.chain(failures) {
        let headers = [("Authorization", authorization.as_str())];
        let headers = if example.status == 401 { &[] } else { &headers[..] };
        let response = app.call_with(example, headers);
        assert_eq!(response.status, example.status, "{example:?} {response:?}");
        let cost = app.take_instructions(component).expect("it is metered");
        let call = format!("{} {} {}", example.method, example.path, example.status);
        let former = costs.entry(component.to_owned()).or_default().insert(call, cost);
        assert_eq!(former, None, "called twice: {example:?}");
    }
    costs
}

fn is_within(cost: u64, budget: u64) -> bool {
    cost * 100 <= budget * (100 + TOLERANCE)
}

/// The calls that exceed their budget or have none, and the budgets without a call.
fn violations(costs: &Budgets, budgets: &Budgets) -> Vec<String> {
    let mut violations = Vec::new();
    for (component, call, cost) in each(costs) {
        match budgets.get(component).and_then(|calls| calls.get(call)) {
            Some(&budget) if is_within(cost, budget) => {}
            Some(budget) => {
                violations.push(format!("{component}: {call}: {cost}, budget {budget}"))
            }
            None => violations.push(format!("{component}: {call}: {cost}, no budget")),
        }
    }
    for (component, call, _) in each(budgets) {
        if costs.get(component).is_none_or(|calls| !calls.contains_key(call)) {
            violations.push(format!("{component}: {call}: not called"));
        }
    }
    violations
}

fn each(budgets: &Budgets) -> impl Iterator<Item = (&str, &str, u64)> {
    budgets.iter().flat_map(|(component, calls)| {
        calls.iter().map(|(call, &count)| (component.as_str(), call.as_str(), count))
    })
}

/// The file with these budgets.
fn written(costs: &Budgets) -> String {
    let mut text = String::from(
        "# WebAssembly instructions of one request, by component and call, where a token is set.\n\
         # `RENEW=1 cargo test -p e2e instructions` writes this file; tests/instructions.rs reads it.\n",
    );
    for (component, calls) in costs {
        text += &format!("\n[{component}]\n");
        for (call, cost) in calls {
            text += &format!("{call:?} = {cost}\n");
        }
    }
    text
}

#[test]
fn every_route_is_within_its_budget_of_instructions() {
    if is_spin() {
        return; // It does not count.
    }
    let text = std::fs::read_to_string(file()).expect("it is there");
    let (costs, budgets) = (measure(), toml::from_str(&text).expect("budgets"));
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(file(), written(&costs)).expect("it can be written");
        return;
    }
    let violations = violations(&costs, &budgets);
    let help = "to record new budgets: RENEW=1 cargo test -p e2e instructions";
    assert!(violations.is_empty(), "{violations:#?}\n{help}");
}

fn of_health(calls: &[(&str, u64)]) -> Budgets {
    let calls = calls.iter().map(|&(call, count)| (call.to_owned(), count)).collect();
    Budgets::from([("health".to_owned(), calls)])
}

#[test]
fn only_an_excess_of_more_than_25_percent_violates_a_budget() {
    let budgets = of_health(&[("GET /status 200", 1000)]);
    let violations = |call, cost| violations(&of_health(&[(call, cost)]), &budgets);
    for within in [1, 1000, 1250] {
        assert_eq!(violations("GET /status 200", within), [""; 0]);
    }
    let excess = "health: GET /status 200: 1251, budget 1000".to_owned();
    assert_eq!(violations("GET /status 200", 1251), [excess]);
    assert_eq!(
        violations("GET /health 200", 7),
        ["health: GET /health 200: 7, no budget", "health: GET /status 200: not called"]
    );
}
