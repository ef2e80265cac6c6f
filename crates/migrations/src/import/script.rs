//! The script of one direction of a migration, before it is written to a file.

use std::ops::Range;

use crate::Error;
use crate::project::{NO_TRANSACTION, Tool};
use crate::sql::{Rejection, Statement, StatementKind, is_terminated, rejection, split};

/// The text of one direction, with the lines that it comes from.
pub(super) struct Draft {
    /// The path of the file that contains it.
    source: String,
    /// The lines, with their 1-based numbers in the source.
    lines: Vec<(usize, String)>,
    /// Whether the tool runs it outside of a transaction.
    pub(super) no_transaction: bool,
}

impl Draft {
    /// Creates an empty draft.
    pub(super) fn new(source: &str) -> Draft {
        Draft { source: source.to_owned(), lines: Vec::new(), no_transaction: false }
    }

    /// Creates a draft of a whole file.
    pub(super) fn whole(source: &str, sql: &str) -> Draft {
        let mut draft = Draft::new(source);
        // The file may already begin with the marker of `migrate`.
        draft.no_transaction = sql.starts_with(NO_TRANSACTION);
        let lines = sql.lines().skip(usize::from(draft.no_transaction));
        let first = 1 + usize::from(draft.no_transaction);
        draft.lines.extend(lines.enumerate().map(|(at, line)| (first + at, line.to_owned())));
        draft
    }

    /// Appends a line.
    pub(super) fn push(&mut self, number: usize, line: &str) {
        self.lines.push((number, line.to_owned()));
    }

    /// Inserts the lines of another draft before those of this one.
    pub(super) fn prepend(&mut self, other: Draft) {
        self.lines.splice(..0, other.lines);
    }

    /// Appends a semicolon if the last statement lacks it.
    pub(super) fn terminate(&mut self, number: usize) {
        if !is_terminated(&self.text()) {
            self.push(number, ";");
        }
    }

    /// Returns whether there is no statement.
    pub(super) fn is_empty(&self) -> bool {
        split(&self.text()).is_empty()
    }

    /// Returns the line of the first statement in the source.
    pub(super) fn first_statement(&self) -> Option<usize> {
        split(&self.text()).first().map(|statement| self.source_line(statement.line))
    }

    /// Returns the text of the file, and notes on what was changed. Fails if the runner would
    /// reject it.
    pub(super) fn finish(mut self, tool: Tool) -> Result<(String, Vec<&'static str>), Error> {
        let mut notes = Vec::new();
        self.trim();
        if self.remove_outer_transaction() {
            self.no_transaction = false;
            notes.push("BEGIN and COMMIT removed, because the file runs in one transaction");
        }
        let text = self.text();
        let statements = split(&text);
        // These tools run a file outside of a transaction if its statements require it.
        let is_automatic = matches!(tool, Tool::Flyway | Tool::GolangMigrate);
        let forbids = |statement: &Statement<'_>| statement.kind().forbids_transaction();
        if is_automatic && !statements.is_empty() && statements.iter().all(forbids) {
            self.no_transaction = true;
        }
        for statement in &statements {
            if let Some(Rejection { message, help, .. }) =
                rejection(&statement.kind(), !self.no_transaction)
            {
                let line = self.source_line(statement.line);
                return Err(Error::Usage(format!("{}:{line}: {message} {help}", self.source)));
            }
        }
        if self.no_transaction {
            notes.push("runs without a transaction, statement by statement");
            return Ok((format!("{NO_TRANSACTION}\n{text}"), notes));
        }
        if text.starts_with(NO_TRANSACTION) {
            let line = self.source_line(1);
            return Err(Error::Usage(format!(
                "{}:{line}: `{NO_TRANSACTION}` would change how the file runs; remove this comment",
                self.source
            )));
        }
        Ok((text, notes))
    }

    fn text(&self) -> String {
        self.lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
    }

    /// Converts a line of the text to one of the source.
    fn source_line(&self, line: usize) -> usize {
        self.lines.get(line - 1).map_or(line, |(number, _)| *number)
    }

