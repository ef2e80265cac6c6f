//! New files for a new migration.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::project::Project;

/// Makes the two files of the migration that comes next in `folder`, the project's; returns their
/// paths. An existing file is never touched.
pub fn create(
    project: &Project,
    folder: &Path,
    name: &str,
    transactional: bool,
) -> Result<[PathBuf; 2], Error> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(fits) {
        let expected = "expected lower-case letters, digits and _, as in add_prices";
        return Err(Error::Usage(format!(
            "{name:?} cannot be the name of a migration: {expected}"
        )));
    }
    let stem = format!("{:04}_{name}", project.newest() + 1);
    let marker = match transactional {
        true => "",
        // sqlx looks at the beginning of the file, and nowhere else.
        false => "-- no-transaction\n",
    };
    let path = |ending| folder.join("migrations").join(format!("{stem}.{ending}.sql"));
    let (up, down) = (path("up"), path("down"));
    write(&up, &format!("{marker}-- {}: what it is for.\n\n", name.replace('_', " ")))?;
    write(&down, &format!("{marker}-- Undoes {stem}: what is lost.\n\n"))?;
    Ok([up, down])
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Error::Usage(format!("{} cannot be made: {error}", path.display())))
}
