//! The results of a suite: a flat list of measurements that tables and charts select from.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::statistics::Spread;
use crate::suite::Suite;
use crate::systems::System;

/// The results of one suite.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// The suite.
    pub suite: Suite,
    /// The machine that it ran on.
    pub machine: Machine,
    /// The number of rounds.
    pub rounds: usize,
    /// The duration of each measurement in seconds.
    pub seconds: f64,
    /// The measurements.
    pub measurements: Vec<Measurement>,
}

/// The values of one metric of a system in a scenario, one per round.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Measurement {
    /// The measured system.
    pub system: System,
    /// The scenario, such as a kind of request.
    pub scenario: String,
    /// The parameter of the scenario: connections, rows or instances; 0 if it has none.
    pub parameter: u64,
    /// The metric.
    pub metric: Metric,
    /// The value of each round.
    pub values: Vec<f64>,
}

/// A metric.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Successful responses per second.
    Rate,
    /// The rate of an open loop in requests per second.
    #[serde(rename = "asked")]
    TargetRate,
    /// Median latency in milliseconds.
    P50,
    /// 75th percentile of the latency in milliseconds.
    P75,
    /// 90th percentile of the latency in milliseconds.
    P90,
    /// 95th percentile of the latency in milliseconds.
    P95,
    /// 99th percentile of the latency in milliseconds.
    P99,
    /// 99.9th percentile of the latency in milliseconds.
    P999,
    /// Maximum latency in milliseconds.
    Max,
    /// Responses with an unexpected status, and requests without a response.
    Failed,
    /// Probes without a response within the deadline.
    Missed,
    /// Probes with a status other than 200 within the deadline, or connections that PostgreSQL
    /// rejected.
    Refused,
    /// Probes sent.
    Sent,
    /// A duration in milliseconds.
    Time,
    /// A size in bytes.
    Bytes,
    /// Connections that PostgreSQL accepted.
    Connections,
    /// Rows per second.
    Rows,
    /// CPU time of the service in microseconds, per response or per loaded row.
    ServiceCpu,
    /// CPU time of PostgreSQL in microseconds, per response or per loaded row.
    DatabaseCpu,
}

impl Measurement {
    fn is(&self, system: System, scenario: &str, parameter: u64, metric: Metric) -> bool {
        self.system == system
            && self.scenario == scenario
            && self.parameter == parameter
            && self.metric == metric
    }
}

impl Results {
    /// Reads results from a JSON file.
    pub fn read(path: &Path) -> anyhow::Result<Results> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("cannot parse {}", path.display()))
    }

    /// Writes results to a JSON file.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let lines = self.measurements.iter().map(serde_json::to_string);
        let lines = lines.collect::<Result<Vec<_>, _>>()?.join(",\n    ");
        let head = serde_json::to_string_pretty(&Results { measurements: vec![], ..self.clone() })?;
        // One line per measurement, for readable diffs.
        let list = format!("\"measurements\": [\n    {lines}\n  ]");
        let text = head.replace("\"measurements\": []", &list) + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Returns the measured systems in the order of [`System`].
    pub fn systems(&self) -> Vec<System> {
        let mut systems: Vec<_> =
            self.measurements.iter().map(|measurement| measurement.system).collect();
        systems.sort();
        systems.dedup();
        systems
    }

    /// Returns the parameters of a scenario in ascending order.
    pub fn parameters(&self, scenario: &str) -> Vec<u64> {
        let matching =
            self.measurements.iter().filter(|measurement| measurement.scenario == scenario);
        let mut parameters: Vec<_> = matching.map(|measurement| measurement.parameter).collect();
        parameters.sort_unstable();
        parameters.dedup();
        parameters
    }

    /// Returns the spread of a metric, or `None` if it was not measured.
    pub fn get(
        &self,
        system: System,
        scenario: &str,
        parameter: u64,
        metric: Metric,
    ) -> Option<Spread> {
        Spread::of(&find(&self.measurements, system, scenario, parameter, metric)?.values)
    }

    /// Combines two measurements of a system round by round, so that disturbances of a round affect
    /// both values.
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

    /// Returns the highest median rate of a system in a scenario over all parameters.
    pub fn capacity(&self, system: System, scenario: &str) -> Option<Spread> {
        capacity(&self.measurements, system, scenario)
    }
}

/// Collects measurements, round by round.
#[derive(Debug, Default)]
pub struct Recorder(pub Vec<Measurement>);

impl Recorder {
    /// Adds the value of one round.
    pub fn add(
        &mut self,
        system: System,
        scenario: &str,
        parameter: u64,
        metric: Metric,
        value: f64,
    ) {
        let same = |known: &&mut Measurement| known.is(system, scenario, parameter, metric);
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

    /// Returns the highest median rate of a system in a scenario so far.
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
    measurements.iter().find(|known| known.is(system, scenario, parameter, metric))
}

fn capacity(measurements: &[Measurement], system: System, scenario: &str) -> Option<Spread> {
    let rates = measurements.iter().filter(|known| {
        known.system == system && known.scenario == scenario && known.metric == Metric::Rate
    });
    let spreads = rates.filter_map(|rate| Spread::of(&rate.values));
    spreads.max_by(|a, b| a.median.total_cmp(&b.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paired_combines_values_of_the_same_round() {
        let mut recorder = Recorder::default();
        for (look, select) in [(120.0, 100.0), (260.0, 200.0), (140.0, 100.0)] {
            recorder.add(System::Spin, "look", 64, Metric::ServiceCpu, look);
            recorder.add(System::Spin, "select", 16, Metric::ServiceCpu, select);
        }
        let results = Results {
            suite: Suite::Reads,
            machine: Machine::current("").unwrap(),
            rounds: 3,
            seconds: 1.0,
            measurements: recorder.0,
        };
        let paired = |base| {
            let (metric, divide) = (Metric::ServiceCpu, |value, base| value / base);
            results.paired(System::Spin, ("look", 64), base, metric, divide)
        };
        let ratio = Spread { median: 1.3, min: 1.2, max: 1.4 };
        assert_eq!(paired(("select", 16)), Some(ratio));
        assert_eq!(paired(("hello", 64)), None);
    }

    #[test]
    fn recorder_collects_the_values_of_all_rounds_in_one_measurement() {
        let mut recorder = Recorder::default();
        for (connections, rate) in [(16, 1.0), (64, 5.0), (16, 2.0), (64, 7.0)] {
            recorder.add(System::Katas, "look", connections, Metric::Rate, rate);
        }
        assert_eq!(recorder.0.len(), 2);
        assert_eq!(recorder.0[0].values, [1.0, 2.0]);
        assert_eq!(recorder.capacity(System::Katas, "look").map(|spread| spread.median), Some(6.0));
        assert_eq!(recorder.capacity(System::Axum, "look"), None);
    }
}