    /// Removes `BEGIN` and `COMMIT` if they are the first and the last statement, and the only ones
    /// that control a transaction.
    fn remove_outer_transaction(&mut self) -> bool {
        let text = self.text();
        let statements = split(&text);
        let controls =
            statements.iter().filter(|one| one.kind() == StatementKind::TransactionControl);
        let [first, .., last] = &statements[..] else { return false };
        if controls.count() != 2
            || !is_one_of(first, &["begin", "start"])
            || !is_one_of(last, &["commit", "end"])
        {
            return false;
        }
        let ranges = [range(&text, last), range(&text, first)];
        let mut rest = text.clone();
        // The last one first, so that the other range stays valid.
        ranges.into_iter().for_each(|range| rest.replace_range(range, ""));
        // Each occupies one line, so the other lines keep their numbers.
        for ((_, line), rest) in self.lines.iter_mut().zip(rest.lines()) {
            rest.clone_into(line);
        }
        self.trim();
        true
    }

    /// Removes blank lines at the beginning and at the end.
    fn trim(&mut self) {
        let is_blank = |(_, line): &(usize, String)| line.trim().is_empty();
        let leading = self.lines.iter().take_while(|line| is_blank(line)).count();
        self.lines.drain(..leading);
        while self.lines.pop_if(|line| is_blank(line)).is_some() {}
    }
}

/// Returns whether a statement is one of these words, alone or with `WORK` or `TRANSACTION`, on one
/// line.
fn is_one_of(statement: &Statement<'_>, words: &[&str]) -> bool {
    let text = statement.text.to_ascii_lowercase();
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    words.contains(&word) && ["", "work", "transaction"].contains(&rest.trim())
}

/// Returns the range of a statement in the text, with the semicolon that follows.
fn range(text: &str, statement: &Statement<'_>) -> Range<usize> {
    let start = statement.text.as_ptr().addr() - text.as_ptr().addr();
    let end = start + statement.text.len();
    start..end + usize::from(text[end..].starts_with(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(tool: Tool, sql: &str) -> Result<String, String> {
        let finished = Draft::whole("a.sql", sql).finish(tool);
        finished.map(|(text, _)| text).map_err(|error| error.to_string())
    }

    #[test]
    fn outer_transaction_is_removed() {
        for sql in [
            "-- a\nBEGIN;\nSELECT 1;\nCOMMIT;\n",
            "-- a\nbegin transaction;\nSELECT 1;\nEND;",
            "-- no-transaction\n-- a\nSTART TRANSACTION;\nSELECT 1;\nCOMMIT WORK",
        ] {
            assert_eq!(finish(Tool::GolangMigrate, sql).unwrap(), "-- a\n\nSELECT 1;\n", "{sql}");
        }
        for (sql, line) in [
            ("SELECT 1;\nBEGIN;\nSELECT 1;\nCOMMIT;", 2),
            ("BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nCOMMIT;", 1),
            ("BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;", 1),
            ("\n\nBEGIN;\nSELECT 1;\nROLLBACK;", 3),
        ] {
            let error = finish(Tool::GolangMigrate, sql).unwrap_err();
            assert!(
                error.starts_with(&format!("a.sql:{line}: This ends the transaction")),
                "{error}"
            );
        }
    }

    #[test]
    fn file_runs_without_transaction_if_the_tool_detects_it() {
        let sql = "CREATE INDEX CONCURRENTLY i ON s.t (a);\n";
        for tool in [Tool::Flyway, Tool::GolangMigrate] {
            assert_eq!(finish(tool, sql).unwrap(), format!("-- no-transaction\n{sql}"));
            let mixed = format!("SELECT 1;\n{sql}");
            assert!(
                finish(tool, &mixed).unwrap_err().contains("a.sql:2: This cannot run in a tra")
            );
        }
        assert!(finish(Tool::Goose, sql).is_err());
        assert_eq!(
            finish(Tool::Goose, &format!("-- no-transaction\n{sql}")).unwrap(),
            format!("-- no-transaction\n{sql}")
        );
    }

    #[test]
    fn statement_that_the_runner_rejects_is_an_error_with_its_line() {
        let error = finish(Tool::Flyway, "SELECT 1;\n\nCOPY t FROM stdin;\n1\n\\.\n").unwrap_err();
        assert!(error.starts_with("a.sql:3: A migration has no client"), "{error}");
        let error = finish(Tool::Flyway, "\n\\connect x\n").unwrap_err();
        assert!(error.starts_with("a.sql:2: This is a command of psql"), "{error}");
        let comment = "\n-- no-transaction here\nSELECT 1;";
        assert!(finish(Tool::Flyway, comment).unwrap_err().starts_with("a.sql:2: `-- no-trans"));
    }
}
