//! What a dataset may be called and consist of.

use std::collections::BTreeSet;
use std::fmt;

use katas::Flaw;

/// The most characters the name of a dataset or of a column has.
const NAME_LENGTH: usize = 200;
/// The most columns a dataset has.
pub const COLUMNS: usize = 1000;
/// The most bytes the fields of one row have, 64 KiB: a row is read, kept and sent as a whole, and as
/// JSON it can have six times as many.
pub const ROW_LENGTH: usize = 64 << 10;

/// What a dataset is called: 1 to 200 characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Name(String);

/// The names of a dataset's columns: 1 to 1,000, none of them empty, none there twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns(Vec<String>);

/// What is wrong with the columns or with a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowFlaw {
    /// There is no column.
    NoColumns,
    /// There are more columns than there may be.
    ManyColumns,
    /// A column has no name.
    Unnamed,
    /// The name of a column is too long.
    LongName,
    /// Two columns have this name.
    Repeated(String),
    /// The row does not have a field for each column.
    Ragged {
        /// The fields that it has.
        fields: usize,
        /// The fields that it should have.
        columns: usize,
    },
    /// The row has more than [`ROW_LENGTH`] bytes.
    Long,
    /// There is a character that PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for RowFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowFlaw::NoColumns => f.write_str("has no column names"),
            RowFlaw::ManyColumns => write!(f, "has more than {COLUMNS} fields"),
            RowFlaw::Unnamed => f.write_str("has an empty column name"),
            RowFlaw::LongName => {
                write!(f, "has a column name of more than {NAME_LENGTH} characters")
            }
            RowFlaw::Repeated(name) => write!(f, "has the column name '{name}' twice"),
            RowFlaw::Ragged { fields, columns } => {
                write!(f, "has {fields} fields where there are {columns} columns")
            }
            RowFlaw::Long => write!(f, "has more than {ROW_LENGTH} bytes in a row"),
            RowFlaw::Nul => f.write_str("has the character NUL"),
        }
    }
}

impl Name {
    /// The name, if `text` can be one.
    pub fn new(text: impl Into<String>) -> Result<Name, Flaw> {
        katas::name(text.into(), NAME_LENGTH).map(Name)
    }

    /// The name's characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Columns {
    /// The columns, if these can be their names.
    pub fn new(names: Vec<String>) -> Result<Columns, RowFlaw> {
        if names.is_empty() {
            return Err(RowFlaw::NoColumns);
        }
        if names.len() > COLUMNS {
            return Err(RowFlaw::ManyColumns);
        }
        let mut known = BTreeSet::new();
        for name in &names {
            match Name::new(name.as_str()) {
                Err(Flaw::Nul) => return Err(RowFlaw::Nul),
                Err(Flaw::Empty) => return Err(RowFlaw::Unnamed),
                Err(Flaw::Longer(_)) => return Err(RowFlaw::LongName),
                Ok(_) if !known.insert(name) => return Err(RowFlaw::Repeated(name.clone())),
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

    /// Whether these can be the fields of a row.
    pub fn check(&self, fields: &[String]) -> Result<(), RowFlaw> {
        if fields.len() != self.0.len() {
            return Err(RowFlaw::Ragged { fields: fields.len(), columns: self.0.len() });
        }
        if fields.iter().map(String::len).sum::<usize>() > ROW_LENGTH {
            return Err(RowFlaw::Long);
        }
        if fields.iter().any(|field| field.contains('\0')) {
            return Err(RowFlaw::Nul);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Result<Columns, RowFlaw> {
        Columns::new(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn columns_have_names_of_their_own() {
        assert!(columns(&["a", "A", " "]).is_ok());
        assert_eq!(columns(&[]), Err(RowFlaw::NoColumns));
        assert_eq!(columns(&["a", ""]), Err(RowFlaw::Unnamed));
        assert_eq!(columns(&["a", "b", "a"]), Err(RowFlaw::Repeated("a".into())));
        assert_eq!(columns(&[&"x".repeat(201)]), Err(RowFlaw::LongName));
        assert_eq!(columns(&["a\0"]), Err(RowFlaw::Nul));
        let many: Vec<_> = (0..=COLUMNS).map(|number| number.to_string()).collect();
        assert!(Columns::new(many[1..].to_vec()).is_ok());
        assert_eq!(Columns::new(many), Err(RowFlaw::ManyColumns));
    }

    #[test]
    fn a_row_has_a_field_for_each_column() {
        let columns = columns(&["a", "b"]).unwrap();
        let check = |fields: &[&str]| {
            columns.check(&fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(check(&["", ""]), Ok(()));
        assert_eq!(check(&["1"]), Err(RowFlaw::Ragged { fields: 1, columns: 2 }));
        assert_eq!(check(&["1", "\0"]), Err(RowFlaw::Nul));
        assert_eq!(check(&["1", &"x".repeat(ROW_LENGTH - 1)]), Ok(()));
        assert_eq!(check(&["1", &"x".repeat(ROW_LENGTH)]), Err(RowFlaw::Long));
    }
}
