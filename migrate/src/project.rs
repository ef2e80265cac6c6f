//! The project: a folder of SQL files, built into the binary or read at run time.

mod create;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sqlx::migrate::{MigrationType, Migrator, ResolveConfig, ResolveWith};

use crate::Error;
pub use create::create;

/// The migrations in `db/migrations/`.
static MIGRATOR: Migrator = sqlx::migrate!();

/// The files in `db/seeds/`.
const SEEDS: [(&str, &str); 6] = [
    ("01_dictionary", include_str!("../../db/seeds/01_dictionary.sql")),
    ("02_price_lists", include_str!("../../db/seeds/02_price_lists.sql")),
    ("03_users", include_str!("../../db/seeds/03_users.sql")),
    ("04_datasets", include_str!("../../db/seeds/04_datasets.sql")),
    ("05_orders", include_str!("../../db/seeds/05_orders.sql")),
    ("06_sentences", include_str!("../../db/seeds/06_sentences.sql")),
];

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

impl Project {
    /// Returns the project that was embedded at compile time.
    pub fn built_in() -> Project {
        let ledger = MIGRATOR.table_name.to_string();
        Project {
            migrations: pair_scripts(MIGRATOR.iter()).expect("the embedded migrations are valid"),
            schema: schema_of(&ledger),
            ledger,
            roles: Some(include_str!("../../db/roles.sql").to_owned()),
            dump: Some(include_str!("../../db/schema.sql").to_owned()),
            sweep: Some(include_str!("../../db/sweep.sql").to_owned()),
            seeds: SEEDS
                .iter()
                .map(|(name, text)| SqlFile { name: (*name).into(), text: (*text).into() })
                .collect(),
        }
    }

    /// Reads the project in `folder`. Only `migrations/` is required. As in sqlx, `sqlx.toml` in
    /// this folder or its parent names the ledger.
    pub async fn read(folder: &Path) -> Result<Project, Error> {
        let settings = Settings::read(folder)?;
        let ledger = match settings.table_name {
            Some(name) if name.contains('.') => name,
            Some(name) => format!("public.{name}"),
            None => "public._sqlx_migrations".to_owned(),
        };
        let mut config = ResolveConfig::new();
        config.ignore_chars(settings.ignored_chars);
        let source = ResolveWith(folder.join("migrations"), config);
        let migrator = Migrator::new(source)
            .await
            .map_err(|error| Error::Usage(format!("{}: {error}", folder.display())))?;
        Ok(Project {
            migrations: pair_scripts(migrator.iter())?,
            schema: schema_of(&ledger),
            ledger,
            roles: read_optional(&folder.join("roles.sql"))?,
            dump: read_optional(&folder.join("schema.sql"))?,
            sweep: read_optional(&folder.join("sweep.sql"))?,
            seeds: read_seeds(&folder.join("seeds"))?,
        })
    }

    /// Returns the migration with this version.
    pub fn migration(&self, version: i64) -> Result<&Migration, Error> {
        let found = self.migrations.iter().find(|migration| migration.version == version);
        found.ok_or_else(|| Error::Usage(format!("there is no migration {version} in this build")))
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
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct SqlxToml {
            migrate: Settings,
        }
        for path in [folder.join("sqlx.toml"), folder.join("../sqlx.toml")] {
            if let Some(text) = read_optional(&path)? {
                let file: SqlxToml = toml::from_str(&text)
                    .map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
                return Ok(file.migrate);
            }
        }
        Ok(Settings { table_name: None, ignored_chars: vec!['\r'] })
    }
}

fn schema_of(ledger: &str) -> String {
    ledger.split_once('.').map_or("public", |(schema, _)| schema).to_owned()
}

/// Reads a file. Returns `None` if it does not exist.
fn read_optional(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Usage(format!("{}: {error}", path.display()))),
    }
}

fn read_seeds(folder: &Path) -> Result<Vec<SqlFile>, Error> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(SqlFile { name, text: read_optional(path)?.unwrap_or_default() })
    };
    paths.iter().map(read).collect()
}

/// Combines the up and down files of each version into a [`Migration`].
fn pair_scripts<'a>(
    files: impl Iterator<Item = &'a sqlx::migrate::Migration>,
) -> Result<Vec<Migration>, Error> {
    let (mut up, mut down) = (Vec::<Migration>::new(), Vec::new());
    for file in files {
        let name = migration_name(file.version, &file.description);
        let suffix = match file.migration_type {
            MigrationType::Simple => "",
            MigrationType::ReversibleUp => ".up",
            MigrationType::ReversibleDown => ".down",
        };
        let script = Script {
            file: format!("{name}{suffix}.sql"),
            sql: file.sql.as_str().to_owned(),
            transactional: !file.no_tx,
        };
        if file.migration_type.is_down_migration() {
            down.push((file.version, script));
            continue;
        }
        if let Some(other) = up.iter().find(|other| other.version == file.version) {
            let (first, second) = (&other.up.file, &script.file);
            return Err(Error::Usage(format!("{first} and {second} have the same version")));
        }
        up.push(Migration {
            version: file.version,
            name,
            description: file.description.to_string(),
            checksum: file.checksum.to_vec(),
            up: script,
            down: None,
        });
    }
    for (version, script) in down {
        match up.iter_mut().find(|migration| migration.version == version) {
            Some(migration) => migration.down = Some(script),
            None => return Err(Error::Usage(format!("{} has no .up.sql", script.file))),
        }
    }
    up.sort_by_key(|migration| migration.version);
    Ok(up)
}

/// Returns the name of a migration as in its file name.
pub(crate) fn migration_name(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}
