//! The locks that a statement takes on relations, derived from its text.
//!
//! The lock modes follow chapter 13.3 of the PostgreSQL manual and its page on `ALTER TABLE`, for
//! PostgreSQL 12 and newer. An integration test compares them with `pg_locks` of a server.

use std::fmt;

use serde::Serialize;
use squawk_syntax::SyntaxKind::{self, *};
use squawk_syntax::ast::{AstNode, Vacuum};
use squawk_syntax::{SourceFile, SyntaxNode};

/// A table-level lock mode, ordered from the weakest to the strongest.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Taken by `SELECT`.
    AccessShare,
    /// Taken by `SELECT FOR UPDATE` and the like.
    RowShare,
    /// Taken by `INSERT`, `UPDATE`, `DELETE` and `MERGE`.
    RowExclusive,
    /// Taken by maintenance that permits reads and writes, such as `VACUUM`.
    ShareUpdateExclusive,
    /// Blocks writes. Taken by `CREATE INDEX`.
    Share,
    /// Blocks writes and conflicts with itself. Taken by `CREATE TRIGGER`.
    ShareRowExclusive,
    /// Permits only reads that lock no rows.
    Exclusive,
    /// Conflicts with every mode.
    AccessExclusive,
}

impl LockMode {
    /// Describes which operations of other sessions the lock blocks.
    pub fn blocks(self) -> &'static str {
        match self {
            LockMode::AccessShare | LockMode::RowShare | LockMode::RowExclusive => {
                "blocks neither reads nor writes"
            }
            LockMode::ShareUpdateExclusive => "blocks other schema changes",
            LockMode::Share | LockMode::ShareRowExclusive | LockMode::Exclusive => "blocks writes",
            LockMode::AccessExclusive => "blocks reads and writes",
        }
    }
}

impl fmt::Display for LockMode {
    /// Formats the mode as in `LOCK TABLE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            LockMode::AccessShare => "ACCESS SHARE",
            LockMode::RowShare => "ROW SHARE",
            LockMode::RowExclusive => "ROW EXCLUSIVE",
            LockMode::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            LockMode::Share => "SHARE",
            LockMode::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            LockMode::Exclusive => "EXCLUSIVE",
            LockMode::AccessExclusive => "ACCESS EXCLUSIVE",
        })
    }
}

/// What a statement does to a relation beyond changing the catalog.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Reads all rows while it holds the lock, to check or to index them.
    Scans,
    /// May rewrite the relation while it holds the lock. PostgreSQL skips the rewrite for some
    /// changes of a type.
    Rewrites,
    /// Deletes all rows.
    Empties,
    /// Drops the relation.
    Removes,
    /// Creates the relation. No other session can see it yet.
    Creates,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Work::Scans => "scans it",
            Work::Rewrites => "may rewrite it",
            Work::Empties => "empties it",
            Work::Removes => "removes it",
            Work::Creates => "new",
        })
    }
}

/// A lock that a statement takes on a relation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RelationLock {
    /// The name of the relation as written in the statement.
    pub relation: String,
    /// The strongest mode in which the statement locks the relation.
    pub mode: LockMode,
    /// For an index, the mode of the lock on its table, which the statement does not name.
    pub table_mode: Option<LockMode>,
    /// The work on the relation, if any.
    pub work: Option<Work>,
    /// Whether dependent objects are affected too: `CASCADE`.
    pub cascades: bool,
}

/// Returns the locks on the relations that a statement names, each relation once. Returns `None` if
/// the text does not determine them: the statement calls a function, runs a code block, or is of an
/// unsupported kind.
///
/// Relations that the text does not name are omitted: partitions and other children, the table at
/// the other end of a foreign key that is validated or dropped, and whatever triggers use. So are
/// system catalogs, and the new name of a renamed relation.
pub fn relation_locks(statement: &str) -> Option<Vec<RelationLock>> {
    let parse = SourceFile::parse(statement);
    if !parse.errors().is_empty() {
        return None;
    }
    let mut statements = parse.tree().stmts();
    let (Some(only), None) = (statements.next(), statements.next()) else { return None };
    locks_of(only.syntax())
}

