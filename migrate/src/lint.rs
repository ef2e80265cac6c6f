//! What is wrong, or dangerous, with the SQL of a project, as far as its text shows.
//!
//! The rules are squawk's (squawkhq.com/docs/rules) as [`CHOICES`] has them, and our own for what
//! the runner or PostgreSQL would refuse. A finding that is meant to be is silenced on the line
//! before it, or at the end of its line, or with `squawk-ignore-file` for all of the file:
//!
//! ```sql
//! -- squawk-ignore prefer-bigint-over-int -- it counts changes, of one row
//! ```

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use squawk_lexer::{TokenKind, tokenize};
use squawk_linter::{Linter, LinterSettings, Rule, Violation};
use squawk_syntax::ast::AstNode;
use squawk_syntax::{Parse, SourceFile, SyntaxKind};

use crate::project::{Project, Script};
use crate::refusal::{Refusal, refusal};
use crate::statements::{Kind, Statement, split};
use crate::touches::{self, Work};

/// The oldest PostgreSQL that the migrations have to run on.
const OLDEST_POSTGRES: &str = "15";

/// Something to be mended, or to be silenced with a reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The file, in the project's folder.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The rule's name.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, line, column, rule, message, help } = self;
        write!(f, "{file}:{line}:{column}: {message} [{rule}]")?;
        help.iter().try_for_each(|help| write!(f, "\n  {help}"))
    }
}

/// Looks at every migration, in both directions, and at the roles and seeds.
pub fn lint(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(roles) = &project.roles {
        findings.extend(check("roles.sql", roles, Purpose::Data));
    }
    for migration in &project.migrations {
        findings.extend(lint_script(&migration.up, false));
        findings.extend(migration.down.iter().flat_map(|down| lint_script(down, true)));
    }
    for seed in &project.seeds {
        findings.extend(check(&format!("seeds/{}.sql", seed.name), &seed.text, Purpose::Data));
    }
    findings
}

/// Looks at one direction of a migration.
pub(crate) fn lint_script(script: &Script, down: bool) -> Vec<Finding> {
    let Script { file, sql, transactional } = script;
    let purpose = Purpose::Migration { down, transactional: *transactional };
    check(&format!("migrations/{file}"), sql, purpose)
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// A direction of a migration.
    Migration { down: bool, transactional: bool },
    /// Roles or seeds: one transaction, and no schema of it to be judged.
    Data,
}

impl Purpose {
    fn transactional(self) -> bool {
        !matches!(self, Purpose::Migration { transactional: false, .. })
    }
}

/// Where a rule of squawk's counts.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Nowhere,
    Everywhere,
    /// In what applies a migration, not in what undoes it.
    Up,
    /// In a file that is no transaction and applies a migration.
    UpSteps,
}

