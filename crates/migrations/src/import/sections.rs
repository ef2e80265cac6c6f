//! Files with an up part and a down part, separated by comments: goose, dbmate and sql-migrate.

use super::script::Draft;
use crate::Error;
use crate::project::Tool;

/// A marker comment of the tool.
#[derive(Debug, PartialEq)]
enum Command {
    /// Begins the up part.
    Up { no_transaction: bool },
    /// Begins the down part.
    Down { no_transaction: bool },
    /// Begins a statement that contains semicolons.
    StatementBegin,
    /// Ends it.
    StatementEnd,
    /// Runs both parts without a transaction.
    NoTransaction,
}

/// Splits a file into its up and down parts.
pub(super) fn split(tool: Tool, source: &str, sql: &str) -> Result<(Draft, Option<Draft>), Error> {
    let fail = |line: usize, problem: &str| Error::Usage(format!("{source}:{line}: {problem}"));
    let mut head = Draft::new(source);
    let (mut up, mut down) = (None::<Draft>, None::<Draft>);
    // The beginning of the current part and of the current statement.
    let (mut is_down, mut statement) = (false, None);
    let mut no_transaction = false;
    for (index, line) in sql.lines().enumerate() {
        let number = index + 1;
        let command = command(tool, line).map_err(|problem| fail(number, &problem))?;
        let part = if is_down { &mut down } else { &mut up };
        let Some(command) = command else {
            part.as_mut().unwrap_or(&mut head).push(number, line);
            continue;
        };
        if let Some(begin) = statement
            && command != Command::StatementEnd
            && command != Command::NoTransaction
        {
            return Err(fail(begin, "this statement does not end before the next marker"));
        }
        match command {
            Command::NoTransaction => no_transaction = true,
            Command::StatementBegin if part.is_some() => statement = Some(number),
            Command::StatementEnd if statement.take().is_some() => {
                part.iter_mut().for_each(|part| part.terminate(number));
            }
            Command::StatementBegin | Command::StatementEnd => {
                return Err(fail(number, "this marker has no counterpart"));
            }
            Command::Up { no_transaction } | Command::Down { no_transaction } => {
                is_down = matches!(command, Command::Down { .. });
                let part = if is_down { &mut down } else { &mut up };
                // sql-migrate appends; the others fail or ignore the second one.
                if part.is_some() && tool != Tool::SqlMigrate {
                    return Err(fail(number, "this part occurs twice"));
                }
                part.get_or_insert_with(|| Draft::new(source)).no_transaction |= no_transaction;
            }
        }
    }
    if let Some(begin) = statement {
        return Err(fail(begin, "this statement does not end"));
    }
    if let Some(line) = head.first_statement() {
        return Err(fail(line, &format!("{tool} does not run what precedes the first marker")));
    }
    let Some(mut up) = up else {
        let marker = match tool {
            Tool::Dbmate => "-- migrate:up",
            Tool::SqlMigrate => "-- +migrate Up",
            _ => "-- +goose Up",
        };
        return Err(Error::Usage(format!("{source}: there is no `{marker}`")));
    };
    up.prepend(head);
    if let Some(down) = down.as_mut().filter(|down| down.is_empty()) {
        down.push(sql.lines().count(), "-- Nothing to revert.");
    }
    for part in [Some(&mut up), down.as_mut()].into_iter().flatten() {
        part.no_transaction |= no_transaction;
    }
    Ok((up, down))
}

