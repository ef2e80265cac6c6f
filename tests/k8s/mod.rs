//! The Kubernetes manifests: every supported combination satisfies every rule, and the rules detect
//! mistakes.

mod budget;
mod cluster;
mod commands;
mod courier;
mod database;
mod gitops;
mod ingress;
mod jobs;
mod memory;
mod mistakes;
mod monitoring;
mod network;
mod objects;
mod pods;
mod references;
mod release;
mod render;
mod routes;
mod secrets;
mod spinapp;
mod variables;

use objects::Objects;
use render::deployments;

/// A rule for objects that are deployed together. Returns the violations.
type Rule = fn(&Objects) -> Vec<String>;

const RULES: &[Rule] = &[
    budget::check,
    courier::check,
    ingress::check,
    jobs::check,
    memory::check,
    network::check,
    pods::check,
    references::check,
    release::check,
    routes::check,
    secrets::check,
    spinapp::check,
    variables::check,
];

/// Returns the violations of all rules.
fn violations(objects: &Objects) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(objects)).collect()
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn every_deployment_satisfies_every_rule() {
    for (name, objects) in deployments() {
        assert_eq!(violations(objects), Vec::<String>::new(), "{name}");
    }
}
