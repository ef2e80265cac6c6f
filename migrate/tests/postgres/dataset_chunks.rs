//! The migration `dataset_chunks`: while it runs and until the rollout ends, the previous build reads
//! and writes rows, and this build chunks of the same datasets.

use std::collections::HashSet;

use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use crate::interruptions::{Interruption, interrupt};
use crate::proxy::Proxy;
use crate::support::{
    BUNDLED, Database, RUNTIME, SERVER, assert_success, catalog, eventually, lines, migrate,
};

/// The statements of the previous build, unchanged.
mod previous {
    pub const BEGIN: &str =
        "INSERT INTO katas.dataset (name, columns) VALUES ($1, $2) RETURNING number";
    pub const ADD: &str = "WITH loading AS ( \
             UPDATE katas.dataset SET touched_at = now() \
             WHERE number = $1 AND state = 'loading' RETURNING number \
         ), added AS ( \
             INSERT INTO katas.dataset_row (dataset, position, size, fields) \
             SELECT number, $2::int8 + place, octet_length(fields), fields::text[] \
             FROM loading, unnest($3::text[]) WITH ORDINALITY AS batch (fields, place) \
         ) \
         SELECT EXISTS (SELECT FROM loading), set_config('synchronous_commit', 'off', true)";
    pub const FINISH: &str = "WITH loaded AS ( \
             UPDATE katas.dataset \
             SET state = 'loaded', touched_at = now(), rows = $2, bytes = $3 \
             WHERE number = $1 AND state = 'loading' RETURNING * \
         ) SELECT id::text FROM (SELECT) AS one LEFT JOIN loaded ON true";
    pub const DELETE: &str =
        "UPDATE katas.dataset SET state = 'gone' WHERE id = $1::text::uuid AND state = 'loaded'";
    pub const PURGE: &str = "WITH target AS ( \
             SELECT number FROM katas.dataset WHERE state = 'gone' \
             ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED \
         ), purged AS ( \
             DELETE FROM katas.dataset_row \
             WHERE dataset = (SELECT number FROM target) \
               AND position < 50000 + (SELECT min(position) FROM katas.dataset_row \
                                       WHERE dataset = (SELECT number FROM target)) \
             RETURNING 1 \
         ), removed AS ( \
             DELETE FROM katas.dataset \
             WHERE number = (SELECT number FROM target) AND (SELECT count(*) FROM purged) < 50000 \
         ) \
         SELECT EXISTS (SELECT FROM target)";
    pub const PAGE: &str = "WITH dataset AS ( \
             SELECT number, columns, rows FROM katas.dataset \
             WHERE id = $1::text::uuid AND state = 'loaded' \
         ), found AS ( \
             SELECT position, size, fields FROM katas.dataset_row \
             WHERE dataset = (SELECT number FROM dataset) AND position > $2::int8 \
               AND position <= $3::int8 \
         ), sized AS ( \
             SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before FROM found \
         ), page AS (SELECT position, fields FROM sized WHERE before < 65536) \
         SELECT columns, (SELECT nullif(max(position), rows) FROM page), \
                (SELECT coalesce(json_agg(fields ORDER BY position), '[]')::text FROM page) \
         FROM (SELECT) AS one LEFT JOIN dataset ON true";
    pub const RUN: &str = "WITH found AS ( \
             SELECT position, size, fields FROM katas.dataset_row \
             WHERE dataset = $1 AND position > $2::int8 AND position <= $2::int8 + 2000 \
         ), chunk AS ( \
             SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before FROM found \
         ) \
         SELECT coalesce(array_agg(fields[$3::int8] ORDER BY position), '{}'), \
                coalesce(array_agg(fields[$4::int8] ORDER BY position) \
                           FILTER (WHERE $4::int8 IS NOT NULL), '{}') \
         FROM chunk WHERE before < 32768";
}

/// A session of the components.
struct Pod(PgConnection);

