//! Implements `spin:postgres@3.0.0` and `fermyon:spin/postgres@2.0.0` in terms of 4.0.0, as Spin 3.6
//! does (`world/src/conversions.rs`). Values of types that an interface lacks are `unsupported`,
//! and errors have no SQLSTATE.

use wasmtime::component::Resource;

use crate::bindings::fermyon::spin::{postgres as v2, rdbms_types as v2_types};
use crate::bindings::spin::{postgres3_0_0::postgres as v3, postgres4_0_0::postgres as v4};
use crate::pool::Connection;
use crate::state::State;

impl v3::Host for State {}

impl v3::HostConnection for State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let opened = v4::HostConnection::open(self, address).await?;
        Ok(opened.map_err(v3::Error::from))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::ParameterValue>,
    ) -> wasmtime::Result<Result<v3::RowSet, v3::Error>> {
        let parameters = parameters.into_iter().map(v4::ParameterValue::from).collect();
        let result = v4::HostConnection::query(self, connection, statement, parameters).await?;
        Ok(result.map(v3::RowSet::from).map_err(v3::Error::from))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v3::ParameterValue>,
    ) -> wasmtime::Result<Result<u64, v3::Error>> {
        let parameters = parameters.into_iter().map(v4::ParameterValue::from).collect();
        let result = v4::HostConnection::execute(self, connection, statement, parameters).await?;
        Ok(result.map_err(v3::Error::from))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        v4::HostConnection::drop(self, connection).await
    }
}

impl v2::Host for State {}

impl v2_types::Host for State {}

impl v2::HostConnection for State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v2_types::Error>> {
        let opened = v4::HostConnection::open(self, address).await?;
        Ok(opened.map_err(v2_types::Error::from))
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v2_types::ParameterValue>,
    ) -> wasmtime::Result<Result<v2_types::RowSet, v2_types::Error>> {
        let parameters = match v2_parameters(parameters) {
            Ok(parameters) => parameters,
            Err(error) => return Ok(Err(error)),
        };
        let result = v4::HostConnection::query(self, connection, statement, parameters).await?;
        Ok(result.map(v2_types::RowSet::from).map_err(v2_types::Error::from))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<v2_types::ParameterValue>,
    ) -> wasmtime::Result<Result<u64, v2_types::Error>> {
        let parameters = match v2_parameters(parameters) {
            Ok(parameters) => parameters,
            Err(error) => return Ok(Err(error)),
        };
        let result = v4::HostConnection::execute(self, connection, statement, parameters).await?;
        Ok(result.map_err(v2_types::Error::from))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        v4::HostConnection::drop(self, connection).await
    }
}

/// Converts parameters, all of which version 4.0.0 has.
impl From<v3::ParameterValue> for v4::ParameterValue {
    fn from(value: v3::ParameterValue) -> v4::ParameterValue {
        match value {
            v3::ParameterValue::Boolean(v) => v4::ParameterValue::Boolean(v),
            v3::ParameterValue::Int8(v) => v4::ParameterValue::Int8(v),
            v3::ParameterValue::Int16(v) => v4::ParameterValue::Int16(v),
            v3::ParameterValue::Int32(v) => v4::ParameterValue::Int32(v),
            v3::ParameterValue::Int64(v) => v4::ParameterValue::Int64(v),
            v3::ParameterValue::Floating32(v) => v4::ParameterValue::Floating32(v),
            v3::ParameterValue::Floating64(v) => v4::ParameterValue::Floating64(v),
            v3::ParameterValue::Str(v) => v4::ParameterValue::Str(v),
            v3::ParameterValue::Binary(v) => v4::ParameterValue::Binary(v),
            v3::ParameterValue::Date(v) => v4::ParameterValue::Date(v),
            v3::ParameterValue::Time(v) => v4::ParameterValue::Time(v),
            v3::ParameterValue::Datetime(v) => v4::ParameterValue::Datetime(v),
            v3::ParameterValue::Timestamp(v) => v4::ParameterValue::Timestamp(v),
            v3::ParameterValue::DbNull => v4::ParameterValue::DbNull,
        }
    }
}