/// Where we differ from squawk's defaults, and why. A rule that it leaves off is here in any case.
///
/// What it has on by default and is not here counts everywhere: what reads or rewrites a table
/// under a lock, and types that are hard to change later.
const CHOICES: &[(Rule, In, &str)] = &[
    // What the runner does itself.
    (Rule::RequireLockTimeout, In::Nowhere, "the runner sets it for every session"),
    (Rule::RequireStatementTimeout, In::Nowhere, "the runner sets it for every session"),
    (Rule::TransactionNesting, In::Nowhere, "`transaction-control` knows what the runner refuses"),
    (Rule::BanUncommittedTransaction, In::Nowhere, "`transaction-control` has said so at BEGIN"),
    (
        Rule::BanConcurrentIndexCreationInTransaction,
        In::Nowhere,
        "`not-in-transaction` knows more such statements, and a file of one statement",
    ),
    (
        Rule::PreferRobustStmts,
        In::UpSteps,
        "a transaction is repeated from nothing; a step is repeated when the connection is lost \
         before it is on record",
    ),
    // What would break the pods of the release before. An undo takes away on purpose.
    (Rule::BanDropColumn, In::Up, "an undo takes away"),
    (Rule::BanDropTable, In::Up, "an undo takes away"),
    (Rule::BanDropView, In::Up, "an undo takes away"),
    (Rule::BanDropFunction, In::Up, "an undo takes away"),
    (Rule::BanDropType, In::Up, "an undo takes away"),
    (Rule::BanDropDomain, In::Up, "an undo takes away"),
    (Rule::BanDropSchema, In::Up, "an undo takes away"),
    (Rule::BanDropSequence, In::Up, "an undo takes away"),
    (Rule::BanDropExtension, In::Up, "an undo takes away"),
    (Rule::BanDropDefault, In::Up, "an undo takes away"),
    (Rule::BanDropConstraint, In::Up, "an undo takes away"),
    (Rule::BanDropNotNull, In::Up, "an undo takes away"),
    (Rule::BanDropGeneratedExpression, In::Up, "an undo takes away"),
    (Rule::BanDropTrigger, In::Up, "pods may rely on what it does"),
    (Rule::BanDisableTrigger, In::Up, "pods may rely on what it does"),
    (Rule::BanDropPolicy, In::Up, "pods may see other rows"),
    (Rule::BanCreatePolicy, In::Up, "pods may see other rows"),
    (Rule::BanAlterPolicyCondition, In::Up, "pods may see other rows"),
    (Rule::BanAlterPolicyRoles, In::Up, "pods may see other rows"),
    (Rule::BanAlterRowLevelSecurity, In::Up, "pods may see other rows"),
    (Rule::BanDetachInheritance, In::Up, "pods may see other rows"),
    (Rule::BanRevoke, In::Up, "pods may need the right"),
    (Rule::RenamingColumn, In::Up, "an undo gives back the old name"),
    (Rule::RenamingTable, In::Up, "an undo gives back the old name"),
    (Rule::RenamingObject, In::Up, "an undo gives back the old name"),
    (Rule::BanSetSchema, In::Up, "an undo gives back the old name"),
    (Rule::BanAlterIdentity, In::Up, "an undo gives back the old one"),
    (Rule::BanAlterSequenceValues, In::Up, "numbers may come twice"),
    // What squawk leaves off, and is worth having.
    (Rule::RequireTableSchema, In::Everywhere, "the search_path is empty"),
    (Rule::BanAlterGeneratedExpression, In::Everywhere, "it rewrites the table under a lock"),
    (Rule::BanAlterRoleOptions, In::Everywhere, "roles belong to the server: see roles.sql"),
    (Rule::BanAlterDatabaseOptions, In::Everywhere, "they belong to who runs the database"),
    (Rule::BanAlterSystemOptions, In::Everywhere, "they belong to who runs the server"),
    (Rule::BanAlterExtension, In::Everywhere, "it belongs to who runs the server"),
    // What would need to be silenced each time that it is used as it is meant to be.
    (Rule::RequireEnumValueOrdering, In::Nowhere, "at the end is where a new value belongs"),
    (Rule::BanAddEnumValue, In::Nowhere, "this is how an enum grows"),
    (Rule::BanAddCompositeAttribute, In::Nowhere, "this is how a type grows"),
    (Rule::BanAddColumn, In::Nowhere, "this is how a table grows"),
    (Rule::BanReplaceViewFunction, In::Nowhere, "this is how a function is mended"),
    (Rule::BanAlterFunctionOptions, In::Nowhere, "this is how a function is mended"),
    (Rule::BanAlterViewOptions, In::Nowhere, "this is how a view is mended"),
    (Rule::BanSetDefault, In::Nowhere, "a new default is for new rows"),
    (Rule::BanDropIndex, In::Nowhere, "nothing breaks; the lock has a rule of its own"),
    (Rule::BanReplicaIdentity, In::Nowhere, "it is for subscribers, who are not pods"),
    (
        Rule::BanNewWriteRestriction,
        In::Nowhere,
        "any constraint is one; those that lock for long have rules of their own",
    ),
];

/// Our own rules.
const OWN: [&str; 12] = [
    "syntax-error",
    "transaction-control",
    "session-setting",
    "local-setting",
    "not-in-transaction",
    "discard-all",
    "unnamed-index",
    "copy-from-client",
    "no-transaction",
    "unknown-rule",
    "unexplained-ignore",
    "unused-ignore",
];

