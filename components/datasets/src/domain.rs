//! Validation of the names, columns and rows of datasets.

use std::collections::BTreeSet;
use std::fmt;

use rfc4180::{MAX_ROW_BYTES, RowError, Rows};
use rules::TextError;

const MAX_NAME_CHARS: usize = 200;
pub const MAX_COLUMNS: usize = rfc4180::MAX_FIELDS;

/// The name of a dataset: 1 to 200 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetName(String);

/// The names of the columns: 1 to 1,000 unique, non-empty names.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<String>);

/// The reason why column names or a row are invalid.
#[derive(Clone, Debug, PartialEq)]
pub enum TableError {
    /// There are no columns.
    NoColumns,
    /// The name of a column is empty.
    EmptyColumnName,
    /// The name of a column is too long.
    ColumnNameTooLong,
    /// Two columns have this name.
    DuplicateColumn(String),
    /// The first line tells a spreadsheet which separator the file uses.
    SeparatorLine,
    /// The fields are invalid.
    Row(RowError),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::NoColumns => f.write_str("has no column names"),
            TableError::EmptyColumnName => f.write_str("has an empty column name"),
            TableError::ColumnNameTooLong => {
                write!(f, "has a column name longer than {MAX_NAME_CHARS} characters")
            }
            TableError::DuplicateColumn(name) => write!(f, "repeats the column name '{name}'"),
            TableError::SeparatorLine => {
                f.write_str("is a separator line (sep=) in place of column names; remove it")
            }
            TableError::Row(error) => error.fmt(f),
        }
    }
}

