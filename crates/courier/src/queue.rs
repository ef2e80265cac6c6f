//! The queues, and the route to which the messages of each are sent.
//!
//! The table is fixed: no path is ever taken from a message.

use bytes::Bytes;
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Orders, each of which becomes a receipt.
    Receipts,
    /// Parts of asynchronous runs.
    Runs,
}

/// A message to deliver.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The queue from which it was received.
    pub queue: Queue,
    /// The `message_id`.
    pub id: Option<String>,
    /// The body of the request.
    pub body: Bytes,
}

/// A request to the application: always a `POST` with a JSON body.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The path.
    pub path: &'static str,
    /// The value of the header `Idempotency-Key`.
    pub idempotency_key: Option<HeaderValue>,
    /// The body.
    pub body: Bytes,
    /// Whether a 404 response means that the subject of the request no longer exists, rather than
    /// that the application does not have the route.
    pub may_be_gone: bool,
}

/// The part of a run that a message of [`Queue::Runs`] names.
#[derive(Deserialize, Serialize)]
struct RunPart {
    run: String,
    part: u64,
}

impl Queue {
    /// All queues.
    pub const ALL: [Queue; 2] = [Queue::Receipts, Queue::Runs];

    /// Returns the name of the queue.
    pub fn name(self) -> &'static str {
        match self {
            Queue::Receipts => "katas.receipts",
            Queue::Runs => "katas.runs",
        }
    }

    /// Returns the name of the queue of its dead letters.
    pub fn dead_letters(self) -> &'static str {
        match self {
            Queue::Receipts => "katas.receipts.dead",
            Queue::Runs => "katas.runs.dead",
        }
    }

    /// Returns the queue with this name.
    pub fn from_name(name: &str) -> Option<Queue> {
        Queue::ALL.into_iter().find(|queue| queue.name() == name)
    }

    /// Returns the position in [`Queue::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl Message {
    /// Returns the request that delivers the message, or the reason why there is none.
    pub fn request(&self) -> Result<Request, String> {
        let request = |path, idempotency_key| {
            let body = self.body.clone();
            Request { path, idempotency_key, body, may_be_gone: false }
        };
        match self.queue {
            Queue::Receipts => {
                let id = self.id.as_deref().ok_or("the message has no message_id")?;
                let key = HeaderValue::from_str(id)
                    .map_err(|_| "the message_id is not a valid Idempotency-Key")?;
                Ok(request("/api/v1/receipts", Some(key)))
            }
            Queue::Runs => Ok(request("/api/v1/run-parts", None)),
        }
    }

    /// Returns the request that tells the application that this message could not be delivered, if
    /// the application has to know.
    pub fn failure_request(&self) -> Option<Request> {
        match self.queue {
            Queue::Receipts => None,
            Queue::Runs => {
                let part: RunPart = serde_json::from_slice(&self.body).ok()?;
                let body = serde_json::to_vec(&part).ok()?.into();
                Some(Request {
                    path: "/api/v1/run-failures",
                    idempotency_key: None,
                    body,
                    may_be_gone: true,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(queue: Queue, id: Option<&str>, body: &'static str) -> Message {
        Message { queue, id: id.map(str::to_owned), body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn receipt_is_sent_with_its_message_id_as_idempotency_key() {
        let request = message(Queue::Receipts, Some("order-1"), "{}").request().unwrap();
        assert_eq!(request.path, "/api/v1/receipts");
        assert_eq!(request.idempotency_key.unwrap(), "order-1");
    }

    #[test]
    fn receipt_without_usable_message_id_has_no_request() {
        for id in [None, Some("a\nb")] {
            let reason = message(Queue::Receipts, id, "{}").request().unwrap_err();
            assert!(reason.contains("message_id"), "{reason}");
        }
    }

    #[test]
    fn failure_request_names_only_run_and_part() {
        let failure = |body| message(Queue::Runs, None, body).failure_request();
        let request = failure(r#"{"part":3,"run":"r","path":"/x"}"#).unwrap();
        assert_eq!(request.path, "/api/v1/run-failures");
        assert_eq!(request.body, r#"{"run":"r","part":3}"#);
        assert_eq!(failure("[]"), None);
        assert_eq!(message(Queue::Receipts, None, "{}").failure_request(), None);
    }

    #[test]
    fn names_of_queues_are_distinct() {
        for queue in Queue::ALL {
            assert_eq!(Queue::from_name(queue.name()), Some(queue));
            assert_eq!(Queue::from_name(queue.dead_letters()), None);
        }
    }
}
