//! Conversion of values between PostgreSQL and WIT, as in Spin 3.6
//! (`factor-outbound-pg/src/types.rs`), including its limitations: it cannot read `timestamptz`,
//! returns the raw bytes of every type it does not know, and requires parameters of exactly the
//! type that the server expects.

use anyhow::{Context, anyhow};
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};
use postgres_range::{BoundSided, BoundType, Normalizable, Range, RangeBound};
use rust_decimal::Decimal;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::bindings::spin::postgres4_0_0::postgres::{
    DbDataType, DbValue, Interval, ParameterValue, RangeBoundKind,
};

use crate::driver_error::DriverError;

type AnyError = Box<dyn std::error::Error + Sync + Send>;

/// A parameter in the driver's form.
pub(super) type Parameter<'v> = Box<dyn ToSql + Send + Sync + 'v>;

/// Returns Spin's name for a PostgreSQL type.
pub(super) fn data_type(kind: &Type) -> DbDataType {
    match *kind {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(kind.name().to_owned()),
    }
}

/// Converts the values of a row.
pub(super) fn row(row: &Row) -> anyhow::Result<Vec<DbValue>> {
    (0..row.len()).map(|index| value(row, index)).collect()
}

fn value(row: &Row, index: usize) -> anyhow::Result<DbValue> {
    let get = Get { row, index };
    match *row.columns()[index].type_() {
        Type::BOOL => get.map(DbValue::Boolean),
        Type::BYTEA => get.map(DbValue::Binary),
        Type::FLOAT4 => get.map(DbValue::Floating32),
        Type::FLOAT8 => get.map(DbValue::Floating64),
        Type::INT2 => get.map(DbValue::Int16),
        Type::INT4 => get.map(DbValue::Int32),
        Type::INT8 => get.map(DbValue::Int64),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => get.map(DbValue::Str),
        // NaiveDateTime converts from `timestamp` only, so `timestamptz` fails as it does in Spin.
        Type::TIMESTAMP | Type::TIMESTAMPTZ => get.map(|v| DbValue::Datetime(datetime(v))),
        Type::DATE => get.map(|v| DbValue::Date(date(v))),
        Type::TIME => get.map(|v| DbValue::Time(time(v))),
        Type::UUID => get.map(|v: uuid::Uuid| DbValue::Uuid(v.to_string())),
        Type::JSONB => get.map(|v: serde_json::Value| DbValue::Jsonb(v.to_string().into_bytes())),
        Type::NUMERIC => get.map(|v: Decimal| DbValue::Decimal(v.to_string())),
        Type::INT4_RANGE => get.map(|v| DbValue::RangeInt32(range(v, |value: &i32| *value))),
        Type::INT8_RANGE => get.map(|v| DbValue::RangeInt64(range(v, |value: &i64| *value))),
        Type::NUM_RANGE => {
            get.map(|v| DbValue::RangeDecimal(range(v, |RangeDecimal(value)| value.to_string())))
        }
        Type::INT4_ARRAY => get.map(DbValue::ArrayInt32),
        Type::INT8_ARRAY => get.map(DbValue::ArrayInt64),
        Type::NUMERIC_ARRAY => get.map(|v: Vec<Option<Decimal>>| {
            DbValue::ArrayDecimal(v.iter().map(|v| v.map(|v| v.to_string())).collect())
        }),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => get.map(DbValue::ArrayStr),
        Type::INTERVAL => get.map(|SqlInterval(v)| DbValue::Interval(v)),
        _ => get.map(|Raw(v)| DbValue::Unsupported(v)),
    }
}

struct Get<'r> {
    row: &'r Row,
    index: usize,
}

impl<'r> Get<'r> {
    fn map<T: FromSql<'r>>(self, convert: impl FnOnce(T) -> DbValue) -> anyhow::Result<DbValue> {
        let value: Option<T> = self.row.try_get(self.index).map_err(DriverError)?;
        Ok(value.map_or(DbValue::DbNull, convert))
    }
}