/// Converts parameters. PostgreSQL has no unsigned integers.
fn v2_parameters(
    values: Vec<v2_types::ParameterValue>,
) -> Result<Vec<v4::ParameterValue>, v2_types::Error> {
    let convert = |value| {
        Ok(match value {
            v2_types::ParameterValue::Boolean(v) => v4::ParameterValue::Boolean(v),
            v2_types::ParameterValue::Int8(v) => v4::ParameterValue::Int8(v),
            v2_types::ParameterValue::Int16(v) => v4::ParameterValue::Int16(v),
            v2_types::ParameterValue::Int32(v) => v4::ParameterValue::Int32(v),
            v2_types::ParameterValue::Int64(v) => v4::ParameterValue::Int64(v),
            v2_types::ParameterValue::Floating32(v) => v4::ParameterValue::Floating32(v),
            v2_types::ParameterValue::Floating64(v) => v4::ParameterValue::Floating64(v),
            v2_types::ParameterValue::Str(v) => v4::ParameterValue::Str(v),
            v2_types::ParameterValue::Binary(v) => v4::ParameterValue::Binary(v),
            v2_types::ParameterValue::DbNull => v4::ParameterValue::DbNull,
            v2_types::ParameterValue::Uint8(_)
            | v2_types::ParameterValue::Uint16(_)
            | v2_types::ParameterValue::Uint32(_)
            | v2_types::ParameterValue::Uint64(_) => {
                let reason = "Postgres does not support unsigned integers";
                return Err(v2_types::Error::ValueConversionFailed(reason.to_owned()));
            }
        })
    };
    values.into_iter().map(convert).collect()
}

/// Implements the conversions from version 4.0.0 to an older one. All versions have the types that the
/// macro lists; `$more` are the others of the older one.
macro_rules! convert_from_v4 {
    ($older:ident, [$($more:ident),*]) => {
        impl From<v4::RowSet> for $older::RowSet {
            fn from(set: v4::RowSet) -> $older::RowSet {
                let column = |column: v4::Column| $older::Column {
                    name: column.name,
                    data_type: column.data_type.into(),
                };
                let row = |row: Vec<v4::DbValue>| row.into_iter().map(Into::into).collect();
                $older::RowSet {
                    columns: set.columns.into_iter().map(column).collect(),
                    rows: set.rows.into_iter().map(row).collect(),
                }
            }
        }

        impl From<v4::DbValue> for $older::DbValue {
            fn from(value: v4::DbValue) -> $older::DbValue {
                match value {
                    v4::DbValue::Boolean(v) => $older::DbValue::Boolean(v),
                    v4::DbValue::Int8(v) => $older::DbValue::Int8(v),
                    v4::DbValue::Int16(v) => $older::DbValue::Int16(v),
                    v4::DbValue::Int32(v) => $older::DbValue::Int32(v),
                    v4::DbValue::Int64(v) => $older::DbValue::Int64(v),
                    v4::DbValue::Floating32(v) => $older::DbValue::Floating32(v),
                    v4::DbValue::Floating64(v) => $older::DbValue::Floating64(v),
                    v4::DbValue::Str(v) => $older::DbValue::Str(v),
                    v4::DbValue::Binary(v) => $older::DbValue::Binary(v),
                    $(v4::DbValue::$more(v) => $older::DbValue::$more(v),)*
                    v4::DbValue::DbNull => $older::DbValue::DbNull,
                    _ => $older::DbValue::Unsupported,
                }
            }
        }

        impl From<v4::DbDataType> for $older::DbDataType {
            fn from(kind: v4::DbDataType) -> $older::DbDataType {
                match kind {
                    v4::DbDataType::Boolean => $older::DbDataType::Boolean,
                    v4::DbDataType::Int8 => $older::DbDataType::Int8,
                    v4::DbDataType::Int16 => $older::DbDataType::Int16,
                    v4::DbDataType::Int32 => $older::DbDataType::Int32,
                    v4::DbDataType::Int64 => $older::DbDataType::Int64,
                    v4::DbDataType::Floating32 => $older::DbDataType::Floating32,
                    v4::DbDataType::Floating64 => $older::DbDataType::Floating64,
                    v4::DbDataType::Str => $older::DbDataType::Str,
                    v4::DbDataType::Binary => $older::DbDataType::Binary,
                    $(v4::DbDataType::$more => $older::DbDataType::$more,)*
                    _ => $older::DbDataType::Other,
                }
            }
        }

        impl From<v4::Error> for $older::Error {
            fn from(error: v4::Error) -> $older::Error {
                match error {
                    v4::Error::ConnectionFailed(text) => $older::Error::ConnectionFailed(text),
                    v4::Error::BadParameter(text) => $older::Error::BadParameter(text),
                    v4::Error::QueryFailed(v4::QueryError::Text(text)) => {
                        $older::Error::QueryFailed(text)
                    }
                    v4::Error::QueryFailed(v4::QueryError::DbError(error)) => {
                        $older::Error::QueryFailed(error.as_text)
                    }
                    v4::Error::ValueConversionFailed(text) => {
                        $older::Error::ValueConversionFailed(text)
                    }
                    v4::Error::Other(text) => $older::Error::Other(text),
                }
            }
        }
    };
}

convert_from_v4!(v2_types, []);
convert_from_v4!(v3, [Date, Time, Datetime, Timestamp]);
