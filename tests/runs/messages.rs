//! Messages and their outcomes, as the courier sees them.

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use super::{
    create_shop, deliver, deliver_all, messages, nth_char_order, queue, runs, runs_in_parts,
    spending_order, take_messages,
};
use crate::support::{App, RUNTIME, cluster};

const UNKNOWN: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

#[test]
fn malformed_message_returns_4xx() {
    let app = App::start();
    let runs = runs(&app, "word\na\n");
    queue(&app, &runs, &nth_char_order("word"));
    let run = messages(&app)[0]["run"].clone();
    for path in ["/api/v1/run-parts", "/api/v1/run-failures"] {
        for (message, field, detail) in [
            (json!({"part": 1}), "/run", "is required"),
            (json!({"run": run}), "/part", "is required"),
            (json!({"run": "1", "part": 1}), "/run", "must be a UUID"),
            (json!({"run": run, "part": "1"}), "/part", "must be a number"),
            (json!({"run": run, "part": 0}), "/part", "must be an integer from 1 to 1000000"),
            (
                json!({"run": run, "part": 1_000_001}),
                "/part",
                "must be an integer from 1 to 1000000",
            ),
        ] {
            app.post(path, &message).assert_invalid(&[(field, detail)]);
        }
    }
    app.post("/api/v1/run-parts", &json!({"run": run, "part": 2}))
        .assert_invalid(&[("/part", "must be at most 1")]);
    // The run is not affected.
    deliver_all(&app);
    assert_eq!(app.value("SELECT state FROM katas.dataset_run"), "done");
}

#[test]
fn message_of_an_unknown_or_finished_run_has_no_effect() {
    let app = App::start();
    let runs = runs(&app, "word\na\n");
    let done = app.post(&runs, &nth_char_order("word"));
    let before = app.get(done.header("location")).json();
    for run in [&before["id"], &json!(UNKNOWN)] {
        let message = json!({"run": run, "part": 1});
        assert!(!deliver(&app, &message));
        assert_eq!(app.post("/api/v1/run-failures", &message).status, 204);
    }
    assert_eq!(app.get(done.header("location")).json(), before);
}

#[test]
fn reported_failure_ends_the_run() {
    let app = App::start();
    create_shop(&app);
    let runs = runs_in_parts(&app, "item", vec!["socks".to_owned(); 70]);
    let run = queue(&app, &runs, &spending_order());
    let messages = take_messages(&app);
    assert!(deliver(&app, &messages[0]));
    for _ in 0..2 {
        assert_eq!(app.post("/api/v1/run-failures", &messages[1]).status, 204);
        let found = app.get(&run).json();
        assert_eq!(found["state"], "failed");
        let problem = json!({
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
            "detail": "part 2 failed repeatedly; the cause has been logged",
        });
        assert_eq!(found["problem"], problem);
        assert_eq!(found["progress"], json!({"done": 1, "total": 2}));
    }
    assert!(!deliver(&app, &messages[1]));
    assert_eq!(app.get(&run).json()["state"], "failed");
    let parts = "SELECT count(*) || ' ' || count(prices) \
                 FROM katas.dataset_run LEFT JOIN katas.dataset_run_part ON run = number \
                 WHERE run IS NOT NULL OR prices IS NOT NULL";
    assert_eq!(app.value(parts), "0 0");
}

/// Runs a query that returns a number as the courier.
fn as_courier(app: &App, sql: &'static str) -> Result<i64, sqlx::Error> {
    let database = app.value("SELECT current_database()::text");
    RUNTIME.block_on(async {
        let url = cluster().postgres.administrator(&database);
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql("SET ROLE katas_courier").execute(&mut connection).await?;
        let number = sqlx::query_as(sql).fetch_one(&mut connection).await;
        connection.close().await?;
        number.map(|(number,)| number)
    })
}

fn requeue(app: &App) -> i64 {
    as_courier(app, "SELECT katas.requeue_stalled_runs()").expect("the function succeeds")
}

