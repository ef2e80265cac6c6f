//! Compares the locks that `relation_locks` predicts for a statement with those that a server takes.

use std::collections::{BTreeMap, BTreeSet};

use katas_host::local::postgres::{Postgres, PostgresInstall};
use migrate::{LockMode, relation_locks};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::RUNTIME;

const SCHEMA: &str = "
    CREATE SCHEMA s;
    CREATE ROLE r;
    CREATE TABLE s.t (id int CONSTRAINT t_pkey PRIMARY KEY, a int, b text DEFAULT 'b');
    CREATE INDEX t_a ON s.t (a);
    CREATE UNIQUE INDEX t_b ON s.t (b);
    ALTER TABLE s.t ADD CONSTRAINT t_check CHECK (a > 0) NOT VALID;
    CREATE TABLE s.u (id int CONSTRAINT u_pkey PRIMARY KEY, t int);
    CREATE TABLE s.parent (id int, k int) PARTITION BY LIST (k);
    CREATE TABLE s.child PARTITION OF s.parent FOR VALUES IN (1);
    CREATE TABLE s.loose (id int, k int);
    CREATE TABLE s.orphan (id int NOT NULL, t int);
    CREATE INDEX parent_id ON ONLY s.parent (id);
    CREATE INDEX child_id ON s.child (id);
    CREATE TABLE s.heir () INHERITS (s.u);
    CREATE VIEW s.v AS SELECT 1 AS a;
    CREATE MATERIALIZED VIEW s.m AS SELECT 1 AS a;
    CREATE UNIQUE INDEX m_a ON s.m (a);
    CREATE SEQUENCE s.q;
    CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.f();
    CREATE POLICY p ON s.t;
    CREATE RULE w AS ON DELETE TO s.u DO NOTHING;
    CREATE TYPE s.e AS ENUM ('a');";

