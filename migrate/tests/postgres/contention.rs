//! Several at once: runners among each other, and others who hold what a migration needs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use katas_host::local::postgres::Postgres;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::support::{
    BUNDLED, Project, RUNTIME, SERVER, assert_done, assert_failed, events, eventually, failure,
    has_timers, release,
};

const ITEM: (&str, &str) = (
    "0001_item.up.sql",
    "CREATE TABLE app.item (id int, name text);
     INSERT INTO app.item SELECT id, 'same' FROM generate_series(1, 3) AS id;",
);
const CONCURRENT_INDEX: (&str, &str) = (
    "0002_index.up.sql",
    "-- no-transaction
     CREATE INDEX CONCURRENTLY item_name ON app.item (name);",
);

#[test]
fn ten_at_once_a_hundred_times() {
    // What is waited for is the lock: four databases fill each other's pauses.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| ten_at_once(25));
        }
    });
}

/// Ten runners of this process, so often. Each migration adds a row: one that ran twice shows.
fn ten_at_once(rounds: usize) {
    let files = Project::new(&[
        ("0001_a.sql", "CREATE TABLE app.item (id int); INSERT INTO app.item VALUES (1)"),
        ("0002_b.sql", "-- no-transaction\nINSERT INTO app.item VALUES (2); ANALYZE app.item"),
        ("0003_c.sql", "INSERT INTO app.item VALUES (3)"),
    ]);
    let project = RUNTIME.block_on(migrate::Project::read(files.folder.path())).expect("read");
    let project = Arc::new(project);
    let database = migrate::Database::new(&files.url).expect("a URL");
    // The sessions of a round may still be ending when the next one begins.
    let database = database.wait(Duration::from_secs(30));
    let rounds = async {
        let mut administrator = PgConnection::connect(&files.administrator).await?;
        for _ in 0..rounds {
            let mut runs = JoinSet::new();
            for _ in 0..10 {
                let (project, database) = (Arc::clone(&project), database.clone());
                runs.spawn(async move {
                    let options = migrate::UpOptions::default();
                    migrate::up(&project, &database, options, &|_| ()).await
                });
            }
            let done: Vec<_> =
                runs.join_all().await.into_iter().map(|up| up.expect("up")).collect();
            assert!(done.iter().all(|up| up.version == 3), "{done:?}");
            let mut applied: Vec<_> = done.into_iter().flat_map(|up| up.applied).collect();
            applied.sort();
            assert_eq!(applied, ["0001_a", "0002_b", "0003_c"]);
            let (rows,): (String,) =
                sqlx::query_as("SELECT string_agg(id::text, ' ' ORDER BY id) FROM app.item")
                    .fetch_one(&mut administrator)
                    .await?;
            assert_eq!(rows, "1 2 3");
            sqlx::raw_sql("DROP SCHEMA app CASCADE").execute(&mut administrator).await?;
        }
        Ok::<_, sqlx::Error>(())
    };
    RUNTIME.block_on(rounds).expect("the administrator may");
}

#[test]
fn an_index_is_built_while_others_wait_and_an_old_snapshot_is_open() {
    an_index_is_built_patiently(&SERVER);
}

#[test]
fn an_index_is_built_patiently_on_the_other_version() {
    an_index_is_built_patiently(&BUNDLED);
}

fn an_index_is_built_patiently(server: &Postgres) {
    let project = Project::on(server, &[ITEM, CONCURRENT_INDEX]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM app.item";
    let held = project.hold(&format!("SET application_name = 'a report'; {snapshot}"));
    let mut first = project.start(&["up", "--lock-timeout", "0.1"]);
    let blocked = first.event("blocked");
    assert_eq!(blocked["file"], "0002_index.up.sql");
    let by = blocked["by"][0].as_str().expect("it is text");
    assert!(by.starts_with("process ") && by.contains("a report"), "{by}");
    let others: Vec<_> = (0..3)
        .map(|_| {
            let mut other = project.start(&["up"]);
            let waiting = other.event("waiting_for_lock");
            assert!(waiting["holder"].as_str().expect("it is text").contains("(migrate/"));
            other
        })
        .collect();
    // It waits for far longer than a statement of a transaction may.
    eventually("it has waited", || {
        project.value(
            "SELECT exists(SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'
                           AND now() - query_start > interval '0.5 s')::text",
        ) == "true"
    });
    release(held);
    let first = first.end();
    assert_done(&first);
    assert_eq!(events(&first, "applied").len(), 1);
    for other in others {
        let other = other.end();
        assert_done(&other);
        assert!(events(&other, "applied").is_empty());
    }
    assert!(project.snapshot().contains("index t t CREATE INDEX item_name ON"));
}

