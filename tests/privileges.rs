//! The privileges of the role `katas_app`: exactly those that the components need.

use http::Method;
use katas_host::manifest::Manifest;
use migrations::Project;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::support::{App, JSON, RUNTIME, cluster, root};

/// Runs SQL as `katas_app` and returns the SQLSTATE if it fails.
fn sqlstate(database: &str, sql: &str) -> Option<String> {
    RUNTIME.block_on(async {
        let url = cluster().app_url(database);
        let mut connection = PgConnection::connect(&url).await.expect("the role may connect");
        let result = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        connection.close().await.expect("the connection closes");
        result.err().map(|error| {
            let error = error.into_database_error().expect("the error is from PostgreSQL");
            error.code().expect("the error has a SQLSTATE").into_owned()
        })
    })
}

/// Creates a migrated database with the privileges that `migrate bootstrap` sets. A copy of another
/// database has the default ones.
fn create_bootstrapped_database() -> String {
    let name = cluster().create_database(true);
    RUNTIME.block_on(async {
        let url = cluster().postgres.administrator(&name);
        let administrator = migrations::Database::new(&url).expect("a valid URL");
        let project = Project::built_in();
        let bootstrap = migrations::bootstrap(&project, &administrator, &[], true, &|_| ());
        bootstrap.await.expect("the roles are created");
    });
    name
}

#[test]
fn app_role_can_read_and_write_rows_and_nothing_else() {
    let database = create_bootstrapped_database();
    let _app = App::with_database(&database);
    for allowed in [
        "SELECT * FROM katas.entry",
        "INSERT INTO katas.entry (word, definition) VALUES ('a', '')",
        "UPDATE katas.entry SET definition = 'b'",
        "DELETE FROM katas.entry",
        "SELECT version FROM katas._sqlx_migrations",
        "SELECT katas.rfc3339(now())",
    ] {
        assert_eq!(sqlstate(&database, allowed), None, "{allowed}");
    }
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    for denied in [
        "TRUNCATE katas.entry",
        "UPDATE katas.dataset SET name = 'b'",
        "UPDATE katas.dataset_chunk SET csv = ''",
        "UPDATE katas.dataset_row SET fields = '{}'",
        "SELECT katas.convert_dataset_rows(1)",
        "UPDATE katas.dataset_run SET parameters = '{}'",
        "UPDATE katas.dataset_run_part SET result = ''",
        "SELECT * FROM katas.outbox",
        "UPDATE katas.outbox SET reason = NULL",
        "DELETE FROM katas.outbox",
        "SELECT katas.requeue_stalled_runs()",
        "DROP TABLE katas.entry",
        "ALTER TABLE katas.entry ADD COLUMN x int",
        "CREATE TABLE katas.x ()",
        "CREATE TABLE public.x ()",
        "CREATE SCHEMA x",
        "INSERT INTO katas._sqlx_migrations VALUES (9, '', now(), true, '', 0)",
        "DELETE FROM katas._sqlx_migrations",
        "SET ROLE katas_owner",
        "SELECT passwd FROM pg_shadow",
        "CREATE ROLE x",
        "COPY katas.entry TO '/tmp/x'",
        "CREATE TEMPORARY TABLE x ()",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_reload_conf()",
        "ALTER ROLE katas_app CONNECTION LIMIT -1",
        "ALTER ROLE katas_migrator SET statement_timeout = 0",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "SET SESSION AUTHORIZATION katas_owner",
        "SET session_replication_role = replica",
    ] {
        assert_eq!(
            sqlstate(&database, denied).as_deref(),
            Some(INSUFFICIENT_PRIVILEGE),
            "{denied}"
        );
    }
}

#[test]
fn app_role_has_timeouts_and_a_connection_limit() {
    let database = cluster().create_database(true);
    let app = App::with_database(&database);
    let setting = |name: &str| {
        let role = format!(
            "SELECT setting FROM (SELECT unnest(rolconfig) AS setting FROM pg_roles \
             WHERE rolname = 'katas_app') s WHERE setting LIKE '{name}=%'"
        );
        app.value(&role)
    };
    assert_eq!(setting("statement_timeout"), "statement_timeout=5s");
    assert_eq!(setting("lock_timeout"), "lock_timeout=2s");
    let idle = "idle_in_transaction_session_timeout";
    assert_eq!(setting(idle), format!("{idle}=5s"));
    let limit = "SELECT rolconnlimit::text FROM pg_roles WHERE rolname = 'katas_app'";
    assert_eq!(app.value(limit), "80");
    const QUERY_CANCELED: &str = "57014";
    let slow = "SET statement_timeout = '10ms'; SELECT pg_sleep(5)";
    assert_eq!(sqlstate(&database, slow).as_deref(), Some(QUERY_CANCELED));
}