/// Like [`relation_locks`], but for a parsed statement.
pub(crate) fn locks_of(statement: &SyntaxNode) -> Option<Vec<RelationLock>> {
    if !locks_only_named_relations(statement) {
        return None;
    }
    let cascades = statement.children().any(|child| child.kind() == CASCADE);
    let mut locks: Vec<RelationLock> = Vec::new();
    for name in statement.descendants().filter(is_name) {
        let Some(lock) = lock_of(statement, &name)? else { continue };
        match locks.iter_mut().find(|other| other.relation == lock.relation) {
            Some(other) => {
                other.mode = other.mode.max(lock.mode);
                other.work = other.work.max(lock.work);
            }
            None => locks.push(RelationLock { cascades, ..lock }),
        }
    }
    Some(locks)
}

/// Returns whether the statement locks no relations besides those that it names.
fn locks_only_named_relations(statement: &SyntaxNode) -> bool {
    let has = |kind| statement.descendants().any(|node| node.kind() == kind);
    match statement.kind() {
        // These may call functions, which can lock anything.
        SELECT
        | SELECT_INTO
        | COMPOUND_SELECT
        | PAREN_SELECT
        | VALUES
        | TABLE
        | INSERT
        | UPDATE
        | DELETE
        | MERGE
        | COPY
        | CREATE_TABLE_AS
        | CREATE_MATERIALIZED_VIEW => {
            !statement.descendants().any(|node| calls_user_function(&node))
        }
        // Without a name, these process all tables.
        VACUUM | ANALYZE => has(TABLE_AND_COLUMNS),
        CLUSTER => has(TABLE_NAME_REF),
        REINDEX => has(REINDEX_TARGET_INDEX) || has(REINDEX_TARGET_TABLE),
        ALTER_TABLE | ALTER_INDEX | ALTER_MATERIALIZED_VIEW => !has(ALL_IN_TABLESPACE),
        ALTER_TYPE => has(ADD_VALUE),
        CREATE_SCHEMA => {
            statement.children().all(|child| !format!("{:?}", child.kind()).starts_with("CREATE_"))
        }
        DROP_AGGREGATE | DROP_DOMAIN | DROP_FUNCTION | DROP_PROCEDURE | DROP_ROUTINE
        | DROP_SCHEMA | DROP_TYPE | DROP_COLLATION => !has(CASCADE),
        ALTER_AGGREGATE
        | ALTER_COLLATION
        | ALTER_DATABASE
        | ALTER_DEFAULT_PRIVILEGES
        | ALTER_FOREIGN_TABLE
        | ALTER_FUNCTION
        | ALTER_GROUP
        | ALTER_POLICY
        | ALTER_PROCEDURE
        | ALTER_ROLE
        | ALTER_ROUTINE
        | ALTER_RULE
        | ALTER_SCHEMA
        | ALTER_SEQUENCE
        | ALTER_SYSTEM
        | ALTER_TRIGGER
        | ALTER_USER
        | ALTER_VIEW
        | BEGIN
        | CHECKPOINT
        | COMMENT_ON
        | COMMIT_TRANSACTION
        | CREATE_AGGREGATE
        | CREATE_CAST
        | CREATE_COLLATION
        | CREATE_DATABASE
        | CREATE_DOMAIN
        | CREATE_FOREIGN_TABLE
        | CREATE_FUNCTION
        | CREATE_GROUP
        | CREATE_INDEX
        | CREATE_OPERATOR
        | CREATE_POLICY
        | CREATE_PROCEDURE
        | CREATE_ROLE
        | CREATE_RULE
        | CREATE_SEQUENCE
        | CREATE_STATISTICS
        | CREATE_TABLE
        | CREATE_TRIGGER
        | CREATE_TYPE
        | CREATE_USER
        | CREATE_VIEW
        | DEALLOCATE
        | DISCARD
        | DROP_DATABASE
        | DROP_FOREIGN_TABLE
        | DROP_GROUP
        | DROP_INDEX
        | DROP_MATERIALIZED_VIEW
        | DROP_POLICY
        | DROP_ROLE
        | DROP_RULE
        | DROP_SEQUENCE
        | DROP_TABLE
        | DROP_TRIGGER
        | DROP_USER
        | DROP_VIEW
        | GRANT
        | LISTEN
        | LOCK
        | NOTIFY
        | PREPARE_TRANSACTION
        | REFRESH
        | RELEASE_SAVEPOINT
        | RESET
        | RESET_ROLE
        | REVOKE
        | ROLLBACK_TO_SAVEPOINT
        | ROLLBACK_TRANSACTION
        | SAVEPOINT_CREATE
        | SET
        | SET_CONSTRAINTS
        | SET_ROLE
        | SET_TRANSACTION
        | SHOW
        | TRUNCATE
        | UNLISTEN => true,
        _ => false,
    }
}

