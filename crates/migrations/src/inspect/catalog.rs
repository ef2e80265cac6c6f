//! Reads the project's schema from the system catalogs as a list of SQL statements, which is equal
//! for equal schemas on every supported version of PostgreSQL.
//!
//! The catalogs are readable by every role that may connect.

mod view_definition;

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::Error;
use crate::project::Project;

/// The tables of this tool besides the ledger.
const TOOL_TABLES: [&str; 2] = ["_migrate_steps", "_migrate_seeds"];

/// Settings that make the output independent of the session: qualified names, fixed value formats.
const SESSION: &str = "
    SET LOCAL search_path = '';
    SET LOCAL quote_all_identifiers = off;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL lc_monetary = 'C';
    -- The catalogs are small: compiling these queries takes longer than running them.
    SET LOCAL jit = off";

/// The common table expressions that all queries begin with.
const COMMON: &str = include_str!("catalog/common.sql");

const OBJECTS: [&str; 16] = [
    include_str!("catalog/roles.sql"),
    include_str!("catalog/schema.sql"),
    include_str!("catalog/types.sql"),
    include_str!("catalog/sequences.sql"),
    include_str!("catalog/routines.sql"),
    include_str!("catalog/tables.sql"),
    include_str!("catalog/properties.sql"),
    include_str!("catalog/constraints.sql"),
    include_str!("catalog/indexes.sql"),
    include_str!("catalog/views.sql"),
    include_str!("catalog/triggers.sql"),
    include_str!("catalog/others.sql"),
    include_str!("catalog/owners.sql"),
    include_str!("catalog/grants.sql"),
    include_str!("catalog/default_privileges.sql"),
    include_str!("catalog/comments.sql"),
];

const DEPENDENCIES: &str = include_str!("catalog/dependencies.sql");

/// The stage of a restore in which an object is created.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// By `bootstrap`, before the restore.
    Bootstrap,
    /// By an administrator.
    Administrator,
    /// By the owner of the schema.
    Owner,
}

/// The kinds of objects, in the order of a dump. An object that depends on one of a later kind
/// follows it.
const KINDS: [(&str, Stage); 38] = [
    ("role", Stage::Bootstrap),
    ("role setting", Stage::Bootstrap),
    ("membership", Stage::Bootstrap),
    ("database", Stage::Bootstrap),
    ("schema", Stage::Administrator),
    ("extension", Stage::Administrator),
    ("session", Stage::Owner),
    ("type", Stage::Owner),
    ("sequence", Stage::Owner),
    ("function", Stage::Owner),
    ("procedure", Stage::Owner),
    ("aggregate", Stage::Owner),
    ("other", Stage::Owner),
    ("ledger", Stage::Owner),
    ("table", Stage::Owner),
    ("typed table", Stage::Owner),
    ("default", Stage::Owner),
    ("sequence column", Stage::Owner),
    ("column", Stage::Owner),
    ("constraint", Stage::Owner),
    ("index", Stage::Owner),
    ("index options", Stage::Owner),
    ("replica identity", Stage::Owner),
    ("statistics", Stage::Owner),
    ("inheritance", Stage::Owner),
    ("partition", Stage::Owner),
    ("view", Stage::Owner),
    ("materialized view", Stage::Owner),
    ("rule", Stage::Owner),
    ("trigger", Stage::Owner),
    ("policy", Stage::Owner),
    ("row level security", Stage::Owner),
    ("comment", Stage::Owner),
    ("owner", Stage::Administrator),
    ("grant", Stage::Administrator),
    ("revoke", Stage::Administrator),
    ("default privileges", Stage::Administrator),
    ("disabled constraint", Stage::Administrator),
];

/// The objects of a project in a database.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Ordered so that each object follows those that it depends on.
    pub(super) objects: Vec<Object>,
}

/// An object of the database, or a property of one that is set by a separate statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object {
    /// One of [`KINDS`].
    pub(super) kind: String,
    /// Unique within its kind.
    pub(super) name: String,
    /// The statements that create it.
    pub(super) sql: String,
}

impl Object {
    pub(super) fn stage(&self) -> Stage {
        stage(&self.kind)
    }
}

/// Returns the position of a kind in [`KINDS`]. Unknown kinds follow all others.
pub(super) fn rank(kind: &str) -> usize {
    KINDS.iter().position(|(known, _)| *known == kind).unwrap_or(KINDS.len())
}

