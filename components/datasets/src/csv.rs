//! A strict CSV parser (RFC 4180) that reads one row at a time in constant memory.
//!
//! `csv-core` accepts any input. Input that violates RFC 4180 most likely means that the file is
//! damaged, so [`Validator`] checks the same bytes and rejects it.

use std::{fmt, slice};

use csv_core::ReadRecordResult;
use http::StatusCode;
use web::Problem;

use crate::domain::{MAX_COLUMNS, MAX_ROW_BYTES, RowError};

/// An error in a line of a file.
#[derive(Debug, PartialEq)]
pub struct CsvError {
    /// The number of the line, from 1.
    pub line: u64,
    /// The type of the error.
    pub kind: ErrorKind,
}

/// The type of an error in a line.
#[derive(Debug, PartialEq)]
pub enum ErrorKind {
    /// The row is invalid.
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

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ", self.line)?;
        match &self.kind {
            ErrorKind::Row(error) => error.fmt(f),
            ErrorKind::BlankLine => f.write_str("is blank; write a single empty field as \"\""),
            ErrorKind::BareQuote => f.write_str("has a quote in an unquoted field"),
            ErrorKind::TextAfterQuote => f.write_str("has text after a closing quote"),
            ErrorKind::UnclosedQuote => f.write_str("opens a quoted field that is never closed"),
            ErrorKind::BareCarriageReturn => {
                f.write_str("has a carriage return without a line feed")
            }
            ErrorKind::InvalidUtf8 => f.write_str("is not valid UTF-8"),
        }
    }
}

/// Returns 422 with the number of the line.
impl From<CsvError> for Problem {
    fn from(error: CsvError) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// A state machine that checks a file byte by byte against RFC 4180.
struct Validator {
    state: State,
    line: u64,
    /// The line of the last opening quote.
    quote_line: u64,
}

enum State {
    LineStart,
    FieldStart,
    Unquoted,
    Quoted,
    /// After a quote in a quoted field: the closing quote, or the first half of an escaped quote.
    QuoteInQuoted,
    CarriageReturn,
}

impl Validator {
    fn new() -> Validator {
        Validator { state: State::LineStart, line: 1, quote_line: 1 }
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), CsvError> {
        for &byte in bytes {
            self.state = match (&self.state, byte) {
                (State::CarriageReturn, b'\n') => State::LineStart,
                (State::CarriageReturn, _) => return Err(self.error(ErrorKind::BareCarriageReturn)),
                (State::Quoted, b'"') => State::QuoteInQuoted,
                (State::Quoted, _) => State::Quoted,
                (State::LineStart, b'\r' | b'\n') => return Err(self.error(ErrorKind::BlankLine)),
                (State::QuoteInQuoted, b'"') => State::Quoted,
                (State::LineStart | State::FieldStart, b'"') => {
                    self.quote_line = self.line;
                    State::Quoted
                }
                (State::Unquoted, b'"') => return Err(self.error(ErrorKind::BareQuote)),
                (_, b',') => State::FieldStart,
                (_, b'\n') => State::LineStart,
                (_, b'\r') => State::CarriageReturn,
                (State::QuoteInQuoted, _) => return Err(self.error(ErrorKind::TextAfterQuote)),
                _ => State::Unquoted,
            };
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), CsvError> {
        match self.state {
            State::Quoted => {
                Err(CsvError { line: self.quote_line, kind: ErrorKind::UnclosedQuote })
            }
            State::CarriageReturn => Err(self.error(ErrorKind::BareCarriageReturn)),
            _ => Ok(()),
        }
    }

    /// Returns the number of the line in which the next row begins.
    fn next_line(&self) -> u64 {
        // `csv-core` ends a row at the carriage return.
        self.line + u64::from(matches!(self.state, State::CarriageReturn))
    }

    fn error(&self, kind: ErrorKind) -> CsvError {
        CsvError { line: self.line, kind }
    }
}

/// A function that returns the next chunk of a file, `None` at the end. Chunks are not empty.
pub type ChunkReader<'s, E> = &'s mut dyn FnMut() -> Result<Option<Vec<u8>>, E>;

/// A parser of a file.
pub struct Reader<'s, E> {
    chunks: ChunkReader<'s, E>,
    core: csv_core::Reader,
    validator: Validator,
    chunk: Vec<u8>,
    /// The number of bytes of the chunk that have been parsed.
    parsed: usize,
    /// Whether nothing has been parsed: the file may begin with a byte order mark.
    at_start: bool,
    /// The fields of the row, concatenated.
    text: Vec<u8>,
    /// The position in `text` at which each field ends.
    ends: Vec<usize>,
    /// The number of fields in the first row.
    columns: Option<usize>,
}

/// A parsed row.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    text: &'r str,
    ends: &'r [usize],
}

