//! Reads the contents of a database and the privileges of the user before anything is written.

use crate::Error;
use crate::event::Report;
use crate::postgres::{Database, Session};
use crate::project::Project;

/// The state of a database that has not been bootstrapped or migrated yet.
#[derive(Debug)]
pub struct Survey {
    /// The login role.
    pub user: String,
    /// The name of the database.
    pub database: String,
    /// Whether the owner role of the project exists.
    pub has_owner: bool,
    /// Whether the user may act as the owner role.
    pub is_owner: bool,
    /// Whether the owner role may create schemas in the database.
    pub owner_may_create: bool,
    /// The roles among the given ones that do not exist, separated by commas.
    pub missing_roles: String,
    /// Whether the user may create roles.
    pub may_create_roles: bool,
    /// Whether the user may grant the privilege to create schemas in the database.
    pub may_grant_create: bool,
    /// The number of relations that do not belong to the project, the system or an extension.
    pub foreign_relations: i64,
    /// The qualified name of one of them, or an empty string.
    pub foreign_relation: String,
}

from_row!(Survey {
    user,
    database,
    has_owner,
    is_owner,
    owner_may_create,
    missing_roles,
    may_create_roles,
    may_grant_create,
    foreign_relations,
    foreign_relation
});

/// Reads the state of a database. `roles` are those to which migrations grant privileges. Needs no
/// privileges.
pub async fn survey(
    project: &Project,
    database: &Database,
    roles: &[&str],
    report: Report<'_>,
) -> Result<Survey, Error> {
    let mut session = Session::connect(database, report).await?;
    let survey = sqlx::query_as(
        "WITH foreign_relation AS (
           SELECT format('%I.%I', nspname, relname) AS name
             FROM pg_catalog.pg_class AS class
             JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = relnamespace
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
              AND nspname NOT IN ($1, 'information_schema') AND nspname !~ '^pg_'
              AND NOT EXISTS (
                SELECT FROM pg_catalog.pg_depend
                 WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = class.oid
                   AND deptype = 'e')
         )
         SELECT session_user::text AS \"user\",
                current_database()::text AS database,
                owner.oid IS NOT NULL AS has_owner,
                coalesce(pg_has_role(session_user, owner.oid, 'MEMBER'), false) AS is_owner,
                coalesce(has_database_privilege(owner.oid, current_database(), 'CREATE'), false)
                  AS owner_may_create,
                (SELECT coalesce(string_agg(name, ', '), '') FROM unnest($2) AS name
                  WHERE to_regrole(name) IS NULL) AS missing_roles,
                login.rolsuper OR login.rolcreaterole AS may_create_roles,
                has_database_privilege(session_user, current_database(),
                                       'CREATE WITH GRANT OPTION') AS may_grant_create,
                (SELECT count(*) FROM foreign_relation) AS foreign_relations,
                (SELECT coalesce(min(name), '') FROM foreign_relation) AS foreign_relation
           FROM pg_catalog.pg_roles AS login
           LEFT JOIN pg_catalog.pg_roles AS owner ON owner.rolname = $1 || '_owner'
          WHERE login.rolname = session_user",
    )
    .bind(&project.schema)
    .bind(roles)
    .fetch_one(&mut session.connection)
    .await?;
    session.close().await;
    Ok(survey)
}
