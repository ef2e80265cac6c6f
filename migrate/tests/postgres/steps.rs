//! Files that are no transaction: what is done stays, what is half done is cleaned up, and the next
//! run goes on.

use sqlx::{Connection, PgConnection};

use crate::support::{
    Project, RUNTIME, assert_done, assert_ended, assert_failed, events, eventually, failure,
    has_timers, release,
};

const ITEM: (&str, &str) = (
    "0001_item.up.sql",
    "CREATE TABLE app.item (id int, name text);
     INSERT INTO app.item VALUES (1, 'same'), (2, 'same');",
);
const BUILD: &str = "-- no-transaction\nCREATE INDEX CONCURRENTLY item_name ON app.item (name)";

/// A project whose second migration is this, and is still to be applied.
fn with(file: &str) -> Project {
    let project = Project::new(&[ITEM, ("0002_steps.up.sql", file)]);
    assert_done(&project.migrate(&["up", "--to", "1"]));
    project
}

/// Leaves `item_name` half built, as a `CREATE INDEX CONCURRENTLY` that is cancelled does.
fn leave_an_invalid_index(project: &Project) {
    let held = project.hold("UPDATE app.item SET id = id");
    let built = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(&project.url).await?;
        sqlx::raw_sql("SET lock_timeout = '10ms'").execute(&mut connection).await?;
        let build = "CREATE INDEX CONCURRENTLY item_name ON app.item (name)";
        sqlx::raw_sql(build).execute(&mut connection).await
    });
    built.expect_err("somebody has the rows");
    release(held);
    assert!(project.snapshot().contains("index f"), "{}", project.snapshot());
}

#[test]
fn a_unique_index_over_doubles_leaves_nothing_and_is_gone_on_with() {
    let file = "-- no-transaction
UPDATE app.item SET id = id + 1;
CREATE UNIQUE INDEX CONCURRENTLY item_name
  ON app.item (name);
UPDATE app.item SET id = id + 10;";
    let project = with(file);
    let failed = failure(&project.migrate(&["up"]), 4);
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
    assert_ended(&status, 5, "not finished");
    project.sql("UPDATE app.item SET name = id::text");
    assert_done(&project.migrate(&["up"]));
    let after = project.snapshot();
    assert!(after.contains("index t t CREATE UNIQUE INDEX item_name"), "{after}");
    assert!(after.ends_with("row (12,2)\nrow (13,3)") && !after.contains("\nstep"), "{after}");
}

#[test]
fn an_index_that_was_there_before_is_not_taken_for_the_files() {
    let project = with(BUILD);
    project.sql("CREATE INDEX item_name ON app.item (id)");
    for _ in 0..2 {
        let failed = failure(&project.migrate(&["up"]), 4);
        assert_eq!(failed["sql"]["code"], "42P07");
    }
    // Nor by a run that was killed before PostgreSQL could tell it.
    let held = project.hold("LOCK TABLE app.item IN SHARE ROW EXCLUSIVE MODE");
    let mut running = project.start(&["up"]);
    running.event("blocked");
    running.kill();
    release(held);
    let failed = failure(&project.migrate(&["up"]), 4);
    assert_eq!(failed["sql"]["code"], "42P07");
    project.sql("DROP INDEX app.item_name");
    assert_done(&project.migrate(&["up"]));
    assert!(project.snapshot().contains("INDEX item_name ON app.item USING btree (name)"));
}

#[test]
fn an_invalid_index_is_not_taken_for_a_finished_one() {
    if !has_timers() {
        return;
    }
    for build in [BUILD, &BUILD.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS")] {
        let project = with(build);
        leave_an_invalid_index(&project);
        let output = project.migrate(&["up"]);
        assert_done(&output);
        assert_eq!(events(&output, "recovered")[0]["index"], "app.item_name");
        assert!(project.snapshot().contains("index t t CREATE INDEX item_name"), "{build}");
    }
}

#[test]
fn a_valid_index_is_enough_where_the_file_says_so() {
    let project = with(&BUILD.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"));
    project.sql("CREATE INDEX item_name ON app.item (name)");
    assert_done(&project.migrate(&["up"]));
}

#[test]
fn an_index_of_a_killed_run_is_removed_even_while_its_table_is_in_use() {
    if !has_timers() {
        return;
    }
    let project = with(BUILD);
    let held = project.hold("UPDATE app.item SET id = id");
    let mut running = project.start(&["up"]);
    running.event("blocked");
    eventually("it has begun", || project.snapshot().contains("index f"));
    running.kill();
    // To remove an index is to wait for who uses its table, for longer than a lock is waited for.
    let mut running = project.start(&["up", "--lock-timeout", "0.1"]);
    let blocked = running.event("blocked");
    assert_eq!(blocked["file"], "0002_steps.up.sql");
    eventually("it has waited", || {
        project.value(
            "SELECT exists(SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX%'
                           AND now() - query_start > interval '0.3 s')::text",
        ) == "true"
    });
    release(held);
    running.event("recovered");
    assert_done(&running.end());
    assert!(project.snapshot().contains("index t t CREATE INDEX item_name"));
}

