//! The last results as tables and charts, and these in `docs/`.

mod chart;
mod pictures;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::paths::{folder, root};
use crate::results::Results;
use crate::suite::Suite;

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
    for (path, text) in pages()? {
        fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}

/// Where results are that have been published.
fn published() -> PathBuf {
    root().join("docs/performance")
}

fn results(suite: Suite) -> anyhow::Result<Results> {
    Results::read(&published().join(format!("{}.json", suite.name())))
}

/// The pages with what the published results give.
fn pages() -> anyhow::Result<[(PathBuf, String); 2]> {
    let [story, readme] = ["docs/PERFORMANCE.md", "README.md"].map(|page| root().join(page));
    let mut text = fs::read_to_string(&story)?;
    for &suite in Suite::ALL {
        text = filled(&text, suite.name(), &captioned(&results(suite)?))?;
    }
    let [reads, probes, cold] = [Suite::Reads, Suite::Probes, Suite::Cold].map(results);
    let figures = tables::figures(&reads?, &probes?, &cold?);
    let figures = filled(&fs::read_to_string(&readme)?, "figures", &figures)?;
    Ok([(story, text), (readme, figures)])
}

fn captioned(results: &Results) -> String {
    let Results { machine, rounds, seconds, .. } = results;
    let (table, day, load) = (tables::of(results), &machine.day, machine.load);
    let machine = machine.describe();
    format!(
        "{table}\n{day}; {machine}; {rounds} rounds of {seconds} s; load average {load:.1} when it \
         began.\n"
    )
}

/// The page with this between two comments, `<!-- bench name -->` and `<!-- end -->`.
fn filled(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let begin = format!("<!-- bench {name} -->\n");
    let (before, rest) = page.split_once(&begin).with_context(|| format!("no {begin}"))?;
    let (_, after) = rest.split_once("<!-- end -->").context("a table does not end")?;
    Ok(format!("{before}{begin}\n{text}\n<!-- end -->{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_have_the_tables_of_the_published_results() {
        for (path, text) in pages().unwrap() {
            assert_eq!(fs::read_to_string(path).unwrap(), text, "run the bench's `report`");
        }
    }

    #[test]
    fn the_charts_are_those_of_the_published_results() {
        for suite in Suite::ALL {
            let picture = pictures::of(&results(*suite).unwrap()).unwrap();
            let published = published().join(format!("{}.svg", suite.name()));
            assert!(fs::read_to_string(published).unwrap() == picture, "{}", suite.name());
        }
    }
}
