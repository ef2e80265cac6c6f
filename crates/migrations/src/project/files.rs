//! Reads the files of a project folder.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha384};
use sqlx::migrate::MigrationType;

use super::tool::{self, Origin, Tool};
use crate::Error;

/// The marker of a script that runs without a transaction. sqlx recognizes it at the beginning of
/// the file only.
pub(crate) const NO_TRANSACTION: &str = "-- no-transaction";

/// The number of file names that a message lists.
const MAX_LISTED: usize = 3;

/// A file of a migration.
pub(super) struct MigrationFile {
    pub(super) file: String,
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) kind: MigrationType,
    pub(super) sql: String,
    pub(super) checksum: Vec<u8>,
}

impl MigrationFile {
    /// Creates a file from its name, the result of [`parse_name`] and the text. The checksum omits
    /// `ignored` characters.
    pub(super) fn new(
        file: String,
        (version, description, kind): (i64, String, MigrationType),
        sql: String,
        ignored: &[char],
    ) -> MigrationFile {
        let checksum = checksum(&sql, ignored);
        MigrationFile { file, version, description, kind, sql, checksum }
    }
}

/// Reads the files in `folder`, ordered by name. Unlike sqlx, rejects files with other names, and
/// files that another tool runs in parts. The checksum omits `ignored` characters.
pub(super) fn read_migrations(
    folder: &Path,
    ignored: &[char],
) -> Result<Vec<MigrationFile>, Error> {
    let (mut files, mut others) = (Vec::new(), Vec::new());
    for path in entries(folder)? {
        let name = file_name(&path);
        if path.is_dir() {
            match tool::origin_of_folder(&path) {
                Some(origin) => return Err(foreign(&path.display(), &origin, folder)),
                None if contains_sql(&path) => others.push(format!("{name}/")),
                None => {}
            }
        } else if let Some(parsed) = parse_name(&name)? {
            let sql = read_text(&path)?;
            reject_marker(&path, &sql, folder)?;
            files.push(MigrationFile::new(name, parsed, sql, ignored));
        } else if let Some(origin) = tool::origin_of_file(&name) {
            return Err(foreign(&path.display(), &origin, folder));
        } else if !is_ignored(&name) {
            others.push(name);
        }
    }
    if others.is_empty() {
        return Ok(files);
    }
    let form = "<number>_<description>.up.sql and .down.sql, or <number>_<description>.sql";
    Err(Error::Usage(format!(
        "not migrations in {}: {}; name migrations {form}, and move other files out of the folder",
        folder.display(),
        listed(&others)
    )))
}

/// Recognizes the tool whose migrations these entries of `folder` are.
pub(crate) fn detect(folder: &Path, paths: &[PathBuf]) -> Result<Tool, Error> {
    let ambiguous = |problem: &str| Err(Error::Usage(format!("{}: {problem}", folder.display())));
    let mut origins = Vec::new();
    for path in paths {
        let name = file_name(path);
        if path.is_dir() {
            origins.extend(tool::origin_of_folder(path));
        } else if name == "atlas.sum" {
            origins.push(Origin::Convertible(Tool::Atlas));
        } else if name.ends_with(".sql") {
            let text = read_text(path)?;
            let marker = tool::marker(&text).map(|marker| marker.origin.clone());
            origins.extend(marker.or_else(|| tool::origin_of_file(&name)));
        }
    }
    origins.sort();
    origins.dedup();
    // Atlas reads the files of other tools too.
    if origins.len() > 1 {
        origins.retain(|origin| *origin != Origin::Convertible(Tool::Atlas));
    }
    match &origins[..] {
        [Origin::Convertible(tool)] => Ok(*tool),
        [Origin::FlywayOrRefinery] => {
            ambiguous("these are names of Flyway and of refinery; pass --from flyway or refinery")
        }
        [Origin::Other(tool)] => ambiguous(&format!("migrations of {tool} cannot be converted")),
        [] => ambiguous(
            "no tool is recognized; pass --from, or run the files with --source if they are named \
             <number>_<description>.sql or .up.sql and .down.sql",
        ),
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            ambiguous(&format!("files of several tools: {}; pass --from", names.join(", ")))
        }
    }
}

/// Returns the first names, and the number of all if there are more.
pub(crate) fn listed(names: &[String]) -> String {
    match names.split_at_checked(MAX_LISTED) {
        Some((first, [_, ..])) => format!("{}, ... ({})", first.join(", "), names.len()),
        _ => names.join(", "),
    }
}

/// Returns the paths of the entries of a folder, ordered by name.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = || -> std::io::Result<Vec<_>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let mut paths = read().map_err(|error| cannot_read(folder, &error))?;
    paths.sort();
    Ok(paths)
}

