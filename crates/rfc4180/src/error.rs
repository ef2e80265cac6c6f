//! The reasons why a file is rejected.

use std::fmt;

use crate::{MAX_FIELDS, MAX_ROW_BYTES};

/// The reason why a file cannot be read.
#[derive(Debug)]
pub enum ReadError<E> {
    /// The source of the file failed.
    Source(E),
    /// The file is invalid.
    Csv(CsvError),
}

/// An error in a line of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvError {
    /// The number of the line, from 1.
    pub line: u64,
    /// The type of the error.
    pub kind: ErrorKind,
}

/// The type of an error in a line.
#[derive(Clone, Debug, PartialEq)]
pub enum ErrorKind {
    /// The row is well-formed but invalid.
    Row(RowError),
    /// The line is blank.
    BlankLine,
    /// An unquoted field contains a quote.
    BareQuote,
    /// Text follows a closing quote.
    TextAfterQuote,
    /// An opening quote has no closing quote.
    UnclosedQuote,
    /// A carriage return outside of quotes is not followed by a line feed.
    BareCarriageReturn,
    /// The line is not valid UTF-8.
    InvalidUtf8,
}

/// The reason why the fields of a row are invalid.
#[derive(Clone, Debug, PartialEq)]
pub enum RowError {
    /// The row does not have as many fields as the first row.
    FieldCount {
        /// The number of fields of the row.
        fields: usize,
        /// The number of fields of the first row.
        expected: usize,
    },
    /// The row has more than [`MAX_FIELDS`] fields.
    TooManyFields,
    /// The fields have more than [`MAX_ROW_BYTES`] bytes in total.
    TooLong,
    /// The text contains NUL, which PostgreSQL cannot store.
    Nul,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.kind)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Row(error) => return error.fmt(f),
            ErrorKind::BlankLine => "is blank; write a single empty field as \"\"",
            ErrorKind::BareQuote => "has a quote in an unquoted field",
            ErrorKind::TextAfterQuote => "has text after a closing quote",
            ErrorKind::UnclosedQuote => "opens a quoted field that is never closed",
            ErrorKind::BareCarriageReturn => "has a carriage return without a line feed",
            ErrorKind::InvalidUtf8 => "is not valid UTF-8",
        })
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RowError::FieldCount { fields, expected } => {
                write!(f, "has the wrong number of fields: expected {expected}, found {fields}")
            }
            RowError::TooManyFields => write!(f, "has more than {MAX_FIELDS} fields"),
            RowError::TooLong => write!(f, "exceeds the row limit of {MAX_ROW_BYTES} bytes"),
            RowError::Nul => f.write_str("contains a NUL character"),
        }
    }
}
