//! The statements of a file of SQL, and what their first words say about them.

use std::iter;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

/// The longest name in bytes: PostgreSQL's `NAMEDATALEN` less one. It cuts what is longer.
const LONGEST_NAME: usize = 63;

/// A statement of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Statement<'a> {
    /// From its first token to its last: without the semicolon, and without comments around it.
    pub(crate) text: &'a str,
    /// The line in its file, from 1, on which it begins.
    pub(crate) line: usize,
}

/// What the runner has to know about a statement before it runs it.
#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    /// Begins, ends or prepares a transaction. `SAVEPOINT`, `RELEASE` and `ROLLBACK TO` stay within
    /// theirs and are not of this kind.
    TransactionControl,
    /// Changes a setting of the session: `SET`, `RESET`, `DISCARD`. `SET TRANSACTION` and
    /// `SET CONSTRAINTS` end with the transaction and are not of this kind.
    SessionSetting,
    /// Gives up everything that the session has, its locks too: `DISCARD ALL`.
    DiscardAll,
    /// Changes a setting until the transaction ends: `SET LOCAL`.
    LocalSetting,
    /// `CREATE INDEX CONCURRENTLY`. When it fails, an invalid index stays behind.
    CreateIndexConcurrently {
        /// The index's name. It is in the table's schema. `None` when PostgreSQL is to make one up,
        /// or when it is a `U&` name: such an index cannot be found again.
        index: Option<String>,
        /// The table.
        table: Name,
    },
    /// `REINDEX CONCURRENTLY` of anything. When it fails, invalid indexes stay behind whose names
    /// end with `_ccnew` or `_ccold`.
    ReindexConcurrently(Reindex),
    /// `DROP INDEX CONCURRENTLY`. When it fails, the index stays behind and is invalid.
    DropIndexConcurrently(Name),
    /// Anything else that PostgreSQL refuses within a transaction, as `VACUUM`.
    NotInTransaction,
    /// `COPY` from or to a client, which a runner of files is not.
    CopyWithClient,
    /// Anything else.
    Other,
}

impl Kind {
    /// Whether PostgreSQL refuses it within a transaction.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(
            self,
            Kind::CreateIndexConcurrently { .. }
                | Kind::ReindexConcurrently(_)
                | Kind::DropIndexConcurrently(_)
                | Kind::NotInTransaction
        )
    }
}

/// What is indexed anew.
#[derive(Debug, PartialEq)]
pub(crate) enum Reindex {
    /// One index.
    Index(Name),
    /// All indexes of a table.
    Table(Name),
    /// All indexes of a schema or the database.
    Many,
}

/// The name of a relation, as the catalog has it: without quotes, in lower case unless quoted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    /// The schema, if the statement names it.
    pub(crate) schema: Option<String>,
    /// The relation.
    pub(crate) name: String,
}

impl Name {
    /// The name that is written like this; `None` when it is not one, or of the form `U&`.
    pub(crate) fn parse(text: &str) -> Option<Name> {
        let mut words = Words::of(text);
        words.name().filter(|_| words.next == words.tokens.len())
    }
}

/// Splits a file where psql does (`src/fe_utils/psqlscan.l`): at semicolons outside of parentheses
/// and of the `BEGIN ATOMIC ... END` of a function. Empty statements are left out. A file that ends
/// within a string, a comment or parentheses ends with the statement that it leaves open: it is
/// PostgreSQL that complains.
pub(crate) fn split(sql: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut current: Option<Scan> = None;
    let (mut line, mut counted) = (1, 0);
    for token in tokens(sql) {
        if token.kind == TokenKind::Semi && current.as_ref().is_none_or(Scan::is_complete) {
            statements.extend(current.take().map(|scan| scan.statement(sql)));
            continue;
        }
        let scan = current.get_or_insert_with(|| {
            line += sql[counted..token.start].matches('\n').count();
            counted = token.start;
            Scan::new(line, token.start)
        });
        scan.take(&token);
    }
    statements.extend(current.map(|scan| scan.statement(sql)));
    statements
}

impl Statement<'_> {
    /// What kind of statement it is, by its first words.
    pub(crate) fn kind(&self) -> Kind {
        Words::of(self.text).kind().unwrap_or(Kind::Other)
    }
}

/// A token that means something: neither white space nor a comment.
struct Token<'a> {
    kind: TokenKind,
    text: &'a str,
    start: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(word)
    }
}

