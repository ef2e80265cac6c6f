//! The parts of unfinished runs, in the table `katas.dataset_run_part`.
//!
//! Every statement that writes one locks the row of its run first.

use std::ops::Range;

use pg::{Db, int8, json, text, uuid};
use rules::Prices;
use web::Problem;

use crate::run::Outcome;
use crate::store::datasets::Dataset;
use crate::task::Task;

/// A part of an unfinished run.
pub struct Part {
    /// The number of the run.
    pub run: i64,
    /// The number of parts of the run.
    pub parts: i64,
    /// Whether the results of all parts are stored.
    pub is_complete: bool,
    /// Whether the result of this part is stored.
    pub is_stored: bool,
    pub task: Task,
    /// The prices at the time of the request. Empty if the result is stored.
    pub prices: Prices,
    pub dataset: Dataset,
    /// The range that contains the first rows of the chunks of this part.
    pub chunks: Range<i64>,
}

/// Returns a part of a run with this id, and records that the run has started. Returns `None` when
/// the run is finished or does not exist.
pub fn begin(db: &Db, run: &str, part: i64) -> Result<Option<Part>, Problem> {
    const SQL: &str = "WITH started AS ( \
             UPDATE katas.dataset_run SET state = 'running', started_at = now(), touched_at = now() \
             WHERE id = $1 AND state = 'queued' \
         ), run AS ( \
             SELECT run.number, run.parameters, run.prices, run.part_first_rows, \
                    run.parts_done, dataset.number AS dataset, dataset.columns, dataset.rows, \
                    EXISTS (SELECT FROM katas.dataset_run_part AS stored \
                            WHERE stored.run = run.number AND stored.part = $2) AS is_stored \
             FROM katas.dataset_run AS run JOIN katas.dataset ON run.dataset = dataset.number \
             WHERE run.id = $1 AND run.state IN ('queued', 'running') AND dataset.state = 'loaded' \
         ) \
         SELECT number, cardinality(part_first_rows), parts_done = cardinality(part_first_rows), \
                is_stored, coalesce(parameters->>'column', parameters->>'item_column'), \
                parameters->>'price_list', parameters->>'tax', parameters->>'group_by', \
                ARRAY(SELECT json_object_keys(prices) WHERE NOT is_stored), \
                ARRAY(SELECT value FROM json_each_text(prices) WHERE NOT is_stored), \
                dataset, columns, rows, coalesce(part_first_rows[$2], rows + 1), \
                coalesce(part_first_rows[$2 + 1], rows + 1) \
         FROM (SELECT) AS one LEFT JOIN run ON true";
    let Some(run) = uuid(run) else { return Ok(None) };
    let mut row = db.row(SQL, &[run, int8(part)])?;
    let Some(run) = row.take(0)? else { return Ok(None) };
    let task = Task::from_parameters(row.take(4)?, row.take(5)?, row.take(6)?, row.take(7)?);
    Ok(Some(Part {
        run,
        parts: row.take(1)?,
        is_complete: row.take(2)?,
        is_stored: row.take(3)?,
        task: task.ok_or_else(|| Problem::internal("the stored parameters are invalid"))?,
        prices: orders::prices_from_columns(row.take(8)?, row.take(9)?)?,
        dataset: Dataset { number: row.take(10)?, columns: row.take(11)?, rows: row.take(12)? },
        chunks: row.take(13)?..row.take(14)?,
    }))
}

/// Stores the result of a part unless it is stored already, and counts it. Returns whether it is new,
/// and whether it completes the run. Does nothing if the run is finished or has been deleted.
pub fn add(
    db: &Db,
    run: i64,
    part: i64,
    result: &str,
    rows: i64,
) -> Result<(bool, bool), pg::Error> {
    const SQL: &str = "WITH run AS ( \
             SELECT number FROM katas.dataset_run \
             WHERE number = $1 AND state IN ('queued', 'running') FOR NO KEY UPDATE \
         ), stored AS ( \
             INSERT INTO katas.dataset_run_part (run, part, result, rows) \
             SELECT number, $2, $3, $4 FROM run \
             ON CONFLICT DO NOTHING RETURNING run \
         ), counted AS ( \
             UPDATE katas.dataset_run SET parts_done = parts_done + 1, touched_at = now() \
             WHERE number = (SELECT run FROM stored) \
             RETURNING parts_done = cardinality(part_first_rows) AS is_complete \
         ) \
         SELECT is_complete IS NOT NULL, coalesce(is_complete, false) \
         FROM (SELECT) AS one LEFT JOIN counted ON true";
    let mut row = db.row(SQL, &[int8(run), int8(part), text(result), int8(rows)])?;
    Ok((row.take(0)?, row.take(1)?))
}

