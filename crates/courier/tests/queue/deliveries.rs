//! What the courier does with a message after each response, in both modes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use courier::backoff::Backoff;
use courier::queue::Queue;
use courier::{Event, Secret};

use crate::support::application::Reaction::{Accept, AcceptAndCut, Cut, Refuse};
use crate::support::postgres::{Postgres, execute};
use crate::support::{Bed, RUNTIME, eventually, folder, in_both_modes};

in_both_modes!(
    accepted_message_is_sent_once_and_removed,
    part_of_a_run_is_sent_to_its_route,
    unavailable_application_pauses_without_dead_letters,
    one_probe_is_sent_during_a_pause,
    ready_application_ends_a_long_pause,
    failure_of_an_application_that_is_not_ready_makes_no_dead_letter,
    cut_connection_is_retried_without_a_second_effect,
    stopped_application_is_retried_until_it_is_back,
    rejected_message_is_a_dead_letter_and_others_are_delivered,
    failing_message_is_a_dead_letter_after_five_tries,
    part_that_fails_five_times_fails_its_run,
    failure_of_a_run_that_is_gone_is_a_dead_letter,
    failed_message_that_succeeds_later_is_no_dead_letter,
    wrong_token_pauses_until_the_file_is_right,
    stop_finishes_the_request_in_progress_and_leaves_the_rest,
    backlog_is_delivered_completely,
    stalled_runs_are_queued_again,
    row_of_an_unknown_queue_stays,
);

async fn accepted_message_is_sent_once_and_removed(mut bed: Bed) {
    let id = bed.enqueue("katas.receipts", r#"{"items":["socks"]}"#).await;
    bed.start();
    bed.finish(1).await;
    let received = bed.application.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].path, "/api/v1/receipts");
    assert_eq!(received[0].key, Some(id));
    assert_eq!(received[0].authorization, None);
    assert_eq!(received[0].body, r#"{"items":["socks"]}"#);
}

