//! Lists, replays and drops dead letters: for an operator.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::amqp::{Address, Broker, DeadLetter, Outgoing, PublishError};
use crate::outbox::{Outbox, RejectedRow};
use crate::queue::Queue;
use crate::{Error, Secret};

/// How long to wait for dead letters to be back in their queue.
const PUT_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the dead letters are.
pub enum Source {
    /// In queues of the broker.
    Broker(Address),
    /// In the outbox, in direct mode.
    Outbox(Secret),
}

/// The dead letters that an operation concerns.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// All.
    All,
    /// Those with these ids.
    Ids(Vec<String>),
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The `message_id`, or `-` if it has none.
    pub id: String,
    /// The queue from which it was removed.
    pub queue: String,
    /// Why.
    pub reason: String,
    /// The time since when it is a dead letter or, in the outbox, at which it was created. RFC 3339.
    pub time: Option<String>,
    /// The body.
    pub body: String,
}

/// What to do with the selected dead letters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Return them to their queue.
    Replay,
    /// Delete them.
    Drop,
}

/// Returns all dead letters.
pub async fn list(source: &Source) -> Result<Vec<Entry>, Error> {
    match source {
        Source::Broker(address) => {
            let broker = Broker::connect(address, "dead").await?;
            let letters = take_all(&broker).await?;
            let entries = letters.iter().map(Entry::from).collect();
            put_back(&broker, &letters).await?;
            broker.close().await;
            Ok(entries)
        }
        Source::Outbox(database) => {
            let mut outbox = Outbox::connect(database).await?;
            let rows = outbox.rejected().await?;
            outbox.close().await;
            Ok(rows.iter().map(Entry::from).collect())
        }
    }
}

/// Replays or drops the selected dead letters. Returns their number.
///
/// # Errors
///
/// Returns [`Error::NotFound`], and does nothing, if a selected dead letter does not exist.
pub async fn apply(
    source: &Source,
    selection: &Selection,
    operation: Operation,
) -> Result<usize, Error> {
    match source {
        Source::Broker(address) => apply_to_broker(address, selection, operation).await,
        Source::Outbox(database) => apply_to_outbox(database, selection, operation).await,
    }
}

async fn apply_to_broker(
    address: &Address,
    selection: &Selection,
    operation: Operation,
) -> Result<usize, Error> {
    let broker = Broker::connect(address, "dead").await?;
    let publisher = broker.publisher().await?;
    let letters = take_all(&broker).await?;
    let ids: Vec<String> = letters.iter().map(|letter| Entry::from(letter).id).collect();
    if let Err(error) = selection.check(&ids) {
        put_back(&broker, &letters).await?;
        return Err(error);
    }
    let is_selected = |letter: &DeadLetter| selection.contains(&Entry::from(letter).id);
    let (selected, others): (Vec<_>, Vec<_>) = letters.into_iter().partition(is_selected);
    for letter in &selected {
        if operation == Operation::Replay {
            let message = Outgoing {
                queue: letter.message.queue.name(),
                id: letter.message.id.as_deref(),
                body: &letter.message.body,
                timestamp: None,
                died: None,
            };
            publisher.publish_confirmed(&message).await.map_err(|error| match error {
                PublishError::Lost(error) => error,
                PublishError::Rejected(reason) => Error::Unavailable(reason),
            })?;
        }
        letter.remove().await?;
    }
    put_back(&broker, &others).await?;
    broker.close().await;
    Ok(selected.len())
}

/// Takes all dead letters out of their queues. More may arrive meanwhile.
async fn take_all(broker: &Broker) -> Result<Vec<DeadLetter>, Error> {
    let mut letters = Vec::new();
    for queue in Queue::ALL {
        for _ in 0..broker.count(queue.dead_letters()).await? {
            // Another operator may have taken some.
            let Some(letter) = broker.next_dead_letter(queue).await? else { break };
            letters.push(letter);
        }
    }
    Ok(letters)
}

/// Returns dead letters to their queues. Waits until they are there, because the broker does not
/// confirm it: the next operation would miss some.
async fn put_back(broker: &Broker, letters: &[DeadLetter]) -> Result<(), Error> {
    for letter in letters {
        letter.put_back().await?;
    }
    for queue in Queue::ALL {
        let count = letters.iter().filter(|letter| letter.message.queue == queue).count();
        let start = Instant::now();
        // Another operator may have taken some meanwhile.
        while (broker.count(queue.dead_letters()).await? as usize) < count
            && start.elapsed() < PUT_BACK_TIMEOUT
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

async fn apply_to_outbox(
    database: &Secret,
    selection: &Selection,
    operation: Operation,
) -> Result<usize, Error> {
    let mut outbox = Outbox::connect(database).await?;
    let rows = outbox.rejected().await?;
    let ids: Vec<String> = rows.iter().map(|rejected| rejected.row.id.clone()).collect();
    selection.check(&ids)?;
    let selected = rows.iter().filter(|rejected| selection.contains(&rejected.row.id));
    let numbers: Vec<i64> = selected.map(|rejected| rejected.row.number).collect();
    match operation {
        Operation::Drop => outbox.delete(&numbers).await?,
        Operation::Replay => {
            for &number in &numbers {
                outbox.set_reason(number, None).await?;
            }
        }
    }
    outbox.close().await;
    Ok(numbers.len())
}

impl Selection {
    fn contains(&self, id: &str) -> bool {
        match self {
            Selection::All => true,
            Selection::Ids(ids) => ids.iter().any(|it| it == id),
        }
    }

    /// Fails if a selected id is not one of `existing`.
    fn check(&self, existing: &[String]) -> Result<(), Error> {
        let Selection::Ids(ids) = self else { return Ok(()) };
        match ids.iter().find(|id| !existing.contains(id)) {
            Some(id) => Err(Error::NotFound(id.clone())),
            None => Ok(()),
        }
    }
}

impl From<&DeadLetter> for Entry {
    fn from(letter: &DeadLetter) -> Entry {
        Entry {
            id: letter.message.id.clone().unwrap_or_else(|| "-".to_owned()),
            queue: letter.message.queue.name().to_owned(),
            reason: letter.reason.clone(),
            time: letter.died_at.and_then(|at| rfc3339(i64::try_from(at).ok()?)),
            body: String::from_utf8_lossy(&letter.message.body).into_owned(),
        }
    }
}

impl From<&RejectedRow> for Entry {
    fn from(rejected: &RejectedRow) -> Entry {
        Entry {
            id: rejected.row.id.clone(),
            queue: rejected.row.queue.clone(),
            reason: rejected.reason.clone(),
            time: rfc3339(rejected.row.created_at),
            body: rejected.row.body.clone(),
        }
    }
}

fn rfc3339(seconds: i64) -> Option<String> {
    let time = chrono::DateTime::from_timestamp(seconds, 0)?;
    Some(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_with_an_unknown_id_is_rejected() {
        let existing = ["a".to_owned(), "b".to_owned()];
        let ids = |ids: &[&str]| Selection::Ids(ids.iter().map(|&id| id.to_owned()).collect());
        assert_eq!(Selection::All.check(&existing), Ok(()));
        assert_eq!(ids(&["b", "a"]).check(&existing), Ok(()));
        assert_eq!(ids(&["a", "c"]).check(&existing), Err(Error::NotFound("c".to_owned())));
        assert!(ids(&["a"]).contains("a") && !ids(&["a"]).contains("b"));
    }
}
