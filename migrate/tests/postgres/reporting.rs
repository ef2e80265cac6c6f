//! Machine-readable results: JSON on standard output, the termination message, and metrics.

use serde_json::Value;

use crate::support::{Database, Project, assert_exit, assert_success, migrate};

const FILES: [(&str, &str); 2] = [
    ("0001_item.up.sql", "CREATE TABLE app.item (id int);"),
    ("0001_item.down.sql", "DROP TABLE app.item;"),
];

#[test]
fn json_format_prints_one_document_per_command() {
    let project = Project::new(&FILES);
    let run = |arguments: &[&str]| {
        let output = project.migrate(&[arguments, &["--format", "json"]].concat());
        assert_success(&output);
        let document: Value = serde_json::from_slice(&output.stdout).expect("parse JSON");
        assert_eq!((&document["format"], &document["command"]), (&1.into(), &arguments[0].into()));
        document
    };
    let status = run(&["status"]);
    assert_eq!(
        (&status["version"], &status["newest"], &status["pending"]),
        (&0.into(), &1.into(), &1.into())
    );
    assert_eq!(status["migrations"][0]["state"], "pending");
    let up = run(&["up"]);
    assert_eq!((&up["version"], &up["applied"][0]), (&1.into(), &"0001_item".into()));
    let status = run(&["status"]);
    let migration = &status["migrations"][0];
    assert_eq!((&migration["state"], &migration["name"]), (&"applied".into(), &"0001_item".into()));
    assert!(migration["at"].as_str().expect("a string").ends_with('Z'));
    assert_eq!(run(&["wait"])["version"], 1);
    project.write("0001_item.up.sql", "CREATE TABLE app.item ();");
    let repair = run(&["repair"]);
    assert_eq!(
        (&repair["done"], repair["fixes"].as_array().map(Vec::len)),
        (&false.into(), Some(1))
    );
    assert_eq!(run(&["repair", "--yes"])["done"], true);
    let down = run(&["down", "--production"]);
    assert_eq!((&down["version"], &down["undone"][0]), (&0.into(), &"0001_item".into()));
    assert_eq!(run(&["baseline"])["marked"][0], "0001_item");
    let files = run(&["new", "add_prices"]);
    let up = files["files"][0].as_str().expect("a path");
    assert!(up.ends_with("/migrations/0002_add_prices.up.sql"), "{up}");
    let database = Database::new();
    let bootstrap = migrate(&database.administrator, &["bootstrap", "--format", "json"]).output();
    let document: Value =
        serde_json::from_slice(&bootstrap.expect("run migrate").stdout).expect("parse JSON");
    assert_eq!(document["command"], "bootstrap");
}

#[test]
fn log_events_have_time_level_and_message() {
    let project = Project::new(&FILES);
    let output = project.migrate(&["up"]);
    let log = String::from_utf8(output.stderr).expect("UTF-8 text");
    let names: Vec<String> = log
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).expect("parse JSON");
            assert!(line["time"].as_str().expect("a string").ends_with('Z'));
            assert_eq!(line["level"], "info");
            assert!(!line["message"].as_str().expect("a string").is_empty());
            line["event"].as_str().expect("a name").to_owned()
        })
        .collect();
    assert_eq!(names, ["locked", "applied"]);
}

#[test]
fn termination_message_is_written_and_bounded() {
    let project = Project::new(&FILES);
    let file = project.folder.path().join("termination-log");
    let up = ["up", "--termination-log", file.to_str().expect("UTF-8 text")];
    // Without the file that Kubernetes creates, nothing is written.
    assert_success(&project.migrate(&up));
    assert!(!file.exists());
    let message = |arguments: &[&str], code: i32| -> Value {
        std::fs::write(&file, "").expect("write file");
        assert_exit(&project.migrate(arguments), code, "");
        let text = std::fs::read(&file).expect("read termination log");
        assert!(text.len() <= 4096, "{}", text.len());
        serde_json::from_slice(&text).expect("parse JSON")
    };
    let success = message(&up, 0);
    let expected = serde_json::json!({"command": "up", "exit_code": 0, "version": 1});
    assert_eq!(success, expected);
    let name = "x".repeat(9000);
    project.write("0002_wrong.up.sql", &format!("DO $$ BEGIN RAISE '{name}'; END $$"));
    let failed = message(&up, 4);
    assert_eq!(failed["exit_code"], 4);
    let error = failed["error"].as_str().expect("a string");
    assert!(error.starts_with("0002_wrong.up.sql:1: xxx") && error.ends_with(" ..."), "{error}");
}

#[test]
fn metrics_file_is_in_prometheus_text_format() {
    let project = Project::new(&FILES);
    let file = project.folder.path().join("migrate.prom");
    let up = ["up", "--metrics-file", file.to_str().expect("UTF-8 text")];
    assert_success(&project.migrate(&up));
    let text = std::fs::read_to_string(&file).expect("read metrics file");
    for line in [
        "migrate_schema_version{} 1",
        "migrate_last_run_exit_code{command=\"up\"} 0",
        "migrate_migration_duration_seconds{command=\"up\",migration=\"0001_item\"} ",
        "migrate_last_run_lock_wait_seconds{command=\"up\"} ",
    ] {
        assert!(text.lines().any(|other| other.starts_with(line)), "{line} is not in {text}");
    }
    project.write("0002_wrong.up.sql", "SELECT 1 / 0");
    assert_exit(&project.migrate(&up), 4, "");
    let text = std::fs::read_to_string(&file).expect("read metrics file");
    assert!(text.contains("migrate_last_run_exit_code{command=\"up\"} 4\n"), "{text}");
    let entries = std::fs::read_dir(project.folder.path()).expect("read dir");
    let count =
        entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path() == file)).count();
    assert_eq!(count, 1);
}
