//! A seed's file: what its head declares, and the rows that follow from it.

use std::fmt::Write;

use fake::rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::generator::Generator;
use crate::{Error, File};

/// Data for trying things out: rows to generate, and SQL that makes the application's rows of them.
///
/// The comments at the head of the file declare the rows. `-- rows: 100` is how many there are, one
/// when it is missing; with `-- rows: 100, scales` there may be more. Each `-- fake: NAME KIND` is a
/// column. The SQL finds the rows in `pg_temp.fake`, numbered from 1 in the column `n`, and runs once
/// for every 50,000 of them.
#[derive(Clone, Debug, Serialize)]
pub struct Seed {
    /// The name of its file, without the ending.
    pub name: String,
    /// The first line of its file.
    pub about: String,
    /// How many rows there are when nobody asks for another number.
    pub rows: u64,
    /// Whether another number can be asked for.
    pub scales: bool,
    #[serde(skip)]
    pub(super) sql: String,
    /// SHA-256 of the file, ends of lines aside.
    #[serde(skip)]
    pub(super) checksum: Vec<u8>,
    #[serde(skip)]
    columns: Vec<(String, Generator)>,
    #[serde(skip)]
    rng: ChaCha8Rng,
}

impl Seed {
    /// Reads a file.
    pub(super) fn parse(file: &File) -> Result<Seed, Error> {
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
            let read = match line.split_once(": ") {
                Some(("rows", rows)) => seed.read_rows(rows),
                Some(("fake", column)) => seed.read_column(column),
                _ if index == 0 => {
                    seed.about = line.to_owned();
                    Ok(())
                }
                _ => Ok(()),
            };
            read.map_err(|reason| {
                Error::Usage(format!("{}:{}: {reason}", seed.file(), index + 1))
            })?;
        }
        Ok(seed)
    }

    /// The file's name.
    pub(super) fn file(&self) -> String {
        format!("{}.sql", self.name)
    }

    fn read_rows(&mut self, text: &str) -> Result<(), String> {
        let number = text.strip_suffix(", scales");
        self.scales = number.is_some();
        self.rows = match number.unwrap_or(text).parse() {
            Ok(rows) if rows > 0 => rows,
            _ => return Err(format!("`{text}` is not a number of rows, such as 100")),
        };
        Ok(())
    }

    fn read_column(&mut self, text: &str) -> Result<(), String> {
        let (name, kind) = text.split_once(' ').ok_or("expected a column and its kind")?;
        let word = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !word || name == "n" || self.columns.iter().any(|(other, _)| other == name) {
            return Err(format!("`{name}` cannot be the name of a column"));
        }
        let before: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let generator = Generator::parse(kind.trim(), &before)?;
        self.columns.push((name.to_owned(), generator));
        Ok(())
    }

    /// The table that the SQL finds its rows in.
    pub(super) fn table(&self) -> String {
        let mut sql = "CREATE TEMPORARY TABLE fake (n bigint".to_owned();
        for (name, generator) in &self.columns {
            // Writing to a string does not fail.
            let _ = write!(sql, ", \"{name}\" {}", generator.sql_type());
        }
        sql + ") ON COMMIT DROP"
    }

    /// Appends a row in the text format of `COPY`. What is in it depends on the seed's name and on
    /// its number, and on nothing else: each row has a stream of random numbers of its own.
    pub(super) fn write_row(&self, row: u64, out: &mut String) {
        let mut rng = self.rng.clone();
        rng.set_stream(row);
        let mut values = Vec::with_capacity(self.columns.len());
        // Writing to a string does not fail.
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
        Seed::parse(&File { name: "01_x".to_owned(), text: text.to_owned() })
    }

    const ALL: &str = "\
-- All there is.
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
-- rows: this is no longer the head
";

    #[test]
    fn the_head_declares_the_rows() {
        let seed = parse(ALL).unwrap();
        assert_eq!((seed.about.as_str(), seed.rows, seed.scales), ("All there is.", 3, true));
        assert!(seed.table().ends_with(
            "\"item\" text, \"number\" bigint, \"price\" numeric, \"day\" date) ON COMMIT DROP"
        ));
        let plain = parse("SELECT 1;\n").unwrap();
        assert_eq!((plain.rows, plain.scales), (1, false));
        let bytes = |text| parse(text).unwrap().checksum;
        assert_eq!(bytes("-- a\r\nSELECT 1;\r\n"), bytes("-- a\nSELECT 1;\n"));
    }

    #[test]
    fn a_mistake_in_the_head_is_told_with_its_line() {
        for (text, expected) in [
            ("-- x\n-- rows: many\n", "01_x.sql:2: `many` is not a number of rows, such as 100"),
            ("-- rows: 0\n", "01_x.sql:1: `0` is not a number of rows, such as 100"),
            ("-- rows: 5, scale\n", "01_x.sql:1: `5, scale` is not a number of rows, such as 100"),
            ("--\n--\n-- fake: a\n", "01_x.sql:3: expected a column and its kind"),
            ("-- fake: n word\n", "01_x.sql:1: `n` cannot be the name of a column"),
            ("-- fake: a\" word\n", "01_x.sql:1: `a\"` cannot be the name of a column"),
            (
                "-- fake: a word\n-- fake: a word\n",
                "01_x.sql:2: `a` cannot be the name of a column",
            ),
            ("-- fake: a email(b)\n", "01_x.sql:1: no column before is called b"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), expected);
        }
    }

    /// Everybody who runs the same build has the same rows, on every machine. When this fails after
    /// an update of a dependency, rows from now on are others than before: databases that are
    /// there already keep what they have.
    #[test]
    fn a_row_is_always_the_same() {
        let seed = parse(ALL).unwrap();
        let mut rows = String::new();
        seed.write_row(1, &mut rows);
        seed.write_row(1_000_000, &mut rows);
        assert_eq!(rows, include_str!("rows.txt"));
        let mut again = String::new();
        seed.write_row(1_000_000, &mut again);
        assert!(rows.ends_with(&again), "it does not matter which rows came before");
    }

    #[test]
    fn values_stay_in_their_range() {
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