/// A finding before it has a file.
struct Problem {
    /// Where, in bytes.
    at: usize,
    rule: String,
    message: String,
    help: Option<String>,
}

impl Problem {
    fn new(at: usize, rule: &str, message: impl Into<String>) -> Problem {
        Problem { at, rule: rule.to_owned(), message: message.into(), help: None }
    }

    fn help(self, help: &str) -> Problem {
        Problem { help: Some(help.to_owned()), ..self }
    }
}

fn check(file: &str, sql: &str, purpose: Purpose) -> Vec<Finding> {
    let muted = mute(sql);
    let parse = SourceFile::parse(&muted);
    let mut problems: Vec<Problem> = parse.errors().iter().map(syntax_error).collect();
    problems.extend(split(sql).iter().filter_map(|one| refused(sql, one, purpose.transactional())));
    problems.extend(misplaced_no_transaction(sql, purpose));
    if let Purpose::Migration { down, transactional } = purpose {
        problems.extend(squawk(&parse, &muted, down, transactional));
    }
    let mut problems = silence(sql, problems);
    problems.sort_by_key(|problem| problem.at);
    problems.into_iter().map(|problem| finding(file, sql, problem)).collect()
}

fn finding(file: &str, sql: &str, problem: Problem) -> Finding {
    let Problem { at, rule, message, help } = problem;
    let before = &sql[..sql.floor_char_boundary(at)];
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    Finding { file: file.to_owned(), line: line_of(sql, at), column, rule, message, help }
}

fn line_of(sql: &str, at: usize) -> usize {
    1 + sql.as_bytes()[..at.min(sql.len())].iter().filter(|&&byte| byte == b'\n').count()
}

/// A newer PostgreSQL may know more than squawk: the runner does not refuse such a file.
fn syntax_error(error: &squawk_syntax::syntax_error::SyntaxError) -> Problem {
    Problem::new(usize::from(error.range().start()), "syntax-error", error.message())
}

/// What the runner refuses, and what it puts right although it looks like something else.
fn refused(sql: &str, statement: &Statement<'_>, transactional: bool) -> Option<Problem> {
    let at = statement.text.as_ptr().addr() - sql.as_ptr().addr();
    let kind = statement.kind();
    if let Some(Refusal { rule, message, help }) = refusal(&kind, transactional) {
        return Some(Problem::new(at, rule, message).help(help));
    }
    (transactional && kind == Kind::SessionSetting).then(|| {
        let message = "A setting of the session is taken back when the file ends.";
        Problem::new(at, "session-setting", message).help("Say `SET LOCAL`.")
    })
}

/// The line counts where a migration begins, and written like this: else it is a comment.
fn misplaced_no_transaction(sql: &str, purpose: Purpose) -> Option<Problem> {
    let is_meant = |&(_, comment): &(usize, &str)| {
        comment.trim_start_matches('-').trim().eq_ignore_ascii_case("no-transaction")
    };
    let (at, _) = comments(sql).find(is_meant).filter(|_| purpose.transactional())?;
    let help = "It has to be the first line of a migration: `-- no-transaction`.";
    Some(Problem::new(at, "no-transaction", "This has no effect here.").help(help))
}

/// What squawk says, without what is about a table that the file itself has made.
fn squawk(
    parse: &Parse<SourceFile>,
    sql: &str,
    down: bool,
    transactional: bool,
) -> impl Iterator<Item = Problem> + use<> {
    let counts = |place: In| match place {
        In::Nowhere => false,
        In::Everywhere => true,
        In::Up => !down,
        In::UpSteps => !down && !transactional,
    };
    let (on, off): (Vec<_>, Vec<_>) = CHOICES.iter().partition(|choice| counts(choice.1));
    let rules = |choices: Vec<&(Rule, In, &str)>| -> Vec<Rule> {
        choices.into_iter().map(|choice| choice.0).collect()
    };
    let mut linter = Linter::with_rules(&rules(on), &rules(off));
    linter.settings = LinterSettings {
        pg_version: OLDEST_POSTGRES.parse().expect("it is a version"),
        assume_in_transaction: transactional,
    };
    let mut violations = linter.lint(parse, sql);
    let new = on_new_tables(parse);
    violations.retain(|violation| {
        is_about_definition(violation.code)
            || !new.iter().any(|range| range.contains(&violation.text_range.start().into()))
    });
    violations.into_iter().map(|violation| {
        let Violation { code, message, text_range, help, .. } = violation;
        let at = usize::from(text_range.start());
        Problem { help, ..Problem::new(at, &code.to_string(), message) }
    })
}

