//! PostgreSQL for components: one statement per request, one JSON document back.
//!
//! Whatever a statement returns is put together as JSON by PostgreSQL and read as one text:
//!
//! ```sql
//! WITH r AS (<statement>) SELECT coalesce(json_agg(r), '[]')::text FROM r
//! ```
//!
//! That one text is read alike by every version of Spin, where many column types are not
//! (`timestamptz`, enums, arrays, large `numeric`), where Spin 4.0 waits for ever on a query without
//! rows, and where every further column and statement costs time. Rows become the caller's types by
//! name.
//!
//! A statement's text is `'static`: what comes from a client can only ever be a parameter.

mod error;

use std::cell::Cell;
use std::mem::{self, ManuallyDrop};

use json::{FromObject, FromValue};
use spin_sdk::pg4::{Connection, DbValue};
use spin_sdk::variables;

pub use error::Error;
/// A value for `$1`, `$2`, ….
pub use spin_sdk::pg4::ParameterValue as Parameter;

/// The application's database during one request.
///
/// The connection is opened by the first statement, so a request that fails before it costs
/// nothing. There is never a second one: two open connections in a request can lock up the host's
/// whole pool. `BEGIN` is not sent either: a trap would leave the transaction open for whoever is
/// given the connection next. What needs several writes is one statement with CTEs.
#[derive(Default)]
pub struct Db {
    connection: Cell<Option<Connection>>,
}

/// A statement: what to select, insert, update or delete, and how to return it.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    with: &'static str,
    main: &'static str,
}

impl Sql {
    /// A statement with CTEs, written without the keyword: `Sql::with("a AS (…), b AS (…)",
    /// "SELECT … FROM a")`. PostgreSQL refuses CTEs that write inside of another CTE, so they stand
    /// beside the wrapper's.
    pub const fn with(ctes: &'static str, main: &'static str) -> Sql {
        Sql { with: ctes, main }
    }

    fn wrapped(self, result: &str) -> String {
        let Sql { with, main } = self;
        let comma = if with.is_empty() { "" } else { ", " };
        format!("WITH {with}{comma}r AS ({main}) SELECT {result}::text FROM r")
    }
}

impl From<&'static str> for Sql {
    fn from(main: &'static str) -> Sql {
        Sql { with: "", main }
    }
}

/// A `text` parameter. PostgreSQL has no text with NUL in it.
pub fn text(value: &str) -> Parameter {
    Parameter::Str(value.to_owned())
}

/// A `text[]` parameter.
pub fn texts(values: &[String]) -> Parameter {
    Parameter::ArrayStr(values.iter().cloned().map(Some).collect())
}

/// A set of texts, `None` for the set of all, as a `text[]` parameter or NULL. Whether `it` is in it:
/// `coalesce(it = ANY ($1), true)`.
pub fn set(values: Option<&[String]>) -> Parameter {
    values.map_or(Parameter::DbNull, texts)
}

/// A `uuid` parameter; `None` when the text is not one as RFC 9562 writes it.
pub fn uuid(value: &str) -> Option<Parameter> {
    let is_uuid = value.len() == 36
        && value.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid.then(|| Parameter::Uuid(value.to_owned()))
}

/// An `int8` parameter. Where PostgreSQL would expect another integer: `$1::int8`.
pub fn int8(value: i64) -> Parameter {
    Parameter::Int64(value)
}

/// A stretch of a list that is ordered by a key.
pub struct Page<K> {
    /// A JSON array, exactly as PostgreSQL wrote it.
    pub items: String,
    /// The key of the last item if more come after it.
    pub last: Option<K>,
}

impl Db {
    /// The connection, taken out: for an answer that is made after its handler has returned.
    pub fn take(&self) -> Db {
        Db { connection: Cell::new(self.connection.take()) }
    }

    /// All rows.
    pub fn all<T: FromObject>(
        &self,
        sql: impl Into<Sql>,
        parameters: &[Parameter],
    ) -> Result<Vec<T>, Error> {
        let text = self.json(sql, parameters)?;
        let json::Value::Array(values) = json::value(text.as_bytes()).map_err(unfit)? else {
            return Err(Error::Other("the rows are not an array".to_owned()));
        };
        let mut rows = Vec::with_capacity(values.len());
        for value in values {
            rows.push(json::from_value(value).map_err(unfit)?);
        }
        Ok(rows)
    }

