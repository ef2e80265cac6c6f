//! The connection to the broker. The only module that uses the AMQP library.
//!
//! All queues are quorum queues. Their arguments say what the courier relies on; limits, such as
//! `delivery-limit` and `max-length`, are left to policies, which can change.

mod reactor;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions,
    BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::protocol::AMQPErrorKind;
use lapin::protocol::AMQPHardError::NOTALLOWED;
use lapin::protocol::AMQPSoftError::ACCESSREFUSED;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind,
    PublisherConfirm,
};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::queue::{Message, Queue};
use crate::{Error, Secret, tls};

/// The timeout of connecting and of each synchronous operation.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The interval of heartbeats in seconds. A connection without traffic for twice as long is closed.
const HEARTBEAT: u16 = 15;

/// The maximum size of a frame. The library allocates 64 frames per connection; with RabbitMQ's
/// 128 KiB these would be 8 MiB.
const FRAME_MAX: u32 = 16 << 10;

/// The delivery mode of persistent messages.
const PERSISTENT: u8 = 2;

/// The headers of a dead letter.
const REASON: &str = "x-reason";
const DIED_AT: &str = "x-died-at";

/// How to reach the broker.
#[derive(Clone, Debug)]
pub struct Address {
    url: Secret,
    ca_file: Option<PathBuf>,
}

/// A connection to the broker.
pub struct Broker {
    connection: Connection,
    channel: Channel,
}

/// A channel whose messages the broker confirms.
#[derive(Clone)]
pub struct Publisher {
    channel: Channel,
}

/// A message to publish.
pub struct Outgoing<'a> {
    /// The name of the queue.
    pub queue: &'a str,
    /// The `message_id`.
    pub id: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
    /// The Unix time at which the message was created.
    pub timestamp: Option<u64>,
    /// Why it is a dead letter, and the Unix time since when.
    pub died: Option<(&'a str, u64)>,
}

/// A published message that the broker has not confirmed yet.
pub struct Unconfirmed(PublisherConfirm);

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishError {
    /// The broker does not accept it now, for example because the queue is full.
    Rejected(String),
    /// The connection failed.
    Lost(Error),
}

/// A consumer of one queue, with its own channel.
pub struct Consumer {
    queue: Queue,
    channel: Channel,
    consumer: lapin::Consumer,
}

/// A received message that has to be acknowledged or returned.
pub struct Delivered {
    /// The message.
    pub message: Message,
    acker: lapin::Acker,
}

/// A dead letter.
pub struct DeadLetter {
    /// The message. Its queue is the one from which it was removed.
    pub message: Message,
    /// Why it is a dead letter.
    pub reason: String,
    /// The Unix time since when it is a dead letter, if known.
    pub died_at: Option<u64>,
    acker: lapin::Acker,
}

impl Address {
    /// Creates an address from a URL `amqp[s]://USER:PASSWORD@HOST[:PORT]/VHOST`, and a file with
    /// certificate authorities to trust in addition to the system's.
    pub fn new(url: Secret, ca_file: Option<&Path>) -> Result<Address, Error> {
        let address = Address { url, ca_file: ca_file.map(Path::to_owned) };
        address.tls(&address.parse()?)?;
        Ok(address)
    }

    fn parse(&self) -> Result<AMQPUri, Error> {
        // Never quote the URL: it contains the password.
        let mut uri: AMQPUri = self.url.read()?.parse().map_err(|reason: String| {
            let form = "amqps://USER:PASSWORD@HOST:PORT/VHOST";
            let reason =
                if reason.contains("scheme") { "unsupported scheme" } else { "syntax error" };
            Error::Usage(format!("invalid AMQP URL: {reason}; expected {form}"))
        })?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        Ok(uri)
    }

    /// Returns the TLS configuration and the name of the server, if the URL requires TLS.
    fn tls(&self, uri: &AMQPUri) -> Result<Option<(TlsConnector, ServerName<'static>)>, Error> {
        if uri.scheme == AMQPScheme::AMQP {
            return Ok(None);
        }
        let name = ServerName::try_from(uri.authority.host.clone())
            .map_err(|_| Error::Usage("invalid AMQP URL: invalid host".to_owned()))?;
        let config = tls::client_config(self.ca_file.as_deref())?;
        Ok(Some((TlsConnector::from(Arc::new(config)), name)))
    }
}

