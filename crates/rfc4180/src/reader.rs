//! A strict reader in constant memory: one pass, no allocation per row or field.

use crate::{CsvError, ErrorKind, MAX_FIELDS, MAX_ROW_BYTES, ReadError, RowError};

/// A function that returns the next chunk of a file, `None` at the end. Chunks are not empty.
pub type ChunkReader<'s, E> = &'s mut dyn FnMut() -> Result<Option<Vec<u8>>, E>;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Validates a file and converts it to its normal form.
pub struct Reader<'s, E> {
    chunks: ChunkReader<'s, E>,
    chunk: Vec<u8>,
    /// The number of bytes of the chunk that have been parsed.
    parsed: usize,
    parser: Parser,
    /// The size of the buffer for the next rows.
    capacity: usize,
}

/// The bytes by which rows may exceed the previous ones without a second allocation.
const SLACK: usize = 1024;

impl<'s, E> Reader<'s, E> {
    /// Creates a reader of a file.
    pub fn new(chunks: ChunkReader<'s, E>) -> Reader<'s, E> {
        Reader { chunks, chunk: Vec::new(), parsed: 0, parser: Parser::new(), capacity: 0 }
    }

    /// Returns the number of the line that [`Reader::read`] continues with, from 1.
    pub fn line(&self) -> u64 {
        self.parser.line
    }

    /// Reads whole rows until they have at least `bytes` bytes in normal form, or the file ends.
    /// Returns them and their number, 0 at the end.
    ///
    /// Fails when a row is invalid or has another number of fields than the first row.
    pub fn read(&mut self, bytes: usize) -> Result<(String, usize), ReadError<E>> {
        let line = self.parser.line;
        let mut rows = Vec::with_capacity(self.capacity);
        self.parser.row = 0;
        let parsed = self.parse(bytes, &mut rows).map_err(ReadError::Source)?;
        self.capacity = rows.len() + SLACK;
        // Validated together, because a call for each row would take as long as parsing it. The
        // first invalid line is reported.
        let text = String::from_utf8(rows).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            CsvError { line: line + count_lines(valid), kind: ErrorKind::InvalidUtf8 }
        });
        match (parsed, text) {
            (Ok(count), Ok(text)) => Ok((text, count)),
            (Err(error), Err(earlier)) if earlier.line < error.line => Err(ReadError::Csv(earlier)),
            (Err(error), _) | (Ok(_), Err(error)) => Err(ReadError::Csv(error)),
        }
    }

    fn parse(&mut self, bytes: usize, rows: &mut Vec<u8>) -> Result<Result<usize, CsvError>, E> {
        let mut count = 0;
        loop {
            if self.parsed == self.chunk.len() && !self.refill()? {
                return Ok(self.parser.finish(rows).map(|rows| count + rows));
            }
            let input = &self.chunk[self.parsed..];
            let (read, parsed) = self.parser.parse(input, bytes, rows);
            self.parsed += read;
            match parsed {
                Ok(rows) => count += rows,
                Err(error) => return Ok(Err(error)),
            }
            if rows.len() >= bytes && self.parser.is_at_start_of_row() {
                return Ok(Ok(count));
            }
        }
    }

    /// Reads the next chunk. Returns `false` at the end.
    fn refill(&mut self) -> Result<bool, E> {
        let is_first = self.chunk.is_empty();
        let Some(chunk) = (self.chunks)()? else { return Ok(false) };
        (self.chunk, self.parsed) = (chunk, 0);
        if is_first {
            while self.chunk.len() < BYTE_ORDER_MARK.len() {
                let Some(more) = (self.chunks)()? else { break };
                self.chunk.extend(more);
            }
            self.parsed = if self.chunk.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        }
        Ok(true)
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    StartOfRow,
    StartOfField,
    Unquoted,
    Quoted,
    /// After a quote in a quoted field: the closing quote, or the first half of an escaped quote.
    QuoteInQuoted,
    CarriageReturn,
}

/// Whether a byte can change the state.
const IS_SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    special[b'"' as usize] = true;
    special[b',' as usize] = true;
    special[b'\r' as usize] = true;
    special[b'\n' as usize] = true;
    special[0] = true;
    special
};

