//! Markdown tables of the suites: the median of all rounds, with minimum and maximum.

use std::fmt::Write;

use crate::results::{Metric, Results};
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::suites::{LOADS, PROBES, STEPS};
use crate::systems::System;

/// Returns the tables of a suite.
pub fn render(results: &Results) -> String {
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

/// The heading of the column of [`cpu`].
const CPU: &str = "CPU per request, µs (service / PostgreSQL)";

/// The heading of the column of [`vs_floor`].
const VS_FLOOR: &str = "vs. floor";

/// The heading of the column of [`vs_gunicorn`].
const VS_GUNICORN: &str = "vs. gunicorn";

/// Returns the summary table for the README, with one row per system.
pub fn figures(reads: &Results, probes: &Results, cold: &Results) -> String {
    let mut table = Table::new([
        "system",
        "lookups/s",
        VS_GUNICORN,
        CPU,
        VS_FLOOR,
        "liveness p99 under load, ms",
        "missed probes",
        "startup, ms",
        "peak memory, MiB",
    ]);
    // Spin first, because it runs in clusters.
    let (spin, others): (Vec<_>, Vec<_>) =
        reads.systems().into_iter().partition(|system| *system == System::Spin);
    for system in spin.into_iter().chain(others) {
        let Some(capacity) = reads.capacity(system, "look") else { continue };
        let memory = cold.get(system, "memory/loaded", 0, Metric::Bytes);
        table.row([
            system.label().to_owned(),
            number(capacity.median),
            vs_gunicorn(reads, system, "look"),
            cpu(reads, system, "look"),
            vs_floor(reads, system, "look"),
            median(probes.get(system, "reads/live", 0, Metric::P99)),
            format!("{:.1} %", share(probes, system, "reads/live", Metric::Missed)),
            median(cold.get(system, "ready", 0, Metric::Time)),
            memory.map_or_else(|| "–".to_owned(), |spread| mebibytes(spread.median)),
        ]);
    }
    table.to_markdown()
}

struct Table(Vec<Vec<String>>);

impl Table {
    fn new<const N: usize>(headings: [&str; N]) -> Table {
        Table(vec![headings.map(str::to_owned).into()])
    }

    fn row(&mut self, cells: impl Into<Vec<String>>) {
        self.0.push(cells.into());
    }

    /// Returns the table in Markdown, or an empty string without rows.
    fn to_markdown(&self) -> String {
        let mut text = String::new();
        if self.0.len() < 2 {
            return text;
        }
        for (index, row) in self.0.iter().enumerate() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|{}", " --- |".repeat(row.len()));
            }
        }
        text
    }
}

/// Joins the tables that are not empty.
fn join(tables: &[String]) -> String {
    let tables: Vec<_> =
        tables.iter().map(String::as_str).filter(|table| !table.is_empty()).collect();
    tables.join("\n")
}

/// Formats a number with at least three significant digits and thousands separators, such as 12,345
/// or 1.23.
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
        |spread| {
            let Spread { median, min, max } = spread;
            format!("{} ({}–{})", number(median), number(min), number(max))
        },
    )
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| number(spread.median))
}

/// Returns the capacity as a multiple of gunicorn's.
fn vs_gunicorn(results: &Results, system: System, scenario: &str) -> String {
    let base = results.capacity(System::Gunicorn, scenario);
    match (results.capacity(system, scenario), base) {
        (Some(own), Some(base)) if base.median > 0.0 => {
            format!("{:.1} ×", own.median / base.median)
        }
        _ => "–".to_owned(),
    }
}

fn failed(results: &Results, system: System) -> String {
    let of_system = results.measurements.iter().filter(|found| found.system == system);
    let failed = of_system.filter(|found| found.metric == Metric::Failed);
    let failed = failed.flat_map(|found| &found.values);
    format!("{:.0}", failed.sum::<f64>())
}

/// Returns p50 and p99 of a scenario.
fn latency(results: &Results, system: System, scenario: &str) -> String {
    let parameter = results.parameters(scenario).first().copied().unwrap_or_default();
    let get = |metric| median(results.get(system, scenario, parameter, metric));
    format!("{} / {}", get(Metric::P50), get(Metric::P99))
}