/// Parses a line as a marker of the tool. Returns `None` for any other line.
fn command(tool: Tool, line: &str) -> Result<Option<Command>, String> {
    let Some(comment) = line.trim().strip_prefix("--").map(str::trim) else { return Ok(None) };
    let prefix = match tool {
        Tool::Dbmate => "migrate:",
        Tool::SqlMigrate => "+migrate",
        _ => "+goose",
    };
    let Some(rest) = comment.strip_prefix(prefix) else { return Ok(None) };
    if !line.starts_with("--") {
        return Err(format!("{tool} ignores a marker that is indented; remove it or the indent"));
    }
    let words: Vec<_> = rest.split_whitespace().collect();
    let unsupported = || format!("unsupported marker of {tool}: `{}`", line.trim());
    let (name, options) = words.split_first().ok_or_else(unsupported)?;
    let no_transaction = match (tool, options) {
        (_, []) => false,
        (Tool::Dbmate, ["transaction:true"]) => false,
        (Tool::Dbmate, ["transaction:false"]) | (Tool::SqlMigrate, ["notransaction"]) => true,
        (Tool::Goose, ["TRANSACTION"]) if *name == "NO" => return Ok(Some(Command::NoTransaction)),
        _ => return Err(unsupported()),
    };
    Ok(Some(match (*name, tool) {
        ("up", Tool::Dbmate) | ("Up", _) => Command::Up { no_transaction },
        ("down", Tool::Dbmate) | ("Down", _) => Command::Down { no_transaction },
        ("StatementBegin", Tool::Goose | Tool::SqlMigrate) => Command::StatementBegin,
        ("StatementEnd", Tool::Goose | Tool::SqlMigrate) => Command::StatementEnd,
        _ => return Err(unsupported()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the files for up and down.
    fn parts(tool: Tool, sql: &str) -> Result<(String, Option<String>), String> {
        let text = |draft: Draft| draft.finish(tool).map(|(text, _)| text);
        let split = || -> Result<_, Error> {
            let (up, down) = split(tool, "a.sql", sql)?;
            Ok((text(up)?, down.map(text).transpose()?))
        };
        split().map_err(|error| error.to_string())
    }

    #[test]
    fn parts_become_two_files_without_markers() {
        for (tool, sql) in [
            (Tool::Goose, "-- A.\n-- +goose Up\nSELECT 1;\n\n-- +goose Down\nSELECT 2;\n"),
            (Tool::Goose, "-- A.\r\n--+goose Up\r\nSELECT 1;\r\n-- +goose Down\r\nSELECT 2;"),
            (Tool::Dbmate, "-- A.\n-- migrate:up\nSELECT 1;\n\n--migrate:down\n\nSELECT 2;\n"),
            (
                Tool::Dbmate,
                "-- A.\n-- migrate:up transaction:true\nSELECT 1;\n-- migrate:down\nSELECT 2;",
            ),
            (Tool::SqlMigrate, "-- A.\n-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n"),
            (Tool::SqlMigrate, "-- A.\n-- +migrate Down\nSELECT 2;\n-- +migrate Up\nSELECT 1;\n"),
        ] {
            let expected = ("-- A.\nSELECT 1;\n".to_owned(), Some("SELECT 2;\n".to_owned()));
            assert_eq!(parts(tool, sql), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn part_without_transaction_begins_with_no_transaction_marker() {
        let files = |tool, sql| parts(tool, sql).map(|(up, down)| (up, down.unwrap_or_default()));
        let (with, without) = ("SELECT 1;\n", "-- no-transaction\nSELECT 1;\n");
        for (tool, sql, up, down) in [
            (
                Tool::Goose,
                "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 1;",
                without,
                without,
            ),
            (
                Tool::Dbmate,
                "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\nSELECT 1;",
                without,
                with,
            ),
            (
                Tool::SqlMigrate,
                "-- +migrate Up\nSELECT 1;\n-- +migrate Down notransaction\nSELECT 1;",
                with,
                without,
            ),
        ] {
            assert_eq!(files(tool, sql), Ok((up.to_owned(), down.to_owned())), "{sql}");
        }
    }

    #[test]
    fn statement_between_markers_is_terminated() {
        let sql = "-- +goose Up\n-- +goose StatementBegin\nSELECT 1 -- ;\n-- +goose StatementEnd\n\
                   -- +goose StatementBegin\nSELECT 2;\n-- +goose StatementEnd\nSELECT 3;\n";
        let up = "SELECT 1 -- ;\n;\nSELECT 2;\nSELECT 3;\n".to_owned();
        assert_eq!(parts(Tool::Goose, sql), Ok((up.clone(), None)));
        assert_eq!(parts(Tool::SqlMigrate, &sql.replace("goose", "migrate")), Ok((up, None)));
    }

    #[test]
    fn down_part_without_statement_reverts_nothing() {
        let down = Some("-- Nothing to revert.\n".to_owned());
        let sql = "-- migrate:up\nSELECT 1;\n\n-- migrate:down\n\n";
        assert_eq!(parts(Tool::Dbmate, sql), Ok(("SELECT 1;\n".to_owned(), down)));
    }

    #[test]
    fn unconvertible_file_is_rejected_with_line() {
        for (tool, sql, expected) in [
            (Tool::Goose, "SELECT 1;", "a.sql:1: goose does not run what precedes"),
            (Tool::Goose, "-- Nothing.\n", "a.sql: there is no `-- +goose Up`"),
            (Tool::Goose, "-- +goose Up\n-- +goose ENVSUB ON\n", "a.sql:2: unsupported marker"),
            (Tool::Goose, "-- +goose Up\nSELECT 1;\n-- +goose Up\n", "a.sql:3: this part occurs"),
            (Tool::Goose, "-- +goose Up\n  -- +goose Down\n", "a.sql:2: goose ignores a marker"),
            (Tool::Goose, "-- +goose Up\n-- +goose StatementBegin\n", "a.sql:2: this statement"),
            (
                Tool::Goose,
                "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose Down\n",
                "a.sql:2: this statement does not end before",
            ),
            (Tool::Goose, "-- +goose Up\n-- +goose StatementEnd\n", "a.sql:2: this marker has no"),
            (Tool::Dbmate, "-- migrate:up foo:1\n", "a.sql:1: unsupported marker of dbmate"),
            (Tool::Dbmate, "SELECT 1;\n-- migrate:up\n", "a.sql:1: dbmate does not run"),
            (Tool::SqlMigrate, "-- +migrate Sideways\n", "a.sql:1: unsupported marker"),
            (Tool::Goose, "-- +goose Up\nSELECT 1;\nCOMMIT;\n", "a.sql:3: This ends the transac"),
        ] {
            let error = parts(tool, sql).unwrap_err();
            assert!(error.starts_with(expected), "{expected} in {error}");
        }
    }
}
