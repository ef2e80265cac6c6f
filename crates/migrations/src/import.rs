//! `migrate import`: converts the migrations of other tools.

mod layout;
mod script;
mod sections;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::Error;
use crate::project::{Project, Tool};
use script::Draft;

/// The result of [`import`].
#[derive(Debug, Serialize)]
pub struct Import {
    /// The tool whose files were converted.
    pub tool: String,
    /// The migrations, ordered by version.
    pub migrations: Vec<ImportedMigration>,
    /// The folder with the written files. `None` if nothing was written.
    pub folder: Option<PathBuf>,
}

/// A migration that was converted.
#[derive(Debug, Serialize)]
pub struct ImportedMigration {
    /// The version.
    pub version: i64,
    /// The files of the other tool.
    pub sources: Vec<String>,
    /// The names of the new files.
    pub files: Vec<String>,
    /// What the conversion has changed, except for markers.
    pub notes: Vec<String>,
}

/// A migration in the form of sqlx, before its files are written.
struct Converted {
    version: i64,
    /// The file name without the direction: `0001_first_tables`.
    stem: String,
    sources: Vec<String>,
    up: Draft,
    down: Option<Draft>,
}

/// Converts the files of another tool in `folder`. If `tool` is `None`, it is detected from the
/// files. With `to`, writes either all migrations to the new folder `to/migrations`, or none.
///
/// Fails if a file cannot be converted without loss, or would be rejected when it is run.
pub fn import(folder: &Path, tool: Option<Tool>, to: Option<&Path>) -> Result<Import, Error> {
    let (tool, mut converted) = layout::read(folder, tool)?;
    converted.sort_by_key(|migration| migration.version);
    if let Some([first, second]) =
        converted.array_windows().find(|[first, second]| first.version == second.version)
    {
        let files = [&first.sources[..], &second.sources[..]].concat().join(" and ");
        return Err(Error::Usage(format!(
            "{files} have the same version {}; renumber one of them",
            first.version
        )));
    }
    if let Some([first, second]) = converted
        .array_windows()
        .find(|[first, second]| tool.text_order(&first.stem) > tool.text_order(&second.stem))
    {
        return Err(Error::Usage(format!(
            "{tool} runs {} after {}, because it orders versions as text, and `migrate` before it; \
             rename them so that all versions have the same number of digits",
            first.sources.join(", "),
            second.sources.join(", ")
        )));
    }
    let mut files = BTreeMap::new();
    let mut migrations = Vec::new();
    for Converted { version, stem, sources, up, down } in converted {
        let mut migration =
            ImportedMigration { version, sources, files: Vec::new(), notes: Vec::new() };
        let up = Some((up, format!("{stem}.up.sql")));
        let down = down.map(|down| (down, format!("{stem}.down.sql")));
        for (draft, name) in [up, down].into_iter().flatten() {
            let (text, notes) = draft.finish(tool)?;
            migration.notes.extend(notes.into_iter().map(|note| format!("{name}: {note}")));
            migration.files.push(name.clone());
            files.insert(name, text);
        }
        migrations.push(migration);
    }
    let folder = to.map(|to| write(to, &files)).transpose()?;
    Ok(Import { tool: tool.to_string(), migrations, folder })
}

/// Writes the files to `migrations` in `to`. The rename makes them appear at once, and fails if a
/// folder of this name contains anything.
fn write(to: &Path, files: &BTreeMap<String, String>) -> Result<PathBuf, Error> {
    let failed = |path: &Path, error: std::io::Error| {
        Error::Usage(format!("cannot write {}: {error}; nothing was imported", path.display()))
    };
    let target = to.join("migrations");
    let not_empty = || {
        Error::Usage(format!(
            "{} is not empty, and import never overwrites files; pass another folder to --to",
            target.display()
        ))
    };
    if target.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(not_empty());
    }
    std::fs::create_dir_all(to).map_err(|error| failed(to, error))?;
    // A separate project, so that it can be validated before it is renamed.
    let draft = to.join(format!(".import-{}", std::process::id()));
    let result = (|| {
        let folder = draft.join("migrations");
        std::fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        }
        Project::read(&draft)?;
        std::fs::rename(&folder, &target).map_err(|error| match error.kind() {
            std::io::ErrorKind::DirectoryNotEmpty => not_empty(),
            _ => failed(&target, error),
        })
    })();
    // Only a folder that was renamed or could not be written is left behind.
    let _ = std::fs::remove_dir_all(&draft);
    result.map(|()| target)
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Import { tool, migrations, folder } = self;
        for migration in migrations {
            let (sources, files) = (migration.sources.join(", "), migration.files.join(", "));
            writeln!(f, "{sources} -> {files}")?;
            migration.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))?;
        }
        let count = migrations.len();
        match folder {
            None => {
                write!(f, "{count} migrations of {tool}; nothing was written, pass --to FOLDER")
            }
            Some(folder) => {
                let project = folder.parent().unwrap_or(folder).display();
                write!(
                    f,
                    "{count} migrations of {tool} written to {}\n\
                     in a database that {tool} has migrated, run `migrate baseline --source \
                     {project}`; in a new one, `migrate up --source {project}`\n\
                     names without a schema need --search-path, for example --search-path public",
                    folder.display()
                )
            }
        }
    }
}
