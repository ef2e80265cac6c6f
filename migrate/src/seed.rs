//! Data for trying things out: the same on every machine, once, and never in production.
//!
//! Rows are loaded in blocks. Each block is one transaction: it claims the block in a ledger of its
//! own, `_migrate_seeds`, generates the rows into a temporary table by `COPY`, and runs the seed's SQL
//! over them. So whatever happens, a block is there as a whole or not at all; the next run goes on
//! where the last one ended; more rows can be added later; and any number of runs at the same time
//! share the blocks among themselves.

mod file;
mod generator;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Error;
use crate::backoff::Backoff;
use crate::database::Database;
use crate::environment::{self, Environment};
use crate::event::Report;
use crate::ledger::{self, Standing};
use crate::project::Project;
use crate::statements::{Statement, split};
pub use file::Seed;

/// The most rows that one transaction loads: less than a second's work, so that little is lost with a
/// run that is killed, and that several runs have something to share. Not much fewer either: sqlx
/// leaves Nagle's algorithm on, and so the end of each `COPY` takes 40 ms.
pub const BLOCK: u64 = 50_000;

/// How many bytes of rows are sent at a time.
const CHUNK: usize = 64 << 10;

/// How long to wait for another run that loads the same block, from the last sign of its progress.
const PATIENCE: Duration = Duration::from_secs(300);

/// What to load.
#[derive(Clone, Debug, Default)]
pub struct SeedOptions {
    /// How many rows each seed that scales shall have, in place of its own number.
    pub scale: Option<u64>,
    /// The names of the seeds to load, with or without their number; empty for all.
    pub only: Vec<String>,
}

/// How far a seed is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SeedProgress<'a> {
    /// The seed's name.
    pub seed: &'a str,
    /// How many of its rows are there, or on their way in the block that is being loaded.
    pub rows: u64,
    /// How many there will be.
    pub total: u64,
}

/// Where [`SeedProgress`] is told of a seed that is not there yet: when it begins, after each chunk of
/// rows, and when it is there.
pub type OnProgress<'a> = &'a (dyn Fn(SeedProgress<'_>) + Sync);

/// What [`seed`] has done.
#[derive(Clone, Debug, Serialize)]
pub struct Seeded {
    /// What the database is for.
    pub environment: Environment,
    /// Each seed, in the order in which they were loaded.
    pub seeds: Vec<SeededRows>,
}

/// What has become of one seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeededRows {
    /// The seed's name.
    pub seed: String,
    /// How many rows this run has loaded; 0 when all were there.
    pub loaded: u64,
    /// How many rows there are now.
    pub rows: u64,
}

impl fmt::Display for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a database for {}:", self.environment)?;
        self.seeds.iter().try_for_each(|seed| write!(f, "\n{seed}"))
    }
}

impl fmt::Display for SeededRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:20} ", self.seed)?;
        match (self.loaded, self.rows) {
            // One that declares no rows brings its own.
            (0, 1) => write!(f, "already there"),
            (_, 1) => write!(f, "loaded"),
            (0, rows) => write!(f, "already there ({rows} rows)"),
            (loaded, rows) if loaded == rows => write!(f, "{rows} rows"),
            (loaded, rows) => write!(f, "{rows} rows, {loaded} of them new"),
        }
    }
}

/// The seeds of a project, in the order in which they are loaded.
pub fn seeds(project: &Project) -> Result<Vec<Seed>, Error> {
    project.seeds.iter().map(Seed::parse).collect()
}

