//! The database: what CloudNativePG is told to make is enough for the Jobs, without a superuser, and
//! for what it measures itself.

use katas_host::local::postgres::{self, Postgres, PostgresInstall};
use migrate::{Database, Password, Project, UpOptions};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::objects::{list, name, text};
use super::render::deployment;
use crate::support::RUNTIME;

#[test]
fn the_jobs_need_no_superuser() {
    let production = deployment("production");
    let cluster = production.of("Cluster").next().expect("a Cluster");
    let initdb = |key| text(cluster, &format!("/spec/bootstrap/initdb/{key}")).expect("it is said");
    let (owner, database) = (initdb("owner"), initdb("database"));
    let map = production.of("ConfigMap").find(|it| name(it) == "katas-postgres-metrics");
    let map = map.and_then(|it| it["data"]["queries.yaml"].as_str()).expect("its own metrics");
    let queries: Value = serde_saphyr::from_str(map).expect("YAML");
    let init = list(cluster, "/spec/bootstrap/initdb/postInitSQL").iter();
    RUNTIME.block_on(async {
        let temporary = env!("CARGO_TARGET_TMPDIR").as_ref();
        let server = Postgres::start_empty(temporary, PostgresInstall::Bundled, true)
            .await
            .expect("it starts");
        let password = postgres::password().expect("random");
        // As CloudNativePG does it, in this order.
        let mut superuser =
            PgConnection::connect(&server.administrator("postgres")).await.expect("it may");
        let mut sql = vec![
            format!("DROP DATABASE IF EXISTS {database}"),
            format!("CREATE ROLE {owner} LOGIN"),
        ];
        sql.extend(init.filter_map(|it| it.as_str().map(str::to_owned)));
        sql.push(format!("CREATE DATABASE {database} OWNER {owner}"));
        sql.push(format!("ALTER ROLE {owner} PASSWORD '{password}'"));
        for statement in sql {
            let done =
                sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut superuser).await;
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        superuser.close().await.expect("it closes");

        let project = Project::built_in();
        let administrator = Database::new(&server.url(owner, &password, database)).expect("a URL");
        let passwords =
            ["katas_migrator", "katas_app"].map(|role| Password { role, password: &password });
        // Again and again, as each release does.
        for _ in 0..2 {
            migrate::bootstrap(&project, &administrator, &passwords, true, &|_| ())
                .await
                .expect("the roles");
        }
        let migrator =
            Database::new(&server.url("katas_migrator", &password, database)).expect("a URL");
        let up = migrate::up(&project, &migrator, UpOptions::default(), &|_| ())
            .await
            .expect("the schema");
        assert_eq!(up.version, project.newest());
        // CloudNativePG's exporter asks in the application's database, and as nobody special.
        let role = format!(
            "CREATE ROLE cnpg_metrics_exporter LOGIN PASSWORD '{password}' IN ROLE pg_monitor"
        );
        let mut superuser =
            PgConnection::connect(&server.administrator("postgres")).await.expect("it may");
        sqlx::raw_sql(AssertSqlSafe(role)).execute(&mut superuser).await.expect("a role");
        superuser.close().await.expect("it closes");
        let url = server.url("cnpg_metrics_exporter", &password, database);
        let mut exporter = PgConnection::connect(&url).await.expect("the exporter may connect");
        let limit: (String, i32) =
            sqlx::query_as(AssertSqlSafe(queries["katas_role"]["query"].as_str().expect("SQL")))
                .fetch_one(&mut exporter)
                .await
                .expect("and ask");
        assert_eq!(limit, ("katas_app".to_owned(), 80));

        let url = server.url("katas_app", &password, database);
        let mut app = PgConnection::connect(&url).await.expect("the components may connect");
        let entries: (i64,) = sqlx::query_as("SELECT count(*) FROM katas.entry")
            .fetch_one(&mut app)
            .await
            .expect("and read");
        assert_eq!(entries, (0,));
    });
}
