//! Failures of the broker, of the relay, and of consumers; external producers.

use std::time::Duration;

use courier::Event;
use courier::amqp::{Outgoing, PublishError};
use courier::outbox::Outbox;
use courier::queue::Queue;

use crate::support::application::Reaction::{Accept, AcceptLate, Refuse};
use crate::support::{
    Bed, Mode, RUNTIME, SHORT_QUEUES, eventually, folder, rabbitmq, shared_postgres,
    shared_rabbitmq,
};

macro_rules! through_rabbitmq {
    ($($name:ident),* $(,)?) => {
        mod through_rabbitmq {
            $(
                #[test]
                #[cfg_attr(
                    not(all(has_postgres, has_rabbitmq)),
                    ignore = "PostgreSQL or RabbitMQ is not installed"
                )]
                fn $name() {
                    super::RUNTIME.block_on(async {
                        super::$name(super::Bed::new(super::Mode::RabbitMq).await).await
                    });
                }
            )*
        }
    };
}

through_rabbitmq!(
    relay_killed_before_publishing_leaves_the_rows,
    relay_killed_before_commit_repeats_the_message_without_a_second_effect,
    several_couriers_share_the_work,
    courier_killed_during_a_request_has_it_repeated,
    long_pause_returns_the_messages_to_the_broker,
    produced_message_becomes_one_receipt_however_often_it_is_delivered,
    produced_message_without_id_is_a_dead_letter,
    deleted_queue_is_declared_again,
    message_dead_lettered_by_the_broker_is_listed,
);

async fn relay_killed_before_publishing_leaves_the_rows(mut bed: Bed) {
    bed.enqueue_many(Queue::Receipts, 3).await;
    let mut outbox = Outbox::connect(&courier::Secret::Text(bed.database.clone())).await.unwrap();
    assert_eq!(outbox.lock_batch().await.unwrap().len(), 3);
    // Another relay does not wait for the locked rows.
    let mut other = Outbox::connect(&courier::Secret::Text(bed.database.clone())).await.unwrap();
    assert_eq!(other.lock_batch().await.unwrap(), []);
    other.finish_batch(&[]).await.unwrap();
    drop((outbox, other));
    bed.start();
    bed.finish(3).await;
    assert_eq!(bed.application.received().len(), 3);
}

async fn relay_killed_before_commit_repeats_the_message_without_a_second_effect(mut bed: Bed) {
    let id = bed.enqueue("katas.receipts", "{}").await;
    let mut outbox = Outbox::connect(&courier::Secret::Text(bed.database.clone())).await.unwrap();
    let rows = outbox.lock_batch().await.unwrap();
    bed.produce(Some(&rows[0].id), &rows[0].body).await;
    drop(outbox);
    bed.start();
    eventually("both messages are delivered", async || bed.application.received().len() == 2).await;
    assert_eq!(bed.application.effects()[&id], 2);
    bed.finish(1).await;
}

async fn several_couriers_share_the_work(bed: Bed) {
    let couriers: Vec<_> = (0..3).map(|_| bed.another()).collect();
    bed.enqueue_many(Queue::Receipts, 500).await;
    bed.effects(500).await;
    for courier in couriers {
        courier.stop().await;
    }
    // Nothing was published or delivered twice.
    assert_eq!(bed.application.received().len(), 500);
    bed.empty().await;
    assert_eq!(bed.dead().await, []);
}

async fn courier_killed_during_a_request_has_it_repeated(bed: Bed) {
    bed.application.script(|_| AcceptLate);
    bed.enqueue_many(Queue::Receipts, 20).await;
    let killed = bed.another();
    eventually("requests are in progress", async || bed.application.received().len() >= 8).await;
    killed.abort().await;
    bed.application.script(|_| Accept);
    let other = bed.another();
    bed.effects(20).await;
    let repeated = async || bed.application.received().len() >= 28;
    eventually("the interrupted requests are repeated", repeated).await;
    other.stop().await;
    assert_eq!(bed.dead().await, []);
}

async fn long_pause_returns_the_messages_to_the_broker(mut bed: Bed) {
    bed.timing.release_after = Duration::from_millis(200);
    bed.application.script(|_| Refuse(503, ""));
    bed.application.set_ready(false);
    bed.enqueue_many(Queue::Receipts, 20).await;
    bed.start();
    bed.event(|event| matches!(event, Event::Released { .. })).await;
    let broker = bed.broker().await;
    eventually("all messages are in the queue", async || {
        broker.count(Queue::Receipts.name()).await.unwrap() == 20
    })
    .await;
    bed.application.script(|_| Accept);
    bed.application.set_ready(true);
    bed.finish(20).await;
}

