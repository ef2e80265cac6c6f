//! Checks the commands, calls, tables and links of the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use katas_host::manifest::{Example, Manifest, Route};

use crate::repository::{files, text};
use crate::support::{App, root};

/// The default base URL of `katas up`.
const BASE: &str = "http://127.0.0.1:3000";

fn readme() -> String {
    text(Path::new("README.md"))
}

fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// Returns the commands of the README's console blocks, each with its output.
fn console_commands() -> Vec<(String, String)> {
    let readme = readme();
    let blocks = readme.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("the block ends"));
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let commands = commands.map(|block| block.split_once('\n').expect("a line"));
    commands.map(|(command, output)| (command.to_owned(), output.trim_end().to_owned())).collect()
}

/// Returns the inline code spans of a Markdown text.
fn code_spans(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// Returns the first `N` cells of each row of the table below a heading.
pub(crate) fn table<const N: usize>(document: &str, heading: &str) -> Vec<[String; N]> {
    let document = text(Path::new(document));
    let (_, rest) = document.split_once(&format!("## {heading}\n")).expect(heading);
    let rows = rest.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cell = |row: &str, index| {
        let cell: &str = row.split('|').nth(index + 1).expect("a cell");
        cell.trim().trim_matches('`').to_owned()
    };
    rows.map(|row| std::array::from_fn(|index| cell(row, index))).collect()
}

#[test]
fn readme_has_fewer_than_150_lines() {
    assert!(readme().lines().count() < 150);
}

#[test]
fn readme_calls_return_the_shown_output() {
    let app = App::start();
    let manifest = manifest();
    let examples: Vec<&Example> =
        manifest.component.values().flat_map(|component| component.examples()).collect();
    let mut calls = 0;
    for (command, output) in
        console_commands().iter().filter(|(command, _)| command.starts_with("curl "))
    {
        let example = examples.iter().find(|example| example.curl(BASE) == *command);
        let example = example.unwrap_or_else(|| panic!("not in spin.toml: {command}"));
        assert_eq!(app.call(example).body, *output, "{command}");
        calls += 1;
    }
    assert!(calls > 0);
}

#[test]
fn every_documented_command_is_run_in_ci() {
    let workflows = [".ci/run", ".github/workflows/ci.yml", ".github/workflows/release.yml"];
    let workflows = workflows.map(|path| text(Path::new(path))).concat();
    let mut commands: BTreeSet<String> =
        console_commands().into_iter().map(|(command, _)| command).collect();
    commands.retain(|command| !command.starts_with("curl "));
    for path in files(".md") {
        let text = text(&path);
        let is_command = |code: &&str| {
            ["cargo ", "spin ", "E2E_ENGINE="].iter().any(|program| code.starts_with(program))
        };
        commands.extend(code_spans(&text).into_iter().filter(is_command).map(str::to_owned));
    }
    assert!(commands.contains("cargo run -- up"));
    for command in commands {
        assert!(workflows.contains(&command), "not run in CI: `{command}`");
    }
}

#[test]
fn architecture_routes_equal_the_manifest_routes() {
    let manifest = manifest();
    let routes = manifest.trigger.http.iter().map(|trigger| {
        let Route::Pattern(route) = &trigger.route else { panic!("{trigger:?} is private") };
        [route.clone(), trigger.component.clone().expect("a component")]
    });
    assert_eq!(table("docs/ARCHITECTURE.md", "Routes"), routes.collect::<Vec<_>>());
}

#[test]
fn architecture_lists_all_top_level_directories() {
    let documented: BTreeSet<_> =
        table("docs/ARCHITECTURE.md", "Layout").into_iter().map(|[directory]| directory).collect();
    let directories: BTreeSet<_> = files("")
        .iter()
        .filter_map(|path| Some(path.to_str()?.split_once('/')?.0.to_owned() + "/"))
        .filter(|directory| !directory.starts_with('.'))
        .collect();
    assert_eq!(documented, directories);
}

#[test]
fn files_named_in_documents_exist() {
    for path in files(".md") {
        let text = text(&path);
        let directory = root().join(path.parent().expect("a directory"));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            assert!(directory.join(link).exists(), "{}: {link}", path.display());
        }
        for named in code_spans(&text).into_iter().filter(|code| is_path(code)) {
            assert!(root().join(named).exists(), "{}: {named}", path.display());
        }
    }
}

/// Returns whether a code span is a path below a top-level directory. `target` is not in Git.
fn is_path(code: &str) -> bool {
    let Some((directory, _)) = code.split_once('/') else { return false };
    !directory.is_empty()
        && directory != "target"
        && fs::metadata(root().join(directory)).is_ok_and(|metadata| metadata.is_dir())
        && !code.contains(['<', '{', '*', ' '])
}