/// Statements to run one by one, each in a transaction that is rolled back.
const STATEMENTS: &[&str] = &[
    "SELECT * FROM s.t",
    "SELECT * FROM s.t FOR UPDATE",
    "SELECT * FROM s.t FOR KEY SHARE",
    "SELECT * FROM s.t x, s.u FOR UPDATE OF x",
    "SELECT * FROM s.t WHERE id IN (SELECT t FROM s.u)",
    "TABLE s.t",
    "WITH t AS (SELECT 1) SELECT * FROM t, s.u",
    "WITH x AS (DELETE FROM s.t RETURNING *) SELECT * FROM x",
    "INSERT INTO s.t SELECT id FROM s.u ON CONFLICT DO NOTHING",
    "UPDATE s.t SET a = 1 FROM s.u WHERE s.u.t = s.t.id",
    "DELETE FROM s.t USING s.u WHERE s.u.t = s.t.id",
    "MERGE INTO s.t USING s.u ON s.u.t = s.t.id WHEN MATCHED THEN DELETE",
    "COPY s.t TO '/dev/null'",
    "COPY s.t FROM '/dev/null'",
    "SELECT id INTO s.new FROM s.t",
    "LOCK TABLE s.t",
    "LOCK TABLE s.t IN ACCESS SHARE MODE",
    "LOCK TABLE s.t IN ROW SHARE MODE",
    "LOCK TABLE s.t IN ROW EXCLUSIVE MODE",
    "LOCK TABLE s.t, s.u IN SHARE MODE",
    "LOCK TABLE s.t IN SHARE UPDATE EXCLUSIVE MODE",
    "LOCK TABLE s.t IN SHARE ROW EXCLUSIVE MODE",
    "LOCK TABLE s.t IN EXCLUSIVE MODE",
    "TRUNCATE s.t, s.loose",
    "CREATE TABLE s.new (id int)",
    "CREATE TABLE s.new (id int REFERENCES s.t, o int, FOREIGN KEY (o) REFERENCES s.u (id))",
    "CREATE TABLE s.new (LIKE s.t)",
    "CREATE TABLE s.new (LIKE s.t INCLUDING ALL)",
    "CREATE TABLE s.new () INHERITS (s.t)",
    "CREATE TABLE s.new PARTITION OF s.parent FOR VALUES IN (2)",
    "CREATE TABLE s.new AS SELECT * FROM s.t",
    "CREATE VIEW s.new AS SELECT * FROM s.t",
    "CREATE OR REPLACE VIEW s.v AS SELECT 1 AS a, id FROM s.t",
    "CREATE MATERIALIZED VIEW s.new AS SELECT * FROM s.t",
    "CREATE SEQUENCE s.new OWNED BY s.t.a",
    "CREATE INDEX new ON s.t (a)",
    "CREATE UNIQUE INDEX IF NOT EXISTS new ON ONLY s.t (b) WHERE a > 1",
    "CREATE STATISTICS s.new ON a, b FROM s.t",
    "CREATE TRIGGER new AFTER UPDATE ON s.t FOR EACH ROW EXECUTE FUNCTION s.f()",
    "CREATE POLICY new ON s.t USING (id IN (SELECT t FROM s.u))",
    "CREATE RULE new AS ON INSERT TO s.t DO ALSO INSERT INTO s.u VALUES (1)",
    "CREATE FUNCTION s.new() RETURNS bigint RETURN (SELECT count(*) FROM s.t)",
    "CREATE FUNCTION s.new() RETURNS void BEGIN ATOMIC INSERT INTO s.t VALUES (1); END",
    "CREATE TYPE s.new AS ENUM ('a')",
    "ALTER TYPE s.e ADD VALUE 'b'",
    "ALTER TABLE s.t ADD COLUMN c int",
    "ALTER TABLE s.t ADD COLUMN c int REFERENCES s.u",
    "ALTER TABLE s.t DROP COLUMN a",
    "ALTER TABLE s.t ALTER a TYPE bigint",
    "ALTER TABLE s.t ALTER a SET DEFAULT 1",
    "ALTER TABLE s.t ALTER a SET NOT NULL",
    "ALTER TABLE s.t ALTER a SET STATISTICS 5",
    "ALTER TABLE s.t ALTER a SET (n_distinct = 5)",
    "ALTER TABLE s.t ALTER a RESET (n_distinct)",
    "ALTER TABLE s.t ALTER b SET STORAGE EXTERNAL",
    "ALTER TABLE s.t ALTER a SET STATISTICS 5, ALTER b DROP DEFAULT",
    "ALTER TABLE s.t ADD CONSTRAINT c CHECK (a > 1) NOT VALID",
    "ALTER TABLE s.t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES s.u",
    "ALTER TABLE s.t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES s.u NOT VALID",
    "ALTER TABLE s.t ADD CONSTRAINT c UNIQUE (a)",
    "ALTER TABLE s.t ADD CONSTRAINT c UNIQUE USING INDEX t_b",
    "ALTER TABLE s.t VALIDATE CONSTRAINT t_check",
    "ALTER TABLE s.t DROP CONSTRAINT t_check",
    "ALTER TABLE s.t RENAME CONSTRAINT t_check TO x",
    "ALTER TABLE s.t RENAME a TO x",
    "ALTER TABLE s.t RENAME TO x",
    "ALTER TABLE s.t SET SCHEMA public",
    "ALTER TABLE s.t OWNER TO r",
    "ALTER TABLE s.t SET (fillfactor = 70)",
    "ALTER TABLE s.t SET (autovacuum_enabled = off, parallel_workers = 2)",
    "ALTER TABLE s.t SET (user_catalog_table = true)",
    "ALTER TABLE s.t RESET (fillfactor)",
    "ALTER TABLE s.t SET UNLOGGED",
    "ALTER TABLE s.t CLUSTER ON t_a",
    "ALTER TABLE s.t SET WITHOUT CLUSTER",
    "ALTER TABLE s.t REPLICA IDENTITY FULL",
    "ALTER TABLE s.t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE s.t DISABLE TRIGGER g",
    "ALTER TABLE s.t ENABLE ALWAYS TRIGGER g",
    "ALTER TABLE s.u DISABLE RULE w",
    "ALTER TABLE s.parent ATTACH PARTITION s.loose FOR VALUES IN (3)",
    "ALTER TABLE s.parent DETACH PARTITION s.child",
    "ALTER TABLE s.orphan INHERIT s.u",
    "ALTER TABLE s.heir NO INHERIT s.u",
    "ALTER INDEX s.t_a RENAME TO x",
    "ALTER INDEX s.t_a SET (fillfactor = 50)",
    "ALTER INDEX s.t_a RESET (deduplicate_items)",
    "ALTER INDEX s.parent_id ATTACH PARTITION s.child_id",
    "ALTER VIEW s.v RENAME TO x",
    "ALTER VIEW s.v SET (security_barrier = true)",
    "ALTER VIEW s.v ALTER a SET DEFAULT 1",
    "ALTER MATERIALIZED VIEW s.m SET (fillfactor = 50)",
    "ALTER MATERIALIZED VIEW s.m RENAME TO x",
    "ALTER SEQUENCE s.q RESTART",
    "ALTER SEQUENCE s.q INCREMENT 5 MAXVALUE 100",
    "ALTER SEQUENCE s.q OWNED BY s.t.a",
    "ALTER SEQUENCE s.q OWNED BY NONE",
    "ALTER SEQUENCE s.q OWNER TO r",
    "ALTER SEQUENCE s.q RENAME TO x",
    "ALTER TRIGGER g ON s.t RENAME TO x",
    "ALTER POLICY p ON s.t USING (true)",
    "ALTER POLICY p ON s.t RENAME TO x",
    "ALTER RULE w ON s.u RENAME TO x",
    "REFRESH MATERIALIZED VIEW s.m",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY s.m",
    "ANALYZE s.t (a)",
    "CLUSTER s.t USING t_a",
    "REINDEX TABLE s.t",
    "REINDEX INDEX s.t_a",
    "REINDEX (CONCURRENTLY off) INDEX s.t_a",
    "COMMENT ON TABLE s.t IS 'x'",
    "COMMENT ON COLUMN s.t.a IS 'x'",
    "COMMENT ON INDEX s.t_a IS 'x'",
    "COMMENT ON VIEW s.v IS 'x'",
    "COMMENT ON MATERIALIZED VIEW s.m IS 'x'",
    "COMMENT ON SEQUENCE s.q IS 'x'",
    "COMMENT ON CONSTRAINT t_check ON s.t IS 'x'",
    "COMMENT ON TRIGGER g ON s.t IS 'x'",
    "COMMENT ON POLICY p ON s.t IS 'x'",
    "COMMENT ON FUNCTION s.f() IS 'x'",
    "GRANT SELECT ON s.t TO r",
    "GRANT UPDATE (a) ON s.t TO r",
    "REVOKE ALL ON ALL TABLES IN SCHEMA s FROM r",
    "DROP TABLE s.t",
    "DROP TABLE s.loose, s.t",
    "DROP TABLE IF EXISTS s.nowhere",
    "DROP VIEW s.v",
    "DROP MATERIALIZED VIEW s.m",
    "DROP SEQUENCE s.q",
    "DROP INDEX s.t_a",
    "DROP TRIGGER g ON s.t",
    "DROP POLICY p ON s.t",
    "DROP RULE w ON s.u",
];