/// A state machine that checks bytes against RFC 4180 and copies them.
struct Parser {
    state: State,
    line: u64,
    /// The line in which the row begins.
    row_line: u64,
    /// The line of the last opening quote.
    quote_line: u64,
    /// The number of fields in the first row.
    columns: Option<usize>,
    /// The number of complete fields in the row.
    fields: usize,
    /// The position in the output at which the row begins.
    row: usize,
    /// The position in the output of the last opening quote.
    quote: usize,
    /// The number of separators and quotes in the output of the row, which no field contains.
    syntax: usize,
    /// Whether the quoted field needs its quotes.
    needs_quotes: bool,
}

impl Parser {
    fn new() -> Parser {
        Parser {
            state: State::StartOfRow,
            line: 1,
            row_line: 1,
            quote_line: 1,
            columns: None,
            fields: 0,
            row: 0,
            quote: 0,
            syntax: 0,
            needs_quotes: false,
        }
    }

    fn is_at_start_of_row(&self) -> bool {
        self.state == State::StartOfRow
    }

    /// Parses input until it ends, or until a row ends and the output has at least `bytes` bytes.
    /// Returns the number of bytes parsed, and the number of rows that ended.
    ///
    /// Text is copied only where the output differs from the input, so a file in normal form is
    /// copied as a whole.
    fn parse(
        &mut self,
        input: &[u8],
        bytes: usize,
        out: &mut Vec<u8>,
    ) -> (usize, Result<usize, CsvError>) {
        let mut rows = 0;
        let mut output = Output { input, copied: 0, out };
        let mut at = 0;
        loop {
            let special = input[at..].iter().position(|&byte| IS_SPECIAL[usize::from(byte)]);
            let next = special.map_or(input.len(), |ordinary| at + ordinary);
            if next > at
                && let Err(error) = self.ordinary()
            {
                output.copy(next);
                return (next, Err(error));
            }
            at = next;
            let Some(&byte) = input.get(at) else { break };
            match self.special(byte, at, &mut output) {
                Ok(ended) => rows += usize::from(ended),
                Err(error) => {
                    output.copy(at);
                    return (at, Err(error));
                }
            }
            at += 1;
            if self.state == State::StartOfRow && output.position(at) >= bytes {
                break;
            }
        }
        output.copy(at);
        let length = out.len();
        (at, self.check_length(length).map(|()| rows))
    }

    /// Handles ordinary text.
    fn ordinary(&mut self) -> Result<(), CsvError> {
        self.state = match self.state {
            State::Quoted => State::Quoted,
            State::StartOfRow | State::StartOfField | State::Unquoted => State::Unquoted,
            State::QuoteInQuoted => return Err(self.error(ErrorKind::TextAfterQuote)),
            State::CarriageReturn => return Err(self.error(ErrorKind::BareCarriageReturn)),
        };
        Ok(())
    }