/// Returns the characters of an nth-char run, and the number of rows read, from the results of all
/// parts. A part with fewer characters than rows ends with a word that is too short, so later parts
/// do not count.
pub fn word(db: &Db, run: i64) -> Result<(String, i64), pg::Error> {
    const SQL: &str = "WITH part AS ( \
             SELECT part, result, rows FROM katas.dataset_run_part WHERE run = $1 \
         ), last AS (SELECT min(part) AS part FROM part WHERE char_length(result) < rows) \
         SELECT coalesce(string_agg(result, '' ORDER BY part.part), ''), \
                coalesce(sum(rows), 0)::int8 \
         FROM part, last WHERE last.part IS NULL OR part.part <= last.part";
    let mut row = db.row(SQL, &[int8(run)])?;
    Ok((row.take(0)?, row.take(1)?))
}

/// The results of consecutive parts of a spending run.
pub struct Sums {
    /// The sums by group, as CSV, of each part.
    pub parts: Vec<String>,
    /// The number of rows read.
    pub rows: i64,
    /// The number of the last part.
    pub last: i64,
}

/// Returns the results of the parts that follow part `after`, about 64 KiB or one part. Returns
/// `None` when no part follows.
pub fn sums(db: &Db, run: i64, after: i64) -> Result<Option<Sums>, pg::Error> {
    const SQL: &str = "WITH part AS ( \
             SELECT part, result, rows, \
                    sum(octet_length(result)) OVER (ORDER BY part) - octet_length(result) AS before \
             FROM (SELECT part, result, rows FROM katas.dataset_run_part \
                   WHERE run = $1 AND part > $2 ORDER BY part LIMIT 100) AS next \
         ) \
         SELECT max(part), array_agg(result ORDER BY part), sum(rows)::int8 \
         FROM part WHERE before < 65536";
    let mut row = db.row(SQL, &[int8(run), int8(after)])?;
    let Some(last) = row.take(0)? else { return Ok(None) };
    Ok(Some(Sums { last, parts: row.take(1)?, rows: row.take(2)? }))
}

/// Stores the outcome of a run, and deletes the results of its parts.
pub fn finish(db: &Db, run: i64, outcome: &Outcome) -> Result<(), pg::Error> {
    const SQL: &str = "WITH finished AS ( \
             UPDATE katas.dataset_run \
             SET state = 'done', result = $2::text::json, rows = $3, prices = NULL, \
                 finished_at = now() \
             WHERE number = $1 AND state IN ('queued', 'running') RETURNING number \
         ), deleted AS ( \
             DELETE FROM katas.dataset_run_part WHERE run = (SELECT number FROM finished) \
         ) \
         SELECT EXISTS (SELECT FROM finished)";
    let values = [int8(run), text(outcome.result.get()), int8(outcome.rows)];
    db.row(SQL, &values)?.take::<bool>(0).map(|_| ())
}

/// Marks an unfinished run as failed, and deletes the results of its parts.
pub fn fail(db: &Db, run: &str, problem: &Problem) -> Result<(), pg::Error> {
    const SQL: &str = "WITH failed AS ( \
             UPDATE katas.dataset_run \
             SET state = 'failed', problem = $2::text::json, prices = NULL, finished_at = now() \
             WHERE id = $1 AND state IN ('queued', 'running') RETURNING number \
         ), deleted AS ( \
             DELETE FROM katas.dataset_run_part WHERE run = (SELECT number FROM failed) \
         ) \
         SELECT EXISTS (SELECT FROM failed)";
    let Some(run) = uuid(run) else { return Ok(()) };
    db.row(SQL, &[run, json(problem)?])?.take::<bool>(0).map(|_| ())
}
