//! Strict CSV (RFC 4180), parsed one row at a time in constant memory.
//!
//! `csv-core` accepts any input. Input that RFC 4180 does not allow is most likely a fault in the file, so
//! [`Rules`] checks the same bytes and rejects it.

use std::{fmt, slice};

use csv_core::ReadRecordResult;
use http::StatusCode;
use web::Problem;

use crate::domain::{MAX_COLUMNS, ROW_LENGTH, RowError};

/// An invalid line of a file.
#[derive(Debug, PartialEq)]
pub struct CsvError {
    /// The number of the line, from 1.
    pub line: u64,
    /// The violated rule.
    pub kind: Kind,
}

/// The reason why a line is invalid.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// Its row is invalid.
    Row(RowError),
    /// It is empty.
    Blank,
    /// It has a quote inside a field that does not begin with one.
    BareQuote,
    /// It has text between a closing quote and the end of the field.
    AfterQuote,
    /// It has an opening quote without a closing one.
    Unclosed,
    /// It has a carriage return outside of quotes without a line feed.
    Return,
    /// It is not UTF-8.
    NotUtf8,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ", self.line)?;
        match &self.kind {
            Kind::Row(error) => error.fmt(f),
            Kind::Blank => f.write_str("is blank (a single empty field is written \"\")"),
            Kind::BareQuote => f.write_str("has a quote in a field that does not begin with one"),
            Kind::AfterQuote => f.write_str("has text after a closing quote"),
            Kind::Unclosed => f.write_str("opens a quote that is never closed"),
            Kind::Return => f.write_str("has a carriage return without a line feed"),
            Kind::NotUtf8 => f.write_str("is not UTF-8"),
        }
    }
}

/// 422 with the line.
impl From<CsvError> for Problem {
    fn from(error: CsvError) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// Checks a file byte by byte against RFC 4180.
struct Rules {
    state: State,
    line: u64,
    /// The line of the last opening quote.
    opened: u64,
}

enum State {
    LineStart,
    FieldStart,
    Plain,
    Quoted,
    /// After a quote inside quotes: the closing one, or the first of an escaped quote.
    Quote,
    Return,
}

impl Rules {
    fn new() -> Rules {
        Rules { state: State::LineStart, line: 1, opened: 1 }
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), CsvError> {
        for &byte in bytes {
            self.state = match (&self.state, byte) {
                (State::Return, b'\n') => State::LineStart,
                (State::Return, _) => return Err(self.error(Kind::Return)),
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) => State::Quoted,
                (State::LineStart, b'\r' | b'\n') => return Err(self.error(Kind::Blank)),
                (State::Quote, b'"') => State::Quoted,
                (State::LineStart | State::FieldStart, b'"') => {
                    self.opened = self.line;
                    State::Quoted
                }
                (State::Plain, b'"') => return Err(self.error(Kind::BareQuote)),
                (_, b',') => State::FieldStart,
                (_, b'\n') => State::LineStart,
                (_, b'\r') => State::Return,
                (State::Quote, _) => return Err(self.error(Kind::AfterQuote)),
                _ => State::Plain,
            };
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), CsvError> {
        match self.state {
            State::Quoted => Err(CsvError { line: self.opened, kind: Kind::Unclosed }),
            State::Return => Err(self.error(Kind::Return)),
            _ => Ok(()),
        }
    }

    /// The number of the line in which the next row begins.
    fn next_line(&self) -> u64 {
        // `csv-core` ends a row at the carriage return.
        self.line + u64::from(matches!(self.state, State::Return))
    }

    fn error(&self, kind: Kind) -> CsvError {
        CsvError { line: self.line, kind }
    }
}

/// Returns the next chunk of a file, which is not empty, `None` at the end.
pub type Source<'s, E> = &'s mut dyn FnMut() -> Result<Option<Vec<u8>>, E>;

/// Parses a file.
pub struct Reader<'s, E> {
    source: Source<'s, E>,
    core: csv_core::Reader,
    rules: Rules,
    chunk: Vec<u8>,
    /// The number of bytes of the chunk that have been parsed.
    read: usize,
    /// Whether this is the first chunk, which may begin with a byte order mark.
    first: bool,
    /// The fields of the row, concatenated.
    text: Vec<u8>,
    /// The end of each field in `text`.
    ends: Vec<usize>,
    /// The number of fields of the first row.
    columns: Option<usize>,
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    text: &'r str,
    ends: &'r [usize],
}