/// Statements that cannot run in a transaction. Another session locks the relation, so that the
/// statement's lock request waits and can be observed.
const NON_TRANSACTIONAL: &[(&str, &str)] = &[
    ("CREATE INDEX CONCURRENTLY new ON s.t (a)", "s.t"),
    ("DROP INDEX CONCURRENTLY s.t_a", "s.t"),
    ("REINDEX TABLE CONCURRENTLY s.t", "s.t"),
    ("REINDEX INDEX CONCURRENTLY s.t_a", "s.t"),
    ("REINDEX (CONCURRENTLY) INDEX s.t_a", "s.t"),
    ("VACUUM s.t", "s.t"),
    ("VACUUM FULL s.t", "s.t"),
    ("VACUUM (FULL, ANALYZE) s.t", "s.t"),
    ("VACUUM (FULL off) s.t", "s.t"),
    ("ALTER TABLE s.parent DETACH PARTITION s.child CONCURRENTLY", "s.parent"),
];

/// The lock that blocks [`NON_TRANSACTIONAL`]. It permits ACCESS SHARE, which `VACUUM` requests first.
const BLOCKING_MODE: &str = "IN SHARE UPDATE EXCLUSIVE MODE";

/// Relations that a statement locks without naming them: each child with its parent.
const IMPLICIT: &[(&str, &str)] = &[("s.child", "s.parent"), ("s.heir", "s.u")];

