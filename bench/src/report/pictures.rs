//! The chart of each suite.

use super::chart::{Area, Axes, Bar, Group, Line, bars, decades, height, legend, lines, picture};
use super::tables::number;
use crate::results::{Metric, Results};
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::suites::{LOADS, PROBES, SHARES, STEPS};
use crate::systems::System;

const WIDTH: u32 = 860;

/// The chart of a suite.
pub fn of(results: &Results) -> anyhow::Result<String> {
    match results.suite {
        Suite::Reads => reads(results),
        Suite::Ladder => ladder(results),
        Suite::Writes => capacities(results, "Words added per second", &[("", "add")]),
        Suite::Mixed => {
            capacities(results, "Requests per second, all kinds at once", &[("", "all")])
        }
        Suite::Probes => probes(results),
        Suite::Cold => cold(results),
        Suite::Scale => scale(results),
        Suite::Ingest => ingest(results),
    }
}

fn reads(results: &Results) -> anyhow::Result<String> {
    let groups = [
        ("a word by its name", "look"),
        ("a user by their id", "user"),
        ("a page of 100 words", "list"),
        ("the total of an order, without the database", "spend"),
        ("the floor: one plain statement", "select"),
        ("the floor: a constant response", "hello"),
    ];
    capacities(results, "Answers per second at saturation", &groups)
}

fn ladder(results: &Results) -> anyhow::Result<String> {
    let step = |(_, name, adds): &(&str, &str, &str)| {
        let cpu = |system| results.get(system, name, 64, Metric::ServiceCpu);
        group(results, &format!("{name}: {adds}"), cpu, |value| format!("{} µs", number(value)))
    };
    let groups: Vec<_> = STEPS.iter().map(step).collect();
    let title = "CPU time of the service per request, each step with all before it";
    picture((WIDTH, height(&groups)), |area| bars(area, title, &groups))
}

/// Bars of what each system can do, with how many times that is what gunicorn does.
fn capacities(results: &Results, title: &str, groups: &[(&str, &str)]) -> anyhow::Result<String> {
    let measured =
        |scenario| results.systems().iter().any(|it| results.capacity(*it, scenario).is_some());
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
        true => format!("{title}, and how many times gunicorn's"),
        false => title.to_owned(),
    };
    let size = (WIDTH, height(&groups));
    picture(size, |area| bars(area, &title, &groups))
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

/// A grid: a row for each load, a column for each probe, latency over the share of probes.
fn probes(results: &Results) -> anyhow::Result<String> {
    let systems = results.systems();
    picture((WIDTH, 30 + 210 * 4), |area| {
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

fn distribution(area: &Area, results: &Results, load: &str, probe: &str) -> anyhow::Result<()> {
    const LABELS: [&str; 7] = ["50", "75", "90", "95", "99", "99.9", "max"];
    let ticks: Vec<_> = (0_u8..).map(f64::from).zip(LABELS).collect();
    let scenario = format!("{load}/{probe}");
    let of = |system| {
        let latency = |metric| results.get(system, &scenario, 0, metric).map(|it| it.median);
        let points = ticks.iter().zip(SHARES);
        let points = points.filter_map(|(tick, (_, metric))| Some((tick.0, latency(metric)?)));
        Line { system, points: points.collect() }
    };
    let axes = Axes {
        title: &format!("{load}: {probe}"),
        x: "% of probes",
        y: "ms",
        ticks: &ticks,
        range: (0.1, 1000.0),
    };
    lines(area, &axes, &results.systems().into_iter().map(of).collect::<Vec<_>>())
}

fn cold(results: &Results) -> anyhow::Result<String> {
    let milliseconds = |value| format!("{} ms", number(value));
    let mebibytes = |value| format!("{} MiB", number(value / f64::from(1 << 20)));
    let get =
        |scenario: &'static str, metric| move |system| results.get(system, scenario, 0, metric);
    let groups = [
        group(
            results,
            "from the start to the first answer",
            get("ready", Metric::Time),
            milliseconds,
        ),
        group(
            results,
            "memory after the first answers",
            get("memory/idle", Metric::Bytes),
            mebibytes,
        ),
        group(
            results,
            "the most memory under load",
            get("memory/loaded", Metric::Bytes),
            mebibytes,
        ),
    ];
    picture((WIDTH, height(&groups)), |area| bars(area, "Starting, and being there", &groups))
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
    picture((WIDTH, 350), |area| {
        let (head, body) = area.split_vertically(30);
        legend(&head, &systems)?;
        let (left, right) = body.split_horizontally(WIDTH / 2);
        draw(&left, "words looked up per second", "per second", Metric::Rate)?;
        draw(&right, "latency, 99 %", "ms", Metric::P99)
    })
}

fn ingest(results: &Results) -> anyhow::Result<String> {
    let groups: Vec<_> = results
        .parameters("load")
        .into_iter()
        .map(|rows| {
            let title = format!("a file of {rows} rows");
            let rate = |system| results.get(system, "load", rows, Metric::Rows);
            group(results, &title, rate, number)
        })
        .collect();
    picture((WIDTH, height(&groups)), |area| bars(area, "Rows loaded from CSV per second", &groups))
}
