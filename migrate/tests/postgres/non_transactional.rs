//! Migrations that run statement by statement: finished statements stay, interrupted ones are
//! cleaned up, and the next run resumes.

use std::thread;

use sqlx::{Connection, PgConnection};

use crate::support::{
    Project, RUNTIME, assert_exit, assert_failed, assert_success, events, eventually, failed_event,
    release,
};

const ITEM: (&str, &str) = (
    "0001_item.up.sql",
    "CREATE TABLE app.item (id int, name text);
     INSERT INTO app.item VALUES (1, 'same'), (2, 'same');",
);
const BUILD: &str = "-- no-transaction\nCREATE INDEX CONCURRENTLY item_name ON app.item (name)";

/// Creates a project whose second migration is `file`, and applies the first one.
fn project_with_pending(file: &str) -> Project {
    let project = Project::new(&[ITEM, ("0002_steps.up.sql", file)]);
    assert_success(&project.migrate(&["up", "--to", "1"]));
    project
}

/// Leaves `item_name` invalid, as a canceled `CREATE INDEX CONCURRENTLY` does.
fn create_invalid_index(project: &Project) {
    let held = project.hold("UPDATE app.item SET id = id");
    let result = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(&project.url).await?;
        sqlx::raw_sql("SET lock_timeout = '10ms'").execute(&mut connection).await?;
        let build = "CREATE INDEX CONCURRENTLY item_name ON app.item (name)";
        sqlx::raw_sql(build).execute(&mut connection).await
    });
    result.expect_err("the rows are locked");
    release(held);
    assert!(project.snapshot().contains("index f"), "{}", project.snapshot());
}

#[test]
fn unique_index_with_duplicates_is_dropped_and_resumed() {
    let file = "-- no-transaction
UPDATE app.item SET id = id + 1;
CREATE UNIQUE INDEX CONCURRENTLY item_name
  ON app.item (name);
UPDATE app.item SET id = id + 10;";
    let project = project_with_pending(file);
    let failed = failed_event(&project.migrate(&["up"]), 4);
    let sql = &failed["sql"];
    assert_eq!((&sql["file"], &sql["line"]), (&"0002_steps.up.sql".into(), &3.into()));
    assert_eq!(sql["code"], "23505");
    assert_eq!(sql["statement"], "CREATE UNIQUE INDEX CONCURRENTLY item_name ON app.item (name)");
    assert_eq!(
        sql["next"],
        "the statement before it has completed and is kept; fix the file, then run `migrate up` \
         again to resume with this statement"
    );
    assert!(!project.snapshot().contains("index "), "{}", project.snapshot());
    let status = project.migrate(&["status", "--check"]);
    assert_exit(&status, 5, "not finished");
    project.sql("UPDATE app.item SET name = id::text");
    assert_success(&project.migrate(&["up"]));
    let after = project.snapshot();
    assert!(after.contains("index t t CREATE UNIQUE INDEX item_name"), "{after}");
    assert!(after.ends_with("row (12,2)\nrow (13,3)") && !after.contains("\nstep"), "{after}");
}