async fn part_of_a_run_is_sent_to_its_route(mut bed: Bed) {
    bed.application.script(|_| Refuse(200, "already stored"));
    bed.enqueue("katas.runs", r#"{"run":"a","part":1}"#).await;
    bed.start();
    eventually("the request is received", async || !bed.application.received().is_empty()).await;
    bed.stop().await;
    bed.empty().await;
    let received = bed.application.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert_eq!(received[0].path, "/api/v1/run-parts");
    assert_eq!(received[0].key, None);
    assert_eq!(received[0].body, r#"{"run":"a","part":1}"#);
}

async fn unavailable_application_pauses_without_dead_letters(mut bed: Bed) {
    for (round, status) in [429, 502, 503, 504].into_iter().enumerate() {
        bed.application.script(move |_| Refuse(status, "unavailable"));
        bed.enqueue_many(Queue::Receipts, 3).await;
        let before = bed.application.received().len();
        if bed.running.is_none() {
            bed.start();
        }
        // More often than a failing message is tried.
        eventually("retries", async || bed.application.received().len() > before + 10).await;
        bed.application.script(|_| Accept);
        bed.effects(3 * (round + 1)).await;
    }
    bed.event(
        |event| matches!(event, Event::Paused { reason, .. } if reason == "HTTP 503: unavailable"),
    )
    .await;
    bed.event(|event| matches!(event, Event::Resumed { .. })).await;
    bed.finish(12).await;
}

async fn one_probe_is_sent_during_a_pause(mut bed: Bed) {
    let delay = Duration::from_millis(500);
    bed.timing.hold = Backoff::new(delay, delay);
    bed.application.script(|_| Refuse(503, ""));
    bed.enqueue_many(Queue::Receipts, 100).await;
    let start = Instant::now();
    bed.start();
    eventually("probes", async || bed.application.received().len() >= 11).await;
    // Eight concurrent requests, and then three probes, each after at least half of the delay.
    assert!(start.elapsed() >= delay, "{:?}", start.elapsed());
    bed.application.script(|_| Accept);
    bed.effects(100).await;
}

async fn ready_application_ends_a_long_pause(mut bed: Bed) {
    let hour = Duration::from_secs(3600);
    bed.timing.hold = Backoff::new(hour, hour);
    bed.application.script(|_| Refuse(503, ""));
    bed.application.set_ready(false);
    bed.enqueue_many(Queue::Receipts, 20).await;
    bed.start();
    bed.event(|event| matches!(event, Event::Paused { .. })).await;
    bed.application.script(|_| Accept);
    bed.application.set_ready(true);
    bed.effects(20).await;
}

/// As Spin does at its limit of concurrent requests.
async fn failure_of_an_application_that_is_not_ready_makes_no_dead_letter(mut bed: Bed) {
    bed.application.script(|_| Refuse(500, ""));
    bed.application.set_ready(false);
    bed.enqueue_many(Queue::Receipts, 3).await;
    bed.start();
    // More often than a failing message is tried.
    eventually("retries", async || bed.application.received().len() > 25).await;
    bed.application.script(|_| Accept);
    bed.application.set_ready(true);
    bed.finish(3).await;
}

async fn cut_connection_is_retried_without_a_second_effect(mut bed: Bed) {
    let requests = AtomicU32::new(0);
    bed.application.script(move |_| match requests.fetch_add(1, Ordering::Relaxed) % 4 {
        0 => Cut,
        1 => AcceptAndCut,
        _ => Accept,
    });
    bed.enqueue_many(Queue::Receipts, 20).await;
    bed.start();
    // The last effect may be that of a request without a response.
    let shared = bed.running.as_ref().expect("the courier runs").shared.clone();
    let delivered = async || shared.metrics().delivered.get(Queue::Receipts) == 20;
    eventually("all messages are delivered", delivered).await;
    bed.finish(20).await;
    assert!(bed.application.received().len() > 20);
}

async fn stopped_application_is_retried_until_it_is_back(mut bed: Bed) {
    bed.application.stop();
    bed.enqueue_many(Queue::Receipts, 5).await;
    bed.start();
    bed.event(|event| matches!(event, Event::Paused { reason, .. } if reason.contains("refused")))
        .await;
    bed.application.restart().await;
    bed.finish(5).await;
}

async fn rejected_message_is_a_dead_letter_and_others_are_delivered(mut bed: Bed) {
    bed.application.script(|received| match received.body.as_str() {
        "poison" => Refuse(422, "invalid body"),
        _ => Accept,
    });
    bed.enqueue_many(Queue::Receipts, 10).await;
    let poison = bed.enqueue("katas.receipts", "poison").await;
    bed.enqueue_many(Queue::Receipts, 10).await;
    bed.start();
    bed.effects(20).await;
    eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
    bed.stop().await;
    let dead = bed.dead().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].id, poison);
    assert_eq!(dead[0].queue, "katas.receipts");
    assert_eq!(dead[0].reason, "HTTP 422: invalid body");
    assert_eq!(dead[0].body, "poison");
    assert!(dead[0].time.is_some());
    let poisonous = |received: &&crate::support::application::Received| received.body == "poison";
    assert_eq!(bed.application.received().iter().filter(poisonous).count(), 1);
}

async fn failing_message_is_a_dead_letter_after_five_tries(mut bed: Bed) {
    bed.application.script(|_| Refuse(500, "internal error"));
    bed.enqueue("katas.receipts", "{}").await;
    bed.start();
    eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
    bed.stop().await;
    assert_eq!(bed.application.received().len(), 5);
    assert_eq!(bed.dead().await[0].reason, "HTTP 500: internal error");
}

