//! Names, columns and rows of datasets.

use std::collections::BTreeSet;
use std::fmt;

use rules::TextError;

/// The maximum length of the name of a dataset or a column in characters.
const NAME_LENGTH: usize = 200;
/// The maximum number of columns.
pub const MAX_COLUMNS: usize = 1000;
/// The maximum size of the fields of a row, 64 KiB. A row is parsed, stored and sent as a whole, and its
/// JSON can have six times that size.
pub const ROW_LENGTH: usize = 64 << 10;

/// The name of a dataset: 1 to 200 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetName(String);

/// The names of the columns: 1 to 1,000 different ones, none of them empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<String>);

/// The reason why columns or a row are invalid.
#[derive(Clone, Debug, PartialEq)]
pub enum RowError {
    /// There are no columns.
    NoColumns,
    /// There are more than [`MAX_COLUMNS`].
    ManyColumns,
    /// The name of a column is empty.
    Unnamed,
    /// The name of a column is too long.
    LongName,
    /// Two columns have this name.
    Repeated(String),
    /// The row does not have a field for each column.
    Ragged {
        /// The number of its fields.
        fields: usize,
        /// The number of columns.
        columns: usize,
    },
    /// The row has more than [`ROW_LENGTH`] bytes.
    Long,
    /// There is a NUL, which PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowError::NoColumns => f.write_str("has no column names"),
            RowError::ManyColumns => write!(f, "has more than {MAX_COLUMNS} fields"),
            RowError::Unnamed => f.write_str("has an empty column name"),
            RowError::LongName => {
                write!(f, "has a column name of more than {NAME_LENGTH} characters")
            }
            RowError::Repeated(name) => write!(f, "has the column name '{name}' twice"),
            RowError::Ragged { fields, columns } => {
                write!(f, "has {fields} fields where there are {columns} columns")
            }
            RowError::Long => write!(f, "has more than {ROW_LENGTH} bytes in a row"),
            RowError::Nul => f.write_str("has the character NUL"),
        }
    }
}

impl DatasetName {
    /// Checks a name.
    pub fn new(text: String) -> Result<DatasetName, TextError> {
        rules::name(text, NAME_LENGTH).map(DatasetName)
    }

    /// The characters of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Columns {
    /// Checks the names of columns.
    pub fn new(names: Vec<String>) -> Result<Columns, RowError> {
        if names.is_empty() {
            return Err(RowError::NoColumns);
        }
        if names.len() > MAX_COLUMNS {
            return Err(RowError::ManyColumns);
        }
        let mut known = BTreeSet::new();
        for name in &names {
            match rules::name(name.clone(), NAME_LENGTH) {
                Err(TextError::Nul) => return Err(RowError::Nul),
                Err(TextError::Empty) => return Err(RowError::Unnamed),
                Err(TextError::TooLong(_)) => return Err(RowError::LongName),
                Ok(_) if !known.insert(name) => return Err(RowError::Repeated(name.clone())),
                Ok(_) => {}
            }
        }
        Ok(Columns(names))
    }

    /// The names, in their order.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names, in their order.
    pub fn into_names(self) -> Vec<String> {
        self.0
    }

    /// Checks the fields of a row.
    pub fn check(&self, fields: &[String]) -> Result<(), RowError> {
        if fields.len() != self.0.len() {
            return Err(RowError::Ragged { fields: fields.len(), columns: self.0.len() });
        }
        if fields.iter().map(String::len).sum::<usize>() > ROW_LENGTH {
            return Err(RowError::Long);
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
    fn column_names_are_unique_and_not_empty() {
        assert!(columns(&["a", "A", " "]).is_ok());
        assert_eq!(columns(&[]), Err(RowError::NoColumns));
        assert_eq!(columns(&["a", ""]), Err(RowError::Unnamed));
        assert_eq!(columns(&["a", "b", "a"]), Err(RowError::Repeated("a".into())));
        assert_eq!(columns(&[&"x".repeat(201)]), Err(RowError::LongName));
        assert_eq!(columns(&["a\0"]), Err(RowError::Nul));
        let many: Vec<_> = (0..=MAX_COLUMNS).map(|number| number.to_string()).collect();
        assert!(Columns::new(many[1..].to_vec()).is_ok());
        assert_eq!(Columns::new(many), Err(RowError::ManyColumns));
    }

    #[test]
    fn row_has_one_field_for_each_column() {
        let columns = columns(&["a", "b"]).unwrap();
        let check = |fields: &[&str]| {
            columns.check(&fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["", ""]), Ok(()));
        assert_eq!(check(&["1"]), Err(RowError::Ragged { fields: 1, columns: 2 }));
        assert_eq!(check(&["1", "\0"]), Err(RowError::Nul));
        assert_eq!(check(&["1", &"x".repeat(ROW_LENGTH - 1)]), Ok(()));
        assert_eq!(check(&["1", &"x".repeat(ROW_LENGTH)]), Err(RowError::Long));
    }
}
