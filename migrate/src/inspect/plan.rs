//! What a run would do: the SQL, what it locks, and how large that is now.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use sqlx::postgres::types::Oid;
use sqlx::{Connection, PgConnection};

use crate::Error;
use crate::lint::{Finding, lint_script};
use crate::project::{Migration, Script};
use crate::statements::{Name, Statement, split};
use crate::touches::{LockMode, Touch, Work, touches};

/// What a run would do. It is displayed as SQL: what is not in the files is in comments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// The files in the order in which they would be run.
    pub scripts: Vec<PlannedScript>,
}

/// A file that would be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedScript {
    /// The migration's number.
    pub version: i64,
    /// The migration's name.
    pub name: String,
    /// The file's name.
    pub file: String,
    /// Whether all of it is one transaction.
    pub transactional: bool,
    /// Its text.
    pub sql: String,
    /// Its statements.
    pub statements: Vec<PlannedStatement>,
    /// What `lint` finds in it.
    pub findings: Vec<Finding>,
}

/// A statement that would be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStatement {
    /// The line in its file, from 1.
    pub line: usize,
    /// Its text.
    pub sql: String,
    /// What it locks; `None` when that cannot be told from its text.
    pub locks: Option<Vec<PlannedLock>>,
}

/// A lock that a statement would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedLock {
    /// The relation: as the statement has it, or with its schema if the statement does not name it.
    pub relation: String,
    /// The strongest lock on it.
    pub mode: LockMode,
    /// What others cannot do meanwhile.
    pub blocks: &'static str,
    /// What takes long, or lasts.
    pub work: Option<Work>,
    /// Whether what depends on it is touched too: `CASCADE`.
    pub cascades: bool,
    /// Whether this statement or one before it makes the relation: nobody else waits for the lock.
    pub new: bool,
    /// How large it is now; `None` when it is new, or not there, or has no rows of its own.
    pub size: Option<Size>,
}

/// How large a relation is, its partitions included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, sqlx::FromRow)]
pub struct Size {
    /// On disk, in bytes, with its indexes.
    pub bytes: i64,
    /// About so many rows, as of when it was analysed or vacuumed last; `None` when it never was.
    pub rows: Option<i64>,
}

/// A relation that is there now.
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

/// By its OID, or else by its schema and name. Everybody may read these rows, and the sizes too.
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

/// The tables at the other end of a table's foreign keys: dropping it drops triggers on them.
const REFERENCED: &str = "
    SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND conrelid = $1 AND confrelid <> $1 ORDER BY confrelid";

/// Describes these files, in this order. Makes nothing: all that it reads, it reads in one
/// transaction that is `READ ONLY`. A relation that somebody else has locked for himself is waited
/// for, as long as `lock_timeout` allows.
pub(crate) async fn describe(
    connection: &mut PgConnection,
    scripts: &[(&Migration, &Script)],
) -> Result<Plan, Error> {
    let mut transaction = connection.begin_with("BEGIN READ ONLY").await?;
    let mut catalog = Catalog { connection: &mut transaction, made: BTreeSet::new() };
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
            findings: lint_script(script, script.file != migration.up.file),
        });
    }
    transaction.rollback().await?;
    Ok(Plan { scripts: planned })
}

/// What is there now, and what the plan has made so far.
struct Catalog<'a> {
    connection: &'a mut PgConnection,
    made: BTreeSet<Name>,
}

