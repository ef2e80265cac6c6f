//! The manifests: whatever can be composed of them keeps every rule, and what breaks one is noticed.

mod broken;
mod budget;
mod database;
mod gitops;
mod jobs;
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
use render::{base, deployments};

/// What has to be true of everything that is deployed together; says what is not.
type Rule = fn(&Objects) -> Vec<String>;

/// All of them.
const RULES: &[Rule] = &[
    budget::fits,
    jobs::end_as_migrate_says,
    network::is_closed_but_for_what_is_needed,
    pods::are_bounded_and_confined,
    references::resolve,
    release::is_named_once,
    routes::lead_to_the_component,
    secrets::are_not_in_git,
    spinapp::is_what_the_operator_takes,
    variables::are_those_of_the_manifest,
];

/// Everything that is wrong.
fn faults(objects: &Objects) -> Vec<String> {
    RULES.iter().flat_map(|rule| rule(objects)).collect()
}

#[test]
fn every_deployment_keeps_every_rule() {
    for (name, objects) in deployments() {
        assert_eq!(faults(objects), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn base_renders_in_less_than_a_second() {
    let (objects, took) = base();
    assert!(objects.of("SpinApp").count() == 1 && took.as_secs_f64() < 1.0, "{took:?}");
}
