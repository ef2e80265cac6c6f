//! CSV as RFC 4180 has it and no laxer, a row at a time in constant memory, by `csv-core`.
//!
//! `csv-core` reads whatever can be read. What RFC 4180 does not allow is a mistake in the file, which
//! would become a mistake in the data: [`Rules`] watches the same bytes and refuses it.

use std::{fmt, slice};

use csv_core::ReadRecordResult;

use crate::domain::{COLUMNS, ROW_LENGTH, RowFlaw};

/// What is wrong with a file.
#[derive(Debug, PartialEq)]
pub struct Flaw {
    /// The line at fault, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub kind: Kind,
}

/// What can be wrong with a line.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// Its row is not as it should be.
    Row(RowFlaw),
    /// There is nothing in it.
    Blank,
    /// A quote inside of a field that does not begin with one.
    BareQuote,
    /// Text between the closing quote and the end of the field.
    AfterQuote,
    /// A quote is opened, and the file ends before it is closed.
    Unclosed,
    /// A carriage return outside of quotes, without a line feed after it.
    Return,
    /// Bytes that are not UTF-8.
    NotUtf8,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} ", self.line)?;
        match &self.kind {
            Kind::Row(flaw) => flaw.fmt(f),
            Kind::Blank => f.write_str("is blank (a single empty field is written \"\")"),
            Kind::BareQuote => f.write_str("has a quote in a field that does not begin with one"),
            Kind::AfterQuote => f.write_str("has text after a closing quote"),
            Kind::Unclosed => f.write_str("opens a quote that is never closed"),
            Kind::Return => f.write_str("has a carriage return without a line feed"),
            Kind::NotUtf8 => f.write_str("is not UTF-8"),
        }
    }
}

/// What RFC 4180 allows, byte by byte.
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
    /// After a quote inside of quotes: the closing one, or the first of two that mean one.
    Quote,
    Return,
}

impl Rules {
    fn new() -> Rules {
        Rules { state: State::LineStart, line: 1, opened: 1 }
    }

    fn check(&mut self, bytes: &[u8]) -> Result<(), Flaw> {
        for &byte in bytes {
            self.state = match (&self.state, byte) {
                (State::Return, b'\n') => State::LineStart,
                (State::Return, _) => return Err(self.flaw(Kind::Return)),
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) => State::Quoted,
                (State::LineStart, b'\r' | b'\n') => return Err(self.flaw(Kind::Blank)),
                (State::Quote, b'"') => State::Quoted,
                (State::LineStart | State::FieldStart, b'"') => {
                    self.opened = self.line;
                    State::Quoted
                }
                (State::Plain, b'"') => return Err(self.flaw(Kind::BareQuote)),
                (_, b',') => State::FieldStart,
                (_, b'\n') => State::LineStart,
                (_, b'\r') => State::Return,
                (State::Quote, _) => return Err(self.flaw(Kind::AfterQuote)),
                _ => State::Plain,
            };
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    fn check_end(&self) -> Result<(), Flaw> {
        match self.state {
            State::Quoted => Err(Flaw { line: self.opened, kind: Kind::Unclosed }),
            State::Return => Err(self.flaw(Kind::Return)),
            _ => Ok(()),
        }
    }

    /// The line in which the next row begins.
    fn next_line(&self) -> u64 {
        // `csv-core` ends a row at the carriage return already.
        self.line + u64::from(matches!(self.state, State::Return))
    }

    fn flaw(&self, kind: Kind) -> Flaw {
        Flaw { line: self.line, kind }
    }
}

/// What gives the bytes of a file in chunks, none of them empty, and `None` at the end.
pub type Source<'s, E> = &'s mut dyn FnMut() -> Result<Option<Vec<u8>>, E>;

/// A file that is being read.
pub struct Reader<'s, E> {
    source: Source<'s, E>,
    core: csv_core::Reader,
    rules: Rules,
    chunk: Vec<u8>,
    /// How much of the chunk has been read.
    read: usize,
    /// Whether this is the first chunk, which may begin with a byte order mark.
    first: bool,
    /// The fields of the row, one after another.
    text: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// How many fields the first row had.
    columns: Option<usize>,
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    text: &'r str,
    ends: &'r [usize],
}

impl<'r> Row<'r> {
    /// Each field in its order.
    pub fn fields(self) -> impl Iterator<Item = &'r str> + Clone {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        // What is never out of bounds, said without a panic that can quote the text: 8 KB.
        starts
            .zip(self.ends)
            .map(move |(start, &end)| self.text.get(start..end).unwrap_or_default())
    }
}

