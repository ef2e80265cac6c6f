//! Jobs: what they make of `migrate`'s exit codes, how long they take, what they tell it to do.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::objects::{Objects, list, title};
use super::pods::containers;
use super::render::deployment;
use crate::repository::text;
use crate::support::root;

/// All of them fit `migrate`.
pub(super) fn end_as_migrate_says(objects: &Objects) -> Vec<String> {
    let documented = exit_codes();
    let mut faults = Vec::new();
    for (object, job) in jobs(objects) {
        let of = title(object);
        let codes = list(job, "/podFailurePolicy/rules/0/onExitCodes/values");
        let codes: BTreeSet<u64> = codes.iter().filter_map(Value::as_u64).collect();
        // 1 is unforeseen, 75 says itself that it may pass.
        if codes.is_empty()
            || !codes.is_subset(&documented)
            || [0, 1, 75].iter().any(|it| codes.contains(it))
        {
            faults.push(format!("{of}: the exit codes {codes:?} do not fail it"));
        }
        if !list(job, "/podFailurePolicy/rules").iter().any(|it| it["action"] == "Ignore") {
            faults.push(format!("{of}: a node that is drained is its failure"));
        }
        let spec = &job["template"]["spec"];
        let deadlines: u64 = containers(spec).map(|it| variable(it, "MIGRATE_DEADLINE")).sum();
        if deadlines == 0 || deadlines >= job["activeDeadlineSeconds"].as_u64().unwrap_or(0) {
            faults
                .push(format!("{of}: is ended before migrate ends by itself, after {deadlines} s"));
        }
        for container in containers(spec) {
            if variable(container, "MIGRATE_DEADLINE") <= variable(container, "MIGRATE_WAIT") {
                faults.push(format!("{of}: waits for the database longer than it may take"));
            }
        }
    }
    faults
}

/// Every Job and CronJob, with the Job's specification.
fn jobs(objects: &Objects) -> impl Iterator<Item = (&Value, &Value)> {
    let jobs = objects.of("Job").map(|job| (job, &job["spec"]));
    jobs.chain(objects.of("CronJob").map(|job| (job, &job["spec"]["jobTemplate"]["spec"])))
}

fn variable(container: &Value, name: &str) -> u64 {
    let found = list(container, "/env").iter().find(|it| it["name"] == name);
    found.and_then(|it| it["value"].as_str()?.parse().ok()).unwrap_or(0)
}

/// Those of `migrate --help`.
fn exit_codes() -> BTreeSet<u64> {
    let text = text(Path::new("migrate/src/bin/migrate/cli.rs"));
    let (_, codes) = text.split_once("Exit codes:\n").expect("the codes");
    let lines = codes.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect()
}

#[test]
fn the_exit_codes_are_documented() {
    assert!(exit_codes().is_superset(&BTreeSet::from([0, 1, 2, 3, 4, 9, 75])));
}

#[test]
fn migrate_takes_the_arguments_of_every_job() {
    for name in [r#"local + ["sweep", "load-data"]"#, "production"] {
        let objects = deployment(name);
        for container in jobs(&objects).flat_map(|(_, job)| containers(&job["template"]["spec"])) {
            let args = list(container, "/args").iter().filter_map(Value::as_str);
            let output = Command::new(env!("CARGO"))
                .args(["run", "--quiet", "--locked", "--bin", "migrate", "--"])
                .args(args)
                .args(["--database-url-file", "/nowhere"])
                .current_dir(root())
                .output()
                .expect("it runs");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{errors}");
            assert!(errors.contains("cannot be read"), "{errors}");
        }
    }
}