async fn part_that_fails_five_times_fails_its_run(mut bed: Bed) {
    bed.application.script(|received| match received.path.as_str() {
        "/api/v1/run-parts" => Refuse(500, ""),
        _ => Accept,
    });
    bed.enqueue("katas.runs", r#"{"run":"a","part":7}"#).await;
    bed.start();
    eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
    bed.stop().await;
    let received = bed.application.received();
    assert_eq!(received.len(), 6, "{received:?}");
    assert_eq!(received[5].path, "/api/v1/run-failures");
    assert_eq!(received[5].body, r#"{"run":"a","part":7}"#);
}

async fn failure_of_a_run_that_is_gone_is_a_dead_letter(mut bed: Bed) {
    // The response to the failure does not matter, unless it is that the application is down.
    let requests = AtomicU32::new(0);
    bed.application.script(move |received| match received.path.as_str() {
        "/api/v1/run-parts" => Refuse(422, "invalid body"),
        _ if requests.fetch_add(1, Ordering::Relaxed) < 8 => Refuse(503, ""),
        _ => Refuse(404, "run not found"),
    });
    bed.enqueue("katas.runs", r#"{"run":"a","part":7}"#).await;
    bed.start();
    eventually("the dead letter is stored", async || !bed.dead().await.is_empty()).await;
    bed.stop().await;
    assert_eq!(bed.application.count("/api/v1/run-parts"), 1);
    assert_eq!(bed.application.count("/api/v1/run-failures"), 9);
    assert_eq!(bed.dead().await[0].reason, "HTTP 422: invalid body");
}

async fn failed_message_that_succeeds_later_is_no_dead_letter(mut bed: Bed) {
    let requests = AtomicU32::new(0);
    bed.application.script(move |_| match requests.fetch_add(1, Ordering::Relaxed) {
        0..4 => Refuse(500, ""),
        _ => Accept,
    });
    bed.enqueue("katas.receipts", "{}").await;
    bed.start();
    bed.finish(1).await;
    assert_eq!(bed.application.received().len(), 5);
}

async fn wrong_token_pauses_until_the_file_is_right(mut bed: Bed) {
    let folder = folder("token");
    let file = folder.path().join("token");
    std::fs::write(&file, "old").expect("write the token");
    bed.token = Some(Secret::File(file.clone()));
    bed.application.script(|received| match received.authorization.as_deref() {
        Some("Bearer new") => Accept,
        _ => Refuse(401, "invalid token"),
    });
    bed.enqueue_many(Queue::Receipts, 20).await;
    bed.start();
    eventually("retries", async || bed.application.received().len() > 10).await;
    bed.event(|event| matches!(event, Event::Paused { reason, .. } if reason.contains("401")))
        .await;
    assert_eq!(bed.application.effects().len(), 0);
    std::fs::write(&file, "new\n").expect("write the token");
    bed.finish(20).await;
}

async fn stop_finishes_the_request_in_progress_and_leaves_the_rest(mut bed: Bed) {
    bed.application.script(|_| crate::support::application::Reaction::AcceptLate);
    bed.enqueue_many(Queue::Receipts, 30).await;
    bed.start();
    eventually("requests are in progress", async || bed.application.received().len() == 8).await;
    let running = bed.running.take().expect("the courier runs");
    let stopped = tokio::spawn(running.stop());
    bed.application.release(8);
    stopped.await.expect("the courier stops");
    assert_eq!(bed.application.received().len(), 8);
    bed.application.release(22);
    bed.start();
    bed.finish(30).await;
    // Nothing was sent twice.
    assert_eq!(bed.application.received().len(), 30);
}

async fn backlog_is_delivered_completely(mut bed: Bed) {
    bed.enqueue_many(Queue::Receipts, 550).await;
    bed.start();
    bed.finish(550).await;
    assert_eq!(bed.application.received().len(), 550);
}

async fn stalled_runs_are_queued_again(mut bed: Bed) {
    bed.timing.requeue = Duration::from_millis(50);
    // A run of three parts, the second of which is stored.
    let stalled = "
        WITH dataset AS (
          INSERT INTO katas.dataset (name, columns, state) VALUES ('a', '{a}', 'loaded')
          RETURNING number
        ), run AS (
          INSERT INTO katas.dataset_run
            (dataset, kata, parameters, result, rows, state, part_first_rows, parts_done,
             created_at, touched_at)
          SELECT number, 'nth-char', '{}', '{}', 0, 'running', '{1,11,21}', 1,
            now() - interval '11 minutes', now() - interval '11 minutes'
          FROM dataset RETURNING number
        )
        INSERT INTO katas.dataset_run_part (run, part, result, rows)
        SELECT number, 2, '', 10 FROM run";
    execute(&bed.administrator, stalled).await;
    bed.start();
    bed.event(|event| matches!(event, Event::Requeued { parts: 2 })).await;
    eventually("parts are delivered", async || bed.application.count("/api/v1/run-parts") == 2)
        .await;
}

async fn row_of_an_unknown_queue_stays(mut bed: Bed) {
    bed.enqueue("katas.later", "{}").await;
    bed.enqueue("katas.receipts", "{}").await;
    bed.start();
    bed.effects(1).await;
    eventually("one row is left", async || bed.rows().await == 1).await;
    bed.stop().await;
    assert_eq!(bed.dead().await, []);
}

#[test]
#[cfg_attr(not(has_postgres), ignore = "PostgreSQL is not installed")]
fn restarted_database_is_used_again() {
    RUNTIME.block_on(async {
        let folder = folder("postgres");
        let mut postgres = Postgres::start(folder.path()).await;
        let mut bed = Bed::with(&postgres, None).await;
        bed.enqueue_many(Queue::Receipts, 3).await;
        bed.start();
        bed.effects(3).await;
        postgres.crash();
        bed.event(|event| matches!(event, Event::Disconnected { .. })).await;
        postgres.run().await;
        bed.enqueue_many(Queue::Receipts, 3).await;
        bed.finish(6).await;
    });
}
