//! `migrate seed`: sample data, identical on every machine and never loaded into production.
//!
//! Rows are loaded in blocks. Each block is one transaction, which claims the block in the table
//! `_migrate_seeds`, generates the rows into a temporary table with `COPY`, and runs the seed's SQL
//! on them. A block is therefore loaded completely or not at all, a run resumes where the last one
//! stopped, rows can be added later, and concurrent runs share the blocks.

mod file;
mod generator;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use migrations::sql::{Statement, split};
use migrations::{
    Backoff, Database, Environment, Error, Project, Report, Session, TransactionState,
    ensure_migrated, read_environment,
};

pub use file::Seed;

/// The number of rows in a block. Loading it takes less than a second, so that little work is lost
/// when a run is killed, and concurrent runs can share a seed. Smaller blocks would be slow: sqlx
/// does not set `TCP_NODELAY`, and Nagle's algorithm delays the end of each `COPY` by 40 ms.
const BLOCK_ROWS: u64 = 50_000;

/// The size of the chunks in which rows are sent, in bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// How long to wait for another run that loads the same block. Progress of this run restarts the
/// wait.
const BLOCK_WAIT: Duration = Duration::from_secs(300);

/// Options of [`seed`].
#[derive(Clone, Debug, Default)]
pub struct SeedOptions {
    /// The number of rows of each scalable seed. `None` for the number in its file.
    pub scale: Option<u64>,
    /// The names of the seeds to load, with or without their number. Empty for all.
    pub only: Vec<String>,
}

/// The progress of a seed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SeedProgress<'a> {
    /// The name of the seed.
    pub seed: &'a str,
    /// The number of rows loaded so far, including the current block.
    pub rows: u64,
    /// The number of rows after this run.
    pub total: u64,
}

/// A callback that receives the progress of a seed: at the start, after each chunk of rows, and at
/// the end. It is not called for a seed that is complete already.
pub type OnProgress<'a> = &'a (dyn Fn(SeedProgress<'_>) + Sync);

/// The result of [`seed`].
#[derive(Clone, Debug, Serialize)]
pub struct SeedReport {
    /// The environment of the database.
    pub environment: Environment,
    /// The seeds, in the order of loading.
    pub seeds: Vec<SeedResult>,
}

/// The result for one seed.
#[derive(Clone, Debug, Serialize)]
pub struct SeedResult {
    /// The name of the seed.
    pub seed: String,
    /// The number of rows that this run has loaded.
    pub loaded: u64,
    /// The number of rows after this run.
    pub rows: u64,
}

impl fmt::Display for SeedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "environment: {}", self.environment)?;
        self.seeds.iter().try_for_each(|seed| write!(f, "\n{seed}"))
    }
}

impl fmt::Display for SeedResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:20} ", self.seed)?;
        match (self.loaded, self.rows) {
            // A seed that generates no rows contains its data as SQL.
            (0, 1) => write!(f, "already loaded"),
            (_, 1) => write!(f, "loaded"),
            (0, rows) => write!(f, "already loaded ({rows} rows)"),
            (loaded, rows) if loaded == rows => write!(f, "{rows} rows"),
            (loaded, rows) => write!(f, "{rows} rows, {loaded} of them new"),
        }
    }
}

/// Parses the seeds of a project, in the order of loading.
pub fn seeds(project: &Project) -> Result<Vec<Seed>, Error> {
    project.seeds.iter().map(Seed::parse).collect()
}

/// Loads the missing rows of seeds, one seed after another. The role must own the tables.
///
/// Fails for a production database (see [`migrations::set_environment`]) and if migrations are pending.
/// Row `k` of a seed is always the same, so a larger scale adds rows, and a smaller one removes
/// none. If a seed has changed since it was loaded, this fails before loading anything.
pub async fn seed(
    project: &Project,
    database: &Database,
    options: &SeedOptions,
    progress: OnProgress<'_>,
    report: Report<'_>,
) -> Result<SeedReport, Error> {
    let seeds = select(seeds(project)?, &options.only)?;
    let mut session = Session::connect(database, report).await?;
    session.reject_superuser().await?;
    let connection = &mut session.connection;
    let environment = read_environment(connection).await?;
    if environment.is_production() {
        return Err(Error::Refused(format!(
            "refusing to load sample data into a production database: {} is not marked as any \
             other environment; to mark it, run `migrate bootstrap --environment development`",
            database.address()
        )));
    }
    // Seeds are written for the newest version of the schema.
    ensure_migrated(connection, project).await?;
    let ledger = SeedLedger { table: format!("{}._migrate_seeds", project.schema) };
    ledger.create_if_missing(connection).await?;
    let mut missing = Vec::new();
    for seed in &seeds {
        let rows = options.scale.filter(|_| seed.scales).unwrap_or(seed.rows);
        missing.push(ledger.missing(connection, seed, rows).await?);
    }
    let mut results = Vec::new();
    for (seed, missing) in seeds.iter().zip(missing) {
        let mut loader = Loader { connection: &mut *connection, ledger: &ledger, seed, progress };
        results.push(loader.load(missing).await?);
    }
    session.close().await;
    Ok(SeedReport { environment, seeds: results })
}