impl Catalog<'_> {
    async fn describe(
        &mut self,
        Statement { text, line }: Statement<'_>,
    ) -> Result<PlannedStatement, Error> {
        let locks = match touches(text) {
            None => None,
            Some(touches) => {
                let mut locks = Vec::new();
                for touch in touches {
                    locks.extend(self.locks(touch).await?);
                }
                Some(locks)
            }
        };
        Ok(PlannedStatement { line, sql: text.to_owned(), locks })
    }

    /// The lock on what a statement names, and those that come with it.
    async fn locks(&mut self, touch: Touch) -> Result<Vec<PlannedLock>, Error> {
        let Touch { relation, lock, table_lock, work, cascades } = touch;
        let name = Name::parse(&relation);
        let planned = |relation: String, mode: LockMode, size| PlannedLock {
            relation,
            mode,
            blocks: mode.blocks(),
            work: None,
            cascades: false,
            new: false,
            size,
        };
        let own = |new, size| PlannedLock {
            work,
            cascades,
            new,
            ..planned(relation.clone(), lock, size)
        };
        if let Some(name) = &name
            && (work == Some(Work::Creates) || self.made.contains(name))
        {
            match work {
                Some(Work::Creates) => self.made.insert(name.clone()),
                Some(Work::Removes) => self.made.remove(name),
                _ => false,
            };
            return Ok(vec![own(true, None)]);
        }
        let Some(found) = self.find(name.as_ref()).await? else {
            return Ok(vec![own(false, None)]);
        };
        let mut locks = vec![own(false, found.has_rows.then_some(found.size))];
        let mut others = Vec::new();
        if let (Some(lock), Some(table)) = (table_lock, found.table_oid) {
            others.push((table, lock));
        }
        if work == Some(Work::Removes) {
            let referenced: Vec<(Oid,)> =
                sqlx::query_as(REFERENCED).bind(found.oid).fetch_all(&mut *self.connection).await?;
            others
                .extend(referenced.into_iter().map(|(table,)| (table, LockMode::AccessExclusive)));
        }
        for (table, lock) in others {
            let table = self.relation(Some(table), None).await?;
            locks.extend(table.map(|table| planned(table.name, lock, Some(table.size))));
        }
        Ok(locks)
    }

    /// A name without a schema is in none: the `search_path` is empty.
    async fn find(&mut self, name: Option<&Name>) -> Result<Option<Relation>, Error> {
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
                writeln!(f, "-- line {line:>4}  what it locks cannot be told from its text")?;
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
    /// Without the relation's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.new {
            return f.write_str("new");
        }
        write!(f, "{}: {}", self.mode, self.blocks)?;
        self.work.iter().try_for_each(|work| write!(f, "; {work}"))?;
        if self.cascades {
            f.write_str(" and what depends on it")?;
        }
        self.size.iter().try_for_each(|size| write!(f, "; {size}"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As pg_size_pretty has it: a unit is left from ten of the next one on.
        let units = ["bytes", "kB", "MB", "GB", "TB"];
        let (mut amount, mut unit) = (self.bytes, 0);
        while amount >= 10 * 1024 && unit + 1 < units.len() {
            (amount, unit) = (amount / 1024 + amount % 1024 / 512, unit + 1);
        }
        write!(f, "{amount} {}", units[unit])?;
        match self.rows {
            Some(rows) => write!(f, ", about {rows} rows"),
            None => f.write_str(", never analysed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use katas_host::local::postgres::{Postgres, Source};
    use sqlx::AssertSqlSafe;

    use super::*;

    #[test]
    fn sizes_are_told_as_postgresql_does() {
        let text = |bytes, rows| Size { bytes, rows }.to_string();
        assert_eq!(text(0, None), "0 bytes, never analysed");
        assert_eq!(text(10_239, Some(3)), "10239 bytes, about 3 rows");
        assert_eq!(text(10_240, Some(0)), "10 kB, about 0 rows");
        assert_eq!(text(16 << 20, Some(70_000)), "16 MB, about 70000 rows");
        assert_eq!(text(i64::MAX, None), "8388608 TB, never analysed");
    }

    fn migration(version: i64, sql: &str, transactional: bool) -> Migration {
        let name = format!("{version:04}_x");
        let up = Script { file: format!("{name}.up.sql"), sql: sql.to_owned(), transactional };
        let (description, checksum) = ("x".to_owned(), Vec::new());
        Migration { version, name, description, checksum, up, down: None }
    }

    async fn run(connection: &mut PgConnection, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("it runs");
    }

    /// Relation, mode, new, rows of each lock of a script.
    fn rows(script: &PlannedScript) -> Vec<(&str, LockMode, bool, Option<Option<i64>>)> {
        let locks = script.statements.iter().flat_map(|statement| statement.locks.iter().flatten());
        locks
            .map(|lock| (&*lock.relation, lock.mode, lock.new, lock.size.map(|size| size.rows)))
            .collect()
    }

    #[tokio::test]
    async fn a_plan_knows_what_is_there_and_what_will_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let server = Postgres::start_empty(folder.path(), Source::Any, true).await;
        let server = server.expect("a server");
        let mut administrator =
            PgConnection::connect(&server.administrator("postgres")).await.expect("connected");
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
        // Somebody who may not even use the schema.
        let mut connection =
            PgConnection::connect(&server.url("reader", "x", "postgres")).await.expect("connected");

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
        let plan = describe(&mut connection, &[(&first, &first.up), (&second, &second.up)]).await;
        let plan = plan.expect("a plan");
        assert_eq!(counts(&mut administrator).await, before, "nothing is made");

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
        let lines: Vec<_> = plan.scripts[0].statements.iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 3, 4, 6, 7]);
        assert_eq!(plan.scripts[0].statements[3].locks, None);
        let found: Vec<_> = plan.scripts[0].findings.iter().map(|one| &*one.rule).collect();
        assert_eq!(found, ["ban-drop-table"]);

        let text = plan.to_string();
        assert!(text.contains(&first.up.sql), "{text}");
        assert!(
            text.contains("\n-- line    7  s.u      ACCESS EXCLUSIVE: blocks reads and writes; ")
        );
        assert!(text.contains("\n-- line    2  s.n      new\n"), "{text}");
        assert!(text.contains("\n-- line    6  what it locks cannot be told from its text\n"));
        assert!(text.contains("-- 0002_x.up.sql, statement by statement\n"), "{text}");
        // What is displayed is SQL that is the same as the files.
        let both = format!("{}{}", first.up.sql, second.up.sql);
        let texts =
            |sql: &str| split(sql).iter().map(|one| one.text.to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(&text), texts(&both));

        // Dropping a table does lock those that it refers to.
        run(&mut administrator, "BEGIN; DROP TABLE s.\"T\"").await;
        let (locked,): (bool,) = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 's.u'::regclass
                            AND pid = pg_backend_pid() AND mode = 'AccessExclusiveLock')",
        )
        .fetch_one(&mut administrator)
        .await
        .expect("the locks");
        assert!(locked);
    }

    /// How many relations there are, and the number that the next transaction that writes will have.
    async fn counts(connection: &mut PgConnection) -> (i64, i64) {
        sqlx::query_as(
            "SELECT count(*), pg_snapshot_xmax(pg_current_snapshot())::text::bigint FROM pg_class",
        )
        .fetch_one(connection)
        .await
        .expect("the counts")
    }
}
