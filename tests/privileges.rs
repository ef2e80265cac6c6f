//! What the components' role can do: what they need, and nothing else.

use katas_host::manifest::Manifest;
use sqlx::{Connection, PgConnection};

use crate::support::{App, RUNTIME, cluster, root};

/// What PostgreSQL says to SQL run as the components' role: its SQLSTATE, or nothing.
fn code(database: &str, sql: &str) -> Option<String> {
    RUNTIME.block_on(async {
        let url = cluster().app(database);
        let mut connection = PgConnection::connect(&url).await.expect("the role may connect");
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await;
        connection.close().await.expect("the connection closes");
        done.err().map(|error| {
            let error = error.into_database_error().expect("PostgreSQL said no");
            error.code().expect("with a code").into_owned()
        })
    })
}

#[test]
fn the_app_role_reads_and_writes_rows_and_nothing_else() {
    let database = cluster().create_database(true);
    let _app = App::on(&database);
    for allowed in [
        "SELECT * FROM katas.entry",
        "INSERT INTO katas.entry (word, definition) VALUES ('a', '')",
        "UPDATE katas.entry SET definition = 'b'",
        "DELETE FROM katas.entry",
        "SELECT version FROM katas._sqlx_migrations",
        "SELECT katas.rfc3339(now())",
    ] {
        assert_eq!(code(&database, allowed), None, "{allowed}");
    }
    const INSUFFICIENT_PRIVILEGE: &str = "42501";
    for refused in [
        "TRUNCATE katas.entry",
        "UPDATE katas.dataset SET name = 'b'",
        "UPDATE katas.dataset_row SET fields = '{}'",
        "UPDATE katas.dataset_run SET result = '0'",
        "DELETE FROM katas.dataset_run",
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
    ] {
        assert_eq!(code(&database, refused).as_deref(), Some(INSUFFICIENT_PRIVILEGE), "{refused}");
    }
}

#[test]
fn the_server_limits_what_a_guest_cannot() {
    let database = cluster().create_database(true);
    let app = App::on(&database);
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
    assert_eq!(code(&database, slow).as_deref(), Some(QUERY_CANCELED));
}

/// Every right that the components' role has in the schema, as the SQL that takes it away.
const RIGHTS: &str = "
    SELECT string_agg(format('REVOKE %s ON %s FROM katas_app', what, whose), ';' ORDER BY whose, what)
    FROM (
      SELECT privilege_type, 'SCHEMA katas'
      FROM pg_namespace, aclexplode(nspacl)
      WHERE nspname = 'katas' AND grantee = 'katas_app'::regrole
      UNION ALL
      SELECT privilege_type, oid::regclass::text
      FROM pg_class, aclexplode(relacl)
      WHERE relnamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
      UNION ALL
      SELECT format('%s (%I)', privilege_type, attname), attrelid::regclass::text
      FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid, aclexplode(attacl)
      WHERE relnamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
      UNION ALL
      SELECT privilege_type, 'FUNCTION ' || oid::regprocedure::text
      FROM pg_proc, aclexplode(proacl)
      WHERE pronamespace = 'katas'::regnamespace AND grantee = 'katas_app'::regrole
    ) AS rights (what, whose)";

/// Whether all examples of `spin.toml` come true, and everything can be deleted again.
fn everything_works(app: &App) -> bool {
    let manifest = Manifest::read(&root().join("spin.toml")).expect("the manifest is valid");
    let mut examples = manifest.component.values().flat_map(|component| component.examples());
    let are_true = examples.all(|example| app.call(example).status == example.status);
    let dataset =
        "SELECT coalesce(min(id::text), 'none') FROM katas.dataset WHERE state = 'loaded'";
    let prices = "SELECT coalesce(min(name), 'none') FROM katas.price_list";
    let user = "SELECT coalesce(min(id)::text, 'none') FROM katas.person";
    let are_gone = [("v1/datasets", dataset), ("v1/price-lists", prices), ("v2/users", user)]
        .map(|(path, key)| app.delete(&format!("/api/{path}/{}", app.value(key))).status == 204);
    // A dataset is swept once it has been answered for.
    let swept = "SELECT count(*)::text FROM katas.dataset WHERE state <> 'loaded'";
    are_true && are_gone == [true; 3] && app.value(swept) == "0"
}

#[test]
fn no_right_can_be_taken_away() {
    let granted = App::on(&cluster().create_database(true));
    assert!(everything_works(&granted));
    let rights = granted.value(RIGHTS);
    for revoke in rights.split(';') {
        let app = App::on(&cluster().create_database(true));
        app.sql(revoke);
        assert!(!everything_works(&app), "nobody misses it: {revoke}");
    }
}