impl<'r> Row<'r> {
    /// The fields in their order.
    pub fn fields(self) -> impl Iterator<Item = &'r str> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(self.ends).map(move |(start, &end)| &self.text[start..end])
    }
}

impl<'s, E: From<CsvError>> Reader<'s, E> {
    /// Begins to parse a file.
    pub fn new(source: Source<'s, E>) -> Reader<'s, E> {
        Reader {
            source,
            core: csv_core::Reader::new(),
            rules: Rules::new(),
            chunk: Vec::new(),
            read: 0,
            first: true,
            text: vec![0; 4096],
            ends: vec![0; MAX_COLUMNS + 1],
            columns: None,
        }
    }

    /// The next row, `None` at the end. A row that does not have as many fields as the first is an error.
    pub fn next(&mut self) -> Result<Option<Row<'_>>, E> {
        let line = self.rules.next_line();
        let (mut length, mut fields) = (0, 0);
        loop {
            if self.read == self.chunk.len() {
                self.refill()?;
            }
            let input = &self.chunk[self.read..];
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.text[length..], &mut self.ends[fields..]);
            let seen = &input[..read];
            let mark = if self.first { b"\xef\xbb\xbf".as_slice() } else { b"" };
            self.rules.check(seen.strip_prefix(mark).unwrap_or(seen))?;
            self.first &= read == 0;
            self.read += read;
            length += written;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() > ROW_LENGTH => {
                    return Err(row_error(line, RowError::Long).into());
                }
                ReadRecordResult::OutputFull => {
                    self.text.resize((2 * self.text.len()).min(ROW_LENGTH + 1), 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(row_error(line, RowError::ManyColumns).into());
                }
                ReadRecordResult::Record => return Ok(Some(self.row(line, length, fields)?)),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn refill(&mut self) -> Result<(), E> {
        self.read = 0;
        self.chunk.clear();
        // `csv-core` recognizes a byte order mark only in one piece, and ends when nothing follows it.
        while self.chunk.len() < if self.first { 4 } else { 1 } {
            match (self.source)()? {
                Some(more) if self.chunk.is_empty() => self.chunk = more,
                Some(more) => self.chunk.extend(more),
                None if self.chunk.is_empty() => return Ok(self.rules.check_end()?),
                None => break,
            }
        }
        Ok(())
    }

    fn row(&mut self, line: u64, length: usize, fields: usize) -> Result<Row<'_>, CsvError> {
        let columns = *self.columns.get_or_insert(fields);
        if fields != columns {
            return Err(row_error(line, RowError::Ragged { fields, columns }));
        }
        let (bytes, ends) = (&self.text[..length], &self.ends[..fields]);
        let error = |position: usize, kind| {
            let before = bytes[..position].iter().filter(|&&byte| byte == b'\n').count();
            CsvError { line: line + before as u64, kind }
        };
        let text =
            str::from_utf8(bytes).map_err(|invalid| error(invalid.valid_up_to(), Kind::NotUtf8))?;
        // A field boundary may split a character.
        if let Some(&end) = ends.iter().find(|&&end| !text.is_char_boundary(end)) {
            return Err(error(end, Kind::NotUtf8));
        }
        match text.find('\0') {
            Some(position) => Err(error(position, Kind::Row(RowError::Nul))),
            None => Ok(Row { text, ends }),
        }
    }
}

fn row_error(line: u64, error: RowError) -> CsvError {
    CsvError { line, kind: Kind::Row(error) }
}

/// Appends a row: fields are quoted where necessary, the row ends with CRLF. The writer of `csv-core` may
/// quote numbers differently.
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
    // A single empty field would be a blank line.
    let end: &[u8] = if out.len() == start { b"\"\"\r\n" } else { b"\r\n" };
    out.extend_from_slice(end);
}

