//! `migrate plan`: what `up` or `down` would run, what it would lock, and how large that is.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use sqlx::postgres::types::Oid;
use sqlx::{Connection, PgConnection};

use crate::Error;
use crate::event::Report;
use crate::ledger::{OutOfOrder, RevertTo, pending, to_revert};
use crate::lint::{Finding, lint_script};
use crate::postgres::Database;
use crate::project::{Migration, Project, Script};
use crate::sql::{LockMode, RelationLock, RelationName, Statement, Work, relation_locks, split};

/// What a run would do. [`fmt::Display`] formats it as SQL that consists of the files, with the
/// rest in comments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The scripts, in the order of their execution.
    pub scripts: Vec<PlannedScript>,
}

/// A script that would run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedScript {
    /// The version of the migration.
    pub version: i64,
    /// The name of the migration.
    pub name: String,
    /// The file name.
    pub file: String,
    /// Whether the script runs in one transaction.
    pub transactional: bool,
    /// The text of the file.
    pub sql: String,
    /// The statements of the file.
    pub statements: Vec<PlannedStatement>,
    /// The findings of `lint` for the file.
    pub findings: Vec<Finding>,
}

/// A statement that would run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStatement {
    /// The 1-based line in its file.
    pub line: usize,
    /// The text of the statement.
    pub sql: String,
    /// The locks that it takes. `None` if its text does not determine them.
    pub locks: Option<Vec<PlannedLock>>,
}

/// A lock that a statement would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedLock {
    /// The relation as named in the statement, or qualified with its schema if it is locked
    /// implicitly.
    pub relation: String,
    /// The strongest mode in which the statement locks the relation.
    pub mode: LockMode,
    /// Which operations of other sessions the lock blocks.
    pub blocks: &'static str,
    /// The work on the relation, if any.
    pub work: Option<Work>,
    /// Whether dependent objects are affected too: `CASCADE`.
    pub cascades: bool,
    /// Whether this plan creates the relation, so that no other session can wait for the lock.
    pub new: bool,
    /// The current size. `None` if the relation is new, does not exist, or stores no rows.
    pub size: Option<Size>,
}

/// The size of a relation including its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Size {
    /// Bytes on disk, including indexes.
    pub bytes: i64,
    /// The estimated number of rows as of the last `VACUUM` or `ANALYZE`. `None` before the first
    /// one.
    pub rows: Option<i64>,
}

/// A relation that exists in the database.
#[derive(sqlx::FromRow)]
struct Relation {
    oid: Oid,
    name: String,
    #[sqlx(flatten)]
    size: Size,
    has_rows: bool,
    /// The table of an index.
    table_oid: Option<Oid>,
}

/// Finds a relation by OID `$1`, or by schema `$2` and name `$3`. Needs no privileges.
const RELATION: &str = "
    SELECT c.oid,
           format('%I.%I', n.nspname, c.relname) AS name,
           coalesce(size.bytes, 0) AS bytes,
           size.rows,
           c.relkind IN ('r', 'p', 'm', 'f', 'i', 'I') AS has_rows,
           (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = c.oid) AS table_oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT sum(pg_total_relation_size(leaf.oid))::bigint AS bytes,
               CASE WHEN bool_and(leaf.reltuples >= 0) THEN sum(leaf.reltuples)::bigint END AS rows
        FROM pg_catalog.pg_class leaf
        WHERE leaf.oid = c.oid AND c.relkind NOT IN ('p', 'I')
           OR leaf.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf)
    ) AS size
    WHERE c.oid = $1 OR $1 IS NULL AND n.nspname = $2 AND c.relname = $3";

/// The tables that the foreign keys of table `$1` reference. Dropping the table drops the triggers
/// on them.
const REFERENCED: &str = "
    SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND conrelid = $1 AND confrelid <> $1 ORDER BY confrelid";

/// Returns what `up` would do, or, with `revert_to`, what `down` would do.
pub async fn plan(
    project: &Project,
    database: &Database,
    to: Option<i64>,
    revert_to: Option<RevertTo>,
    report: Report<'_>,
) -> Result<Plan, Error> {
    let to = match to {
        Some(version) => project.migration(version)?.version,
        None => i64::MAX,
    };
    let (mut session, applied) = super::connect(project, database, report).await?;
    let scripts: Vec<_> = match revert_to {
        Some(revert_to) => to_revert(project, &applied, revert_to)?,
        None => pending(project, &applied, OutOfOrder::Refuse)?
            .into_iter()
            .filter(|migration| migration.version <= to)
            .map(|migration| (migration, &migration.up))
            .collect(),
    };
    let plan = describe(&mut session.connection, project, &scripts).await?;
    session.close().await;
    Ok(plan)
}

