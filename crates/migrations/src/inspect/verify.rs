//! `migrate verify`: compares a database with the expected schema.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::catalog::{self, Object, Stage};
use super::dump;
use crate::Error;
use crate::event::Report;
use crate::ledger::{OutOfOrder, current_version, pending};
use crate::postgres::Database;
use crate::project::Project;

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The version of the schema according to the ledger.
    pub version: i64,
    /// SHA-256 of the output of `dump` for this database, in hexadecimal. Without drift, it equals
    /// that of the project's `schema.sql`, adapted to a server without lz4.
    pub fingerprint: String,
    /// The version of the server.
    pub server: String,
    /// The differences, in the order of a dump.
    pub drift: Vec<Difference>,
    /// The objects of the schema of which only the existence and the name are compared.
    pub compared_by_name: Vec<String>,
    /// Other objects in the database, which are not compared.
    pub not_compared: Vec<String>,
}

/// What is never compared, on any version of PostgreSQL.
const NEVER_COMPARED: &str = "rows, other schemas, passwords, connection limits, the role setting \
    lc_messages, and the names of NOT NULL constraints";

const OTHER_OBJECTS: &str = include_str!("catalog/not_compared.sql");

/// An object that differs from the expected one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The kind of object, such as `table`, `index`, `role setting` or `grant`.
    pub kind: String,
    /// The name of the object, qualified with its schema and table.
    pub name: String,
    /// The SQL that creates the expected object. `None` if the object should not exist.
    pub expected: Option<String>,
    /// The SQL that creates the object as found. `None` if it does not exist.
    pub found: Option<String>,
}

