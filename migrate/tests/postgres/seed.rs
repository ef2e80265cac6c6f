//! `migrate seed`: the same rows in every database, each loaded once, and none in production.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use katas_host::local::postgres::Postgres;
use migrate::{
    Database, Environment, Error, Password, Project, SeedOptions, SeedProgress, SeedReport,
    SqlFile, UpOptions,
};
use sqlx::{Connection, PgConnection};

use crate::support::{BUNDLED, RUNTIME, SERVER, assert_exit, sql, value};

/// A little more than one block.
const MANY: u64 = 50_010;

/// The table that the seeds of [`project`] fill.
const TABLE: &str =
    "CREATE TABLE public.person (n bigint PRIMARY KEY, name text, email text, born date)";

/// Selects the number of rows of [`TABLE`] and a digest of them.
const PEOPLE: &str = "SELECT count(*) || ' ' || coalesce(md5(string_agg(p::text, '|' ORDER BY n)), '') \
     FROM public.person p";

const SEED: &str = "\
-- People.
-- rows: 100, scales
-- fake: name full_name
-- fake: email email(name)
-- fake: born date(1950-01-01, 2005-12-31)
INSERT INTO public.person SELECT n, name, email, born FROM pg_temp.fake;
";

/// Creates a project with these seeds and without migrations.
fn project(seeds: &[(&str, &str)]) -> Project {
    let seeds = seeds.iter().map(|&(name, text)| SqlFile { name: name.into(), text: text.into() });
    Project {
        migrations: Vec::new(),
        ledger: "public._sqlx_migrations".to_owned(),
        has_search_path: false,
        schema: "public".to_owned(),
        roles: None,
        dump: None,
        sweep: None,
        seeds: seeds.collect(),
    }
}

/// Creates a database for a single test, and returns its administrator's URL.
fn database(server: &Postgres) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("seed_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    sql(&server.administrator("postgres"), &format!("CREATE DATABASE {name}"));
    server.administrator(&name)
}

/// Creates a database with [`TABLE`], marked as a test database.
fn test_database() -> String {
    let url = database(&SERVER);
    sql(&url, TABLE);
    mark(&url, "test");
    url
}

/// Creates a database with the built-in migrations.
fn migrated_database(server: &Postgres) -> String {
    let url = database(server);
    let administrator = as_superuser(&url);
    let up = RUNTIME.block_on(async {
        let passwords: &[Password<'_>] = &[];
        let project = Project::built_in();
        migrate::bootstrap(&project, &administrator, passwords, true, &|_| ()).await?;
        let owner = administrator.role("katas_owner");
        migrate::up(&project, &owner, UpOptions::default(), &|_| ()).await
    });
    up.expect("migrate");
    url
}

/// Connects as the server's administrator, who owns the tables of these tests.
fn as_superuser(url: &str) -> Database {
    Database::new(url).expect("parse URL").allow_superuser(true)
}

fn mark(url: &str, environment: &str) {
    let environment: Environment = environment.parse().expect("a word");
    let database = Database::new(url).expect("parse URL");
    RUNTIME
        .block_on(migrate::set_environment(&database, &environment, &|_| ()))
        .expect("it is marked");
}

fn options(scale: u64) -> SeedOptions {
    SeedOptions { scale: Some(scale), only: Vec::new() }
}

async fn run_seed(
    url: &str,
    project: &Project,
    options: &SeedOptions,
) -> Result<SeedReport, Error> {
    migrate::seed(project, &as_superuser(url), options, &|_| (), &|_| ()).await
}

fn seed(url: &str, project: &Project, options: &SeedOptions) -> Result<SeedReport, Error> {
    RUNTIME.block_on(run_seed(url, project, options))
}

/// Returns the number of rows that a run has loaded of each seed.
fn loaded(seeded: &SeedReport) -> Vec<u64> {
    seeded.seeds.iter().map(|seed| seed.loaded).collect()
}

/// Returns a digest of everything that the built-in seeds load, except for timestamps.
fn digest(url: &str) -> String {
    value(
        url,
        "SELECT md5(concat_ws('|',
           (SELECT string_agg(word || definition, '|' ORDER BY id) FROM katas.entry),
           (SELECT string_agg(name || costs, '|' ORDER BY name) FROM katas.price_list),
           (SELECT string_agg(p::text, '|' ORDER BY id) FROM katas.person p),
           (SELECT string_agg(concat_ws(' ', number, id, name, columns, state, rows, bytes), '|'
                              ORDER BY number) FROM katas.dataset),
           (SELECT string_agg(c::text, '|' ORDER BY dataset, first_row) FROM katas.dataset_chunk c)))",
    )
}

