//! What each route costs in WebAssembly instructions, beside the budget that is recorded for it.
//!
//! Instructions are the same on every machine, which time is not; ids and the digits of a moment move
//! them by less than 1 %. They depend on the compiler, which `rust-toolchain.toml` pins.

use std::collections::BTreeMap;
use std::path::PathBuf;

use katas_host::manifest::Example;

use crate::support::{App, app, is_spin, root};

/// How far a call may be from its budget, in percent: what costs more has to be mended or
/// defended, and what costs less written down.
const TOLERANCE: u64 = 5;

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
        let cost = app.instructions(component).expect("it is metered");
        let call = format!("{} {} {}", example.method, example.path, example.status);
        let former = costs.entry(component.to_owned()).or_default().insert(call, cost);
        assert_eq!(former, None, "called twice: {example:?}");
    }
    costs
}

fn is_near(cost: u64, budget: u64) -> bool {
    cost.abs_diff(budget) * 100 <= budget * TOLERANCE
}

/// The calls that cost something else than their budget, have none, or have one and are not made.
fn differences(costs: &Budgets, budgets: &Budgets) -> Vec<String> {
    let mut differences = Vec::new();
    for (component, call, cost) in each(costs) {
        match budgets.get(component).and_then(|calls| calls.get(call)) {
            Some(&budget) if is_near(cost, budget) => {}
            Some(budget) => differences.push(format!("{component}: {call}: {cost}, not {budget}")),
            None => differences.push(format!("{component}: {call}: {cost}, without a budget")),
        }
    }
    for (component, call, _) in each(budgets) {
        if costs.get(component).is_none_or(|calls| !calls.contains_key(call)) {
            differences.push(format!("{component}: {call}: not called"));
        }
    }
    differences
}

fn each(budgets: &Budgets) -> impl Iterator<Item = (&str, &str, u64)> {
    budgets.iter().flat_map(|(component, calls)| {
        calls.iter().map(|(call, &count)| (component.as_str(), call.as_str(), count))
    })
}

/// New budgets. A former one that still holds stays, so that the difference shows what has changed.
fn renewed(mut costs: Budgets, former: &Budgets) -> Budgets {
    for (component, calls) in &mut costs {
        for (call, cost) in calls {
            let budget = former.get(component).and_then(|calls| calls.get(call));
            *cost = budget.copied().filter(|&budget| is_near(*cost, budget)).unwrap_or(*cost);
        }
    }
    costs
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
fn every_route_keeps_to_its_budget_of_instructions() {
    if is_spin() {
        return; // It does not count.
    }
    let text = std::fs::read_to_string(file()).expect("it is there");
    let (costs, budgets) = (measure(), toml::from_str(&text).expect("budgets"));
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(file(), written(&renewed(costs, &budgets))).expect("it can be written");
        return;
    }
    let differences = differences(&costs, &budgets);
    let help = "if that is meant: RENEW=1 cargo test -p e2e instructions";
    assert!(differences.is_empty(), "{differences:#?}\n{help}");
}

fn of_health(calls: &[(&str, u64)]) -> Budgets {
    let calls = calls.iter().map(|&(call, count)| (call.to_owned(), count)).collect();
    Budgets::from([("health".to_owned(), calls)])
}

#[test]
fn a_difference_of_more_than_five_percent_is_told() {
    let budgets = of_health(&[("GET /status 200", 1000)]);
    let told = |call, cost| differences(&of_health(&[(call, cost)]), &budgets);
    for within in [950, 1000, 1050] {
        assert_eq!(told("GET /status 200", within), [""; 0]);
    }
    for beyond in [949, 1051] {
        let difference = format!("health: GET /status 200: {beyond}, not 1000");
        assert_eq!(told("GET /status 200", beyond), [difference]);
    }
    assert_eq!(
        told("GET /health 200", 7),
        ["health: GET /health 200: 7, without a budget", "health: GET /status 200: not called",]
    );
}

#[test]
fn renewing_changes_only_budgets_that_do_not_hold() {
    let budgets = of_health(&[("near", 1000), ("far", 1000), ("gone", 1000)]);
    let costs = of_health(&[("near", 1001), ("far", 2000), ("new", 3000)]);
    let expected = of_health(&[("near", 1000), ("far", 2000), ("new", 3000)]);
    assert_eq!(renewed(costs, &budgets), expected);
}