impl Broker {
    /// Connects, and declares all queues. `name` is shown in RabbitMQ's list of connections.
    pub async fn connect(address: &Address, name: &str) -> Result<Broker, Error> {
        let mut uri = address.parse()?;
        let runtime = reactor::runtime(address.tls(&uri)?);
        // For the library, the connection is not encrypted.
        uri.scheme = AMQPScheme::AMQP;
        let place = format!("{}:{}", uri.authority.host, uri.authority.port);
        let hostname = std::env::var("HOSTNAME").unwrap_or_default();
        let name = format!("courier {name} {hostname}");
        let properties =
            ConnectionProperties::default().with_connection_name(name.trim_end().into());
        let connect = async {
            let connection = Connection::connect_uri_with_runtime(uri, properties, runtime).await?;
            let channel = connection.create_channel().await?;
            Ok(Broker { connection, channel })
        };
        let failed = |error: Error| match error {
            Error::Unavailable(reason) => {
                Error::Unavailable(format!("cannot connect to the broker at {place}: {reason}"))
            }
            Error::Refused(reason) => {
                Error::Refused(format!("the broker at {place} refused the login: {reason}"))
            }
            other => other,
        };
        let broker = within(connect).await.map_err(failed)?;
        for queue in Queue::ALL {
            broker.declare(queue).await?;
        }
        Ok(broker)
    }

    /// Declares a queue and the queue of its dead letters.
    async fn declare(&self, queue: Queue) -> Result<(), Error> {
        let text = |text: &str| AMQPValue::LongString(LongString::from(text));
        let quorum = [("x-queue-type", text("quorum"))];
        // If the broker dead-letters a message itself, because of a limit in a policy, it must not
        // lose it: `at-least-once` keeps the message until the other queue has it, and requires
        // `reject-publish`.
        let dead_letters = [
            ("x-dead-letter-exchange", text("")),
            ("x-dead-letter-routing-key", text(queue.dead_letters())),
            ("x-dead-letter-strategy", text("at-least-once")),
            ("x-overflow", text("reject-publish")),
        ];
        self.declare_with(queue.dead_letters(), quorum.clone().into()).await?;
        self.declare_with(queue.name(), quorum.into_iter().chain(dead_letters).collect()).await
    }

    async fn declare_with(
        &self,
        name: &str,
        arguments: BTreeMap<&str, AMQPValue>,
    ) -> Result<(), Error> {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert(name.into(), value);
        }
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        within(self.channel.queue_declare(name.into(), options, table)).await?;
        Ok(())
    }

    /// Returns the number of messages in a queue that are ready for delivery.
    pub async fn count(&self, queue: &str) -> Result<u32, Error> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let declare = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        Ok(within(declare).await?.message_count())
    }

    /// Opens a channel for publishing.
    pub async fn publisher(&self) -> Result<Publisher, Error> {
        let channel = within(self.connection.create_channel()).await?;
        within(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(Publisher { channel })
    }

    /// Consumes a queue. The broker sends at most `prefetch` messages before it waits for an
    /// acknowledgement.
    pub async fn consume(&self, queue: Queue, prefetch: u16) -> Result<Consumer, Error> {
        let channel = within(self.connection.create_channel()).await?;
        within(channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let consumer = within(channel.basic_consume(
            queue.name().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        ))
        .await?;
        Ok(Consumer { queue, channel, consumer })
    }

    /// Takes a dead letter out of the queue, if there is one. Unless it is removed, it has to be
    /// returned: closing the connection instead would count as a failed delivery.
    pub async fn next_dead_letter(&self, queue: Queue) -> Result<Option<DeadLetter>, Error> {
        let get = self.channel.basic_get(queue.dead_letters().into(), BasicGetOptions::default());
        Ok(within(get).await?.map(|got| DeadLetter::new(queue, got.delivery)))
    }

    /// Closes the connection.
    pub async fn close(self) {
        // The broker also notices a connection that is cut off.
        let _ = within(self.connection.close(200, "OK".into())).await;
    }
}

impl Publisher {
    /// Publishes a message.
    pub async fn publish(&self, message: &Outgoing<'_>) -> Result<Unconfirmed, Error> {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT);
        if let Some(id) = message.id {
            properties = properties.with_message_id(id.into());
        }
        if let Some(timestamp) = message.timestamp {
            properties = properties.with_timestamp(timestamp);
        }
        if let Some((reason, at)) = message.died {
            let mut headers = FieldTable::default();
            headers.insert(REASON.into(), AMQPValue::LongString(reason.into()));
            headers.insert(DIED_AT.into(), AMQPValue::Timestamp(at));
            properties = properties.with_headers(headers);
        }
        let (exchange, queue) = (ShortString::default(), message.queue.into());
        let publish =
            self.channel.basic_publish(exchange, queue, options, message.body, properties);
        Ok(Unconfirmed(within(publish).await?))
    }

    /// Publishes a message and waits until the broker has confirmed it.
    pub async fn publish_confirmed(&self, message: &Outgoing<'_>) -> Result<(), PublishError> {
        let unconfirmed = self.publish(message).await.map_err(PublishError::Lost)?;
        match tokio::time::timeout(TIMEOUT, unconfirmed.confirmed()).await {
            Ok(result) => result,
            Err(_) => Err(PublishError::Lost(timed_out())),
        }
    }
}

impl Unconfirmed {
    /// Waits until the broker has confirmed the message: it has written it to the disks of a
    /// majority of the nodes of the queue.
    pub async fn confirmed(self) -> Result<(), PublishError> {
        match self.0.await {
            Ok(Confirmation::Ack(None)) => Ok(()),
            // `mandatory`: the broker returns what it cannot route.
            Ok(Confirmation::Ack(Some(_))) => {
                Err(PublishError::Lost(Error::Unavailable("the queue does not exist".to_owned())))
            }
            Ok(Confirmation::Nack(_)) => {
                Err(PublishError::Rejected("the queue is full".to_owned()))
            }
            Ok(Confirmation::NotRequested) => Err(PublishError::Lost(Error::Unexpected(
                "the channel does not confirm messages".to_owned(),
            ))),
            Err(error) => Err(PublishError::Lost(error.into())),
        }
    }
}

impl Consumer {
    /// Returns the next message. Can be canceled without losing one.
    pub async fn next(&mut self) -> Result<Delivered, Error> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => Ok(Delivered {
                message: Message {
                    queue: self.queue,
                    id: delivery.properties.message_id().as_ref().map(ToString::to_string),
                    body: Bytes::from(delivery.data),
                },
                acker: delivery.acker,
            }),
            Some(Err(error)) => Err(error.into()),
            // For example, the queue has been deleted.
            None => Err(Error::Unavailable("the broker canceled the consumer".to_owned())),
        }
    }

    /// Stops receiving messages.
    pub async fn cancel(&self) -> Result<(), Error> {
        within(self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()))
            .await?;
        Ok(())
    }

    /// Returns all messages that are not acknowledged to the queue.
    pub async fn return_all(&self) -> Result<(), Error> {
        let options = BasicNackOptions { multiple: true, requeue: true };
        within(self.channel.basic_nack(0, options)).await?;
        within(self.channel.close(200, "OK".into())).await?;
        Ok(())
    }
}

