//! Text in normal form: splits it into fields, and writes it.

/// Splits text in normal form into rows. Other text has no defined result.
pub struct Rows<'t> {
    rest: &'t str,
    fields: Vec<Field<'t>>,
    /// The fields of the row that contain quotes, unescaped and concatenated.
    unescaped: String,
}

enum Field<'t> {
    Plain(&'t str),
    /// The range of [`Rows::unescaped`] that contains it.
    Unescaped(usize, usize),
}

/// A row. Fields are read by position, from 0.
#[derive(Clone, Copy)]
pub struct Row<'r> {
    fields: &'r [Field<'r>],
    unescaped: &'r str,
}

impl<'t> Rows<'t> {
    /// Creates an iterator over the rows of a text.
    pub fn new(text: &'t str) -> Rows<'t> {
        Rows { rest: text, fields: Vec::new(), unescaped: String::new() }
    }

    /// Parses the next row. Returns `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its buffers")]
    pub fn next(&mut self) -> Option<Row<'_>> {
        if self.rest.is_empty() {
            return None;
        }
        self.fields.clear();
        self.unescaped.clear();
        loop {
            let field = match self.rest.strip_prefix('"') {
                Some(quoted) => self.take_quoted(quoted),
                None => Field::Plain(self.take(end_of_plain(self.rest.as_bytes()))),
            };
            self.fields.push(field);
            let is_last = !self.rest.starts_with(',');
            // A comma, or CRLF.
            self.take(if is_last { 2 } else { 1 });
            if is_last {
                return Some(Row { fields: &self.fields, unescaped: &self.unescaped });
            }
        }
    }

    /// Skips a row.
    pub fn skip(&mut self) {
        self.next();
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Takes a quoted field whose opening quote has been removed.
    fn take_quoted(&mut self, quoted: &'t str) -> Field<'t> {
        let bytes = quoted.as_bytes();
        let (start, mut copied, mut end) = (self.unescaped.len(), 0, 0);
        loop {
            end += bytes[end..].iter().position(|&byte| byte == b'"').unwrap_or(bytes.len() - end);
            if bytes.get(end + 1) != Some(&b'"') {
                break;
            }
            self.unescaped.push_str(&quoted[copied..=end]);
            end += 2;
            copied = end;
        }
        self.rest = quoted.get(end + 1..).unwrap_or_default();
        if copied == 0 {
            return Field::Plain(&quoted[..end]);
        }
        self.unescaped.push_str(&quoted[copied..end]);
        Field::Unescaped(start, self.unescaped.len())
    }
}

fn end_of_plain(bytes: &[u8]) -> usize {
    let ends = |&byte: &u8| matches!(byte, b',' | b'\r');
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

impl<'r> Row<'r> {
    /// Returns a field, `None` when the row has fewer.
    pub fn get(&self, index: usize) -> Option<&'r str> {
        self.fields.get(index).map(|field| self.text(field))
    }

    /// Returns the fields in order.
    pub fn fields(self) -> impl Iterator<Item = &'r str> {
        self.fields.iter().map(move |field| self.text(field))
    }

    /// Returns the total size of the fields in bytes.
    pub fn bytes(&self) -> usize {
        self.fields().map(str::len).sum()
    }

    fn text(&self, field: &Field<'r>) -> &'r str {
        match *field {
            Field::Plain(text) => text,
            Field::Unescaped(start, end) => &self.unescaped[start..end],
        }
    }
}

/// Appends a row in normal form.
pub fn write_row<'f>(fields: impl IntoIterator<Item = &'f str>, out: &mut Vec<u8>) {
    let start = out.len();
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if field.bytes().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
            out.push(b'"');
            for (index, part) in field.split('"').enumerate() {
                out.extend_from_slice(if index > 0 { b"\"\"" } else { b"" });
                out.extend_from_slice(part.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut read) = (Rows::new(text), Vec::new());
        while let Some(row) = rows.next() {
            read.push(row.fields().map(str::to_owned).collect());
        }
        read
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|&field| field.to_owned()).collect()).collect()
    }

    fn write(rows: &[Vec<String>]) -> String {
        let mut out = Vec::new();
        rows.iter().for_each(|row| write_row(row.iter().map(String::as_str), &mut out));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn written_field_is_quoted_where_necessary() {
        let written = write(&rows(&[&["a", "b c"], &["x,y", "\"z\""], &["\r", "\n"], &["", ""]]));
        assert_eq!(written, "a,b c\r\n\"x,y\",\"\"\"z\"\"\"\r\n\"\r\",\"\n\"\r\n,\r\n");
        assert_eq!(write(&rows(&[&[""]])), "\"\"\r\n");
        assert_eq!(write(&rows(&[&["\""]])), "\"\"\"\"\r\n");
    }

    #[test]
    fn written_row_is_read_unchanged() {
        // Every field of up to three of these characters, in rows of one and of two columns.
        const ALPHABET: [&str; 8] = ["", "a", ",", "\"", "\r", "\n", "ä", " "];
        let longer = |text: String| ALPHABET.map(|character| format!("{text}{character}"));
        let triples = ALPHABET.into_iter().map(str::to_owned).flat_map(longer).flat_map(longer);
        let fields: Vec<String> = triples.collect();
        for width in [1, 2] {
            let table: Vec<_> = fields.chunks_exact(width).map(<[String]>::to_vec).collect();
            assert_eq!(read(&write(&table)), table);
        }
    }

    #[test]
    fn field_is_read_by_position() {
        let mut rows = Rows::new("a,\"b\"\"\"\r\nc,\r\n");
        rows.skip();
        let row = rows.next().expect("a second row");
        assert_eq!(
            (row.get(0), row.get(1), row.get(2), row.bytes()),
            (Some("c"), Some(""), None, 1)
        );
        assert!(rows.next().is_none());
    }

    #[test]
    fn text_in_another_form_does_not_panic() {
        for text in ["a", "\"", "\"a", "\"a\"b", "a\r", "\"\"\"", "ä\"", "\"ä\"ä"] {
            read(text);
        }
    }
}