/// Returns the CPU time per response at saturation with 64 connections, of the service and of
/// PostgreSQL.
fn cpu(results: &Results, system: System, scenario: &str) -> String {
    cpu_at(results, system, scenario, default_parameter(results, scenario))
}

/// Returns the CPU time per response for one parameter of a scenario.
fn cpu_at(results: &Results, system: System, scenario: &str, parameter: u64) -> String {
    let get = |metric| {
        let spread = results.get(system, scenario, parameter, metric);
        spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.0}", spread.median))
    };
    format!("{} / {}", get(Metric::ServiceCpu), get(Metric::DatabaseCpu))
}

/// Returns 64 connections, or the lowest parameter if a scenario was not measured with 64.
fn default_parameter(results: &Results, scenario: &str) -> u64 {
    let parameters = results.parameters(scenario);
    let first = parameters.first().copied().unwrap_or_default();
    if parameters.contains(&64) { 64 } else { first }
}

/// Returns the floor component that a scenario is compared with.
fn floor_component(scenario: &str) -> &'static str {
    match scenario {
        "spend" | "nth-char" | "health" => "hello",
        _ => "select",
    }
}

/// Returns the CPU time as a multiple of the floor's on the same system in the same rounds, of the
/// service and of PostgreSQL.
fn vs_floor(results: &Results, system: System, scenario: &str) -> String {
    let floor = floor_component(scenario);
    let base = (floor, default_parameter(results, floor));
    multiple(results, system, (scenario, default_parameter(results, scenario)), base)
}

/// Returns the CPU time as a multiple of another scenario's. PostgreSQL is omitted if the other
/// scenario does not use it.
fn multiple(results: &Results, system: System, row: (&str, u64), base: (&str, u64)) -> String {
    let get = |metric| {
        let base_cpu = results.get(system, base.0, base.1, metric)?;
        // An idle PostgreSQL uses a few microseconds during a request.
        let used = base_cpu.median >= 10.0;
        results.paired(system, row, base, metric, |value, base| value / base).filter(|_| used)
    };
    let text = |spread: Option<Spread>| spread.map(|spread| format!("{:.2} ×", spread.median));
    match (text(get(Metric::ServiceCpu)), text(get(Metric::DatabaseCpu))) {
        (None, _) => "–".to_owned(),
        (Some(service), None) => service,
        (Some(service), Some(database)) => format!("{service} / {database}"),
    }
}

/// Returns the rate of the open loop.
fn target_rate(results: &Results, scenario: &str) -> String {
    let found = results.measurements.iter();
    let mut found =
        found.filter(|found| found.scenario == scenario && found.metric == Metric::TargetRate);
    found.next().map_or_else(String::new, |found| number(found.values[0]))
}

fn rates_and_latency(results: &Results, scenario: &str, title: &str) -> String {
    let same = format!("{scenario}-same");
    let own = format!("{scenario}-own");
    let same_title = format!("latency at {}/s, ms (p50 / p99)", target_rate(results, &same));
    let mut table = Table::new([
        "system",
        title,
        VS_GUNICORN,
        &same_title,
        "latency at 70 % of capacity, ms (p50 / p99)",
        CPU,
        VS_FLOOR,
        "failed",
    ]);
    for system in results.systems() {
        if let Some(capacity) = results.capacity(system, scenario) {
            table.row([
                system.label().to_owned(),
                spread(Some(capacity)),
                vs_gunicorn(results, system, scenario),
                latency(results, system, &same),
                latency(results, system, &own),
                cpu(results, system, scenario),
                vs_floor(results, system, scenario),
                failed(results, system),
            ]);
        }
    }
    table.to_markdown()
}

/// Returns a table with a row for each scenario, by its title, and system.
fn rates(results: &Results, scenarios: &[(&str, &str)]) -> String {
    let mut table = Table::new(["request", "system", "requests/s", VS_GUNICORN, CPU, VS_FLOOR]);
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
                vs_gunicorn(results, system, scenario),
                cpu(results, system, scenario),
                vs_floor(results, system, scenario),
            ]);
        }
    }
    table.to_markdown()
}

