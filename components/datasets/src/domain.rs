//! Validation of the names, columns and rows of datasets.

use std::collections::BTreeSet;
use std::fmt;

use rules::TextError;

const MAX_NAME_CHARS: usize = 200;
pub const MAX_COLUMNS: usize = 1000;
/// The maximum total size of the fields of a row: 64 KiB. A row is parsed, stored and sent as a
/// whole, and its JSON can be six times as large.
pub const MAX_ROW_BYTES: usize = 64 << 10;

/// The name of a dataset: 1 to 200 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetName(String);

/// The names of the columns: 1 to 1,000 unique, non-empty names.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<String>);

/// The reason why columns or a row are invalid.
#[derive(Clone, Debug, PartialEq)]
pub enum RowError {
    /// There are no columns.
    NoColumns,
    /// There are more than [`MAX_COLUMNS`] columns.
    TooManyColumns,
    /// The name of a column is empty.
    EmptyColumnName,
    /// The name of a column is too long.
    ColumnNameTooLong,
    /// Two columns have this name.
    DuplicateColumn(String),
    /// The row does not have one field per column.
    FieldCount { fields: usize, columns: usize },
    /// The row has more than [`MAX_ROW_BYTES`] bytes.
    TooLong,
    /// The text contains NUL, which PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowError::NoColumns => f.write_str("has no column names"),
            RowError::TooManyColumns => write!(f, "has more than {MAX_COLUMNS} fields"),
            RowError::EmptyColumnName => f.write_str("has an empty column name"),
            RowError::ColumnNameTooLong => {
                write!(f, "has a column name longer than {MAX_NAME_CHARS} characters")
            }
            RowError::DuplicateColumn(name) => write!(f, "repeats the column name '{name}'"),
            RowError::FieldCount { fields, columns } => {
                write!(f, "has the wrong number of fields: expected {columns}, found {fields}")
            }
            RowError::TooLong => write!(f, "exceeds the row limit of {MAX_ROW_BYTES} bytes"),
            RowError::Nul => f.write_str("contains a NUL character"),
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
    pub fn new(names: Vec<String>) -> Result<Columns, RowError> {
        if names.is_empty() {
            return Err(RowError::NoColumns);
        }
        if names.len() > MAX_COLUMNS {
            return Err(RowError::TooManyColumns);
        }
        let mut known = BTreeSet::new();
        for name in &names {
            match rules::name(name.clone(), MAX_NAME_CHARS) {
                Err(TextError::Nul) => return Err(RowError::Nul),
                Err(TextError::Empty) => return Err(RowError::EmptyColumnName),
                Err(TextError::TooLong(_)) => return Err(RowError::ColumnNameTooLong),
                Ok(_) if !known.insert(name) => {
                    return Err(RowError::DuplicateColumn(name.clone()));
                }
                Ok(_) => {}
            }
        }
        Ok(Columns(names))
    }

    pub fn names(&self) -> &[String] {
        &self.0
    }

    pub fn into_names(self) -> Vec<String> {
        self.0
    }

    /// Checks that a row has one valid field per column.
    pub fn check_row(&self, fields: &[String]) -> Result<(), RowError> {
        if fields.len() != self.0.len() {
            return Err(RowError::FieldCount { fields: fields.len(), columns: self.0.len() });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Result<Columns, RowError> {
        Columns::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn empty_or_duplicate_column_name_is_an_error() {
        assert!(columns(&["a", "A", " "]).is_ok());
        assert_eq!(columns(&[]), Err(RowError::NoColumns));
        assert_eq!(columns(&["a", ""]), Err(RowError::EmptyColumnName));
        assert_eq!(columns(&["a", "b", "a"]), Err(RowError::DuplicateColumn("a".into())));
        assert_eq!(columns(&[&"x".repeat(201)]), Err(RowError::ColumnNameTooLong));
        assert_eq!(columns(&["a\0"]), Err(RowError::Nul));
        let many: Vec<_> = (0..=MAX_COLUMNS).map(|number| number.to_string()).collect();
        assert!(Columns::new(many[1..].to_vec()).is_ok());
        assert_eq!(Columns::new(many), Err(RowError::TooManyColumns));
    }

    #[test]
    fn row_without_one_field_per_column_is_an_error() {
        let columns = columns(&["a", "b"]).unwrap();
        let check = |fields: &[&str]| {
            columns.check_row(&fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["", ""]), Ok(()));
        assert_eq!(check(&["1"]), Err(RowError::FieldCount { fields: 1, columns: 2 }));
        assert_eq!(check(&["1", "\0"]), Err(RowError::Nul));
        assert_eq!(check(&["1", &"x".repeat(MAX_ROW_BYTES - 1)]), Ok(()));
        assert_eq!(check(&["1", &"x".repeat(MAX_ROW_BYTES)]), Err(RowError::TooLong));
    }
}
