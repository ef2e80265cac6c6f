//! Scripts that run in one transaction.

use std::time::Instant;

use super::runner::{Runner, remedy};
use crate::Error;
use crate::error::AttemptError;
use crate::project::{Direction, Migration, Script};
use crate::sql::{Statement, split};

impl Runner<'_> {
    /// Runs a script in one transaction, and retries while concurrent transactions interfere. Every
    /// failed attempt is rolled back completely.
    pub(super) async fn run_in_transaction(
        &mut self,
        migration: &Migration,
        script: &Script,
        direction: Direction,
    ) -> Result<(), Error> {
        let statements = split(&script.sql);
        let mut attempts = self.attempts();
        loop {
            let attempt = self.attempt(migration, script, &statements, direction).await;
            match self.roll_back_if_failed(attempt).await {
                Ok(()) => return Ok(()),
                Err(error) => self.retry(error, script, &mut attempts).await?,
            }
        }
    }

    /// Runs a script once: claims or deletes the ledger row, runs the statements, verifies that they
    /// have not ended the transaction, and commits.
    async fn attempt(
        &mut self,
        migration: &Migration,
        script: &Script,
        statements: &[Statement<'_>],
        direction: Direction,
    ) -> Result<(), AttemptError> {
        let start = Instant::now();
        self.begin_transaction().await?;
        if !self.synchronous_commit {
            self.command("SET LOCAL synchronous_commit = off").await?;
        }
        let Runner { ledger, session, lock, .. } = self;
        let before = match direction {
            Direction::Up => ledger.claim(session, lock, migration, true).await?,
            Direction::Down => ledger.delete(session, lock, migration).await?,
        };
        let next = || format!("the whole file was rolled back; {}", remedy(direction));
        for statement in statements {
            self.execute(script, statement, next).await?;
        }
        self.verify_state(before, script).await?;
        if direction == Direction::Up {
            let took = start.elapsed();
            self.ledger.finish(&mut self.session.connection, migration, took).await?;
        }
        // COMMIT can fail too, for example on a deferred foreign key. Report that at the last line.
        let line = statements.last().map_or(1, |statement| statement.line);
        self.execute(script, &Statement { text: "COMMIT", line }, next).await
    }
}
