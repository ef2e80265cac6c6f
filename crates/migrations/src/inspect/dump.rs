//! `migrate dump`: the schema as SQL, without `pg_dump`. Equal schemas yield equal bytes.

use std::fmt::Write;

use sqlx::PgConnection;
use squawk_lexer::{TokenKind, tokenize};

use super::catalog::{self, Catalog, Object, Stage};
use crate::Error;
use crate::event::Report;
use crate::ledger::current_version;
use crate::postgres::Database;
use crate::project::Project;

/// Returns the schema of a database as SQL.
pub async fn dump(
    project: &Project,
    database: &Database,
    report: Report<'_>,
) -> Result<String, Error> {
    let (mut session, applied) = super::connect(project, database, report).await?;
    let dump = write_dump(&mut session.connection, project, current_version(&applied)).await?;
    session.close().await;
    Ok(dump)
}

/// Returns the project's schema as SQL, read from the catalog. `version` is the version according
/// to the ledger.
///
/// Running the SQL as an administrator in an empty database, after `bootstrap`, recreates the
/// schema. Roles, their settings and memberships, and privileges on the database appear as
/// comments. The output contains no passwords, and does not depend on the time, the version of the
/// server or the name of the database.
///
/// The connection needs no privileges and must not be in a transaction. A privilege that was
/// granted by a grantee may precede the grant that it depends on.
pub async fn write_dump(
    connection: &mut PgConnection,
    project: &Project,
    version: i64,
) -> Result<String, Error> {
    Ok(text(&catalog::read(connection, project).await?, &project.schema, version))
}

/// Formats a catalog.
pub(super) fn text(catalog: &Catalog, schema: &str, version: i64) -> String {
    let mut text = format!(
        "-- The schema {schema} at version {version}: the output of `migrate dump`, with which \
         `migrate verify` compares.\n\
         -- To restore it, run it as an administrator in an empty database, after `migrate \
         bootstrap`.\n\
         -- `migrate bootstrap` creates what is commented out: roles and privileges on the \
         database.\n"
    );
    let mut last = Stage::Bootstrap;
    for object in &catalog.objects {
        let stage = object.stage();
        match (last, stage) {
            (Stage::Bootstrap, Stage::Administrator) => {
                text += "\n-- session: settings\nSET search_path = '';\n";
                text += "SET check_function_bodies = off;\n";
            }
            (Stage::Owner, Stage::Administrator) => {
                text += "\n-- session: as the administrator\nRESET ROLE;\n";
            }
            _ => {}
        }
        last = stage;
        let Object { kind, name, sql } = object;
        // Writing to a String cannot fail.
        let _ = match stage {
            Stage::Bootstrap => {
                let sql = sql.replace('\n', &format!("\n{COMMENTED}"));
                writeln!(text, "\n-- {kind}: {name}\n{COMMENTED}{sql}")
            }
            _ => writeln!(text, "\n-- {kind}: {name}\n{sql}"),
        };
    }
    text
}

/// The prefix of SQL that is not run on restore.
const COMMENTED: &str = "--   ";

/// Parses the objects of a dump. Text that belongs to no object is skipped.
pub(super) fn parse(dump: &str) -> Vec<Object> {
    let dump = dump.replace("\r\n", "\n");
    // A comment after an empty line begins an object. The lexer yields a function body or a string
    // as one token, so such a line inside them is not mistaken for a comment.
    let mut objects = Vec::<Object>::new();
    let mut starts = Vec::new();
    let mut offset = 0;
    for token in tokenize(&dump) {
        let end = offset + token.len as usize;
        if token.kind == TokenKind::LineComment
            && dump[..offset].ends_with("\n\n")
            && let Some((kind, name)) = marker(&dump[offset..end])
        {
            objects.push(Object { kind, name, sql: String::new() });
            starts.push((offset, end));
        }
        offset = end;
    }
    for (number, object) in objects.iter_mut().enumerate() {
        let end = starts.get(number + 1).map_or(dump.len(), |(next, _)| *next);
        let sql = dump[starts[number].1..end].trim_matches('\n');
        object.sql = match object.stage() {
            Stage::Bootstrap => {
                let lines = sql.lines().map(|line| line.strip_prefix(COMMENTED).unwrap_or(line));
                lines.collect::<Vec<_>>().join("\n")
            }
            _ => sql.to_owned(),
        };
    }
    objects
}

/// Parses the comment before an object into kind and name.
fn marker(comment: &str) -> Option<(String, String)> {
    let (kind, name) = comment.strip_prefix("-- ")?.split_once(": ")?;
    Some((kind.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(kind: &str, name: &str, sql: &str) -> Object {
        Object { kind: kind.into(), name: name.into(), sql: sql.into() }
    }

    #[test]
    fn dump_can_be_parsed_back() {
        let objects = vec![
            object("role", "a_b", "ALTER ROLE a_b LOGIN;\n-- it's: \"so\n;"),
            object("schema", "a", "CREATE SCHEMA a;"),
            object("function", "a.\"f: g\"()", "CREATE $f$\n\n-- table: a.b\n\n $$ '$f$;"),
            object("table", "a.b", "CREATE TABLE a.b (\n  c text DEFAULT '\n\n-- table: x\n'\n);"),
            object("index", "a.i", "CREATE INDEX i; -- INVALID"),
            object("grant", "a.b to a_b", "GRANT;"),
        ];
        let text = text(&Catalog { objects: objects.clone() }, "a", 7);
        let mut read = parse(&text);
        let session: Vec<_> = read.extract_if(.., |object| object.kind == "session").collect();
        assert_eq!(read, objects);
        assert_eq!(session.len(), 2);
        assert_eq!(parse(&text.replace('\n', "\r\n")), parse(&text));
    }

    #[test]
    fn roles_are_commented_out() {
        let role = object("role", "a_b", "ALTER ROLE a_b LOGIN;\nALTER ROLE a_b NOLOGIN;");
        let text = text(&Catalog { objects: vec![role] }, "a", 7);
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with("--")), "{text}");
    }
}