#[test]
fn an_index_that_is_removed_or_built_anew_is_gone_on_with() {
    for (statement, left) in [
        ("DROP INDEX CONCURRENTLY app.item_name", ""),
        ("REINDEX INDEX CONCURRENTLY app.item_name", "index t t CREATE INDEX item_name ON"),
    ] {
        let project = with(&format!("-- no-transaction\n{statement}"));
        project.sql(
            "CREATE INDEX item_name ON app.item (name);
             CREATE TABLE app.other (id int);
             CREATE INDEX other_ccnew ON app.other (id);
             UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.other_ccnew'::regclass",
        );
        let held = project.hold("UPDATE app.item SET id = id");
        let mut running = project.start(&["up"]);
        running.event("blocked");
        running.kill();
        release(held);
        assert_done(&project.migrate(&["up"]));
        let after = project.snapshot();
        let others = "index f t CREATE INDEX other_ccnew ON app.other";
        assert!(after.contains(others), "what is being built elsewhere is not touched: {after}");
        let indexes = after.lines().filter(|line| line.starts_with("index"));
        let ours: Vec<_> = indexes.filter(|line| !line.starts_with(others)).collect();
        assert_eq!(ours.len(), usize::from(!left.is_empty()), "{after}");
        assert!(after.contains(left), "{after}");
    }
}

#[test]
fn the_settings_of_a_file_hold_for_all_of_it_and_for_every_run() {
    let project = with(
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
    let failed = failure(&project.migrate(&["up"]), 4);
    assert_eq!((&failed["sql"]["line"], &failed["sql"]["code"]), (&7.into(), &"22012".into()));
    project.sql("INSERT INTO public.ready DEFAULT VALUES");
    assert_done(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (1,7s8s)\nrow (2,7s8s)\nrow (3,7s)"));
}

#[test]
fn what_ends_its_own_transaction_is_run_outside_of_one() {
    let project = with("-- no-transaction\nCALL public.in_batches();\nVACUUM app.item;");
    project.sql(
        "CREATE PROCEDURE public.in_batches() LANGUAGE plpgsql AS $$ BEGIN
           UPDATE app.item SET id = id + 1; COMMIT;
           UPDATE app.item SET id = id + 1; COMMIT;
         END $$",
    );
    let output = project.migrate(&["up"]);
    assert_done(&output);
    assert_eq!(events(&output, "step").len(), 2);
    assert!(project.snapshot().ends_with("row (3,same)\nrow (4,same)"));
}

#[test]
fn what_fails_when_a_step_is_committed_is_told_with_its_place() {
    let project = with(
        "-- no-transaction
         ALTER TABLE app.item ADD UNIQUE (id);

         ALTER TABLE app.item ADD CONSTRAINT once UNIQUE (name) DEFERRABLE INITIALLY DEFERRED;
         UPDATE app.item SET name = 'same';",
    );
    project.sql("UPDATE app.item SET name = id::text");
    let failed = failure(&project.migrate(&["up"]), 4);
    let sql = &failed["sql"];
    assert_eq!((&sql["line"], &sql["code"]), (&5.into(), &"23505".into()));
    let next = sql["next"].as_str().expect("it is text");
    assert!(
        next.starts_with("the 2 statements before it have completed and are kept; fix the file"),
        "{next}"
    );
}

#[test]
fn a_statement_that_has_been_run_may_not_be_edited_and_what_follows_may() {
    let file = "-- no-transaction\nUPDATE app.item SET id = id + 1;\nSELECT 1 / 0;";
    let project = with(file);
    assert_eq!(failure(&project.migrate(&["up"]), 4)["sql"]["code"], "22012");
    project.write("0002_steps.up.sql", &file.replace("+ 1", "+ 2"));
    let refused = project.migrate(&["up"]);
    assert_failed(
        &refused,
        3,
        "statement 1 of 0002_steps.up.sql has completed and was edited since",
    );
    assert_failed(&refused, 3, "`migrate repair --forget 2`");
    // Other ends of lines are no edit.
    project.write("0002_steps.up.sql", &file.replace("/ 0", "/ 1").replace('\n', "\r\n"));
    assert_done(&project.migrate(&["up"]));
    assert!(project.snapshot().ends_with("row (2,same)\nrow (3,same)"));
    assert_done(&project.migrate(&["status", "--check"]));
}

#[test]
fn a_file_stays_who_it_is_and_keeps_the_lock() {
    let project = with("-- no-transaction\nSET ROLE somebody;\nUPDATE app.item SET id = 0;");
    project.sql("CREATE ROLE somebody; GRANT somebody TO tester");
    let refused = project.migrate(&["up"]);
    assert_failed(&refused, 3, "0002_steps.up.sql changes the role to somebody");
    let file = "-- no-transaction\n\nDISCARD ALL;\nUPDATE app.item SET id = 0;";
    project.write("0002_steps.up.sql", file);
    assert_failed(&project.migrate(&["up"]), 3, "0002_steps.up.sql:3: ");
    assert!(!project.snapshot().contains("row (0"));
}

#[test]
fn an_index_needs_a_name() {
    let project = with("-- no-transaction\n\nCREATE INDEX CONCURRENTLY ON app.item (name);");
    assert_failed(&project.migrate(&["up"]), 3, "0002_steps.up.sql:3: If this is interrupted");
}
