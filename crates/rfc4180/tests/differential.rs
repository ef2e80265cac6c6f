//! Compares the reader with the `csv` crate and with Python's `csv` module in strict mode, on random
//! files and on mutations of the files in `corpus/`.
//!
//! `PROPTEST_CASES=1000000 cargo test -p rfc4180 --release` runs longer than the default.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use rfc4180::{CsvError, ErrorKind, ReadError, Reader, RowError, Rows, write_row};

type Table = Vec<Vec<String>>;

/// Reads a file in chunks of `size` bytes, `bytes` bytes of rows at a time.
fn read(file: &[u8], size: usize, bytes: usize) -> Result<Table, CsvError> {
    let mut chunks = file.chunks(size).map(<[u8]>::to_vec);
    let mut next_chunk = || Ok::<_, Infallible>(chunks.next());
    let mut reader = Reader::new(&mut next_chunk);
    let mut table = Table::new();
    loop {
        let (text, count) = match reader.read(bytes) {
            Ok(rows) => rows,
            Err(ReadError::Csv(error)) => return Err(error),
            Err(ReadError::Source(never)) => match never {},
        };
        if count == 0 {
            return Ok(table);
        }
        let first = table.len();
        let mut rows = Rows::new(&text);
        while let Some(row) = rows.next() {
            table.push(row.fields().map(str::to_owned).collect());
        }
        assert_eq!(table.len() - first, count);
        // The text is in normal form.
        let mut written = Vec::new();
        for row in &table[first..] {
            write_row(row.iter().map(String::as_str), &mut written);
        }
        assert_eq!(String::from_utf8(written).as_deref(), Ok(text.as_str()));
    }
}

/// Parts of files. All bytes that the reader distinguishes occur in one of them.
const PARTS: [&[u8]; 16] = [
    b"a",
    b"bc",
    b",",
    b",",
    b"\"",
    b"\"",
    b"\"\"",
    b"\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b" ",
    b"\\",
    "\u{feff}".as_bytes(),
    "ä🦀".as_bytes(),
];

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![30 => select(PARTS.as_slice()).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 1..3)]
}

/// Returns files of random parts.
fn random_file() -> impl Strategy<Value = Vec<u8>> {
    vec(part(), 0..40).prop_map(|parts| parts.concat())
}

/// Returns valid files of random tables, with random quotes and line endings.
fn valid_file() -> impl Strategy<Value = Vec<u8>> {
    let field = (vec(select(PARTS.as_slice()), 0..5), any::<bool>());
    let rows = (1..5_usize).prop_flat_map(move |columns| vec(vec(field.clone(), columns), 1..8));
    (rows, any::<bool>(), any::<bool>()).prop_map(|(rows, crlf, ends)| {
        let mut file = Vec::new();
        for row in rows {
            for (index, (parts, quoted)) in row.into_iter().enumerate() {
                let text =
                    String::from_utf8(parts.concat()).expect("valid parts").replace('\0', "");
                file.extend_from_slice(if index > 0 { b"," } else { b"" });
                if quoted || text.is_empty() || text.contains(['"', ',', '\r', '\n']) {
                    file.extend(format!("\"{}\"", text.replace('"', "\"\"")).into_bytes());
                } else {
                    file.extend(text.into_bytes());
                }
            }
            file.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
        }
        // Otherwise, the text of the first field would be a byte order mark.
        if file.starts_with("\u{feff}".as_bytes()) {
            file.splice(0..0, "\u{feff}".bytes());
        }
        if !ends {
            file.truncate(file.len() - if crlf { 2 } else { 1 });
        }
        file
    })
}

fn corpus() -> Vec<Vec<u8>> {
    let files = test_tools::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"));
    files.into_iter().map(|(_, file)| file).collect()
}

/// Returns files of the corpus, changed in up to five places.
fn mutated_file() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<Index>(), 0..3_usize, part());
    (select(corpus()), vec(edit, 0..5)).prop_map(|(mut file, edits)| {
        for (index, removed, inserted) in edits {
            let start = index.index(file.len() + 1);
            let end = file.len().min(start + removed);
            file.splice(start..end, inserted);
        }
        file
    })
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![random_file(), valid_file(), mutated_file()]
}