fn reads(results: &Results) -> String {
    let scenarios = [
        ("user by id", "user"),
        ("page of 100 entries", "list"),
        ("spending, no database", "spend"),
        ("nth-char, no database", "nth-char"),
        ("`/health`, no database", "health"),
        ("floor: `select`", "select"),
        ("floor: `open`", "open"),
        ("floor: `hello`", "hello"),
    ];
    join(&[rates_and_latency(results, "look", "lookups/s"), rates(results, &scenarios)])
}

fn writes(results: &Results) -> String {
    let floor = rates(results, &[("floor: `select`", "select")]);
    join(&[rates_and_latency(results, "add", "inserts/s"), floor])
}

fn ladder(results: &Results) -> String {
    let systems = results.systems();
    let mut headings = vec!["step".to_owned(), "adds".to_owned()];
    for system in &systems {
        headings.extend([format!("{}: CPU, µs", system.label()), "added by this step".to_owned()]);
    }
    let mut table = Table(vec![headings]);
    let mut previous = None;
    for (_, name, adds) in STEPS {
        let mut row = vec![format!("`{name}`"), adds.to_owned()];
        for &system in &systems {
            let (metric, step) = (Metric::ServiceCpu, (name, default_parameter(results, name)));
            let added = previous.and_then(|previous| {
                results.paired(system, step, previous, metric, |value, previous| value - previous)
            });
            row.push(spread(results.get(system, step.0, step.1, metric)));
            row.push(added.map_or_else(
                || "–".to_owned(),
                |Spread { median, min, max }| format!("{median:+.1} ({min:+.1} to {max:+.1})"),
            ));
        }
        table.row(row);
        previous = Some((name, default_parameter(results, name)));
    }
    table.to_markdown()
}

fn mixed(results: &Results) -> String {
    let rate = format!("latency at {}/s, ms (p50 / p99): lookup", target_rate(results, "same"));
    let mut table = Table::new([
        "system",
        "requests/s",
        VS_GUNICORN,
        CPU,
        VS_FLOOR,
        &rate,
        "list",
        "insert",
        "failed",
    ]);
    for system in results.systems() {
        table.row([
            system.label().to_owned(),
            spread(results.capacity(system, "all")),
            vs_gunicorn(results, system, "all"),
            cpu(results, system, "all"),
            vs_floor(results, system, "all"),
            latency(results, system, "look-same"),
            latency(results, system, "list-same"),
            latency(results, system, "add-same"),
            failed(results, system),
        ]);
    }
    join(&[table.to_markdown(), rates(results, &[("floor: `select`", "select")])])
}

fn probes(results: &Results) -> String {
    let headings = [
        "load",
        "system",
        "liveness p99, ms",
        "readiness p99, ms",
        "`/health` p99, ms",
        "missed",
        "not 200",
    ];
    let mut table = Table::new(headings);
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
    table.to_markdown()
}

/// Returns the percentage of probes of all rounds that a metric counts.
fn share(results: &Results, system: System, scenario: &str, metric: Metric) -> f64 {
    let count = |metric| total(results, system, scenario, metric);
    100.0 * count(metric) / count(Metric::Sent).max(1.0)
}

/// Returns the sum of a metric over all rounds.
fn total(results: &Results, system: System, scenario: &str, metric: Metric) -> f64 {
    let found = results.measurements.iter().filter(|found| {
        found.system == system && found.scenario == scenario && found.metric == metric
    });
    found.flat_map(|found| &found.values).sum()
}

fn cold(results: &Results) -> String {
    let headings = [
        "system",
        "startup, ms",
        "startup without cache, ms",
        "idle memory, MiB",
        "peak memory under load, MiB",
    ];
    let mut table = Table::new(headings);
    for system in results.systems() {
        let memory = |scenario| {
            let bytes = results.get(system, scenario, 0, Metric::Bytes);
            bytes.map_or_else(|| "–".to_owned(), |spread| mebibytes(spread.median))
        };
        table.row([
            system.label().to_owned(),
            spread(results.get(system, "ready", 0, Metric::Time)),
            spread(results.get(system, "uncompiled", 0, Metric::Time)),
            memory("memory/idle"),
            memory("memory/loaded"),
        ]);
    }
    format!("{}\n{}", table.to_markdown(), components(results))
}

