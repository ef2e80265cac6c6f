//! Seeds in a real database: the same rows everywhere, once, and never in production.

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

use crate::support::{BUNDLED, RUNTIME, SERVER, assert_ended, sql, value};

/// More than one block, and a little.
const MANY: u64 = 50_010;

/// The table that the seeds of [`project`] fill.
const TABLE: &str =
    "CREATE TABLE public.person (n bigint PRIMARY KEY, name text, email text, born date)";

/// What is in it.
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

/// A project without migrations, with these seeds.
fn project(seeds: &[(&str, &str)]) -> Project {
    let seeds = seeds.iter().map(|&(name, text)| SqlFile { name: name.into(), text: text.into() });
    Project {
        migrations: Vec::new(),
        ledger: "public._sqlx_migrations".to_owned(),
        schema: "public".to_owned(),
        roles: None,
        dump: None,
        sweep: None,
        seeds: seeds.collect(),
    }
}

/// A database of a test's own: the connection string of its administrator.
fn database(server: &Postgres) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("seed_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    sql(&server.administrator("postgres"), &format!("CREATE DATABASE {name}"));
    server.administrator(&name)
}

/// One with [`TABLE`], for tests.
fn marked() -> String {
    let url = database(&SERVER);
    sql(&url, TABLE);
    mark(&url, "test");
    url
}

/// One with the tables of this build.
fn migrated(server: &Postgres) -> String {
    let url = database(server);
    let administrator = as_superuser(&url);
    let up = RUNTIME.block_on(async {
        let passwords: &[Password<'_>] = &[];
        let project = Project::built_in();
        migrate::bootstrap(&project, &administrator, passwords, true, &|_| ()).await?;
        let owner = administrator.role("katas_owner");
        migrate::up(&project, &owner, UpOptions::default(), &|_| ()).await
    });
    up.expect("it is migrated");
    url
}

/// The owner of what these tests make is the server's administrator.
fn as_superuser(url: &str) -> Database {
    Database::new(url).expect("a URL").allow_superuser(true)
}

fn mark(url: &str, environment: &str) {
    let environment: Environment = environment.parse().expect("a word");
    let database = Database::new(url).expect("a URL");
    RUNTIME
        .block_on(migrate::set_environment(&database, &environment, &|_| ()))
        .expect("it is marked");
}

fn options(scale: u64) -> SeedOptions {
    SeedOptions { scale: Some(scale), only: Vec::new() }
}

async fn seed_quietly(
    url: &str,
    project: &Project,
    options: &SeedOptions,
) -> Result<SeedReport, Error> {
    migrate::seed(project, &as_superuser(url), options, &|_| (), &|_| ()).await
}

fn seed(url: &str, project: &Project, options: &SeedOptions) -> Result<SeedReport, Error> {
    RUNTIME.block_on(seed_quietly(url, project, options))
}

/// How many rows a run has loaded of each seed.
fn loaded(seeded: &SeedReport) -> Vec<u64> {
    seeded.seeds.iter().map(|seed| seed.loaded).collect()
}

/// All that the seeds of this build make, but for what depends on the moment.
fn everything(url: &str) -> String {
    value(
        url,
        "SELECT md5(concat_ws('|',
           (SELECT string_agg(word || definition, '|' ORDER BY id) FROM katas.entry),
           (SELECT string_agg(name || costs, '|' ORDER BY name) FROM katas.price_list),
           (SELECT string_agg(p::text, '|' ORDER BY id) FROM katas.person p),
           (SELECT string_agg(concat_ws(' ', number, id, name, columns, state, rows, bytes), '|'
                              ORDER BY number) FROM katas.dataset),
           (SELECT string_agg(r::text, '|' ORDER BY dataset, position) FROM katas.dataset_row r)))",
    )
}

