//! The tables of each suite, in Markdown: medians, with the least and the most of all rounds.

use std::fmt::Write;

use crate::results::{Metric, Results};
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::suites::{LOADS, PROBES, STEPS};
use crate::systems::System;

/// The tables of a suite.
pub fn of(results: &Results) -> String {
    match results.suite {
        Suite::Reads => reads(results),
        Suite::Ladder => ladder(results),
        Suite::Writes => writes(results),
        Suite::Mixed => mixed(results),
        Suite::Probes => probes(results),
        Suite::Cold => cold(results),
        Suite::Scale => scale(results),
        Suite::Ingest => ingest(results),
    }
}

/// The head of the column that [`cpu`] fills.
const CPU: &str = "CPU per request, µs: service / PostgreSQL";

/// The head of the column that [`of_floor`] fills.
const OF_FLOOR: &str = "of the floor";

/// What matters most, a line for each system.
pub fn figures(reads: &Results, probes: &Results, cold: &Results) -> String {
    let mut table = Table::new([
        "",
        "words looked up/s",
        "of gunicorn",
        CPU,
        OF_FLOOR,
        "liveness meanwhile, p99 ms",
        "missed",
        "first answer after, ms",
        "memory under load, MiB",
    ]);
    // Spin first: it is what runs on a cluster.
    let (spin, others): (Vec<_>, Vec<_>) =
        reads.systems().into_iter().partition(|system| *system == System::Spin);
    for system in spin.into_iter().chain(others) {
        let Some(capacity) = reads.capacity(system, "look") else { continue };
        let memory = cold.get(system, "memory/loaded", 0, Metric::Bytes);
        table.row([
            system.label().to_owned(),
            number(capacity.median),
            ratio(reads, system, "look"),
            cpu(reads, system, "look"),
            of_floor(reads, system, "look"),
            median(probes.get(system, "reads/live", 0, Metric::P99)),
            format!("{:.1} %", share(probes, system, "reads/live", Metric::Missed)),
            median(cold.get(system, "ready", 0, Metric::Time)),
            memory.map_or_else(|| "–".to_owned(), |it| mebibytes(it.median)),
        ]);
    }
    table.text()
}

struct Table(Vec<Vec<String>>);

impl Table {
    fn new<const N: usize>(head: [&str; N]) -> Table {
        Table(vec![head.map(str::to_owned).into()])
    }

    fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.0.push(cells.into());
    }

    /// The table in Markdown, empty without rows.
    fn text(&self) -> String {
        let mut text = String::new();
        if self.0.len() < 2 {
            return text;
        }
        for (index, row) in self.0.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|{}", " --- |".repeat(row.len()));
            }
        }
        text
    }
}

/// Tables below each other, without the empty ones.
fn joined(tables: &[String]) -> String {
    let tables: Vec<_> = tables.iter().map(String::as_str).filter(|it| !it.is_empty()).collect();
    tables.join("\n")
}

/// 12,345 or 1.23: three digits at least.
pub fn number(value: f64) -> String {
    let digits = match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let (whole, rest) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

fn mebibytes(bytes: f64) -> String {
    number(bytes / f64::from(1 << 20))
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |it| format!("{} ({}–{})", number(it.median), number(it.least), number(it.most)),
    )
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |it| number(it.median))
}

/// How many times what gunicorn does.
fn ratio(results: &Results, system: System, scenario: &str) -> String {
    let base = results.capacity(System::Gunicorn, scenario);
    match (results.capacity(system, scenario), base) {
        (Some(own), Some(base)) if base.median > 0.0 => {
            format!("{:.1} ×", own.median / base.median)
        }
        _ => "–".to_owned(),
    }
}

fn failed(results: &Results, system: System) -> String {
    let of = results.measurements.iter().filter(|it| it.system == system);
    let failed = of.filter(|it| it.metric == Metric::Failed).flat_map(|it| &it.values);
    format!("{:.0}", failed.sum::<f64>())
}

/// Half and 99 % of the requests of a scenario took at most this.
fn latency(results: &Results, system: System, scenario: &str) -> String {
    let parameter = results.parameters(scenario).first().copied().unwrap_or_default();
    let get = |metric| median(results.get(system, scenario, parameter, metric));
    format!("{} / {}", get(Metric::P50), get(Metric::P99))
}

