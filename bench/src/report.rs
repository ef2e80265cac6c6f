//! Tables and charts of results, and their publication in `docs/`.

mod charts;
mod drawing;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::paths::{output_directory, root};
use crate::results::Results;
use crate::suite::Suite;

/// Returns the tables of a suite in Markdown.
pub fn tables(results: &Results) -> String {
    tables::render(results)
}

/// Writes results and their chart to a directory.
pub fn store(results: &Results, directory: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(directory)?;
    let name = results.suite.name();
    results.write(&directory.join(format!("{name}.json")))?;
    fs::write(directory.join(format!("{name}.svg")), charts::render(results)?)?;
    Ok(())
}

/// Publishes the last results of each suite: the results and charts in `docs/performance`, the tables
/// in `docs/PERFORMANCE.md` and `README.md`.
pub fn publish() -> anyhow::Result<()> {
    let target = published_directory();
    for suite in Suite::ALL {
        let file = output_directory().join(format!("{}.json", suite.name()));
        if !file.is_file() {
            continue;
        }
        let results = Results::read(&file)?;
        store(&results, &target)?;
    }
    for (path, text) in updated_documents()? {
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Returns the directory of the published results.
fn published_directory() -> PathBuf {
    root().join("docs/performance")
}

fn results(suite: Suite) -> anyhow::Result<Results> {
    Results::read(&published_directory().join(format!("{}.json", suite.name())))
}

/// Returns the documents with the tables of the published results.
fn updated_documents() -> anyhow::Result<[(PathBuf, String); 2]> {
    let [performance, readme] = ["docs/PERFORMANCE.md", "README.md"].map(|path| root().join(path));
    let mut text = fs::read_to_string(&performance)?;
    for &suite in Suite::ALL {
        text = replace_section(&text, suite.name(), &tables_with_caption(&results(suite)?))?;
    }
    let [reads, probes, cold] = [Suite::Reads, Suite::Probes, Suite::Cold].map(results);
    let figures = tables::figures(&reads?, &probes?, &cold?);
    let figures = replace_section(&fs::read_to_string(&readme)?, "figures", &figures)?;
    Ok([(performance, text), (readme, figures)])
}

fn tables_with_caption(results: &Results) -> String {
    let Results { machine, rounds, seconds, .. } = results;
    let (tables, day, load) = (tables::render(results), &machine.day, machine.load);
    let machine = machine.describe();
    format!(
        "{tables}\n{day}; {machine}; {rounds} rounds of {seconds} s; load average at \
         start: {load:.1}.\n"
    )
}

/// Replaces the text of a page between the comments `<!-- bench name -->` and `<!-- end -->`.
fn replace_section(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- bench {name} -->\n");
    let (before, rest) =
        page.split_once(&begin).with_context(|| format!("missing comment {begin}"))?;
    let (_, after) = rest.split_once("<!-- end -->").context("missing comment <!-- end -->")?;
    Ok(format!("{before}{begin}\n{text}\n<!-- end -->{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_tables_of_the_published_results() {
        for (path, text) in updated_documents().unwrap() {
            assert_eq!(
                fs::read_to_string(path).unwrap(),
                text,
                "run `cargo run -p bench -- report`"
            );
        }
    }

    #[test]
    fn published_charts_equal_the_charts_of_the_published_results() {
        for suite in Suite::ALL {
            let chart = charts::render(&results(*suite).unwrap()).unwrap();
            let published = published_directory().join(format!("{}.svg", suite.name()));
            assert!(fs::read_to_string(published).unwrap() == chart, "{}", suite.name());
        }
    }
}
