//! Parses seed files and generates their rows.

use std::fmt::Write;

use fake::rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use migrations::{Error, SqlFile};

use super::generator::Generator;

/// Sample data: a declaration of rows to generate, and SQL that inserts them into the tables of the
/// application.
///
/// The comments at the beginning of the file declare the rows. `-- rows: 100` sets their number,
/// which defaults to one; `-- rows: 100, scales` lets the user choose another one. Each `-- fake:
/// NAME KIND` declares a column. The SQL reads the rows from `pg_temp.fake`, numbered from 1 in the
/// column `n`, and runs once per block of 50,000 rows.
#[derive(Clone, Debug, Serialize)]
pub struct Seed {
    /// The file name without its extension.
    pub name: String,
    /// The description, which is the first line of the file.
    pub about: String,
    /// The default number of rows.
    pub rows: u64,
    /// Whether the number of rows can be changed.
    pub scales: bool,
    #[serde(skip)]
    pub(super) sql: String,
    /// SHA-256 of the file without carriage returns.
    #[serde(skip)]
    pub(super) checksum: Vec<u8>,
    #[serde(skip)]
    columns: Vec<(String, Generator)>,
    #[serde(skip)]
    rng: ChaCha8Rng,
}

impl Seed {
    /// Parses a file.
    pub(super) fn parse(file: &SqlFile) -> Result<Seed, Error> {
        let sql = file.text.replace('\r', "");
        let mut seed = Seed {
            name: file.name.clone(),
            about: String::new(),
            rows: 1,
            scales: false,
            checksum: Sha256::digest(&sql).to_vec(),
            columns: Vec::new(),
            rng: ChaCha8Rng::from_seed(Sha256::digest(&file.name).into()),
            sql,
        };
        let sql = seed.sql.clone();
        let head = sql.lines().map_while(|line| line.strip_prefix("--")).map(str::trim);
        for (index, line) in head.enumerate() {
            let result = match line.split_once(": ") {
                Some(("rows", rows)) => seed.parse_rows(rows),
                Some(("fake", column)) => seed.parse_column(column),
                _ if index == 0 => {
                    seed.about = line.to_owned();
                    Ok(())
                }
                _ => Ok(()),
            };
            result.map_err(|reason| {
                Error::Usage(format!("{}:{}: {reason}", seed.file(), index + 1))
            })?;
        }
        Ok(seed)
    }

    /// Returns the file name.
    pub(super) fn file(&self) -> String {
        format!("{}.sql", self.name)
    }

    fn parse_rows(&mut self, text: &str) -> Result<(), String> {
        let number = text.strip_suffix(", scales");
        self.scales = number.is_some();
        self.rows = match number.unwrap_or(text).parse() {
            Ok(rows) if rows > 0 => rows,
            _ => return Err(format!("invalid number of rows `{text}`; expected for example 100")),
        };
        Ok(())
    }

    fn parse_column(&mut self, text: &str) -> Result<(), String> {
        let (name, kind) = text.split_once(' ').ok_or("expected a column name and a kind")?;
        let is_word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !is_word || name == "n" || self.columns.iter().any(|(other, _)| other == name) {
            return Err(format!("invalid column name `{name}`"));
        }
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let generator = Generator::parse(kind.trim(), &columns)?;
        self.columns.push((name.to_owned(), generator));
        Ok(())
    }

    /// Returns the statement that creates the temporary table for the rows.
    pub(super) fn create_table(&self) -> String {
        let mut sql = "CREATE TEMPORARY TABLE fake (n bigint".to_owned();
        for (name, generator) in &self.columns {
            // Writing to a String cannot fail.
            let _ = write!(sql, ", \"{name}\" {}", generator.sql_type());
        }
        sql + ") ON COMMIT DROP"
    }

