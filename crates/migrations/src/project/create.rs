//! `migrate new`: the files of a new migration.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::Project;
use crate::Error;

/// Creates the two files of the next migration in the project's `folder`, and returns their paths.
/// Existing files are never overwritten.
pub fn create(
    project: &Project,
    folder: &Path,
    name: &str,
    transactional: bool,
) -> Result<[PathBuf; 2], Error> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_allowed) {
        let expected = "expected lower-case letters, digits and `_`, as in add_prices";
        return Err(Error::Usage(format!("invalid migration name {name:?}; {expected}")));
    }
    let stem = format!("{:04}_{name}", project.newest() + 1);
    let marker = match transactional {
        true => "",
        false => "-- no-transaction\n",
    };
    let path = |suffix| folder.join("migrations").join(format!("{stem}.{suffix}.sql"));
    let (up, down) = (path("up"), path("down"));
    write(&up, &format!("{marker}-- {}: purpose.\n\n", name.replace('_', " ")))?;
    write(&down, &format!("{marker}-- Reverts {stem}: what data is lost.\n\n"))?;
    Ok([up, down])
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::Usage(format!("cannot create {}: {error}", path.display())))
}
