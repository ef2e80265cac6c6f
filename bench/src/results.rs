//! What was measured, as it is kept: one flat list, which tables and charts choose from.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::systems::System;

/// The outcome of one suite.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// Which suite it was.
    pub suite: Suite,
    /// Where it ran.
    pub machine: Machine,
    /// How often everything was measured.
    pub rounds: usize,
    /// How long each measurement took, in seconds.
    pub seconds: f64,
    /// Everything that was measured.
    pub measurements: Vec<Measurement>,
}

/// One number, measured once in each round.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Measurement {
    /// Of what.
    pub system: System,
    /// Doing what.
    pub scenario: String,
    /// What the scenario was varied by: connections, bytes, instances. 0 when by nothing.
    pub parameter: u64,
    /// Which number.
    pub metric: Metric,
    /// Its value in each round.
    pub values: Vec<f64>,
}

/// The numbers that are measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Right answers per second.
    Rate,
    /// Requests per second that were asked for.
    Asked,
    /// Milliseconds that half of the requests stayed below.
    P50,
    /// The same for 75 %.
    P75,
    /// The same for 90 %.
    P90,
    /// The same for 95 %.
    P95,
    /// The same for 99 %.
    P99,
    /// The same for 99.9 %.
    P999,
    /// Milliseconds of the slowest.
    Max,
    /// Answers that were not what they should have been, and connections without one.
    Failed,
    /// Probes that were not answered within their deadline.
    Missed,
    /// Probes that were answered in time with another status than 200.
    Refused,
    /// Probes that were sent.
    Sent,
    /// Milliseconds.
    Time,
    /// Bytes.
    Bytes,
    /// Connections.
    Connections,
    /// Rows per second.
    Rows,
    /// CPU time of the service for one answer, in microseconds; of loads, for one row.
    ServiceCpu,
    /// CPU time of PostgreSQL for one answer, in microseconds; of loads, for one row.
    DatabaseCpu,
}

impl Results {
    /// Reads a file of results.
    pub fn read(path: &Path) -> anyhow::Result<Results> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))
    }

    /// Writes them where [`Results::read`] finds them.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let lines = self.measurements.iter().map(serde_json::to_string);
        let lines = lines.collect::<Result<Vec<_>, _>>()?.join(",\n    ");
        let head = serde_json::to_string_pretty(&Results { measurements: vec![], ..self.clone() })?;
        // A line for each: what has changed can be seen.
        let list = format!("\"measurements\": [\n    {lines}\n  ]");
        let text = head.replace("\"measurements\": []", &list) + "\n";
        fs::write(path, text).with_context(|| format!("{}", path.display()))
    }

    /// The systems, in the order of [`System`].
    pub fn systems(&self) -> Vec<System> {
        let mut systems: Vec<_> = self.measurements.iter().map(|it| it.system).collect();
        systems.sort();
        systems.dedup();
        systems
    }

    /// What a scenario was varied by, ascending.
    pub fn parameters(&self, scenario: &str) -> Vec<u64> {
        let of = self.measurements.iter().filter(|it| it.scenario == scenario);
        let mut parameters: Vec<_> = of.map(|it| it.parameter).collect();
        parameters.sort_unstable();
        parameters.dedup();
        parameters
    }

    /// One number, `None` when it was not measured.
    pub fn get(
        &self,
        system: System,
        scenario: &str,
        parameter: u64,
        metric: Metric,
    ) -> Option<Spread> {
        Spread::of(&find(&self.measurements, system, scenario, parameter, metric)?.values)
    }

    /// Two measurements of a system in the same rounds, combined round by round: whatever slowed a
    /// round down has slowed both.
    pub fn paired(
        &self,
        system: System,
        (scenario, parameter): (&str, u64),
        (base, base_parameter): (&str, u64),
        metric: Metric,
        combine: fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let measurements = &self.measurements;
        let value = find(measurements, system, scenario, parameter, metric)?;
        let base = find(measurements, system, base, base_parameter, metric)?;
        let pairs = value.values.iter().zip(&base.values);
        Spread::of(&pairs.map(|(value, base)| combine(*value, *base)).collect::<Vec<_>>())
    }

    /// The most that a system did per second in a scenario, over all that it was varied by.
    pub fn capacity(&self, system: System, scenario: &str) -> Option<Spread> {
        capacity(&self.measurements, system, scenario)
    }
}

/// Collects measurements, round by round.
#[derive(Debug, Default)]
pub struct Recorder(pub Vec<Measurement>);

impl Recorder {
    /// Notes one value of one round.
    pub fn add(
        &mut self,
        system: System,
        scenario: &str,
        parameter: u64,
        metric: Metric,
        value: f64,
    ) {
        let same = |it: &&mut Measurement| {
            it.system == system
                && it.scenario == scenario
                && it.parameter == parameter
                && it.metric == metric
        };
        match self.0.iter_mut().find(same) {
            Some(known) => known.values.push(value),
            None => self.0.push(Measurement {
                system,
                scenario: scenario.to_owned(),
                parameter,
                metric,
                values: vec![value],
            }),
        }
    }

    /// The most that a system did per second in a scenario so far.
    pub fn capacity(&self, system: System, scenario: &str) -> Option<Spread> {
        capacity(&self.0, system, scenario)
    }
}

fn find<'m>(
    measurements: &'m [Measurement],
    system: System,
    scenario: &str,
    parameter: u64,
    metric: Metric,
) -> Option<&'m Measurement> {
    measurements.iter().find(|it| {
        it.system == system
            && it.scenario == scenario
            && it.parameter == parameter
            && it.metric == metric
    })
}

fn capacity(measurements: &[Measurement], system: System, scenario: &str) -> Option<Spread> {
    let rates = measurements
        .iter()
        .filter(|it| it.system == system && it.scenario == scenario && it.metric == Metric::Rate);
    let spreads = rates.filter_map(|it| Spread::of(&it.values));
    spreads.max_by(|a, b| a.median.total_cmp(&b.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paired_measurements_are_combined_within_each_round() {
        let mut recorder = Recorder::default();
        for (look, select) in [(120.0, 100.0), (260.0, 200.0), (140.0, 100.0)] {
            recorder.add(System::Spin, "look", 64, Metric::ServiceCpu, look);
            recorder.add(System::Spin, "select", 16, Metric::ServiceCpu, select);
        }
        let results = Results {
            suite: Suite::Reads,
            machine: Machine::here("").unwrap(),
            rounds: 3,
            seconds: 1.0,
            measurements: recorder.0,
        };
        let paired = |base| {
            let (metric, divide) = (Metric::ServiceCpu, |it, base| it / base);
            results.paired(System::Spin, ("look", 64), base, metric, divide)
        };
        let ratio = Spread { median: 1.3, least: 1.2, most: 1.4 };
        assert_eq!(paired(("select", 16)), Some(ratio));
        assert_eq!(paired(("hello", 64)), None);
    }

    #[test]
    fn the_values_of_all_rounds_are_one_measurement() {
        let mut recorder = Recorder::default();
        for (connections, rate) in [(16, 1.0), (64, 5.0), (16, 2.0), (64, 7.0)] {
            recorder.add(System::Katas, "look", connections, Metric::Rate, rate);
        }
        assert_eq!(recorder.0.len(), 2);
        assert_eq!(recorder.0[0].values, [1.0, 2.0]);
        assert_eq!(recorder.capacity(System::Katas, "look").map(|it| it.median), Some(6.0));
        assert_eq!(recorder.capacity(System::Axum, "look"), None);
    }
}