/// PostgreSQL has no privilege for these, so verification and the settings of the server limit them.
#[test]
fn rights_that_cannot_be_revoked_from_app_role_are_reported_by_verify() {
    let database = create_bootstrapped_database();
    let _app = App::with_database(&database);
    let lift = format!("ALTER ROLE katas_app IN DATABASE {database} SET statement_timeout = 0");
    assert_eq!(sqlstate(&database, &lift), None);
    assert_eq!(sqlstate(&database, "SELECT lo_create(0)"), None);
    assert_eq!(sqlstate(&database, "SELECT pg_advisory_lock(1)"), None);
    let verified = RUNTIME.block_on(async {
        let migrator = migrations::Database::new(&cluster().migrator_url(&database))?;
        migrations::verify(&Project::built_in(), &migrator, &|_| ()).await
    });
    let verified = verified.expect("the schema can be verified");
    let drift: Vec<_> = verified.drift.iter().map(|difference| &*difference.name).collect();
    assert_eq!(drift, ["katas_app statement_timeout in this database"]);
    assert_eq!(verified.not_compared, ["1 large objects of katas_app"]);
}

/// Generates a `REVOKE` for every privilege that `katas_app` has in the schema.
const REVOKES: &str = "
    SELECT string_agg(format('REVOKE %s ON %s FROM katas_app', privilege, object), ';' ORDER BY object, privilege)
    FROM (
      SELECT privilege_type, 'SCHEMA katas'
      FROM pg_namespace, aclexplode(nspacl)
      WHERE nspname = 'katas' AND grantee = 'katas_app'::regrole
      UNION ALL
      SELECT privilege_type, oid::regclass::text
      FROM pg_class, aclexplode(relacl)
      WHERE relnamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
        -- Only the previous build uses it.
        AND relname <> 'dataset_row'
      UNION ALL
      SELECT format('%s (%I)', privilege_type, attname), attrelid::regclass::text
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl)
      WHERE relnamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
      UNION ALL
      SELECT privilege_type, 'FUNCTION ' || oid::regprocedure::text
      FROM pg_proc, aclexplode(proacl)
      WHERE pronamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
    ) AS granted (privilege, object)";

/// Returns whether an asynchronous run of the dataset in the examples can be retried, completed, failed
/// and deleted.
fn asynchronous_runs_succeed(app: &App) -> bool {
    let dataset = app.value("SELECT id::text FROM katas.dataset WHERE name = 'words'");
    let runs = format!("/api/v1/datasets/{dataset}/runs");
    let post = |key| {
        let headers = [JSON, ("Prefer", "respond-async"), ("Idempotency-Key", key)];
        app.request(Method::POST, &runs, &headers, r#"{"kata":"nth-char","column":"word"}"#).json()
    };
    [("run-parts", "done"), ("run-failures", "failed")].iter().all(|(path, state)| {
        let run = post(path)["id"].clone();
        let is_same = post(path)["id"] == run;
        app.post(&format!("/api/v1/{path}"), &json!({"run": run, "part": 1}));
        let found = format!("{runs}/{}", run.as_str().unwrap_or("none"));
        is_same && app.get(&found).json()["state"] == *state && app.delete(&found).status == 204
    })
}

/// Returns whether all examples of `spin.toml` and asynchronous runs succeed, and the created data can
/// be deleted.
fn examples_and_deletions_succeed(app: &App) -> bool {
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let mut examples = manifest.component.values().flat_map(|component| component.examples());
    let succeeded = examples.all(|example| app.call(example).status == example.status)
        && asynchronous_runs_succeed(app);
    let dataset =
        "SELECT coalesce(min(id::text), 'none') FROM katas.dataset WHERE state = 'loaded'";
    let prices = "SELECT coalesce(min(name), 'none') FROM katas.price_list";
    let user = "SELECT coalesce(min(id)::text, 'none') FROM katas.person";
    let deleted = [("v1/datasets", dataset), ("v1/price-lists", prices), ("v2/users", user)]
        .map(|(path, key)| app.delete(&format!("/api/{path}/{}", app.value(key))).status == 204);
    // The rows of a dataset are purged after the response.
    let purging = "SELECT count(*)::text FROM katas.dataset WHERE state <> 'loaded'";
    succeeded && deleted == [true; 3] && app.value(purging) == "0"
}

#[test]
fn revoking_any_privilege_breaks_an_example() {
    let app = App::with_database(&cluster().create_database(true));
    assert!(examples_and_deletions_succeed(&app));
    let revokes = app.value(REVOKES);
    for revoke in revokes.split(';') {
        let app = App::with_database(&cluster().create_database(true));
        app.sql(revoke);
        assert!(!examples_and_deletions_succeed(&app), "unused privilege: {revoke}");
    }
}