/// Returns whether the expression calls a function outside of `pg_catalog`. With an empty
/// `search_path`, such a call is qualified with its schema.
fn calls_user_function(node: &SyntaxNode) -> bool {
    if node.kind() != CALL_EXPR {
        return false;
    }
    let function = node.children().find(|child| child.kind() == FIELD_EXPR);
    function.is_some_and(|function| {
        function.children().next().is_some_and(|schema| text(&schema) != "pg_catalog")
    })
}

fn is_name(node: &SyntaxNode) -> bool {
    let is_name = matches!(
        node.kind(),
        TABLE_NAME_REF
            | RELATION_NAME_REF
            | VIEW_REF
            | INDEX_REF
            | SEQUENCE_REF
            | QUALIFIED_COLUMN_NAME_REF
            | TABLE_NAME
            | VIEW
            | INDEX
            | SEQUENCE
    );
    // Keyword nodes use kinds such as VIEW too, but contain no path.
    is_name && node.descendants().any(|part| matches!(part.kind(), PATH | PATH_REF))
}

/// Returns the lock on the relation that `name` refers to. The inner `None` means that there is
/// none, the outer `None` that it is unknown.
fn lock_of(statement: &SyntaxNode, name: &SyntaxNode) -> Option<Option<RelationLock>> {
    use LockMode::*;
    let context = name.ancestors().skip(1).find(|node| {
        !matches!(node.kind(), TABLE_RELATION_NAME | RELATION_NAME | RELATION_LIST | TABLE_LIST)
    })?;
    let concurrently = statement
        .descendants_with_tokens()
        .filter(|token| token.kind() == CONCURRENTLY_KW)
        .any(|word| word.parent().is_none_or(|option| !is_off(&option)));
    let mut relation = text(name);
    let (mut table_mode, mut work) = (None, None);
    let mode = match context.kind() {
        RELATION_FROM_ITEM if is_cte_name(statement, name) => return Some(None),
        RELATION_FROM_ITEM if locks_rows(name) => RowShare,
        RELATION_FROM_ITEM | TABLE | LIKE_CLAUSE => AccessShare,
        INSERT | UPDATE | DELETE | MERGE => RowExclusive,
        COPY_TABLE if statement.children().any(|child| child.kind() == COPY_FROM) => RowExclusive,
        COPY_TABLE => AccessShare,

        CREATE_VIEW if context.children().any(|child| child.kind() == OR_REPLACE) => {
            AccessExclusive
        }
        CREATE_INDEX if name.kind() == INDEX => {
            // An index is created in the schema of its table.
            let table = context.children().find(|child| child.kind() == TABLE_RELATION_NAME)?;
            let table = table.descendants().find(|node| node.kind() == TABLE_NAME_REF)?;
            if let Some((schema, _)) = text(&table).rsplit_once('.') {
                relation = format!("{schema}.{relation}");
            }
            work = Some(Work::Creates);
            AccessExclusive
        }
        CREATE_TABLE
        | CREATE_TABLE_AS
        | CREATE_FOREIGN_TABLE
        | CREATE_VIEW
        | CREATE_MATERIALIZED_VIEW
        | CREATE_SEQUENCE
        | INTO_CLAUSE => {
            work = Some(Work::Creates);
            AccessExclusive
        }
        PARTITION_OF => AccessExclusive,
        INHERITS | INHERIT_TABLE => ShareUpdateExclusive,
        NO_INHERIT_TABLE => AccessShare,
        REFERENCES_CONSTRAINT | FOREIGN_KEY_CONSTRAINT => ShareRowExclusive,
        CREATE_INDEX => {
            work = Some(Work::Scans);
            if concurrently { ShareUpdateExclusive } else { Share }
        }

        ALTER_TABLE | ALTER_FOREIGN_TABLE | ALTER_MATERIALIZED_VIEW => {
            work = context.children().filter_map(|action| alter_table_work(&action)).max();
            context.children().filter_map(|action| alter_table_mode(&action)).max()?
        }
        ALTER_INDEX => context.children().filter_map(|action| alter_index_mode(&action)).max()?,
        ALTER_SEQUENCE => {
            context.children().filter_map(|action| alter_sequence_mode(&action)).max()?
        }
        ALTER_VIEW => AccessExclusive,
        ATTACH_PARTITION => {
            work = Some(Work::Scans);
            AccessExclusive
        }
        DETACH_PARTITION | ATTACH_INDEX_PARTITION => AccessExclusive,
        // A new name, or an index of the table, which is named without its schema.
        TABLE_RENAME_TO | VIEW_RENAME_TO | INDEX_RENAME_TO | SEQUENCE_RENAME_TO
        | USING_INDEX_NAME | CLUSTER_ON | CLUSTER_USING_INDEX => {
            return Some(None);
        }

        FROM_TABLE if statement.kind() == CREATE_STATISTICS => ShareUpdateExclusive,
        FROM_TABLE => AccessShare,
        ON_RELATION if statement.kind() == CREATE_TRIGGER => ShareRowExclusive,
        ON_RELATION | ON_TABLE | RULE_ON => AccessExclusive,

        DROP_INDEX => {
            work = Some(Work::Removes);
            let mode = if concurrently { ShareUpdateExclusive } else { AccessExclusive };
            table_mode = Some(mode);
            mode
        }
        TRUNCATE => {
            work = Some(Work::Empties);
            AccessExclusive
        }
        DROP_TABLE | DROP_FOREIGN_TABLE | DROP_VIEW | DROP_MATERIALIZED_VIEW | DROP_SEQUENCE => {
            work = Some(Work::Removes);
            AccessExclusive
        }
        LOCK => lock_table_mode(&context),
        TABLE_AND_COLUMNS if is_full_vacuum(statement) => {
            work = Some(Work::Rewrites);
            AccessExclusive
        }
        TABLE_AND_COLUMNS => ShareUpdateExclusive,
        CLUSTER | ON_PATH => {
            work = Some(Work::Rewrites);
            AccessExclusive
        }
        REINDEX_TARGET_TABLE | REINDEX_TARGET_INDEX => {
            let on_table = if concurrently { ShareUpdateExclusive } else { Share };
            work = Some(Work::Scans);
            match context.kind() {
                REINDEX_TARGET_TABLE => on_table,
                _ => {
                    table_mode = Some(on_table);
                    if concurrently { ShareUpdateExclusive } else { AccessExclusive }
                }
            }
        }
        REFRESH => {
            work = Some(Work::Rewrites);
            if concurrently { Exclusive } else { AccessExclusive }
        }

        OBJECT_TABLE
        | OBJECT_INDEX
        | OBJECT_VIEW
        | OBJECT_MATERIALIZED_VIEW
        | OBJECT_SEQUENCE
        | OBJECT_FOREIGN_TABLE => ShareUpdateExclusive,
        OBJECT_COLUMN => {
            relation = relation.rsplit_once('.')?.0.to_owned();
            ShareUpdateExclusive
        }
        OBJECT_CONSTRAINT | OBJECT_TRIGGER | OBJECT_RULE | OBJECT_POLICY => AccessShare,
        // OWNED BY NONE has no table.
        OPTION_OWNED_BY => match relation.rsplit_once('.') {
            Some((table, _)) => {
                relation = table.to_owned();
                AccessShare
            }
            None => return Some(None),
        },
        // GRANT and REVOKE lock no relation.
        _ if matches!(statement.kind(), GRANT | REVOKE) => return Some(None),
        _ => return None,
    };
    Some(Some(RelationLock { relation, mode, table_mode, work, cascades: false }))
}

