//! Concurrency: several runners at once, and other sessions that hold locks a migration needs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use katas_host::local::postgres::Postgres;
use sqlx::{Connection, PgConnection};
use tokio::task::JoinSet;

use crate::support::{
    BUNDLED, Project, RUNTIME, SERVER, assert_failed, assert_success, events, eventually,
    failed_event, release,
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
fn ten_concurrent_runners_apply_each_migration_once_in_100_rounds() {
    // Most of a round is waiting for the lock, so four databases run in parallel.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run_ten_concurrently(25));
        }
    });
}

/// Runs ten runners of this process concurrently, `rounds` times. Each migration inserts a row, so
/// that running one twice is detected.
fn run_ten_concurrently(rounds: usize) {
    let files = Project::new(&[
        ("0001_a.sql", "CREATE TABLE app.item (id int); INSERT INTO app.item VALUES (1)"),
        ("0002_b.sql", "-- no-transaction\nINSERT INTO app.item VALUES (2); ANALYZE app.item"),
        ("0003_c.sql", "INSERT INTO app.item VALUES (3)"),
    ]);
    let project = migrate::Project::read(files.folder.path()).expect("read project");
    let project = Arc::new(project);
    let database = migrate::Database::new(&files.url).expect("parse URL");
    // Sessions of the previous round may still be closing.
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
            let results: Vec<_> =
                runs.join_all().await.into_iter().map(|up| up.expect("up")).collect();
            assert!(results.iter().all(|up| up.version == 3), "{results:?}");
            let mut applied: Vec<_> = results.into_iter().flat_map(|up| up.applied).collect();
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
    RUNTIME.block_on(rounds).expect("run rounds");
}

#[test]
fn index_build_outlasts_lock_timeout_while_runners_wait() {
    index_build_outlasts_lock_timeout(&SERVER);
}

#[test]
fn index_build_outlasts_lock_timeout_while_runners_wait_on_bundled_server() {
    index_build_outlasts_lock_timeout(&BUNDLED);
}

/// Builds an index concurrently while an old snapshot is open and other runners poll for the lock.
fn index_build_outlasts_lock_timeout(server: &Postgres) {
    let project = Project::on(server, &[ITEM, CONCURRENT_INDEX]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    let snapshot = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT * FROM app.item";
    let held = project.hold(&format!("SET application_name = 'a report'; {snapshot}"));
    let mut first = project.start(&["up", "--lock-timeout", "0.1"]);
    let blocked = first.wait_for_event("blocked");
    assert_eq!(blocked["file"], "0002_index.up.sql");
    let by = blocked["by"][0].as_str().expect("a string");
    assert!(by.starts_with("process ") && by.contains("a report"), "{by}");
    let others: Vec<_> = (0..3)
        .map(|_| {
            let mut other = project.start(&["up"]);
            let waiting = other.wait_for_event("waiting_for_lock");
            assert!(waiting["holder"].as_str().expect("a string").contains("(migrate/"));
            other
        })
        .collect();
    // Far longer than the lock timeout of a transactional statement.
    eventually("the index build has waited for 0.5 s", || {
        project.value(
            "SELECT exists(SELECT FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'
                           AND now() - query_start > interval '0.5 s')::text",
        ) == "true"
    });
    release(held);
    let first = first.finish();
    assert_success(&first);
    assert_eq!(events(&first, "applied").len(), 1);
    for other in others {
        let other = other.finish();
        assert_success(&other);
        assert!(events(&other, "applied").is_empty());
    }
    assert!(project.snapshot().contains("index t t CREATE INDEX item_name ON"));
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn table_lock_holder_is_reported_and_waited_for() {
    let project = Project::new(&[ITEM, ("0002_more.up.sql", "ALTER TABLE app.item ADD more int;")]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("SET application_name = 'a report'; SELECT * FROM app.item");
    let mut running = project.start(&["up", "--lock-timeout", "0.3"]);
    let blocked = running.wait_for_event("blocked");
    assert_eq!(blocked["file"], "0002_more.up.sql");
    let again = running.wait_for_event("trying_again");
    assert_eq!(again["file"], "0002_more.up.sql");
    let blocker = again["blockers"][0].as_str().expect("a string");
    assert!(blocker.starts_with("process ") && blocker.contains("a report"), "{blocker}");
    // While the runner pauses, it holds no lock, and no session queues behind it.
    release(held);
    assert_success(&running.finish());
    assert!(project.snapshot().contains("column app.item more integer"));
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn up_with_table_locked_beyond_retry_exits_with_75() {
    let project = Project::new(&[
        ITEM,
        ("0002_more.up.sql", "CREATE TABLE app.new (); ALTER TABLE app.item ADD more int;"),
    ]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
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
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn step_with_lock_timeout_is_retried() {
    let project = Project::new(&[
        ITEM,
        (
            "0002_more.up.sql",
            "-- no-transaction
             UPDATE app.item SET id = id + 1;
             ALTER TABLE app.item ADD more int;",
        ),
    ]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    let held = project.hold("SELECT * FROM app.item");
    let mut running = project.start(&["up", "--lock-timeout", "0.3"]);
    assert_eq!(running.wait_for_event("step")["step"], 1);
    running.wait_for_event("trying_again");
    release(held);
    assert_success(&running.finish());
    assert!(project.snapshot().contains("row (2,same,)"));
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn locked_ledger_is_waited_for() {
    let project = Project::new(&[ITEM, ("0002_more.up.sql", "ALTER TABLE app.item ADD more int;")]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    // SHARE mode admits readers and blocks writers.
    let held = project.hold("LOCK TABLE app._sqlx_migrations IN SHARE MODE");
    let output = project.migrate(&["up", "--lock-timeout", "0.1", "--retry", "0"]);
    assert_eq!(failed_event(&output, 75)["kind"], "unavailable");
    let mut running = project.start(&["up", "--lock-timeout", "0.1"]);
    running.wait_for_event("trying_again");
    release(held);
    assert_success(&running.finish());
    let held = project.hold("LOCK TABLE app._sqlx_migrations");
    let output = project.migrate(&["status"]);
    assert_eq!(failed_event(&output, 75)["kind"], "unavailable");
    release(held);
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn deadlock_is_retried() {
    // The first attempt waits until the other session is blocked, so that the migration's own lock
    // request completes the deadlock.
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
    // The other session never checks for deadlocks.
    let mut other = project.hold("SET LOCAL deadlock_timeout = '1h'; LOCK TABLE public.b");
    let mut running = project.start(&["up"]);
    eventually("the migration has locked public.a", || {
        let granted = "SELECT count(*)::text FROM pg_locks WHERE relation = 'public.a'::regclass";
        project.value(granted) == "1"
    });
    let wait = sqlx::raw_sql("LOCK TABLE public.a").execute(&mut other);
    RUNTIME.block_on(wait).expect("the migration has let go");
    let again = running.wait_for_event("trying_again");
    let reason = again["reason"].as_str().expect("a string");
    assert!(reason.contains("deadlock"), "{reason}");
    release(other);
    assert_success(&running.finish());
}

#[test]
fn serialization_failure_is_retried() {
    // A rollback does not reset a sequence.
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
    assert_success(&output);
    let again = events(&output, "trying_again");
    assert_eq!(again.len(), 1);
    assert!(again[0]["reason"].as_str().expect("a string").contains("changed the same rows"));
}