#[test]
fn who_holds_the_table_is_named_and_waited_for() {
    if !has_timers() {
        return;
    }
    let project = Project::new(&[ITEM, ("0002_more.up.sql", "ALTER TABLE app.item ADD more int;")]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("SET application_name = 'a report'; SELECT * FROM app.item");
    let mut running = project.start(&["up", "--lock-timeout", "0.3"]);
    let blocked = running.event("blocked");
    assert_eq!(blocked["file"], "0002_more.up.sql");
    let again = running.event("trying_again");
    assert_eq!(again["file"], "0002_more.up.sql");
    let blocker = again["blockers"][0].as_str().expect("it is text");
    assert!(blocker.starts_with("process ") && blocker.contains("a report"), "{blocker}");
    // Nobody queues behind a migration that waits: it has let go.
    release(held);
    assert_done(&running.end());
    assert!(project.snapshot().contains("column app.item more integer"));
}

#[test]
fn a_table_that_stays_held_is_given_up() {
    if !has_timers() {
        return;
    }
    let project = Project::new(&[
        ITEM,
        ("0002_more.up.sql", "CREATE TABLE app.new (); ALTER TABLE app.item ADD more int;"),
    ]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    let before = project.snapshot();
    let held = project.hold("SET application_name = 'a report'; SELECT * FROM app.item");
    for retry in ["0", "0.2"] {
        let output = project.migrate(&["up", "--lock-timeout", "0.3", "--retry", retry]);
        assert_failed(&output, 75, "0002_more.up.sql was rolled back");
        assert_failed(&output, 75, "a report");
        assert_eq!(project.snapshot(), before);
    }
    release(held);
}

#[test]
fn a_single_step_that_does_not_get_its_table_is_tried_again() {
    if !has_timers() {
        return;
    }
    let project = Project::new(&[
        ITEM,
        (
            "0002_more.up.sql",
            "-- no-transaction
             UPDATE app.item SET id = id + 1;
             ALTER TABLE app.item ADD more int;",
        ),
    ]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("SELECT * FROM app.item");
    let mut running = project.start(&["up", "--lock-timeout", "0.3"]);
    assert_eq!(running.event("step")["step"], 1);
    running.event("trying_again");
    release(held);
    assert_done(&running.end());
    assert!(project.snapshot().contains("row (2,same,)"));
}

#[test]
fn the_ledger_may_be_held_as_well() {
    if !has_timers() {
        return;
    }
    let project = Project::new(&[ITEM, ("0002_more.up.sql", "ALTER TABLE app.item ADD more int;")]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    // Whoever reads may, and who writes has to wait.
    let held = project.hold("LOCK TABLE app._sqlx_migrations IN SHARE MODE");
    let output = project.migrate(&["up", "--lock-timeout", "0.1", "--retry", "0"]);
    assert_eq!(failure(&output, 75)["kind"], "unavailable");
    let mut running = project.start(&["up", "--lock-timeout", "0.1"]);
    running.event("trying_again");
    release(held);
    assert_done(&running.end());
    let held = project.hold("LOCK TABLE app._sqlx_migrations");
    let output = project.migrate(&["status"]);
    assert_eq!(failure(&output, 75)["kind"], "unavailable");
    release(held);
}

#[test]
fn a_deadlock_is_tried_again() {
    if !has_timers() {
        return;
    }
    // At its first attempt it is the last to wait, so that it is its wait that closes the circle.
    let project = Project::new(&[(
        "0001_lock.up.sql",
        "LOCK TABLE public.a;
         DO $$ BEGIN
           IF nextval('public.attempts') = 1 THEN
             WHILE NOT EXISTS (
               SELECT FROM pg_locks WHERE relation = 'public.a'::regclass AND NOT granted
             ) LOOP
               PERFORM pg_sleep(0.01);
             END LOOP;
           END IF;
         END $$;
         LOCK TABLE public.b;",
    )]);
    project.sql(&format!(
        "ALTER DATABASE {} SET deadlock_timeout = '20ms';
         CREATE SEQUENCE public.attempts;
         CREATE TABLE public.a ();
         CREATE TABLE public.b ();
         GRANT ALL ON public.a, public.b, public.attempts TO tester",
        project.name
    ));
    // The other one does not look for circles.
    let mut other = project.hold("SET LOCAL deadlock_timeout = '1h'; LOCK TABLE public.b");
    let mut running = project.start(&["up"]);
    eventually("the migration has its first table", || {
        let granted = "SELECT count(*)::text FROM pg_locks WHERE relation = 'public.a'::regclass";
        project.value(granted) == "1"
    });
    let wait = sqlx::raw_sql("LOCK TABLE public.a").execute(&mut other);
    RUNTIME.block_on(wait).expect("the migration has let go");
    let again = running.event("trying_again");
    let reason = again["reason"].as_str().expect("it is text");
    assert!(reason.contains("deadlock"), "{reason}");
    release(other);
    assert_done(&running.end());
}

#[test]
fn a_serialisation_failure_is_tried_again() {
    // A sequence goes on although its transaction is rolled back.
    let project = Project::new(&[(
        "0001_fails_once.up.sql",
        "DO $$ BEGIN
           IF nextval('public.attempts') = 1 THEN
             RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
           END IF;
         END $$;",
    )]);
    project
        .sql("CREATE SEQUENCE public.attempts; GRANT USAGE ON SEQUENCE public.attempts TO tester");
    let output = project.migrate(&["up"]);
    assert_done(&output);
    let again = events(&output, "trying_again");
    assert_eq!(again.len(), 1);
    assert!(again[0]["reason"].as_str().expect("it is text").contains("changed the same rows"));
}