    /// The row, if there is one; an error when there are several.
    pub fn one<T: FromObject>(
        &self,
        sql: impl Into<Sql>,
        parameters: &[Parameter],
    ) -> Result<Option<T>, Error> {
        let Some(row) = self.row(sql, parameters)? else { return Ok(None) };
        json::object(row.as_bytes()).map(Some).map_err(unfit)
    }

    /// The row as the text of a JSON object, exactly as PostgreSQL wrote it: for what is sent on
    /// without being looked at. Several rows are not one object.
    pub fn row(
        &self,
        sql: impl Into<Sql>,
        parameters: &[Parameter],
    ) -> Result<Option<String>, Error> {
        const ROW: &str = "coalesce(string_agg(row_to_json(r)::text, ','), '')";
        let row = self.value(&sql.into().wrapped(ROW), parameters)?;
        Ok(Some(row).filter(|row| !row.is_empty()))
    }

    /// All rows as the text of a JSON array, exactly as PostgreSQL wrote it: for lists that are
    /// sent on without being looked at.
    pub fn json(&self, sql: impl Into<Sql>, parameters: &[Parameter]) -> Result<String, Error> {
        self.value(&sql.into().wrapped("coalesce(json_agg(r), '[]')"), parameters)
    }

    /// A page of a list, from a statement that returns one row, always: `items`, the JSON array, and
    /// `last`, the key of the last item if more come after it.
    pub fn page<K: FromValue>(
        &self,
        sql: impl Into<Sql>,
        parameters: &[Parameter],
    ) -> Result<Page<K>, Error> {
        // Items in quotes would have to be read to the end: the key stands in a line of its own.
        const PAGE: &str = "coalesce(to_json(last), 'null') || E'\\n' || items";
        let text = self.value(&sql.into().wrapped(PAGE), parameters)?;
        let (last, items) = text.split_once('\n').unwrap_or_default();
        match Option::from_value(json::value(last.as_bytes()).map_err(unfit)?) {
            Some(last) => Ok(Page { items: items.to_owned(), last }),
            None => Err(Error::Other(format!("a key is not {}", K::KIND))),
        }
    }

    /// How many rows a statement returns: for `… RETURNING 1`, how many it wrote.
    pub fn execute(&self, sql: impl Into<Sql>, parameters: &[Parameter]) -> Result<i64, Error> {
        let count = self.value(&sql.into().wrapped("count(*)"), parameters)?;
        json::integer(&count).ok_or_else(|| Error::Other(format!("no count, but {count}")))
    }

    /// The one text in the one row that every wrapped statement returns.
    fn value(&self, statement: &str, parameters: &[Parameter]) -> Result<String, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open()?,
        };
        let result = connection.query(statement, parameters);
        self.connection.set(Some(connection));
        // The rest of it is a column's name; the code that drops all that it might be is 1 KB.
        let mut result = ManuallyDrop::new(result?);
        match result.rows.first_mut().and_then(|row| row.first_mut()) {
            Some(DbValue::Str(text)) => Ok(mem::take(text)),
            _ => Err(Error::Other("the database returned no text".to_owned())),
        }
    }
}

fn open() -> Result<Connection, Error> {
    let Ok(url) = variables::get("database_url") else {
        return Err(Error::Other("the variable database_url cannot be read".to_owned()));
    };
    Ok(Connection::open(&url)?)
}

fn unfit(error: json::Error) -> Error {
    Error::Other(format!("a row is not as expected: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_uuid_is_one() {
        assert!(uuid("67e55044-10b1-426f-9247-BB680E5FE0C8").is_some());
        for bad in ["", "67e5504410b1426f9247bb680e5fe0c8", "67e55044-10b1-426f-9247-bb680e5fe0cg"]
        {
            assert!(uuid(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn writing_ctes_stand_beside_the_wrapper() {
        let rows = "coalesce(json_agg(r), '[]')";
        assert_eq!(
            Sql::from("SELECT 1").wrapped(rows),
            "WITH r AS (SELECT 1) SELECT coalesce(json_agg(r), '[]')::text FROM r"
        );
        assert_eq!(
            Sql::with("gone AS (DELETE FROM t RETURNING 1)", "SELECT * FROM gone")
                .wrapped("count(*)"),
            "WITH gone AS (DELETE FROM t RETURNING 1), r AS (SELECT * FROM gone) \
             SELECT count(*)::text FROM r"
        );
    }
}
