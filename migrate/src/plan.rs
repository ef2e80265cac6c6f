//! `migrate plan`: the SQL that `up` or `down` would run, its locks, and the sizes of the tables.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sqlx::postgres::types::Oid;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use migrations::sql::{
    NameChange, RelationName, Statement, includes_children, is_create_if_not_exists,
    is_create_index, is_create_temporary, name_change, parse_search_path, split,
};
use migrations::{Database, Error, Migration, Project, Report, RevertTo, Script};

use crate::lint::{Finding, lint_script};
use crate::relation_locks::{LockMode, RelationLock, Work, relation_locks};

/// The planned run. [`fmt::Display`] formats it as SQL: the text of the files, with locks and sizes
/// in comments.
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
    /// `false` if the relation exists, even if the statement is a `CREATE`.
    pub new: bool,
    /// The current size. `None` if the relation is new, does not exist, or stores no rows.
    pub size: Option<Size>,
}

/// The size of a relation including its partitions, and the tables that inherit from it if the
/// statement applies to them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    /// Bytes on disk, including indexes.
    pub bytes: i64,
    /// The estimated number of rows as of the last `VACUUM` or `ANALYZE`. `None` before the first
    /// one.
    pub rows: Option<i64>,
}

migrations::from_row!(Size { bytes, rows });

/// A relation that exists in the database.
struct Relation {
    oid: Oid,
    name: String,
    schema: String,
    size: Size,
    has_rows: bool,
    /// The table of an index.
    table_oid: Option<Oid>,
}

migrations::from_row!(Relation { oid, name, schema, has_rows, table_oid; size });

/// Finds a relation by OID `$1`, or by schema `$2` and name `$3`. Its size includes that of the
/// tables that inherit from it if `$4`. Needs no privileges.
const RELATION: &str = "
    WITH RECURSIVE named AS (
        SELECT c.oid, c.relname, n.nspname, c.relkind
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = $1 OR $1 IS NULL AND n.nspname = $2 AND c.relname = $3
    ),
    tree (oid) AS (
        SELECT oid FROM named
        UNION
        SELECT child.oid FROM tree
        JOIN pg_catalog.pg_inherits ON inhparent = tree.oid
        JOIN pg_catalog.pg_class child ON child.oid = inhrelid AND (child.relispartition OR $4)
    )
    SELECT oid, format('%I.%I', nspname, relname) AS name, nspname::text AS schema,
           coalesce(size.bytes, 0) AS bytes,
           size.rows,
           relkind IN ('r', 'p', 'm', 'f', 'i', 'I') AS has_rows,
           (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = named.oid) AS table_oid
    FROM named CROSS JOIN (
        SELECT sum(pg_total_relation_size(oid))::bigint AS bytes,
               CASE WHEN bool_and(reltuples >= 0) THEN sum(reltuples)::bigint END AS rows
        FROM tree JOIN pg_catalog.pg_class USING (oid)
        WHERE relkind NOT IN ('p', 'I')
    ) AS size";

/// The tables that the foreign keys of table `$1` reference. Dropping the table drops the triggers
/// on them.
const REFERENCED: &str = "
    SELECT DISTINCT confrelid FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND conrelid = $1 AND confrelid <> $1 ORDER BY confrelid";

