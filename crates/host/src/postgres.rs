//! `spin:postgres@4.0.0` over the driver and the pool that Spin uses, with its limits: 64
//! connections per connection string, recycled without a ROLLBACK, results of up to 128 MiB.
//!
//! Where Spin's answer is hard to understand, the log explains it.

#![expect(clippy::result_large_err, reason = "the error is generated from wit/")]

mod convert;
mod error;
mod pool;

use deadpool_postgres::Object;
use futures_util::{StreamExt, pin_mut};
use tokio_postgres::config::Host as ServerHost;
use tokio_postgres::{Config, Row};
use wasmtime::component::Resource;

use crate::bindings::spin::postgres::postgres::{
    Column, Error, Host, HostConnection, ParameterValue, QueryError, RowSet,
};
use crate::state::State;

pub(crate) use pool::Pools;

/// The most bytes one result may have (`MAX_HOST_BUFFERED_BYTES` in Spin).
const RESULT_LIMIT: usize = 128 << 20;

/// A pooled connection, opened by a request and returned to its pool when dropped, at the latest at
/// the end of the request.
///
/// As under Spin, the pool resets it on the next `open`, and each statement is prepared, executed
/// and closed: nothing is cached.
pub struct Connection {
    client: Object,
    /// Whether a transaction is open, judged by the first words of the statements so far.
    in_transaction: bool,
}

impl Host for State {}

impl HostConnection for State {
    async fn open(
        &mut self,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, Error>> {
        if let Err(error) = self.permit(&address) {
            return Ok(Err(error));
        }
        self.opened += 1;
        if self.opened == 2 {
            self.warn(
                "a second database connection in one request: with 64 such requests at once, Spin \
                 waits for ever",
            );
        }
        match self.component.pools.get(&address).await {
            Ok(client) => {
                let connection = Connection { client, in_transaction: false };
                Ok(Ok(self.table.push(connection)?))
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
        connection.follow_transaction(&statement);
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
        connection.follow_transaction(&statement);
        Ok(connection.execute(&statement, &parameters).await)
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        let connection = self.table.delete(connection)?;
        if connection.in_transaction {
            self.warn(
                "a transaction was left open: under Spin the next request continues it, and may \
                 commit it",
            );
        }
        Ok(())
    }
}

impl State {
    /// Checks every server that the connection string names. Spin (3.6 to 4.1) forgets to look at
    /// `hostaddr`, which would lead around the check: here it is refused.
    fn permit(&self, address: &str) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::ConnectionFailed(reason));
        let config: Config = match address.parse() {
            Ok(config) => config,
            Err(error) => return refuse(error::flat(&error)),
        };
        if !config.get_hostaddrs().is_empty() {
            return refuse("hostaddr is not supported".to_owned());
        }
        let ports = config.get_ports();
        for (index, host) in config.get_hosts().iter().enumerate() {
            let ServerHost::Tcp(host) = host else {
                return refuse("Unix sockets are not supported on WebAssembly".to_owned());
            };
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            if !self.component.allowed_hosts.allow("postgres", host, port) {
                return refuse(format!("address postgres://{host}:{port} is not permitted"));
            }
        }
        Ok(())
    }
}

impl Connection {
    async fn query(&self, statement: &str, parameters: &[ParameterValue]) -> Result<RowSet, Error> {
        let parameters = convert::parameters(parameters)
            .map_err(|error| Error::BadParameter(error::debug(&error)))?;
        let rows = self.client.query_raw(statement, parameters).await.map_err(error::structured)?;
        pin_mut!(rows);
        let mut set = RowSet { columns: Vec::new(), rows: Vec::new() };
        let mut size = size_of::<RowSet>();
        while let Some(row) = rows.next().await {
            // What fails while the statement runs has no SQLSTATE under Spin.
            let row = row.map_err(|error| error::text(error::Flat(error).into()))?;
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
        let parameters: Vec<_> = parameters.iter().map(|it| &**it as _).collect();
        self.client.execute(statement, &parameters).await.map_err(error::structured)
    }

    /// Updates `in_transaction` for a statement that is about to run.
    fn follow_transaction(&mut self, statement: &str) {
        let mut words =
            statement.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty());
        let mut word = || words.next().unwrap_or_default().to_ascii_uppercase();
        match word().as_str() {
            "BEGIN" => self.in_transaction = true,
            "START" if word() == "TRANSACTION" => self.in_transaction = true,
            "COMMIT" | "END" | "ABORT" => self.in_transaction = false,
            // ROLLBACK TO a savepoint stays inside.
            "ROLLBACK" if word() != "TO" => self.in_transaction = false,
            _ => {}
        }
    }
}

fn columns(row: &Row) -> Vec<Column> {
    let column = |column: &tokio_postgres::Column| Column {
        name: column.name().to_owned(),
        data_type: convert::data_type(column.type_()),
    };
    row.columns().iter().map(column).collect()
}
