//! Other migration tools, and how their files are recognized.

use std::fmt;
use std::path::Path;

use crate::sql::comments;

/// A tool whose migrations [`crate::import`] converts.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Tool {
    /// github.com/pressly/goose
    Goose,
    /// github.com/amacneil/dbmate
    Dbmate,
    /// github.com/rubenv/sql-migrate
    SqlMigrate,
    /// github.com/golang-migrate/migrate
    GolangMigrate,
    /// Flyway
    Flyway,
    /// diesel.rs
    Diesel,
    /// github.com/rust-db/refinery
    Refinery,
    /// Atlas
    Atlas,
}

impl Tool {
    /// Returns the text by which the tool orders migrations, so that 10 precedes 9: the file name or
    /// the version. `None` for a tool that compares numbers.
    pub(crate) fn text_order(self, stem: &str) -> Option<&str> {
        match self {
            Tool::Dbmate => Some(stem),
            Tool::Diesel | Tool::Atlas => stem.split('_').next(),
            _ => None,
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tool::Goose => "goose",
            Tool::Dbmate => "dbmate",
            Tool::SqlMigrate => "sql-migrate",
            Tool::GolangMigrate => "golang-migrate",
            Tool::Flyway => "Flyway",
            Tool::Diesel => "diesel",
            Tool::Refinery => "refinery",
            Tool::Atlas => "Atlas",
        })
    }
}

/// The origin of a file that is not in the form of sqlx.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Origin {
    /// A tool that `migrate import` converts.
    Convertible(Tool),
    /// Flyway or refinery, which use the same names.
    FlywayOrRefinery,
    /// Another tool.
    Other(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Convertible(tool) => tool.fmt(f),
            Origin::FlywayOrRefinery => f.write_str("Flyway or refinery"),
            Origin::Other(tool) => f.write_str(tool),
        }
    }
}

/// Comments that begin a part of a file or change how it is run: their prefix in lower case, whether
/// it must be the whole comment, and the tool. A file with such a comment must not run as a whole.
const MARKERS: [(&str, bool, Origin); 17] = [
    ("+goose", false, Origin::Convertible(Tool::Goose)),
    ("+migrate", false, Origin::Convertible(Tool::SqlMigrate)),
    ("migrate:up", false, Origin::Convertible(Tool::Dbmate)),
    ("migrate:down", false, Origin::Convertible(Tool::Dbmate)),
    ("atlas:txmode", false, Origin::Convertible(Tool::Atlas)),
    ("atlas:delimiter", false, Origin::Convertible(Tool::Atlas)),
    ("atlas:checkpoint", false, Origin::Convertible(Tool::Atlas)),
    ("atlas:txtar", false, Origin::Convertible(Tool::Atlas)),
    ("+micrate", false, Origin::Other("micrate")),
    ("create above / drop below", false, Origin::Other("tern")),
    ("rambler up", true, Origin::Other("rambler")),
    ("rambler down", true, Origin::Other("rambler")),
    ("up migration", true, Origin::Other("node-pg-migrate")),
    ("down migration", true, Origin::Other("node-pg-migrate")),
    ("==== up ====", true, Origin::Other("shmig")),
    ("==== down ====", true, Origin::Other("shmig")),
    ("liquibase formatted sql", false, Origin::Other("Liquibase")),
];

/// A marker of another tool in a file.
pub(super) struct Marker<'a> {
    /// The 1-based line.
    pub(super) line: usize,
    /// The comment.
    pub(super) text: &'a str,
    /// The tool.
    pub(super) origin: &'static Origin,
}

/// Finds the first marker of another tool.
pub(super) fn marker(sql: &str) -> Option<Marker<'_>> {
    comments(sql).find_map(|(at, comment)| {
        let text = comment.trim_start_matches('-').trim().to_ascii_lowercase();
        let matches = |(start, alone, _): &&(&str, bool, Origin)| {
            text.strip_prefix(start).is_some_and(|rest| match alone {
                true => rest.trim_matches('-').trim().is_empty(),
                false => !rest.starts_with(|next: char| next.is_alphanumeric()),
            })
        };
        let (.., origin) = MARKERS.iter().find(matches)?;
        let line = 1 + sql[..at].matches('\n').count();
        Some(Marker { line, text: comment.trim_end(), origin })
    })
}

/// Recognizes the file names of other tools.
pub(super) fn origin_of_file(name: &str) -> Option<Origin> {
    let number = |text: &str| text.trim_start_matches(|next: char| next.is_ascii_digit()).len();
    if let Some(rest) = name.strip_prefix(['V', 'U', 'B', 'R']) {
        let version = rest.split("__").next().unwrap_or_default();
        let is_version = version.bytes().all(|byte| byte.is_ascii_digit() || b"._".contains(&byte));
        let is_script = name.ends_with(".sql") || name.ends_with(".sql.conf");
        if rest.contains("__") && is_version && is_script {
            return Some(Origin::FlywayOrRefinery);
        }
    }
    let rest = &name[name.len() - number(name)..];
    if rest.len() < name.len() && (rest.starts_with(".do.") || rest.starts_with(".undo.")) {
        return Some(Origin::Other("postgrator"));
    }
    None
}

/// Recognizes the folders of other tools.
pub(super) fn origin_of_folder(folder: &Path) -> Option<Origin> {
    if folder.join("up.sql").is_file() {
        Some(Origin::Convertible(Tool::Diesel))
    } else if folder.join("migration.sql").is_file() {
        Some(Origin::Other("Prisma or Drizzle"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_of_other_tools_are_recognized_in_comments_only() {
        for (sql, line, tool) in [
            ("-- +goose Up\nSELECT 1;", 1, "goose"),
            ("SELECT 1;\n--+goose Down", 2, "goose"),
            ("-- +migrate Up notransaction", 1, "sql-migrate"),
            ("-- migrate:up transaction:false", 1, "dbmate"),
            ("-- atlas:txmode none\n\nSELECT 1;", 1, "Atlas"),
            ("SELECT 1;\n\n---- create above / drop below ----\n", 3, "tern"),
            ("-- rambler down", 1, "rambler"),
            ("-- Down Migration\n", 1, "node-pg-migrate"),
            ("-- ==== DOWN ====\n", 1, "shmig"),
            ("--liquibase formatted sql\n", 1, "Liquibase"),
        ] {
            let found = marker(sql).map(|marker| (marker.line, marker.origin.to_string()));
            assert_eq!(found, Some((line, tool.to_owned())), "{sql}");
        }
        for sql in [
            "SELECT '\n-- +goose Up\n';",
            "-- up migrations run first",
            "-- down migration of the table",
            "-- atlas:nolint destructive",
            "-- migrate:upper",
            "-- no-transaction",
        ] {
            assert!(marker(sql).is_none(), "{sql}");
        }
    }

    #[test]
    fn file_names_of_other_tools_are_recognized() {
        for name in ["V1__init.sql", "V1.2_3__a.sql", "U7__a.sql", "R__view.sql", "V1__a.sql.conf"]
        {
            assert_eq!(origin_of_file(name), Some(Origin::FlywayOrRefinery), "{name}");
        }
        assert_eq!(origin_of_file("001.undo.a.sql"), Some(Origin::Other("postgrator")));
        for name in ["001-init.sql", "Views__a.sql", "V1_init.sql", "V1__a.rs", ".do.sql"] {
            assert_eq!(origin_of_file(name), None, "{name}");
        }
    }
}
