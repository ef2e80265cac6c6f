//! The configuration and counters of a component, shared by all its requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use crate::Log;
use crate::manifest::Component;
use crate::outbound::AllowedHosts;
use crate::pool::Pools;
use crate::variables::Variables;

pub(crate) struct ComponentConfig {
    pub(crate) id: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) allowed_hosts: AllowedHosts,
    pub(crate) pools: Arc<Pools>,
    pub(crate) log: Log,
    /// The largest memory of any instance so far, in bytes.
    pub(crate) peak_memory: AtomicUsize,
    /// The largest number of instructions between two host calls.
    pub(crate) longest_run: AtomicU64,
    /// The number of instructions of all requests.
    pub(crate) instructions: AtomicU64,
}

impl ComponentConfig {
    pub(crate) fn new(
        id: &str,
        component: &Component,
        variables: &Variables,
        pools: Arc<Pools>,
        log: Log,
    ) -> anyhow::Result<ComponentConfig> {
        let mut expanded = BTreeMap::new();
        for (name, template) in &component.variables {
            expanded.insert(name.clone(), variables.expand(template)?);
        }
        let hosts = component.allowed_outbound_hosts.iter().map(|host| variables.expand(host));
        Ok(ComponentConfig {
            id: id.to_owned(),
            variables: expanded,
            environment: component.environment.clone(),
            allowed_hosts: AllowedHosts::parse(&hosts.collect::<anyhow::Result<Vec<_>>>()?)?,
            pools,
            log,
            peak_memory: AtomicUsize::new(0),
            longest_run: AtomicU64::new(0),
            instructions: AtomicU64::new(0),
        })
    }

    /// Logs a warning about behavior that causes problems under Spin.
    pub(crate) fn warn(&self, text: &str) {
        (self.log)(&format!("warning: {}: {text}", self.id));
    }
}
