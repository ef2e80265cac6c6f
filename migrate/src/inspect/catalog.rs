//! The project's schema, as PostgreSQL's catalog has it: a list of SQL statements that is the same
//! for the same schema, whichever server it is on.
//!
//! The catalog can be read by whoever may connect. No other right is needed.

mod view;

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{Error, Project};

/// What the runner keeps beside its ledger.
const OWN_TABLES: [&str; 2] = ["_migrate_steps", "_migrate_seeds"];

/// Names are written in full, and values as these settings have them, whoever reads.
const SESSION: &str = "
    SET LOCAL search_path = '';
    SET LOCAL quote_all_identifiers = off;
    SET LOCAL TimeZone = 'UTC';
    SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL IntervalStyle = 'postgres';
    SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL lc_monetary = 'C';
    -- The catalog is small, and compiling these queries takes longer than running them.
    SET LOCAL jit = off";

/// What all queries begin with.
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

/// Who makes an object when a dump is restored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Maker {
    /// `bootstrap`, before.
    Bootstrap,
    /// An administrator.
    Administrator,
    /// The schema's owner.
    Owner,
}

/// All kinds of objects. They are written in this order, but for what needs something of a later
/// kind.
const KINDS: [(&str, Maker); 38] = [
    ("role", Maker::Bootstrap),
    ("role setting", Maker::Bootstrap),
    ("membership", Maker::Bootstrap),
    ("database", Maker::Bootstrap),
    ("schema", Maker::Administrator),
    ("extension", Maker::Administrator),
    ("session", Maker::Owner),
    ("type", Maker::Owner),
    ("sequence", Maker::Owner),
    ("function", Maker::Owner),
    ("procedure", Maker::Owner),
    ("aggregate", Maker::Owner),
    ("other", Maker::Owner),
    ("ledger", Maker::Owner),
    ("table", Maker::Owner),
    ("typed table", Maker::Owner),
    ("default", Maker::Owner),
    ("sequence column", Maker::Owner),
    ("column", Maker::Owner),
    ("constraint", Maker::Owner),
    ("index", Maker::Owner),
    ("index options", Maker::Owner),
    ("replica identity", Maker::Owner),
    ("statistics", Maker::Owner),
    ("inheritance", Maker::Owner),
    ("partition", Maker::Owner),
    ("view", Maker::Owner),
    ("materialized view", Maker::Owner),
    ("rule", Maker::Owner),
    ("trigger", Maker::Owner),
    ("policy", Maker::Owner),
    ("row level security", Maker::Owner),
    ("comment", Maker::Owner),
    ("owner", Maker::Administrator),
    ("grant", Maker::Administrator),
    ("revoke", Maker::Administrator),
    ("default privileges", Maker::Administrator),
    ("disabled constraint", Maker::Administrator),
];

/// What there is of a project in a database.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// In an order in which they can be made.
    pub(crate) objects: Vec<Object>,
}

/// An object of the database, or a property of one that is set by a statement of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Object {
    /// One of [`KINDS`].
    pub(crate) kind: String,
    /// Unique within its kind.
    pub(crate) name: String,
    /// The statements that make it.
    pub(crate) sql: String,
}

impl Object {
    pub(crate) fn maker(&self) -> Maker {
        maker(&self.kind)
    }
}

/// Where a kind stands among all kinds; at the end if this build does not know it.
pub(crate) fn rank(kind: &str) -> usize {
    KINDS.iter().position(|(known, _)| *known == kind).unwrap_or(KINDS.len())
}

/// Who makes objects of this kind.
pub(crate) fn maker(kind: &str) -> Maker {
    KINDS.get(rank(kind)).map_or(Maker::Administrator, |(_, maker)| *maker)
}

/// A row of [`OBJECTS`]: with the number of the object, and that of the catalog that it is in.
#[derive(sqlx::FromRow)]
struct Row {
    kind: String,
    name: String,
    sql: String,
    class: Option<i64>,
    id: Option<i64>,
}

/// Reads all of it in one snapshot.
pub(crate) async fn read(
    connection: &mut PgConnection,
    project: &Project,
) -> Result<Catalog, Error> {
    let ledger = project.ledger.rsplit('.').next().unwrap_or_default();
    let own_tables = [&[ledger], &OWN_TABLES[..]].concat();
    // Before version 16 the columns of a view were written in another way.
    let is_old = connection.server_version_num().is_some_and(|version| version < 160_000);
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = connection.begin_with(begin).await?;
    sqlx::raw_sql(SESSION).execute(&mut *transaction).await?;
    let mut rows = Vec::new();
    for query in OBJECTS {
        let sql = AssertSqlSafe(format!("{COMMON}{query}"));
        let query = sqlx::query_as::<_, Row>(sql).bind(&project.schema).bind(&own_tables);
        rows.extend(query.fetch_all(&mut *transaction).await?);
    }
    let sql = AssertSqlSafe(format!("{COMMON}{DEPENDENCIES}"));
    let query = sqlx::query_as::<_, Dependency>(sql).bind(&project.schema).bind(&own_tables);
    let dependencies = query.fetch_all(&mut *transaction).await?;
    transaction.rollback().await?;

    for row in &mut rows {
        // A file with other ends of lines makes the same function.
        row.sql = row.sql.replace("\r\n", "\n");
        if is_old && row.kind.ends_with("view") {
            row.sql = view::without_prefix(&row.sql);
        }
    }
    Ok(Catalog { objects: in_order(rows, &dependencies) })
}

/// An object, and one that has to be there before it: each by its catalog and its number.
#[derive(sqlx::FromRow)]
struct Dependency {
    class: i64,
    id: i64,
    needed_class: i64,
    needed: i64,
}

/// Sorted by kind and name, but everything after what it needs.
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
            // A name is written on one line.
            Some(Object { kind, name: name.replace(['\r', '\n'], " "), sql })
        })
        .collect();
    // Every place is visited once.
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