/// Returns the lock mode of one action of `ALTER TABLE`, as `AlterTableGetLockLevel` does in
/// PostgreSQL's source. `None` for parts that are not actions.
fn alter_table_mode(action: &SyntaxNode) -> Option<LockMode> {
    use LockMode::*;
    let has = |kind| action.descendants().any(|node| node.kind() == kind);
    Some(match action.kind() {
        TABLE_RELATION_NAME | VIEW_REF | IF_EXISTS => return None,
        VALIDATE_CONSTRAINT | CLUSTER_ON | SET_WITHOUT_CLUSTER | ATTACH_PARTITION => {
            ShareUpdateExclusive
        }
        DETACH_PARTITION if has(DETACH_CONCURRENTLY) || has(DETACH_FINALIZE) => {
            ShareUpdateExclusive
        }
        ENABLE_TRIGGER | ENABLE_ALWAYS_TRIGGER | ENABLE_REPLICA_TRIGGER | DISABLE_TRIGGER => {
            ShareRowExclusive
        }
        ADD_CONSTRAINT if has(FOREIGN_KEY_CONSTRAINT) => ShareRowExclusive,
        ALTER_COLUMN if has(SET_STATISTICS) || has(SET_OPTIONS) || has(RESET_OPTIONS) => {
            ShareUpdateExclusive
        }
        SET_OPTIONS | RESET_OPTIONS if !text(action).contains("user_catalog_table") => {
            ShareUpdateExclusive
        }
        _ => AccessExclusive,
    })
}