/// The tokens of a text that mean something. A comment without an end is one: PostgreSQL refuses it.
fn tokens(sql: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    // After E'...', a string that stands on a later line belongs to it, and has its escapes.
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

/// A statement while its end is looked for.
struct Scan {
    line: usize,
    start: usize,
    end: usize,
    parentheses: usize,
    /// How many `END`s are to come.
    blocks: usize,
    opening: Opening,
    after_begin: bool,
}

/// How far a statement has come to be `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}`.
#[derive(Clone, Copy, PartialEq)]
enum Opening {
    Nothing,
    Create,
    CreateOr,
    CreateOrReplace,
    Routine,
    Other,
}

impl Scan {
    fn new(line: usize, start: usize) -> Scan {
        Scan {
            line,
            start,
            end: start,
            parentheses: 0,
            blocks: 0,
            opening: Opening::Nothing,
            after_begin: false,
        }
    }

    fn take(&mut self, token: &Token<'_>) {
        self.end = token.start + token.text.len();
        match token.kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            _ => {}
        }
        if self.opening == Opening::Routine && self.parentheses == 0 {
            // psql counts every BEGIN, and so is led astray by a function of that name.
            let opens = self.after_begin && token.is("atomic");
            if opens || self.blocks > 0 && token.is("case") {
                self.blocks += 1;
            } else if self.blocks > 0 && token.is("end") {
                self.blocks -= 1;
            }
        }
        self.after_begin = token.is("begin");
        self.opening = match self.opening {
            Opening::Nothing if token.is("create") => Opening::Create,
            Opening::Create if token.is("or") => Opening::CreateOr,
            Opening::CreateOr if token.is("replace") => Opening::CreateOrReplace,
            Opening::Create | Opening::CreateOrReplace
                if token.is("function") || token.is("procedure") =>
            {
                Opening::Routine
            }
            Opening::Routine => Opening::Routine,
            _ => Opening::Other,
        };
    }

    fn is_complete(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn statement<'a>(&self, sql: &'a str) -> Statement<'a> {
        Statement { text: &sql[self.start..self.end], line: self.line }
    }
}

/// The words of a statement, one after the other.
struct Words<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Words<'a> {
        Words { tokens: tokens(text).collect(), next: 0 }
    }

    /// Goes over this word, if it is the next.
    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.is(word));
        self.next += usize::from(is_next);
        is_next
    }

    fn skip_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.skip(word))
    }

    /// Goes over these words, if they all are next, in this order.
    fn skip_all(&mut self, words: &[&str]) -> bool {
        let before = self.next;
        let are_next = words.iter().all(|word| self.skip(word));
        if !are_next {
            self.next = before;
        }
        are_next
    }

    fn skip_kind(&mut self, kind: TokenKind) -> bool {
        let is_next = self.tokens.get(self.next).is_some_and(|token| token.kind == kind);
        self.next += usize::from(is_next);
        is_next
    }

    fn identifier(&mut self) -> Option<String> {
        let name = identifier(self.tokens.get(self.next)?)?;
        self.next += 1;
        Some(name)
    }

    fn name(&mut self) -> Option<Name> {
        let first = self.identifier()?;
        if !self.skip_kind(TokenKind::Dot) {
            return Some(Name { schema: None, name: first });
        }
        Some(Name { schema: Some(first), name: self.identifier()? })
    }

    /// `None` when it is not what its first word promises: then PostgreSQL refuses it.
    fn kind(&mut self) -> Option<Kind> {
        if self.skip_any(&["begin", "start", "commit", "end", "abort"]) {
            return Some(Kind::TransactionControl);
        }
        if self.skip("rollback") {
            let _ = self.skip_any(&["work", "transaction"]);
            let kind = if self.skip("to") { Kind::Other } else { Kind::TransactionControl };
            return Some(kind);
        }
        if self.skip_all(&["prepare", "transaction"]) {
            return Some(Kind::TransactionControl);
        }
        if self.skip_all(&["discard", "all"]) {
            return Some(Kind::DiscardAll);
        }
        if self.skip_any(&["reset", "discard"]) {
            return Some(Kind::SessionSetting);
        }
        if self.skip("set") {
            return Some(if self.skip_any(&["transaction", "constraints"]) {
                Kind::Other
            } else if self.skip("local") {
                Kind::LocalSetting
            } else {
                Kind::SessionSetting
            });
        }
        if self.skip("create") {
            return self.create();
        }
        if self.skip_all(&["drop", "index", "concurrently"]) {
            let _ = self.skip_all(&["if", "exists"]);
            return Some(Kind::DropIndexConcurrently(self.name()?));
        }
        if self.skip("reindex") {
            return self.reindex();
        }
        if self.skip("copy") {
            let between = |(one, other)| {
                self.tokens.windows(2).any(|pair| pair[0].is(one) && pair[1].is(other))
            };
            let with_client = [("from", "stdin"), ("to", "stdout")].into_iter().any(between);
            return with_client.then_some(Kind::CopyWithClient);
        }
        self.not_in_transaction().then_some(Kind::NotInTransaction)
    }

    fn create(&mut self) -> Option<Kind> {
        if self.skip_any(&["database", "tablespace", "subscription"]) {
            return Some(Kind::NotInTransaction);
        }
        let _ = self.skip("unique");
        if !self.skip_all(&["index", "concurrently"]) {
            return None;
        }
        let _ = self.skip_all(&["if", "not", "exists"]);
        let mut index = None;
        if !self.skip("on") {
            index = self.identifier();
            // A name that cannot be read is one token too.
            self.next += usize::from(index.is_none());
            if !self.skip("on") {
                return None;
            }
        }
        let _ = self.skip("only");
        Some(Kind::CreateIndexConcurrently { index, table: self.name()? })
    }

    fn reindex(&mut self) -> Option<Kind> {
        let mut concurrently = false;
        if self.skip_kind(TokenKind::OpenParen) {
            while !self.skip_kind(TokenKind::CloseParen) {
                if self.skip("concurrently") {
                    concurrently = !self.is_off();
                } else if self.next < self.tokens.len() {
                    self.next += 1;
                } else {
                    return None;
                }
            }
        }
        let index = self.skip("index");
        let table = !index && self.skip("table");
        let many = !index && !table && self.skip_any(&["schema", "database", "system"]);
        concurrently |= self.skip("concurrently");
        if !concurrently {
            return many.then_some(Kind::NotInTransaction);
        }
        Some(Kind::ReindexConcurrently(if index {
            Reindex::Index(self.name()?)
        } else if table {
            Reindex::Table(self.name()?)
        } else {
            Reindex::Many
        }))
    }

    /// Whether an option's value says no. The value is left where it is.
    fn is_off(&self) -> bool {
        self.tokens.get(self.next).is_some_and(|value| {
            value.is("off") || value.is("false") || ["0", "'off'", "'false'"].contains(&value.text)
        })
    }

    /// What calls `PreventInTransactionBlock` in PostgreSQL's source, as far as it shows.
    fn not_in_transaction(&mut self) -> bool {
        if self.skip("vacuum")
            || self.skip_all(&["alter", "system"])
            || self.skip("drop") && self.skip_any(&["database", "tablespace"])
        {
            return true;
        }
        // CLUSTER without a table is all tables.
        if self.skip("cluster") {
            let _ = self.skip("verbose");
            return self.next == self.tokens.len();
        }
        self.skip_all(&["alter", "table"])
            && self.tokens.iter().any(|token| token.is("detach"))
            && self.tokens.last().is_some_and(|token| token.is("concurrently"))
    }
}

