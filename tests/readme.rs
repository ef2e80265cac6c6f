//! What the documents say: their commands, calls, tables and links.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use katas_host::manifest::{Example, Manifest, Route};

use crate::support::{App, root};
use crate::tidy::{files, text};

/// Where `katas up` listens unless it is told otherwise.
const BASE: &str = "http://127.0.0.1:3000";

fn readme() -> String {
    text(Path::new("README.md"))
}

fn manifest() -> Manifest {
    Manifest::read(&root().join("spin.toml")).expect("the manifest is valid")
}

/// The commands of the README's transcripts, each with what it printed.
fn transcript() -> Vec<(String, String)> {
    let readme = readme();
    let blocks = readme.split("```console\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("the block ends"));
    let commands = blocks.flat_map(|block| block.split("$ ").skip(1));
    let commands = commands.map(|it| it.split_once('\n').expect("a line"));
    commands.map(|(command, output)| (command.to_owned(), output.trim_end().to_owned())).collect()
}

/// What stands between backticks in a line of text.
fn code(text: &str) -> Vec<&str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// The first cells of the rows of the table that follows a heading.
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
fn the_readme_is_short() {
    assert!(readme().lines().count() < 150);
}

#[test]
fn the_calls_are_answered_as_the_readme_shows() {
    let app = App::start();
    let manifest = manifest();
    let examples: Vec<&Example> =
        manifest.component.values().flat_map(|component| component.examples()).collect();
    let mut calls = 0;
    for (command, output) in transcript().iter().filter(|(it, _)| it.starts_with("curl ")) {
        let example = examples.iter().find(|example| example.curl(BASE) == *command);
        let example = example.unwrap_or_else(|| panic!("not in spin.toml: {command}"));
        assert_eq!(app.call(example).body, *output, "{command}");
        calls += 1;
    }
    assert!(calls > 0);
}

#[test]
fn every_command_in_a_document_is_run() {
    let runs = [".ci/run", ".github/workflows/ci.yml", ".github/workflows/release.yml"];
    let runs = runs.map(|path| text(Path::new(path))).concat();
    let mut commands: BTreeSet<String> =
        transcript().into_iter().map(|(command, _)| command).collect();
    commands.retain(|command| !command.starts_with("curl "));
    for path in files(".md") {
        let text = text(&path);
        let is_command = |code: &&str| {
            ["cargo ", "spin ", "E2E_ENGINE="].iter().any(|program| code.starts_with(program))
        };
        commands.extend(code(&text).into_iter().filter(is_command).map(str::to_owned));
    }
    assert!(commands.contains("cargo run -- up"));
    for command in commands {
        assert!(runs.contains(&command), "nothing runs `{command}`");
    }
}

#[test]
fn the_routes_are_those_of_the_manifest() {
    let manifest = manifest();
    let routes = manifest.trigger.http.iter().map(|trigger| {
        let Route::Pattern(route) = &trigger.route else { panic!("{trigger:?} is private") };
        [route.clone(), trigger.component.clone().expect("a component")]
    });
    assert_eq!(table("docs/ARCHITECTURE.md", "Routes"), routes.collect::<Vec<_>>());
}

#[test]
fn the_rooms_are_the_folders() {
    let rooms: BTreeSet<_> =
        table("docs/ARCHITECTURE.md", "Layout").into_iter().map(|[folder]| folder).collect();
    let folders: BTreeSet<_> = files("")
        .iter()
        .filter_map(|path| Some(path.to_str()?.split_once('/')?.0.to_owned() + "/"))
        .filter(|folder| !folder.starts_with('.'))
        .collect();
    assert_eq!(rooms, folders);
}

#[test]
fn every_file_that_a_document_names_is_there() {
    for path in files(".md") {
        let text = text(&path);
        let beside = root().join(path.parent().expect("a folder"));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            assert!(beside.join(link).exists(), "{}: {link}", path.display());
        }
        for named in code(&text).into_iter().filter(|code| is_path(code)) {
            assert!(root().join(named).exists(), "{}: {named}", path.display());
        }
    }
}

/// Whether it begins with one of the project's folders and is a single path. `target` is not in git.
fn is_path(code: &str) -> bool {
    let Some((folder, _)) = code.split_once('/') else { return false };
    !folder.is_empty()
        && folder != "target"
        && fs::metadata(root().join(folder)).is_ok_and(|it| it.is_dir())
        && !code.contains(['<', '{', '*', ' '])
}
