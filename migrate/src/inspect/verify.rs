//! Whether a database still has what the migrations have made.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use crate::catalog::{self, Maker, Object};
use crate::{Error, Project, dump};

/// What a comparison has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// The version of the schema, as it was given.
    pub version: i64,
    /// SHA-256 of what `dump` prints of this database, in hexadecimal digits. Without drift it is
    /// that of the project's `schema.sql`.
    pub fingerprint: String,
    /// What is not as it should be, in the order of a dump. Rows are data, and no drift; nor is
    /// anything in other schemas.
    pub drift: Vec<Difference>,
}

/// An object of which the database has another than it should have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The kind of object: `table`, `index`, `role setting`, `grant`.
    pub kind: String,
    /// Its name, with that of the schema and the table that it is in.
    pub name: String,
    /// The SQL that makes it as it should be; none when it should not be there.
    pub expected: Option<String>,
    /// The SQL that makes it as it is; none when it is not there.
    pub found: Option<String>,
}

/// Compares the catalog with the project's `schema.sql`. `version` is the one that the ledger has,
/// and has to be the project's newest: there is nothing to compare another one with.
///
/// Needs no right but to connect, and a connection that is in no transaction.
pub async fn compare(
    connection: &mut PgConnection,
    project: &Project,
    version: i64,
) -> Result<Verified, Error> {
    let Some(expected) = &project.dump else {
        let help = "make it with `migrate dump` from a database that is as it should be";
        return Err(Error::Usage(format!("the project has no schema.sql: {help}")));
    };
    let expected = dump::parse(expected);
    if !expected.iter().any(|object| object.kind == "schema") {
        return Err(Error::Usage("schema.sql is not a text of `migrate dump`".to_owned()));
    }
    let found = catalog::read(connection, project).await?;
    let text = dump::text(&found, &project.schema, version);
    Ok(Verified {
        version,
        fingerprint: hex(&Sha256::digest(text)),
        drift: differences(expected, found.objects),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn differences(expected: Vec<Object>, found: Vec<Object>) -> Vec<Difference> {
    type Pair = (Option<String>, Option<String>);
    let mut pairs = BTreeMap::<(usize, String, String), Pair>::new();
    // What is there so that a dump can be restored is not looked at.
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

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { version, fingerprint, drift } = self;
        if drift.is_empty() {
            return write!(f, "no drift: the schema is that of version {version} ({fingerprint})");
        }
        for difference in drift {
            writeln!(f, "{difference}\n")?;
        }
        let s = if drift.len() == 1 { "" } else { "s" };
        write!(f, "{} difference{s} from version {version} (-: expected, +: found)", drift.len())?;
        let is_of_roles = |it: &Difference| catalog::maker(&it.kind) == Maker::Bootstrap;
        if drift.iter().any(is_of_roles) {
            write!(
                f,
                "\nof roles and the database: `migrate bootstrap` puts right what roles.sql sets"
            )?;
        }
        if !drift.iter().all(is_of_roles) {
            write!(
                f,
                "\nto undo it: run what is expected by hand, then `migrate verify`; to keep it: make it a \
                 migration, `migrate new`"
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
                let (removed, added) = other_lines(expected, found);
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

/// The lines that only one of the two has; all of them when they differ in nothing but their order.
fn other_lines<'a>(expected: &'a str, found: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    match (lines_of(expected, found), lines_of(found, expected)) {
        (removed, added) if removed.is_empty() && added.is_empty() => {
            (expected.lines().collect(), found.lines().collect())
        }
        pair => pair,
    }
}

/// The lines of `text` that `other` does not have.
fn lines_of<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let other: Vec<_> = other.lines().map(bare).collect();
    text.lines().map(bare).filter(|line| !line.is_empty() && !other.contains(line)).collect()
}

/// A line without what depends on its place: the last column of a table has no comma after it.
fn bare(line: &str) -> &str {
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
    fn a_difference_shows_the_lines_that_differ() {
        let (one, two) =
            ("CREATE (\n  a int,\n  b int\n);", "CREATE (\n  a int,\n  b int,\n  c int\n);");
        assert_eq!(difference(Some(one), Some(two)), "changed: table a.b\n  + c int");
        assert_eq!(difference(Some(two), Some(one)), "changed: table a.b\n  - c int");
        assert_eq!(difference(Some("x;"), None), "missing: table a.b\n  - x;");
        assert_eq!(difference(None, Some("x;\ny;")), "unexpected: table a.b\n  + x;\n  + y;");
    }

    #[test]
    fn another_order_shows_everything() {
        let text = difference(Some("a,\nb"), Some("b,\na"));
        assert_eq!(text, "changed: table a.b\n  - a,\n  - b\n  + b,\n  + a");
    }
}