/// CPU time per answer with 64 connections at saturation: of the service and of PostgreSQL.
fn cpu(results: &Results, system: System, scenario: &str) -> String {
    cpu_at(results, system, scenario, usual(results, scenario))
}

/// The same at one value of what the scenario was varied by.
fn cpu_at(results: &Results, system: System, scenario: &str, parameter: u64) -> String {
    let get = |metric| {
        let spread = results.get(system, scenario, parameter, metric);
        spread.map_or_else(|| "–".to_owned(), |it| format!("{:.0}", it.median))
    };
    format!("{} / {}", get(Metric::ServiceCpu), get(Metric::DatabaseCpu))
}

/// 64 connections, or the fewest when a scenario was not measured with 64.
fn usual(results: &Results, scenario: &str) -> u64 {
    let parameters = results.parameters(scenario);
    let first = parameters.first().copied().unwrap_or_default();
    if parameters.contains(&64) { 64 } else { first }
}

/// The component of the floor that a scenario is compared with.
fn floor(scenario: &str) -> &'static str {
    match scenario {
        "spend" | "nth-char" | "health" => "hello",
        _ => "select",
    }
}

/// CPU time as a multiple of the floor's on the same system in the same rounds: of the service and
/// of PostgreSQL.
fn of_floor(results: &Results, system: System, scenario: &str) -> String {
    let floor = floor(scenario);
    let base = (floor, usual(results, floor));
    multiple(results, system, (scenario, usual(results, scenario)), base)
}

/// CPU time as a multiple of another scenario's. PostgreSQL is left out where the other one has not
/// used it.
fn multiple(results: &Results, system: System, row: (&str, u64), base: (&str, u64)) -> String {
    let get = |metric| {
        let base_cpu = results.get(system, base.0, base.1, metric)?;
        // Idle, PostgreSQL uses a few microseconds in the time of a request.
        let used = base_cpu.median >= 10.0;
        results.paired(system, row, base, metric, |it, base| it / base).filter(|_| used)
    };
    let text = |spread: Option<Spread>| spread.map(|it| format!("{:.2} ×", it.median));
    match (text(get(Metric::ServiceCpu)), text(get(Metric::DatabaseCpu))) {
        (None, _) => "–".to_owned(),
        (Some(service), None) => service,
        (Some(service), Some(database)) => format!("{service} / {database}"),
    }
}

/// The rate that all were asked for.
fn asked(results: &Results, scenario: &str) -> String {
    let found = results.measurements.iter();
    let mut found = found.filter(|it| it.scenario == scenario && it.metric == Metric::Asked);
    found.next().map_or_else(String::new, |it| number(it.values[0]))
}

fn paced(results: &Results, scenario: &str, title: &str) -> String {
    let same = format!("{scenario}-same");
    let own = format!("{scenario}-own");
    let same_title = format!("ms at {}/s, p50 / p99", asked(results, &same));
    let mut table = Table::new([
        "system",
        title,
        "of gunicorn",
        &same_title,
        "ms at 70 %, p50 / p99",
        CPU,
        OF_FLOOR,
        "failed",
    ]);
    for system in results.systems() {
        if let Some(capacity) = results.capacity(system, scenario) {
            table.row([
                system.label().to_owned(),
                spread(Some(capacity)),
                ratio(results, system, scenario),
                latency(results, system, &same),
                latency(results, system, &own),
                cpu(results, system, scenario),
                of_floor(results, system, scenario),
                failed(results, system),
            ]);
        }
    }
    table.text()
}

/// A row for each system and scenario, with a title in place of the scenario's name.
fn rates(results: &Results, scenarios: &[(&str, &str)]) -> String {
    let mut table = Table::new(["request", "system", "requests/s", "of gunicorn", CPU, OF_FLOOR]);
    for (title, scenario) in scenarios {
        for system in results.systems() {
            let capacity = results.capacity(system, scenario);
            if capacity.is_none() {
                continue;
            }
            table.row([
                (*title).to_owned(),
                system.label().to_owned(),
                spread(capacity),
                ratio(results, system, scenario),
                cpu(results, system, scenario),
                of_floor(results, system, scenario),
            ]);
        }
    }
    table.text()
}

fn reads(results: &Results) -> String {
    let scenarios = [
        ("user", "user"),
        ("list of 100", "list"),
        ("total, no database", "spend"),
        ("nth-char, no database", "nth-char"),
        ("`/health`, no database", "health"),
        ("floor: `select`", "select"),
        ("floor: `open`", "open"),
        ("floor: `hello`", "hello"),
    ];
    joined(&[paced(results, "look", "words looked up/s"), rates(results, &scenarios)])
}