    /// Handles a special byte. Returns whether it ends a row.
    fn special(&mut self, byte: u8, at: usize, output: &mut Output<'_>) -> Result<bool, CsvError> {
        self.check_length(output.position(at))?;
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::QuoteInQuoted,
            (State::QuoteInQuoted, b'"') => {
                self.needs_quotes = true;
                self.syntax += 1;
                self.state = State::Quoted;
            }
            (State::StartOfRow | State::StartOfField, b'"') => {
                (self.quote, self.quote_line) = (output.position(at), self.line);
                self.needs_quotes = false;
                self.syntax += 2;
                self.state = State::Quoted;
            }
            (State::Unquoted, b'"') => return Err(self.error(ErrorKind::BareQuote)),
            (State::CarriageReturn, b'\n') => {
                self.end_row(output.position(at + 1))?;
                return Ok(true);
            }
            (State::CarriageReturn, _) => return Err(self.error(ErrorKind::BareCarriageReturn)),
            (State::QuoteInQuoted, 0) => return Err(self.error(ErrorKind::TextAfterQuote)),
            (_, 0) => return Err(self.error(ErrorKind::Row(RowError::Nul))),
            (State::Quoted, _) => {
                self.needs_quotes = true;
                self.line += u64::from(byte == b'\n');
            }
            (State::StartOfRow, b'\r' | b'\n') => return Err(self.error(ErrorKind::BlankLine)),
            (_, b',') => {
                self.end_field(at, true, output)?;
                self.syntax += 1;
                self.state = State::StartOfField;
            }
            (_, b'\r') => {
                self.end_field(at, false, output)?;
                self.syntax += 1;
                self.state = State::CarriageReturn;
            }
            _ => {
                self.end_field(at, false, output)?;
                output.replace(at, b"\r\n");
                self.end_row(output.position(at + 1))?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Ends a field before the byte at `at`.
    fn end_field(
        &mut self,
        at: usize,
        is_followed: bool,
        output: &mut Output<'_>,
    ) -> Result<(), CsvError> {
        if self.state == State::QuoteInQuoted && !self.needs_quotes {
            // Without quotes, a row of one empty field would be a blank line.
            let is_empty = output.position(at) == self.quote + 2;
            if !is_empty || self.fields > 0 || is_followed {
                output.remove_quotes(self.quote, at);
                self.syntax -= 2;
            }
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(self.row_error(RowError::TooManyFields));
        }
        Ok(())
    }

    /// Ends a row. `length` is the length of the output.
    fn end_row(&mut self, length: usize) -> Result<(), CsvError> {
        let expected = *self.columns.get_or_insert(self.fields);
        if self.fields != expected {
            return Err(self.row_error(RowError::FieldCount { fields: self.fields, expected }));
        }
        self.state = State::StartOfRow;
        self.line += 1;
        (self.row_line, self.row) = (self.line, length);
        (self.fields, self.syntax) = (0, 0);
        Ok(())
    }

    /// Ends the file. Returns the number of rows that it ends.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<usize, CsvError> {
        match self.state {
            State::StartOfRow => return Ok(0),
            State::Quoted => {
                return Err(CsvError { line: self.quote_line, kind: ErrorKind::UnclosedQuote });
            }
            State::CarriageReturn => return Err(self.error(ErrorKind::BareCarriageReturn)),
            State::StartOfField | State::Unquoted | State::QuoteInQuoted => {}
        }
        // The line ending after the last row is optional.
        let (_, ended) = self.parse(b"\n", usize::MAX, out);
        ended
    }

    /// Checks the size of the fields so far. `length` is the length of the output.
    fn check_length(&self, length: usize) -> Result<(), CsvError> {
        if length.saturating_sub(self.row + self.syntax) > MAX_ROW_BYTES {
            return Err(self.row_error(RowError::TooLong));
        }
        Ok(())
    }

    fn error(&self, kind: ErrorKind) -> CsvError {
        CsvError { line: self.line, kind }
    }

    fn row_error(&self, error: RowError) -> CsvError {
        CsvError { line: self.row_line, kind: ErrorKind::Row(error) }
    }
}

/// Output that is copied from input as late as possible.
struct Output<'p> {
    input: &'p [u8],
    /// The number of bytes of the input that have been copied.
    copied: usize,
    out: &'p mut Vec<u8>,
}