impl<'s, E: From<Flaw>> Reader<'s, E> {
    /// A file that has not been read yet.
    pub fn new(source: Source<'s, E>) -> Reader<'s, E> {
        Reader {
            source,
            core: csv_core::Reader::new(),
            rules: Rules::new(),
            chunk: Vec::new(),
            read: 0,
            first: true,
            text: vec![0; 4096],
            ends: vec![0; COLUMNS + 1],
            columns: None,
        }
    }

    /// The next row, `None` at the end. All rows have as many fields as the first.
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
                    return Err(row_flaw(line, RowFlaw::Long).into());
                }
                ReadRecordResult::OutputFull => {
                    self.text.resize((2 * self.text.len()).min(ROW_LENGTH + 1), 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    return Err(row_flaw(line, RowFlaw::ManyColumns).into());
                }
                ReadRecordResult::Record => return Ok(Some(self.row(line, length, fields)?)),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn refill(&mut self) -> Result<(), E> {
        self.read = 0;
        self.chunk.clear();
        // `csv-core` knows a byte order mark only as a whole, and takes nothing after it for the end.
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

    fn row(&mut self, line: u64, length: usize, fields: usize) -> Result<Row<'_>, Flaw> {
        let columns = *self.columns.get_or_insert(fields);
        if fields != columns {
            return Err(row_flaw(line, RowFlaw::Ragged { fields, columns }));
        }
        let (bytes, ends) = (&self.text[..length], &self.ends[..fields]);
        let flaw = |position: usize, kind| {
            let before = bytes[..position].iter().filter(|&&byte| byte == b'\n').count();
            Flaw { line: line + before as u64, kind }
        };
        let text =
            str::from_utf8(bytes).map_err(|error| flaw(error.valid_up_to(), Kind::NotUtf8))?;
        // The end of one field and the beginning of the next can look like one character.
        if let Some(&end) = ends.iter().find(|&&end| !text.is_char_boundary(end)) {
            return Err(flaw(end, Kind::NotUtf8));
        }
        match text.find('\0') {
            Some(position) => Err(flaw(position, Kind::Row(RowFlaw::Nul))),
            None => Ok(Row { text, ends }),
        }
    }
}

fn row_flaw(line: u64, flaw: RowFlaw) -> Flaw {
    Flaw { line, kind: Kind::Row(flaw) }
}

/// Appends a row: a field is quoted when it has to be, the row ends with CRLF. `csv-core` writes too,
/// but can tell numbers from text on the way, which makes a component 17 KB larger.
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

/// A row by itself.
pub fn line(fields: &[String]) -> Vec<u8> {
    let mut line = Vec::new();
    write(fields.iter().map(String::as_str), &mut line);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of a file that comes in chunks of this size.
    fn read_by(size: usize, file: &[u8]) -> Result<Vec<Vec<String>>, Flaw> {
        let mut chunks = file.chunks(size).map(<[u8]>::to_vec);
        let mut source = || Ok::<_, Flaw>(chunks.next());
        let mut reader = Reader::new(&mut source);
        let mut rows = Vec::new();
        while let Some(row) = reader.next()? {
            rows.push(row.fields().map(str::to_owned).collect());
        }
        Ok(rows)
    }

    /// All rows of a file, whatever the size of its chunks.
    fn read(file: impl AsRef<[u8]>) -> Result<Vec<Vec<String>>, Flaw> {
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
    fn a_file_is_its_rows() {
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
    fn what_rfc_4180_does_not_allow_is_refused_with_its_line() {
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
            ("a,b\n1,2,3\n", 2, Kind::Row(RowFlaw::Ragged { fields: 3, columns: 2 })),
            (
                "a,b\r\n\"1\r\n\",2\r\n3\r\n",
                4,
                Kind::Row(RowFlaw::Ragged { fields: 1, columns: 2 }),
            ),
            ("a\n\"b\nc\0\"\n", 3, Kind::Row(RowFlaw::Nul)),
        ] {
            assert_eq!(read(file), Err(Flaw { line, kind }), "{file:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused_with_its_line() {
        // The second would be a character if there were no comma in it.
        for bad in [b"a,b\n\"\n\xff\",2\n".as_slice(), b"a,b\n\"\n\xc3\",\xa4\n"] {
            assert_eq!(read(bad), Err(Flaw { line: 3, kind: Kind::NotUtf8 }), "{bad:?}");
        }
    }

    #[test]
    fn a_row_may_be_so_long_and_so_wide() {
        let row =
            |length| format!("a,b\n{},\"{}\"\n", "x".repeat(length / 2), "y".repeat(length / 2));
        assert!(read_by(1000, row(ROW_LENGTH).as_bytes()).is_ok());
        let long = Err(Flaw { line: 2, kind: Kind::Row(RowFlaw::Long) });
        assert_eq!(read_by(1000, row(ROW_LENGTH + 2).as_bytes()), long);
        let wide = |columns| format!("a{}\n", ",b".repeat(columns - 1));
        assert_eq!(read_by(1000, wide(COLUMNS).as_bytes()).unwrap()[0].len(), COLUMNS);
        let many = Err(Flaw { line: 1, kind: Kind::Row(RowFlaw::ManyColumns) });
        assert_eq!(read_by(1000, wide(COLUMNS + 2).as_bytes()), many);
    }

    #[test]
    fn fields_are_quoted_when_they_have_to_be() {
        let written =
            write_all(&rows(&[&["a", "b c"], &["x,y", "\"z\""], &["\r", "\n"], &["", ""]]));
        let expected = "a,b c\r\n\"x,y\",\"\"\"z\"\"\"\r\n\"\r\",\"\n\"\r\n,\r\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
        assert_eq!(write_all(&rows(&[&[""]])), b"\"\"\r\n");
        assert_eq!(write_all(&rows(&[&["\""]])), b"\"\"\"\"\r\n");
    }

    #[test]
    fn what_is_written_is_read_again() {
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
