//! The row that a statement returns.

use serde::Serialize;
use serde_json::value::RawValue;
use spin_sdk::pg4::DbValue;

use crate::Error;

/// A row. Columns are read by position, from 0.
#[derive(Debug)]
pub struct Row(Vec<DbValue>);

impl Row {
    /// Returns the row of a result, or an error unless the result has exactly one.
    pub(crate) fn single(rows: Vec<Vec<DbValue>>) -> Result<Row, Error> {
        let count = rows.len();
        match <[_; 1]>::try_from(rows) {
            Ok([row]) => Ok(Row(row)),
            Err(_) => Err(Error::Other(format!("the statement returned {count} rows, expected 1"))),
        }
    }

    /// Takes the value of a column. Returns an error when the column has another type or is NULL.
    /// For a nullable column, `T` is an `Option`.
    pub fn take<T: Column>(&mut self, column: usize) -> Result<T, Error> {
        let value = self.0.get_mut(column).map(|value| std::mem::replace(value, DbValue::DbNull));
        value.and_then(T::from_value).ok_or_else(|| {
            Error::Other(format!("column {column} is not of type {}", std::any::type_name::<T>()))
        })
    }
}

/// A Rust type that can hold the value of a column.
pub trait Column: Sized {
    /// Converts the value. Returns `None` when it has another type.
    fn from_value(value: DbValue) -> Option<Self>;
}

/// `text` or `uuid`.
impl Column for String {
    fn from_value(value: DbValue) -> Option<String> {
        match value {
            DbValue::Str(text) | DbValue::Uuid(text) => Some(text),
            _ => None,
        }
    }
}

/// `int8` or `int4`.
impl Column for i64 {
    fn from_value(value: DbValue) -> Option<i64> {
        match value {
            DbValue::Int64(number) => Some(number),
            DbValue::Int32(number) => Some(number.into()),
            _ => None,
        }
    }
}

impl Column for bool {
    fn from_value(value: DbValue) -> Option<bool> {
        match value {
            DbValue::Boolean(value) => Some(value),
            _ => None,
        }
    }
}

/// `text[]` without NULL elements.
impl Column for Vec<String> {
    fn from_value(value: DbValue) -> Option<Vec<String>> {
        match value {
            DbValue::ArrayStr(texts) => texts.into_iter().collect(),
            _ => None,
        }
    }
}

/// `text` that contains JSON, which is sent without being parsed into values.
impl Column for Box<RawValue> {
    fn from_value(value: DbValue) -> Option<Box<RawValue>> {
        RawValue::from_string(String::from_value(value)?).ok()
    }
}

impl<T: Column> Column for Option<T> {
    fn from_value(value: DbValue) -> Option<Option<T>> {
        match value {
            DbValue::DbNull => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

/// A timestamp in RFC 3339 format, UTC, with microseconds: `2026-01-31T09:30:00.123456Z`.
///
/// Select it with `AT TIME ZONE 'UTC'`: Spin cannot read `timestamptz`.
#[derive(Debug, PartialEq, Serialize)]
pub struct Timestamp(String);

impl Column for Timestamp {
    fn from_value(value: DbValue) -> Option<Timestamp> {
        let DbValue::Datetime((year, month, day, hour, minute, second, nanosecond)) = value else {
            return None;
        };
        let microsecond = nanosecond / 1000;
        Some(Timestamp(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{microsecond:06}Z"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: impl IntoIterator<Item = DbValue>) -> Row {
        Row(values.into_iter().collect())
    }

    #[test]
    fn column_is_read_by_position_and_type() {
        let mut row = row([
            DbValue::Str("a".into()),
            DbValue::Int32(7),
            DbValue::Boolean(true),
            DbValue::DbNull,
            DbValue::Str("[1, 2]".into()),
        ]);
        assert_eq!(row.take::<i64>(1).unwrap(), 7);
        assert_eq!(row.take::<Option<String>>(0).unwrap().as_deref(), Some("a"));
        assert!(row.take::<bool>(2).unwrap());
        assert_eq!(row.take::<Option<bool>>(3).unwrap(), None);
        assert_eq!(row.take::<Box<RawValue>>(4).unwrap().get(), "[1, 2]");
    }

    #[test]
    fn column_of_another_type_null_or_absent_is_an_error() {
        let mut row = row([DbValue::Int64(1), DbValue::DbNull, DbValue::Str("{".into())]);
        assert!(row.take::<String>(0).is_err());
        assert!(row.take::<String>(1).is_err());
        assert!(row.take::<Box<RawValue>>(2).is_err());
        assert!(row.take::<Option<String>>(3).is_err());
    }

    #[test]
    fn result_without_exactly_one_row_is_an_error() {
        for count in [0, 2] {
            let error = Row::single(vec![Vec::new(); count]).unwrap_err();
            let expected = format!("the statement returned {count} rows, expected 1");
            assert_eq!(error, Error::Other(expected));
        }
    }

    #[test]
    fn timestamp_is_formatted_as_rfc_3339_with_microseconds() {
        let value = DbValue::Datetime((26, 1, 31, 9, 5, 0, 1_234_000));
        let Timestamp(text) = row([value]).take(0).unwrap();
        assert_eq!(text, "0026-01-31T09:05:00.001234Z");
    }
}
