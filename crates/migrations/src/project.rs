//! The project: a folder of SQL files, built into the binary or read at run time.

mod create;
mod files;
mod tool;

use std::path::{Path, PathBuf};

use include_dir::{Dir, File, include_dir};
use serde::Deserialize;

use crate::Error;
pub use create::create;
use files::{MigrationFile, read_migrations};
pub(crate) use files::{
    NO_TRANSACTION, detect, entries, file_name, is_ignored, listed, parse_name, read_text,
};
pub use tool::Tool;

static MIGRATIONS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../db/migrations");
static SEEDS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../db/seeds");

/// The contents of a project folder: `migrations/`, `roles.sql`, `schema.sql`, `sweep.sql`,
/// `seeds/`.
#[derive(Clone, Debug)]
pub struct Project {
    /// The migrations, ordered by version. Versions are unique.
    pub migrations: Vec<Migration>,
    /// The qualified name of the table of applied migrations: sqlx's `table-name`.
    pub ledger: String,
    /// The schema that the migrations create objects in. It contains the ledger, and its name is
    /// the prefix of the role names.
    pub schema: String,
    /// Whether the migrations name objects without their schema, because a search path is set:
    /// [`crate::Database::search_path`].
    pub has_search_path: bool,
    /// SQL that creates the roles, for an administrator.
    pub roles: Option<String>,
    /// The output of `dump` for a database with all migrations.
    pub dump: Option<String>,
    /// SQL that purges obsolete rows.
    pub sweep: Option<String>,
    /// Sample data, ordered by name.
    pub seeds: Vec<SqlFile>,
}

/// A migration: the files of one version.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The version, which is the number in the file name.
    pub version: i64,
    /// Version and description as in the file name: `0002_dictionary`.
    pub name: String,
    /// The description as the ledger stores it: the words of the file name.
    pub description: String,
    /// SHA-384 of `up` without carriage returns, as sqlx computes it.
    pub checksum: Vec<u8>,
    /// The script that applies the migration.
    pub up: Script,
    /// The script that reverts it, if it is reversible.
    pub down: Option<Script>,
}

/// The direction in which a migration runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
        }
    }
}

impl Migration {
    /// Returns whether the script of this direction exists and runs in one transaction.
    pub(crate) fn is_transactional(&self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.up.transactional,
            Direction::Down => self.down.as_ref().is_some_and(|down| down.transactional),
        }
    }

    /// Returns whether a run can leave the migration partly done: whether one of its scripts is not
    /// transactional.
    pub(crate) fn may_be_partial(&self) -> bool {
        !self.up.transactional || self.down.as_ref().is_some_and(|down| !down.transactional)
    }
}

/// A file of a migration, for one direction.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file name, without its folder.
    pub file: String,
    /// The text of the file.
    pub sql: String,
    /// Whether the script runs in one transaction. A file whose first line is `-- no-transaction`
    /// runs statement by statement instead.
    pub transactional: bool,
}

/// A named file of SQL.
#[derive(Clone, Debug)]
pub struct SqlFile {
    /// The file name without its extension.
    pub name: String,
    /// The text of the file.
    pub text: String,
}

impl SqlFile {
    fn new(path: &Path, text: String) -> SqlFile {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        SqlFile { name, text }
    }
}

impl Project {
    /// Returns the project that was embedded at compile time.
    pub fn built_in() -> Project {
        let settings = Settings::parse(include_str!("../../../db/sqlx.toml"))
            .expect("the embedded settings are valid");
        let ledger = settings.ledger();
        let files = embedded(&MIGRATIONS).map(|(path, sql)| {
            let name = file_name(path);
            let parsed = parse_name(&name).ok().flatten().expect("the embedded names are valid");
            MigrationFile::new(name, parsed, sql.to_owned(), &settings.ignored_chars)
        });
        Project {
            migrations: pair_scripts(files).expect("the embedded migrations are valid"),
            schema: schema_of(&ledger),
            has_search_path: false,
            ledger,
            roles: Some(include_str!("../../../db/roles.sql").to_owned()),
            dump: Some(include_str!("../../../db/schema.sql").to_owned()),
            sweep: Some(include_str!("../../../db/sweep.sql").to_owned()),
            seeds: embedded(&SEEDS)
                .map(|(path, text)| SqlFile::new(path, text.to_owned()))
                .collect(),
        }
    }

    /// Reads the project in `folder`. Only `migrations/` is required. As in sqlx, `sqlx.toml` in
    /// this folder or its parent names the ledger.
    ///
    /// Fails if a file is not UTF-8, is not named as sqlx names them, or belongs to another tool.
    pub fn read(folder: &Path) -> Result<Project, Error> {
        let settings = Settings::read(folder)?;
        let ledger = settings.ledger();
        let migrations = folder.join("migrations");
        if !migrations.is_dir() {
            return Err(Error::Usage(format!(
                "{} is not a folder; a project is a folder that contains `migrations`",
                migrations.display()
            )));
        }
        let files = read_migrations(&migrations, &settings.ignored_chars)?;
        Ok(Project {
            migrations: pair_scripts(files.into_iter())?,
            schema: schema_of(&ledger),
            has_search_path: false,
            ledger,
            roles: read_optional(&folder.join("roles.sql"))?,
            dump: read_optional(&folder.join("schema.sql"))?,
            sweep: read_optional(&folder.join("sweep.sql"))?,
            seeds: read_seeds(&folder.join("seeds"))?,
        })
    }