#[test]
fn preexisting_index_is_not_mistaken_for_finished_statement() {
    let project = project_with_pending(BUILD);
    project.sql("CREATE INDEX item_name ON app.item (id)");
    for _ in 0..2 {
        let failed = failed_event(&project.migrate(&["up"]), 4);
        assert_eq!(failed["sql"]["code"], "42P07");
    }
    // The same after a run that was killed before PostgreSQL reported the error.
    let held = project.hold("LOCK TABLE app.item IN SHARE ROW EXCLUSIVE MODE");
    let mut running = project.start(&["up"]);
    running.wait_for_event("blocked");
    running.kill();
    release(held);
    let failed = failed_event(&project.migrate(&["up"]), 4);
    assert_eq!(failed["sql"]["code"], "42P07");
    project.sql("DROP INDEX app.item_name");
    assert_success(&project.migrate(&["up"]));
    assert!(project.snapshot().contains("INDEX item_name ON app.item USING btree (name)"));
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn invalid_index_is_rebuilt() {
    for build in [BUILD, &BUILD.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS")] {
        let project = project_with_pending(build);
        create_invalid_index(&project);
        let output = project.migrate(&["up"]);
        assert_success(&output);
        assert_eq!(events(&output, "recovered")[0]["index"], "app.item_name");
        assert!(project.snapshot().contains("index t t CREATE INDEX item_name"), "{build}");
    }
}

#[test]
fn valid_index_satisfies_if_not_exists() {
    let project =
        project_with_pending(&BUILD.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"));
    project.sql("CREATE INDEX item_name ON app.item (name)");
    assert_success(&project.migrate(&["up"]));
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn index_of_killed_run_is_dropped_while_table_is_in_use() {
    let project = project_with_pending(BUILD);
    let held = project.hold("UPDATE app.item SET id = id");
    let mut running = project.start(&["up"]);
    running.wait_for_event("blocked");
    eventually("the index build has started", || project.snapshot().contains("index f"));
    running.kill();
    // DROP INDEX CONCURRENTLY waits for transactions on the table, longer than the lock timeout.
    let mut running = project.start(&["up", "--lock-timeout", "0.1"]);
    let blocked = running.wait_for_event("blocked");
    assert_eq!(blocked["file"], "0002_steps.up.sql");
    eventually("the drop has waited for 0.3 s", || {
        project.value(
            "SELECT exists(SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX%'
                           AND now() - query_start > interval '0.3 s')::text",
        ) == "true"
    });
    release(held);
    running.wait_for_event("recovered");
    assert_success(&running.finish());
    assert!(project.snapshot().contains("index t t CREATE INDEX item_name"));
}

#[test]
fn interrupted_drop_or_reindex_is_resumed() {
    for (statement, expected) in [
        ("DROP INDEX CONCURRENTLY app.item_name", ""),
        ("REINDEX INDEX CONCURRENTLY app.item_name", "index t t CREATE INDEX item_name ON"),
    ] {
        let project = project_with_pending(&format!("-- no-transaction\n{statement}"));
        project.sql(
            "CREATE INDEX item_name ON app.item (name);
             CREATE TABLE app.other (id int);
             CREATE INDEX other_ccnew ON app.other (id);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.other_ccnew'::regclass",
        );
        let held = project.hold("UPDATE app.item SET id = id");
        let mut running = project.start(&["up"]);
        running.wait_for_event("blocked");
        running.kill();
        release(held);
        assert_success(&project.migrate(&["up"]));
        let after = project.snapshot();
        let others = "index f t CREATE INDEX other_ccnew ON app.other";
        assert!(after.contains(others), "the index built elsewhere is unchanged: {after}");
        let indexes = after.lines().filter(|line| line.starts_with("index"));
        let ours: Vec<_> = indexes.filter(|line| !line.starts_with(others)).collect();
        assert_eq!(ours.len(), usize::from(!expected.is_empty()), "{after}");
        assert!(after.contains(expected), "{after}");
    }
}

#[test]
fn settings_apply_to_whole_file_in_every_run() {
    let project = project_with_pending(
        "-- no-transaction
         SET lock_timeout = '7s';
         SET statement_timeout = '8s';
         CREATE INDEX CONCURRENTLY item_name ON app.item (name);
         UPDATE app.item SET name = current_setting('lock_timeout')
                                    || current_setting('statement_timeout');
         SELECT 1 / (SELECT count(*) FROM public.ready);
         INSERT INTO app.item VALUES (3, current_setting('lock_timeout'));",
    );
    project.sql("CREATE TABLE public.ready (); GRANT SELECT ON public.ready TO tester");
    let failed = failed_event(&project.migrate(&["up"]), 4);
    assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&7.into(), &"22012".into()));
    project.sql("INSERT INTO public.ready DEFAULT VALUES");
    assert_success(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (1,7s8s)\nrow (2,7s8s)\nrow (3,7s)"));
}

#[test]
fn procedure_that_commits_runs_outside_of_transaction() {
    let project =
        project_with_pending("-- no-transaction\nCALL public.in_batches();\nVACUUM app.item;");
    project.sql(
        "CREATE PROCEDURE public.in_batches() LANGUAGE plpgsql AS $$ BEGIN
           UPDATE app.item SET id = id + 1; COMMIT;
           UPDATE app.item SET id = id + 1; COMMIT;
         END $$",
    );
    let output = project.migrate(&["up"]);
    assert_success(&output);
    assert_eq!(events(&output, "step").len(), 2);
    assert!(project.snapshot().ends_with("row (3,same)\nrow (4,same)"));
}

#[test]
fn deferred_constraint_violation_is_reported_with_line() {
    let project = project_with_pending(
        "-- no-transaction
         ALTER TABLE app.item ADD UNIQUE (id);

         ALTER TABLE app.item ADD CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED;
         UPDATE app.item SET name = 'same';",
    );
    project.sql("UPDATE app.item SET name = id::text");
    let failed = failed_event(&project.migrate(&["up"]), 4);
    let sql = &failed["sql"];
    assert_eq!((&sql["line"], &sql["code"]), (&5.into(), &"23505".into()));
    let next = sql["next"].as_str().expect("a string");
    assert!(
        next.starts_with("the 2 statements before it have completed and are kept; fix the file"),
        "{next}"
    );
}

#[test]
fn edit_of_finished_statement_is_rejected_and_of_later_one_accepted() {
    let file = "-- no-transaction\nUPDATE app.item SET id = id + 1;\nSELECT 1 / 0;";
    let project = project_with_pending(file);
    assert_eq!(failed_event(&project.migrate(&["up"]), 4)["sql"]["code"], "22012");
    project.write("0002_steps.up.sql", &file.replace("+ 1", "+ 2"));
    let refused = project.migrate(&["up"]);
    assert_failed(
        &refused,
        3,
        "statement 1 of 0002_steps.up.sql has completed and was edited since",
    );
    assert_failed(&refused, 3, "`migrate repair --forget 2`");
    // Changed line endings are not an edit.
    project.write("0002_steps.up.sql", &file.replace("/ 0", "/ 1").replace('\n', "\r\n"));
    assert_success(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (2,same)\nrow (3,same)"));
    assert_success(&project.migrate(&["status", "--check"]));
}

#[test]
fn changed_role_and_discard_all_are_rejected() {
    let project = project_with_pending(
        "-- no-transaction\nSET ROLE another_role;\nUPDATE app.item SET id = 0;",
    );
    project.sql("CREATE ROLE another_role; GRANT another_role TO tester");
    let refused = project.migrate(&["up"]);
    assert_failed(&refused, 3, "0002_steps.up.sql changes the role to another_role");
    let file = "-- no-transaction\n\nDISCARD ALL;\nUPDATE app.item SET id = 0;";
    project.write("0002_steps.up.sql", file);
    assert_failed(&project.migrate(&["up"]), 3, "0002_steps.up.sql:3: ");
    assert!(!project.snapshot().contains("row (0"));
}

#[test]
fn concurrent_index_without_name_is_rejected() {
    let project =
        project_with_pending("-- no-transaction\n\nCREATE INDEX CONCURRENTLY ON app.item (name);");
    assert_failed(&project.migrate(&["up"]), 3, "0002_steps.up.sql:3: If this is interrupted");
}

#[test]
fn invalid_index_in_later_schema_of_search_path_is_dropped() {
    let project = project_with_pending(
        "-- no-transaction
         SET search_path = app, public;
         CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS account_email ON account (email);",
    );
    project.sql(
        "CREATE TABLE public.account (email text);
         INSERT INTO public.account VALUES ('x'), ('x');
         ALTER TABLE public.account OWNER TO tester",
    );
    let indexes =
        "SELECT coalesce(string_agg(concat(indexrelid::regclass, ' ', indisvalid), ','), '')
                   FROM pg_index WHERE indrelid = 'public.account'::regclass";
    assert_eq!(failed_event(&project.migrate(&["up"]), 4)["sql"]["code"], "23505");
    assert_eq!(project.value(indexes), "");
    project.sql("DELETE FROM public.account WHERE ctid = '(0,1)'");
    assert_success(&project.migrate(&["up"]));
    assert_eq!(project.value(indexes), "account_email t");
}

#[test]
fn invalid_copies_on_partitions_are_dropped_before_reindex() {
    let file = "-- no-transaction\nREINDEX TABLE CONCURRENTLY app.parts";
    let project = project_with_pending(file);
    project.sql(
        "CREATE TABLE app.parts (id int) PARTITION BY RANGE (id);
         CREATE TABLE app.part PARTITION OF app.parts DEFAULT;
         CREATE INDEX part_id ON app.parts (id);
         CREATE INDEX part_id_ccnew ON app.part (id);
         ALTER TABLE app.parts OWNER TO tester; ALTER TABLE app.part OWNER TO tester;
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.part_id_ccnew'::regclass",
    );
    let output = project.migrate(&["up"]);
    assert_success(&output);
    assert_eq!(events(&output, "recovered")[0]["index"], "app.part_id_ccnew");
}

#[test]
fn invalid_toast_index_is_reported_and_does_not_stop_the_run() {
    let project = project_with_pending("-- no-transaction\nREINDEX SCHEMA CONCURRENTLY app");
    project.sql(
        "CREATE TABLE app.large (text text);
         ALTER TABLE app.large OWNER TO tester;
         UPDATE pg_index SET indisvalid = false WHERE indrelid IN
           (SELECT reltoastrelid FROM pg_class WHERE oid = 'app.large'::regclass);
         UPDATE pg_class SET relname = 'left_ccnew' WHERE oid IN
           (SELECT indexrelid FROM pg_index JOIN pg_class t ON t.reltoastrelid = indrelid
            WHERE t.oid = 'app.large'::regclass)",
    );
    let output = project.migrate(&["up"]);
    assert_success(&output);
    assert_eq!(events(&output, "left_invalid")[0]["index"], "pg_toast.left_ccnew");
}

#[test]
fn step_table_of_older_version_is_extended() {
    let project = project_with_pending(BUILD);
    project.sql("ALTER TABLE app._migrate_steps DROP COLUMN target");
    assert_success(&project.migrate(&["up"]));
    assert!(project.snapshot().contains("index t t CREATE INDEX item_name"));
}

/// A statement that waits for another session, and its effect.
struct Waiting {
    setup: &'static str,
    statement: &'static str,
    /// The SQL that the other session runs in its transaction.
    blocker: &'static str,
    /// A query that returns the text `true` if the statement has taken effect exactly once.
    is_done: &'static str,
    /// Whether PostgreSQL runs the statement in a transaction, together with its record.
    in_transaction: bool,
}

const WAITING: [Waiting; 10] = [
    Waiting {
        setup: "",
        statement: "CREATE INDEX CONCURRENTLY item_name ON app.item (name)",
        blocker: "UPDATE app.item SET id = id",
        is_done: "SELECT (count(*) = 1 AND bool_and(indisvalid))::text FROM pg_index
                  WHERE indrelid = 'app.item'::regclass",
        in_transaction: false,
    },
    Waiting {
        // The name denotes the second index after the first one has been dropped.
        setup: "CREATE INDEX item_name ON app.item (name);
                CREATE TABLE public.other (id int); CREATE INDEX item_name ON public.other (id);
                ALTER TABLE public.other OWNER TO tester",
        statement: "SET search_path = app, public; DROP INDEX CONCURRENTLY item_name",
        blocker: "UPDATE app.item SET id = id",
        is_done: "SELECT (to_regclass('app.item_name') IS NULL
                          AND to_regclass('public.item_name') IS NOT NULL)::text",
        in_transaction: false,
    },
    Waiting {
        setup: "CREATE INDEX item_name ON app.item (name)",
        statement: "REINDEX INDEX CONCURRENTLY app.item_name",
        blocker: "UPDATE app.item SET id = id",
        is_done: "SELECT (count(*) = 1 AND bool_and(indisvalid))::text FROM pg_index
                  WHERE indrelid = 'app.item'::regclass",
        in_transaction: false,
    },
    Waiting {
        setup: "CREATE TABLE app.parts (id int) PARTITION BY RANGE (id);
                CREATE TABLE public.part PARTITION OF app.parts DEFAULT;
                CREATE TABLE app.more PARTITION OF app.parts FOR VALUES FROM (0) TO (9);
                ALTER TABLE app.parts DETACH PARTITION public.part;
                ALTER TABLE app.parts ATTACH PARTITION public.part FOR VALUES FROM (9) TO (10);
                ALTER TABLE app.parts OWNER TO tester; ALTER TABLE public.part OWNER TO tester",
        statement: "SET search_path = app, public;
                    ALTER TABLE parts DETACH PARTITION part CONCURRENTLY",
        blocker: "SELECT FROM app.parts",
        is_done: "SELECT (count(*) = 1)::text FROM pg_inherits
                  WHERE inhparent = 'app.parts'::regclass AND NOT inhdetachpending",
        in_transaction: false,
    },
    Waiting {
        setup: "CREATE TYPE app.state AS ENUM ('new'); ALTER TYPE app.state OWNER TO tester",
        statement: "ALTER TYPE app.state ADD VALUE 'old'",
        blocker: "ALTER TYPE app.state ADD VALUE 'other'",
        is_done: "SELECT (enum_range(NULL::app.state)::text = '{new,old}')::text",
        in_transaction: true,
    },
    Waiting {
        setup: "",
        statement: "VACUUM app.item",
        blocker: "LOCK TABLE app.item IN SHARE ROW EXCLUSIVE MODE",
        is_done: "SELECT 'true'",
        in_transaction: false,
    },
    Waiting {
        setup: "CREATE MATERIALIZED VIEW app.seen AS SELECT id FROM app.item;
                CREATE UNIQUE INDEX seen_id ON app.seen (id);
                ALTER MATERIALIZED VIEW app.seen OWNER TO tester;
                INSERT INTO app.item VALUES (3, 'x')",
        statement: "REFRESH MATERIALIZED VIEW CONCURRENTLY app.seen",
        blocker: "LOCK TABLE app.item IN ACCESS EXCLUSIVE MODE",
        is_done: "SELECT (count(*) = 3)::text FROM app.seen",
        in_transaction: true,
    },
    Waiting {
        setup: "ALTER TABLE app.item ADD CONSTRAINT known CHECK (id > 0) NOT VALID",
        statement: "ALTER TABLE app.item VALIDATE CONSTRAINT known",
        blocker: "LOCK TABLE app.item IN SHARE UPDATE EXCLUSIVE MODE",
        is_done: "SELECT convalidated::text FROM pg_constraint WHERE conname = 'known'",
        in_transaction: true,
    },
    Waiting {
        setup: "ALTER ROLE tester CREATEDB",
        statement: "CREATE DATABASE NAME_other",
        // A lock that the other tests wait for too.
        blocker: "LOCK TABLE pg_database IN SHARE MODE",
        is_done: "SELECT EXISTS (SELECT FROM pg_database
                                 WHERE datname = current_database() || '_other')::text",
        in_transaction: false,
    },
    Waiting {
        setup: "CREATE DATABASE NAME_other OWNER tester",
        statement: "DROP DATABASE NAME_other",
        blocker: "LOCK TABLE pg_database IN SHARE MODE",
        is_done: "SELECT (NOT EXISTS (SELECT FROM pg_database
                                      WHERE datname = current_database() || '_other'))::text",
        in_transaction: false,
    },
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    BeforeItsRecord,
    WhileItWaits,
    BeforeItsCompletionIsRecorded,
}

