//! Detects statements that change which relations the names in later statements denote.

use squawk_lexer::{TokenKind, tokenize};

use super::statement::RelationName;

/// How a statement changes which relation a name denotes. Creating and dropping relations is left to
/// `migrate plan`.
#[derive(Debug, PartialEq)]
pub enum NameChange {
    /// Sets `search_path`.
    SearchPath,
    /// Creates this schema.
    CreateSchema(String),
    /// Drops these schemas.
    DropSchemas(Vec<String>),
    /// Renames a relation. The new name is in the same schema.
    Rename(RelationName, String),
    /// Moves a relation to this schema.
    SetSchema(RelationName, String),
}

/// Returns how a statement changes names. `None` if it does not.
pub fn name_change(statement: &str) -> Option<NameChange> {
    let mut words = Words::new(statement);
    if words.accept("set") {
        let _ = words.accept("session") || words.accept("local");
        let is_path = words.accept("search_path") || words.accept("schema");
        return is_path.then_some(NameChange::SearchPath);
    }
    if words.accept("reset") {
        let is_path = words.accept("search_path") || words.accept("all");
        return is_path.then_some(NameChange::SearchPath);
    }
    if words.accept("select") {
        let _ = words.accept("pg_catalog") && words.accept(".");
        let is_path = ["set_config", "(", "'search_path'", ","].map(|word| words.accept(word));
        // The value must be a literal: planning must not call other functions.
        let is_path = is_path == [true; 4] && words.is_string() && words.accept(",");
        let is_local = words.accept("true") || words.accept("false");
        let is_complete = words.accept(")") && words.is_end();
        return (is_path && is_local && is_complete).then_some(NameChange::SearchPath);
    }
    if words.accept("create") {
        let is_schema = words.accept("schema");
        let _ = words.accept("if") && words.accept("not") && words.accept("exists");
        let name = words.identifier().filter(|_| is_schema)?;
        return Some(NameChange::CreateSchema(name));
    }
    if words.accept("drop") {
        let is_schema = words.accept("schema");
        let _ = words.accept("if") && words.accept("exists");
        let mut names = vec![words.identifier().filter(|_| is_schema)?];
        while words.accept(",") {
            names.push(words.identifier()?);
        }
        return Some(NameChange::DropSchemas(names));
    }
    if !words.accept("alter") {
        return None;
    }
    let _ = words.accept("materialized") || words.accept("foreign");
    if !["table", "view", "index", "sequence"].iter().any(|kind| words.accept(kind)) {
        return None;
    }
    let _ = words.accept("if") && words.accept("exists");
    let _ = words.accept("only");
    let name = words.relation_name()?;
    let _ = words.accept("*");
    if words.accept("rename") {
        let new = words.accept("to").then(|| words.identifier())?;
        return Some(NameChange::Rename(name, new?));
    }
    let schema = (words.accept("set") && words.accept("schema")).then(|| words.identifier())?;
    Some(NameChange::SetSchema(name, schema?))
}

/// Returns whether a `CREATE` does nothing if its object exists.
pub fn is_create_if_not_exists(statement: &str) -> bool {
    let Words { words, .. } = Words::new(statement);
    let header = words.iter().take_while(|word| *word != "(" && *word != "as");
    let header: Vec<_> = header.map(String::as_str).collect();
    header.first() == Some(&"create")
        && header.windows(3).any(|words| words == ["if", "not", "exists"])
}

/// Returns whether a statement creates an index.
pub fn is_create_index(statement: &str) -> bool {
    let mut words = Words::new(statement);
    let is_create = words.accept("create");
    let _ = words.accept("unique");
    is_create && words.accept("index")
}

/// Returns whether a `CREATE` creates a temporary relation.
pub fn is_create_temporary(statement: &str) -> bool {
    let Words { words, .. } = Words::new(statement);
    let header: Vec<_> = words.iter().take(3).map(String::as_str).collect();
    header.first() == Some(&"create")
        && header.iter().any(|word| matches!(*word, "temp" | "temporary"))
}

/// Returns whether a statement about a table applies to the tables that inherit from it.
pub fn includes_children(statement: &str) -> bool {
    let Words { words, .. } = Words::new(statement);
    let verb = words.first().map(String::as_str).unwrap_or_default();
    matches!(verb, "alter" | "truncate" | "update" | "delete" | "select" | "lock")
        && !words.iter().any(|word| word == "only")
}

