//! Splits SQL into statements, and classifies them by their leading keywords.

use std::iter;
use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

/// The maximum length of an identifier: PostgreSQL's `NAMEDATALEN` less one. PostgreSQL truncates
/// longer ones.
const MAX_IDENTIFIER_BYTES: usize = 63;

/// A statement and its position in a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Statement<'a> {
    /// The text from the first token to the last, without the semicolon and surrounding comments.
    pub text: &'a str,
    /// The 1-based line of the first token.
    pub line: usize,
}

/// The kind of a statement, as far as the runner has to know it in advance.
#[derive(Debug, PartialEq)]
pub enum StatementKind {
    /// Begins, ends or prepares a transaction. Does not include `SAVEPOINT`, `RELEASE` and
    /// `ROLLBACK TO`, which stay within a transaction.
    TransactionControl,
    /// Changes a setting of the session: `SET`, `RESET`, `DISCARD`. Does not include
    /// `SET TRANSACTION` and `SET CONSTRAINTS`, whose effect ends with the transaction.
    SessionSetting,
    /// `DISCARD ALL`, which also releases the advisory locks of the session.
    DiscardAll,
    /// `SET LOCAL`, which changes a setting until the transaction ends.
    LocalSetting,
    /// `CREATE INDEX CONCURRENTLY`. If it fails, an invalid index remains.
    CreateIndexConcurrently {
        /// The name of the index, which is in the schema of the table. `None` if PostgreSQL chooses
        /// the name, or if it is a `U&` identifier. Such an index cannot be identified later.
        index: Option<String>,
        /// The table.
        table: RelationName,
    },
    /// `REINDEX CONCURRENTLY`. If it fails, invalid indexes remain whose names end with `_ccnew` or
    /// `_ccold`.
    ReindexConcurrently(ReindexTarget),
    /// `DROP INDEX CONCURRENTLY`. If it fails, the index remains and is invalid.
    DropIndexConcurrently(RelationName),
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`. If it is interrupted, the partition is
    /// pending detach.
    DetachConcurrently {
        /// The partitioned table.
        table: RelationName,
        /// The partition.
        partition: RelationName,
    },
    /// Creates an object outside of schemas.
    CreateGlobal(GlobalObject, String),
    /// Drops an object outside of schemas.
    DropGlobal(GlobalObject, String),
    /// Any other statement that PostgreSQL rejects in a transaction, such as `VACUUM`.
    NotInTransaction,
    /// `COPY` from standard input or to standard output, which needs a client.
    CopyWithClient,
    /// A backslash command, which psql runs instead of the server.
    PsqlCommand,
    /// Any other statement.
    Other,
}

impl StatementKind {
    /// Returns whether PostgreSQL rejects the statement in a transaction.
    pub fn forbids_transaction(&self) -> bool {
        matches!(
            self,
            StatementKind::CreateIndexConcurrently { .. }
                | StatementKind::ReindexConcurrently(_)
                | StatementKind::DropIndexConcurrently(_)
                | StatementKind::DetachConcurrently { .. }
                | StatementKind::CreateGlobal(..)
                // Not a subscription, which PostgreSQL rejects only if it has a replication slot.
                | StatementKind::DropGlobal(GlobalObject::Database | GlobalObject::Tablespace, _)
                | StatementKind::NotInTransaction
        )
    }
}

/// An object outside of schemas that is created and dropped outside of transactions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GlobalObject {
    /// `CREATE` or `DROP DATABASE`.
    Database,
    /// `CREATE` or `DROP SUBSCRIPTION`.
    Subscription,
    /// `CREATE` or `DROP TABLESPACE`.
    Tablespace,
}

/// The target of `REINDEX`.
#[derive(Debug, PartialEq)]
pub enum ReindexTarget {
    /// One index.
    Index(RelationName),
    /// All indexes of a table.
    Table(RelationName),
    /// All indexes of a schema or the database.
    Many,
}

/// The name of a relation as stored in the catalog: unquoted, and folded to lower case unless it
/// was quoted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RelationName {
    /// The schema, if the name is qualified.
    pub schema: Option<String>,
    /// The unqualified name.
    pub name: String,
}

impl RelationName {
    /// Returns the name as written in SQL, with quotes.
    pub fn quoted(&self) -> String {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }

    /// Parses a name as written in SQL. Returns `None` for invalid names and `U&` identifiers.
    pub fn parse(text: &str) -> Option<RelationName> {
        let mut parser = Parser::new(text);
        parser.relation_name().filter(|_| parser.next == parser.tokens.len())
    }
}

/// Splits SQL at the same places as psql (`src/fe_utils/psqlscan.l`): at semicolons outside of
/// parentheses and of the `BEGIN ATOMIC ... END` body of a routine. Unlike psql, a body may use `END` and
/// `CASE` as names, as PostgreSQL does. Empty statements are omitted.
/// If the text ends within a string, a comment or parentheses, the last statement extends to the
/// end, and PostgreSQL reports the syntax error.
///
/// Omits `\restrict` and `\unrestrict`, which `pg_dump` writes and which affect only psql. Any
/// other line that begins with a backslash where a statement may begin is a statement. The rows
/// after `COPY ... FROM stdin` are omitted.
pub fn split(sql: &str) -> Vec<Statement<'_>> {
    scan(sql).0
}

/// Replaces the lines for psql, which SQL parsers do not understand, with spaces: backslash commands
/// and the rows after `COPY ... FROM stdin`.
pub fn without_psql_lines(sql: &str) -> String {
    let mut text = sql.to_owned();
    for range in scan(sql).1 {
        let blank: String =
            sql[range.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        text.replace_range(range, &blank);
    }
    text
}

/// Returns whether the last statement ends with a semicolon, or there is none.
pub fn is_terminated(sql: &str) -> bool {
    tokens(sql).last().is_none_or(|token| token.kind == TokenKind::Semi)
}

/// Returns the statements, and the ranges of lines for psql.
fn scan(sql: &str) -> (Vec<Statement<'_>>, Vec<Range<usize>>) {
    let (mut statements, mut for_psql) = (Vec::new(), Vec::new());
    let (mut line, mut counted) = (1, 0);
    let mut begin = 0;
    // One pass for each part between lines for psql, where the lexer would lose track of quotes.
    'parts: loop {
        let mut current: Option<StatementScanner> = None;
        for mut token in tokens(&sql[begin..]) {
            token.start += begin;
            if token.kind == TokenKind::Semi
                && current.as_ref().is_none_or(StatementScanner::is_complete)
            {
                let Some(scan) = current.take() else { continue };
                let statement = scan.statement(sql);
                statements.push(statement);
                if statement.reads_rows_from_client() {
                    let rows = rows(sql, token.start + 1);
                    begin = rows.end;
                    for_psql.push(rows);
                    continue 'parts;
                }
                continue;
            }
            let is_command = current.is_none() && token.text == "\\";
            let scan = current.get_or_insert_with(|| {
                line += sql[counted..token.start].matches('\n').count();
                counted = token.start;
                StatementScanner::new(line, token.start)
            });
            if is_command {
                let text = sql[token.start..].lines().next().unwrap_or_default();
                let range = token.start..token.start + text.len();
                let name = text.split_whitespace().next().unwrap_or_default();
                if !["\\restrict", "\\unrestrict"].contains(&name) {
                    statements.push(Statement { text: text.trim_end(), line: scan.line });
                }
                begin = range.end;
                for_psql.push(range);
                continue 'parts;
            }
            scan.push(&token);
        }
        statements.extend(current.map(|scan| scan.statement(sql)));
        return (statements, for_psql);
    }
}

/// Returns the range of the rows after `COPY ... FROM stdin;`, which ends at `from`: the following
/// lines up to `\.`, or to the end of the text.
fn rows(sql: &str, from: usize) -> Range<usize> {
    let start = sql[from..].find('\n').map_or(sql.len(), |end| from + end + 1);
    let mut end = start;
    for row in sql[start..].split_inclusive('\n') {
        end += row.len();
        if row.trim_end() == "\\." {
            break;
        }
    }
    start..end
}

impl Statement<'_> {
    /// Returns the kind of the statement.
    pub fn kind(&self) -> StatementKind {
        Parser::new(self.text).kind().unwrap_or(StatementKind::Other)
    }

    /// Returns whether this is `COPY ... FROM stdin`.
    fn reads_rows_from_client(&self) -> bool {
        let tokens = Parser::new(self.text).tokens;
        tokens.first().is_some_and(|token| token.is("copy"))
            && tokens.windows(2).any(|pair| pair[0].is("from") && pair[1].is("stdin"))
    }
}

/// Returns the comments from `--` to the end of their line, with their offsets.
pub fn comments(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    tokenize(sql).filter_map(move |token| {
        let start = end;
        end += token.len as usize;
        (token.kind == TokenKind::LineComment).then(|| (start, &sql[start..end]))
    })
}

/// A token other than white space or a comment.
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    /// Returns whether this is the keyword `word`, or an unquoted identifier of the same name.
    fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(word)
    }
}

/// Returns the tokens without white space and comments. An unterminated comment is kept as a token,
/// because PostgreSQL rejects it.
fn tokens(sql: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    // A string on a later line continues a preceding E'...' and has escapes too.
    let (mut after_escapes, mut on_later_line) = (false, false);
    iter::from_fn(move || {
        loop {
            let rest = &sql[start..];
            let mut token = tokenize(rest).next()?;
            if after_escapes && on_later_line && rest.starts_with('\'') {
                token = tokenize(&format!("E{rest}")).next()?;
                token.len -= 1;
            }
            let text = &rest[..token.len as usize];
            let from = start;
            start += text.len();
            match token.kind {
                TokenKind::Whitespace => on_later_line |= text.contains(['\n', '\r']),
                TokenKind::LineComment => {}
                TokenKind::BlockComment { terminated: true } => after_escapes = false,
                kind => {
                    after_escapes =
                        matches!(kind, TokenKind::Literal { kind: LiteralKind::EscStr { .. } });
                    on_later_line = false;
                    return Some(Token { kind, text, start: from });
                }
            }
        }
    })
}

/// The state of the search for the end of a statement.
struct StatementScanner {
    line: usize,
    start: usize,
    end: usize,
    parentheses: usize,
    header: RoutineHeader,
    body: Body,
    previous: Previous,
}

/// The `BEGIN ATOMIC ... END` body of a routine.
#[derive(Clone, Copy, PartialEq)]
enum Body {
    None,
    /// A body without its `END`, and the number of its `CASE` expressions without theirs.
    Open {
        cases: usize,
    },
}

/// What the previous token says about a keyword that follows it.
#[derive(Clone, Copy, PartialEq)]
enum Previous {
    /// `BEGIN`, after which `ATOMIC` opens a body.
    Begin,
    /// The beginning of a body or a semicolon, after which `END` closes the body.
    Boundary,
    /// `AS` or a period, after which a keyword is a name.
    Prefix,
    /// `CASE`, which is an expression, or the label of a column if the column ends here.
    Case,
    Other,
}

/// The reserved words that may follow a column in a `SELECT` or `RETURNING` list. None of them begins an
/// expression.
const AFTER_COLUMN: [&str; 14] = [
    "except",
    "fetch",
    "for",
    "from",
    "group",
    "having",
    "intersect",
    "into",
    "limit",
    "offset",
    "order",
    "union",
    "where",
    "window",
];

/// The progress in recognizing `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}`.
#[derive(Clone, Copy, PartialEq)]
enum RoutineHeader {
    Nothing,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Other,
}

impl StatementScanner {
    fn new(line: usize, start: usize) -> StatementScanner {
        StatementScanner {
            line,
            start,
            end: start,
            parentheses: 0,
            header: RoutineHeader::Nothing,
            body: Body::None,
            previous: Previous::Other,
        }
    }

    fn push(&mut self, token: &Token<'_>) {
        self.end = token.start + token.text.len();
        match token.kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        if self.header == RoutineHeader::Routine {
            self.previous = self.push_to_routine(token);
        }
        self.header = match self.header {
            RoutineHeader::Nothing if token.is("create") => RoutineHeader::Create,
            RoutineHeader::Create if token.is("or") => RoutineHeader::CreateOr,
            RoutineHeader::CreateOr if token.is("replace") => RoutineHeader::CreateOrReplace,
            RoutineHeader::Create | RoutineHeader::CreateOrReplace
                if token.is("function") || token.is("procedure") =>
            {
                RoutineHeader::Routine
            }
            RoutineHeader::Routine => RoutineHeader::Routine,
            _ => RoutineHeader::Other,
        };
    }

    /// Opens and closes the body. Returns what the token says about the next one.
    ///
    /// psql counts every `BEGIN`, `CASE` and `END`, and therefore mishandles names that equal them. In
    /// PostgreSQL's grammar (`gram.y`, `routine_body_stmt_list`), every statement of a body ends with a
    /// semicolon, so any other `END` closes a `CASE` or is the label of a column (`BareColLabel`).
    fn push_to_routine(&mut self, token: &Token<'_>) -> Previous {
        if let Body::Open { cases } = &mut self.body
            && self.previous == Previous::Case
            && !ends_column(token)
        {
            *cases += 1;
        }
        let is_name = self.parentheses > 0 || self.previous == Previous::Prefix;
        match (&mut self.body, self.previous) {
            _ if token.kind == TokenKind::Dot => Previous::Prefix,
            _ if token.kind == TokenKind::Semi => Previous::Boundary,
            _ if is_name => Previous::Other,
            _ if token.is("as") => Previous::Prefix,
            (Body::None, Previous::Begin) if token.is("atomic") => {
                self.body = Body::Open { cases: 0 };
                Previous::Boundary
            }
            (Body::None, _) if token.is("begin") => Previous::Begin,
            (Body::Open { .. }, _) if token.is("case") => Previous::Case,
            (Body::Open { cases }, _) if token.is("end") && *cases > 0 => {
                *cases -= 1;
                Previous::Other
            }
            (Body::Open { .. }, Previous::Boundary) if token.is("end") => {
                self.body = Body::None;
                Previous::Other
            }
            _ => Previous::Other,
        }
    }

    fn is_complete(&self) -> bool {
        self.parentheses == 0 && self.body == Body::None
    }

    fn statement<'a>(&self, sql: &'a str) -> Statement<'a> {
        Statement { text: &sql[self.start..self.end], line: self.line }
    }
}

/// Returns whether a column of a list cannot go on with this token.
fn ends_column(token: &Token<'_>) -> bool {
    matches!(token.kind, TokenKind::Comma | TokenKind::Semi)
        || AFTER_COLUMN.iter().any(|word| token.is(word))
}

/// A parser for the beginning of a statement.
struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        Parser { tokens: tokens(text).collect(), next: 0 }
    }

    /// Advances past the next token if it is `word`.
    fn accept(&mut self, word: &str) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.is(word));
        self.next += usize::from(is_next);
        is_next
    }

    /// Advances past the next token if it is one of `words`.
    fn accept_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.accept(word))
    }

    /// Advances past `words` if they follow in this order.
    fn accept_all(&mut self, words: &[&str]) -> bool {
        let before = self.next;
        let are_next = words.iter().all(|word| self.accept(word));
        if !are_next {
            self.next = before;
        }
        are_next
    }

    fn accept_kind(&mut self, kind: TokenKind) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.kind == kind);
        self.next += usize::from(is_next);
        is_next
    }

    fn identifier(&mut self) -> Option<String> {
        let name = identifier(self.tokens.get(self.next)?)?;
        self.next += 1;
        Some(name)
    }

    fn relation_name(&mut self) -> Option<RelationName> {
        let first = self.identifier()?;
        if !self.accept_kind(TokenKind::Dot) {
            return Some(RelationName { schema: None, name: first });
        }
        Some(RelationName { schema: Some(first), name: self.identifier()? })
    }

    /// Returns `None` for [`StatementKind::Other`] and for syntax errors.
    fn kind(&mut self) -> Option<StatementKind> {
        if self.tokens.first().is_some_and(|token| token.text == "\\") {
            return Some(StatementKind::PsqlCommand);
        }
        if self.accept_any(&["begin", "start", "commit", "end", "abort"]) {
            return Some(StatementKind::TransactionControl);
        }
        if self.accept("rollback") {
            let _ = self.accept_any(&["work", "transaction"]);
            let kind = if self.accept("to") {
                StatementKind::Other
            } else {
                StatementKind::TransactionControl
            };
            return Some(kind);
        }
        if self.accept_all(&["prepare", "transaction"]) {
            return Some(StatementKind::TransactionControl);
        }
        if self.accept_all(&["discard", "all"]) {
            return Some(StatementKind::DiscardAll);
        }
        if self.accept_any(&["reset", "discard"]) {
            return Some(StatementKind::SessionSetting);
        }
        if self.accept("set") {
            return Some(if self.accept_any(&["transaction", "constraints"]) {
                StatementKind::Other
            } else if self.accept("local") {
                StatementKind::LocalSetting
            } else {
                StatementKind::SessionSetting
            });
        }
        if self.accept("create") {
            return self.create();
        }
        if self.accept("alter") {
            return self.alter();
        }
        if self.accept_all(&["drop", "index", "concurrently"]) {
            let _ = self.accept_all(&["if", "exists"]);
            return Some(StatementKind::DropIndexConcurrently(self.relation_name()?));
        }
        if self.accept("reindex") {
            return self.reindex();
        }
        if self.accept("copy") {
            let has_pair = |(first, second)| {
                self.tokens.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second))
            };
            let with_client = [("from", "stdin"), ("to", "stdout")].into_iter().any(has_pair);
            return with_client.then_some(StatementKind::CopyWithClient);
        }
        if self.accept("drop") {
            let object = self.global_object()?;
            let _ = self.accept_all(&["if", "exists"]);
            return Some(StatementKind::DropGlobal(object, self.identifier()?));
        }
        self.is_other_forbidden_in_transaction().then_some(StatementKind::NotInTransaction)
    }

    fn global_object(&mut self) -> Option<GlobalObject> {
        if self.accept("database") {
            Some(GlobalObject::Database)
        } else if self.accept("subscription") {
            Some(GlobalObject::Subscription)
        } else {
            self.accept("tablespace").then_some(GlobalObject::Tablespace)
        }
    }

    fn alter(&mut self) -> Option<StatementKind> {
        if self.accept("system") {
            return Some(StatementKind::NotInTransaction);
        }
        let is_concurrent = self.tokens.last().is_some_and(|token| token.is("concurrently"));
        if !self.accept("table") || !is_concurrent {
            return None;
        }
        let _ = self.accept_all(&["if", "exists"]);
        let _ = self.accept("only");
        let table = self.relation_name()?;
        let partition =
            self.accept_all(&["detach", "partition"]).then(|| self.relation_name())??;
        Some(StatementKind::DetachConcurrently { table, partition })
    }

    fn create(&mut self) -> Option<StatementKind> {
        if let Some(object) = self.global_object() {
            // A `U&` identifier has no known name.
            let name = self.identifier();
            return Some(match name {
                Some(name) => StatementKind::CreateGlobal(object, name),
                None => StatementKind::NotInTransaction,
            });
        }
        let _ = self.accept("unique");
        if !self.accept_all(&["index", "concurrently"]) {
            return None;
        }
        let _ = self.accept_all(&["if", "not", "exists"]);
        let mut index = None;
        if !self.accept("on") {
            index = self.identifier();
            // A `U&` identifier is one token too.
            self.next += usize::from(index.is_none());
            if !self.accept("on") {
                return None;
            }
        }
        let _ = self.accept("only");
        Some(StatementKind::CreateIndexConcurrently { index, table: self.relation_name()? })
    }

    fn reindex(&mut self) -> Option<StatementKind> {
        let mut concurrently = false;
        if self.accept_kind(TokenKind::OpenParen) {
            while !self.accept_kind(TokenKind::CloseParen) {
                if self.accept("concurrently") {
                    concurrently = !self.is_off();
                } else if self.next < self.tokens.len() {
                    self.next += 1;
                } else {
                    return None;
                }
            }
        }
        let index = self.accept("index");
        let table = !index && self.accept("table");
        let many = !index && !table && self.accept_any(&["schema", "database", "system"]);
        concurrently |= self.accept("concurrently");
        if !concurrently {
            return many.then_some(StatementKind::NotInTransaction);
        }
        Some(StatementKind::ReindexConcurrently(if index {
            ReindexTarget::Index(self.relation_name()?)
        } else if table {
            ReindexTarget::Table(self.relation_name()?)
        } else {
            ReindexTarget::Many
        }))
    }

    /// Returns whether the next token is the value `off` of an option, without advancing.
    fn is_off(&self) -> bool {
        self.tokens.get(self.next).is_some_and(|value| {
            value.is("off") || value.is("false") || ["0", "'off'", "'false'"].contains(&value.text)
        })
    }

    /// Returns whether this is another statement that calls `PreventInTransactionBlock` in
    /// PostgreSQL's source, as far as its text reveals.
    fn is_other_forbidden_in_transaction(&mut self) -> bool {
        if self.accept("vacuum") {
            return true;
        }
        // CLUSTER without a table processes all tables.
        if self.accept("cluster") {
            let _ = self.accept("verbose");
            return self.next == self.tokens.len();
        }
        false
    }
}

/// Returns the name that a token denotes, if it is an identifier.
fn identifier(token: &Token<'_>) -> Option<String> {
    let mut name = match token.kind {
        TokenKind::Ident => token.text.to_ascii_lowercase(),
        TokenKind::QuotedIdent { terminated: true, uescape: false } => {
            token.text[1..token.text.len() - 1].replace("\"\"", "\"")
        }
        _ => return None,
    };
    name.truncate(name.floor_char_boundary(MAX_IDENTIFIER_BYTES));
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).into_iter().map(|statement| statement.text).collect()
    }

    fn kind(text: &str) -> StatementKind {
        Statement { text, line: 1 }.kind()
    }

    #[test]
    fn semicolon_ends_a_statement() {
        assert_eq!(texts("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts(";; SELECT 1;;\n;"), ["SELECT 1"]);
        assert!(texts("").is_empty());
        assert!(texts(" \n-- SELECT 1;\n/* ; */ ;").is_empty());
        assert_eq!(texts("\u{feff}SELECT 1;"), ["SELECT 1"]);
    }

    #[test]
    fn surrounding_comments_are_omitted_and_lines_counted() {
        let sql =
            "-- first\n/* a\nb */ SELECT 1 -- one\n  + 1 -- two\n;\r\n\r\nSELECT\n2; SELECT 3";
        let expected = [("SELECT 1 -- one\n  + 1", 3), ("SELECT\n2", 7), ("SELECT 3", 8)];
        assert_eq!(split(sql), expected.map(|(text, line)| Statement { text, line }));
    }

    #[test]
    fn semicolon_inside_string_comment_or_parentheses_does_not_split() {
        for sql in [
            "SELECT ';'",
            "SELECT 'it''s; so'",
            r"SELECT E'it\'s; so'",
            r"SELECT e'\\', ';'",
            r"SELECT '\' || ';'",
            "SELECT E'a'\n'b\\'; c'",
            "SELECT E'a' -- more\n -- and more\n 'b\\'; c'",
            r#"SELECT 1 AS "a;""b;""#,
            r#"SELECT U&"a;b", U&'c;d', N'e;f', B'0;1', X'0;a'"#,
            "SELECT $$;$$, $a$ $$;$$ $b$;$b$ $a$, $1",
            "SELECT a$b$ AS c$d FROM x$y",
            "SELECT $é$;$é$",
            "SELECT 1 /* ; /* ; */ ; */ + 1",
            "SELECT 1 --;\n+ 1",
            "SELECT 2 */* ; */ 3",
            "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)",
            "DO $do$ BEGIN PERFORM 1; END $do$",
        ] {
            assert_eq!(texts(&format!("{sql}; SELECT 1;")), [sql, "SELECT 1"]);
        }
        // These second strings do not continue the first one, so they have no escapes.
        assert_eq!(texts(r"SELECT E'a', 'b\'; SELECT 'c'").len(), 2);
        assert_eq!(texts("SELECT E'a' /* here */\n'b\\'; SELECT 'c'").len(), 2);
    }

    #[test]
    fn restrict_commands_of_pg_dump_are_omitted() {
        let sql = "--\n-- dump\n--\n\n\\restrict aB'1\n\nSELECT 1;\n\n\\unrestrict aB'1\n\n";
        assert_eq!(split(sql), [Statement { text: "SELECT 1", line: 7 }]);
        assert!(!is_terminated("SELECT 1 -- ;") && is_terminated("SELECT 1; -- a"));
    }

    #[test]
    fn other_psql_command_is_a_statement_of_one_line() {
        let sql = "\\set name 'it''s\nSELECT 1;\n\\i b.sql\n";
        let expected = [("\\set name 'it''s", 1), ("SELECT 1", 2), ("\\i b.sql", 3)];
        assert_eq!(split(sql), expected.map(|(text, line)| Statement { text, line }));
        assert_eq!(split(sql)[0].kind(), StatementKind::PsqlCommand);
        assert_eq!(without_psql_lines("\\i é;\nSELECT '\\';"), "      \nSELECT '\\';");
    }

    #[test]
    fn rows_after_copy_from_stdin_are_omitted() {
        let sql = "COPY s.t (a) FROM stdin;\nit's\t1;\n\\\\.\n\\.\n\nSELECT 1;\n";
        let expected = [("COPY s.t (a) FROM stdin", 1), ("SELECT 1", 6)];
        assert_eq!(split(sql), expected.map(|(text, line)| Statement { text, line }));
        let blank = "COPY s.t (a) FROM stdin;\n       \n   \n  \n\nSELECT 1;\n";
        assert_eq!(without_psql_lines(sql), blank);
        assert_eq!(texts("COPY s.t FROM stdin; SELECT 1;\nrow").len(), 1);
    }

    #[test]
    fn semicolon_inside_function_body_does_not_split() {
        for sql in [
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
            "create /* x */ or replace procedure p() begin atomic insert into t values (1); end",
            "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC \
             SELECT CASE a WHEN 1 THEN CASE WHEN true THEN 2 END END; SELECT (CASE a END); END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS \"end\"; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT t.end AS case FROM t; SELECT 2; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 end; SELECT 2 end, 3 end FROM t; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 case; SELECT 2 case, 3 case FROM t; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN t.as THEN 1 END end FROM t; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE CASE WHEN a THEN b END WHEN 1 \
             THEN CASE (a) WHEN 1 THEN 2 END END case; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT begin atomic FROM t; ; END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC END",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2'",
            "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE FUNCTION f(begin int, atomic int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ] {
            assert_eq!(texts(&format!("{sql}; SELECT 1")), [sql, "SELECT 1"]);
        }
        assert_eq!(texts("BEGIN; SELECT 1; END").len(), 3);
        assert_eq!(texts("CREATE TABLE function (a int); SELECT begin atomic; END").len(), 3);
        assert_eq!(texts("SELECT CASE WHEN true THEN 1 END; SELECT 2").len(), 2);
    }

    #[test]
    fn unterminated_token_extends_to_the_end() {
        for sql in [
            "SELECT 'a; SELECT 2;",
            "SELECT E'a\\'; SELECT 2;",
            "SELECT $a$; SELECT 2; $b$",
            "SELECT \"a; SELECT 2;",
            "SELECT (1; SELECT 2;",
            "/* SELECT 1; SELECT 2;",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2;",
        ] {
            assert_eq!(texts(sql), [sql]);
        }
        // As in psql, surplus closing parentheses have no effect.
        assert_eq!(texts("SELECT 1); SELECT 2"), ["SELECT 1)", "SELECT 2"]);
    }

    #[test]
    fn split_preserves_tokens_and_lines() {
        let pieces = [
            "SELECT 1",
            "'a;'",
            "$$;$$",
            "E'\\''",
            "(",
            ")",
            ";",
            "-- ;\n",
            "/* ; */",
            "\"b;\"",
            "CREATE FUNCTION f()",
            "BEGIN ATOMIC",
            "CASE",
            "END",
            "\n",
            "é",
        ];
        let tokens = |sql: &str| {
            let kept = tokens(sql).filter(|token| token.kind != TokenKind::Semi);
            kept.map(|token| token.text.to_owned()).collect::<Vec<_>>()
        };
        // Every sequence of four pieces.
        let count = pieces.len();
        for choice in 0..count.pow(4) {
            let sql = (0..4).fold(String::new(), |sql, digit| {
                sql + pieces[choice / count.pow(digit) % count] + " "
            });
            let whole = tokens(&sql);
            let parts: Vec<_> = split(&sql).iter().flat_map(|part| tokens(part.text)).collect();
            assert_eq!(whole, parts, "{sql:?}");
            for Statement { text, line } in split(&sql) {
                let start = text.as_ptr().addr() - sql.as_ptr().addr();
                assert_eq!(line, 1 + sql[..start].matches('\n').count(), "{sql:?}");
            }
        }
    }

    #[test]
    fn transaction_control_excludes_savepoints() {
        for text in [
            "BEGIN",
            "begin isolation level serializable",
            "START TRANSACTION READ ONLY",
            "COMMIT",
            "COMMIT AND CHAIN",
            "END",
            "end work",
            "ROLLBACK",
            "ROLLBACK WORK",
            "ABORT",
            "ROLLBACK AND CHAIN",
            "PREPARE TRANSACTION 'a'",
            "COMMIT PREPARED 'a'",
            "ROLLBACK PREPARED 'a'",
            "commit /* now */",
            "Commit -- now\n work",
        ] {
            assert_eq!(kind(text), StatementKind::TransactionControl, "{text}");
        }
        for text in [
            "SAVEPOINT a",
            "RELEASE a",
            "ROLLBACK TO a",
            "rollback work to savepoint a",
            "ROLLBACK TRANSACTION TO SAVEPOINT a",
            "PREPARE p AS SELECT 1",
            "\"begin\"",
            "SET TRANSACTION READ ONLY",
            "SET CONSTRAINTS ALL DEFERRED",
            "SELECT 'COMMIT'",
            "DO $$ BEGIN COMMIT; END $$",
            "SELECT set_config('a.b', 'c', true)",
            "SETOF",
            "",
        ] {
            assert_eq!(kind(text), StatementKind::Other, "{text}");
        }
    }

    #[test]
    fn settings_are_classified_by_lifetime() {
        for text in [
            "SET search_path = a",
            "set session lock_timeout to '1s'",
            "SET ROLE a",
            "RESET ALL",
            "RESET ROLE",
            "DISCARD PLANS",
            "SET SESSION AUTHORIZATION a",
            "SET TIME ZONE 'UTC'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET transaction_timeout = 1",
        ] {
            assert_eq!(kind(text), StatementKind::SessionSetting, "{text}");
        }
        assert_eq!(kind("discard /**/ all"), StatementKind::DiscardAll);
        for text in ["SET LOCAL search_path = a", "set /**/ local role a"] {
            assert_eq!(kind(text), StatementKind::LocalSetting, "{text}");
        }
    }

    fn name(schema: Option<&str>, name: &str) -> RelationName {
        RelationName { schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn create_index_concurrently_yields_index_and_table() {
        let long = "x".repeat(70);
        for (text, index, table) in [
            ("CREATE INDEX CONCURRENTLY i ON s.t (a)", Some("i"), name(Some("s"), "t")),
            ("create unique index concurrently I on T using gin (a)", Some("i"), name(None, "t")),
            (
                r#"CREATE INDEX CONCURRENTLY IF NOT EXISTS "I""a" ON ONLY "S" . "T.u" (a)"#,
                Some("I\"a"),
                name(Some("S"), "T.u"),
            ),
            ("CREATE INDEX CONCURRENTLY ON s.t (a)", None, name(Some("s"), "t")),
            (r#"CREATE INDEX CONCURRENTLY "on" ON t (a)"#, Some("on"), name(None, "t")),
            (r#"CREATE INDEX CONCURRENTLY U&"a" ON t (a)"#, None, name(None, "t")),
            (
                &format!("CREATE INDEX CONCURRENTLY {long} ON t (a)"),
                Some(&long[..63]),
                name(None, "t"),
            ),
        ] {
            let index = index.map(str::to_owned);
            assert_eq!(
                kind(text),
                StatementKind::CreateIndexConcurrently { index, table },
                "{text}"
            );
        }
        for text in ["CREATE INDEX i ON t (a)", "CREATE INDEX \"concurrently\" ON t (a)"] {
            assert_eq!(kind(text), StatementKind::Other, "{text}");
        }
    }

    #[test]
    fn identifier_is_truncated_at_a_character_boundary() {
        let text = format!("CREATE INDEX CONCURRENTLY {}é ON t (a)", "x".repeat(62));
        let StatementKind::CreateIndexConcurrently { index, .. } = kind(&text) else {
            panic!("{text}")
        };
        assert_eq!(index, Some("x".repeat(62)));
    }

    #[test]
    fn drop_and_reindex_concurrently_yield_their_target() {
        let i = || name(Some("s"), "i");
        for text in
            ["DROP INDEX CONCURRENTLY s.i", "drop index /* */ concurrently if exists S.I cascade"]
        {
            assert_eq!(kind(text), StatementKind::DropIndexConcurrently(i()), "{text}");
        }
        for text in [
            "REINDEX INDEX CONCURRENTLY s.i",
            "REINDEX (CONCURRENTLY) INDEX s.i",
            "REINDEX (VERBOSE, CONCURRENTLY on, TABLESPACE x) INDEX s.i",
        ] {
            assert_eq!(
                kind(text),
                StatementKind::ReindexConcurrently(ReindexTarget::Index(i())),
                "{text}"
            );
        }
        let table = StatementKind::ReindexConcurrently(ReindexTarget::Table(name(None, "t")));
        assert_eq!(kind("REINDEX TABLE CONCURRENTLY t"), table);
        for text in ["REINDEX SCHEMA CONCURRENTLY s", "REINDEX DATABASE CONCURRENTLY"] {
            assert_eq!(
                kind(text),
                StatementKind::ReindexConcurrently(ReindexTarget::Many),
                "{text}"
            );
        }
        for text in [
            "DROP INDEX s.i",
            "DROP INDEX CONCURRENTLY",
            "REINDEX TABLE t",
            "REINDEX (CONCURRENTLY off) INDEX i",
            "REINDEX (CONCURRENTLY",
        ] {
            assert_eq!(kind(text), StatementKind::Other, "{text}");
        }
    }

    #[test]
    fn copy_with_client_is_recognized() {
        for text in ["COPY t FROM STDIN", "copy t (a) from stdin (format csv)", "COPY t TO STDOUT"]
        {
            assert_eq!(kind(text), StatementKind::CopyWithClient, "{text}");
        }
        for text in ["COPY t FROM '/a'", "COPY stdin TO '/a'", "COPY t TO PROGRAM 'cat'"] {
            assert_eq!(kind(text), StatementKind::Other, "{text}");
        }
    }

    #[test]
    fn statements_forbidden_in_a_transaction_are_recognized() {
        for text in [
            "VACUUM",
            "VACUUM (ANALYZE) t",
            "CLUSTER",
            "ALTER SYSTEM SET a = 1",
            "REINDEX SCHEMA s",
            "CREATE DATABASE U&\"a\"",
        ] {
            assert_eq!(kind(text), StatementKind::NotInTransaction, "{text}");
        }
        for (text, object, create) in [
            ("CREATE DATABASE a", GlobalObject::Database, true),
            ("DROP DATABASE IF EXISTS A WITH (FORCE)", GlobalObject::Database, false),
            ("CREATE TABLESPACE a LOCATION '/a'", GlobalObject::Tablespace, true),
            ("DROP TABLESPACE \"a\"", GlobalObject::Tablespace, false),
            ("CREATE SUBSCRIPTION a CONNECTION ''", GlobalObject::Subscription, true),
        ] {
            let name = "a".to_owned();
            let expected = match create {
                true => StatementKind::CreateGlobal(object, name),
                false => StatementKind::DropGlobal(object, name),
            };
            assert_eq!(kind(text), expected, "{text}");
            assert!(kind(text).forbids_transaction(), "{text}");
        }
        let subscription = StatementKind::DropGlobal(GlobalObject::Subscription, "a".to_owned());
        assert_eq!(kind("DROP SUBSCRIPTION a"), subscription);
        assert!(!subscription.forbids_transaction());
        for text in [
            "ALTER TABLE s.a DETACH PARTITION b CONCURRENTLY",
            "alter table if exists only S.a detach /**/ partition \"b\" concurrently",
        ] {
            let (table, partition) = (name(Some("s"), "a"), name(None, "b"));
            assert_eq!(
                kind(text),
                StatementKind::DetachConcurrently { table, partition },
                "{text}"
            );
        }
        for text in [
            "ALTER TABLE a DETACH PARTITION b",
            "ALTER TABLE a DETACH PARTITION b FINALIZE",
            "CLUSTER t USING i",
            "ANALYZE",
            "DROP TABLE a",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "ALTER DATABASE a SET b = c",
        ] {
            assert_eq!(kind(text), StatementKind::Other, "{text}");
        }
    }
}
