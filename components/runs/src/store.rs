//! The runs' table, `katas.dataset_run`, and what a run reads: datasets and price lists.
//!
//! A run reads its dataset a stretch at a time, in as many statements as that takes. Datasets do not
//! change once they are there, so the stretches fit together.

use json::{FromObject, Object};
use katas::{Name, Prices};
use pg::{Db, Page, Parameter, Sql, int8, text, uuid};

use crate::run::Outcome;

/// What a run has to know of its dataset.
pub struct Dataset {
    pub number: i64,
    pub columns: Vec<String>,
}

impl FromObject for Dataset {
    fn from_object(row: &mut Object) -> Option<Dataset> {
        Some(Dataset { number: row.required("number")?, columns: row.required("columns")? })
    }
}

/// The dataset of this id, `None` when there is none.
pub fn dataset(db: &Db, id: &str) -> Result<Option<Dataset>, pg::Error> {
    const SQL: &str = "SELECT number, columns FROM katas.dataset \
                       WHERE id = $1 AND state = 'loaded'";
    let Some(id) = uuid(id) else { return Ok(None) };
    db.one(SQL, &[id])
}

/// Rows that follow each other.
pub struct Stretch {
    /// The field of each row in one column.
    pub first: Vec<String>,
    /// The field of each row in the other column; none when there is no other.
    pub second: Vec<String>,
}

impl FromObject for Stretch {
    fn from_object(row: &mut Object) -> Option<Stretch> {
        Some(Stretch { first: row.required("first")?, second: row.required("second")? })
    }
}

/// The fields in one or two columns, counted from 1, of up to 2,000 rows after the first `rows`; fewer
/// when the rows reach 256 KiB, none at the end. That is read and added up in milliseconds.
///
/// Both ends are given: with a LIMIT in place of the second, PostgreSQL reads and sorts all that is
/// left of a dataset that it has no statistics of yet.
pub fn stretch(
    db: &Db,
    dataset: &Dataset,
    rows: i64,
    first: i64,
    second: Option<i64>,
) -> Result<Stretch, pg::Error> {
    const SQL: Sql = Sql::with(
        "found AS (SELECT position, size, fields FROM katas.dataset_row \
                   WHERE dataset = $1::int8 AND position > $2::int8 \
                     AND position <= $2::int8 + 2000), \
         stretch AS (SELECT position, fields, sum(size) OVER (ORDER BY position) - size AS before \
                     FROM found)",
        "SELECT coalesce(json_agg(fields[$3::int8] ORDER BY position), '[]') AS first, \
                coalesce(json_agg(fields[$4::int8] ORDER BY position) \
                           FILTER (WHERE $4::int8 IS NOT NULL), '[]') AS second \
         FROM stretch WHERE before < 262144",
    );
    let second = second.map_or(Parameter::DbNull, int8);
    let stretch = db.one(SQL, &[int8(dataset.number), int8(rows), int8(first), second])?;
    stretch.ok_or_else(|| pg::Error::Other("an aggregate returned no row".to_owned()))
}

/// The prices in the list of this name, `None` when there is none.
pub fn prices(db: &Db, name: &Name) -> Result<Option<Prices>, pg::Error> {
    const SQL: &str = "SELECT costs FROM katas.price_list WHERE name = $1";
    db.one(SQL, &[text(name.as_str())])
}

/// The columns of a run as clients see it, but for its result.
macro_rules! run {
    () => {
        " id, kata, parameters, rows, katas.rfc3339(created_at) AS created_at "
    };
}

/// A run that has been stored.
pub struct Stored {
    pub id: String,
    /// It as a JSON object.
    pub run: String,
}

impl FromObject for Stored {
    fn from_object(row: &mut Object) -> Option<Stored> {
        Some(Stored { id: row.required("id")?, run: row.required("run")? })
    }
}

/// Stores what a run has come to; `None` when its dataset is not there any more.
pub fn add(db: &Db, dataset: &Dataset, outcome: &Outcome) -> Result<Option<Stored>, pg::Error> {
    const SQL: Sql = Sql::with(
        concat!(
            "stored AS (INSERT INTO katas.dataset_run (dataset, kata, parameters, result, rows) \
                        SELECT number, $2, $3::text::json, $4::text::json, $5::int8 \
                        FROM katas.dataset WHERE number = $1::int8 AND state = 'loaded' \
                        RETURNING result,",
            run!(),
            ")"
        ),
        "SELECT id, (SELECT row_to_json(r)::text FROM \
                       (SELECT id, kata, parameters, result, rows, created_at) r) AS run \
         FROM stored",
    );
    let Outcome { kata, parameters, result, rows } = outcome;
    let outcome = [int8(dataset.number), text(kata), text(parameters), text(result), int8(*rows)];
    db.one(SQL, &outcome)
}

/// The run of this id over this dataset as a JSON object, `None` when there is none.
pub fn find(db: &Db, dataset: &str, run: &str) -> Result<Option<String>, pg::Error> {
    const SQL: &str = "SELECT run.id, kata, parameters, result, run.rows, \
                katas.rfc3339(run.created_at) AS created_at \
         FROM katas.dataset_run AS run JOIN katas.dataset ON run.dataset = dataset.number \
         WHERE run.id = $2 AND dataset.id = $1 AND dataset.state = 'loaded'";
    match (uuid(dataset), uuid(run)) {
        (Some(dataset), Some(run)) => db.row(SQL, &[dataset, run]),
        _ => Ok(None),
    }
}

/// Up to `limit` runs over a dataset in the order in which they were stored, after the one with the
/// number `after`; `None` when there is no such dataset.
pub fn page(
    db: &Db,
    id: &str,
    after: Option<i64>,
    limit: i64,
) -> Result<Option<Page<i64>>, pg::Error> {
    const SQL: Sql = Sql::with(
        concat!(
            "dataset AS (SELECT number FROM katas.dataset WHERE id = $1 AND state = 'loaded'), \
             found AS (SELECT number,",
            run!(),
            "FROM katas.dataset_run \
             WHERE dataset = (SELECT number FROM dataset) AND number > $2::int8 \
             ORDER BY number LIMIT $3::int8 + 1), \
             page AS (SELECT * FROM found ORDER BY number LIMIT $3::int8)"
        ),
        "SELECT CASE WHEN EXISTS (SELECT FROM dataset) \
                     THEN coalesce(json_agg((SELECT r FROM \
                            (SELECT id, kata, parameters, rows, created_at) r) ORDER BY number), \
                          '[]')::text \
                     ELSE '' END AS items, \
                CASE WHEN count(*) < (SELECT count(*) FROM found) THEN max(number) END AS last \
         FROM page",
    );
    let Some(id) = uuid(id) else { return Ok(None) };
    // Numbers begin at 1.
    let page = db.page(SQL, &[id, int8(after.unwrap_or(0)), int8(limit)])?;
    Ok(Some(page).filter(|page| !page.items.is_empty()))
}
