//! The database: the roles that CloudNativePG creates suffice for the Jobs and the metrics, without
//! superuser rights.

use katas_host::local::postgres::{self, Postgres, PostgresInstall};
use migrations::{Database, Password, Project, UpOptions};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::objects::{list, name, text};
use super::render::deployment;
use crate::support::RUNTIME;

#[test]
#[cfg_attr(not(has_kubectl), ignore = "kubectl is not installed")]
fn jobs_and_metrics_work_without_a_superuser() {
    let production = deployment("production");
    let cluster = production.of_kind("Cluster").next().expect("a Cluster");
    let initdb =
        |key| text(cluster, &format!("/spec/bootstrap/initdb/{key}")).expect("an initdb setting");
    let (owner, database) = (initdb("owner"), initdb("database"));
    let map = production.of_kind("ConfigMap").find(|map| name(map) == "katas-postgres-metrics");
    let queries = map.and_then(|map| map["data"]["queries.yaml"].as_str()).expect("queries");
    let queries: Value = serde_saphyr::from_str(queries).expect("YAML");
    let init = list(cluster, "/spec/bootstrap/initdb/postInitSQL").iter();
    RUNTIME.block_on(async {
        let directory = test_tools::data_directory(env!("CARGO_TARGET_TMPDIR"));
        let server = Postgres::start_empty(&directory, PostgresInstall::Bundled, true)
            .await
            .expect("a server");
        let password = postgres::password().expect("random");
        // The steps of CloudNativePG, in its order.
        let mut superuser =
            PgConnection::connect(&server.administrator("postgres")).await.expect("a connection");
        let mut sql = vec![
            format!("DROP DATABASE IF EXISTS {database}"),
            format!("CREATE ROLE {owner} LOGIN"),
        ];
        sql.extend(init.filter_map(|statement| statement.as_str().map(str::to_owned)));
        sql.push(format!("CREATE DATABASE {database} OWNER {owner}"));
        sql.push(format!("ALTER ROLE {owner} PASSWORD '{password}'"));
        for statement in sql {
            let result =
                sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut superuser).await;
            result.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        superuser.close().await.expect("a closed connection");

        let project = Project::built_in();
        let administrator = Database::new(&server.url(owner, &password, database)).expect("a URL");
        let passwords = ["katas_migrator", "katas_app", "katas_courier"]
            .map(|role| Password { role, password: &password });
        // Each release runs it again.
        for _ in 0..2 {
            migrations::bootstrap(&project, &administrator, &passwords, true, &|_| ())
                .await
                .expect("the roles");
        }
        let migrator =
            Database::new(&server.url("katas_migrator", &password, database)).expect("a URL");
        let up = migrations::up(&project, &migrator, UpOptions::default(), &|_| ())
            .await
            .expect("the schema");
        assert_eq!(up.version, project.newest());
        // CloudNativePG's exporter connects to the application's database as an unprivileged role.
        let role = format!(
            "CREATE ROLE cnpg_metrics_exporter LOGIN PASSWORD '{password}' IN ROLE pg_monitor"
        );
        let mut superuser =
            PgConnection::connect(&server.administrator("postgres")).await.expect("a connection");
        sqlx::raw_sql(AssertSqlSafe(role)).execute(&mut superuser).await.expect("a role");
        superuser.close().await.expect("a closed connection");
        let url = server.url("cnpg_metrics_exporter", &password, database);
        let mut exporter = PgConnection::connect(&url).await.expect("the exporter connects");
        let limit: (String, i32) =
            sqlx::query_as(AssertSqlSafe(queries["katas_role"]["query"].as_str().expect("SQL")))
                .fetch_one(&mut exporter)
                .await
                .expect("the exporter runs its query");
        assert_eq!(limit, ("katas_app".to_owned(), 80));

        let url = server.url("katas_app", &password, database);
        let mut app = PgConnection::connect(&url).await.expect("the application connects");
        let entries: (i64,) = sqlx::query_as("SELECT count(*) FROM katas.entry")
            .fetch_one(&mut app)
            .await
            .expect("the application reads");
        assert_eq!(entries, (0,));
        let url = server.url("katas_courier", &password, database);
        let mut courier = PgConnection::connect(&url).await.expect("the courier connects");
        let messages: (i64,) = sqlx::query_as("SELECT count(*) FROM katas.outbox")
            .fetch_one(&mut courier)
            .await
            .expect("the courier reads");
        assert_eq!(messages, (0,));
    });
}