#[test]
fn seeding_twice_loads_same_rows_once_on_every_version() {
    let project = Project::built_in();
    let contents = [&*SERVER, &*BUNDLED].map(|server| {
        let url = migrated_database(server);
        mark(&url, "development");
        let owner = as_superuser(&url).role("katas_owner");
        let run = || {
            let options = SeedOptions::default();
            let seeded = migrate::seed(&project, &owner, &options, &|_| (), &|_| ());
            RUNTIME.block_on(async { seeded.await.expect("seed") })
        };
        assert_eq!(loaded(&run()), [200, 1, 100, 1, 1000, 1000]);
        let first = digest(&url);
        let again = run();
        assert_eq!(loaded(&again), [0; 6]);
        assert!(again.to_string().contains("03_users"), "{again}");
        assert_eq!(digest(&url), first);
        first
    });
    assert_eq!(contents[0], contents[1], "the installed and the bundled server differ");
}

#[test]
fn built_in_project_matches_folder() {
    let folder = Project::read(Path::new("../db")).expect("read project");
    let built_in = Project::built_in();
    assert_eq!((&folder.ledger, &folder.schema), (&built_in.ledger, &built_in.schema));
    let migrations = |project: &Project| {
        let migrations = project.migrations.iter();
        migrations.map(|one| (one.name.clone(), one.checksum.clone())).collect::<Vec<_>>()
    };
    assert_eq!(migrations(&folder), migrations(&built_in));
    let seeds = |project: &Project| {
        project.seeds.iter().map(|seed| (seed.name.clone(), seed.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(seeds(&folder), seeds(&built_in));
}

#[test]
fn growing_a_seed_in_steps_loads_same_rows_as_at_once() {
    let project = project(&[("people", SEED)]);
    let (at_once, in_steps) = (test_database(), test_database());
    assert_eq!(loaded(&seed(&at_once, &project, &options(MANY)).expect("seed")), [MANY]);
    for (scale, added, rows) in
        [(1, 1, 1), (120, 119, 120), (7, 0, 120), (MANY, MANY - 120, MANY), (MANY, 0, MANY)]
    {
        let seeded = seed(&in_steps, &project, &options(scale)).expect("seed");
        assert_eq!((seeded.seeds[0].loaded, seeded.seeds[0].rows), (added, rows), "{scale}");
    }
    assert_eq!(value(&in_steps, PEOPLE), value(&at_once, PEOPLE));
    let distinct = "SELECT count(DISTINCT email)::text FROM public.person";
    assert_eq!(value(&in_steps, distinct), MANY.to_string());
}

#[test]
fn scale_option_applies_only_to_scaling_seeds() {
    let url = test_database();
    let fixed = "-- rows: 3\nINSERT INTO public.person (n) SELECT -n FROM pg_temp.fake;\n";
    let project = project(&[("01_fixed", fixed), ("02_people", SEED)]);
    let only = |scale, name: &str| SeedOptions { scale, only: vec![name.to_owned()] };
    assert_eq!(loaded(&seed(&url, &project, &only(None, "people")).expect("seed")), [100]);
    assert_eq!(loaded(&seed(&url, &project, &options(150)).expect("seed")), [3, 50]);
    let unknown = seed(&url, &project, &only(None, "unknown")).unwrap_err();
    assert!(matches!(unknown, Error::Usage(_)), "{unknown}");
}

#[test]
fn concurrent_runs_share_the_rows() {
    let project = project(&[("people", SEED)]);
    let (url, alone) = (test_database(), test_database());
    let scale = 2 * MANY;
    let seeded = RUNTIME.block_on(async {
        let options = options(scale);
        let run = || run_seed(&url, &project, &options);
        tokio::join!(run(), run(), run(), run())
    });
    let runs =
        [seeded.0, seeded.1, seeded.2, seeded.3].map(|run| run.expect("seed").seeds[0].loaded);
    assert_eq!(runs.iter().sum::<u64>(), scale, "{runs:?}");
    assert!(runs.iter().filter(|&&rows| rows > 0).count() > 1, "{runs:?}");
    seed(&alone, &project, &options(scale)).expect("seed");
    assert_eq!(value(&url, PEOPLE), value(&alone, PEOPLE));
}

#[test]
fn production_and_unmarked_databases_are_rejected() {
    let project = project(&[("people", SEED)]);
    let url = database(&SERVER);
    sql(&url, TABLE);
    let assert_refused = || {
        let error = seed(&url, &project, &SeedOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
        let message = error.to_string();
        let remedy = "`migrate bootstrap --environment development`";
        assert!(message.ends_with(remedy), "{message}");
        assert_eq!(value(&url, PEOPLE), "0 ");
        assert_eq!(
            value(&url, "SELECT count(*)::text FROM pg_class WHERE relname ~ '^_migrate'"),
            "0"
        );
    };
    assert_refused();
    sql(
        &url,
        "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''Ask Ada.''', current_database()); END $$",
    );
    assert_refused();
    mark(&url, "production");
    assert_refused();
    mark(&url, "staging");
    let seeded = seed(&url, &project, &SeedOptions::default()).expect("seed");
    assert_eq!(seeded.environment, "staging".parse().expect("parse environment"));
    let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database \
                   WHERE datname = current_database()";
    assert_eq!(value(&url, comment), "Ask Ada.\nmigrate.environment = staging");
}

#[test]
fn owner_without_superuser_can_mark_database() {
    for server in [&*SERVER, &*BUNDLED] {
        let administrator = database(server);
        let name = value(&administrator, "SELECT current_database()::text");
        let role = format!("owner_of_{name}");
        sql(
            &administrator,
            &format!(
                "CREATE ROLE {role} LOGIN PASSWORD 'x'; ALTER DATABASE {name} OWNER TO {role}"
            ),
        );
        let owner = server.url(&role, "x", &name);
        mark(&owner, "development");
        assert!(seed(&owner, &project(&[]), &SeedOptions::default()).is_ok());
        let other = server.url(&role, "x", "postgres");
        let other = Database::new(&other).expect("parse URL");
        let test = "test".parse().expect("a word");
        let refused =
            RUNTIME.block_on(migrate::set_environment(&other, &test, &|_| ())).unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
    }
}

#[test]
fn failed_seed_is_reported_with_line_and_rolled_back() {
    let url = test_database();
    let wrong = SEED.to_owned() + "\nSELECT 1\nFROM public.nowhere;\n";
    let error = seed(&url, &project(&[("people", &wrong)]), &SeedOptions::default()).unwrap_err();
    let expected = "people.sql:9: relation \"public.nowhere\" does not exist (42P01)";
    assert_eq!(error.exit_code(), 4);
    assert_eq!(error.to_string().lines().next(), Some(expected));
    assert_eq!(value(&url, PEOPLE), "0 ");
    // The file may be edited, because nothing of it has been loaded.
    let seeded = seed(&url, &project(&[("people", SEED)]), &SeedOptions::default());
    assert_eq!(loaded(&seeded.expect("seed")), [100]);
}

#[test]
fn seed_that_leaves_its_transaction_is_rejected() {
    let url = test_database();
    for escape in ["COMMIT;", "SET search_path = public;"] {
        let error = seed(&url, &project(&[("x", escape)]), &SeedOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{error}");
    }
}

#[test]
fn seed_resumes_after_failed_block() {
    let project = project(&[("people", SEED)]);
    let (url, alone) = (test_database(), test_database());
    sql(&url, "ALTER TABLE public.person ADD CONSTRAINT few CHECK (n <= 50000)");
    let error = seed(&url, &project, &options(MANY)).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(value(&url, PEOPLE).starts_with("50000 "));
    sql(&url, "ALTER TABLE public.person DROP CONSTRAINT few");
    assert_eq!(loaded(&seed(&url, &project, &options(MANY)).expect("seed")), [10]);
    seed(&alone, &project, &options(MANY)).expect("seed");
    assert_eq!(value(&url, PEOPLE), value(&alone, PEOPLE));
}

#[test]
fn block_of_terminated_session_is_rolled_back() {
    let project = project(&[("people", SEED)]);
    let url = test_database();
    RUNTIME.block_on(async {
        let mut holder = PgConnection::connect(&url).await.expect("connect");
        // A separate connection: within a transaction, pg_stat_activity is a snapshot.
        let mut killer = PgConnection::connect(&url).await.expect("connect");
        let lock = "BEGIN; LOCK TABLE public.person IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut holder).await.expect("lock table");
        let kill = async {
            // The generated rows are in the temporary table, and the seed's SQL waits for the lock.
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while sqlx::raw_sql(sql)
                .execute(&mut killer)
                .await
                .expect("terminate session")
                .rows_affected()
                == 0
            {
                tokio::task::yield_now().await;
            }
        };
        let options = SeedOptions::default();
        let (killed, ()) = tokio::join!(run_seed(&url, &project, &options), kill);
        let killed = killed.unwrap_err();
        assert!(killed.to_string().contains("57P01"), "{killed}");
    });
    assert_eq!(value(&url, PEOPLE), "0 ");
    let seeded = seed(&url, &project, &SeedOptions::default()).expect("seed");
    assert_eq!(loaded(&seeded), [100]);
}

#[test]
fn edited_seed_is_rejected_before_any_change() {
    let url = test_database();
    let before = project(&[("02_people", SEED)]);
    seed(&url, &before, &SeedOptions::default()).expect("seed");
    let changed = SEED.replace("full_name", "first_name");
    let other = "INSERT INTO public.person (n) VALUES (0);";
    let after = project(&[("01_other", other), ("02_people", &changed)]);
    for scale in [100, 200] {
        let error = seed(&url, &after, &options(scale)).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{error}");
        assert!(error.to_string().starts_with("02_people.sql has changed"), "{error}");
        assert!(value(&url, PEOPLE).starts_with("100 "), "neither seed loaded any rows");
    }
    let only = SeedOptions { scale: None, only: vec!["other".to_owned()] };
    assert_eq!(loaded(&seed(&url, &after, &only).expect("seed")), [1]);
    // Changed line endings are not an edit.
    let windows = SEED.replace('\n', "\r\n");
    let same = project(&[("02_people", &windows)]);
    assert_eq!(loaded(&seed(&url, &same, &SeedOptions::default()).expect("seed")), [0]);
}

#[test]
fn progress_increases_from_zero_to_total() {
    let project = project(&[("people", SEED)]);
    let url = test_database();
    let reported = Mutex::new(Vec::new());
    let on_progress = |SeedProgress { seed, rows, total }: SeedProgress<'_>| {
        assert_eq!((seed, total), ("people", 2000));
        reported.lock().expect("lock mutex").push(rows);
    };
    let database = as_superuser(&url);
    let options = options(2000);
    let run = migrate::seed(&project, &database, &options, &on_progress, &|_| ());
    RUNTIME.block_on(run).expect("seed");
    let reported = reported.into_inner().expect("unwrap mutex");
    assert!(reported.len() > 2 && reported.is_sorted(), "{reported:?}");
    assert_eq!((reported[0], reported[reported.len() - 1]), (0, 2000));
}

/// Runs `migrate` as a superuser.
fn migrate(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).env("DATABASE_URL", url).env("MIGRATE_ALLOW_SUPERUSER", "true");
    command.output().expect("run migrate")
}

#[test]
fn seed_command_lists_loads_and_rejects() {
    let url = database(&SERVER);
    assert_exit(&migrate("", &["seed", "--list"]), 0, "rows: 100, scalable");
    assert_exit(&migrate(&url, &["seed"]), 9, "migrate bootstrap --environment development");
    let bootstrap = |name| migrate(&url, &["bootstrap", "--environment", name]);
    assert_exit(&bootstrap("Development!"), 2, "expected a lower-case word");
    assert_exit(&bootstrap("development"), 0, "the roles are up to date");
    let role = ["--role", "katas_owner"];
    assert_exit(&migrate(&url, &[&role[..], &["seed"]].concat()), 5, "run `migrate up`");
    assert_exit(&migrate(&url, &[&role[..], &["up"]].concat()), 0, "the schema is at version");
    let seed = |arguments: &[&str]| migrate(&url, &[&role[..], &["seed"], arguments].concat());
    assert_exit(&seed(&["--only", "unknown"]), 2, "unknown seed unknown");
    let output = seed(&["--only", "users,price_lists", "--scale", "250"]);
    assert_exit(&output, 0, "250 rows");
    let line = r#""event":"seeded","seed":"03_users","rows":250,"total":250}"#;
    assert!(String::from_utf8_lossy(&output.stderr).contains(line), "no terminal, so JSON");
    assert_exit(&seed(&["--only", "users"]), 0, "already loaded (250 rows)");
    // Running `bootstrap` again keeps the mark.
    assert_exit(&migrate(&url, &["bootstrap"]), 0, "the roles are up to date");
    assert_exit(&seed(&[]), 0, "01_dictionary");
}
