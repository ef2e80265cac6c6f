//! Tools for OpenAPI accept the document, and clients that they generate call the service.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use test_tools::OPENAPI;

use crate::support::{App, root};

/// Returns the path of a program that `.ci/openapi/install` has installed, without symbolic links.
fn program(name: &str) -> PathBuf {
    let tool = OPENAPI.find().expect("the tools are installed");
    fs::canonicalize(tool.with_file_name(name)).expect(name)
}

/// Creates a directory with the OpenAPI document of an application.
fn with_document(app: &App) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let document = app.get("/openapi.json").body;
    fs::write(directory.path().join("openapi.json"), document).expect("a file");
    directory
}

/// Runs a command in a directory. Returns its output.
#[track_caller]
fn run(directory: &Path, command: &mut Command) -> String {
    let output = command.current_dir(directory).output().expect("the program runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}

#[test]
#[cfg_attr(not(has_openapi_tools), ignore = "the OpenAPI tools are not installed")]
fn linters_have_no_findings() {
    let directory = with_document(&App::start());
    let redocly = ["lint", "--extends=recommended", "--max-problems=20", "openapi.json"];
    let mut command = Command::new(program("redocly"));
    // No request for updates, and no statistics.
    command
        .args(redocly)
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .env("REDOCLY_TELEMETRY", "off");
    let output = run(directory.path(), &mut command);
    assert!(!output.contains("warning"), "{output}");
    fs::write(directory.path().join("rules.yaml"), "extends: [spectral:oas]\n").expect("a file");
    let spectral = ["lint", "--ruleset=rules.yaml", "--fail-severity=hint", "openapi.json"];
    run(directory.path(), Command::new(program("spectral")).args(spectral));
}

#[test]
#[cfg_attr(not(has_openapi_tools), ignore = "the OpenAPI tools are not installed")]
fn typescript_client_compiles_and_calls_the_service() {
    let app = App::start();
    let directory = with_document(&app);
    let path = directory.path();
    let generator = program("openapi-typescript");
    run(path, Command::new(&generator).args(["openapi.json", "--output=api.d.ts"]));
    let modules = generator.ancestors().find(|path| path.ends_with("node_modules"));
    let modules = modules.expect("the generator is in node_modules");
    std::os::unix::fs::symlink(modules, path.join("node_modules")).expect("a link");
    fs::copy(root().join("tests/clients/client.ts"), path.join("client.ts")).expect("a copy");
    fs::write(path.join("package.json"), r#"{"type":"module"}"#).expect("a file");
    let options = ["--strict", "--target", "es2022", "--lib", "es2022,dom", "--module", "nodenext"];
    run(path, Command::new(program("tsc")).args(options).arg("client.ts"));
    run(path, Command::new("node").args(["client.js", app.base()]));
}

#[test]
#[cfg_attr(not(has_openapi_tools), ignore = "the OpenAPI tools are not installed")]
fn python_client_is_complete_and_calls_the_service() {
    let app = App::start();
    let directory = with_document(&app);
    let path = directory.path();
    let generator = program("openapi-python-client");
    let config = root().join("tests/clients/python.yaml");
    let options = ["generate", "--path=openapi.json", "--output-path=client", "--meta=none"];
    // A warning names an operation or a schema that the client lacks.
    let mut generate = Command::new(&generator);
    run(path, generate.args(options).arg("--fail-on-warning").arg("--config").arg(config));
    fs::copy(root().join("tests/clients/client.py"), path.join("main.py")).expect("a copy");
    run(path, Command::new(generator.with_file_name("python")).args(["main.py", app.base()]));
}