impl Output<'_> {
    /// Returns the position in the output of the byte at `at` in the input.
    fn position(&self, at: usize) -> usize {
        self.out.len() + at - self.copied
    }

    /// Copies the input up to `end`, unless it has been copied or replaced.
    fn copy(&mut self, end: usize) {
        if end > self.copied {
            self.out.extend_from_slice(&self.input[self.copied..end]);
            self.copied = end;
        }
    }

    /// Replaces a byte of the input.
    fn replace(&mut self, at: usize, text: &[u8]) {
        self.copy(at);
        self.out.extend_from_slice(text);
        self.copied = at + 1;
    }

    /// Removes the quotes of the field that begins at `opening` in the output and ends before `end`
    /// in the input.
    fn remove_quotes(&mut self, opening: usize, end: usize) {
        self.copy(end);
        self.out.pop();
        self.out.remove(opening);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::Rows;

    /// Reads a file in chunks of `size` bytes, `bytes` bytes at a time.
    fn read_by(size: usize, bytes: usize, file: &[u8]) -> Result<String, CsvError> {
        let mut chunks = file.chunks(size).map(<[u8]>::to_vec);
        let mut next_chunk = || Ok::<_, Infallible>(chunks.next());
        let mut reader = Reader::new(&mut next_chunk);
        let mut read = |bytes| match reader.read(bytes) {
            Ok(rows) => Ok(rows),
            Err(ReadError::Csv(error)) => Err(error),
            Err(ReadError::Source(never)) => match never {},
        };
        let mut all = String::new();
        loop {
            let (rows, count) = read(bytes)?;
            if count == 0 {
                return Ok(all);
            }
            assert!(rows.len() >= bytes || read(1)?.1 == 0, "short rows");
            let mut parsed = Rows::new(&rows);
            assert_eq!(std::iter::from_fn(|| parsed.next().map(|_| ())).count(), count);
            all += &rows;
        }
    }

    /// Reads a file, and checks that the result does not depend on the size of the chunks.
    fn read(file: impl AsRef<[u8]>) -> Result<String, CsvError> {
        let file = file.as_ref();
        let rows = read_by(file.len().max(1), usize::MAX, file);
        for size in 1..file.len().min(8) {
            assert_eq!(read_by(size, usize::MAX, file), rows, "chunks of {size} bytes");
            assert_eq!(read_by(size, 1, file), rows, "chunks of {size} bytes, by row");
        }
        rows
    }

    #[test]
    fn valid_file_is_converted_to_normal_form() {
        let normal = "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n ,\r\n";
        let expected = Ok(normal.to_owned());
        let file = "a,b\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n ,\r\n";
        assert_eq!(read(file), expected);
        assert_eq!(read(&file[..file.len() - 2]), expected);
        assert_eq!(read(format!("\u{feff}{file}")), expected);
        let quoted = "\u{feff}\"a\",\"b\"\n\"1\",\"x, \"\"y\"\"\r\nz\"\n\" \",\"\"";
        assert_eq!(read(quoted), expected);
        assert_eq!(read("a,b\n\"\",\"\"\n"), Ok("a,b\r\n,\r\n".to_owned()));
        assert_eq!(read(""), Ok(String::new()));
        assert_eq!(read("\u{feff}"), Ok(String::new()));
        assert_eq!(read("a"), Ok("a\r\n".to_owned()));
        assert_eq!(read("a\n\"\"\n\"\""), Ok("a\r\n\"\"\r\n\"\"\r\n".to_owned()));
        assert_eq!(read("\u{ef00}\n"), Ok("\u{ef00}\r\n".to_owned()));
    }

    #[test]
    fn invalid_file_returns_the_first_invalid_line() {
        let count = |fields, expected| ErrorKind::Row(RowError::FieldCount { fields, expected });
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
            ("a,b\n1,2,3\n", 2, count(3, 2)),
            ("a,b\r\n\"1\r\n\",2\r\n3\r\n", 4, count(1, 2)),
            ("a,b\n1", 2, count(1, 2)),
            ("a\n\"b\nc\0\"\n", 3, ErrorKind::Row(RowError::Nul)),
        ] {
            assert_eq!(read(file), Err(CsvError { line, kind }), "{file:?}");
        }
    }

    #[test]
    fn invalid_utf_8_returns_the_line_unless_an_earlier_line_is_invalid() {
        let invalid = |line| Err(CsvError { line, kind: ErrorKind::InvalidUtf8 });
        // Without the comma, the two bytes of the second file would form a character.
        for bad in [b"a,b\n\"\n\xff\",2\n".as_slice(), b"a,b\n\"\n\xc3\",\xa4\n"] {
            assert_eq!(read(bad), invalid(3), "{bad:?}");
        }
        assert_eq!(read(b"a\n\xff\n\n"), invalid(2));
        let blank = Err(CsvError { line: 2, kind: ErrorKind::BlankLine });
        assert_eq!(read(b"a\n\n\xff\n"), blank);
    }

    #[test]
    fn row_over_a_limit_returns_an_error() {
        let row =
            |length| format!("a,b\n{},\"{}\"\n", "x".repeat(length / 2), "y".repeat(length / 2));
        let read = |file: &str| read_by(1000, 1000, file.as_bytes());
        assert!(read(&row(MAX_ROW_BYTES)).is_ok());
        let long = Err(CsvError { line: 2, kind: ErrorKind::Row(RowError::TooLong) });
        assert_eq!(read(&row(MAX_ROW_BYTES + 2)), long);
        // Escaped quotes count once.
        let quotes = |count| format!("a\n\"{}\"\n", "\"\"".repeat(count));
        assert!(read(&quotes(MAX_ROW_BYTES)).is_ok());
        assert_eq!(read(&quotes(MAX_ROW_BYTES + 1)), long);
        let wide = |columns| format!("a{}\n", ",b".repeat(columns - 1));
        assert!(read(&wide(MAX_FIELDS)).is_ok());
        let many = Err(CsvError { line: 1, kind: ErrorKind::Row(RowError::TooManyFields) });
        assert_eq!(read(&wide(MAX_FIELDS + 1)), many);
    }
}