/// Loads what is missing of the seeds, one after another. Connect as the role that owns the tables.
///
/// Refuses a database that is not marked as something else than production ([`crate::mark`]), and one
/// that has not all migrations. Row `k` of a seed is always the same row, so to ask for more rows
/// later only adds some, and to ask for fewer removes none. A seed that has changed since it was
/// loaded is an error, before anything is loaded: its old rows stay as they are.
pub async fn seed(
    project: &Project,
    database: &Database,
    options: &SeedOptions,
    progress: OnProgress<'_>,
    report: Report<'_>,
) -> Result<Seeded, Error> {
    let seeds = chosen(seeds(project)?, &options.only)?;
    let mut session = database.connect(report).await?;
    session.refuse_superuser().await?;
    let connection = &mut session.connection;
    let environment = environment::read(connection).await?;
    if environment.is_production() {
        return Err(Error::Refused(format!(
            "{} is not marked as anything else than production, and seeds are for trying things \
             out; if it is, its owner runs `migrate bootstrap --environment development`",
            database.address()
        )));
    }
    ensure_migrated(connection, project).await?;
    let ledger = Ledger { table: format!("{}._migrate_seeds", project.schema) };
    ledger.ensure(connection).await?;
    let mut missing = Vec::new();
    for seed in &seeds {
        let wanted = options.scale.filter(|_| seed.scales).unwrap_or(seed.rows);
        missing.push(ledger.missing(connection, seed, wanted).await?);
    }
    let mut done = Vec::new();
    for (seed, missing) in seeds.iter().zip(missing) {
        let mut run = Run { connection: &mut *connection, ledger: &ledger, seed, progress };
        done.push(run.load(missing).await?);
    }
    session.close().await;
    Ok(Seeded { environment, seeds: done })
}

/// The seeds are written for the tables as the newest migration leaves them.
async fn ensure_migrated(connection: &mut PgConnection, project: &Project) -> Result<(), Error> {
    let applied = ledger::Ledger::of(project).read(connection).await?;
    let is_done = |version| applied.iter().any(|row| row.version == version && row.success);
    let versions = project.migrations.iter().map(|migration| migration.version);
    match versions.filter(|&version| !is_done(version)).count() {
        0 => Ok(()),
        pending => Err(Error::Pending(pending)),
    }
}

/// The seeds of these names; all of them when there are no names.
fn chosen(mut seeds: Vec<Seed>, only: &[String]) -> Result<Vec<Seed>, Error> {
    let is_called = |seed: &Seed, name: &str| {
        let (_, short) = seed.name.split_once('_').unwrap_or_default();
        seed.name == name || short == name
    };
    if let Some(name) = only.iter().find(|name| !seeds.iter().any(|seed| is_called(seed, name))) {
        let known: Vec<_> = seeds.iter().map(|seed| seed.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "there is no seed called {name}, only {}",
            known.join(", ")
        )));
    }
    if !only.is_empty() {
        seeds.retain(|seed| only.iter().any(|name| is_called(seed, name)));
    }
    Ok(seeds)
}

/// A stretch of a seed's rows: it is claimed and loaded as a whole, but may become longer later.
#[derive(Clone, Copy)]
struct Block {
    /// From 0.
    number: u64,
    /// How many rows it shall have.
    rows: u64,
}

impl Block {
    /// The blocks that so many rows are in.
    fn all(rows: u64) -> impl Iterator<Item = Block> {
        (0..rows.div_ceil(BLOCK))
            .map(move |number| Block { number, rows: BLOCK.min(rows - number * BLOCK) })
    }
}

/// What is still to be loaded of a seed.
struct Missing {
    blocks: Vec<Block>,
    /// How many rows are there already.
    loaded: u64,
    /// How many there will be.
    total: u64,
}

/// The table that says what has been loaded, and of which file.
struct Ledger {
    table: String,
}

