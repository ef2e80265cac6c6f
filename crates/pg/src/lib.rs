//! PostgreSQL for components: one statement, one row.
//!
//! A connection is open only while a statement runs. The host's pool has 64 connections: a request
//! that held one while it waited for its client would block other requests.
//!
//! Every statement returns exactly one row, because in Spin 4.0 a query without rows never returns.
//! A lookup therefore uses a left join from a row that always exists, and returns NULL when it
//! finds nothing:
//!
//! ```sql
//! SELECT definition FROM (SELECT) AS one LEFT JOIN katas.entry ON word = $1
//! ```
//!
//! The first column is `NOT NULL` in the table, so NULL means that no row was found; the store
//! reads it as an `Option`. A data change that may affect no row uses a CTE in place of the table:
//!
//! ```sql
//! WITH changed AS (UPDATE … WHERE … RETURNING version)
//! SELECT version FROM (SELECT) AS one LEFT JOIN changed ON true
//! ```
//!
//! [`Db::execute`] runs a data change that returns only the number of affected rows. A list is one
//! column of JSON, which `json_agg` builds and the component sends unparsed.
//!
//! Columns have the types that implement [`Column`], which every version of Spin can read. Cast
//! others: `numeric` and `json` to `text`, `timestamptz` with `AT TIME ZONE 'UTC'`. PostgreSQL
//! infers the type of a parameter; when that is not `text`, `bool`, `int8`, `uuid`, `bytea` or
//! `text[]`, cast twice: `$1::text::json`.
//!
//! A parameter that may be NULL ([`nullable`]) needs no cast where it is stored in or compared with
//! a column, which determines its type. `IS NULL` determines none, so the first use has a cast:
//!
//! ```sql
//! … WHERE ($2::bool IS NULL OR pinned = $2)
//! ```
//!
//! A keyset page is the statement that [`page!`] composes from columns, rows and a key.
//!
//! The text of a statement is `'static`, so client input can only be a parameter.

mod change;
mod error;
mod page;
mod row;

use serde::Serialize;
use spin_sdk::pg4::Connection;
use spin_sdk::variables;

pub use change::Change;
#[doc(hidden)]
pub use const_format;
pub use error::Error;
pub use page::{PAGE, Page};
pub use row::{Column, Row, Timestamp};
/// The value of a parameter of a statement: `$1`, `$2`, ….
pub use spin_sdk::pg4::ParameterValue as Parameter;

/// The application's database.
///
/// Each statement takes a connection from the host's pool and returns it. A request never holds
/// two: two open connections per request can deadlock the pool. `BEGIN` is never sent, because the
/// next statement may run on another connection. To combine several writes, use one statement with
/// CTEs.
#[derive(Clone, Copy, Default)]
pub struct Db {
    pool: Option<&'static str>,
}

impl Db {
    /// Returns a handle with a separate pool, for a statement that must not wait for others. The
    /// host has one pool per connection string; this one differs in its `application_name`.
    pub fn with_pool(application_name: &'static str) -> Db {
        Db { pool: Some(application_name) }
    }

    /// Runs a statement that returns exactly one row.
    pub fn row(&self, sql: &'static str, parameters: &[Parameter]) -> Result<Row, Error> {
        Row::single(self.run(|connection| Ok(connection.query(sql, parameters)?))?.rows)
    }

    /// Runs a statement that returns a page, such as one of [`page!`]: the items as a JSON array of
    /// type `text`, and the key of the last item, NULL on the last page.
    pub fn page<K: Column>(
        &self,
        sql: &'static str,
        parameters: &[Parameter],
    ) -> Result<Page<K>, Error> {
        let mut row = self.row(sql, parameters)?;
        Ok(Page { items: row.take(0)?, last: row.take(1)? })
    }

    /// Runs a statement that returns no rows. Returns the number of affected rows.
    pub fn execute(&self, sql: &'static str, parameters: &[Parameter]) -> Result<u64, Error> {
        self.run(|connection| Ok(connection.execute(sql, parameters)?))
    }

    fn run<T>(&self, statement: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut url = variables::get("database_url").map_err(|_| {
            Error::Other(
                "variable database_url is not defined; add it to the component in spin.toml"
                    .to_owned(),
            )
        })?;
        if let Some(name) = self.pool {
            url = with_application_name(&url, name);
        }
        statement(&Connection::open(&url)?)
    }
}

/// Appends `application_name` to a connection string, which is a URI or keyword/value pairs. The
/// last value takes precedence.
fn with_application_name(url: &str, name: &str) -> String {
    let is_uri = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let separator = match (is_uri, url.contains('?')) {
        (true, true) => '&',
        (true, false) => '?',
        (false, _) => ' ',
    };
    format!("{url}{separator}application_name={name}")
}

/// Creates a `text` parameter. The value must not contain NUL.
pub fn text(value: &str) -> Parameter {
    Parameter::Str(value.to_owned())
}

/// Creates a JSON parameter. The statement has to cast it: `$1::text::json`.
pub fn json(value: &impl Serialize) -> Result<Parameter, Error> {
    Ok(Parameter::Str(serde_json::to_string(value)?))
}

/// Creates a `text[]` parameter.
pub fn text_array(values: &[String]) -> Parameter {
    Parameter::ArrayStr(values.iter().cloned().map(Some).collect())
}

/// Creates a `text[]` parameter from a set. `None` stands for the set of all texts and becomes
/// NULL. Test for membership with `coalesce(value = ANY ($1), true)`.
pub fn set(values: Option<&[String]>) -> Parameter {
    values.map_or(Parameter::DbNull, text_array)
}

/// Creates a `uuid` parameter. Returns `None` unless the text is a UUID in RFC 9562 format.
pub fn uuid(value: &str) -> Option<Parameter> {
    let is_uuid = value.len() == 36
        && value.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid.then(|| Parameter::Uuid(value.to_owned()))
}

/// Creates a `bool` parameter.
pub fn boolean(value: bool) -> Parameter {
    Parameter::Boolean(value)
}

/// Creates a parameter that may be NULL: `nullable(name, text)`.
pub fn nullable<T>(value: Option<T>, parameter: impl FnOnce(T) -> Parameter) -> Parameter {
    value.map_or(Parameter::DbNull, parameter)
}

/// Creates an `int8` parameter. Where PostgreSQL infers another integer type, cast it: `$1::int8`.
pub fn int8(value: i64) -> Parameter {
    Parameter::Int64(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_name_is_appended_to_uri_and_keyword_value_string() {
        for (url, expected) in [
            ("postgres://u@h/d", "postgres://u@h/d?application_name=n"),
            (
                "postgres://u@h/d?sslmode=require",
                "postgres://u@h/d?sslmode=require&application_name=n",
            ),
            ("host=h password=x://y?", "host=h password=x://y? application_name=n"),
        ] {
            assert_eq!(with_application_name(url, "n"), expected);
        }
    }

    #[test]
    fn uuid_in_noncanonical_format_is_rejected() {
        assert!(uuid("67e55044-10b1-426f-9247-BB680E5FE0C8").is_some());
        for bad in ["", "67e5504410b1426f9247bb680e5fe0c8", "67e55044-10b1-426f-9247-bb680e5fe0cg"]
        {
            assert!(uuid(bad).is_none(), "{bad}");
        }
    }
}