impl<'r> Row<'r> {
    /// Returns the fields in order.
    pub fn fields(self) -> impl Iterator<Item = &'r str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(self.ends).map(move |(start, &end)| &self.text[start..end])
    }
}

impl<'s, E: From<CsvError>> Reader<'s, E> {
    /// Creates a parser that reads from `chunks`.
    pub fn new(chunks: ChunkReader<'s, E>) -> Reader<'s, E> {
        Reader {
            chunks,
            core: csv_core::Reader::new(),
            validator: Validator::new(),
            chunk: Vec::new(),
            parsed: 0,
            at_start: true,
            text: vec![0; 4096],
            ends: vec![0; MAX_COLUMNS + 1],
            columns: None,
        }
    }

    /// Parses the next row. Returns `None` at the end, and an error when the row is invalid or has
    /// another number of fields than the first row.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, E> {
        let line = self.validator.next_line();
        let (mut length, mut fields) = (0, 0);
        loop {
            if self.parsed == self.chunk.len() {
                self.refill()?;
            }
            let input = &self.chunk[self.parsed..];
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.text[length..], &mut self.ends[fields..]);
            let consumed = &input[..read];
            let byte_order_mark = if self.at_start { b"\xef\xbb\xbf".as_slice() } else { b"" };
            self.validator.check(consumed.strip_prefix(byte_order_mark).unwrap_or(consumed))?;
            self.at_start &= read == 0;
            self.parsed += read;
            length += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() > MAX_ROW_BYTES => {
                    return Err(row_error(line, RowError::TooLong).into());
                }
                ReadRecordResult::OutputFull => {
                    self.text.resize((2 * self.text.len()).min(MAX_ROW_BYTES + 1), 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(row_error(line, RowError::TooManyColumns).into());
                }
                ReadRecordResult::Record => return Ok(Some(self.row(line, length, fields)?)),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn refill(&mut self) -> Result<(), E> {
        self.parsed = 0;
        self.chunk.clear();
        // `csv-core` does not recognize a byte order mark that is split between chunks, and stops
        // when nothing follows it.
        while self.chunk.len() < if self.at_start { 4 } else { 1 } {
            match (self.chunks)()? {
                Some(more) if self.chunk.is_empty() => self.chunk = more,
                Some(more) => self.chunk.extend(more),
                None if self.chunk.is_empty() => return Ok(self.validator.check_end()?),
                None => break,
            }
        }
        Ok(())
    }

    fn row(&mut self, line: u64, length: usize, fields: usize) -> Result<Row<'_>, CsvError> {
        let columns = *self.columns.get_or_insert(fields);
        if fields != columns {
            return Err(row_error(line, RowError::FieldCount { fields, columns }));
        }
        let (bytes, ends) = (&self.text[..length], &self.ends[..fields]);
        let error = |position: usize, kind| {
            let before = bytes[..position].iter().filter(|&&byte| byte == b'\n').count();
            CsvError { line: line + before as u64, kind }
        };
        let text = str::from_utf8(bytes)
            .map_err(|invalid| error(invalid.valid_up_to(), ErrorKind::InvalidUtf8))?;
        // The concatenated bytes of adjacent fields can form a character.
        if let Some(&end) = ends.iter().find(|&&end| !text.is_char_boundary(end)) {
            return Err(error(end, ErrorKind::InvalidUtf8));
        }
        match text.find('\0') {
            Some(position) => Err(error(position, ErrorKind::Row(RowError::Nul))),
            None => Ok(Row { text, ends }),
        }
    }
}

fn row_error(line: u64, error: RowError) -> CsvError {
    CsvError { line, kind: ErrorKind::Row(error) }
}

/// Appends a row. Quotes fields where necessary and ends the row with CRLF. The writer of
/// `csv-core` may quote numbers differently.
pub fn write<'f>(fields: impl Iterator<Item = &'f str>, out: &mut Vec<u8>) {
    let start = out.len();
    for (index, field) in fields.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if field.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
            out.push(b'"');
            for byte in field.bytes() {
                out.extend_from_slice(if byte == b'"' { b"\"\"" } else { slice::from_ref(&byte) });
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(field.as_bytes());
        }
    }
    // An unquoted single empty field would be a blank line.
    let end: &[u8] = if out.len() == start { b"\"\"\r\n" } else { b"\r\n" };
    out.extend_from_slice(end);
}

