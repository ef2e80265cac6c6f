//! Between HTTP and the datasets.

use json::{FromObject, FromValue, Object};
use pg::Db;
use web::{Cursor, Problem, Query, Reply, Request};

use crate::csv;
use crate::domain::{COLUMNS, Columns, Name};
use crate::error::Error;
use crate::load::{load, sweep};
use crate::store::{self, Dataset};

/// The most bytes a file may have, 64 MiB.
const FILE_LIMIT: usize = 64 << 20;
/// The most rows that come as JSON, which is read as a whole; a file may have more.
const JSON_ROWS: usize = 10_000;
/// How many rows of a file are fetched at a time.
const STRETCH: i64 = 1000;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";

/// What rows can be had as.
pub const ROWS_AS: &[&str] = &[JSON, CSV];

struct NewDataset {
    name: Name,
    /// The names of the columns, and after them the rows.
    rows: Vec<Vec<String>>,
}

impl FromObject for NewDataset {
    const IGNORES_OTHERS: bool = true;

    fn from_object(object: &mut Object) -> Option<NewDataset> {
        let name = object.text("name", Name::new);
        let names = object.list("columns", COLUMNS, json::string);
        let columns = names.and_then(|names| {
            let columns = Columns::new(names);
            columns.inspect_err(|flaw| object.flaw("columns", flaw)).ok()
        });
        let rows = object.list("rows", JSON_ROWS, |row| {
            let row = Vec::from_value(row).ok_or("must be a list of strings".to_owned())?;
            let flaw = columns.as_ref().and_then(|columns| columns.check(&row).err());
            flaw.map_or(Ok(row), |flaw| Err(flaw.to_string()))
        });
        let (name, columns, mut rows) = (name?, columns?, rows?);
        rows.insert(0, columns.into_names());
        Some(NewDataset { name, rows })
    }
}

fn missing(request: &Request) -> Error {
    Error::Missing(request.param("id").to_owned())
}

/// Where to go on: numbers and positions begin at 1.
fn after(query: &Query) -> Result<i64, Problem> {
    query.cursor()?.map_or(Ok(0), |cursor| cursor.number())
}

fn cursor(last: i64) -> Cursor {
    Cursor(last.to_string())
}

/// Loads a dataset, from CSV or JSON.
pub fn add(request: &Request, db: &Db) -> Result<Reply, Error> {
    let encoded = request.header("content-encoding").is_some_and(|it| it != "identity");
    let dataset = if request.is(CSV) && !encoded {
        let name = request.query()?.text("name").map(Name::new);
        let name = name.unwrap_or(Err(katas::Flaw::Empty)).map_err(Error::Name)?;
        let mut chunks = request.chunks(FILE_LIMIT)?;
        load(db, &name, &mut || Ok(chunks.next()?))?
    } else if request.is(JSON) {
        let NewDataset { name, rows } = request.json()?;
        let mut rows = rows.iter();
        load(db, &name, &mut || Ok(rows.next().map(|row| csv::line(row))))?
    } else {
        return Err(Error::MediaType);
    };
    let location = format!("/api/v1/datasets/{}", dataset.id);
    Ok(Reply::created(&dataset).header("location", location))
}

/// Datasets in the order in which they were loaded, a page at a time.
pub fn list(request: &Request, db: &Db) -> Result<Reply, Error> {
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let page = store::page(db, after(&query)?, limit)?;
    Ok(Reply::page(request, &page.items, page.last.map(cursor)))
}

/// What is known of a dataset.
pub fn find(request: &Request, db: &Db) -> Result<Reply, Error> {
    match store::find(db, request.param("id"))? {
        Some(dataset) => Ok(Reply::ok(&dataset)),
        None => Err(missing(request)),
    }
}

/// Removes a dataset. It is gone at once, what it leaves behind is swept as far as time allows.
pub fn remove(request: &Request, db: &Db) -> Result<Reply, Error> {
    if !store::remove(db, request.param("id"))? {
        return Err(missing(request));
    }
    sweep(db);
    Ok(Reply::no_content())
}

/// The rows of a dataset: a page of them, or all of them as CSV.
pub fn rows(request: &Request, db: &Db) -> Result<Reply, Error> {
    let id = request.param("id");
    if request.preferred(ROWS_AS) == Some(CSV) {
        let dataset = store::find(db, id)?.ok_or_else(|| missing(request))?;
        return Ok(file(dataset, db.take()));
    }
    let query = request.query()?;
    let limit = query.number("limit", 50, 1..=1000)?;
    let page = store::rows(db, id, after(&query)?, limit)?.ok_or_else(|| missing(request))?;
    let columns = format!(r#""columns":{},"#, page.columns);
    let next = page.last.map(cursor);
    Ok(Reply::page_with(request, &columns, &page.items, next))
}

/// The whole dataset as CSV. Its length is known: a client notices when it breaks off.
fn file(dataset: Dataset, db: Db) -> Reply {
    let mut header = Some(csv::line(&dataset.columns));
    let mut after = (dataset.rows > 0).then_some(0);
    let length = dataset.bytes as usize;
    let next = move || -> Result<Option<Vec<u8>>, Problem> {
        let Some(position) = after else { return Ok(header.take()) };
        let rows = store::rows(&db, &dataset.id, position, STRETCH).map_err(Error::from)?;
        let rows = rows.ok_or_else(|| Error::Missing(dataset.id.clone()))?;
        let mut lines = header.take().unwrap_or_default();
        rows.each(&mut |row| csv::write(row, &mut lines)).map_err(Error::from)?;
        after = rows.last;
        Ok(Some(lines).filter(|lines| !lines.is_empty()))
    };
    Reply::stream("text/csv; charset=utf-8", length, Box::new(next))
}