/// Checks a property of random files, and how each is read.
fn check(property: impl Fn(&[u8], &Result<Table, CsvError>) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let files = (any_file(), 1..40_usize, 1..100_usize);
    let result = TestRunner::new(config).run(&files, |(file, size, bytes)| {
        let result = read(&file, size, bytes);
        prop_assert_eq!(&read(&file, file.len().max(1), usize::MAX), &result, "by chunk size");
        property(&file, &result)
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    for file in corpus() {
        property(&file, &read(&file, file.len(), usize::MAX)).expect("a file of the corpus");
    }
}

#[test]
fn csv_crate_reads_the_same_fields_from_an_accepted_file() {
    check(|file, result| {
        let Ok(table) = result else { return Ok(()) };
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.has_headers(false).flexible(true).from_reader(file);
        let records: Result<Table, _> = reader.deserialize().collect();
        prop_assert_eq!(table, &records.expect("valid UTF-8"));
        Ok(())
    });
}

#[test]
fn valid_file_is_accepted() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(file in valid_file())| {
        prop_assert!(read(&file, 7, 1).is_ok(), "{:?}", read(&file, 7, 1));
    });
}

/// A process that reads files with Python's `csv` module.
struct Python {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// Reads files as lines of hexadecimal digits. Writes a line for each: `=` and the rows, in which
/// fields and rows end with U+001F and U+001E, or `!` and the reason for which the file is rejected.
const SCRIPT: &str = r#"
import csv, io, sys
for line in sys.stdin:
    try:
        text = bytes.fromhex(line).decode('utf-8').removeprefix('\ufeff')
        rows = csv.reader(io.StringIO(text, newline=''), strict=True)
        answer = '=' + ''.join(''.join(field + '\x1f' for field in row) + '\x1e' for row in rows)
    except (csv.Error, UnicodeDecodeError) as error:
        answer = '!' + str(error)
    print(answer.encode().hex(), flush=True)
"#;

impl Python {
    fn start() -> Python {
        let mut process = Command::new("python3")
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start Python");
        let input = process.stdin.take().expect("stdin is piped");
        let output = BufReader::new(process.stdout.take().expect("stdout is piped"));
        Python { process, input, output }
    }

    /// Returns the rows, or `None` if the file is rejected.
    fn read(&mut self, file: &[u8]) -> Option<Table> {
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(self.input, "{hex}").expect("Python reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("Python writes");
        let digits = |at| u8::from_str_radix(&line[at..at + 2], 16).expect("hexadecimal digits");
        let answer: Vec<u8> = (0..line.trim_end().len()).step_by(2).map(digits).collect();
        let answer = String::from_utf8(answer).expect("UTF-8");
        let rows = answer.strip_prefix('=')?.split_terminator('\u{1e}');
        Some(rows.map(|row| row.split_terminator('\u{1f}').map(str::to_owned).collect()).collect())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "Python 3 is not installed")]
fn python_reads_the_same_fields_from_an_accepted_file_and_rejects_damaged_ones() {
    let python = std::cell::RefCell::new(Python::start());
    check(|file, result| {
        // The separators of the script.
        if file.iter().any(|byte| matches!(byte, b'\x1e' | b'\x1f')) {
            return Ok(());
        }
        let reference = python.borrow_mut().read(file);
        match result {
            Ok(table) => prop_assert_eq!(Some(table), reference.as_ref()),
            Err(CsvError { kind, .. }) => match kind {
                ErrorKind::TextAfterQuote | ErrorKind::UnclosedQuote | ErrorKind::InvalidUtf8 => {
                    prop_assert_eq!(reference, None, "{:?}", result);
                }
                // Python accepts these.
                ErrorKind::BareQuote
                | ErrorKind::BlankLine
                | ErrorKind::BareCarriageReturn
                | ErrorKind::Row(RowError::FieldCount { .. } | RowError::Nul) => {}
                ErrorKind::Row(RowError::TooManyFields | RowError::TooLong) => {
                    return Err(TestCaseError::fail("the file is small"));
                }
            },
        }
        Ok(())
    });
}