/// Selects the locks of a session on relations outside of PostgreSQL's own schemas. Names are those
/// that the querying session sees.
const LOCKS: &str = "
    SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname), c.relkind IN ('i', 'I'), l.mode
    FROM pg_locks l
    JOIN pg_class c ON c.oid = l.relation
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE l.locktype = 'relation' AND l.pid = $1 AND n.nspname IN ('s', 'public')";

/// A relation's name and whether it is an index, by its OID.
type Names = BTreeMap<i64, (String, bool)>;

/// The strongest lock on each relation.
type Locks = BTreeMap<String, LockMode>;

fn mode(name: &str) -> LockMode {
    match name {
        "AccessShareLock" => LockMode::AccessShare,
        "RowShareLock" => LockMode::RowShare,
        "RowExclusiveLock" => LockMode::RowExclusive,
        "ShareUpdateExclusiveLock" => LockMode::ShareUpdateExclusive,
        "ShareLock" => LockMode::Share,
        "ShareRowExclusiveLock" => LockMode::ShareRowExclusive,
        "ExclusiveLock" => LockMode::Exclusive,
        "AccessExclusiveLock" => LockMode::AccessExclusive,
        _ => panic!("unknown lock mode {name}"),
    }
}

/// Returns the names of the relations that the session `pid` has locked, and its strongest lock on
/// each.
async fn locks(connection: &mut PgConnection, pid: i32) -> (Names, BTreeMap<i64, LockMode>) {
    let rows: Vec<(i64, String, bool, String)> =
        sqlx::query_as(LOCKS).bind(pid).fetch_all(connection).await.expect("query locks");
    let (mut names, mut locks) = (Names::new(), BTreeMap::new());
    for (oid, name, is_index, lock) in rows {
        names.insert(oid, (name, is_index));
        let strongest = locks.entry(oid).or_insert(mode(&lock));
        *strongest = mode(&lock).max(*strongest);
    }
    (names, locks)
}

/// Returns the predicted locks of a statement. An index that a statement names without its table
/// belongs to `table`.
fn predicted(statement: &str, table: &str) -> Locks {
    let mut locks = Locks::new();
    for touch in relation_locks(statement).unwrap_or_else(|| panic!("not parsed: {statement}")) {
        locks.insert(touch.relation, touch.mode);
        if let Some(lock) = touch.table_mode {
            locks.insert(table.to_owned(), lock);
        }
    }
    locks
}

async fn connect(server: &Postgres, database: &str) -> PgConnection {
    let url = server.administrator(database);
    let mut connection = PgConnection::connect(&url).await.expect("connect");
    run(&mut connection, "SET search_path = ''").await;
    connection
}