async fn produced_message_becomes_one_receipt_however_often_it_is_delivered(mut bed: Bed) {
    for _ in 0..3 {
        bed.produce(Some("order-1"), r#"{"items":[]}"#).await;
    }
    bed.start();
    eventually("all are delivered", async || bed.application.received().len() == 3).await;
    assert_eq!(bed.application.received()[0].key.as_deref(), Some("order-1"));
    bed.finish(1).await;
}

async fn produced_message_without_id_is_a_dead_letter(mut bed: Bed) {
    bed.produce(None, "{}").await;
    bed.start();
    eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
    bed.stop().await;
    assert_eq!(bed.application.received(), []);
    let dead = bed.dead().await;
    assert_eq!(dead[0].reason, "the message has no message_id");
    // It has got one, by which an operator can name it.
    assert_eq!(dead[0].id.len(), 36, "{dead:?}");
}

async fn deleted_queue_is_declared_again(mut bed: Bed) {
    bed.start();
    bed.enqueue_many(Queue::Receipts, 1).await;
    bed.effects(1).await;
    let channel = bed.channel().await;
    channel.queue_delete(Queue::Receipts.name().into(), Default::default()).await.unwrap();
    bed.enqueue_many(Queue::Receipts, 5).await;
    bed.finish(6).await;
}

async fn message_dead_lettered_by_the_broker_is_listed(bed: Bed) {
    bed.produce(Some("expired"), "{}").await;
    let channel = bed.channel().await;
    let got = channel.basic_get(Queue::Receipts.name().into(), Default::default()).await.unwrap();
    let rejected = got.expect("a message").delivery.reject(Default::default()).await.unwrap();
    assert!(rejected);
    eventually("the broker moves the message", async || !bed.dead().await.is_empty()).await;
    let dead = bed.dead().await;
    assert_eq!(dead[0].id, "expired");
    assert_eq!(dead[0].reason, "removed by the broker: rejected");
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn full_queue_leaves_the_rows_in_the_outbox() {
    RUNTIME.block_on(async {
        let url = shared_rabbitmq().await.vhost_url(SHORT_QUEUES);
        let mut bed = Bed::with(shared_postgres().await, Some(url)).await;
        let broker = bed.broker().await;
        let publisher = broker.publisher().await.unwrap();
        fn message(id: &str) -> Outgoing<'_> {
            let queue = Queue::Receipts.name();
            Outgoing { queue, id: Some(id), body: b"{}", timestamp: None, died: None }
        }
        let mut count = 0;
        let full = loop {
            count += 1;
            let id = count.to_string();
            match publisher.publish_confirmed(&message(&id)).await {
                Ok(()) => assert!(count < 100, "the queue has no limit"),
                Err(error) => break error,
            }
        };
        assert_eq!(full, PublishError::Rejected("the queue is full".to_owned()));
        bed.application.script(|_| Refuse(503, ""));
        // The broker may accept a whole batch before it notices that the queue is full.
        bed.enqueue_many(Queue::Receipts, 500).await;
        bed.start();
        bed.event(|event| matches!(event, Event::NotPublished { .. })).await;
        bed.application.script(|_| Accept);
        bed.finish(500 + count - 1).await;
    });
}

#[test]
#[cfg_attr(
    not(all(has_postgres, has_rabbitmq)),
    ignore = "PostgreSQL or RabbitMQ is not installed"
)]
fn killed_broker_loses_no_message() {
    RUNTIME.block_on(async {
        let folder = folder("killed");
        let mut broker = rabbitmq(folder.path()).await;
        let mut bed = Bed::with(shared_postgres().await, Some(broker.url())).await;
        // Confirmed messages wait in the broker, and further ones in the outbox.
        bed.produce(Some("confirmed"), "{}").await;
        bed.application.script(|_| Refuse(503, ""));
        bed.start();
        bed.event(|event| matches!(event, Event::Paused { .. })).await;
        broker.kill();
        bed.event(|event| matches!(event, Event::Disconnected { .. })).await;
        bed.enqueue_many(Queue::Receipts, 10).await;
        bed.application.script(|_| Accept);
        broker.restart().await.expect("start RabbitMQ again");
        bed.finish(11).await;
    });
}