fn let_pass(app: &App, minutes: u32) {
    app.sql(&format!(
        "UPDATE katas.dataset_run SET created_at = created_at - interval '{minutes} minutes', \
                                      touched_at = touched_at - interval '{minutes} minutes'"
    ));
}

fn part_numbers(messages: &[Value]) -> Vec<i64> {
    messages.iter().map(|message| message["part"].as_i64().expect("a number")).collect()
}

#[test]
fn messages_of_stalled_runs_are_repeated() {
    let app = App::start();
    create_shop(&app);
    let runs = runs_in_parts(&app, "item", vec!["socks".to_owned(); 130]);
    app.post(&runs, &spending_order());
    let run = queue(&app, &runs, &spending_order());
    let lost = take_messages(&app);
    assert_eq!(part_numbers(&lost), [1, 2, 3]);
    assert!(deliver(&app, &lost[1]));
    let_pass(&app, 9);
    assert_eq!(requeue(&app), 0);
    let_pass(&app, 2);
    assert_eq!(requeue(&app), 2);
    assert_eq!(messages(&app), [lost[0].clone(), lost[2].clone()]);
    // Repeated at increasing intervals, and not while the messages wait in the outbox.
    assert_eq!(requeue(&app), 0);
    let_pass(&app, 12);
    assert_eq!(requeue(&app), 0);
    take_messages(&app);
    let_pass(&app, 20);
    assert_eq!(requeue(&app), 0);
    let_pass(&app, 20);
    assert_eq!(requeue(&app), 2);
    deliver_all(&app);
    assert_eq!(app.get(&run).json()["state"], "done");
    let_pass(&app, 1000);
    assert_eq!(requeue(&app), 0);
}

#[test]
fn complete_run_whose_last_request_was_interrupted_gets_one_message() {
    let app = App::start();
    let runs = runs_in_parts(&app, "word", (0..70).map(|n| "x".repeat(n + 1)));
    let run = queue(&app, &runs, &nth_char_order("word"));
    take_messages(&app);
    app.sql(
        "INSERT INTO katas.dataset_run_part (run, part, result, rows) \
         SELECT number, part, repeat('x', length), length \
         FROM katas.dataset_run AS run, (VALUES (1, 64), (2, 6)) AS stored (part, length); \
         UPDATE katas.dataset_run SET parts_done = 2, state = 'running'",
    );
    let_pass(&app, 11);
    assert_eq!(requeue(&app), 1);
    deliver_all(&app);
    assert_eq!(app.get(&run).json()["result"], json!({"word": "x".repeat(70)}));
}

#[test]
fn courier_may_read_and_delete_messages_and_nothing_else() {
    let app = App::start();
    app.sql("INSERT INTO katas.outbox (queue, body) VALUES ('q', '{}'), ('q', '{}')");
    for allowed in [
        "SELECT count(*) FROM (SELECT * FROM katas.outbox FOR UPDATE SKIP LOCKED) AS message",
        "WITH changed AS (UPDATE katas.outbox SET reason = 'x' RETURNING 1) SELECT count(*) FROM changed",
        "WITH gone AS (DELETE FROM katas.outbox RETURNING 1) SELECT count(*) FROM gone",
    ] {
        assert_eq!(as_courier(&app, allowed).expect(allowed), 2);
    }
    for denied in [
        "WITH new AS (INSERT INTO katas.outbox (queue, body) VALUES ('q', '{}') RETURNING 1) \
         SELECT count(*) FROM new",
        "WITH changed AS (UPDATE katas.outbox SET body = '' RETURNING 1) SELECT count(*) FROM changed",
        "SELECT count(*) FROM katas.dataset_run",
        "SELECT count(*) FROM katas.receipt",
        "SELECT count(*) FROM katas._sqlx_migrations",
    ] {
        let error = as_courier(&app, denied).expect_err(denied);
        let code = error.as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{denied}");
    }
}