/// Returns the seeds with these names, or all seeds if there are no names.
fn select(mut seeds: Vec<Seed>, only: &[String]) -> Result<Vec<Seed>, Error> {
    let has_name = |seed: &Seed, name: &str| {
        let (_, short) = seed.name.split_once('_').unwrap_or_default();
        seed.name == name || short == name
    };
    if let Some(name) = only.iter().find(|name| !seeds.iter().any(|seed| has_name(seed, name))) {
        let known: Vec<_> = seeds.iter().map(|seed| seed.name.as_str()).collect();
        return Err(Error::Usage(format!(
            "unknown seed {name}; available seeds: {}",
            known.join(", ")
        )));
    }
    if !only.is_empty() {
        seeds.retain(|seed| only.iter().any(|name| has_name(seed, name)));
    }
    Ok(seeds)
}

/// A range of a seed's rows, which is claimed and loaded in one transaction. The last block may
/// grow later.
#[derive(Clone, Copy)]
struct Block {
    /// The 0-based number of the block.
    number: u64,
    /// The number of rows it should have, at most [`BLOCK_ROWS`].
    rows: u64,
}

impl Block {
    /// Returns the blocks of a seed with this number of rows.
    fn all(rows: u64) -> impl Iterator<Item = Block> {
        (0..rows.div_ceil(BLOCK_ROWS))
            .map(move |number| Block { number, rows: BLOCK_ROWS.min(rows - number * BLOCK_ROWS) })
    }
}

/// The missing blocks of a seed.
struct Missing {
    blocks: Vec<Block>,
    /// The number of rows that are loaded already.
    loaded: u64,
    /// The number of rows after loading the blocks.
    total: u64,
}

/// The table of loaded blocks, with the checksums of their files.
struct SeedLedger {
    table: String,
}

impl SeedLedger {
    async fn create_if_missing(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let table = &self.table;
        // `CREATE ... IF NOT EXISTS` would require the CREATE privilege even when the table exists,
        // and concurrent executions can conflict in the catalog.
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
               NULL; -- Created concurrently.
             END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
        Ok(())
    }

    /// Returns the blocks that are missing from the first `rows` rows.
    async fn missing(
        &self,
        connection: &mut PgConnection,
        seed: &Seed,
        rows: u64,
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
        let missing_rows = |block: &Block| {
            block.rows.saturating_sub(found.get(&block.number).copied().unwrap_or_default())
        };
        let blocks: Vec<_> = Block::all(rows).filter(|block| missing_rows(block) > 0).collect();
        let total = loaded + blocks.iter().map(missing_rows).sum::<u64>();
        Ok(Missing { blocks, loaded, total })
    }

    /// Tries to lock the block until the end of the transaction. Returns whether it succeeded.
    async fn try_lock(
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

    /// Claims the block, and returns the number of rows it has had so far.
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
        // If another run has changed the row despite the lock, this updates nothing.
        let sql = format!(
            "INSERT INTO {table} AS claimed (seed, block, rows, checksum) VALUES ($1, $2, $3, $4)
             ON CONFLICT (seed, block) DO UPDATE SET rows = greatest($3, claimed.rows), loaded_at = now()
             WHERE claimed.rows = $5 AND claimed.checksum = $4"
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
        "{}.sql has changed since it was loaded, and loaded rows are never replaced; start with an \
         empty database, or load only other seeds with `--only`",
        seed.name
    ))
}

/// Loads one seed.
struct Loader<'r> {
    connection: &'r mut PgConnection,
    ledger: &'r SeedLedger,
    seed: &'r Seed,
    progress: OnProgress<'r>,
}