impl DatasetName {
    pub fn new(text: String) -> Result<DatasetName, TextError> {
        rules::name(text, MAX_NAME_CHARS).map(DatasetName)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Columns {
    pub fn new(names: Vec<String>) -> Result<Columns, TableError> {
        if names.is_empty() {
            return Err(TableError::NoColumns);
        }
        if names.len() > MAX_COLUMNS {
            return Err(TableError::Row(RowError::TooManyFields));
        }
        let mut known = BTreeSet::new();
        for name in &names {
            match rules::name(name.clone(), MAX_NAME_CHARS) {
                Err(TextError::Nul) => return Err(TableError::Row(RowError::Nul)),
                Err(TextError::Empty) => return Err(TableError::EmptyColumnName),
                Err(TextError::TooLong(_)) => return Err(TableError::ColumnNameTooLong),
                Ok(_) if !known.insert(name) => {
                    return Err(TableError::DuplicateColumn(name.clone()));
                }
                Ok(_) => {}
            }
        }
        Ok(Columns(names))
    }

    /// Reads the first row of a file, in normal form.
    pub fn from_header(header: &str) -> Result<Columns, TableError> {
        if is_separator_line(header) {
            return Err(TableError::SeparatorLine);
        }
        let mut rows = Rows::new(header);
        let names = rows.next().map(|row| row.fields().map(str::to_owned).collect());
        Columns::new(names.unwrap_or_default())
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Returns a warning if the file apparently separates fields by another character than a comma.
    pub fn separator_warning(&self) -> Option<String> {
        let [name] = self.0.as_slice() else { return None };
        let separator = name.chars().find(|character| matches!(character, ';' | '\t' | '|'))?;
        Some(format!(
            "the file has one column, whose name contains {separator:?}; only commas separate fields"
        ))
    }

    pub fn into_names(self) -> Vec<String> {
        self.0
    }

    /// Checks that a row has one valid field per column.
    pub fn check_row(&self, fields: &[String]) -> Result<(), RowError> {
        if fields.len() != self.0.len() {
            return Err(RowError::FieldCount { fields: fields.len(), expected: self.0.len() });
        }
        if fields.iter().map(String::len).sum::<usize>() > MAX_ROW_BYTES {
            return Err(RowError::TooLong);
        }
        if fields.iter().any(|field| field.contains('\0')) {
            return Err(RowError::Nul);
        }
        Ok(())
    }
}

/// Returns whether a line is `sep=` with a separator, which Excel writes and reads.
fn is_separator_line(line: &str) -> bool {
    let text = line.trim_end().trim_matches('"');
    text.strip_prefix("sep=").is_some_and(|separator| separator.chars().count() <= 1)
}

/// Returns a warning if rows in normal form, the first of which is in line `line`, contain a byte
/// order mark. Where files have been concatenated, the next one begins with it.
pub fn byte_order_mark_warning(rows: &str, line: u64) -> Option<String> {
    // ASCII is recognized faster.
    let position = if rows.is_ascii() { None } else { rows.find('\u{feff}') }?;
    let line = line + rows[..position].bytes().filter(|&byte| byte == b'\n').count() as u64;
    Some(format!("line {line} has a byte order mark (U+FEFF), which was stored as text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Result<Columns, TableError> {
        Columns::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn empty_or_duplicate_column_name_is_an_error() {
        assert!(columns(&["a", "A", " "]).is_ok());
        assert_eq!(columns(&[]), Err(TableError::NoColumns));
        assert_eq!(columns(&["a", ""]), Err(TableError::EmptyColumnName));
        assert_eq!(columns(&["a", "b", "a"]), Err(TableError::DuplicateColumn("a".into())));
        assert_eq!(columns(&[&"x".repeat(201)]), Err(TableError::ColumnNameTooLong));
        assert_eq!(columns(&["a\0"]), Err(TableError::Row(RowError::Nul)));
        let many: Vec<_> = (0..=MAX_COLUMNS).map(|number| number.to_string()).collect();
        assert!(Columns::new(many[1..].to_vec()).is_ok());
        assert_eq!(Columns::new(many), Err(TableError::Row(RowError::TooManyFields)));
    }

    #[test]
    fn row_without_one_field_per_column_is_an_error() {
        let columns = columns(&["a", "b"]).unwrap();
        let check = |fields: &[&str]| {
            columns.check_row(&fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["", ""]), Ok(()));
        assert_eq!(check(&["1"]), Err(RowError::FieldCount { fields: 1, expected: 2 }));
        assert_eq!(check(&["1", "\0"]), Err(RowError::Nul));
        assert_eq!(check(&["1", &"x".repeat(MAX_ROW_BYTES - 1)]), Ok(()));
        assert_eq!(check(&["1", &"x".repeat(MAX_ROW_BYTES)]), Err(RowError::TooLong));
    }

    #[test]
    fn separator_line_is_not_a_header() {
        for line in ["sep=;\r\n", "sep=,\r\n", "\"sep=,\"\r\n", "sep=\r\n", "sep=\t\r\n"] {
            assert_eq!(Columns::from_header(line), Err(TableError::SeparatorLine), "{line:?}");
        }
        assert!(Columns::from_header("sep=ab\r\n").is_ok());
        assert_eq!(Columns::from_header(""), Err(TableError::NoColumns));
    }

    #[test]
    fn single_column_with_another_separator_is_a_warning() {
        let warning = |header: &str| Columns::from_header(header).unwrap().separator_warning();
        let expected =
            "the file has one column, whose name contains ';'; only commas separate fields";
        assert_eq!(warning("a;b\r\n").as_deref(), Some(expected));
        assert!(warning("a\tb\r\n").is_some());
        assert_eq!(warning("a;b,c\r\n"), None);
        assert_eq!(warning("a b\r\n"), None);
    }

    #[test]
    fn byte_order_mark_in_rows_is_a_warning() {
        let warning = byte_order_mark_warning("ä\r\nb\u{feff}\r\n", 7);
        let expected = "line 8 has a byte order mark (U+FEFF), which was stored as text";
        assert_eq!(warning.as_deref(), Some(expected));
        assert_eq!(byte_order_mark_warning("ä\r\n", 1), None);
    }
}
