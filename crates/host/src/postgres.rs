//! Implements `spin:postgres@4.0.0`, and two older interfaces in terms of it, with the driver and the
//! pool that Spin uses, and with its limits: 64 connections per connection string, reused without a
//! ROLLBACK, and results of up to 128 MiB.
//!
//! The log explains errors that are hard to understand under Spin.

#![expect(clippy::result_large_err, reason = "the error is generated from wit/")]

mod convert;
mod error;
mod older;

use futures_util::{StreamExt, pin_mut};
use tokio_postgres::config::Host as ServerHost;
use tokio_postgres::{Config, Row};
use wasmtime::component::Resource;

use crate::bindings::spin::postgres4_0_0::postgres::{
    Column, Error, Host, HostConnection, ParameterValue, QueryError, RowSet,
};
use crate::driver_error::{self, DriverError};
use crate::pool::Connection;
use crate::state::State;

/// The maximum size of a result in bytes (`MAX_HOST_BUFFERED_BYTES` in Spin).
const RESULT_LIMIT: usize = 128 << 20;

impl Host for State {}

impl HostConnection for State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        if let Err(error) = self.check_allowed(&address) {
            return Ok(Err(error));
        }
        if self.open_connections == 1 {
            self.warn(
                "a second database connection in one request: 64 such requests at once deadlock \
                 under Spin",
            );
        }
        match self.component.pools.get(&address).await {
            Ok(client) => {
                self.open_connections += 1;
                Ok(Ok(self.table.push(Connection::new(client))?))
            }
            Err(error) => Ok(Err(Error::ConnectionFailed(error::debug(&error)))),
        }
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<RowSet, Error>> {
        let connection = self.table.get_mut(&connection)?;
        connection.track(&statement);
        let result = connection.query(&statement, &parameters).await;
        match &result {
            Err(Error::QueryFailed(QueryError::Text(text)))
                if text.contains("type `timestamptz`") =>
            {
                self.warn("Spin cannot read timestamptz: select it as text");
            }
            Ok(set) if set.rows.is_empty() => {
                self.warn("Spin 4.0 never returns from a query without rows");
            }
            _ => {}
        }
        Ok(result)
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<ParameterValue>,
    ) -> wasmtime::Result<Result<u64, Error>> {
        let connection = self.table.get_mut(&connection)?;
        connection.track(&statement);
        Ok(connection.execute(&statement, &parameters).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        let connection = self.table.delete(connection)?;
        self.open_connections -= 1;
        if connection.in_transaction {
            self.warn(
                "a transaction was left open: under Spin, the next request on this connection \
                 continues it and may commit it",
            );
        }
        Ok(())
    }
}

impl State {
    /// Checks every server in the connection string against `allowed_outbound_hosts`. `hostaddr` is
    /// rejected because it would bypass the check, as it does in Spin 3.6 to 4.1.
    fn check_allowed(&self, address: &str) -> Result<(), Error> {
        let reject = |reason: String| Err(Error::ConnectionFailed(reason));
        let config: Config = match address.parse() {
            Ok(config) => config,
            Err(error) => return reject(driver_error::message(&error)),
        };
        if !config.get_hostaddrs().is_empty() {
            return reject("hostaddr is not supported".to_owned());
        }
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let ServerHost::Tcp(host) = host else {
                return reject("Unix sockets are not supported on WebAssembly".to_owned());
            };
            let port = ports.get(index).or(ports.first());
            let number = port.copied().unwrap_or(5432);
            if !self.component.allowed_hosts.allow("postgres", host, number) {
                let port = port.map(|port| format!(":{port}")).unwrap_or_default();
                return reject(format!("address postgres://{host}{port} is not permitted"));
            }
        }
        Ok(())
    }
}

impl Connection {
    async fn query(&self, statement: &str, parameters: &[ParameterValue]) -> Result<RowSet, Error> {
        let parameters = convert::parameters(parameters)
            .map_err(|error| Error::BadParameter(error::debug(&error)))?;
        let rows =
            self.client().query_raw(statement, parameters).await.map_err(error::structured)?;
        pin_mut!(rows);
        let mut set = RowSet { columns: Vec::new(), rows: Vec::new() };
        let mut size = size_of::<RowSet>();
        while let Some(row) = rows.next().await {
            // Under Spin, an error while the statement runs carries no SQLSTATE.
            let row = row.map_err(|error| error::text(DriverError(error).into()))?;
            if set.rows.is_empty() {
                set.columns = columns(&row);
            }
            let row = convert::row(&row).map_err(error::text)?;
            size += row.iter().map(convert::size).sum::<usize>();
            if size > RESULT_LIMIT {
                let reason = format!("query result exceeds limit of {RESULT_LIMIT} bytes");
                return Err(error::text(anyhow::Error::msg(reason)));
            }
            set.rows.push(row);
        }
        Ok(set)
    }

    async fn execute(&self, statement: &str, parameters: &[ParameterValue]) -> Result<u64, Error> {
        let parameters = convert::parameters(parameters)
            .map_err(|error| Error::ValueConversionFailed(error::debug(&error)))?;
        let parameters: Vec<_> = parameters.iter().map(|parameter| &**parameter as _).collect();
        self.client().execute(statement, &parameters).await.map_err(error::structured)
    }
}

fn columns(row: &Row) -> Vec<Column> {
    let column = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        data_type: convert::data_type(column.type_()),
    };
    row.columns().iter().map(column).collect()
}