impl Loader<'_> {
    fn report(&self, rows: u64, total: u64) {
        (self.progress)(SeedProgress { seed: &self.seed.name, rows: rows.min(total), total });
    }

    /// Loads the missing blocks, and waits for those that another run is loading.
    async fn load(&mut self, missing: Missing) -> Result<SeedResult, Error> {
        let Missing { mut blocks, loaded, total } = missing;
        let name = self.seed.name.clone();
        if blocks.is_empty() {
            return Ok(SeedResult { seed: name, loaded: 0, rows: total });
        }
        let mut added = 0;
        self.report(loaded, total);
        let mut backoff = block_backoff();
        while !blocks.is_empty() {
            let mut busy = Vec::new();
            for &block in &blocks {
                match self.load_block(block, loaded + added, total).await? {
                    Some(rows) => added += rows,
                    None => busy.push(block),
                }
            }
            if busy.len() < blocks.len() {
                backoff = block_backoff();
            } else if !backoff.pause().await {
                return Err(Error::Unavailable(format!("another run is still loading {name}")));
            }
            blocks = busy;
        }
        self.report(total, total);
        Ok(SeedResult { seed: name, loaded: added, rows: total })
    }

    /// Loads the missing rows of a block in one transaction, and returns their number. Returns
    /// `None` if another run is loading the block.
    async fn load_block(
        &mut self,
        block: Block,
        done: u64,
        total: u64,
    ) -> Result<Option<u64>, Error> {
        let (ledger, seed, progress) = (self.ledger, self.seed, self.progress);
        let mut transaction = self.connection.begin().await?;
        if !ledger.try_lock(&mut transaction, seed, block).await? {
            return Ok(None);
        }
        let before = ledger.claim(&mut transaction, seed, block).await?;
        if before >= block.rows {
            return Ok(Some(0));
        }
        let first = block.number * BLOCK_ROWS;
        let rows = first + before + 1..=first + block.rows;
        let added = block.rows - before;
        // The SQL may change a row that another run has locked until it commits its block.
        let prepare = format!("SET LOCAL lock_timeout = '60s'; {}", seed.create_table());
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *transaction).await?;
        let report = |rows: u64| {
            progress(SeedProgress { seed: &seed.name, rows: (done + rows).min(total), total });
        };
        copy(&mut transaction, seed, rows, &report).await?;
        let before = TransactionState::read(&mut transaction).await?;
        for statement in split(&seed.sql) {
            let result =
                sqlx::raw_sql(AssertSqlSafe(statement.text)).execute(&mut *transaction).await;
            result.map_err(|error| failed(seed, &statement, error))?;
        }
        if TransactionState::read(&mut transaction).await? != before {
            return Err(Error::Integrity(format!(
                "{} ends its transaction or changes the role or search_path; remove the statement \
                 that does",
                seed.file()
            )));
        }
        let commit = Statement { text: "COMMIT", line: seed.sql.lines().count() };
        transaction.commit().await.map_err(|error| failed(seed, &commit, error))?;
        Ok(Some(added))
    }
}

fn failed(seed: &Seed, statement: &Statement<'_>, error: sqlx::Error) -> Error {
    let next = "this block of rows was rolled back; fix the file, then run `migrate seed` again";
    Error::statement_failed(&seed.file(), statement, error, next.to_owned())
}

fn block_backoff() -> Backoff {
    Backoff::new(Duration::from_millis(20), Duration::from_secs(1), BLOCK_WAIT)
}

/// Generates rows into the temporary table in chunks, and reports the number of rows after each
/// chunk.
async fn copy(
    transaction: &mut PgConnection,
    seed: &Seed,
    rows: std::ops::RangeInclusive<u64>,
    report: &(dyn Fn(u64) + Sync),
) -> Result<(), Error> {
    let mut copy = transaction.copy_in_raw("COPY pg_temp.fake FROM STDIN").await?;
    let mut chunk = String::with_capacity(CHUNK_BYTES + 1024);
    for (row, count) in rows.zip(1..) {
        seed.write_row(row, &mut chunk);
        if chunk.len() >= CHUNK_BYTES {
            copy.send(chunk.as_bytes()).await?;
            chunk.clear();
            report(count);
        }
    }
    copy.send(chunk.as_bytes()).await?;
    copy.finish().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use migrations::SqlFile;

    #[test]
    fn blocks_cover_every_row_once() {
        let blocks = |rows| {
            let blocks = Block::all(rows).map(|block| (block.number, block.rows));
            blocks.collect::<Vec<_>>()
        };
        assert_eq!(blocks(0), []);
        assert_eq!(blocks(1), [(0, 1)]);
        assert_eq!(blocks(BLOCK_ROWS), [(0, BLOCK_ROWS)]);
        assert_eq!(blocks(2 * BLOCK_ROWS + 7), [(0, BLOCK_ROWS), (1, BLOCK_ROWS), (2, 7)]);
    }

    #[test]
    fn seeds_are_selected_by_name_in_project_order() {
        let files = ["01_words", "02_people", "03_more_people"];
        let project = Project {
            seeds: files.map(|name| SqlFile { name: name.into(), text: String::new() }).into(),
            ..Project::built_in()
        };
        let names = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|&name| name.to_owned()).collect();
            let selected = select(seeds(&project)?, &only)?;
            Ok::<_, Error>(selected.into_iter().map(|seed| seed.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), files);
        assert_eq!(names(&["people", "01_words"]).unwrap(), ["01_words", "02_people"]);
        assert_eq!(
            names(&["peopl"]).unwrap_err().to_string(),
            "unknown seed peopl; available seeds: 01_words, 02_people, 03_more_people"
        );
    }
}