/// Plans `up` or, with `revert_to`, `down`.
pub async fn plan(
    project: &Project,
    database: &Database,
    to: Option<i64>,
    revert_to: Option<RevertTo>,
    report: Report<'_>,
) -> Result<Plan, Error> {
    let mut run = migrations::scripts_to_run(project, database, to, revert_to, report).await?;
    let scripts = std::mem::take(&mut run.scripts);
    let plan = describe(run.connection(), project, &scripts).await?;
    run.close().await;
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
    let mut catalog = Catalog {
        connection: &mut transaction,
        search_path: Vec::new(),
        relations: BTreeMap::new(),
        schemas: BTreeMap::new(),
    };
    let mut planned = Vec::with_capacity(scripts.len());
    for (migration, script) in scripts {
        // The runner resets the settings of each file.
        catalog.set_search_path("RESET search_path").await?;
        let mut statements = Vec::new();
        for statement in split(&script.sql) {
            statements.push(catalog.describe(&script.file, statement).await?);
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

/// The relations of the database, and what the plan has changed about them so far.
struct Catalog<'a> {
    connection: &'a mut PgConnection,
    /// The schemas in which unqualified names are looked up.
    search_path: Vec<String>,
    /// The relations of which the plan has changed the name, by schema and name.
    relations: BTreeMap<(String, String), Fate>,
    /// The schemas that the plan creates (`true`) or drops.
    schemas: BTreeMap<String, bool>,
}

/// What a name denotes after the statements planned so far.
#[derive(Clone, Copy)]
enum Fate {
    /// A relation that the plan creates.
    Created,
    /// A relation of the database, renamed.
    Renamed(Oid),
    /// No relation: it has been dropped or renamed.
    Gone,
}

/// What a name denotes.
enum Found {
    Existing(Relation),
    /// Created by the plan in this schema.
    Created(String),
}

impl Found {
    fn schema(&self) -> &str {
        match self {
            Found::Existing(relation) => &relation.schema,
            Found::Created(schema) => schema,
        }
    }
}

/// The schema of temporary relations, which is searched first.
const TEMPORARY: &str = "pg_temp";

impl Catalog<'_> {
    async fn describe(
        &mut self,
        file: &str,
        statement: Statement<'_>,
    ) -> Result<PlannedStatement, Error> {
        let Statement { text, line } = statement;
        let locks = match relation_locks(text) {
            None => None,
            Some(relation_locks) => Some(self.all_locks(text, relation_locks).await?),
        };
        match name_change(text) {
            Some(NameChange::SearchPath) => {
                let set = self.set_search_path(text).await;
                set.map_err(|error| {
                    let next = "nothing has been changed; fix the file".to_owned();
                    Error::statement_failed(file, &statement, error, next)
                })?;
            }
            Some(NameChange::CreateSchema(schema)) => {
                self.schemas.insert(schema, true);
            }
            Some(NameChange::DropSchemas(schemas)) => {
                self.relations.retain(|(schema, _), _| !schemas.contains(schema));
                self.schemas.extend(schemas.into_iter().map(|schema| (schema, false)));
            }
            Some(NameChange::Rename(name, new)) => self.rename(&name, None, Some(new)).await?,
            Some(NameChange::SetSchema(name, schema)) => {
                self.rename(&name, Some(schema), None).await?;
            }
            None => {}
        }
        Ok(PlannedStatement { line, sql: text.to_owned(), locks })
    }

    /// Sets the search path of the transaction as a statement of a file does.
    async fn set_search_path(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *self.connection).await?;
        let (path, role): (String, String) =
            sqlx::query_as("SELECT current_setting('search_path'), current_user::text")
                .fetch_one(&mut *self.connection)
                .await?;
        let schema = |schema: String| if schema == "$user" { role.clone() } else { schema };
        self.search_path = parse_search_path(&path).into_iter().map(schema).collect();
        Ok(())
    }

    /// Returns all locks of a statement.
    async fn all_locks(
        &mut self,
        text: &str,
        locks: Vec<RelationLock>,
    ) -> Result<Vec<PlannedLock>, Error> {
        let if_not_exists = is_create_if_not_exists(text);
        let mut is_skipped = false;
        let mut planned = Vec::new();
        // An index is created in the schema of its table, which its statement names second.
        let table = match locks.as_slice() {
            [index, table] if index.work == Some(Work::Creates) && is_create_index(text) => {
                self.find(RelationName::parse(&table.relation).as_ref(), false).await?
            }
            _ => None,
        };
        let home = match &table {
            Some(table) => Some(table.schema().to_owned()),
            None if is_create_temporary(text) => Some(TEMPORARY.to_owned()),
            None => None,
        };
        for lock in locks {
            if lock.work == Some(Work::Creates) {
                let Some(created) = self.create(&lock, home.as_deref()).await? else {
                    planned.push(PlannedLock { new: true, ..planned_lock(&lock, None) });
                    continue;
                };
                if !if_not_exists {
                    // The statement will fail.
                    let size = created.has_rows.then_some(created.size);
                    planned.push(PlannedLock { work: None, ..planned_lock(&lock, size) });
                }
                is_skipped = if_not_exists;
                continue;
            }
            if !is_skipped {
                planned.extend(self.locks(lock, includes_children(text)).await?);
            } else if table.is_some() {
                // Before it notices the index, the statement locks the table.
                let lock = RelationLock { work: None, ..lock };
                planned.extend(self.locks(lock, false).await?);
            }
        }
        Ok(planned)
    }

    /// Records that a statement creates a relation, in the schema `home` if its name has none.
    /// Returns the relation if it exists already.
    async fn create(
        &mut self,
        lock: &RelationLock,
        home: Option<&str>,
    ) -> Result<Option<Relation>, Error> {
        let Some(RelationName { schema, name }) = RelationName::parse(&lock.relation) else {
            return Ok(None);
        };
        let schema = match schema.or_else(|| home.map(str::to_owned)) {
            Some(schema) => schema,
            None => match self.creation_schema().await? {
                Some(schema) => schema,
                None => return Ok(None),
            },
        };
        let found = self.find_in(&schema, &name, false).await?;
        if let Some(Found::Existing(relation)) = found {
            return Ok(Some(relation));
        }
        self.relations.insert((schema, name), Fate::Created);
        Ok(None)
    }

    /// Returns the first schema of the search path that exists.
    async fn creation_schema(&mut self) -> Result<Option<String>, Error> {
        for schema in self.search_path.clone() {
            let exists = match self.schemas.get(&schema) {
                Some(exists) => *exists,
                None => {
                    let sql = "SELECT to_regnamespace(quote_ident($1)) IS NOT NULL";
                    let query = sqlx::query_as(sql).bind(&schema);
                    let (exists,) = query.fetch_one(&mut *self.connection).await?;
                    exists
                }
            };
            if exists {
                return Ok(Some(schema));
            }
        }
        Ok(None)
    }

    /// Returns the lock on a named relation and the implicit locks that accompany it.
    async fn locks(
        &mut self,
        lock: RelationLock,
        children: bool,
    ) -> Result<Vec<PlannedLock>, Error> {
        let RelationLock { table_mode, work, .. } = lock;
        let name = RelationName::parse(&lock.relation);
        let found = match self.find(name.as_ref(), children).await? {
            None => return Ok(vec![planned_lock(&lock, None)]),
            Some(found) => found,
        };
        if let Some(name) = name
            && work == Some(Work::Removes)
        {
            self.relations.insert((found.schema().to_owned(), name.name), Fate::Gone);
        }
        let found = match found {
            Found::Existing(found) => found,
            Found::Created(_) => {
                return Ok(vec![PlannedLock { new: true, ..planned_lock(&lock, None) }]);
            }
        };
        let mut locks = vec![planned_lock(&lock, found.has_rows.then_some(found.size))];
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
            let table = self.relation(Some(table), None, false).await?;
            locks.extend(table.map(|table| PlannedLock {
                relation: table.name,
                mode,
                blocks: mode.blocks(),
                work: None,
                cascades: false,
                new: false,
                size: Some(table.size),
            }));
        }
        Ok(locks)
    }

    /// Records that a relation has a new schema or name.
    async fn rename(
        &mut self,
        name: &RelationName,
        schema: Option<String>,
        new: Option<String>,
    ) -> Result<(), Error> {
        let Some(found) = self.find(Some(name), false).await? else { return Ok(()) };
        let old_schema = found.schema().to_owned();
        let fate = match found {
            Found::Existing(relation) => Fate::Renamed(relation.oid),
            Found::Created(_) => Fate::Created,
        };
        self.relations.insert((old_schema.clone(), name.name.clone()), Fate::Gone);
        let key = (schema.unwrap_or(old_schema), new.unwrap_or_else(|| name.name.clone()));
        self.relations.insert(key, fate);
        Ok(())
    }

    /// Finds a relation by name, as PostgreSQL would after the statements planned so far.
    async fn find(
        &mut self,
        name: Option<&RelationName>,
        children: bool,
    ) -> Result<Option<Found>, Error> {
        let Some(RelationName { schema, name }) = name else { return Ok(None) };
        if let Some(schema) = schema {
            return self.find_in(schema, name, children).await;
        }
        let mut schemas = vec![TEMPORARY.to_owned()];
        if !self.search_path.iter().any(|schema| schema == "pg_catalog") {
            schemas.push("pg_catalog".to_owned());
        }
        schemas.extend(self.search_path.clone());
        for schema in schemas {
            if let Some(found) = self.find_in(&schema, name, children).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn find_in(
        &mut self,
        schema: &str,
        name: &str,
        children: bool,
    ) -> Result<Option<Found>, Error> {
        let fate = self.relations.get(&(schema.to_owned(), name.to_owned())).copied();
        let relation = match fate {
            Some(Fate::Created) => return Ok(Some(Found::Created(schema.to_owned()))),
            Some(Fate::Gone) => None,
            Some(Fate::Renamed(oid)) => self.relation(Some(oid), None, children).await?,
            None if self.schemas.get(schema) == Some(&false) => None,
            None => self.relation(None, Some((schema, name)), children).await?,
        };
        // A renamed relation has its new schema.
        let relation = relation.map(|relation| Relation { schema: schema.to_owned(), ..relation });
        Ok(relation.map(Found::Existing))
    }

    async fn relation(
        &mut self,
        oid: Option<Oid>,
        name: Option<(&str, &str)>,
        children: bool,
    ) -> Result<Option<Relation>, Error> {
        let query = sqlx::query_as(RELATION)
            .bind(oid)
            .bind(name.map(|(schema, _)| schema))
            .bind(name.map(|(_, name)| name))
            .bind(children);
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }
}

/// Returns the lock on the relation that a statement names.
fn planned_lock(lock: &RelationLock, size: Option<Size>) -> PlannedLock {
    let RelationLock { relation, mode, work, cascades, .. } = lock;
    PlannedLock {
        relation: relation.clone(),
        mode: *mode,
        blocks: mode.blocks(),
        work: *work,
        cascades: *cascades,
        new: false,
        size,
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
    use super::*;
    use katas_host::local::postgres::{Postgres, PostgresInstall};

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