fn alter_index_mode(action: &SyntaxNode) -> Option<LockMode> {
    use LockMode::*;
    Some(match action.kind() {
        INDEX_REF | IF_EXISTS => return None,
        INDEX_RENAME_TO | ATTACH_INDEX_PARTITION | ALTER_SET_STATISTICS => ShareUpdateExclusive,
        SET_OPTIONS | RESET_OPTIONS
            if action
                .descendants()
                .filter(|node| node.kind() == ATTRIBUTE_NAME)
                .all(|name| matches!(text(&name).as_str(), "fillfactor" | "deduplicate_items")) =>
        {
            ShareUpdateExclusive
        }
        _ => AccessExclusive,
    })
}

fn alter_sequence_mode(action: &SyntaxNode) -> Option<LockMode> {
    Some(match action.kind() {
        SEQUENCE_REF | IF_EXISTS => return None,
        OWNER_TO | SEQUENCE_RENAME_TO | SET_SCHEMA | SET_LOGGED | SET_UNLOGGED => {
            LockMode::AccessExclusive
        }
        _ => LockMode::ShareRowExclusive,
    })
}

/// Returns the work of one action of `ALTER TABLE`.
fn alter_table_work(action: &SyntaxNode) -> Option<Work> {
    let has = |kind| action.descendants().any(|node| node.kind() == kind);
    match action.kind() {
        SET_TABLESPACE | SET_LOGGED | SET_UNLOGGED | SET_ACCESS_METHOD => Some(Work::Rewrites),
        ALTER_COLUMN if has(SET_TYPE) || has(SET_EXPRESSION) => Some(Work::Rewrites),
        ALTER_COLUMN if has(SET_NOT_NULL) => Some(Work::Scans),
        ADD_COLUMN if has(GENERATED_CONSTRAINT) || is_serial(action) => Some(Work::Rewrites),
        // A constant default is stored once, in the catalog. So is the value of a function that is
        // not volatile, but only the server knows the volatility.
        ADD_COLUMN if has(DEFAULT_CONSTRAINT) && has(CALL_EXPR) => Some(Work::Rewrites),
        ADD_COLUMN
            if has(CHECK_CONSTRAINT)
                || has(UNIQUE_CONSTRAINT)
                || has(PRIMARY_KEY_CONSTRAINT)
                || has(REFERENCES_CONSTRAINT) =>
        {
            Some(Work::Scans)
        }
        ADD_CONSTRAINT if !has(NOT_VALID) && !has(USING_INDEX_NAME) => Some(Work::Scans),
        VALIDATE_CONSTRAINT => Some(Work::Scans),
        _ => None,
    }
}

