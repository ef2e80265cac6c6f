//! Jobs: how they handle `migrate`'s exit codes, their deadlines, and the arguments they pass.

use std::collections::BTreeSet;
use std::path::Path;

use katas_host::local::process::cargo;
use serde_json::Value;

use super::objects::{Objects, list, title};
use super::pods::containers;
use super::render::deployment;
use crate::repository::text;
use crate::support::root;

/// Checks exit codes and deadlines of all Jobs against those of `migrate`.
pub(super) fn check(objects: &Objects) -> Vec<String> {
    let documented = exit_codes();
    let mut violations = Vec::new();
    for (object, job) in jobs(objects) {
        let title = title(object);
        let codes = list(job, "/podFailurePolicy/rules/0/onExitCodes/values");
        let codes: BTreeSet<u64> = codes.iter().filter_map(Value::as_u64).collect();
        // 1 is an unexpected error and 75 a temporary one: both are retried.
        if codes.is_empty()
            || !codes.is_subset(&documented)
            || [0, 1, 75].iter().any(|code| codes.contains(code))
        {
            violations.push(format!("{title}: invalid permanent exit codes {codes:?}"));
        }
        let rules = list(job, "/podFailurePolicy/rules");
        if !rules.iter().any(|rule| rule["action"] == "Ignore") {
            violations.push(format!("{title}: an eviction counts as a failure"));
        }
        let spec = &job["template"]["spec"];
        let deadlines: u64 =
            containers(spec).map(|container| variable(container, "MIGRATE_DEADLINE")).sum();
        if deadlines == 0 || deadlines >= job["activeDeadlineSeconds"].as_u64().unwrap_or(0) {
            violations.push(format!(
                "{title}: activeDeadlineSeconds is not above migrate's deadlines of {deadlines} s"
            ));
        }
        for container in containers(spec) {
            if variable(container, "MIGRATE_DEADLINE") <= variable(container, "MIGRATE_WAIT") {
                violations.push(format!("{title}: MIGRATE_WAIT is not below MIGRATE_DEADLINE"));
            }
        }
    }
    violations
}

/// Returns every Job and CronJob with its Job specification.
fn jobs(objects: &Objects) -> impl Iterator<Item = (&Value, &Value)> {
    let jobs = objects.of_kind("Job").map(|job| (job, &job["spec"]));
    jobs.chain(objects.of_kind("CronJob").map(|job| (job, &job["spec"]["jobTemplate"]["spec"])))
}

/// Returns the value of a numeric environment variable, 0 if it is not set.
fn variable(container: &Value, name: &str) -> u64 {
    let variable = list(container, "/env").iter().find(|variable| variable["name"] == name);
    variable.and_then(|variable| variable["value"].as_str()?.parse().ok()).unwrap_or(0)
}

/// Returns the exit codes that `migrate --help` documents.
fn exit_codes() -> BTreeSet<u64> {
    let text = text(Path::new("migrate/src/bin/migrate/cli.rs"));
    let (_, codes) = text.split_once("Exit codes:\n").expect("the codes");
    let lines = codes.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn migrate_help_documents_the_exit_codes() {
    assert!(exit_codes().is_superset(&BTreeSet::from([0, 1, 2, 3, 4, 9, 75])));
}

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn migrate_accepts_the_arguments_of_every_job() {
    for name in [r#"local + ["sweep", "load-data"]"#, "production"] {
        let objects = deployment(name);
        for container in jobs(&objects).flat_map(|(_, job)| containers(&job["template"]["spec"])) {
            let args = list(container, "/args").iter().filter_map(Value::as_str);
            let output = cargo()
                .args(["run", "--quiet", "--locked", "--bin", "migrate", "--"])
                .args(args)
                .args(["--database-url-file", "/nowhere"])
                .current_dir(root())
                .output()
                .expect("cargo runs");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains("cannot read the database URL"), "{stderr}");
        }
    }
}