/// Returns the approximate size of a value in bytes.
pub(super) fn size(value: &DbValue) -> usize {
    let inside = match value {
        DbValue::Str(v) | DbValue::Uuid(v) | DbValue::Decimal(v) => v.len(),
        DbValue::Binary(v) | DbValue::Jsonb(v) | DbValue::Unsupported(v) => v.len(),
        DbValue::ArrayInt32(v) => size_of_val(v.as_slice()),
        DbValue::ArrayInt64(v) => size_of_val(v.as_slice()),
        DbValue::ArrayStr(v) | DbValue::ArrayDecimal(v) => {
            v.iter().flatten().map(|v| v.len() + size_of::<Option<String>>()).sum()
        }
        _ => 0,
    };
    inside + size_of::<DbValue>()
}

/// Converts parameters to the driver's form.
pub(super) fn parameters(values: &[ParameterValue]) -> anyhow::Result<Vec<Parameter<'_>>> {
    values.iter().map(parameter).collect()
}

fn parameter(value: &ParameterValue) -> anyhow::Result<Parameter<'_>> {
    Ok(match value {
        ParameterValue::Boolean(v) => Box::new(*v),
        ParameterValue::Int8(v) => Box::new(*v),
        ParameterValue::Int16(v) => Box::new(*v),
        ParameterValue::Int32(v) => Box::new(*v),
        ParameterValue::Int64(v) => Box::new(*v),
        ParameterValue::Floating32(v) => Box::new(*v),
        ParameterValue::Floating64(v) => Box::new(*v),
        ParameterValue::Str(v) => Box::new(v),
        ParameterValue::Binary(v) => Box::new(v),
        ParameterValue::Date((y, m, d)) => Box::new(naive_date(*y, *m, *d)?),
        ParameterValue::Time((h, m, s, ns)) => Box::new(naive_time(*h, *m, *s, *ns)?),
        ParameterValue::Datetime((y, mo, d, h, mi, s, ns)) => {
            Box::new(NaiveDateTime::new(naive_date(*y, *mo, *d)?, naive_time(*h, *mi, *s, *ns)?))
        }
        ParameterValue::Timestamp(seconds) => Box::new(
            DateTime::<Utc>::from_timestamp(*seconds, 0)
                .with_context(|| format!("invalid epoch timestamp {seconds}"))?,
        ),
        ParameterValue::Uuid(v) => {
            Box::new(uuid::Uuid::parse_str(v).with_context(|| format!("invalid UUID {v}"))?)
        }
        ParameterValue::Jsonb(v) => Box::new(
            serde_json::from_slice::<serde_json::Value>(v)
                .with_context(|| format!("invalid JSON {}", String::from_utf8_lossy(v)))?,
        ),
        ParameterValue::Decimal(v) => Box::new(decimal(v)?),
        ParameterValue::RangeInt32((from, to)) => {
            Box::new(Range::new(bound(from, |v| Ok(*v))?, bound(to, |v| Ok(*v))?))
        }
        ParameterValue::RangeInt64((from, to)) => {
            Box::new(Range::new(bound(from, |v| Ok(*v))?, bound(to, |v| Ok(*v))?))
        }
        ParameterValue::RangeDecimal((from, to)) => {
            let convert = |v: &String| decimal(v).map(RangeDecimal);
            Box::new(Range::new(bound(from, convert)?, bound(to, convert)?))
        }
        ParameterValue::ArrayInt32(v) => Box::new(v.clone()),
        ParameterValue::ArrayInt64(v) => Box::new(v.clone()),
        ParameterValue::ArrayDecimal(v) => {
            let convert = |v: &Option<String>| v.as_deref().map(decimal).transpose();
            Box::new(v.iter().map(convert).collect::<anyhow::Result<Vec<_>>>()?)
        }
        ParameterValue::ArrayStr(v) => Box::new(v),
        ParameterValue::Interval(v) => Box::new(SqlInterval(*v)),
        ParameterValue::DbNull => Box::new(Null),
    })
}

fn naive_date(year: i32, month: u8, day: u8) -> anyhow::Result<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.into(), day.into())
        .ok_or_else(|| anyhow!("invalid date y={year}, m={month}, d={day}"))
}

fn naive_time(hour: u8, minute: u8, second: u8, nanos: u32) -> anyhow::Result<NaiveTime> {
    NaiveTime::from_hms_nano_opt(hour.into(), minute.into(), second.into(), nanos)
        .ok_or_else(|| anyhow!("invalid time {hour}:{minute}:{second}:{nanos}"))
}