fn is_serial(column: &SyntaxNode) -> bool {
    let name = column.children().find(|child| child.kind() == PATH_TYPE).map(|name| text(&name));
    name.is_some_and(|name| {
        ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"]
            .contains(&name.to_ascii_lowercase().as_str())
    })
}

/// Returns whether this is an option `CONCURRENTLY` with the value `off`.
fn is_off(option: &SyntaxNode) -> bool {
    let value = option.children().next().map(|value| text(&value).to_ascii_lowercase());
    option.kind() == REINDEX_OPTION_CONCURRENTLY
        && value.is_some_and(|value| ["off", "false", "0"].contains(&value.trim_matches('\'')))
}

/// Returns the mode of `LOCK TABLE`.
fn lock_table_mode(statement: &SyntaxNode) -> LockMode {
    let clause = statement.descendants().find(|node| node.kind() == LOCK_MODE_CLAUSE);
    let mode = clause.and_then(|clause| clause.children().next()).map(|mode| mode.kind());
    match mode {
        Some(ACCESS_SHARE) => LockMode::AccessShare,
        Some(ROW_SHARE) => LockMode::RowShare,
        Some(ROW_EXCLUSIVE) => LockMode::RowExclusive,
        Some(SHARE_UPDATE_EXCLUSIVE) => LockMode::ShareUpdateExclusive,
        Some(SHARE) => LockMode::Share,
        Some(SHARE_ROW_EXCLUSIVE) => LockMode::ShareRowExclusive,
        Some(EXCLUSIVE) => LockMode::Exclusive,
        _ => LockMode::AccessExclusive,
    }
}

fn is_full_vacuum(statement: &SyntaxNode) -> bool {
    Vacuum::cast(statement.clone()).is_some_and(|vacuum| vacuum.is_full())
}

/// Returns whether the name refers to a `WITH` query instead of a table.
fn is_cte_name(statement: &SyntaxNode, name: &SyntaxNode) -> bool {
    let name = text(name);
    statement.descendants().any(|node| node.kind() == CTE_NAME && text(&node) == name)
}

/// Returns whether the `SELECT` that contains a table locks its rows, for example with `FOR
/// UPDATE`.
fn locks_rows(name: &SyntaxNode) -> bool {
    let Some(select) = name.ancestors().find(|node| node.kind() == SELECT) else { return false };
    let own_names = [Some(text(name)), name.next_sibling().map(|alias| text(&alias))];
    select.children().filter(|child| child.kind() == LOCKING_CLAUSE).any(|clause| {
        let Some(of) = clause.children().find(|child| child.kind() == LOCKING_OF) else {
            return true;
        };
        of.children().any(|table| {
            let table = text(&table);
            own_names.iter().flatten().any(|name| {
                let last = name.rsplit(['.', ' ']).next();
                last.is_some_and(|last| last == table)
            })
        })
    })
}