/// Returns a row as CSV.
pub fn line(fields: &[String]) -> Vec<u8> {
    let mut line = Vec::new();
    write(fields.iter().map(String::as_str), &mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses a file in chunks of this size.
    fn read_by(size: usize, file: &[u8]) -> Result<Vec<Vec<String>>, CsvError> {
        let mut chunks = file.chunks(size).map(<[u8]>::to_vec);
        let mut next_chunk = || Ok::<_, CsvError>(chunks.next());
        let mut reader = Reader::new(&mut next_chunk);
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row.fields().map(str::to_owned).collect());
        }
        Ok(rows)
    }

    /// Parses a file, and checks that the result does not depend on the size of the chunks.
    fn read(file: impl AsRef<[u8]>) -> Result<Vec<Vec<String>>, CsvError> {
        let file = file.as_ref();
        let rows = read_by(file.len().max(1), file);
        for size in 1..file.len().min(8) {
            assert_eq!(read_by(size, file), rows, "chunks of {size} bytes");
        }
        rows
    }

    fn write_all(rows: &[Vec<String>]) -> Vec<u8> {
        rows.iter().flat_map(|row| line(row)).collect()
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|&field| field.to_owned()).collect()).collect()
    }

    #[test]
    fn valid_file_is_parsed_into_rows() {
        let expected = Ok(rows(&[&["a", "b"], &["1", "x, \"y\"\r\nz"], &[" ", ""]]));
        let file = "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n ,\r\n";
        assert_eq!(read(file), expected);
        assert_eq!(read(file.trim_end_matches("\r\n")), expected);
        assert_eq!(read(format!("\u{feff}{file}")), expected);
        let quoted = "\u{feff}\"a\",\"b\"\n\"1\",\"x, \"\"y\"\"\r\nz\"\n\" \",\"\"";
        assert_eq!(read(quoted), expected);
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("\u{feff}"), Ok(vec![]));
        assert_eq!(read("a"), Ok(rows(&[&["a"]])));
        assert_eq!(read("a\n\"\"\n\"\"\n"), Ok(rows(&[&["a"], &[""], &[""]])));
    }

    #[test]
    fn invalid_csv_returns_an_error_with_the_line() {
        for (file, line, kind) in [
            ("a\n\nb\n", 2, ErrorKind::BlankLine),
            ("a,b\r\n1,2\r\n\r\n", 3, ErrorKind::BlankLine),
            ("\n", 1, ErrorKind::BlankLine),
            ("a\nx\"y\n", 2, ErrorKind::BareQuote),
            ("a\n \"x\"\n", 2, ErrorKind::BareQuote),
            ("a\n\"x\ny\" \n", 3, ErrorKind::TextAfterQuote),
            ("a\n\"x\"y\"\n", 2, ErrorKind::TextAfterQuote),
            ("a\n1\n\"x\ny\nz\n", 3, ErrorKind::UnclosedQuote),
            ("\"", 1, ErrorKind::UnclosedQuote),
            ("a\rb\n", 1, ErrorKind::BareCarriageReturn),
            ("a\n\"b\"\r", 2, ErrorKind::BareCarriageReturn),
            ("a,b\n1,2,3\n", 2, ErrorKind::Row(RowError::FieldCount { fields: 3, columns: 2 })),
            (
                "a,b\r\n\"1\r\n\",2\r\n3\r\n",
                4,
                ErrorKind::Row(RowError::FieldCount { fields: 1, columns: 2 }),
            ),
            ("a\n\"b\nc\0\"\n", 3, ErrorKind::Row(RowError::Nul)),
        ] {
            assert_eq!(read(file), Err(CsvError { line, kind }), "{file:?}");
        }
    }

    #[test]
    fn invalid_utf_8_returns_an_error_with_the_line() {
        // Without the comma, the two bytes of the second file would form a character.
        for bad in [b"a,b\n\"\n\xff\",2\n".as_slice(), b"a,b\n\"\n\xc3\",\xa4\n"] {
            assert_eq!(
                read(bad),
                Err(CsvError { line: 3, kind: ErrorKind::InvalidUtf8 }),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn row_over_a_limit_returns_an_error() {
        let row =
            |length| format!("a,b\n{},\"{}\"\n", "x".repeat(length / 2), "y".repeat(length / 2));
        assert!(read_by(1000, row(MAX_ROW_BYTES).as_bytes()).is_ok());
        let long = Err(CsvError { line: 2, kind: ErrorKind::Row(RowError::TooLong) });
        assert_eq!(read_by(1000, row(MAX_ROW_BYTES + 2).as_bytes()), long);
        let wide = |columns| format!("a{}\n", ",b".repeat(columns - 1));
        assert_eq!(read_by(1000, wide(MAX_COLUMNS).as_bytes()).unwrap()[0].len(), MAX_COLUMNS);
        let many = Err(CsvError { line: 1, kind: ErrorKind::Row(RowError::TooManyColumns) });
        assert_eq!(read_by(1000, wide(MAX_COLUMNS + 2).as_bytes()), many);
    }

    #[test]
    fn written_field_is_quoted_where_necessary() {
        let written =
            write_all(&rows(&[&["a", "b c"], &["x,y", "\"z\""], &["\r", "\n"], &["", ""]]));
        let expected = "a,b c\r\n\"x,y\",\"\"\"z\"\"\"\r\n\"\r\",\"\n\"\r\n,\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(write_all(&rows(&[&[""]])), b"\"\"\r\n");
        assert_eq!(write_all(&rows(&[&["\""]])), b"\"\"\"\"\r\n");
    }

    #[test]
    fn written_row_is_parsed_unchanged() {
        // Every field of up to three of these characters, in rows of one and of two columns.
        const ALPHABET: [&str; 8] = ["", "a", ",", "\"", "\r", "\n", "ä", " "];
        let longer = |text: String| ALPHABET.map(|character| format!("{text}{character}"));
        let triples = ALPHABET.into_iter().map(str::to_owned).flat_map(longer).flat_map(longer);
        let fields: Vec<String> = triples.collect();
        for width in [1, 2] {
            let table: Vec<_> = fields.chunks_exact(width).map(<[String]>::to_vec).collect();
            let file = write_all(&table);
            assert_eq!(read_by(file.len(), &file).as_ref(), Ok(&table));
            assert_eq!(read_by(7, &file), Ok(table));
        }
    }
}
