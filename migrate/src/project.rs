//! What there is to apply: a folder of SQL, built into the binary or read at run time.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sqlx::migrate::{MigrationType, Migrator, ResolveConfig, ResolveWith};

use crate::Error;
use crate::runner::Direction;

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

/// The schema of a database as files: `migrations/`, `roles.sql`, `schema.sql`, `sweep.sql` and `seeds/`.
#[derive(Clone, Debug)]
pub struct Project {
    /// The migrations in the order of their versions, each version once.
    pub migrations: Vec<Migration>,
    /// The table that says what has been applied, with its schema: sqlx's `table-name`.
    pub ledger: String,
    /// The schema that the migrations fill. The ledger is in it, and the roles' names begin with it.
    pub schema: String,
    /// The roles, for an administrator to make.
    pub roles: Option<String>,
    /// What `dump` prints of a database that has all migrations.
    pub dump: Option<String>,
    /// Removes what nobody needs any more.
    pub sweep: Option<String>,
    /// Data for trying things out, in the order of their names.
    pub seeds: Vec<File>,
}

/// A step of the schema.
#[derive(Clone, Debug)]
pub struct Migration {
    /// Its number.
    pub version: i64,
    /// Its number and what it is about, as in the name of its file: `0002_dictionary`.
    pub name: String,
    /// What the ledger keeps: the words of the name.
    pub description: String,
    /// SHA-384 of `up`, ends of lines aside, as sqlx computes it.
    pub checksum: Vec<u8>,
    /// Applies it.
    pub up: Script,
    /// Undoes it, where that is possible.
    pub down: Option<Script>,
}

impl Migration {
    /// Whether this direction is one transaction.
    pub(crate) fn is_at_once(&self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.up.transactional,
            Direction::Down => self.down.as_ref().is_some_and(|down| down.transactional),
        }
    }

    /// Whether one of its directions is no transaction.
    pub(crate) fn can_be_half_done(&self) -> bool {
        !self.up.transactional || self.down.as_ref().is_some_and(|down| !down.transactional)
    }
}

/// One direction of a migration.
#[derive(Clone, Debug)]
pub struct Script {
    /// The file's name, without its folder.
    pub file: String,
    /// Its text.
    pub sql: String,
    /// Whether all of it is one transaction. A file whose first line is `-- no-transaction` is run
    /// step by step.
    pub transactional: bool,
}

/// A file of SQL.
#[derive(Clone, Debug)]
pub struct File {
    /// Its name, without the ending.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Project {
    /// The one that was compiled in.
    pub fn built_in() -> Project {
        let ledger = MIGRATOR.table_name.to_string();
        Project {
            migrations: pair(MIGRATOR.iter()).expect("the tests build and apply it"),
            schema: schema_of(&ledger),
            ledger,
            roles: Some(include_str!("../../db/roles.sql").to_owned()),
            dump: Some(include_str!("../../db/schema.sql").to_owned()),
            sweep: Some(include_str!("../../db/sweep.sql").to_owned()),
            seeds: SEEDS
                .iter()
                .map(|(name, text)| File { name: (*name).into(), text: (*text).into() })
                .collect(),
        }
    }

    /// The one in this folder. Only `migrations/` has to be there. `sqlx.toml`, in the folder or
    /// above it, names the ledger as it does for sqlx.
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
            migrations: pair(migrator.iter())?,
            schema: schema_of(&ledger),
            ledger,
            roles: optional(&folder.join("roles.sql"))?,
            dump: optional(&folder.join("schema.sql"))?,
            sweep: optional(&folder.join("sweep.sql"))?,
            seeds: seeds(&folder.join("seeds"))?,
        })
    }

    /// The migration of this version.
    pub fn migration(&self, version: i64) -> Result<&Migration, Error> {
        let found = self.migrations.iter().find(|migration| migration.version == version);
        found.ok_or_else(|| Error::Usage(format!("there is no migration {version} in this build")))
    }

    /// The newest version, 0 when there is none.
    pub fn newest(&self) -> i64 {
        self.migrations.last().map_or(0, |migration| migration.version)
    }
}

/// What `sqlx.toml` says about migrations, as far as it matters here.
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
        struct File {
            migrate: Settings,
        }
        for path in [folder.join("sqlx.toml"), folder.join("../sqlx.toml")] {
            if let Some(text) = optional(&path)? {
                let file: File = toml::from_str(&text)
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

/// The text of a file that need not be there.
fn optional(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Usage(format!("{}: {error}", path.display()))),
    }
}

fn seeds(folder: &Path) -> Result<Vec<File>, Error> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => Vec::new(),
    };
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "sql"));
    paths.sort();
    let read = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(File { name, text: optional(path)?.unwrap_or_default() })
    };
    paths.iter().map(read).collect()
}

/// Brings the two directions of each migration together.
fn pair<'a>(
    files: impl Iterator<Item = &'a sqlx::migrate::Migration>,
) -> Result<Vec<Migration>, Error> {
    let (mut up, mut down) = (Vec::<Migration>::new(), Vec::new());
    for file in files {
        let name = name(file.version, &file.description);
        let ending = match file.migration_type {
            MigrationType::Simple => "",
            MigrationType::ReversibleUp => ".up",
            MigrationType::ReversibleDown => ".down",
        };
        let script = Script {
            file: format!("{name}{ending}.sql"),
            sql: file.sql.as_str().to_owned(),
            transactional: !file.no_tx,
        };
        if file.migration_type.is_down_migration() {
            down.push((file.version, script));
            continue;
        }
        if let Some(other) = up.iter().find(|other| other.version == file.version) {
            let (one, other) = (&script.file, &other.up.file);
            return Err(Error::Usage(format!("{one} and {other} have the same number")));
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
            None => return Err(Error::Usage(format!("{} has nothing to undo", script.file))),
        }
    }
    up.sort_by_key(|migration| migration.version);
    Ok(up)
}

/// The name of a migration, as its file has it.
pub(crate) fn name(version: i64, description: &str) -> String {
    format!("{version:04}_{}", description.replace(' ', "_"))
}