impl Pod {
    fn connect(database: &Database) -> Pod {
        Pod(RUNTIME.block_on(PgConnection::connect(&database.app)).expect("connect"))
    }

    fn one(
        &mut self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> PgRow {
        RUNTIME.block_on(query.fetch_one(&mut self.0)).expect("query")
    }

    /// Begins a load by the previous build.
    fn begin(&mut self) -> i64 {
        let columns = ["a", "b"].map(str::to_owned).to_vec();
        self.one(sqlx::query(previous::BEGIN).bind("x").bind(columns)).get(0)
    }

    /// Adds the rows of a range by the previous build.
    fn add(&mut self, dataset: i64, rows: std::ops::Range<i64>) {
        let batch: Vec<_> = rows.clone().map(|row| array(&fields(row))).collect();
        let added = sqlx::query(previous::ADD).bind(dataset).bind(rows.start).bind(batch);
        assert!(self.one(added).get::<bool, _>(0), "the dataset is loading");
    }

    /// Ends a load, and returns the id of the dataset.
    fn finish(&mut self, dataset: i64, rows: i64) -> String {
        self.one(sqlx::query(previous::FINISH).bind(dataset).bind(rows).bind(0_i64)).get(0)
    }

    /// Loads a dataset as the previous build does.
    fn load(&mut self, rows: i64) -> String {
        let dataset = self.begin();
        for start in (0..rows).step_by(4000) {
            self.add(dataset, start..rows.min(start + 4000));
        }
        self.finish(dataset, rows)
    }

    /// Loads a dataset as this build does, in chunks of 100 rows.
    fn load_chunks(&mut self, rows: i64) -> String {
        let dataset = self.begin();
        let sql = "INSERT INTO katas.dataset_chunk (dataset, first_row, rows, csv) \
                   VALUES ($1, $2, $3, $4) RETURNING 1";
        for start in (0..rows).step_by(100) {
            let end = rows.min(start + 100);
            let chunk = sqlx::query(sql).bind(dataset).bind(start + 1).bind(end - start);
            self.one(chunk.bind(csv(start..end)));
        }
        self.finish(dataset, rows)
    }

    /// Returns all rows as JSON, in pages of the previous build.
    fn pages(&mut self, id: &str) -> Vec<[String; 2]> {
        let (mut after, mut rows) = (0, Vec::new());
        loop {
            let page = sqlx::query(previous::PAGE).bind(id).bind(after).bind(after + 700);
            let page = self.one(page);
            let items: String = page.get(2);
            rows.extend(serde_json::from_str::<Vec<[String; 2]>>(&items).expect("JSON"));
            match page.get::<Option<i64>, _>(1) {
                Some(last) => after = last,
                None => return rows,
            }
        }
    }

    /// Returns both columns as a run of the previous build reads them.
    fn columns(&mut self, id: &str) -> Vec<[String; 2]> {
        let number = "SELECT number FROM katas.dataset WHERE id = $1::text::uuid";
        let number: i64 = self.one(sqlx::query(number).bind(id)).get(0);
        let mut rows = Vec::new();
        loop {
            let run = sqlx::query(previous::RUN).bind(number).bind(rows.len() as i64);
            let chunk = self.one(run.bind(1_i64).bind(2_i64));
            let (first, second): (Vec<String>, Vec<String>) = (chunk.get(0), chunk.get(1));
            if first.is_empty() {
                return rows;
            }
            rows.extend(first.into_iter().zip(second).map(|(first, second)| [first, second]));
        }
    }

    /// Returns the text of all chunks.
    fn chunks(&mut self, id: &str) -> String {
        let sql = "SELECT coalesce(string_agg(csv, '' ORDER BY first_row), '') \
                   FROM katas.dataset_chunk JOIN katas.dataset ON dataset = number \
                   WHERE id = $1::text::uuid";
        self.one(sqlx::query(sql).bind(id)).get(0)
    }

    /// Checks that both builds read the first rows of [`fields`].
    #[track_caller]
    fn assert_rows(&mut self, id: &str, rows: i64) {
        self.assert_previous(id, rows);
        assert!(self.chunks(id) == csv(0..rows), "the chunks of {rows} rows differ");
    }

    /// Checks that the previous build reads the first rows of [`fields`].
    #[track_caller]
    fn assert_previous(&mut self, id: &str, rows: i64) {
        let expected: Vec<_> = (0..rows).map(fields).collect();
        assert!(self.pages(id) == expected, "the pages of {rows} rows differ");
        assert!(self.columns(id) == expected, "the columns of {rows} rows differ");
    }
}

/// Returns the fields of a row. They contain everything that CSV and arrays quote.
fn fields(row: i64) -> [String; 2] {
    const SPECIAL: [&str; 12] =
        ["", "\"", ",", "\r\n", "\n", "\\", "{}", "NULL", "ä🦀", " ", "\"\"x", "\u{feff}'"];
    let special = |seed: i64| SPECIAL[usize::try_from(seed).expect("positive") % SPECIAL.len()];
    [
        format!("{}{row}", special(row)),
        [special(row / 12), special(row / 7), special(row / 5)].concat(),
    ]
}

/// Returns a row in the syntax of an array.
fn array(fields: &[String; 2]) -> String {
    let quoted = |field: &String| field.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{{\"{}\",\"{}\"}}", quoted(&fields[0]), quoted(&fields[1]))
}

/// Returns rows as CSV.
fn csv(rows: std::ops::Range<i64>) -> String {
    let field = |field: &String| match field.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.clone(),
    };
    rows.map(fields).map(|[a, b]| format!("{},{}\r\n", field(&a), field(&b))).collect()
}

/// Creates a database of the previous build.
fn previous_database(server: &katas_host::local::postgres::Postgres) -> Database {
    let database = Database::on(server);
    assert_success(&database.migrate(&["up", "--to", "5"]));
    database
}

/// Returns the number of rows in chunks, or `None` if the table does not exist.
fn converted_rows(database: &Database) -> Option<String> {
    let exists = "SELECT (to_regclass('katas.dataset_chunk') IS NOT NULL)::text";
    let rows = "SELECT coalesce(sum(rows), 0)::text FROM katas.dataset_chunk";
    (database.value(exists) == "true").then(|| database.value(rows))
}

#[test]
fn both_builds_read_all_datasets_before_during_and_after_the_conversion() {
    for server in [&*SERVER, &*BUNDLED] {
        let database = previous_database(server);
        let mut pod = Pod::connect(&database);
        let ids = [0, 1, 9000].map(|rows| (pod.load(rows), rows));
        let deleted = pod.load(10);
        let unfinished = pod.begin();
        pod.add(unfinished, 0..4000);
        let last = pod.load(20_000);
        ids.iter().for_each(|(id, rows)| pod.assert_previous(id, *rows));

        // The migration converts the first datasets and waits for the unfinished one.
        let lock = format!("SELECT FROM katas.dataset WHERE number = {unfinished} FOR UPDATE");
        let lock = database.hold(&lock);
        let migration = database.start_until(&["up"], "dataset_chunks");
        eventually("the first datasets are converted", || {
            converted_rows(&database).is_some_and(|rows| rows == "9011")
        });
        ids.iter().for_each(|(id, rows)| pod.assert_rows(id, *rows));
        pod.assert_previous(&last, 20_000);
        migration.kill();
        crate::support::release(lock);

        // A load begins, another continues, and a dataset is deleted before the migration resumes.
        pod.add(unfinished, 4000..8000);
        let meanwhile = pod.load(5000);
        assert_eq!(
            RUNTIME
                .block_on(sqlx::query(previous::DELETE).bind(&deleted).execute(&mut pod.0))
                .expect("delete")
                .rows_affected(),
            1
        );
        pod.assert_rows(&meanwhile, 5000);
        assert_success(&database.migrate(&["up"]));
        assert_success(&database.migrate(&["verify"]));
        ids.iter().for_each(|(id, rows)| pod.assert_rows(id, *rows));
        pod.assert_rows(&meanwhile, 5000);
        pod.assert_rows(&last, 20_000);

        // Until the rollout ends, each build reads what the other one loads and deletes.
        pod.add(unfinished, 8000..8500);
        let finished = pod.finish(unfinished, 8500);
        pod.assert_rows(&finished, 8500);
        let later = pod.load(4001);
        pod.assert_rows(&later, 4001);
        let chunks = pod.load_chunks(1234);
        pod.assert_rows(&chunks, 1234);
        let purge = || sqlx::query(previous::PURGE);
        assert!(pod.one(purge()).get::<bool, _>(0), "a dataset to purge");
        assert!(!pod.one(purge()).get::<bool, _>(0), "no dataset to purge");
        database.sql("UPDATE katas.dataset SET state = 'gone'");
        assert_success(&database.migrate(&["sweep"]));
        let left = "SELECT (SELECT count(*) FROM katas.dataset_row WHERE dataset > 0) || ' ' || \
                           (SELECT count(*) FROM katas.dataset_chunk)";
        assert_eq!(database.value(left), "0 0");
    }
}

#[test]
fn conversion_resumes_after_kill_at_every_message() {
    let database = Database::new();
    let proxy = Proxy::new(SERVER.port());
    let url = proxy.url(&database.migrator, SERVER.port());
    let state = lines(&catalog("katas"));
    let mut states = HashSet::new();
    for at in 1.. {
        database.sql("DROP SCHEMA IF EXISTS katas CASCADE");
        assert_success(&database.migrate(&["up", "--to", "5"]));
        let mut pod = Pod::connect(&database);
        let ids = [300, 40].map(|rows| (pod.load(rows), rows));
        let mut up = migrate(&url, &["up", "--wait", "0"]);
        let interrupted = interrupt(&mut up, &proxy, at, Interruption::Kill);
        ids.iter().for_each(|(id, rows)| pod.assert_previous(id, *rows));
        // Between two commits, all kills leave the same state. The rows distinguish the states before
        // and after the conversion commits them, which its step records later.
        if states.insert((database.value(&state), converted_rows(&database))) {
            assert_success(&database.migrate(&["up"]));
            ids.iter().for_each(|(id, rows)| pod.assert_rows(id, *rows));
            assert_success(&database.migrate(&["verify"]));
        }
        if !interrupted {
            assert!(at > 30 && states.len() > 10, "{at} messages, {} states", states.len());
            return;
        }
    }
}

#[test]
fn database_that_the_previous_build_has_not_used_has_no_copies() {
    let database = Database::new();
    assert_success(&database.migrate(&["up"]));
    let mut pod = Pod::connect(&database);
    let id = pod.load_chunks(300);
    let copies = "SELECT count(*)::text FROM katas.dataset_row";
    assert_eq!(database.value(copies), "0");
    // The down migration restores them.
    assert_success(&database.migrate(&["down", "--to", "5", "--production"]));
    pod.assert_previous(&id, 300);
    assert_success(&database.migrate(&["up"]));
    pod.assert_rows(&id, 300);
}

#[test]
fn database_without_datasets_has_copies_if_the_previous_build_may_have_used_it() {
    let database = previous_database(&SERVER);
    database
        .sql("UPDATE katas._sqlx_migrations SET installed_on = installed_on - interval '1 hour'");
    assert_success(&database.migrate(&["up"]));
    let mut pod = Pod::connect(&database);
    let id = pod.load_chunks(300);
    pod.assert_rows(&id, 300);
    // An operator ends this when no pod of the previous build is left.
    database.sql("TRUNCATE katas.dataset_row");
    pod.load_chunks(300);
    assert_eq!(database.value("SELECT count(*)::text FROM katas.dataset_row"), "0");
    assert!(pod.chunks(&id) == csv(0..300), "the chunks are unchanged");
}