/// Parses the value of `search_path`: schemas, and `$user` in place of the role.
pub fn parse_search_path(value: &str) -> Vec<String> {
    let mut words = Words::new(value);
    let mut path = Vec::new();
    while !words.is_end() {
        match words.identifier() {
            Some(schema) => path.push(schema),
            None => words.next += 1,
        }
    }
    path
}

/// The words of a statement: keywords and unquoted identifiers in lower case, other tokens as
/// written, without white space and comments.
struct Words {
    words: Vec<String>,
    next: usize,
}

impl Words {
    fn new(statement: &str) -> Words {
        let mut start = 0;
        let words = tokenize(statement).filter_map(|token| {
            let text = &statement[start..start + token.len as usize];
            start += text.len();
            match token.kind {
                TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                    None
                }
                TokenKind::Ident => Some(text.to_lowercase()),
                _ => Some(text.to_owned()),
            }
        });
        Words { words: words.collect(), next: 0 }
    }

    fn accept(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.next).is_some_and(|next| next == word);
        self.next += usize::from(is_next);
        is_next
    }

    fn is_string(&mut self) -> bool {
        let is_next = self.words.get(self.next).is_some_and(|next| next.starts_with('\''));
        self.next += usize::from(is_next);
        is_next
    }

    fn is_end(&self) -> bool {
        self.next >= self.words.len()
    }

    fn identifier(&mut self) -> Option<String> {
        let name = RelationName::parse(self.words.get(self.next)?)?;
        self.next += 1;
        Some(name.name)
    }

    fn relation_name(&mut self) -> Option<RelationName> {
        let first = self.identifier()?;
        if !self.accept(".") {
            return Some(RelationName { schema: None, name: first });
        }
        Some(RelationName { schema: Some(first), name: self.identifier()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_change_names_are_recognized() {
        for sql in [
            "SET search_path = a, public",
            "set local search_path to a",
            "SET SCHEMA 'a'",
            "RESET search_path",
            "RESET ALL",
            "SELECT pg_catalog.set_config('search_path', '', false)",
        ] {
            assert_eq!(name_change(sql), Some(NameChange::SearchPath), "{sql}");
        }
        let name = |schema: &str| RelationName { schema: Some(schema.into()), name: "T".into() };
        for (sql, expected) in [
            ("CREATE SCHEMA IF NOT EXISTS a", NameChange::CreateSchema("a".into())),
            ("DROP SCHEMA a, \"B\" CASCADE", NameChange::DropSchemas(vec!["a".into(), "B".into()])),
            (
                "ALTER TABLE IF EXISTS ONLY S.\"T\" RENAME TO u",
                NameChange::Rename(name("s"), "u".into()),
            ),
            (
                "ALTER MATERIALIZED VIEW s.\"T\" SET SCHEMA u",
                NameChange::SetSchema(name("s"), "u".into()),
            ),
        ] {
            assert_eq!(name_change(sql), Some(expected), "{sql}");
        }
        for sql in [
            "SET lock_timeout = 1",
            "SELECT set_config('search_path', s.f(), false)",
            "SELECT set_config('search_path', '', false), s.f()",
            "ALTER TABLE s.t RENAME COLUMN a TO b",
            "ALTER TABLE s.t ADD COLUMN a int",
            "CREATE TABLE s.t ()",
            "DROP TABLE s.t",
        ] {
            assert_eq!(name_change(sql), None, "{sql}");
        }
    }

    #[test]
    fn search_path_is_split_into_schemas() {
        assert_eq!(parse_search_path("\"$user\", public, \"A,b\""), ["$user", "public", "A,b"]);
        assert_eq!(parse_search_path("\"\""), [""]);
        assert!(parse_search_path("").is_empty());
    }

    #[test]
    fn if_not_exists_counts_only_before_the_definition() {
        assert!(is_create_if_not_exists(
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
        ));
        assert!(is_create_if_not_exists("create table if /**/ not exists t ()"));
        assert!(!is_create_if_not_exists("CREATE TABLE t (a int)"));
        assert!(!is_create_if_not_exists("ALTER TABLE t ADD COLUMN IF NOT EXISTS a int"));
    }
}