impl Ledger {
    async fn ensure(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let table = &self.table;
        // Even `IF NOT EXISTS` asks for the right to create, and two at once collide in the catalog.
        let sql = format!(
            "DO $$ BEGIN
               IF to_regclass('{table}') IS NULL THEN
                 CREATE TABLE {table} (
                   seed text COLLATE \"C\" NOT NULL,
                   block bigint NOT NULL,
                   rows bigint NOT NULL,
                   checksum bytea NOT NULL,
                   loaded_at timestamptz NOT NULL DEFAULT now(),
                   CONSTRAINT _migrate_seeds_pkey PRIMARY KEY (seed, block)
                 );
               END IF;
             EXCEPTION WHEN duplicate_table OR duplicate_object OR unique_violation THEN
               NULL; -- Made by somebody else just now.
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    }

    /// What of the first `wanted` rows is still to be loaded.
    async fn missing(
        &self,
        connection: &mut PgConnection,
        seed: &Seed,
        wanted: u64,
    ) -> Result<Missing, Error> {
        let sql = format!("SELECT block, rows, checksum FROM {} WHERE seed = $1", self.table);
        let found: Vec<(i64, i64, Vec<u8>)> =
            sqlx::query_as(AssertSqlSafe(sql)).bind(&seed.name).fetch_all(connection).await?;
        if found.iter().any(|(_, _, checksum)| *checksum != seed.checksum) {
            return Err(changed(seed));
        }
        let found: HashMap<u64, u64> = found
            .iter()
            .map(|(block, rows, _)| (block.cast_unsigned(), rows.cast_unsigned()))
            .collect();
        let loaded: u64 = found.values().sum();
        let lacks = |block: &Block| {
            block.rows.saturating_sub(found.get(&block.number).copied().unwrap_or_default())
        };
        let blocks: Vec<_> = Block::all(wanted).filter(|block| lacks(block) > 0).collect();
        let total = loaded + blocks.iter().map(lacks).sum::<u64>();
        Ok(Missing { blocks, loaded, total })
    }

    /// Whether nobody else is loading the block: then nobody will before the transaction ends.
    async fn lock(
        &self,
        transaction: &mut PgConnection,
        seed: &Seed,
        block: Block,
    ) -> Result<bool, sqlx::Error> {
        let (locked,) =
            sqlx::query_as("SELECT pg_try_advisory_xact_lock(hashtextextended($1, $2))")
                .bind(format!("{} {}", self.table, seed.name))
                .bind(block.number.cast_signed())
                .fetch_one(transaction)
                .await?;
        Ok(locked)
    }

    /// Claims the block, and returns how many rows it has had so far.
    async fn claim(
        &self,
        transaction: &mut PgConnection,
        seed: &Seed,
        block: Block,
    ) -> Result<u64, Error> {
        let table = &self.table;
        let number = block.number.cast_signed();
        let sql = format!("SELECT rows FROM {table} WHERE seed = $1 AND block = $2");
        let before: Option<(i64,)> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(&seed.name)
            .bind(number)
            .fetch_optional(&mut *transaction)
            .await?;
        let before = before.map_or(0, |(rows,)| rows);
        // Were the lock lost, the row would still be there: then this changes nothing.
        let sql = format!(
            "INSERT INTO {table} AS known (seed, block, rows, checksum) VALUES ($1, $2, $3, $4)
             ON CONFLICT (seed, block) DO UPDATE SET rows = greatest($3, known.rows), loaded_at = now()
             WHERE known.rows = $5 AND known.checksum = $4"
        );
        let claimed = sqlx::query(AssertSqlSafe(sql))
            .bind(&seed.name)
            .bind(number)
            .bind(block.rows.cast_signed())
            .bind(&seed.checksum)
            .bind(before)
            .execute(transaction)
            .await?;
        if claimed.rows_affected() != 1 {
            return Err(changed(seed));
        }
        Ok(before.cast_unsigned())
    }
}

fn changed(seed: &Seed) -> Error {
    Error::Integrity(format!(
        "{}.sql has changed since it was loaded, and its rows stay as they are: begin with an empty \
         database, or leave it out with `--only`",
        seed.name
    ))
}

/// One seed on its way into the database.
struct Run<'r> {
    connection: &'r mut PgConnection,
    ledger: &'r Ledger,
    seed: &'r Seed,
    progress: OnProgress<'r>,
}

