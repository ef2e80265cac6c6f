//! The table `katas.dataset_run`.

pub mod datasets;
pub mod parts;

use const_format::concatcp;
use pg::{Db, Page, Parameter, Row, Timestamp, int8, json, nullable, text, uuid};
use serde::Serialize;
use serde_json::value::RawValue;
use web::Attempt;

use crate::run::Outcome;
use crate::store::datasets::Dataset;
use crate::task::Task;

/// A stored run.
#[derive(Serialize)]
pub struct Run {
    pub id: String,
    kata: String,
    parameters: Box<RawValue>,
    state: String,
    progress: Progress,
    /// Only of a run that is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    /// Problem details, only of a run that has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<RawValue>>,
    rows: i64,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
}

/// The number of parts of a run.
#[derive(Serialize)]
struct Progress {
    done: i64,
    total: i64,
}

/// The columns of [`Run`] in the order in which [`Run::from_row`] reads them.
const RUN: &str = "run.id, run.kata, run.parameters::text, run.state, run.parts_done, \
                   cardinality(run.part_first_rows), \
                   CASE WHEN run.state = 'done' THEN run.result::text END, run.problem::text, \
                   run.rows, run.created_at AT TIME ZONE 'UTC', \
                   run.started_at AT TIME ZONE 'UTC', run.finished_at AT TIME ZONE 'UTC'";

impl Run {
    /// Returns whether the run is done or has failed.
    pub fn is_finished(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed")
    }

    /// Reads a run. Returns `None` when the row has none.
    fn from_row(row: &mut Row) -> Result<Option<Run>, pg::Error> {
        let Some(id) = row.take(0)? else { return Ok(None) };
        Ok(Some(Run {
            id,
            kata: row.take(1)?,
            parameters: row.take(2)?,
            state: row.take(3)?,
            progress: Progress { done: row.take(4)?, total: row.take(5)? },
            result: row.take(6)?,
            problem: row.take(7)?,
            rows: row.take(8)?,
            created_at: row.take(9)?,
            started_at: row.take(10)?,
            finished_at: row.take(11)?,
        }))
    }
}

/// A run that this or an earlier request has stored.
pub struct Stored {
    pub run: Run,
    /// Whether the earlier request had the same body.
    pub same_body: bool,
}

/// The columns of [`Stored`], in the order of [`Stored::from_row`]. `$1` is the request body.
const STORED: &str = concatcp!(RUN, ", run.body_hash IS NOT DISTINCT FROM sha256($1)");

impl Stored {
    fn from_row(row: &mut Row) -> Result<Option<Stored>, pg::Error> {
        let Some(run) = Run::from_row(row)? else { return Ok(None) };
        Ok(Some(Stored { run, same_body: row.take(12)? }))
    }
}

/// Creates the parameters for the request body and the key of an attempt.
fn attempt_parameters(attempt: Option<&Attempt>) -> [Parameter; 2] {
    let body = nullable(attempt, |attempt| Parameter::Binary(attempt.body.clone()));
    [body, nullable(attempt, |attempt| text(&attempt.key))]
}

/// Stores the outcome of a run, or returns the existing run with the key of the attempt. Returns
/// `None` when the dataset has been deleted.
pub fn add(
    db: &Db,
    dataset: &Dataset,
    task: &Task,
    outcome: &Outcome,
    attempt: Option<&Attempt>,
) -> Result<Option<Stored>, pg::Error> {
    // DO NOTHING would not return the existing row.
    const SQL: &str = concatcp!(
        "WITH stored AS ( \
             INSERT INTO katas.dataset_run \
               (dataset, kata, parameters, result, rows, started_at, finished_at, body_hash, \
                idempotency_key) \
             SELECT number, $4, $5::text::json, $6::text::json, $7::int8, now(), now(), sha256($1), $2 \
             FROM katas.dataset WHERE number = $3 AND state = 'loaded' \
             ON CONFLICT (dataset, idempotency_key) \
             DO UPDATE SET idempotency_key = excluded.idempotency_key \
             RETURNING * \
         ) \
         SELECT ",
        STORED,
        " FROM (SELECT) AS one LEFT JOIN stored AS run ON true"
    );
    let [body, key] = attempt_parameters(attempt);
    let (result, rows) = (text(outcome.result.get()), int8(outcome.rows));
    let values = [body, key, int8(dataset.number), text(task.kata()), json(task)?, result, rows];
    Stored::from_row(&mut db.row(SQL, &values)?)
}