fn writes(results: &Results) -> String {
    let floor = rates(results, &[("floor: `select`", "select")]);
    joined(&[paced(results, "add", "words added/s"), floor])
}

fn ladder(results: &Results) -> String {
    let systems = results.systems();
    let mut head = vec!["step".to_owned(), "adds".to_owned()];
    for system in &systems {
        head.extend([format!("{}: CPU, µs", system.label()), "added by the step".to_owned()]);
    }
    let mut table = Table(vec![head]);
    let mut previous = None;
    for (_, name, adds) in STEPS {
        let mut row = vec![format!("`{name}`"), adds.to_owned()];
        for &system in &systems {
            let (metric, step) = (Metric::ServiceCpu, (name, usual(results, name)));
            let added = previous.and_then(|previous| {
                results.paired(system, step, previous, metric, |it, previous| it - previous)
            });
            row.push(spread(results.get(system, step.0, step.1, metric)));
            row.push(added.map_or_else(
                || "–".to_owned(),
                |it| format!("{:+.1} ({:+.1} to {:+.1})", it.median, it.least, it.most),
            ));
        }
        table.row(row);
        previous = Some((name, usual(results, name)));
    }
    table.text()
}

fn mixed(results: &Results) -> String {
    let rate = format!("at {}/s: look, p50 / p99 ms", asked(results, "same"));
    let mut table = Table::new([
        "system",
        "requests/s",
        "of gunicorn",
        CPU,
        OF_FLOOR,
        &rate,
        "list",
        "add",
        "failed",
    ]);
    for system in results.systems() {
        table.row([
            system.label().to_owned(),
            spread(results.capacity(system, "all")),
            ratio(results, system, "all"),
            cpu(results, system, "all"),
            of_floor(results, system, "all"),
            latency(results, system, "look-same"),
            latency(results, system, "list-same"),
            latency(results, system, "add-same"),
            failed(results, system),
        ]);
    }
    joined(&[table.text(), rates(results, &[("floor: `select`", "select")])])
}

fn probes(results: &Results) -> String {
    let head =
        ["load", "system", "liveness, p99 ms", "readiness", "`/health`", "missed", "refused"];
    let mut table = Table::new(head);
    for load in LOADS {
        for system in results.systems() {
            let scenarios = PROBES.map(|probe| format!("{load}/{probe}"));
            let p99 = |scenario: &String| spread(results.get(system, scenario, 0, Metric::P99));
            let [live, ready, health] = scenarios.each_ref().map(p99);
            let shares = |metric| {
                let shares = scenarios
                    .each_ref()
                    .map(|scenario| format!("{:.1}", share(results, system, scenario, metric)));
                format!("{} %", shares.join(" / "))
            };
            let (missed, refused) = (shares(Metric::Missed), shares(Metric::Refused));
            let label = system.label().to_owned();
            table.row([load.to_owned(), label, live, ready, health, missed, refused]);
        }
    }
    table.text()
}

/// Of all probes of all rounds, in percent.
fn share(results: &Results, system: System, scenario: &str, metric: Metric) -> f64 {
    let count = |metric| total(results, system, scenario, metric);
    100.0 * count(metric) / count(Metric::Sent).max(1.0)
}

/// The sum of all rounds.
fn total(results: &Results, system: System, scenario: &str, metric: Metric) -> f64 {
    let found = results
        .measurements
        .iter()
        .filter(|it| it.system == system && it.scenario == scenario && it.metric == metric);
    found.flat_map(|it| &it.values).sum()
}

fn cold(results: &Results) -> String {
    let head = [
        "system",
        "first answer after, ms",
        "nothing compiled before",
        "memory idle, MiB",
        "the most under load, MiB",
    ];
    let mut table = Table::new(head);
    for system in results.systems() {
        let memory = |scenario| {
            let bytes = results.get(system, scenario, 0, Metric::Bytes);
            bytes.map_or_else(|| "–".to_owned(), |it| mebibytes(it.median))
        };
        table.row([
            system.label().to_owned(),
            spread(results.get(system, "ready", 0, Metric::Time)),
            spread(results.get(system, "uncompiled", 0, Metric::Time)),
            memory("memory/idle"),
            memory("memory/loaded"),
        ]);
    }
    format!("{}\n{}", table.text(), components(results))
}