/// Returns the text of a node without comments and white space.
fn text(node: &SyntaxNode) -> String {
    let tokens = node.descendants_with_tokens().filter_map(|element| element.into_token());
    tokens
        .filter(|token| !matches!(token.kind(), SyntaxKind::COMMENT | SyntaxKind::WHITESPACE))
        .map(|token| token.text().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(statement: &str) -> Option<Vec<String>> {
        Some(relation_locks(statement)?.into_iter().map(|lock| lock.relation).collect())
    }

    #[test]
    fn locks_of_functions_and_unsupported_statements_are_unknown() {
        for statement in [
            "DO $$ BEGIN END $$",
            "CALL s.p()",
            "SELECT s.f()",
            "SELECT * FROM s.f(1)",
            "INSERT INTO s.t SELECT s.f()",
            "EXECUTE p",
            "VACUUM",
            "ANALYZE",
            "CLUSTER",
            "REINDEX DATABASE",
            "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b",
            "ALTER DOMAIN s.d ADD CHECK (value > 0)",
            "DROP SCHEMA s CASCADE",
            "DROP FUNCTION s.f() CASCADE",
            "CREATE SCHEMA s CREATE TABLE t (a int)",
            "CREATE EXTENSION x",
            "SELECT 1; SELECT 2",
            "this is not SQL",
            "",
        ] {
            assert_eq!(relation_locks(statement), None, "{statement}");
        }
    }

    #[test]
    fn statements_without_relations_lock_nothing() {
        for statement in [
            "GRANT SELECT ON s.t TO r",
            "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            "SELECT now(), pg_catalog.setval('s.q', 1)",
            "CREATE SCHEMA s",
            "ALTER TYPE s.e ADD VALUE 'a'",
            "SET LOCAL lock_timeout = '1s'",
        ] {
            assert_eq!(relation_locks(statement), Some(Vec::new()), "{statement}");
        }
    }

    #[test]
    fn relations_are_named_as_written_and_listed_once() {
        let quoted = r#"INSERT INTO "S" . "T" /* x */ SELECT * FROM s.t a JOIN s.t b USING (c)"#;
        assert_eq!(names(quoted), Some(vec![r#""S"."T""#.into(), "s.t".into()]));
        let with = "WITH q AS (SELECT 1) SELECT * FROM q, s.t";
        assert_eq!(names(with), Some(vec!["s.t".into()]));
        assert_eq!(names("COMMENT ON COLUMN s.t.c IS 'x'"), Some(vec!["s.t".into()]));
        let index = "CREATE INDEX i ON s.t (a)";
        assert_eq!(names(index), Some(vec!["s.i".into(), "s.t".into()]));
        assert_eq!(names("ALTER TABLE s.t RENAME TO u"), Some(vec!["s.t".into()]));
    }

    #[test]
    fn work_of_alter_table_is_recognized() {
        let work =
            |statement: &str| relation_locks(statement).expect("the locks are known")[0].work;
        for (action, expected) in [
            ("ADD COLUMN a int", None),
            ("ADD COLUMN a int DEFAULT 1 NOT NULL", None),
            ("ADD COLUMN a uuid DEFAULT gen_random_uuid()", Some(Work::Rewrites)),
            ("ADD COLUMN a bigint GENERATED ALWAYS AS IDENTITY", Some(Work::Rewrites)),
            ("ADD COLUMN a bigserial", Some(Work::Rewrites)),
            ("ADD COLUMN a int CHECK (a > 0)", Some(Work::Scans)),
            ("ALTER a TYPE bigint, VALIDATE CONSTRAINT c", Some(Work::Rewrites)),
            ("ALTER a SET NOT NULL", Some(Work::Scans)),
            ("ADD CONSTRAINT c CHECK (a > 0)", Some(Work::Scans)),
            ("ADD CONSTRAINT c CHECK (a > 0) NOT VALID", None),
            ("ADD CONSTRAINT c PRIMARY KEY USING INDEX i", None),
            ("DROP COLUMN a", None),
        ] {
            assert_eq!(work(&format!("ALTER TABLE s.t {action}")), expected, "{action}");
        }
        assert_eq!(work("TRUNCATE s.t"), Some(Work::Empties));
        assert_eq!(work("VACUUM (FULL) s.t"), Some(Work::Rewrites));
        assert_eq!(work("VACUUM s.t"), None);
        assert!(relation_locks("DROP TABLE s.t CASCADE").expect("the locks are known")[0].cascades);
    }
}