/// Whether the rule is about what something is, not about what happens to those who use it.
fn is_about_definition(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::PreferBigintOverInt
            | Rule::PreferBigintOverSmallint
            | Rule::PreferIdentity
            | Rule::PreferTextField
            | Rule::PreferTimestampTz
            | Rule::PreferRobustStmts
            | Rule::BanCharField
            | Rule::IdentifierTooLong
            | Rule::RequireTableSchema
    )
}

/// Where the statements are that change a table which the file has made before: it is empty, and
/// nobody uses it yet.
fn on_new_tables(parse: &Parse<SourceFile>) -> Vec<Range<usize>> {
    let (mut made, mut ranges) = (Vec::new(), Vec::new());
    for statement in parse.tree().stmts() {
        let node = statement.syntax();
        let touches = touches::of_statement(node).unwrap_or_default();
        let (new, old): (Vec<_>, Vec<_>) =
            touches.into_iter().partition(|touch| touch.work == Some(Work::Creates));
        if old.first().is_some_and(|first| made.contains(&first.relation)) {
            let range = node.text_range();
            ranges.push(range.start().into()..range.end().into());
        }
        if !node.children().any(|child| child.kind() == SyntaxKind::IF_NOT_EXISTS) {
            made.extend(new.into_iter().map(|touch| touch.relation));
        }
    }
    ranges
}

/// The comments from `--` to the end of their lines, and where they are.
fn comments(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut end = 0;
    tokenize(sql).filter_map(move |token| {
        let start = end;
        end += token.len as usize;
        (token.kind == TokenKind::LineComment).then(|| (start, &sql[start..end]))
    })
}

/// The same text, of the same length, in which squawk finds no comment that is for it: it takes
/// ignores without a reason, and does not tell which of them were of use.
fn mute(sql: &str) -> String {
    let mut muted = String::with_capacity(sql.len());
    let mut start = 0;
    for token in tokenize(sql) {
        let text = &sql[start..start + token.len as usize];
        start += text.len();
        match token.kind {
            TokenKind::LineComment | TokenKind::BlockComment { .. } => {
                muted.push_str(&text.replace("squawk-", "SQUAWK-"));
            }
            _ => muted.push_str(text),
        }
    }
    muted
}

/// A comment that silences rules.
struct Ignore<'a> {
    at: usize,
    /// The line that it is about; all of the file without.
    line: Option<usize>,
    rules: Vec<&'a str>,
    explained: bool,
}

fn ignores(sql: &str) -> impl Iterator<Item = Ignore<'_>> {
    comments(sql).filter_map(|(at, comment)| {
        let rest = comment.trim_start_matches('-').trim_start().strip_prefix("squawk-ignore")?;
        let (rest, whole_file) = match rest.strip_prefix("-file") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (rules, reason) = rest.split_once("--").unwrap_or((rest, ""));
        let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect();
        let line = (!whole_file).then(|| line_meant(sql, at));
        Some(Ignore { at, line, rules, explained: !reason.trim().is_empty() })
    })
}

/// The line that a comment is about: its own when it follows something, else the next one that is
/// more than a comment.
fn line_meant(sql: &str, at: usize) -> usize {
    let own = line_of(sql, at);
    if !sql[..at].rsplit('\n').next().unwrap_or_default().trim().is_empty() {
        return own;
    }
    let after = sql.lines().enumerate().skip(own);
    let mut code =
        after.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("--"));
    code.next().map_or(own, |(index, _)| index + 1)
}