    /// Returns the ledger of the project in `folder`, whose other files may be those of another tool.
    pub fn read_ledger(folder: &Path) -> Result<String, Error> {
        Ok(Settings::read(folder)?.ledger())
    }

    /// Returns the migration with this version.
    pub fn migration(&self, version: i64) -> Result<&Migration, Error> {
        let found = self.migrations.iter().find(|migration| migration.version == version);
        found.ok_or_else(|| {
            let newest = self.newest();
            Error::Usage(format!(
                "there is no migration {version} in this build; its newest is {newest}"
            ))
        })
    }

    /// Returns the newest version, or 0 if there are no migrations.
    pub fn newest(&self) -> i64 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }
}

/// The supported settings of the section `[migrate]` in `sqlx.toml`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    table_name: Option<String>,
    ignored_chars: Vec<char>,
}

impl Settings {
    fn read(folder: &Path) -> Result<Settings, Error> {
        for path in [folder.join("sqlx.toml"), folder.join("../sqlx.toml")] {
            if let Some(text) = read_optional(&path)? {
                return Settings::parse(&text)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())));
            }
        }
        Ok(Settings { table_name: None, ignored_chars: vec!['\r'] })
    }

    fn parse(text: &str) -> Result<Settings, toml::de::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct SqlxToml {
            migrate: Settings,
        }
        Ok(toml::from_str::<SqlxToml>(text)?.migrate)
    }

    /// Returns the qualified name of the ledger.
    fn ledger(&self) -> String {
        match &self.table_name {
            Some(name) if name.contains('.') => name.clone(),
            Some(name) => format!("public.{name}"),
            None => "public._sqlx_migrations".to_owned(),
        }
    }
}

fn schema_of(ledger: &str) -> String {
    ledger.split_once('.').map_or("public", |(schema, _)| schema).to_owned()
}

/// Reads a file. Returns `None` if it does not exist.
fn read_optional(path: &Path) -> Result<Option<String>, Error> {
    match path.try_exists() {
        Ok(false) => Ok(None),
        // If the check itself failed, reading reports the cause.
        _ => read_text(path).map(Some),
    }
}

fn read_seeds(folder: &Path) -> Result<Vec<SqlFile>, Error> {
    if matches!(folder.try_exists(), Ok(false)) {
        return Ok(Vec::new());
    }
    let mut paths: Vec<PathBuf> = entries(folder)?;
    paths.retain(|path| is_sql(path));
    paths.iter().map(|path| Ok(SqlFile::new(path, read_text(path)?))).collect()
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sql")
}

/// Returns the names and texts of the SQL files in an embedded folder, ordered by name.
fn embedded(folder: &'static Dir) -> impl Iterator<Item = (&'static Path, &'static str)> {
    let mut files: Vec<_> = folder.files().filter(|file| is_sql(file.path())).collect();
    files.sort_by_key(|file| file.path());
    let text = |file: &'static File| file.contents_utf8().expect("the embedded files are UTF-8");
    files.into_iter().map(move |file| (file.path(), text(file)))
}

/// Combines the up and down files of each version into a [`Migration`].
fn pair_scripts(files: impl Iterator<Item = MigrationFile>) -> Result<Vec<Migration>, Error> {
    let (mut up, mut down) = (Vec::<Migration>::new(), Vec::<(i64, Script)>::new());
    for MigrationFile { file, version, description, kind, sql, checksum } in files {
        let transactional = !sql.starts_with(NO_TRANSACTION);
        let script = Script { file, sql, transactional };
        let same = |first: &Script| {
            let (first, second) = (&first.file, &script.file);
            Error::Usage(format!(
                "{first} and {second} have the same version; give one of them another number"
            ))
        };
        if kind.is_down_migration() {
            if let Some((_, other)) = down.iter().find(|(other, _)| *other == version) {
                return Err(same(other));
            }
            down.push((version, script));
            continue;
        }
        if let Some(other) = up.iter().find(|other| other.version == version) {
            return Err(same(&other.up));
        }
        let name = migration_name(version, &description);
        up.push(Migration { version, name, description, checksum, up: script, down: None });
    }
    for (version, script) in down {
        match up.iter_mut().find(|migration| migration.version == version) {
            Some(migration) => migration.down = Some(script),
            None => {
                let file = script.file;
                return Err(Error::Usage(format!("{file} has no .up.sql of the same version")));
            }
        }
    }
    up.sort_by_key(|migration| migration.version);
    Ok(up)
}

/// Returns the name of a migration as in its file name.
pub(crate) fn migration_name(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}
