//! The last results as tables and charts, and these in `docs/`.

mod chart;
mod pictures;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::results::Results;
use crate::suites::Suite;
use crate::{folder, root};

/// The tables of a suite, in Markdown.
pub fn table(results: &Results) -> String {
    tables::of(results)
}

/// Writes results and their chart into a folder.
pub fn keep(results: &Results, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let name = results.suite.name();
    results.write(&folder.join(format!("{name}.json")))?;
    fs::write(folder.join(format!("{name}.svg")), pictures::of(results)?)?;
    Ok(())
}

/// Draws the last results of each suite that has some, and puts charts, tables and the results
/// themselves where the documents have them.
pub fn write() -> anyhow::Result<()> {
    let target = published();
    for suite in Suite::ALL {
        let file = folder().join(format!("{}.json", suite.name()));
        if !file.is_file() {
            continue;
        }
        let results = Results::read(&file)?;
        keep(&results, &target)?;
    }
    let page = page();
    let text = fs::read_to_string(&page).with_context(|| format!("{}", page.display()))?;
    fs::write(&page, with_tables(&text)?)?;
    Ok(())
}

fn page() -> PathBuf {
    root().join("docs/PERFORMANCE.md")
}

/// Where results are that have been published.
fn published() -> PathBuf {
    root().join("docs/performance")
}

/// The page with the tables that the published results give, each between two comments:
/// `<!-- bench reads -->` and `<!-- end -->`.
fn with_tables(page: &str) -> anyhow::Result<String> {
    let mut text = page.to_owned();
    for suite in Suite::ALL {
        let begin = format!("<!-- bench {} -->\n", suite.name());
        let (before, rest) = text.split_once(&begin).with_context(|| format!("no {begin}"))?;
        let (_, after) = rest.split_once("<!-- end -->").context("a table does not end")?;
        let results = Results::read(&published().join(format!("{}.json", suite.name())))?;
        let Results { machine, rounds, seconds, .. } = &results;
        let caption = format!(
            "{}; {}; {rounds} rounds of {seconds} s; load average {:.1} when it began.",
            machine.day,
            machine.describe(),
            machine.load
        );
        let table = tables::of(&results);
        text = format!("{before}{begin}\n{table}\n{caption}\n\n<!-- end -->{after}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_tables_of_the_published_results() {
        let text = fs::read_to_string(page()).unwrap();
        assert_eq!(with_tables(&text).unwrap(), text, "run the bench's `report`");
    }

    #[test]
    fn the_charts_are_those_of_the_published_results() {
        for suite in Suite::ALL {
            let results = published().join(format!("{}.json", suite.name()));
            let picture = pictures::of(&Results::read(&results).unwrap()).unwrap();
            let published = published().join(format!("{}.svg", suite.name()));
            assert!(fs::read_to_string(published).unwrap() == picture, "{}", suite.name());
        }
    }
}
