//! The database: what CloudNativePG is told to make is enough for the Jobs, without a superuser.

use katas_host::local::postgres::{self, Postgres, Source};
use migrate::{Database, Password, Project, UpOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::objects::{list, text};
use super::render::deployment;
use crate::support::RUNTIME;

#[test]
fn the_jobs_need_no_superuser() {
    let production = deployment("production");
    let cluster = production.of("Cluster").next().expect("a Cluster");
    let initdb = |key| text(cluster, &format!("/spec/bootstrap/initdb/{key}")).expect("it is said");
    let (owner, database) = (initdb("owner"), initdb("database"));
    let init = list(cluster, "/spec/bootstrap/initdb/postInitSQL").iter();
    RUNTIME.block_on(async {
        let temporary = env!("CARGO_TARGET_TMPDIR").as_ref();
        let server =
            Postgres::start_empty(temporary, Source::Bundled, true).await.expect("it starts");
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
        let url = server.url("katas_app", &password, database);
        let mut app = PgConnection::connect(&url).await.expect("the components may connect");
        let entries: (i64,) = sqlx::query_as("SELECT count(*) FROM katas.entry")
            .fetch_one(&mut app)
            .await
            .expect("and read");
        assert_eq!(entries, (0,));
    });
}