/// Stores a run with the current prices and a message for each of its parts, or returns the existing
/// run with the key of the attempt. Returns `None` when the dataset has been deleted. Also returns
/// whether the price list exists; if not, no run is stored.
pub fn queue(
    db: &Db,
    dataset: &Dataset,
    task: &Task,
    attempt: Option<&Attempt>,
) -> Result<(Option<Stored>, bool), pg::Error> {
    // A part has about 50,000 rows, or 64 chunks if they have fewer rows: about 4 MiB. The largest
    // dataset, of 64 MiB, has 700 parts.
    const SQL: &str = concatcp!(
        "WITH new AS MATERIALIZED (SELECT gen_random_uuid() AS id), \
         price_list AS (SELECT costs FROM katas.price_list WHERE name = $6), \
         chunk AS ( \
             SELECT first_row, sum(greatest(rows, 782)) OVER (ORDER BY first_row) \
                               - greatest(rows, 782) AS before \
             FROM katas.dataset_chunk WHERE dataset = $3 \
         ), part AS (SELECT min(first_row) AS first_row FROM chunk GROUP BY div(before, 50000)), \
         stored AS ( \
             INSERT INTO katas.dataset_run \
               (id, dataset, kata, parameters, state, result, rows, prices, part_first_rows, \
                parts_done, body_hash, idempotency_key) \
             SELECT new.id, number, $4, $5::text::json, 'queued', '{}', 0, \
                    (SELECT costs FROM price_list), \
                    coalesce((SELECT array_agg(first_row ORDER BY first_row) FROM part), '{1}'), \
                    0, sha256($1), $2 \
             FROM new, katas.dataset WHERE number = $3 AND dataset.state = 'loaded' \
               AND ($6 IS NULL OR EXISTS (SELECT FROM price_list)) \
             ON CONFLICT (dataset, idempotency_key) \
             DO UPDATE SET idempotency_key = excluded.idempotency_key \
             RETURNING * \
         ), message AS ( \
             INSERT INTO katas.outbox (queue, body) \
             SELECT 'katas.runs', json_build_object('run', id, 'part', part)::text \
             FROM stored JOIN new USING (id) \
             CROSS JOIN generate_series(1, cardinality(part_first_rows)) AS part \
         ) \
         SELECT ",
        STORED,
        ", $6 IS NULL OR EXISTS (SELECT FROM price_list) \
         FROM (SELECT) AS one LEFT JOIN stored AS run ON true"
    );
    let [body, key] = attempt_parameters(attempt);
    let price_list = nullable(task.price_list(), |name| text(name.as_str()));
    let values = [body, key, int8(dataset.number), text(task.kata()), json(task)?, price_list];
    let mut row = db.row(SQL, &values)?;
    Ok((Stored::from_row(&mut row)?, row.take(13)?))
}

/// Returns the run of a dataset with the key of the attempt.
pub fn find_by_key(
    db: &Db,
    dataset: &Dataset,
    attempt: &Attempt,
) -> Result<Option<Stored>, pg::Error> {
    const SQL: &str = concatcp!(
        "SELECT ",
        STORED,
        " FROM (SELECT) AS one LEFT JOIN katas.dataset_run AS run \
          ON idempotency_key = $2 AND dataset = $3"
    );
    let [body, key] = attempt_parameters(Some(attempt));
    Stored::from_row(&mut db.row(SQL, &[body, key, int8(dataset.number)])?)
}

/// Returns a run by its id and the id of its dataset.
pub fn find(db: &Db, dataset: &str, run: &str) -> Result<Option<Run>, pg::Error> {
    const SQL: &str = concatcp!(
        "SELECT ",
        RUN,
        " FROM (SELECT) AS one LEFT JOIN \
              (katas.dataset_run AS run JOIN katas.dataset ON run.dataset = dataset.number) \
              ON run.id = $2 AND dataset.id = $1 AND dataset.state = 'loaded'"
    );
    let (Some(dataset), Some(run)) = (uuid(dataset), uuid(run)) else { return Ok(None) };
    Run::from_row(&mut db.row(SQL, &[dataset, run])?)
}

/// Deletes a run. Returns `false` when it does not exist.
pub fn delete(db: &Db, dataset: &str, run: &str) -> Result<bool, pg::Error> {
    const SQL: &str = "WITH deleted AS ( \
             DELETE FROM katas.dataset_run AS run USING katas.dataset \
             WHERE run.dataset = dataset.number AND dataset.id = $1 AND dataset.state = 'loaded' \
               AND run.id = $2 \
             RETURNING run.number \
         ) \
         SELECT EXISTS (SELECT FROM deleted)";
    let (Some(dataset), Some(run)) = (uuid(dataset), uuid(run)) else { return Ok(false) };
    db.row(SQL, &[dataset, run])?.take(0)
}

/// Returns up to `limit` runs of a dataset with numbers greater than `after`, in the order of their
/// numbers. Returns `None` when the dataset does not exist.
pub fn page(
    db: &Db,
    id: &str,
    after: Option<i64>,
    limit: i64,
) -> Result<Option<Page<i64>>, pg::Error> {
    const SQL: &str = "WITH dataset AS ( \
             SELECT number FROM katas.dataset WHERE id = $1 AND state = 'loaded' \
         ), found AS ( \
             SELECT number, id, kata, parameters, state, \
                    json_build_object('done', parts_done, 'total', cardinality(part_first_rows)) \
                      AS progress, \
                    rows, katas.rfc3339(created_at) AS created_at \
             FROM katas.dataset_run \
             WHERE dataset = (SELECT number FROM dataset) AND number > $2 \
             ORDER BY number LIMIT $3::int8 + 1 \
         ), page AS (SELECT * FROM found ORDER BY number LIMIT $3::int8) \
         SELECT CASE WHEN EXISTS (SELECT FROM dataset) \
                     THEN coalesce(json_agg((SELECT r FROM \
                            (SELECT id, kata, parameters, state, progress, rows, created_at) AS r) \
                            ORDER BY number), '[]')::text END, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(number) END \
         FROM page";
    let Some(id) = uuid(id) else { return Ok(None) };
    // Numbers begin at 1.
    let mut row = db.row(SQL, &[id, int8(after.unwrap_or(0)), int8(limit)])?;
    let Some(items) = row.take(0)? else { return Ok(None) };
    Ok(Some(Page { items, last: row.take(1)? }))
}