/// Plans scripts in this order. Reads the catalog in one `READ ONLY` transaction. If another
/// session holds an exclusive lock on a relation, this waits for it, for at most `lock_timeout`.
async fn describe(
    connection: &mut PgConnection,
    project: &Project,
    scripts: &[(&Migration, &Script)],
) -> Result<Plan, Error> {
    let mut transaction = connection.begin_with("BEGIN READ ONLY").await?;
    let mut catalog = Catalog { connection: &mut transaction, created: BTreeSet::new() };
    let mut planned = Vec::with_capacity(scripts.len());
    for (migration, script) in scripts {
        let mut statements = Vec::new();
        for statement in split(&script.sql) {
            statements.push(catalog.describe(statement).await?);
        }
        planned.push(PlannedScript {
            version: migration.version,
            name: migration.name.clone(),
            file: script.file.clone(),
            transactional: script.transactional,
            sql: script.sql.clone(),
            statements,
            findings: lint_script(project, script, script.file != migration.up.file),
        });
    }
    transaction.rollback().await?;
    Ok(Plan { scripts: planned })
}

/// The relations of the database, and those that the plan has created so far.
struct Catalog<'a> {
    connection: &'a mut PgConnection,
    created: BTreeSet<RelationName>,
}

impl Catalog<'_> {
    async fn describe(
        &mut self,
        Statement { text, line }: Statement<'_>,
    ) -> Result<PlannedStatement, Error> {
        let locks = match relation_locks(text) {
            None => None,
            Some(relation_locks) => {
                let mut locks = Vec::new();
                for lock in relation_locks {
                    locks.extend(self.locks(lock).await?);
                }
                Some(locks)
            }
        };
        Ok(PlannedStatement { line, sql: text.to_owned(), locks })
    }

    /// Returns the lock on a named relation and the implicit locks that accompany it.
    async fn locks(&mut self, lock: RelationLock) -> Result<Vec<PlannedLock>, Error> {
        let RelationLock { relation, mode, table_mode, work, cascades } = lock;
        let name = RelationName::parse(&relation);
        let planned = |relation: String, mode: LockMode, size| PlannedLock {
            relation,
            mode,
            blocks: mode.blocks(),
            work: None,
            cascades: false,
            new: false,
            size,
        };
        let named = |new, size| PlannedLock {
            work,
            cascades,
            new,
            ..planned(relation.clone(), mode, size)
        };
        if let Some(name) = &name
            && (work == Some(Work::Creates) || self.created.contains(name))
        {
            match work {
                Some(Work::Creates) => self.created.insert(name.clone()),
                Some(Work::Removes) => self.created.remove(name),
                _ => false,
            };
            return Ok(vec![named(true, None)]);
        }
        let Some(found) = self.find(name.as_ref()).await? else {
            return Ok(vec![named(false, None)]);
        };
        let mut locks = vec![named(false, found.has_rows.then_some(found.size))];
        let mut implicit = Vec::new();
        if let (Some(mode), Some(table)) = (table_mode, found.table_oid) {
            implicit.push((table, mode));
        }
        if work == Some(Work::Removes) {
            let referenced: Vec<(Oid,)> =
                sqlx::query_as(REFERENCED).bind(found.oid).fetch_all(&mut *self.connection).await?;
            implicit
                .extend(referenced.into_iter().map(|(table,)| (table, LockMode::AccessExclusive)));
        }
        for (table, mode) in implicit {
            let table = self.relation(Some(table), None).await?;
            locks.extend(table.map(|table| planned(table.name, mode, Some(table.size))));
        }
        Ok(locks)
    }

    /// Finds a relation by name. An unqualified name denotes none, because the `search_path` is
    /// empty.
    async fn find(&mut self, name: Option<&RelationName>) -> Result<Option<Relation>, Error> {
        match name.and_then(|name| Some((name.schema.as_deref()?, name.name.as_str()))) {
            Some(name) => self.relation(None, Some(name)).await,
            None => Ok(None),
        }
    }

    async fn relation(
        &mut self,
        oid: Option<Oid>,
        name: Option<(&str, &str)>,
    ) -> Result<Option<Relation>, Error> {
        let query = sqlx::query_as(RELATION)
            .bind(oid)
            .bind(name.map(|(schema, _)| schema))
            .bind(name.map(|(_, name)| name));
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, script) in self.scripts.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{script}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PlannedScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.transactional { "in one transaction" } else { "statement by statement" };
        writeln!(f, "-- {}, {how}\n", self.file)?;
        writeln!(f, "{}\n", self.sql.trim_end())?;
        let locks = self.statements.iter().flat_map(|statement| statement.locks.iter().flatten());
        let width = locks.map(|lock| lock.relation.chars().count()).max().unwrap_or(0);
        for PlannedStatement { line, locks, .. } in &self.statements {
            let Some(locks) = locks else {
                writeln!(f, "-- line {line:>4}  locks unknown: not determined by the text")?;
                continue;
            };
            for lock in locks {
                writeln!(f, "-- line {line:>4}  {:width$}  {lock}", lock.relation)?;
            }
        }
        for finding in &self.findings {
            let text = finding.to_string();
            text.lines().try_for_each(|line| writeln!(f, "-- {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for PlannedLock {
    /// Omits the name of the relation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.new {
            return f.write_str("new");
        }
        write!(f, "{}: {}", self.mode, self.blocks)?;
        self.work.iter().try_for_each(|work| write!(f, "; {work}"))?;
        if self.cascades {
            f.write_str(" and its dependent objects")?;
        }
        self.size.iter().try_for_each(|size| write!(f, "; {size}"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As pg_size_pretty: switches to the next unit at ten of it.
        let units = ["bytes", "kB", "MB", "GB", "TB"];
        let (mut amount, mut unit) = (self.bytes, 0);
        while amount >= 10 * 1024 && unit + 1 < units.len() {
            (amount, unit) = (amount / 1024 + amount % 1024 / 512, unit + 1);
        }
        write!(f, "{amount} {}", units[unit])?;
        match self.rows {
            Some(rows) => write!(f, ", about {rows} rows"),
            None => f.write_str(", never analyzed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use katas_host::local::postgres::{Postgres, PostgresInstall};
    use sqlx::AssertSqlSafe;

    use super::*;

    #[test]
    fn size_is_formatted_as_by_pg_size_pretty() {
        let text = |bytes, rows| Size { bytes, rows }.to_string();
        assert_eq!(text(0, None), "0 bytes, never analyzed");
        assert_eq!(text(10_239, Some(3)), "10239 bytes, about 3 rows");
        assert_eq!(text(10_240, Some(0)), "10 kB, about 0 rows");
        assert_eq!(text(16 << 20, Some(70_000)), "16 MB, about 70000 rows");
        assert_eq!(text(i64::MAX, None), "8388608 TB, never analyzed");
    }

    fn migration(version: i64, sql: &str, transactional: bool) -> Migration {
        let name = format!("{version:04}_x");
        let up = Script { file: format!("{name}.up.sql"), sql: sql.to_owned(), transactional };
        let (description, checksum) = ("x".to_owned(), Vec::new());
        Migration { version, name, description, checksum, up, down: None }
    }

    async fn run(connection: &mut PgConnection, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("the statements run");
    }

    /// Returns relation, mode, newness and row count of each lock of a script.
    fn rows(script: &PlannedScript) -> Vec<(&str, LockMode, bool, Option<Option<i64>>)> {
        let locks = script.statements.iter().flat_map(|statement| statement.locks.iter().flatten());
        locks
            .map(|lock| (&*lock.relation, lock.mode, lock.new, lock.size.map(|size| size.rows)))
            .collect()
    }

    #[tokio::test]
    async fn plan_distinguishes_existing_from_new_relations() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Postgres::start_empty(folder.path(), PostgresInstall::Any, true).await;
        let server = server.expect("the server starts");
        let mut administrator = PgConnection::connect(&server.administrator("postgres"))
            .await
            .expect("the connection opens");
        run(
            &mut administrator,
            r#"CREATE ROLE reader LOGIN PASSWORD 'x';
               CREATE SCHEMA s;
               CREATE TABLE s.u (id bigint CONSTRAINT u_pkey PRIMARY KEY);
               CREATE TABLE s."T" (id bigint, u bigint CONSTRAINT f REFERENCES s.u);
               INSERT INTO s.u SELECT generate_series(1, 1000);
               INSERT INTO s."T" SELECT id, id FROM s.u;
               CREATE INDEX i ON s."T" (id);
               CREATE TABLE s.parts (id bigint) PARTITION BY RANGE (id);
               CREATE TABLE s.part PARTITION OF s.parts FOR VALUES FROM (0) TO (500);
               CREATE TABLE s.rest PARTITION OF s.parts DEFAULT;
               INSERT INTO s.parts SELECT id FROM s.u;
               ANALYZE s.u; ANALYZE s."T"; ANALYZE s.parts;"#,
        )
        .await;
        // A role without USAGE on the schema.
        let mut connection = PgConnection::connect(&server.url("reader", "x", "postgres"))
            .await
            .expect("the connection opens");

        let first = migration(
            1,
            "-- First.\nCREATE TABLE s.n (id bigint);\nCREATE INDEX n_id ON s.n (id);\n\
             ALTER TABLE S.parts\n  ADD COLUMN a text;\nDO $$ BEGIN END $$;\nDROP TABLE s.\"T\";\n",
            true,
        );
        let second = migration(
            2,
            "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS s.i;\nVACUUM s.n;\n\
             ANALYZE s.nowhere;",
            false,
        );
        let before = counts(&mut administrator).await;
        let plan = describe(
            &mut connection,
            &Project::built_in(),
            &[(&first, &first.up), (&second, &second.up)],
        )
        .await;
        let plan = plan.expect("the plan is created");
        assert_eq!(counts(&mut administrator).await, before, "planning writes nothing");

        use LockMode::*;
        assert_eq!(
            rows(&plan.scripts[0]),
            [
                ("s.n", AccessExclusive, true, None),
                ("s.n_id", AccessExclusive, true, None),
                ("s.n", Share, true, None),
                ("S.parts", AccessExclusive, false, Some(Some(1000))),
                ("s.\"T\"", AccessExclusive, false, Some(Some(1000))),
                ("s.u", AccessExclusive, false, Some(Some(1000))),
            ]
        );
        assert_eq!(
            rows(&plan.scripts[1]),
            [
                ("s.i", ShareUpdateExclusive, false, Some(Some(1000))),
                ("s.\"T\"", ShareUpdateExclusive, false, Some(Some(1000))),
                ("s.n", ShareUpdateExclusive, true, None),
                ("s.nowhere", ShareUpdateExclusive, false, None),
            ]
        );
        let lines: Vec<_> =
            plan.scripts[0].statements.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7]);
        assert_eq!(plan.scripts[0].statements[3].locks, None);
        let found: Vec<_> = plan.scripts[0].findings.iter().map(|finding| &*finding.rule).collect();
        assert_eq!(found, ["ban-drop-table"]);

        let text = plan.to_string();
        assert!(text.contains(&first.up.sql), "{text}");
        assert!(
            text.contains("\n-- line    7  s.u      ACCESS EXCLUSIVE: blocks reads and writes; ")
        );
        assert!(text.contains("\n-- line    2  s.n      new\n"), "{text}");
        assert!(text.contains("\n-- line    6  locks unknown: not determined by the text\n"));
        assert!(text.contains("-- 0002_x.up.sql, statement by statement\n"), "{text}");
        // The displayed plan consists of the same statements as the files.
        let both = format!("{}{}", first.up.sql, second.up.sql);
        let texts = |sql: &str| {
            split(sql).iter().map(|statement| statement.text.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(texts(&text), texts(&both));

        // Dropping a table locks the tables that it references.
        run(&mut administrator, "BEGIN; DROP TABLE s.\"T\"").await;
        let (locked,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 's.u'::regclass
                            AND pid = pg_backend_pid() AND mode = 'AccessExclusiveLock')",
        )
        .fetch_one(&mut administrator)
        .await
        .expect("the query runs");
        assert!(locked);
    }

    /// Returns the number of relations, and the next transaction ID to be assigned.
    async fn counts(connection: &mut PgConnection) -> (i64, i64) {
        sqlx::query_as(
            "SELECT count(*), pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM pg_class",
        )
        .fetch_one(connection)
        .await
        .expect("the query runs")
    }
}