#[test]
fn every_database_gets_the_same_rows_once() {
    let project = Project::built_in();
    let contents = [&*SERVER, &*BUNDLED].map(|server| {
        let url = migrated(server);
        mark(&url, "development");
        let owner = as_superuser(&url).role("katas_owner");
        let run = || {
            let options = SeedOptions::default();
            let seeded = migrate::seed(&project, &owner, &options, &|_| (), &|_| ());
            RUNTIME.block_on(async { seeded.await.expect("it is seeded") })
        };
        assert_eq!(loaded(&run()), [200, 1, 100, 1, 1000, 1000]);
        let first = everything(&url);
        let again = run();
        assert_eq!(loaded(&again), [0; 6]);
        assert!(again.to_string().contains("03_users"), "{again}");
        assert_eq!(everything(&url), first);
        first
    });
    assert_eq!(contents[0], contents[1], "PostgreSQL 15 or newer, and 17");
}

#[test]
fn what_is_built_in_is_what_is_in_the_folder() {
    let folder = RUNTIME.block_on(Project::read(Path::new("sql"))).expect("it is read");
    let texts = |project: Project| {
        project.seeds.into_iter().map(|file| (file.name, file.text)).collect::<Vec<_>>()
    };
    assert_eq!(texts(folder), texts(Project::built_in()));
}

#[test]
fn more_rows_later_are_those_that_were_missing() {
    let project = project(&[("people", SEED)]);
    let (at_once, in_steps) = (marked(), marked());
    assert_eq!(loaded(&seed(&at_once, &project, &options(MANY)).expect("seeded")), [MANY]);
    for (scale, added, rows) in
        [(1, 1, 1), (120, 119, 120), (7, 0, 120), (MANY, MANY - 120, MANY), (MANY, 0, MANY)]
    {
        let seeded = seed(&in_steps, &project, &options(scale)).expect("seeded");
        assert_eq!((seeded.seeds[0].loaded, seeded.seeds[0].rows), (added, rows), "{scale}");
    }
    assert_eq!(value(&in_steps, PEOPLE), value(&at_once, PEOPLE));
    let distinct = "SELECT count(DISTINCT email)::text FROM public.person";
    assert_eq!(value(&in_steps, distinct), MANY.to_string());
}

#[test]
fn only_what_scales_can_have_another_size() {
    let url = marked();
    let fixed = "-- rows: 3\nINSERT INTO public.person (n) SELECT -n FROM pg_temp.fake;\n";
    let project = project(&[("01_fixed", fixed), ("02_people", SEED)]);
    let only = |scale, name: &str| SeedOptions { scale, only: vec![name.to_owned()] };
    assert_eq!(loaded(&seed(&url, &project, &only(None, "people")).expect("seeded")), [100]);
    assert_eq!(loaded(&seed(&url, &project, &options(150)).expect("seeded")), [3, 50]);
    let unknown = seed(&url, &project, &only(None, "nobody")).unwrap_err();
    assert!(matches!(unknown, Error::Usage(_)), "{unknown}");
}

#[test]
fn many_at_once_share_the_rows() {
    let project = project(&[("people", SEED)]);
    let (url, alone) = (marked(), marked());
    let scale = 2 * MANY;
    let seeded = RUNTIME.block_on(async {
        let options = options(scale);
        let run = || seed_quietly(&url, &project, &options);
        tokio::join!(run(), run(), run(), run())
    });
    let runs =
        [seeded.0, seeded.1, seeded.2, seeded.3].map(|run| run.expect("seeded").seeds[0].loaded);
    assert_eq!(runs.iter().sum::<u64>(), scale, "{runs:?}");
    assert!(runs.iter().filter(|&&rows| rows > 0).count() > 1, "{runs:?}");
    seed(&alone, &project, &options(scale)).expect("seeded");
    assert_eq!(value(&url, PEOPLE), value(&alone, PEOPLE));
}