impl Run<'_> {
    fn tell(&self, rows: u64, total: u64) {
        (self.progress)(SeedProgress { seed: &self.seed.name, rows: rows.min(total), total });
    }

    /// Loads the blocks that nobody else is loading, and waits for those that somebody is.
    async fn load(&mut self, missing: Missing) -> Result<SeededRows, Error> {
        let Missing { mut blocks, loaded, total } = missing;
        let name = self.seed.name.clone();
        if blocks.is_empty() {
            return Ok(SeededRows { seed: name, loaded: 0, rows: total });
        }
        let mut ours = 0;
        self.tell(loaded, total);
        let mut backoff = patience();
        while !blocks.is_empty() {
            let mut busy = Vec::new();
            for &block in &blocks {
                match self.load_block(block, loaded + ours, total).await? {
                    Some(rows) => ours += rows,
                    None => busy.push(block),
                }
            }
            if busy.len() < blocks.len() {
                backoff = patience();
            } else if !backoff.pause().await {
                return Err(Error::Unavailable(format!("somebody else is still loading {name}")));
            }
            blocks = busy;
        }
        self.tell(total, total);
        Ok(SeededRows { seed: name, loaded: ours, rows: total })
    }

    /// Loads what is missing of a block, in one transaction. How many rows that were; `None` when
    /// somebody else is loading it.
    async fn load_block(
        &mut self,
        block: Block,
        done: u64,
        total: u64,
    ) -> Result<Option<u64>, Error> {
        let (ledger, seed, progress) = (self.ledger, self.seed, self.progress);
        let mut transaction = self.connection.begin().await?;
        if !ledger.lock(&mut transaction, seed, block).await? {
            return Ok(None);
        }
        let before = ledger.claim(&mut transaction, seed, block).await?;
        if before >= block.rows {
            return Ok(Some(0));
        }
        let first = block.number * BLOCK;
        let rows = first + before + 1..=first + block.rows;
        let added = block.rows - before;
        // Another run may hold a row that this one changes too, until its block is there.
        let prepare = format!("SET LOCAL lock_timeout = '60s'; {}", seed.table());
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *transaction).await?;
        let tell = |rows: u64| {
            progress(SeedProgress { seed: &seed.name, rows: (done + rows).min(total), total });
        };
        copy(&mut transaction, seed, rows, &tell).await?;
        let standing = Standing::now(&mut transaction).await?;
        for statement in split(&seed.sql) {
            let done =
                sqlx::raw_sql(AssertSqlSafe(statement.text)).execute(&mut *transaction).await;
            done.map_err(|error| failed(seed, &statement, error))?;
        }
        if Standing::now(&mut transaction).await? != standing {
            return Err(Error::Integrity(format!(
                "{} ends the transaction, or changes the role or the search_path: it must not",
                seed.file()
            )));
        }
        let commit = Statement { text: "COMMIT", line: seed.sql.lines().count() };
        transaction.commit().await.map_err(|error| failed(seed, &commit, error))?;
        Ok(Some(added))
    }
}

fn failed(seed: &Seed, statement: &Statement<'_>, error: sqlx::Error) -> Error {
    let next =
        "nothing of this block of rows remains; mend the file, then run `migrate seed` again";
    Error::of_statement(&seed.file(), statement, error, next.to_owned())
}

fn patience() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_secs(1), PATIENCE)
}

/// Generates these rows into the temporary table, a chunk at a time; tells how many there are so far.
async fn copy(
    transaction: &mut PgConnection,
    seed: &Seed,
    rows: std::ops::RangeInclusive<u64>,
    tell: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let mut copy = transaction.copy_in_raw("COPY pg_temp.fake FROM STDIN").await?;
    let mut chunk = String::with_capacity(CHUNK + 1024);
    for (row, count) in rows.zip(1..) {
        seed.write_row(row, &mut chunk);
        if chunk.len() >= CHUNK {
            copy.send(chunk.as_bytes()).await?;
            chunk.clear();
            tell(count);
        }
    }
    copy.send(chunk.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::File;

    #[test]
    fn blocks_hold_every_row_once() {
        let blocks = |rows| {
            let blocks = Block::all(rows).map(|block| (block.number, block.rows));
            blocks.collect::<Vec<_>>()
        };
        assert_eq!(blocks(0), []);
        assert_eq!(blocks(1), [(0, 1)]);
        assert_eq!(blocks(BLOCK), [(0, BLOCK)]);
        assert_eq!(blocks(2 * BLOCK + 7), [(0, BLOCK), (1, BLOCK), (2, 7)]);
    }

    #[test]
    fn seeds_are_chosen_by_name_and_kept_in_order() {
        let files = ["01_words", "02_people", "03_more_people"];
        let project = Project {
            seeds: files.map(|name| File { name: name.into(), text: String::new() }).into(),
            ..Project::built_in()
        };
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            let chosen = chosen(seeds(&project)?, &only)?;
            Ok::<_, Error>(chosen.into_iter().map(|seed| seed.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), files);
        assert_eq!(names(&["people", "01_words"]).unwrap(), ["01_words", "02_people"]);
        assert_eq!(
            names(&["peopl"]).unwrap_err().to_string(),
            "there is no seed called peopl, only 01_words, 02_people, 03_more_people"
        );
    }
}
