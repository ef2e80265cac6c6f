//! CSV, strictly as RFC 4180 defines it.
//!
//! [`Reader`] validates a file and converts it to its normal form: every row ends with CRLF, and a
//! field is quoted only where necessary. [`Rows`] splits text in normal form into fields.
//!
//! Parsers of other crates accept any input: a quote in the middle of a field, a missing closing
//! quote. Input that violates RFC 4180 most likely means that the file is damaged, so it has to be
//! rejected with the number of the line, which takes the same automaton as parsing. The tests compare
//! both types with the `csv` crate and with Python's `csv` module.

mod error;
mod reader;
mod rows;

pub use error::{CsvError, ErrorKind, ReadError, RowError};
pub use reader::{ChunkReader, Reader};
pub use rows::{Row, Rows, write_row};

/// The maximum number of fields of a row.
pub const MAX_FIELDS: usize = 1000;

/// The maximum total size of the fields of a row: 64 KiB. A row is parsed, stored and sent as a
/// whole, and its JSON can be six times as large.
pub const MAX_ROW_BYTES: usize = 64 << 10;
