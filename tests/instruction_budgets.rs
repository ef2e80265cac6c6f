//! Compares the WebAssembly instructions of each call with a recorded budget, or with a general one.
//!
//! Unlike time, instruction counts do not depend on the machine. Ids and timestamps change them by
//! less than 1 %, and the compiler is pinned by `rust-toolchain.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::slice::from_ref;

use katas_host::manifest::Example;

use crate::support::{App, app, is_spin, root};

/// The percentage by which a call may exceed its budget.
const TOLERANCE: u64 = 25;

/// The budget of a call without a recorded one, such as a call of a new component.
const UNRECORDED: u64 = 200_000;

/// The path of a document that grows with every component. `instruction_limits` bounds the work
/// between two chunks.
const GROWING: &str = "/openapi.json";

const TOKEN: &str = "secret";

/// Instruction counts by component and call.
type Budgets = BTreeMap<String, BTreeMap<String, u64>>;

fn budget_file() -> PathBuf {
    root().join("tests/instruction_budgets.toml")
}

/// Returns calls that fail, in addition to the successful ones of the manifest. Those with status
/// 401 are sent without the token.
fn failing_calls() -> Vec<(&'static str, Example)> {
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
        ("runs", "DELETE", "/api/v1/datasets/$dataset/runs/0", "", 404),
        ("runs", "POST", "/api/v1/run-parts", "{}", 422),
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

/// Counts the instructions of every example call of the manifest and every failing call.
fn measure() -> Budgets {
    let (manifest, failures) = (&app().manifest, failing_calls());
    let examples = manifest.component.iter().flat_map(|(component, settings)| {
        settings.examples().iter().map(move |example| (component.as_str(), example))
    });
    let failures = failures.iter().map(|(component, example)| (*component, example));
    let (app, authorization) = (App::metered_with_token(TOKEN), format!("Bearer {TOKEN}"));
    let mut counts = Budgets::new();
    for (component, example) in examples.chain(failures).filter(|(_, call)| call.path != GROWING) {
        let headers = [("Authorization", authorization.as_str())];
        let headers = if example.status == 401 { &[] } else { &headers[..] };
        let response = app.call_with(example, headers);
        assert_eq!(response.status, example.status, "{example:?} {response:?}");
        let count = app.take_instructions(component).expect("the component is metered");
        let call = format!("{} {} {}", example.method, example.path, example.status);
        let previous = counts.entry(component.to_owned()).or_default().insert(call, count);
        assert_eq!(previous, None, "duplicate call: {example:?}");
    }
    counts
}

fn is_within(count: u64, budget: u64) -> bool {
    count * 100 <= budget * (100 + TOLERANCE)
}

/// Describes calls that exceed their budget, and budgets without a call.
fn violations(counts: &Budgets, budgets: &Budgets) -> Vec<String> {
    let mut violations = Vec::new();
    for (component, call, count) in calls(counts) {
        let recorded = budgets.get(component).and_then(|calls| calls.get(call));
        let budget = recorded.copied().unwrap_or(UNRECORDED);
        if !is_within(count, budget) {
            violations.push(format!("{component}: {call}: {count}, budget {budget}"));
        }
    }
    for (component, call, _) in calls(budgets) {
        if counts.get(component).is_none_or(|calls| !calls.contains_key(call)) {
            violations.push(format!("{component}: {call}: not called"));
        }
    }
    violations
}

fn calls(budgets: &Budgets) -> impl Iterator<Item = (&str, &str, u64)> {
    budgets.iter().flat_map(|(component, calls)| {
        calls.iter().map(|(call, &count)| (component.as_str(), call.as_str(), count))
    })
}

/// Renders the budget file.
fn to_toml(counts: &Budgets) -> String {
    let mut text = String::from(
        "# WebAssembly instructions per request, by component and call, with an API token configured.\n\
         # Generated by `RENEW=1 cargo test -p e2e instruction_budgets`; checked by tests/instruction_budgets.rs.\n",
    );
    for (component, calls) in counts {
        text += &format!("\n[{component}]\n");
        for (call, count) in calls {
            text += &format!("{call:?} = {count}\n");
        }
    }
    text
}

#[test]
fn every_call_is_within_its_instruction_budget() {
    if is_spin() {
        return; // Spin does not count instructions.
    }
    let text = std::fs::read_to_string(budget_file()).expect("the budget file exists");
    let (counts, budgets) = (measure(), toml::from_str(&text).expect("valid TOML"));
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(budget_file(), to_toml(&counts)).expect("the budget file is writable");
        return;
    }
    let violations = violations(&counts, &budgets);
    let help = "to record new budgets: RENEW=1 cargo test -p e2e instruction_budgets";
    assert!(violations.is_empty(), "{violations:#?}\n{help}");
}

fn health_budgets(calls: &[(&str, u64)]) -> Budgets {
    let calls = calls.iter().map(|&(call, count)| (call.to_owned(), count)).collect();
    Budgets::from([("health".to_owned(), calls)])
}

#[test]
fn only_counts_above_125_percent_violate_a_budget() {
    let budgets = health_budgets(&[("GET /status 200", 1000)]);
    let violations = |call, count| violations(&health_budgets(&[(call, count)]), &budgets);
    for within in [1, 1000, 1250] {
        assert_eq!(violations("GET /status 200", within), [""; 0]);
    }
    let excess = "health: GET /status 200: 1251, budget 1000".to_owned();
    assert_eq!(violations("GET /status 200", 1251), [excess]);
    let not_called = "health: GET /status 200: not called".to_owned();
    assert_eq!(violations("GET /health 200", 200_000), from_ref(&not_called));
    let excess = "health: GET /health 200: 300000, budget 200000".to_owned();
    assert_eq!(violations("GET /health 200", 300_000), [excess, not_called]);
}