/// Returns whether a file is expected in the folder although it is not a migration: documentation,
/// hidden files, and settings of tools.
pub(crate) fn is_ignored(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    name.starts_with('.')
        || lower.starts_with("readme")
        || lower.ends_with(".md")
        || ["sqlx.toml", "atlas.sum"].contains(&name)
}

/// Returns the last part of a path.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Parses the name of a file as sqlx does: `0001_first_tables.up.sql`. Returns `None` for another
/// form.
pub(crate) fn parse_name(name: &str) -> Result<Option<(i64, String, MigrationType)>, Error> {
    let Some((number, rest)) = name.split_once('_').filter(|(_, rest)| rest.ends_with(".sql"))
    else {
        return Ok(None);
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let version = number.parse().map_err(|_| {
        let limit = i64::MAX;
        Error::Usage(format!("{name}: the version {number} is too large; the limit is {limit}"))
    })?;
    let kind = MigrationType::from_filename(rest);
    let description = rest.trim_end_matches(kind.suffix()).replace('_', " ");
    let lower = description.to_ascii_lowercase();
    // Such as 0001_init.DOWN.sql, which would run as an up migration.
    if [".up", ".down"].iter().any(|direction| lower.ends_with(direction)) {
        return Ok(None);
    }
    Ok(Some((version, description, kind)))
}

/// Reads a file that must be UTF-8 without NUL, which PostgreSQL cannot store or receive.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| cannot_read(path, &error))?;
    let invalid = |at: usize, problem: &str| {
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        Error::Usage(format!("{}:{line}: {problem}; save the file as UTF-8", path.display()))
    };
    match str::from_utf8(&bytes) {
        Err(error) => Err(invalid(error.valid_up_to(), "the file is not UTF-8")),
        Ok(text) => match text.find('\0') {
            Some(at) => Err(invalid(at, "the file contains the character NUL")),
            None => Ok(text.to_owned()),
        },
    }
}

fn reject_marker(path: &Path, sql: &str, folder: &Path) -> Result<(), Error> {
    if let Some(marker) = tool::marker(sql) {
        let place = format!("{}:{}: `{}`", path.display(), marker.line, marker.text);
        return Err(foreign(&place, marker.origin, folder));
    }
    if sql.strip_prefix('\u{feff}').is_some_and(|rest| rest.starts_with(NO_TRANSACTION)) {
        return Err(Error::Usage(format!(
            "{}:1: `{NO_TRANSACTION}` has no effect after a byte order mark; save the file without \
             one",
            path.display()
        )));
    }
    Ok(())
}

fn foreign(place: &impl std::fmt::Display, origin: &Origin, folder: &Path) -> Error {
    let folder = folder.display();
    let remedy = match origin {
        Origin::Convertible(_) => {
            format!("convert the folder with `migrate import {folder} --to NEW_FOLDER`")
        }
        Origin::FlywayOrRefinery => format!(
            "convert the folder with `migrate import {folder} --from flyway --to NEW_FOLDER` (or \
             --from refinery)"
        ),
        Origin::Other(_) => "split it into <number>_<description>.up.sql and .down.sql".to_owned(),
    };
    Error::Usage(format!("{place}: this is a migration of {origin}, not of sqlx; {remedy}"))
}

fn contains_sql(folder: &Path) -> bool {
    let names = entries(folder).unwrap_or_default();
    names.iter().any(|path| file_name(path).to_ascii_lowercase().ends_with(".sql"))
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("cannot read {}: {error}", path.display()))
}

/// Returns the checksum of a file as sqlx calculates it.
fn checksum(sql: &str, ignored: &[char]) -> Vec<u8> {
    Sha384::digest(sql.replace(ignored, "")).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_name_is_parsed_as_by_sqlx() {
        let parse = |name| parse_name(name).unwrap();
        let simple = Some((1, "a b".to_owned(), MigrationType::Simple));
        assert_eq!(parse("0001_a_b.sql"), simple);
        let down = Some((20240101000000, "v1.2".to_owned(), MigrationType::ReversibleDown));
        assert_eq!(parse("20240101000000_v1.2.down.sql"), down);
        for name in ["1-a.sql", "1_a.SQL", "_a.sql", "a_b.sql", "-1_a.sql", "1_a.DOWN.sql", "1.sql"]
        {
            assert_eq!(parse(name), None, "{name}");
        }
        assert!(parse_name("99999999999999999999_a.sql").is_err());
    }

    #[test]
    fn documentation_and_hidden_files_are_ignored() {
        for name in ["README", "readme.txt", "NOTES.md", ".gitkeep", "sqlx.toml", "atlas.sum"] {
            assert!(is_ignored(name), "{name}");
        }
        for name in ["notes.txt", "embed.go", "0001_a.SQL", "Atlas.sum", "a.sql~"] {
            assert!(!is_ignored(name), "{name}");
        }
    }
}