    /// Appends a row in the text format of `COPY`. Its values depend only on the name of the seed
    /// and the number of the row, because each row has a separate stream of random numbers.
    pub(super) fn write_row(&self, row: u64, out: &mut String) {
        let mut rng = self.rng.clone();
        rng.set_stream(row);
        let mut values = Vec::with_capacity(self.columns.len());
        // Writing to a String cannot fail.
        let _ = write!(out, "{row}");
        for (_, generator) in &self.columns {
            let value = generator.value(&mut rng, row, &values);
            out.push('\t');
            for character in value.chars() {
                match character {
                    '\\' => out.push_str("\\\\"),
                    '\t' => out.push_str("\\t"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    character => out.push(character),
                }
            }
            values.push(value);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Seed, Error> {
        Seed::parse(&SqlFile { name: "01_x".to_owned(), text: text.to_owned() })
    }

    const ALL: &str = "\
-- Every kind.
-- rows: 3, scales
-- fake: first first_name
-- fake: last last_name
-- fake: full full_name
-- fake: email email(full)
-- fake: profession profession
-- fake: company company
-- fake: phrase catch_phrase
-- fake: city city
-- fake: country country
-- fake: street street
-- fake: word word
-- fake: sentence sentence(3, 6)
-- fake: item choice(a\\b, olive oil)
-- fake: number integer(-5, 5)
-- fake: price price(0.50, 12.00)
-- fake: day date(2024-02-28, 2024-03-01)
SELECT 1;
-- rows: after the head, this is an ordinary comment
";

    #[test]
    fn header_declares_rows_and_columns() {
        let seed = parse(ALL).unwrap();
        assert_eq!((seed.about.as_str(), seed.rows, seed.scales), ("Every kind.", 3, true));
        assert!(seed.create_table().ends_with(
            "\"item\" text, \"number\" bigint, \"price\" numeric, \"day\" date) ON COMMIT DROP"
        ));
        let plain = parse("SELECT 1;\n").unwrap();
        assert_eq!((plain.rows, plain.scales), (1, false));
        let checksum = |text| parse(text).unwrap().checksum;
        assert_eq!(checksum("-- a\r\nSELECT 1;\r\n"), checksum("-- a\nSELECT 1;\n"));
    }

    #[test]
    fn error_in_header_is_reported_with_line() {
        for (text, expected) in [
            (
                "-- x\n-- rows: many\n",
                "01_x.sql:2: invalid number of rows `many`; expected for example 100",
            ),
            ("-- rows: 0\n", "01_x.sql:1: invalid number of rows `0`; expected for example 100"),
            (
                "-- rows: 5, scale\n",
                "01_x.sql:1: invalid number of rows `5, scale`; expected for example 100",
            ),
            ("--\n--\n-- fake: a\n", "01_x.sql:3: expected a column name and a kind"),
            ("-- fake: n word\n", "01_x.sql:1: invalid column name `n`"),
            ("-- fake: a\" word\n", "01_x.sql:1: invalid column name `a\"`"),
            ("-- fake: a word\n-- fake: a word\n", "01_x.sql:2: invalid column name `a`"),
            ("-- fake: a email(b)\n", "01_x.sql:1: no preceding column is named b"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }

    /// A build generates the same rows on every machine. If this fails after an update of a
    /// dependency, new databases get different rows, and existing ones keep theirs.
    #[test]
    fn rows_are_deterministic() {
        let seed = parse(ALL).unwrap();
        let mut rows = String::new();
        seed.write_row(1, &mut rows);
        seed.write_row(1_000_000, &mut rows);
        assert_eq!(rows, include_str!("rows.txt"));
        let mut again = String::new();
        seed.write_row(1_000_000, &mut again);
        assert!(rows.ends_with(&again), "a row does not depend on the rows before it");
    }

    #[test]
    fn values_stay_within_their_range() {
        let seed = parse(
            "-- fake: number integer(-1, 1)\n-- fake: price price(0.99, 1.01)\n\
             -- fake: day date(2024-02-28, 2024-03-01)\n",
        )
        .unwrap();
        let mut rows = String::new();
        (1..=200).for_each(|row| seed.write_row(row, &mut rows));
        let column = |index| {
            let values = rows.lines().map(|row| row.split('\t').nth(index).unwrap());
            values.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(column(1), ["-1", "0", "1"]);
        assert_eq!(column(2), ["0.99", "1.00", "1.01"]);
        assert_eq!(column(3), ["2024-02-28", "2024-02-29", "2024-03-01"]);
    }
}