impl Delivered {
    /// Removes the message from the queue.
    pub async fn acknowledge(&self) -> Result<(), Error> {
        acknowledge(&self.acker).await
    }
}

impl DeadLetter {
    fn new(queue: Queue, delivery: lapin::message::Delivery) -> DeadLetter {
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        let header = |name: &str| headers.inner().get(name);
        let reason = match (header(REASON), header("x-first-death-reason")) {
            (Some(AMQPValue::LongString(reason)), _) => reason.to_string(),
            (_, Some(AMQPValue::LongString(reason))) => format!("removed by the broker: {reason}"),
            _ => "unknown".to_owned(),
        };
        let died_at = match header(DIED_AT) {
            Some(AMQPValue::Timestamp(at)) => Some(*at),
            _ => None,
        };
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
        let message = Message { queue, id, body: Bytes::from(delivery.data) };
        DeadLetter { message, reason, died_at, acker: delivery.acker }
    }

    /// Removes the dead letter.
    pub async fn remove(&self) -> Result<(), Error> {
        acknowledge(&self.acker).await
    }

    /// Returns the dead letter to its queue.
    pub async fn put_back(&self) -> Result<(), Error> {
        let options = BasicNackOptions { multiple: false, requeue: true };
        match within(self.acker.nack(options)).await? {
            true => Ok(()),
            false => Err(closed()),
        }
    }
}

async fn acknowledge(acker: &lapin::Acker) -> Result<(), Error> {
    match within(acker.ack(BasicAckOptions::default())).await? {
        true => Ok(()),
        false => Err(closed()),
    }
}

async fn within<T>(operation: impl Future<Output = lapin::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(TIMEOUT, operation).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(timed_out()),
    }
}

fn timed_out() -> Error {
    Error::Unavailable(format!("the broker did not answer within {} s", TIMEOUT.as_secs()))
}

fn closed() -> Error {
    Error::Unavailable("the channel is closed".to_owned())
}

impl From<lapin::Error> for Error {
    fn from(error: lapin::Error) -> Error {
        let ErrorKind::ProtocolError(protocol) = error.kind() else {
            return Error::Unavailable(error.to_string());
        };
        let text = protocol.get_message().to_string();
        match protocol.kind() {
            AMQPErrorKind::Soft(ACCESSREFUSED) | AMQPErrorKind::Hard(NOTALLOWED) => {
                Error::Refused(text)
            }
            _ => Error::Unavailable(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_url_is_rejected_without_being_quoted() {
        for url in ["", "http://u:secret@host", "amqp://u:secret@host:port"] {
            let error = Address::new(Secret::Text(url.to_owned()), None).unwrap_err();
            assert!(matches!(error, Error::Usage(_)), "{error:?}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn url_without_parameters_gets_heartbeat_and_small_frames() {
        let parse = |url: &str| Address::new(Secret::Text(url.to_owned()), None)?.parse();
        let uri = parse("amqps://u:p@host/vhost").unwrap();
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT));
        assert_eq!(uri.query.frame_max, Some(FRAME_MAX));
        let uri = parse("amqp://u:p@host?heartbeat=5").unwrap();
        assert_eq!(uri.query.heartbeat, Some(5));
    }
}
