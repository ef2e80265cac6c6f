//! The handlers.

use std::convert::Infallible;

use http::StatusCode;
use json::{Fields, FromFields};
use pg::Db;
use rfc4180::{Rows, write_row};
use rules::TextError;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use web::{Problem, Reply, Request};

use crate::domain::{Columns, DatasetName, MAX_COLUMNS};
use crate::load::{load, purge};
use crate::store::{self, Chunks, Dataset};

/// The maximum size of a file: 64 MiB.
const MAX_FILE_BYTES: usize = 64 << 20;
/// The maximum number of rows in a JSON body, which is parsed as a whole. A CSV file may have more.
const MAX_JSON_ROWS: usize = 10_000;
/// The maximum number of chunks per statement of a CSV export: about 512 KiB.
const MAX_EXPORT_CHUNKS: i64 = 8;
/// The size of the fields at which a page of rows ends: 64 KiB.
const MAX_PAGE_BYTES: usize = 64 << 10;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// The media types in which rows are available.
pub const ROW_TYPES: &[&str] = &[JSON, CSV];

struct NewDataset {
    name: DatasetName,
    /// The names of the columns, followed by the rows.
    rows: Vec<Vec<String>>,
}

impl FromFields for NewDataset {
    const ALLOW_UNKNOWN_FIELDS: bool = true;

    fn from_fields(fields: &mut Fields) -> Option<NewDataset> {
        let name = fields.parse("name", DatasetName::new);
        let names = fields.list("columns", MAX_COLUMNS, Ok::<String, Infallible>);
        let columns = names.and_then(|names| {
            Columns::new(names).map_err(|error| fields.error(&["columns"], error)).ok()
        });
        let rows = fields.list("rows", MAX_JSON_ROWS, |row: Vec<String>| match &columns {
            Some(columns) => columns.check_row(&row).map(|()| row),
            None => Ok(row),
        });
        let (name, columns, mut rows) = (name?, columns?, rows?);
        rows.insert(0, columns.into_names());
        Some(NewDataset { name, rows })
    }
}

fn not_found(id: &str) -> Problem {
    Problem::not_found(format!("dataset {id} not found"))
}

/// Loads a dataset from CSV or JSON.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let dataset = if request.has_media_type(CSV)? && !request.is_encoded() {
        let name = request.query()?.text("name").map(str::to_owned);
        let name = name.ok_or(TextError::Empty).and_then(DatasetName::new);
        let name = name.map_err(|error| Problem::bad_request(format!("name {error}")))?;
        let mut chunks = request.chunks(MAX_FILE_BYTES)?;
        load(db, &name, &mut || chunks.next())?
    } else if request.has_media_type(JSON)? {
        let NewDataset { name, rows } = request.json()?;
        let mut rows = rows.iter();
        load(db, &name, &mut || Ok(rows.next().map(|row| line(row))))?
    } else {
        let detail =
            "body format not supported; send text/csv or application/json without Content-Encoding";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    };
    let location = format!("/api/v1/datasets/{}", dataset.id);
    Ok(Reply::created(&dataset).header("location", location))
}

/// Lists datasets in the order in which their loads began.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let query = request.query()?;
    let page = store::page(db, query.after()?, query.limit(50)?)?;
    Ok(Reply::page(request, &page.items, page.last))
}

/// Returns a dataset without its rows.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    let dataset = store::find(db, id)?.ok_or_else(|| not_found(id))?;
    Ok(Reply::ok(&dataset))
}

/// Deletes a dataset. It becomes invisible immediately; a bounded number of its rows is purged.
pub fn delete(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    if !store::delete(db, id)? {
        return Err(not_found(id));
    }
    purge(db);
    Ok(Reply::no_content())
}

/// Returns a row as CSV.
fn line(fields: &[String]) -> Vec<u8> {
    let mut line = Vec::new();
    write_row(fields.iter().map(String::as_str), &mut line);
    line
}

#[derive(Serialize)]
struct ColumnNames {
    columns: Vec<String>,
}

/// Returns a page of the rows of a dataset, or all rows as CSV.
pub fn rows(request: &Request, db: &Db) -> Result<Reply, Problem> {
    let id = request.param("id");
    if request.preferred(ROW_TYPES) == Some(CSV) {
        let dataset = store::find(db, id)?.ok_or_else(|| not_found(id))?;
        return Ok(export(dataset, *db));
    }
    let query = request.query()?;
    // Rows are numbered from 1.
    let (after, limit): (i64, i64) = (query.after()?.unwrap_or(0).max(0), query.limit(50)?);
    // Almost every page is in one chunk. Two suffice, because a page ends at the size of a chunk.
    let (first, last) = (after.saturating_add(1), after.saturating_add(limit));
    let chunks = store::chunks(db, id, first, last, 2)?.ok_or_else(|| not_found(id))?;
    let (items, after) = page(&chunks, after, limit)?;
    Ok(Reply::page_with(request, &ColumnNames { columns: chunks.columns }, &items, after))
}

/// Returns up to `limit` rows after row `after`, as a JSON array of arrays, and the number of the
/// last row unless it ends the dataset.
fn page(chunks: &Chunks, after: i64, limit: i64) -> Result<(Box<RawValue>, Option<i64>), Problem> {
    let (mut json, mut bytes, mut last) = (vec![b'['], 0, after);
    let mut rows = Rows::new(&chunks.csv);
    if !chunks.csv.is_empty() {
        (chunks.first_row..=after).for_each(|_| rows.skip());
    }
    while last < after.saturating_add(limit) && bytes < MAX_PAGE_BYTES {
        let Some(row) = rows.next() else { break };
        if last > after {
            json.push(b',');
        }
        let mut serializer = serde_json::Serializer::new(&mut json);
        serializer.collect_seq(row.fields()).map_err(Problem::internal)?;
        bytes += row.bytes();
        last += 1;
    }
    json.push(b']');
    let json = String::from_utf8(json).map_err(Problem::internal)?;
    let items = RawValue::from_string(json).map_err(Problem::internal)?;
    Ok((items, (last < chunks.rows).then_some(last)))
}

/// Returns all rows of a dataset as CSV. The length of the file is stored, so `content-length` lets
/// clients detect a truncated response.
fn export(dataset: Dataset, db: Db) -> Reply {
    let mut header = Some(line(&dataset.columns));
    let mut row = 1;
    let length = Some(dataset.bytes as usize);
    let next = move || -> Result<Option<Vec<u8>>, Problem> {
        if let Some(header) = header.take() {
            return Ok(Some(header));
        }
        if row > dataset.rows {
            return Ok(None);
        }
        let chunks = store::chunks(&db, &dataset.id, row, dataset.rows, MAX_EXPORT_CHUNKS)?;
        let chunks = chunks.ok_or_else(|| not_found(&dataset.id))?;
        row = chunks.next_row;
        Ok(Some(chunks.csv.into_bytes()).filter(|text| !text.is_empty()))
    };
    Reply::stream("text/csv; charset=utf-8", length, Box::new(next))
}
