//! PostgreSQL for components: one connection per request, one statement, one row.
//!
//! Every statement returns exactly one row, because Spin 4.0 never returns from a query without rows.
//! A statement that may find nothing joins what it looks for to a row that always exists, and so
//! returns NULL in its place:
//!
//! ```sql
//! SELECT definition FROM (SELECT) AS one LEFT JOIN katas.entry ON word = $1
//! ```
//!
//! The first column is one that is never NULL in the table; the store reads it as an `Option`. A
//! change that may affect nothing puts a CTE in the place of the table:
//!
//! ```sql
//! WITH changed AS (UPDATE … WHERE … RETURNING version)
//! SELECT version FROM (SELECT) AS one LEFT JOIN changed ON true
//! ```
//!
//! A change of which only the number of rows matters is [`Db::execute`]d, and returns none. A list is
//! one column of JSON, put together by `json_agg` and sent on as it is.
//!
//! The columns have the types in [`Column`], which every version of Spin can read. Cast others:
//! `numeric` and `json` to `text`, `timestamptz` with `AT TIME ZONE 'UTC'`. A parameter has the type
//! that PostgreSQL infers for it; where that is not `text`, `int8`, `uuid`, `bytea` or `text[]`, cast it
//! twice: `$1::text::json`.
//!
//! The text of a statement is `'static`: input from a client can only be a parameter.

mod error;
mod row;

use std::cell::Cell;

use serde::Serialize;
use serde_json::value::RawValue;
use spin_sdk::pg4::Connection;
use spin_sdk::variables;

pub use error::Error;
pub use row::{Column, Row, Timestamp};
/// A value for `$1`, `$2`, ….
pub use spin_sdk::pg4::ParameterValue as Parameter;

/// The application's database during one request.
///
/// The first statement opens the connection, so a request that fails before it costs nothing. There
/// is never a second one: two open connections in a request can deadlock the host's pool. `BEGIN` is
/// never sent: a trap would leave the transaction open, and the pool would hand it to the next request.
/// Several writes are one statement with CTEs.
#[derive(Default)]
pub struct Db {
    connection: Cell<Option<Connection>>,
}

impl Db {
    /// Moves the connection out, for a body that is produced after the handler has returned.
    pub fn detach(&self) -> Db {
        Db { connection: Cell::new(self.connection.take()) }
    }

    /// Runs a statement that returns exactly one row.
    pub fn row(&self, sql: &'static str, parameters: &[Parameter]) -> Result<Row, Error> {
        Row::only(self.run(|connection| Ok(connection.query(sql, parameters)?))?.rows)
    }

    /// Runs a statement that returns a page: the items as a JSON array in `text`, and the key of the
    /// last item, NULL on the last page.
    pub fn page<K: Column>(
        &self,
        sql: &'static str,
        parameters: &[Parameter],
    ) -> Result<Page<K>, Error> {
        let mut row = self.row(sql, parameters)?;
        Ok(Page { items: row.take(0)?, last: row.take(1)? })
    }

    /// Runs a statement that returns no row. Returns the number of rows that it changed.
    pub fn execute(&self, sql: &'static str, parameters: &[Parameter]) -> Result<u64, Error> {
        self.run(|connection| Ok(connection.execute(sql, parameters)?))
    }

    fn run<T>(&self, statement: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => open()?,
        };
        let result = statement(&connection);
        self.connection.set(Some(connection));
        result
    }
}

fn open() -> Result<Connection, Error> {
    match variables::get("database_url") {
        Ok(url) => Ok(Connection::open(&url)?),
        Err(_) => Err(Error::Other("the component has no variable database_url".to_owned())),
    }
}

/// A page of a list.
pub struct Page<K> {
    /// A JSON array.
    pub items: Box<RawValue>,
    /// The key of the last item, `None` on the last page.
    pub last: Option<K>,
}

/// A `text` parameter. It must not contain NUL.
pub fn text(value: &str) -> Parameter {
    Parameter::Str(value.to_owned())
}

/// A parameter for a statement that casts it: `$1::text::json`.
pub fn json(value: &impl Serialize) -> Result<Parameter, Error> {
    Ok(Parameter::Str(serde_json::to_string(value)?))
}

/// A `text[]` parameter.
pub fn texts(values: &[String]) -> Parameter {
    Parameter::ArrayStr(values.iter().cloned().map(Some).collect())
}

/// A set of texts as a `text[]` parameter; `None`, the set of all texts, is NULL. The test for membership
/// is `coalesce(value = ANY ($1), true)`.
pub fn set(values: Option<&[String]>) -> Parameter {
    values.map_or(Parameter::DbNull, texts)
}

/// A `uuid` parameter; `None` when the text is not a UUID in the form of RFC 9562.
pub fn uuid(value: &str) -> Option<Parameter> {
    let is_uuid = value.len() == 36
        && value.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid.then(|| Parameter::Uuid(value.to_owned()))
}

/// An `int8` parameter. Where PostgreSQL infers another integer type, cast it: `$1::int8`.
pub fn int8(value: i64) -> Parameter {
    Parameter::Int64(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_a_uuid() {
        assert!(uuid("67e55044-10b1-426f-9247-BB680E5FE0C8").is_some());
        for bad in ["", "67e5504410b1426f9247bb680e5fe0c8", "67e55044-10b1-426f-9247-bb680e5fe0cg"]
        {
            assert!(uuid(bad).is_none(), "{bad}");
        }
    }
}
