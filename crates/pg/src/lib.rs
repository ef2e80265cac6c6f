//! PostgreSQL for components: one statement, one row.
//!
//! A connection is open only while a statement runs. The pool of the host has 64 of them; a connection
//! that a request kept while it waited for its client, or while it calculated, would be missing for
//! every other request.
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

use serde::Serialize;
use serde_json::value::RawValue;
use spin_sdk::pg4::Connection;
use spin_sdk::variables;

pub use error::Error;
pub use row::{Column, Row, Timestamp};
/// A value for `$1`, `$2`, ….
pub use spin_sdk::pg4::ParameterValue as Parameter;

/// The application's database.
///
/// Each statement takes a connection from the pool of the host and returns it, so a request never has
/// two: two open connections in a request can deadlock the pool. `BEGIN` is never sent, because the next
/// statement may run on another connection. Several writes are one statement with CTEs.
#[derive(Clone, Copy, Default)]
pub struct Db {
    pool: Option<&'static str>,
}

impl Db {
    /// The same database through a pool of its own, for a statement that must not wait for the others.
    /// Spin has a pool for each connection string, so this one differs by its `application_name`.
    pub fn with_pool(application_name: &'static str) -> Db {
        Db { pool: Some(application_name) }
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
        let mut url = variables::get("database_url")
            .map_err(|_| Error::Other("the component has no variable database_url".to_owned()))?;
        if let Some(name) = self.pool {
            url = with_application_name(&url, name);
        }
        statement(&Connection::open(&url)?)
    }
}

/// Adds the parameter to a connection string in either of PostgreSQL's forms. The last of two counts.
fn with_application_name(url: &str, name: &str) -> String {
    let separator = match (url.contains("://"), url.contains('?')) {
        (true, true) => '&',
        (true, false) => '?',
        (false, _) => ' ',
    };
    format!("{url}{separator}application_name={name}")
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
    fn application_name_is_added_to_either_form_of_a_connection_string() {
        for (url, expected) in [
            ("postgres://u@h/d", "postgres://u@h/d?application_name=n"),
            (
                "postgres://u@h/d?sslmode=require",
                "postgres://u@h/d?sslmode=require&application_name=n",
            ),
            ("host=h user=u", "host=h user=u application_name=n"),
        ] {
            assert_eq!(with_application_name(url, "n"), expected);
        }
    }

    #[test]
    fn only_the_canonical_form_is_a_uuid() {
        assert!(uuid("67e55044-10b1-426f-9247-BB680E5FE0C8").is_some());
        for bad in ["", "67e5504410b1426f9247bb680e5fe0c8", "67e55044-10b1-426f-9247-bb680e5fe0cg"]
        {
            assert!(uuid(bad).is_none(), "{bad}");
        }
    }
}
