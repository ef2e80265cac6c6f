//! A connection that a request has opened: reset before its first statement, its statements kept.
//!
//! Spin asks the server three times for each request: to reset the connection, to prepare the
//! statement, to execute it. Here the reset travels with the statement, and what the connection has
//! prepared for an earlier request is not prepared again: one question in place of three, and no
//! parsing and planning. A guest sees the same rows and the same errors, but for one: when the reset
//! finds the connection dead, Spin connects anew, before the statement. Here the statement is under
//! way by then and may have run, so the guest is told that the connection is closed.

use std::error::Error as _;
use std::mem;

use deadpool_postgres::{ClientWrapper, Object, RecyclingMethod};
use futures_util::future::join;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, WrongType};
use tokio_postgres::{Error, RowStream};

use super::convert::Parameter;

/// The most statements that a connection keeps. Whoever makes up new ones all the time loses all of
/// them when they are more.
const STATEMENTS: usize = 100;

/// Dropped with the request at the latest, it goes back to its pool.
pub struct Connection {
    client: Object,
    /// Whether an earlier request had it, and it has not been reset since.
    used: bool,
    in_transaction: bool,
}

impl Connection {
    pub(super) fn new(client: Object) -> Connection {
        let used = Object::metrics(&client).recycle_count > 0;
        Connection { client, used, in_transaction: false }
    }

    /// Whether the guest has begun a transaction and not ended it, as far as the statements' first
    /// words tell.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Begins a statement. When the server refuses it, it has not run.
    pub(super) async fn start(
        &mut self,
        statement: &str,
        parameters: &[Parameter],
    ) -> Result<RowStream, Error> {
        self.follow_transaction(statement);
        let client = &self.client;
        if !mem::take(&mut self.used) {
            return start(client, statement, parameters).await;
        }
        // What deadpool sends before it lends a connection out, as Spin has it configured.
        let reset = RecyclingMethod::Clean.query().unwrap_or_default();
        match join(client.batch_execute(reset), start(client, statement, parameters)).await {
            // It was left in a transaction that has failed. Spin connects anew, to the same effect.
            (Err(refusal), Err(_)) if refusal.code().is_some() => {
                client.batch_execute("ROLLBACK").await?;
                client.batch_execute(reset).await?;
                start(client, statement, parameters).await
            }
            (_, begun) => begun,
        }
    }

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

/// Begins a statement, with the plan of an earlier request if that still fits the tables.
async fn start(
    client: &ClientWrapper,
    statement: &str,
    parameters: &[Parameter],
) -> Result<RowStream, Error> {
    match start_prepared(client, statement, parameters).await {
        Err(error)
            if may_be_stale(&error) && client.statement_cache.remove(statement, &[]).is_some() =>
        {
            start_prepared(client, statement, parameters).await
        }
        begun => begun,
    }
}

async fn start_prepared(
    client: &ClientWrapper,
    statement: &str,
    parameters: &[Parameter],
) -> Result<RowStream, Error> {
    if client.statement_cache.size() >= STATEMENTS {
        client.statement_cache.clear();
    }
    let statement = client.prepare_cached(statement).await?;
    let parameters = parameters.iter().map(|it| &**it as &(dyn ToSql + Sync));
    client.query_raw(&statement, parameters).await
}

/// Whether the same statement, prepared anew, may be accepted: a table has another shape now, or a
/// guest has deallocated what was prepared.
fn may_be_stale(error: &Error) -> bool {
    match error.code() {
        Some(code) => {
            *code == SqlState::FEATURE_NOT_SUPPORTED
                || *code == SqlState::INVALID_SQL_STATEMENT_NAME
                || code.code().starts_with("42")
        }
        // A parameter that is not of the type that was expected then: nothing has been sent. After any
        // other error without a code the statement may have run.
        None => error.source().is_some_and(|cause| cause.is::<WrongType>()),
    }
}