/// Compares the schema of a database with the project's `schema.sql`. Fails if the database is not
/// at the newest version of the project, because only that one is known.
pub async fn verify(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<Verification, Error> {
    let (mut session, applied) = super::connect(project, database, report).await?;
    match pending(project, &applied, OutOfOrder::Apply)?.len() {
        0 => {}
        pending => return Err(Error::Pending(pending)),
    }
    let version = current_version(&applied);
    if version > project.newest() {
        return Err(Error::Integrity(format!(
            "the database is at version {version}, newer than this build at version {}; verify it \
             with a build of version {version}",
            project.newest()
        )));
    }
    let verification = compare(&mut session.connection, project, version).await?;
    session.close().await;
    Ok(verification)
}

/// Compares the catalog with the project's `schema.sql`. `version` is the version according to the
/// ledger, and must be the newest of the project.
///
/// The connection needs no privileges and must not be in a transaction.
pub async fn compare(
    connection: &mut PgConnection,
    project: &Project,
    version: i64,
) -> Result<Verification, Error> {
    let Some(expected) = &project.dump else {
        let help = "create it with `migrate dump` from a database whose schema is correct";
        return Err(Error::Usage(format!("the project has no schema.sql; {help}")));
    };
    let expected = dump::parse(&for_server(connection, expected).await?);
    if !expected.iter().any(|object| object.kind == "schema") {
        return Err(Error::Usage("schema.sql is not an output of `migrate dump`".to_owned()));
    }
    let found = catalog::read(connection, project).await?;
    let text = dump::text(&found, &project.schema, version);
    let others: Vec<(String,)> =
        sqlx::query_as(OTHER_OBJECTS).bind(&project.schema).fetch_all(&mut *connection).await?;
    let (server,): (String,) =
        sqlx::query_as("SELECT current_setting('server_version')").fetch_one(connection).await?;
    let by_name = found.objects.iter().filter(|object| object.kind == "other");
    Ok(Verification {
        version,
        fingerprint: hex(&Sha256::digest(text)),
        server,
        compared_by_name: by_name.map(|object| object.name.clone()).collect(),
        not_compared: others.into_iter().map(|(line,)| line).collect(),
        drift: differences(expected, found.objects),
    })
}

/// Adapts `schema.sql` to the server. Where PostgreSQL was built without lz4, a column that should use
/// it should be stored without compression.
async fn for_server(connection: &mut PgConnection, expected: &str) -> Result<String, Error> {
    let sql =
        "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'";
    let (has_lz4,): (bool,) = sqlx::query_as(sql).fetch_one(connection).await?;
    let (lz4, none) = (" SET COMPRESSION lz4;", " SET STORAGE EXTERNAL;");
    Ok(if has_lz4 { expected.to_owned() } else { expected.replace(lz4, none) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn differences(expected: Vec<Object>, found: Vec<Object>) -> Vec<Difference> {
    type Pair = (Option<String>, Option<String>);
    let mut pairs = BTreeMap::<(usize, String, String), Pair>::new();
    // These exist only to make a dump restorable.
    let is_compared = |object: &Object| !matches!(object.kind.as_str(), "session" | "ledger");
    for object in expected.into_iter().filter(is_compared) {
        pairs.entry((catalog::rank(&object.kind), object.kind, object.name)).or_default().0 =
            Some(object.sql);
    }
    for object in found.into_iter().filter(is_compared) {
        pairs.entry((catalog::rank(&object.kind), object.kind, object.name)).or_default().1 =
            Some(object.sql);
    }
    pairs
        .into_iter()
        .filter(|(_, (expected, found))| expected != found)
        .map(|((_, kind, name), (expected, found))| Difference { kind, name, expected, found })
        .collect()
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verification { version, fingerprint, server, drift, compared_by_name, not_compared } =
            self;
        if drift.is_empty() {
            writeln!(f, "no drift: the schema is that of version {version} ({fingerprint})")?;
            write!(f, "on PostgreSQL {server}; never compared: {NEVER_COMPARED}")?;
            for (title, names) in [
                ("compared by name only", compared_by_name),
                ("found and not compared", not_compared),
            ] {
                if !names.is_empty() {
                    write!(f, "\n{title}: {}", names.join(", "))?;
                }
            }
            return Ok(());
        }
        for difference in drift {
            writeln!(f, "{difference}\n")?;
        }
        let s = if drift.len() == 1 { "" } else { "s" };
        write!(f, "{} difference{s} from version {version} (-: expected, +: found)", drift.len())?;
        let is_of_bootstrap =
            |difference: &Difference| catalog::stage(&difference.kind) == Stage::Bootstrap;
        if drift.iter().any(is_of_bootstrap) {
            write!(f, "\nroles and database privileges: `migrate bootstrap` restores roles.sql")?;
        }
        if !drift.iter().all(is_of_bootstrap) {
            write!(
                f,
                "\nto revert the changes, run the expected statements, then `migrate verify`; to \
                 keep them, add a migration with `migrate new`"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { kind, name, expected, found } = self;
        let (word, removed, added) = match (expected, found) {
            (Some(expected), Some(found)) => {
                let (removed, added) = differing_lines(expected, found);
                ("changed", removed, added)
            }
            (Some(expected), None) => ("missing", expected.lines().collect(), Vec::new()),
            (_, found) => {
                ("unexpected", Vec::new(), found.iter().flat_map(|sql| sql.lines()).collect())
            }
        };
        write!(f, "{word}: {kind} {name}")?;
        removed.iter().try_for_each(|line| write!(f, "\n  - {line}"))?;
        added.iter().try_for_each(|line| write!(f, "\n  + {line}"))
    }
}

/// Returns the lines that occur in only one of the texts, or all lines if only their order differs.
fn differing_lines<'a>(expected: &'a str, found: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    match (missing_lines(expected, found), missing_lines(found, expected)) {
        (removed, added) if removed.is_empty() && added.is_empty() => {
            (expected.lines().collect(), found.lines().collect())
        }
        pair => pair,
    }
}

/// Returns the lines of `text` that do not occur in `other`.
fn missing_lines<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let other: Vec<_> = other.lines().map(normalize).collect();
    text.lines().map(normalize).filter(|line| !line.is_empty() && !other.contains(line)).collect()
}

/// Removes indentation and the trailing comma, which the last column of a table lacks.
fn normalize(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(expected: Option<&str>, found: Option<&str>) -> String {
        let [expected, found] = [expected, found].map(|sql| sql.map(str::to_owned));
        Difference { kind: "table".into(), name: "a.b".into(), expected, found }.to_string()
    }

    #[test]
    fn difference_shows_only_differing_lines() {
        let (short, long) =
            ("CREATE (\n  a int,\n  b int\n);", "CREATE (\n  a int,\n  b int,\n  c int\n);");
        assert_eq!(difference(Some(short), Some(long)), "changed: table a.b\n  + c int");
        assert_eq!(difference(Some(long), Some(short)), "changed: table a.b\n  - c int");
        assert_eq!(difference(Some("x;"), None), "missing: table a.b\n  - x;");
        assert_eq!(difference(None, Some("x;\ny;")), "unexpected: table a.b\n  + x;\n  + y;");
    }

    #[test]
    fn difference_in_order_shows_all_lines() {
        let text = difference(Some("a,\nb"), Some("b,\na"));
        assert_eq!(text, "changed: table a.b\n  - a,\n  - b\n  + b,\n  + a");
    }
}