/// The name that a token stands for, if it is one.
fn identifier(token: &Token<'_>) -> Option<String> {
    let mut name = match token.kind {
        TokenKind::Ident => token.text.to_ascii_lowercase(),
        TokenKind::QuotedIdent { terminated: true, uescape: false } => {
            token.text[1..token.text.len() - 1].replace("\"\"", "\"")
        }
        _ => return None,
    };
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        split(sql).into_iter().map(|statement| statement.text).collect()
    }

    fn kind(text: &str) -> Kind {
        Statement { text, line: 1 }.kind()
    }

    #[test]
    fn semicolons_end_statements() {
        assert_eq!(texts("SELECT 1; SELECT 2;"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts("SELECT 1; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts(";; SELECT 1;;\n;"), ["SELECT 1"]);
        assert!(texts("").is_empty());
        assert!(texts(" \n-- SELECT 1;\n/* ; */ ;").is_empty());
        assert_eq!(texts("\u{feff}SELECT 1;"), ["SELECT 1"]);
    }

    #[test]
    fn comments_around_a_statement_are_left_out_and_lines_are_counted() {
        let sql =
            "-- first\n/* a\nb */ SELECT 1 -- one\n  + 1 -- two\n;\r\n\r\nSELECT\n2; SELECT 3";
        let expected = [("SELECT 1 -- one\n  + 1", 3), ("SELECT\n2", 7), ("SELECT 3", 8)];
        assert_eq!(split(sql), expected.map(|(text, line)| Statement { text, line }));
    }

    #[test]
    fn semicolons_within_something_do_not() {
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
        // Neither is a string of its own escapes.
        assert_eq!(texts(r"SELECT E'a', 'b\'; SELECT 'c'").len(), 2);
        assert_eq!(texts("SELECT E'a' /* here */\n'b\\'; SELECT 'c'").len(), 2);
    }

    #[test]
    fn the_body_of_a_function_is_part_of_it() {
        for sql in [
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END",
            "create /* x */ or replace procedure p() begin atomic insert into t values (1); end",
            "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC \
             SELECT CASE a WHEN 1 THEN CASE WHEN true THEN 2 END END; SELECT (CASE a END); END",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS \"end\"; END",
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
    fn what_is_left_open_goes_to_the_end() {
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
        // As psql does it, more ) than ( change nothing.
        assert_eq!(texts("SELECT 1); SELECT 2"), ["SELECT 1)", "SELECT 2"]);
    }

    #[test]
    fn the_pieces_have_the_tokens_of_the_whole() {
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
        // Four draws from the list at a time: all of them.
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
    fn transaction_control_is_told_from_what_stays_within() {
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
            assert_eq!(kind(text), Kind::TransactionControl, "{text}");
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
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }

    #[test]
    fn settings_are_told_by_how_long_they_last() {
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
            assert_eq!(kind(text), Kind::SessionSetting, "{text}");
        }
        assert_eq!(kind("discard /**/ all"), Kind::DiscardAll);
        for text in ["SET LOCAL search_path = a", "set /**/ local role a"] {
            assert_eq!(kind(text), Kind::LocalSetting, "{text}");
        }
    }

    fn name(schema: Option<&str>, name: &str) -> Name {
        Name { schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    #[test]
    fn indexes_made_concurrently_are_found_by_name() {
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
            assert_eq!(kind(text), Kind::CreateIndexConcurrently { index, table }, "{text}");
        }
        for text in ["CREATE INDEX i ON t (a)", "CREATE INDEX \"concurrently\" ON t (a)"] {
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }

    #[test]
    fn a_name_is_cut_where_a_character_ends() {
        let text = format!("CREATE INDEX CONCURRENTLY {}é ON t (a)", "x".repeat(62));
        let Kind::CreateIndexConcurrently { index, .. } = kind(&text) else { panic!("{text}") };
        assert_eq!(index, Some("x".repeat(62)));
    }

    #[test]
    fn indexes_dropped_and_made_anew_concurrently_are_found_by_name() {
        let i = || name(Some("s"), "i");
        for text in
            ["DROP INDEX CONCURRENTLY s.i", "drop index /* */ concurrently if exists S.I cascade"]
        {
            assert_eq!(kind(text), Kind::DropIndexConcurrently(i()), "{text}");
        }
        for text in [
            "REINDEX INDEX CONCURRENTLY s.i",
            "REINDEX (CONCURRENTLY) INDEX s.i",
            "REINDEX (VERBOSE, CONCURRENTLY on, TABLESPACE x) INDEX s.i",
        ] {
            assert_eq!(kind(text), Kind::ReindexConcurrently(Reindex::Index(i())), "{text}");
        }
        let table = Kind::ReindexConcurrently(Reindex::Table(name(None, "t")));
        assert_eq!(kind("REINDEX TABLE CONCURRENTLY t"), table);
        for text in ["REINDEX SCHEMA CONCURRENTLY s", "REINDEX DATABASE CONCURRENTLY"] {
            assert_eq!(kind(text), Kind::ReindexConcurrently(Reindex::Many), "{text}");
        }
        for text in [
            "DROP INDEX s.i",
            "DROP INDEX CONCURRENTLY",
            "REINDEX TABLE t",
            "REINDEX (CONCURRENTLY off) INDEX i",
            "REINDEX (CONCURRENTLY",
        ] {
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }

    #[test]
    fn copy_with_a_client_is_known() {
        for text in ["COPY t FROM STDIN", "copy t (a) from stdin (format csv)", "COPY t TO STDOUT"]
        {
            assert_eq!(kind(text), Kind::CopyWithClient, "{text}");
        }
        for text in ["COPY t FROM '/a'", "COPY stdin TO '/a'", "COPY t TO PROGRAM 'cat'"] {
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }

    #[test]
    fn what_postgresql_refuses_within_a_transaction_is_known() {
        for text in [
            "VACUUM",
            "VACUUM (ANALYZE) t",
            "CREATE DATABASE a",
            "DROP DATABASE a",
            "CLUSTER",
            "ALTER SYSTEM SET a = 1",
            "CREATE TABLESPACE a LOCATION '/a'",
            "REINDEX SCHEMA s",
            "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
            "CREATE SUBSCRIPTION a",
        ] {
            assert_eq!(kind(text), Kind::NotInTransaction, "{text}");
        }
        for text in [
            "ALTER TABLE a DETACH PARTITION b",
            "CLUSTER t USING i",
            "ANALYZE",
            "DROP TABLE a",
            "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "ALTER DATABASE a SET b = c",
        ] {
            assert_eq!(kind(text), Kind::Other, "{text}");
        }
    }
}
