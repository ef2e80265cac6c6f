//! The chart of each suite.

use super::drawing::{Area, Axes, Bar, Group, Line, bars, decades, height, legend, lines, svg};
use super::tables::number;
use crate::results::{Metric, Results};
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::suites::{LOADS, PROBES, QUANTILES, STEPS};
use crate::systems::System;

const WIDTH: u32 = 860;

/// Returns the chart of a suite as SVG.
pub fn render(results: &Results) -> anyhow::Result<String> {
    match results.suite {
        Suite::Reads => reads(results),
        Suite::Ladder => ladder(results),
        Suite::Writes => capacities(results, "Inserts per second", &[("", "add")]),
        Suite::Mixed => capacities(results, "Requests per second, mixed load", &[("", "all")]),
        Suite::Probes => probes(results),
        Suite::Cold => cold(results),
        Suite::Scale => scale(results),
        Suite::Ingest => ingest(results),
    }
}

fn reads(results: &Results) -> anyhow::Result<String> {
    let groups = [
        ("lookup of a word", "look"),
        ("user by id", "user"),
        ("page of 100 entries", "list"),
        ("spending, without the database", "spend"),
        ("floor: one plain statement", "select"),
        ("floor: constant response", "hello"),
    ];
    capacities(results, "Requests per second at saturation", &groups)
}

fn ladder(results: &Results) -> anyhow::Result<String> {
    let step = |(_, name, adds): &(&str, &str, &str)| {
        let cpu = |system| results.get(system, name, 64, Metric::ServiceCpu);
        group(results, &format!("{name}: {adds}"), cpu, |value| format!("{} µs", number(value)))
    };
    let groups: Vec<_> = STEPS.iter().map(step).collect();
    let title = "Service CPU time per request; each step includes the previous steps";
    svg((WIDTH, height(&groups)), |area| bars(area, title, &groups))
}

/// Returns bars of the capacity of each system, labeled with its ratio to gunicorn.
fn capacities(results: &Results, title: &str, groups: &[(&str, &str)]) -> anyhow::Result<String> {
    let measured = |scenario| {
        results.systems().iter().any(|system| results.capacity(*system, scenario).is_some())
    };
    let groups: Vec<_> = groups
        .iter()
        .filter(|(_, scenario)| measured(scenario))
        .map(|(title, scenario)| {
            let base = results.capacity(System::Gunicorn, scenario);
            group(
                results,
                title,
                |system| results.capacity(system, scenario),
                |value| {
                    let base = base.map(|base| format!(" ({:.1} ×)", value / base.median));
                    format!("{}{}", number(value), base.unwrap_or_default())
                },
            )
        })
        .collect();
    let title = match results.systems().contains(&System::Gunicorn) {
        true => format!("{title} (ratio to gunicorn)"),
        false => title.to_owned(),
    };
    let size = (WIDTH, height(&groups));
    svg(size, |area| bars(area, &title, &groups))
}

fn group(
    results: &Results,
    title: &str,
    value: impl Fn(System) -> Option<Spread>,
    label: impl Fn(f64) -> String,
) -> Group {
    let bar = |system| {
        let value = value(system)?;
        Some(Bar { system, value, label: label(value.median) })
    };
    Group { title: title.to_owned(), bars: results.systems().into_iter().filter_map(bar).collect() }
}

/// Returns a grid of latency distributions with a row for each load and a column for each probe.
fn probes(results: &Results) -> anyhow::Result<String> {
    let systems = results.systems();
    svg((WIDTH, 30 + 210 * 4), |area| {
        let (head, body) = area.split_vertically(30);
        legend(&head, &systems)?;
        let cells = body.split_evenly((LOADS.len(), PROBES.len()));
        let scenarios = LOADS.into_iter().flat_map(|load| PROBES.map(|probe| (load, probe)));
        for (cell, (load, probe)) in cells.iter().zip(scenarios) {
            distribution(cell, results, load, probe)?;
        }
        Ok(())
    })
}

fn probe_title(probe: &str) -> &str {
    match probe {
        "live" => "liveness",
        "ready" => "readiness",
        _ => "/health",
    }
}

fn distribution(area: &Area, results: &Results, load: &str, probe: &str) -> anyhow::Result<()> {
    const LABELS: [&str; 7] = ["50", "75", "90", "95", "99", "99.9", "max"];
    let ticks: Vec<_> = (0_u8..).map(f64::from).zip(LABELS).collect();
    let scenario = format!("{load}/{probe}");
    let line = |system| {
        let latency =
            |metric| results.get(system, &scenario, 0, metric).map(|spread| spread.median);
        let points = ticks.iter().zip(QUANTILES);
        let points = points.filter_map(|(tick, (_, metric))| Some((tick.0, latency(metric)?)));
        Line { system, points: points.collect() }
    };
    let axes = Axes {
        title: &format!("{load}: {}", probe_title(probe)),
        x: "percentile",
        y: "ms",
        ticks: &ticks,
        range: (0.1, 1000.0),
    };
    lines(area, &axes, &results.systems().into_iter().map(line).collect::<Vec<_>>())
}

fn cold(results: &Results) -> anyhow::Result<String> {
    let milliseconds = |value| format!("{} ms", number(value));
    let mebibytes = |value| format!("{} MiB", number(value / f64::from(1 << 20)));
    let get =
        |scenario: &'static str, metric| move |system| results.get(system, scenario, 0, metric);
    let groups = [
        group(results, "startup to the first response", get("ready", Metric::Time), milliseconds),
        group(results, "idle memory", get("memory/idle", Metric::Bytes), mebibytes),
        group(results, "peak memory under load", get("memory/loaded", Metric::Bytes), mebibytes),
    ];
    svg((WIDTH, height(&groups)), |area| bars(area, "Startup time and memory", &groups))
}

fn scale(results: &Results) -> anyhow::Result<String> {
    let mut systems = results.systems();
    systems.retain(|system| *system != System::Pools);
    let connections = results.parameters("look");
    let labels: Vec<_> = connections.iter().map(u64::to_string).collect();
    let ticks: Vec<_> = (0_u8..).map(f64::from).zip(labels.iter().map(String::as_str)).collect();
    let draw = |area: &Area, title: &str, y: &str, metric: Metric| {
        let line = |&system: &System| {
            let points = ticks.iter().zip(&connections).filter_map(|(tick, &connections)| {
                Some((tick.0, results.get(system, "look", connections, metric)?.median))
            });
            Line { system, points: points.collect() }
        };
        let drawn: Vec<_> = systems.iter().map(line).collect();
        let range = decades(&drawn);
        lines(area, &Axes { title, x: "connections", y, ticks: &ticks, range }, &drawn)
    };
    svg((WIDTH, 350), |area| {
        let (head, body) = area.split_vertically(30);
        legend(&head, &systems)?;
        let (left, right) = body.split_horizontally(WIDTH / 2);
        draw(&left, "Lookups per second", "per second", Metric::Rate)?;
        draw(&right, "p99 latency", "ms", Metric::P99)
    })
}

fn ingest(results: &Results) -> anyhow::Result<String> {
    let groups: Vec<_> = results
        .parameters("load")
        .into_iter()
        .map(|rows| {
            let title = format!("{rows} rows");
            let rate = |system| results.get(system, "load", rows, Metric::Rows);
            group(results, &title, rate, number)
        })
        .collect();
    svg((WIDTH, height(&groups)), |area| bars(area, "CSV rows loaded per second", &groups))
}