/// A row as CSV.
pub fn line(fields: &[String]) -> Vec<u8> {
    let mut line = Vec::new();
    write(fields.iter().map(String::as_str), &mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of a file that comes in chunks of this size.
    fn read_by(size: usize, file: &[u8]) -> Result<Vec<Vec<String>>, CsvError> {
        let mut chunks = file.chunks(size).map(<[u8]>::to_vec);
        let mut source = || Ok::<_, CsvError>(chunks.next());
        let mut reader = Reader::new(&mut source);
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row.fields().map(str::to_owned).collect());
        }
        Ok(rows)
    }

    /// All rows of a file, whatever the size of its chunks.
    fn read(file: impl AsRef<[u8]>) -> Result<Vec<Vec<String>>, CsvError> {
        let file = file.as_ref();
        let rows = read_by(file.len().max(1), file);
        for size in 1..file.len().min(8) {
            assert_eq!(read_by(size, file), rows, "by {size}");
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
    fn invalid_csv_is_an_error_with_its_line() {
        for (file, line, kind) in [
            ("a\n\nb\n", 2, Kind::Blank),
            ("a,b\r\n1,2\r\n\r\n", 3, Kind::Blank),
            ("\n", 1, Kind::Blank),
            ("a\nx\"y\n", 2, Kind::BareQuote),
            ("a\n \"x\"\n", 2, Kind::BareQuote),
            ("a\n\"x\ny\" \n", 3, Kind::AfterQuote),
            ("a\n\"x\"y\"\n", 2, Kind::AfterQuote),
            ("a\n1\n\"x\ny\nz\n", 3, Kind::Unclosed),
            ("\"", 1, Kind::Unclosed),
            ("a\rb\n", 1, Kind::Return),
            ("a\n\"b\"\r", 2, Kind::Return),
            ("a,b\n1,2,3\n", 2, Kind::Row(RowError::Ragged { fields: 3, columns: 2 })),
            (
                "a,b\r\n\"1\r\n\",2\r\n3\r\n",
                4,
                Kind::Row(RowError::Ragged { fields: 1, columns: 2 }),
            ),
            ("a\n\"b\nc\0\"\n", 3, Kind::Row(RowError::Nul)),
        ] {
            assert_eq!(read(file), Err(CsvError { line, kind }), "{file:?}");
        }
    }

    #[test]
    fn invalid_utf_8_is_an_error_with_its_line() {
        // The second would be a character if there were no comma in it.
        for bad in [b"a,b\n\"\n\xff\",2\n".as_slice(), b"a,b\n\"\n\xc3\",\xa4\n"] {
            assert_eq!(read(bad), Err(CsvError { line: 3, kind: Kind::NotUtf8 }), "{bad:?}");
        }
    }

    #[test]
    fn length_and_number_of_fields_are_limited() {
        let row =
            |length| format!("a,b\n{},\"{}\"\n", "x".repeat(length / 2), "y".repeat(length / 2));
        assert!(read_by(1000, row(ROW_LENGTH).as_bytes()).is_ok());
        let long = Err(CsvError { line: 2, kind: Kind::Row(RowError::Long) });
        assert_eq!(read_by(1000, row(ROW_LENGTH + 2).as_bytes()), long);
        let wide = |columns| format!("a{}\n", ",b".repeat(columns - 1));
        assert_eq!(read_by(1000, wide(MAX_COLUMNS).as_bytes()).unwrap()[0].len(), MAX_COLUMNS);
        let many = Err(CsvError { line: 1, kind: Kind::Row(RowError::ManyColumns) });
        assert_eq!(read_by(1000, wide(MAX_COLUMNS + 2).as_bytes()), many);
    }

    #[test]
    fn fields_are_quoted_where_necessary() {
        let written =
            write_all(&rows(&[&["a", "b c"], &["x,y", "\"z\""], &["\r", "\n"], &["", ""]]));
        let expected = "a,b c\r\n\"x,y\",\"\"\"z\"\"\"\r\n\"\r\",\"\n\"\r\n,\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(write_all(&rows(&[&[""]])), b"\"\"\r\n");
        assert_eq!(write_all(&rows(&[&["\""]])), b"\"\"\"\"\r\n");
    }

    #[test]
    fn written_rows_are_parsed_unchanged() {
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