#[test]
#[cfg_attr(not(has_timeouts), ignore = "the bundled PostgreSQL has no timeouts")]
fn run_killed_before_during_or_after_any_statement_is_resumed() {
    thread::scope(|scope| {
        for waiting in &WAITING {
            scope.spawn(|| {
                kill_and_resume(waiting, Moment::BeforeItsRecord);
                kill_and_resume(waiting, Moment::WhileItWaits);
                if !waiting.in_transaction {
                    kill_and_resume(waiting, Moment::BeforeItsCompletionIsRecorded);
                }
            });
        }
    });
}

fn kill_and_resume(waiting: &Waiting, moment: Moment) {
    let Waiting { setup, statement, blocker, is_done, .. } = waiting;
    let project = Project::new(&[ITEM]);
    let named = |sql: &str| sql.replace("NAME", &project.name);
    assert_success(&project.migrate(&["up"]));
    for sql in named(setup).split(';').filter(|sql| !sql.trim().is_empty()) {
        project.sql(sql);
    }
    let records = "LOCK TABLE app._migrate_steps IN SHARE MODE";
    let waits_for_records = || {
        project.value(
            "SELECT count(*)::text FROM pg_locks
             WHERE NOT granted AND relation = 'app._migrate_steps'::regclass",
        ) == "1"
    };
    // A first statement that completes, so that the record of the second one is awaited.
    let file = format!("-- no-transaction\nSELECT 1;\n{};", named(statement));
    project.write("0002_steps.up.sql", &file);
    if moment == Moment::BeforeItsRecord {
        let held = project.hold(records);
        let running = project.start(&["up"]);
        eventually("the run waits for its records", waits_for_records);
        running.kill();
        release(held);
    } else {
        let held = project.hold(blocker);
        let mut running = project.start(&["up", "--lock-timeout", "60"]);
        running.wait_for_event("blocked");
        if moment == Moment::BeforeItsCompletionIsRecorded {
            let records = project.hold(records);
            release(held);
            eventually("the run waits for its records", waits_for_records);
            running.kill();
            release(records);
        } else {
            running.kill();
            release(held);
        }
    }
    let output = project.migrate(&["up"]);
    assert!(output.status.success(), "{statement} {moment:?}: {output:?}");
    assert_eq!(project.value(is_done), "true", "{statement} {moment:?}");
    assert_success(&project.migrate(&["status", "--check"]));
    project.sql(&named("DROP DATABASE IF EXISTS NAME_other"));
}