#[test]
fn production_is_refused_and_so_is_what_nobody_has_marked() {
    let project = project(&[("people", SEED)]);
    let url = database(&SERVER);
    sql(&url, TABLE);
    let refused = || {
        let error = seed(&url, &project, &SeedOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
        let told = error.to_string();
        assert!(told.ends_with("`migrate bootstrap --environment development`"), "{told}");
        assert_eq!(value(&url, PEOPLE), "0 ");
        assert_eq!(
            value(&url, "SELECT count(*)::text FROM pg_class WHERE relname ~ '^_migrate'"),
            "0"
        );
    };
    refused();
    sql(
        &url,
        "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''Ask Ada.''', current_database()); END $$",
    );
    refused();
    mark(&url, "production");
    refused();
    mark(&url, "staging");
    let seeded = seed(&url, &project, &SeedOptions::default()).expect("seeded");
    assert_eq!(seeded.environment, "staging".parse().expect("a word"));
    let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database \
                   WHERE datname = current_database()";
    assert_eq!(value(&url, comment), "Ask Ada.\nmigrate.environment = staging");
}

#[test]
fn an_owner_who_is_no_superuser_may_mark() {
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
        let other = Database::new(&other).expect("a URL");
        let test = "test".parse().expect("a word");
        let refused =
            RUNTIME.block_on(migrate::set_environment(&other, &test, &|_| ())).unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place_and_leaves_nothing() {
    let url = marked();
    let wrong = SEED.to_owned() + "\nSELECT 1\nFROM public.nowhere;\n";
    let error = seed(&url, &project(&[("people", &wrong)]), &SeedOptions::default()).unwrap_err();
    let expected = "people.sql:9: relation \"public.nowhere\" does not exist (42P01)";
    assert_eq!(error.exit_code(), 4);
    assert_eq!(error.to_string().lines().next(), Some(expected));
    assert_eq!(value(&url, PEOPLE), "0 ");
    // The file may be put right: nothing has been loaded of the one before.
    let seeded = seed(&url, &project(&[("people", SEED)]), &SeedOptions::default());
    assert_eq!(loaded(&seeded.expect("seeded")), [100]);
}

#[test]
fn a_seed_must_not_leave_its_transaction() {
    let url = marked();
    for escape in ["COMMIT;", "SET search_path = public;"] {
        let error = seed(&url, &project(&[("x", escape)]), &SeedOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{error}");
    }
}

#[test]
fn what_failed_in_the_middle_goes_on_from_there() {
    let project = project(&[("people", SEED)]);
    let (url, alone) = (marked(), marked());
    sql(&url, "ALTER TABLE public.person ADD CONSTRAINT few CHECK (n <= 50000)");
    let error = seed(&url, &project, &options(MANY)).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert!(value(&url, PEOPLE).starts_with("50000 "));
    sql(&url, "ALTER TABLE public.person DROP CONSTRAINT few");
    assert_eq!(loaded(&seed(&url, &project, &options(MANY)).expect("seeded")), [10]);
    seed(&alone, &project, &options(MANY)).expect("seeded");
    assert_eq!(value(&url, PEOPLE), value(&alone, PEOPLE));
}

#[test]
fn a_run_that_is_killed_leaves_nothing_of_its_block() {
    let project = project(&[("people", SEED)]);
    let url = marked();
    RUNTIME.block_on(async {
        let mut holder = PgConnection::connect(&url).await.expect("connected");
        // In a transaction, pg_stat_activity stays as it was at the first look.
        let mut killer = PgConnection::connect(&url).await.expect("connected");
        let lock = "BEGIN; LOCK TABLE public.person IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut holder).await.expect("locked");
        let kill = async {
            // Its rows are in the temporary table, and the seed's SQL waits for the other one.
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while sqlx::raw_sql(sql).execute(&mut killer).await.expect("asked").rows_affected() == 0
            {
                tokio::task::yield_now().await;
            }
        };
        let options = SeedOptions::default();
        let (killed, ()) = tokio::join!(seed_quietly(&url, &project, &options), kill);
        let killed = killed.unwrap_err();
        assert!(killed.to_string().contains("57P01"), "{killed}");
    });
    assert_eq!(value(&url, PEOPLE), "0 ");
    let seeded = seed(&url, &project, &SeedOptions::default()).expect("seeded");
    assert_eq!(loaded(&seeded), [100]);
}

#[test]
fn a_seed_that_has_changed_is_not_loaded_over_its_old_rows() {
    let url = marked();
    let before = project(&[("02_people", SEED)]);
    seed(&url, &before, &SeedOptions::default()).expect("seeded");
    let changed = SEED.replace("full_name", "first_name");
    let other = "INSERT INTO public.person (n) VALUES (0);";
    let after = project(&[("01_other", other), ("02_people", &changed)]);
    for scale in [100, 200] {
        let error = seed(&url, &after, &options(scale)).unwrap_err();
        assert!(matches!(error, Error::Integrity(_)), "{error}");
        assert!(error.to_string().starts_with("02_people.sql has changed"), "{error}");
        assert!(
            value(&url, PEOPLE).starts_with("100 "),
            "nothing was loaded, of the other neither"
        );
    }
    let only = SeedOptions { scale: None, only: vec!["other".to_owned()] };
    assert_eq!(loaded(&seed(&url, &after, &only).expect("seeded")), [1]);
    // Other ends of lines are no change.
    let windows = SEED.replace('\n', "\r\n");
    let same = project(&[("02_people", &windows)]);
    assert_eq!(loaded(&seed(&url, &same, &SeedOptions::default()).expect("seeded")), [0]);
}

#[test]
fn progress_goes_from_nothing_to_all() {
    let project = project(&[("people", SEED)]);
    let url = marked();
    let told = Mutex::new(Vec::new());
    let tell = |SeedProgress { seed, rows, total }: SeedProgress<'_>| {
        assert_eq!((seed, total), ("people", 2000));
        told.lock().expect("no panic").push(rows);
    };
    let database = as_superuser(&url);
    let options = options(2000);
    let run = migrate::seed(&project, &database, &options, &tell, &|_| ());
    RUNTIME.block_on(run).expect("seeded");
    let told = told.into_inner().expect("no panic");
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    assert_eq!((told[0], told[told.len() - 1]), (0, 2000));
}

/// `migrate` with these arguments.
fn migrate(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).env("DATABASE_URL", url).env("MIGRATE_ALLOW_SUPERUSER", "true");
    command.output().expect("it runs")
}

#[test]
fn the_command_line_loads_lists_and_refuses() {
    let url = database(&SERVER);
    assert_ended(&migrate("", &["seed", "--list"]), 0, "rows: 100, scalable");
    assert_ended(&migrate(&url, &["seed"]), 9, "migrate bootstrap --environment development");
    let bootstrap = |name| migrate(&url, &["bootstrap", "--environment", name]);
    assert_ended(&bootstrap("Development!"), 2, "expected a lower-case word");
    assert_ended(&bootstrap("development"), 0, "the roles are up to date");
    let role = ["--role", "katas_owner"];
    assert_ended(&migrate(&url, &[&role[..], &["seed"]].concat()), 5, "run `migrate up`");
    assert_ended(&migrate(&url, &[&role[..], &["up"]].concat()), 0, "the schema is at version");
    let seed = |arguments: &[&str]| migrate(&url, &[&role[..], &["seed"], arguments].concat());
    assert_ended(&seed(&["--only", "nobody"]), 2, "unknown seed nobody");
    let done = seed(&["--only", "users,price_lists", "--scale", "250"]);
    assert_ended(&done, 0, "250 rows");
    let line = r#""event":"seeded","seed":"03_users","rows":250,"total":250}"#;
    assert!(String::from_utf8_lossy(&done.stderr).contains(line), "no terminal, so JSON");
    assert_ended(&seed(&["--only", "users"]), 0, "already loaded (250 rows)");
    // Whoever prepares the roles again does not unmark.
    assert_ended(&migrate(&url, &["bootstrap"]), 0, "the roles are up to date");
    assert_ended(&seed(&[]), 0, "01_dictionary");
}