fn components(results: &Results) -> String {
    let head = ["component", "size, KB", "first request, ms: katas", "later", "Spin", "later"];
    let mut table = Table::new(head);
    let sizes = results
        .measurements
        .iter()
        .filter_map(|it| Some((it.scenario.strip_suffix("/size")?, it.values.first()?)));
    for (id, size) in sizes {
        let time =
            |system, which| median(results.get(system, &format!("{id}/{which}"), 0, Metric::Time));
        table.row([
            format!("`{id}`"),
            number(size / 1e3),
            time(System::Katas, "first"),
            time(System::Katas, "later"),
            time(System::Spin, "first"),
            time(System::Spin, "later"),
        ]);
    }
    table.text()
}

fn scale(results: &Results) -> String {
    let head = ["connections", "system", "requests/s", "p99 ms", CPU, OF_FLOOR];
    let mut curve = Table::new(head);
    for connections in results.parameters("look") {
        for (scenario, floor) in [("look", ""), ("select", ", floor: `select`")] {
            for system in results.systems() {
                let get = |metric| results.get(system, scenario, connections, metric);
                let Some(rate) = get(Metric::Rate) else { continue };
                let row = (scenario, connections);
                curve.row([
                    connections.to_string(),
                    format!("{}{floor}", system.label()),
                    number(rate.median),
                    median(get(Metric::P99)),
                    cpu_at(results, system, scenario, connections),
                    multiple(results, system, row, ("select", connections)),
                ]);
            }
        }
    }
    format!("{}\n{}", curve.text(), limited(results))
}

fn limited(results: &Results) -> String {
    let head = [
        "instances",
        "connections wanted",
        "granted",
        "refused",
        "`katas`: answers/s",
        CPU,
        "refused/s",
    ];
    let mut table = Table::new(head);
    for instances in results.parameters("pools") {
        let pools = |metric| results.get(System::Pools, "pools", instances, metric);
        let (granted, refused) = (pools(Metric::Connections), pools(Metric::Refused));
        let wanted = granted.map_or(0.0, |it| it.median) + refused.map_or(0.0, |it| it.median);
        let katas = |metric| median(results.get(System::Katas, "instances", instances, metric));
        let whole = |spread: Option<Spread>| format!("{:.0}", spread.map_or(0.0, |it| it.median));
        table.row([
            instances.to_string(),
            format!("{wanted:.0}"),
            whole(granted),
            whole(refused),
            katas(Metric::Rate),
            cpu_at(results, System::Katas, "instances", instances),
            katas(Metric::Failed),
        ]);
    }
    table.text()
}

fn ingest(results: &Results) -> String {
    let mut table = Table::new([
        "rows",
        "MB",
        "system",
        "rows/s",
        "MB/s",
        "CPU per row, µs: service / PostgreSQL",
        "of `\\copy`, PostgreSQL",
        "the most memory, MiB",
    ]);
    for rows in results.parameters("load") {
        let cpu = |system, metric| median(results.get(system, "load", rows, metric));
        let database = |system| results.get(system, "load", rows, Metric::DatabaseCpu);
        for system in results.systems() {
            let get = |scenario, metric| results.get(system, scenario, rows, metric);
            let size = get("load", Metric::Bytes).map_or(0.0, |it| it.median) / 1e6;
            let seconds = get("load", Metric::Time).map_or(f64::NAN, |it| it.median) / 1e3;
            let memory = get("memory", Metric::Bytes);
            table.row([
                number(f64::from(u32::try_from(rows).unwrap_or(u32::MAX))),
                number(size),
                system.label().to_owned(),
                spread(get("load", Metric::Rows)),
                number(size / seconds),
                format!(
                    "{} / {}",
                    cpu(system, Metric::ServiceCpu),
                    cpu(system, Metric::DatabaseCpu)
                ),
                match (database(system), database(System::Copy)) {
                    (Some(own), Some(copy)) => format!("{:.1} ×", own.median / copy.median),
                    _ => "–".to_owned(),
                },
                memory.map_or_else(|| "–".to_owned(), |it| mebibytes(it.median)),
            ]);
        }
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_groups() {
        let texts = [(0.123, "0.12"), (9.876, "9.88"), (12.34, "12.3"), (999.9, "1,000")];
        for (value, text) in texts {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(123.4), "123");
    }
}