/// Returns the stage in which objects of this kind are created.
pub(super) fn stage(kind: &str) -> Stage {
    KINDS.get(rank(kind)).map_or(Stage::Administrator, |(_, stage)| *stage)
}

/// A row of the queries in [`OBJECTS`].
struct Row {
    kind: String,
    name: String,
    sql: String,
    /// The OID of the system catalog that contains the object.
    class: Option<i64>,
    /// The OID of the object.
    id: Option<i64>,
}

from_row!(Row { kind, name, sql, class, id });

/// Reads all objects in one snapshot.
pub(super) async fn read(
    connection: &mut PgConnection,
    project: &Project,
) -> Result<Catalog, Error> {
    let ledger = project.ledger.rsplit('.').next().unwrap_or_default();
    let tool_tables = [&[ledger], &TOOL_TABLES[..]].concat();
    // Before version 16, PostgreSQL formats the columns of a view differently.
    let is_before_16 = connection.server_version_num().is_some_and(|version| version < 160_000);
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = connection.begin_with(begin).await?;
    sqlx::raw_sql(SESSION).execute(&mut *transaction).await?;
    let mut rows = Vec::new();
    for query in OBJECTS {
        let sql = AssertSqlSafe(format!("{COMMON}{query}"));
        let query = sqlx::query_as::<_, Row>(sql).bind(&project.schema).bind(&tool_tables);
        rows.extend(query.fetch_all(&mut *transaction).await?);
    }
    let sql = AssertSqlSafe(format!("{COMMON}{DEPENDENCIES}"));
    let query = sqlx::query_as::<_, Dependency>(sql).bind(&project.schema).bind(&tool_tables);
    let dependencies = query.fetch_all(&mut *transaction).await?;
    transaction.rollback().await?;

    for row in &mut rows {
        // The line endings of a migration file end up in function bodies.
        row.sql = row.sql.replace("\r\n", "\n");
        if is_before_16 && row.kind.ends_with("view") {
            row.sql = view_definition::strip_table_qualifiers(&row.sql);
        }
    }
    Ok(Catalog { objects: in_order(rows, &dependencies) })
}

/// A dependency of one object on another. Each is identified by the OIDs of its catalog and of
/// itself.
struct Dependency {
    class: i64,
    id: i64,
    needed_class: i64,
    needed: i64,
}

from_row!(Dependency { class, id, needed_class, needed });

/// Sorts objects by kind and name, except that an object follows those that it depends on.
fn in_order(mut rows: Vec<Row>, dependencies: &[Dependency]) -> Vec<Object> {
    rows.sort_by(|a, b| (rank(&a.kind), &a.name).cmp(&(rank(&b.kind), &b.name)));
    let places = rows.iter().enumerate();
    let places: HashMap<_, _> =
        places.filter_map(|(place, row)| Some(((row.class?, row.id?), place))).collect();
    let mut needs = vec![Vec::new(); rows.len()];
    for Dependency { class, id, needed_class, needed } in dependencies {
        let place = places.get(&(*class, *id));
        if let (Some(&place), Some(&needed)) = (place, places.get(&(*needed_class, *needed))) {
            needs[place].push(needed);
        }
    }
    let mut order = Vec::with_capacity(rows.len());
    let mut is_visited = vec![false; rows.len()];
    for place in 0..rows.len() {
        visit(place, &mut needs, &mut is_visited, &mut order);
    }
    let mut objects: Vec<_> = rows
        .into_iter()
        .map(|Row { kind, name, sql, .. }| {
            // The comment with the name must stay on one line.
            Some(Object { kind, name: name.replace(['\r', '\n'], " "), sql })
        })
        .collect();
    // Each place occurs once.
    order.into_iter().filter_map(|place| objects[place].take()).collect()
}

fn visit(place: usize, needs: &mut [Vec<usize>], is_visited: &mut [bool], order: &mut Vec<usize>) {
    if std::mem::replace(&mut is_visited[place], true) {
        return;
    }
    let mut needed = std::mem::take(&mut needs[place]);
    needed.sort_unstable();
    for needed in needed {
        visit(needed, needs, is_visited, order);
    }
    order.push(place);
}
