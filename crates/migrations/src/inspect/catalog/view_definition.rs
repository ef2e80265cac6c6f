//! Converts the definition of a view from the format of PostgreSQL 15 to that of PostgreSQL 16.

use squawk_lexer::{TokenKind, tokenize};

/// The keywords that end the FROM clause of a query.
const CLAUSES: [&str; 8] =
    ["WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH"];

/// A token other than white space.
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    start: usize,
    /// The number of enclosing parentheses.
    depth: usize,
    /// Whether the token is in a subquery.
    is_inner: bool,
}

/// Removes the table qualifiers of columns from a query with a single table. Since version 16,
/// `pg_get_viewdef` omits them there, but still writes them in subqueries.
pub(super) fn strip_table_qualifiers(view: &str) -> String {
    let tokens = tokens(view);
    let Some((from, to, table)) = single_table(&tokens) else { return view.to_owned() };
    let mut text = String::new();
    let mut copied = 0;
    for at in (0..from).chain(to..tokens.len()) {
        if !tokens[at].is_inner && tokens[at].text == table && is_qualifier(&tokens, at) {
            text += &view[copied..tokens[at].start];
            copied = tokens[at + 2].start;
        }
    }
    text + &view[copied..]
}

fn tokens(view: &str) -> Vec<Token<'_>> {
    let (mut start, mut tokens) = (0, Vec::new());
    for token in tokenize(view) {
        let text = &view[start..start + token.len as usize];
        if token.kind != TokenKind::Whitespace {
            tokens.push(Token { kind: token.kind, text, start, depth: 0, is_inner: false });
        }
        start += text.len();
    }
    // For each open parenthesis, whether it contains a subquery.
    let mut open: Vec<bool> = Vec::new();
    for at in 0..tokens.len() {
        if tokens[at].kind == TokenKind::CloseParen {
            open.pop();
        }
        (tokens[at].depth, tokens[at].is_inner) = (open.len(), open.contains(&true));
        if tokens[at].kind == TokenKind::OpenParen {
            let next = tokens.get(at + 1).map(|next| next.text);
            open.push(matches!(next, Some("SELECT" | "WITH" | "VALUES")));
        }
    }
    tokens
}

/// Returns the bounds of the FROM clause and the name of its table, if there is exactly one.
fn single_table<'a>(tokens: &[Token<'a>]) -> Option<(usize, usize, &'a str)> {
    let outer = |word: &'static str| move |token: &Token| token.depth == 0 && token.text == word;
    if ["UNION", "INTERSECT", "EXCEPT"].iter().any(|word| tokens.iter().any(outer(word))) {
        return None;
    }
    let from = tokens.iter().position(outer("FROM"))?;
    let ends = |token: &Token| {
        token.depth == 0 && (CLAUSES.contains(&token.text) || token.kind == TokenKind::Semi)
    };
    let to = from + tokens[from..].iter().position(ends).unwrap_or(tokens.len() - from);
    let list = &tokens[from..to];
    let is_second = |token: &Token| {
        token.text == "JOIN" && !token.is_inner || token.text == "," && token.depth == 0
    };
    if list.iter().any(is_second) {
        return None;
    }
    let sample = list.iter().position(outer("TABLESAMPLE")).unwrap_or(list.len());
    let mut names = list[..sample].iter().rev();
    let name = names.find(|token| token.depth == 0 && is_name(token))?;
    Some((from, to, name.text))
}

/// Returns whether the table name at this position qualifies a column.
fn is_qualifier(tokens: &[Token], at: usize) -> bool {
    let next = |by: usize| tokens.get(at + by);
    let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
    next(1).is_some_and(|token| token.kind == TokenKind::Dot)
        && next(2).is_some_and(is_name)
        // It could also be the schema of a function, a type or a collation.
        && next(3).is_none_or(|token| token.kind != TokenKind::OpenParen)
        && !matches!(before, "." | ":" | "::" | "COLLATE")
}

fn is_name(token: &Token) -> bool {
    matches!(token.kind, TokenKind::Ident | TokenKind::QuotedIdent { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualifiers_of_the_single_table_are_removed() {
        let old = r#" SELECT entry.word AS w,
    lower(entry."Word") AS l,
    (entry.version + 1) AS n,
    entry.* AS all_of_it,
    ( SELECT max(other.id) AS max
           FROM katas.other
          WHERE (other.id = entry.id)) AS m
   FROM katas.entry
  WHERE ((entry.word)::katas.name = 'entry.word'::text COLLATE entry.de)
  GROUP BY entry.word;"#;
        let new = r#" SELECT word AS w,
    lower("Word") AS l,
    (version + 1) AS n,
    entry.* AS all_of_it,
    ( SELECT max(other.id) AS max
           FROM katas.other
          WHERE (other.id = entry.id)) AS m
   FROM katas.entry
  WHERE ((word)::katas.name = 'entry.word'::text COLLATE entry.de)
  GROUP BY word;"#;
        assert_eq!(strip_table_qualifiers(old), new);
    }

    #[test]
    fn alias_counts_as_the_table_name() {
        let old = "SELECT x.a FROM katas.f(1, 2) x(a, b) ORDER BY x.b;";
        assert_eq!(strip_table_qualifiers(old), "SELECT a FROM katas.f(1, 2) x(a, b) ORDER BY b;");
        let old = "SELECT s.a FROM ( SELECT t.a FROM katas.t) s;";
        assert_eq!(strip_table_qualifiers(old), "SELECT a FROM ( SELECT t.a FROM katas.t) s;");
    }

    #[test]
    fn qualifiers_of_several_tables_are_kept() {
        for view in [
            "SELECT a.x FROM (katas.a JOIN katas.b ON ((a.x = b.x)));",
            "SELECT a.x FROM katas.a, katas.b;",
            "SELECT a.x FROM katas.a UNION SELECT b.x FROM katas.b;",
            "SELECT 1 AS one;",
        ] {
            assert_eq!(strip_table_qualifiers(view), view);
        }
    }
}
