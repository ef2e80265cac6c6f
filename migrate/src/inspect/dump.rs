//! The schema as one text, made without `pg_dump`: the same bytes for the same schema.

use std::fmt::Write;

use sqlx::PgConnection;
use squawk_lexer::{TokenKind, tokenize};

use crate::catalog::{self, Catalog, Maker, Object};
use crate::{Error, Project};

/// The project's schema as SQL, read from the catalog. `version` is the one that the ledger has.
///
/// An administrator can run it in an empty database that `bootstrap` has prepared: this makes the
/// same schema. What belongs to the whole server or to the database (the roles, their settings and
/// memberships, who may connect) is in it as comments. Passwords are not in it, nor is anything
/// that depends on the time, the server's version or the database's name.
///
/// Needs no right but to connect, and a connection that is in no transaction. Rights that were
/// granted by somebody who had them granted in turn may come before those that they depend on.
pub async fn write_dump(
    connection: &mut PgConnection,
    project: &Project,
    version: i64,
) -> Result<String, Error> {
    Ok(text(&catalog::read(connection, project).await?, &project.schema, version))
}

/// Writes a catalog.
pub(crate) fn text(catalog: &Catalog, schema: &str, version: i64) -> String {
    let mut text = format!(
        "-- The schema {schema} at version {version}, as `migrate dump` writes it and `migrate verify` \
         compares it.\n\
         -- To restore it, run it as an administrator in an empty database, after `migrate \
         bootstrap`.\n\
         -- That makes what is in comments here: roles, and their rights to the database.\n"
    );
    let mut last = Maker::Bootstrap;
    for object in &catalog.objects {
        let maker = object.maker();
        match (last, maker) {
            (Maker::Bootstrap, Maker::Administrator) => {
                text += "\n-- session: settings\nSET search_path = '';\n";
                text += "SET check_function_bodies = off;\n";
            }
            (Maker::Owner, Maker::Administrator) => {
                text += "\n-- session: as the administrator\nRESET ROLE;\n";
            }
            _ => {}
        }
        last = maker;
        let Object { kind, name, sql } = object;
        // A String cannot fail to grow.
        let _ = match maker {
            Maker::Bootstrap => {
                let sql = sql.replace('\n', &format!("\n{COMMENTED}"));
                writeln!(text, "\n-- {kind}: {name}\n{COMMENTED}{sql}")
            }
            _ => writeln!(text, "\n-- {kind}: {name}\n{sql}"),
        };
    }
    text
}

/// What stands before a line that is not to be run.
const COMMENTED: &str = "--   ";

/// The objects of a dump. What does not have the form of one is skipped.
pub(crate) fn parse(dump: &str) -> Vec<Object> {
    let dump = dump.replace("\r\n", "\n");
    // A comment that stands by itself begins an object. Inside of a function's body or of a string
    // there are no comments: that is one token.
    let mut objects = Vec::<Object>::new();
    let mut starts = Vec::new();
    let mut at = 0;
    for token in tokenize(&dump) {
        let end = at + token.len as usize;
        if token.kind == TokenKind::LineComment
            && dump[..at].ends_with("\n\n")
            && let Some((kind, name)) = marker(&dump[at..end])
        {
            objects.push(Object { kind, name, sql: String::new() });
            starts.push((at, end));
        }
        at = end;
    }
    for (number, object) in objects.iter_mut().enumerate() {
        let end = starts.get(number + 1).map_or(dump.len(), |(next, _)| *next);
        let sql = dump[starts[number].1..end].trim_matches('\n');
        object.sql = match object.maker() {
            Maker::Bootstrap => {
                let lines = sql.lines().map(|line| line.strip_prefix(COMMENTED).unwrap_or(line));
                lines.collect::<Vec<_>>().join("\n")
            }
            _ => sql.to_owned(),
        };
    }
    objects
}

/// Kind and name of the object that this comment announces.
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
    fn what_is_written_can_be_read() {
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
    fn what_belongs_to_the_server_is_not_run() {
        let role = object("role", "a_b", "ALTER ROLE a_b LOGIN;\nALTER ROLE a_b NOLOGIN;");
        let text = text(&Catalog { objects: vec![role] }, "a", 7);
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with("--")), "{text}");
    }
}