async fn run(connection: &mut PgConnection, sql: &str) {
    let result = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await;
    result.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn pid(connection: &mut PgConnection) -> i32 {
    let (pid,) =
        sqlx::query_as("SELECT pg_backend_pid()").fetch_one(connection).await.expect("query pid");
    pid
}

async fn database(server: &Postgres, name: &str) -> PgConnection {
    run(&mut connect(server, "postgres").await, &format!("CREATE DATABASE {name}")).await;
    let mut connection = connect(server, name).await;
    run(&mut connection, SCHEMA).await;
    connection
}

#[test]
fn predicted_locks_match_installed_server() {
    compare(PostgresInstall::Any);
}

#[test]
fn predicted_locks_match_bundled_server() {
    compare(PostgresInstall::Bundled);
}

fn compare(source: PostgresInstall) {
    RUNTIME.block_on(async {
        let folder = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR"));
        let server = Postgres::start_empty(&folder, source, true).await.expect("start a server");
        let mut connection = database(&server, "locks").await;
        let mut observer = connect(&server, "locks").await;
        let mut mismatches = transactional_mismatches(&mut connection, &mut observer).await;
        for (statement, relation) in NON_TRANSACTIONAL {
            run(&mut connection, &format!("BEGIN; LOCK TABLE {relation} {BLOCKING_MODE}")).await;
            let waiting = connect(&server, "locks").await;
            let requested = requested_lock(waiting, &mut observer, statement, relation).await;
            run(&mut connection, "ROLLBACK").await;
            let predicted = predicted(statement, relation)[*relation];
            if predicted != requested {
                mismatches.push(format!(
                    "{statement}: {relation}: predicted {predicted}, requested {requested}"
                ));
            }
        }
        assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
    });
}

/// Returns the differences between the predicted and the actual locks of each statement.
async fn transactional_mismatches(
    connection: &mut PgConnection,
    observer: &mut PgConnection,
) -> Vec<String> {
    let pid = pid(connection).await;
    let mut mismatches = Vec::new();
    for statement in STATEMENTS {
        run(connection, "BEGIN").await;
        run(connection, statement).await;
        let (mut names, mut taken) = locks(connection, pid).await;
        // A dropped, renamed or moved relation keeps its old name in other sessions.
        let (old_names, old_taken) = locks(observer, pid).await;
        run(connection, "ROLLBACK").await;
        names.extend(old_names);
        taken.extend(old_taken);

        let mut predicted = predicted(statement, "s.t");
        let named: BTreeSet<String> = predicted.keys().cloned().collect();
        for (oid, lock) in taken {
            let (name, is_index) = &names[&oid];
            let is_implicit =
                |&(child, parent): &(&str, &str)| child == name && named.contains(parent);
            match predicted.remove(name) {
                Some(prediction) if prediction == lock => {}
                Some(prediction) => mismatches
                    .push(format!("{statement}: {name}: predicted {prediction}, took {lock}")),
                None if *is_index || IMPLICIT.iter().any(is_implicit) => {}
                // For example on the table of an index. It conflicts only with ACCESS EXCLUSIVE.
                None if lock == LockMode::AccessShare => {}
                None => {
                    mismatches.push(format!("{statement}: {name}: not predicted, took {lock}"));
                }
            }
        }
        let not_taken = predicted.keys().filter(|name| *name != "s.nowhere");
        mismatches
            .extend(not_taken.map(|name| format!("{statement}: {name}: predicted, not taken")));
    }
    mismatches
}

/// Returns the lock mode that a statement requests on `relation`, and cancels the statement.
async fn requested_lock(
    mut waiting: PgConnection,
    observer: &mut PgConnection,
    statement: &'static str,
    relation: &str,
) -> LockMode {
    let pid = pid(&mut waiting).await;
    let waiter = tokio::spawn(async move {
        // Fails, because it is canceled below.
        let _ = sqlx::raw_sql(statement).execute(&mut waiting).await;
    });
    let requested = loop {
        let waits: Option<(String,)> = sqlx::query_as(
            "SELECT mode FROM pg_locks WHERE pid = $1 AND relation = to_regclass($2) AND NOT granted",
        )
        .bind(pid)
        .bind(relation)
        .fetch_optional(&mut *observer)
        .await
        .expect("query locks");
        if let Some((name,)) = waits {
            break mode(&name);
        }
        tokio::task::yield_now().await;
    };
    let cancel = sqlx::query("SELECT pg_cancel_backend($1)").bind(pid);
    cancel.execute(observer).await.expect("cancel statement");
    waiter.await.expect("join task");
    requested
}