fn components(results: &Results) -> String {
    let headings = [
        "component",
        "size, kB",
        "katas: first request, ms",
        "later requests, ms",
        "Spin: first request, ms",
        "later requests, ms",
    ];
    let mut table = Table::new(headings);
    let sizes = results
        .measurements
        .iter()
        .filter_map(|found| Some((found.scenario.strip_suffix("/size")?, found.values.first()?)));
    for (id, size) in sizes {
        let time =
            |system, call| median(results.get(system, &format!("{id}/{call}"), 0, Metric::Time));
        table.row([
            format!("`{id}`"),
            number(size / 1e3),
            time(System::Katas, "first"),
            time(System::Katas, "later"),
            time(System::Spin, "first"),
            time(System::Spin, "later"),
        ]);
    }
    table.to_markdown()
}

fn scale(results: &Results) -> String {
    let headings = ["connections", "system", "requests/s", "p99, ms", CPU, VS_FLOOR];
    let mut curve = Table::new(headings);
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
    format!("{}\n{}", curve.to_markdown(), connection_limit(results))
}

fn connection_limit(results: &Results) -> String {
    let headings = [
        "instances",
        "connections requested",
        "granted",
        "refused",
        "`katas`: responses/s",
        CPU,
        "refused requests/s",
    ];
    let mut table = Table::new(headings);
    for instances in results.parameters("pools") {
        let pools = |metric| results.get(System::Pools, "pools", instances, metric);
        let (granted, refused) = (pools(Metric::Connections), pools(Metric::Refused));
        let requested = granted.map_or(0.0, |spread| spread.median)
            + refused.map_or(0.0, |spread| spread.median);
        let katas = |metric| median(results.get(System::Katas, "instances", instances, metric));
        let whole =
            |spread: Option<Spread>| format!("{:.0}", spread.map_or(0.0, |spread| spread.median));
        table.row([
            instances.to_string(),
            format!("{requested:.0}"),
            whole(granted),
            whole(refused),
            katas(Metric::Rate),
            cpu_at(results, System::Katas, "instances", instances),
            katas(Metric::Failed),
        ]);
    }
    table.to_markdown()
}

fn ingest(results: &Results) -> String {
    let mut table = Table::new([
        "rows",
        "MB",
        "system",
        "rows/s",
        "MB/s",
        "CPU per row, µs (service / PostgreSQL)",
        "PostgreSQL CPU vs. `\\copy`",
        "peak memory, MiB",
    ]);
    for rows in results.parameters("load") {
        let cpu = |system, metric| median(results.get(system, "load", rows, metric));
        let database = |system| results.get(system, "load", rows, Metric::DatabaseCpu);
        for system in results.systems() {
            let get = |scenario, metric| results.get(system, scenario, rows, metric);
            let size = get("load", Metric::Bytes).map_or(0.0, |spread| spread.median) / 1e6;
            let seconds = get("load", Metric::Time).map_or(f64::NAN, |spread| spread.median) / 1e3;
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
                    (Some(load), Some(copy)) => format!("{:.1} ×", load.median / copy.median),
                    _ => "–".to_owned(),
                },
                memory.map_or_else(|| "–".to_owned(), |spread| mebibytes(spread.median)),
            ]);
        }
    }
    let loads = table.to_markdown();
    if results.parameters("export").is_empty() {
        return loads;
    }
    [loads, reads_of_datasets(results)].join("\n")
}

fn reads_of_datasets(results: &Results) -> String {
    let mut table =
        Table::new(["rows", "system", "exported rows/s", "rows/s of a run", "on disk, MiB"]);
    for rows in results.parameters("export") {
        for system in results.systems() {
            let get = |scenario, metric| results.get(system, scenario, rows, metric);
            table.row([
                number(f64::from(u32::try_from(rows).unwrap_or(u32::MAX))),
                system.label().to_owned(),
                spread(get("export", Metric::Rows)),
                spread(get("run", Metric::Rows)),
                get("stored", Metric::Bytes)
                    .map_or_else(|| "–".to_owned(), |spread| mebibytes(spread.median)),
            ]);
        }
    }
    table.to_markdown()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_significant_digits_and_thousands_separators() {
        let texts = [(0.123, "0.12"), (9.876, "9.88"), (12.34, "12.3"), (999.9, "1,000")];
        for (value, text) in texts {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(123.4), "123");
    }
}