fn decimal(text: &str) -> anyhow::Result<Decimal> {
    Decimal::from_str_exact(text).with_context(|| format!("invalid decimal {text}"))
}

// The casts do not truncate: at most 12 months, 31 days, 24 hours, 60 minutes, 60 seconds.
fn date(v: NaiveDate) -> (i32, u8, u8) {
    (v.year(), v.month() as u8, v.day() as u8)
}

fn time(v: NaiveTime) -> (u8, u8, u8, u32) {
    (v.hour() as u8, v.minute() as u8, v.second() as u8, v.nanosecond())
}

fn datetime(v: NaiveDateTime) -> (i32, u8, u8, u8, u8, u8, u32) {
    let ((year, month, day), (hour, minute, second, nanos)) = (date(v.date()), time(v.time()));
    (year, month, day, hour, minute, second, nanos)
}

type WitBound<T> = Option<(T, RangeBoundKind)>;

fn range<T: Normalizable + PartialOrd, U>(
    range: Range<T>,
    convert: impl Fn(&T) -> U,
) -> (WitBound<U>, WitBound<U>) {
    let kind = |kind| match kind {
        BoundType::Inclusive => RangeBoundKind::Inclusive,
        BoundType::Exclusive => RangeBoundKind::Exclusive,
    };
    let lower = range.lower().map(|bound| (convert(&bound.value), kind(bound.type_)));
    let upper = range.upper().map(|bound| (convert(&bound.value), kind(bound.type_)));
    (lower, upper)
}

fn bound<S: BoundSided, T, U: PartialOrd>(
    bound: &WitBound<T>,
    convert: impl Fn(&T) -> anyhow::Result<U>,
) -> anyhow::Result<Option<RangeBound<S, U>>> {
    let Some((value, kind)) = bound else { return Ok(None) };
    let kind = match kind {
        RangeBoundKind::Inclusive => BoundType::Inclusive,
        RangeBoundKind::Exclusive => BoundType::Exclusive,
    };
    Ok(Some(RangeBound::new(convert(value)?, kind)))
}

/// A decimal as a range bound.
#[derive(Debug, PartialEq, PartialOrd)]
struct RangeDecimal(Decimal);

impl Normalizable for RangeDecimal {
    fn normalize<S: BoundSided>(bound: RangeBound<S, Self>) -> RangeBound<S, Self> {
        bound
    }
}

impl ToSql for RangeDecimal {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        self.0.to_sql(kind, out)
    }

    fn accepts(kind: &Type) -> bool {
        <Decimal as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

impl FromSql<'_> for RangeDecimal {
    fn from_sql(kind: &Type, raw: &[u8]) -> Result<Self, AnyError> {
        Decimal::from_sql(kind, raw).map(RangeDecimal)
    }

    fn accepts(kind: &Type) -> bool {
        <Decimal as FromSql>::accepts(kind)
    }
}

/// An interval. On the wire: 8 bytes of microseconds, 4 of days, 4 of months.
#[derive(Debug)]
struct SqlInterval(Interval);

impl ToSql for SqlInterval {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        out.put_i64(self.0.micros);
        out.put_i32(self.0.days);
        out.put_i32(self.0.months);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INTERVAL
    }

    to_sql_checked!();
}

impl FromSql<'_> for SqlInterval {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, AnyError> {
        let raw: [u8; 16] = raw.try_into()?;
        let number = i128::from_be_bytes(raw);
        Ok(SqlInterval(Interval {
            micros: (number >> 64) as i64,
            days: (number >> 32) as i32,
            months: number as i32,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INTERVAL
    }
}

/// NULL for a parameter of any type; `None::<T>` fits only one.
#[derive(Debug)]
struct Null;

impl ToSql for Null {
    fn to_sql(&self, _: &Type, _: &mut BytesMut) -> Result<IsNull, AnyError> {
        Ok(IsNull::Yes)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The bytes of a value whose type Spin does not know.
struct Raw(Vec<u8>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, AnyError> {
        Ok(Raw(raw.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