/// Takes out what is silenced, and puts in what is wrong with the silencing.
fn silence(sql: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut wrong = Vec::new();
    for Ignore { at, line, rules, explained } in ignores(sql) {
        if !explained || rules.is_empty() {
            let message = "An ignore says which rules it is about, and why.";
            let help = "-- squawk-ignore <rule>, <rule> -- <reason>";
            wrong.push(Problem::new(at, "unexplained-ignore", message).help(help));
        }
        for rule in rules {
            if !OWN.contains(&rule) && Rule::try_from(rule).is_err() {
                wrong.push(Problem::new(at, "unknown-rule", format!("There is no rule {rule}.")));
                continue;
            }
            let before = problems.len();
            problems.retain(|problem| {
                let is_meant = line.is_none_or(|line| line == line_of(sql, problem.at));
                !(is_meant && problem.rule == rule)
            });
            if problems.len() == before {
                let message = format!("{rule} finds nothing here.");
                wrong.push(Problem::new(at, "unused-ignore", message));
            }
        }
    }
    problems.extend(wrong);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sql: &str, down: bool) -> Vec<String> {
        let transactional = !sql.starts_with("-- no-transaction");
        let script = Script { file: "a.sql".into(), sql: sql.into(), transactional };
        lint_script(&script, down).into_iter().map(|finding| finding.rule).collect()
    }

    fn up(sql: &str) -> Vec<String> {
        rules(sql, false)
    }

    #[test]
    fn our_own_migrations_are_clean() {
        let findings = lint(&Project::built_in());
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", text.join("\n"));
    }

    #[test]
    fn each_choice_is_made_once() {
        for (index, (rule, ..)) in CHOICES.iter().enumerate() {
            assert!(!CHOICES[..index].iter().any(|(other, ..)| other == rule), "{rule}");
        }
    }

    #[test]
    fn a_finding_says_where_and_what_to_do() {
        let sql = "SELECT 1;\n/* é */ COMMIT;";
        let script = Script { file: "7_x.sql".into(), sql: sql.into(), transactional: true };
        let findings = lint_script(&script, false);
        let text = "migrations/7_x.sql:2:9: The file runs in one transaction, which this would end. \
                    [transaction-control]\n  Take it out, or begin the file with the line \
                    `-- no-transaction`.";
        assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
    }

    #[test]
    fn what_the_runner_or_postgresql_refuses_is_found() {
        for (sql, expected) in [
            ("BEGIN; SELECT 1; COMMIT", vec!["transaction-control", "transaction-control"]),
            ("SAVEPOINT a; ROLLBACK TO a", vec![]),
            ("-- no-transaction\nROLLBACK", vec!["transaction-control"]),
            ("SET search_path = s", vec!["session-setting"]),
            ("SET LOCAL lock_timeout = 0", vec![]),
            ("-- no-transaction\nSET lock_timeout = 0", vec![]),
            ("-- no-transaction\nSET LOCAL lock_timeout = 0", vec!["local-setting"]),
            ("VACUUM s.t", vec!["not-in-transaction"]),
            ("-- no-transaction\nVACUUM s.t", vec![]),
            ("CREATE INDEX CONCURRENTLY i ON s.t (a)", vec!["not-in-transaction"]),
            ("-- no-transaction\nCREATE INDEX CONCURRENTLY ON s.t (a)", vec!["unnamed-index"]),
            ("-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a)", vec![]),
            ("-- no-transaction\nDISCARD ALL", vec!["discard-all"]),
            ("COPY s.t FROM STDIN", vec!["copy-from-client"]),
            ("COPY s.t FROM '/a'", vec![]),
            ("SELECT 1;\n-- no-transaction\nSELECT 2", vec!["no-transaction"]),
            ("--no-transaction\nSELECT 2", vec!["no-transaction"]),
            ("SELECT 1 +", vec!["syntax-error"]),
        ] {
            assert_eq!(up(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_locks_or_breaks_is_found_in_tables_that_exist() {
        for (sql, expected) in [
            ("CREATE INDEX i ON s.t (a)", vec!["require-concurrent-index-creation"]),
            ("ALTER TABLE s.t DROP COLUMN a", vec!["ban-drop-column"]),
            ("ALTER TABLE s.t ALTER a SET NOT NULL", vec!["adding-not-nullable-field"]),
            ("ALTER TABLE s.t RENAME TO u", vec!["renaming-table"]),
            ("DROP TABLE t", vec!["ban-drop-table", "require-table-schema"]),
            ("CREATE TABLE s.t (a serial)", vec!["prefer-bigint-over-int", "prefer-identity"]),
            ("ALTER TABLE s.t ADD COLUMN a text", vec![]),
            ("ALTER ROLE r NOLOGIN", vec!["ban-alter-role-options"]),
        ] {
            let mut found = up(sql);
            found.sort();
            assert_eq!(found, expected, "{sql}");
        }
        let new = "CREATE TABLE s.t (a bigint, b bigint);
            CREATE INDEX i ON s.t (a);
            ALTER TABLE s.t ADD CONSTRAINT t_pkey PRIMARY KEY (a);
            ALTER TABLE s.t ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES s.u (id);
            ALTER TABLE s.t ALTER b SET NOT NULL;";
        assert!(up(new).is_empty(), "{:?}", up(new));
        let maybe = "CREATE TABLE IF NOT EXISTS s.t (a text); ALTER TABLE s.t ALTER a SET NOT NULL";
        assert_eq!(up(maybe), ["adding-not-nullable-field"]);
    }

    #[test]
    fn an_undo_may_take_away() {
        assert!(rules("DROP TABLE s.t; ALTER TABLE s.u DROP COLUMN a", true).is_empty());
        assert_eq!(rules("DROP TABLE t", true), ["require-table-schema"]);
    }

    #[test]
    fn only_steps_have_to_be_repeatable() {
        assert!(up("CREATE TABLE s.t (a bigint)").is_empty());
        let steps = "-- no-transaction\nCREATE TABLE s.t (a bigint)";
        assert_eq!(up(steps), ["prefer-robust-stmts"]);
    }

    #[test]
    fn an_ignore_needs_a_reason_and_a_use() {
        let drop = "ALTER TABLE s.t DROP COLUMN a;";
        let with = |comment: &str| up(&format!("{comment}\n{drop}"));
        assert!(with("-- squawk-ignore ban-drop-column -- unused since 1.2").is_empty());
        assert!(with("-- squawk-ignore ban-drop-column -- so\n-- and so\n").is_empty());
        assert!(with("-- squawk-ignore-file ban-drop-column -- so\nSELECT 1;").is_empty());
        assert!(up(&format!("{drop} -- squawk-ignore ban-drop-column -- so")).is_empty());
        for (comment, expected) in [
            ("-- squawk-ignore ban-drop-column", vec!["unexplained-ignore"]),
            ("-- squawk-ignore ban-drop-column --", vec!["unexplained-ignore"]),
            ("-- squawk-ignore -- so", vec!["unexplained-ignore", "ban-drop-column"]),
            ("-- squawk-ignore ban-drop-colum -- so", vec!["unknown-rule", "ban-drop-column"]),
            ("-- squawk-ignore ban-drop-table -- so", vec!["unused-ignore", "ban-drop-column"]),
            (
                "-- squawk-ignore ban-drop-column -- so\nSELECT 1;",
                vec!["unused-ignore", "ban-drop-column"],
            ),
            ("/* squawk-ignore ban-drop-column */", vec!["ban-drop-column"]),
        ] {
            assert_eq!(with(comment), expected, "{comment}");
        }
        assert!(up("COMMIT; -- squawk-ignore transaction-control -- so").is_empty());
        // squawk's own switch does not turn off what we know better.
        let switch = "-- squawk-disable-assume-in-transaction\nCREATE TABLE s.t (a bigint)";
        assert!(up(switch).is_empty());
    }
}
