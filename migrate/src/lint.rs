//! `migrate lint`: reports invalid or unsafe SQL without a database.
//!
//! The rules are those of squawk (squawkhq.com/docs/rules) with the scopes of [`RULE_SCOPES`], and
//! a few more for statements that the runner or PostgreSQL rejects. A comment suppresses a finding
//! on the next line, or at the end of its own line; `squawk-ignore-file` applies to the whole file:
//!
//! ```sql
//! -- squawk-ignore prefer-bigint-over-int -- counts the changes of a single row
//! ```

mod ignores;
mod rules;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use squawk_linter::{Linter, LinterSettings, Rule, Violation};
use squawk_syntax::ast::AstNode;
use squawk_syntax::{Parse, SourceFile, SyntaxKind, SyntaxNode};

use migrations::sql::{
    NameChange, Rejection, RelationName, Statement, StatementKind, comments, name_change,
    rejection, split, without_psql_lines,
};
use migrations::{Project, Script};

use crate::relation_locks::{RelationLock, Work, locks_of};
use ignores::{Ignore, ignores, mask_squawk_comments};
use rules::{OWN_RULES, RULE_SCOPES, Scope, is_about_definition};

/// The oldest supported major version of PostgreSQL.
const OLDEST_POSTGRES: &str = "15";

/// A problem in a file, to be fixed or suppressed with a reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The path of the file in the project folder.
    pub file: String,
    /// The 1-based line.
    pub line: usize,
    /// The 1-based position in the line, in characters.
    pub column: usize,
    /// The name of the rule.
    pub rule: String,
    /// The problem.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { file, line, column, rule, message, help } = self;
        write!(f, "{file}:{line}:{column}: {message} [{rule}]")?;
        help.iter().try_for_each(|help| write!(f, "\n  {help}"))
    }
}

/// Checks the up and down files of every migration, the roles and the seeds.
pub fn lint(project: &Project) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(roles) = &project.roles {
        findings.extend(check("roles.sql", roles, Purpose::Data));
    }
    for migration in &project.migrations {
        findings.extend(lint_script(project, &migration.up, false));
        findings.extend(migration.down.iter().flat_map(|down| lint_script(project, down, true)));
    }
    for seed in &project.seeds {
        findings.extend(check(&format!("seeds/{}.sql", seed.name), &seed.text, Purpose::Data));
    }
    findings
}

/// Checks one file of a migration.
pub(crate) fn lint_script(project: &Project, script: &Script, down: bool) -> Vec<Finding> {
    let Script { file, sql, transactional } = script;
    let purpose = Purpose::Migration { down, transactional: *transactional };
    let mut findings = check(&format!("migrations/{file}"), sql, purpose);
    let needs_schema = Rule::RequireTableSchema.to_string();
    findings.retain(|finding| !project.has_search_path || finding.rule != needs_schema);
    findings
}

/// The purpose of a file.
#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    /// A file of a migration.
    Migration { down: bool, transactional: bool },
    /// Roles or seeds, which run in one transaction. The rules of squawk do not apply to them.
    Data,
}

impl Purpose {
    fn transactional(self) -> bool {
        !matches!(self, Purpose::Migration { transactional: false, .. })
    }
}

/// A finding without its file.
struct Problem {
    /// The offset in bytes.
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
    let masked = mask_squawk_comments(&without_psql_lines(sql));
    let parse = SourceFile::parse(&masked);
    let mut problems: Vec<Problem> = parse.errors().iter().map(syntax_error).collect();
    problems.extend(
        split(sql).iter().filter_map(|statement| rejected(sql, statement, purpose.transactional())),
    );
    problems.extend(misplaced_no_transaction(sql, purpose));
    if let Purpose::Migration { down, transactional } = purpose {
        problems.extend(squawk(&parse, &masked, down, transactional));
    }
    let mut problems = apply_ignores(sql, problems);
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

/// Converts a syntax error of squawk's parser. The runner accepts such a file, because a newer
/// PostgreSQL may support syntax that the parser does not.
fn syntax_error(error: &squawk_syntax::syntax_error::SyntaxError) -> Problem {
    Problem::new(usize::from(error.range().start()), "syntax-error", error.message())
}

/// Reports statements that the runner rejects, and settings that it resets.
fn rejected(sql: &str, statement: &Statement<'_>, transactional: bool) -> Option<Problem> {
    let at = statement.text.as_ptr().addr() - sql.as_ptr().addr();
    let kind = statement.kind();
    if let Some(Rejection { rule, message, help }) = rejection(&kind, transactional) {
        return Some(Problem::new(at, rule, message).help(help));
    }
    (transactional && kind == StatementKind::SessionSetting).then(|| {
        let message = "The runner resets session settings at the end of the file.";
        Problem::new(at, "session-setting", message).help("Use `SET LOCAL`.")
    })
}

/// Reports a `-- no-transaction` that is not the exact first line of a migration.
fn misplaced_no_transaction(sql: &str, purpose: Purpose) -> Option<Problem> {
    let is_marker = |&(_, comment): &(usize, &str)| {
        comment.trim_start_matches('-').trim().eq_ignore_ascii_case("no-transaction")
    };
    let (at, _) = comments(sql).find(is_marker).filter(|_| purpose.transactional())?;
    let help = "It must be the first line of a migration: `-- no-transaction`.";
    Some(Problem::new(at, "no-transaction", "This has no effect here.").help(help))
}

/// Runs squawk, and drops findings about tables that the file has created.
fn squawk(
    parse: &Parse<SourceFile>,
    sql: &str,
    down: bool,
    transactional: bool,
) -> impl Iterator<Item = Problem> + use<> {
    let applies = |scope: Scope| match scope {
        Scope::Nowhere => false,
        Scope::Everywhere => true,
        Scope::Up => !down,
        Scope::UpSteps => !down && !transactional,
    };
    let (enabled, disabled): (Vec<_>, Vec<_>) =
        RULE_SCOPES.iter().partition(|(_, scope, _)| applies(*scope));
    let rules = |listed: Vec<&(Rule, Scope, &str)>| -> Vec<Rule> {
        listed.into_iter().map(|(rule, ..)| *rule).collect()
    };
    let (enabled, disabled) = (rules(enabled), rules(disabled));
    let violations = |parse: &Parse<SourceFile>, sql: &str| {
        let mut linter = Linter::with_rules(&enabled, &disabled);
        linter.settings = LinterSettings {
            pg_version: OLDEST_POSTGRES.parse().expect("the version is valid"),
            assume_in_transaction: transactional,
        };
        linter.lint(parse, sql)
    };
    // Squawk treats a table as new if the file has a CREATE TABLE of the same unqualified name, even
    // with IF NOT EXISTS. Without those statements, it reports every change of a table.
    let created = table_creations(parse);
    let new = changes_of_new_tables(parse);
    let is_in = |violation: &Violation, ranges: &[Range<usize>]| {
        ranges.iter().any(|range| range.contains(&violation.text_range.start().into()))
    };
    let rest = without(sql, &created);
    let mut found = violations(parse, sql);
    found.retain(|violation| is_about_definition(violation.code) || is_in(violation, &created));
    found.extend(violations(&SourceFile::parse(&rest), &rest).into_iter().filter(|violation| {
        !is_about_definition(violation.code)
            && !is_in(violation, &created)
            && !is_in(violation, &new)
    }));
    found.into_iter().map(|violation| {
        let Violation { code, message, text_range, help, .. } = violation;
        let at = usize::from(text_range.start());
        Problem { help, ..Problem::new(at, &code.to_string(), message) }
    })
}

/// Returns the ranges of statements that change a table created earlier in the file. Such a table
/// is empty and not in use.
fn changes_of_new_tables(parse: &Parse<SourceFile>) -> Vec<Range<usize>> {
    let (mut created, mut ranges) = (BTreeSet::new(), Vec::new());
    for statement in parse.tree().stmts() {
        let node = statement.syntax();
        let locks = locks_of(node).unwrap_or_default();
        let name = |lock: &RelationLock| RelationName::parse(&lock.relation);
        let (new, existing): (Vec<_>, Vec<_>) =
            locks.iter().partition(|lock| lock.work == Some(Work::Creates));
        if existing
            .first()
            .and_then(|first| name(first))
            .is_some_and(|name| created.contains(&name))
        {
            ranges.push(range_of(node));
        }
        for dropped in existing.iter().filter(|lock| lock.work == Some(Work::Removes)) {
            name(dropped).map(|name| created.remove(&name));
        }
        if !node.children().any(|child| child.kind() == SyntaxKind::IF_NOT_EXISTS) {
            created.extend(new.into_iter().filter_map(name));
        }
        match name_change(&node.text().to_string()) {
            // An unqualified name may denote another table from here on.
            Some(NameChange::SearchPath) => created.retain(|name| name.schema.is_some()),
            Some(NameChange::Rename(old, new)) => {
                // The new name may have denoted a table of this file that was dropped since.
                let new = RelationName { schema: old.schema.clone(), name: new };
                let is_new = created.remove(&old);
                created.remove(&new);
                created.extend(is_new.then_some(new));
            }
            Some(NameChange::SetSchema(old, schema)) => {
                let new = RelationName { schema: Some(schema), name: old.name.clone() };
                let is_new = created.remove(&old);
                created.remove(&new);
                created.extend(is_new.then_some(new));
            }
            _ => {}
        }
    }
    ranges
}

/// Returns the ranges of the statements that create a table.
fn table_creations(parse: &Parse<SourceFile>) -> Vec<Range<usize>> {
    let statements = parse.tree().stmts();
    let creations = statements.filter(|statement| {
        matches!(statement.syntax().kind(), SyntaxKind::CREATE_TABLE | SyntaxKind::CREATE_TABLE_AS)
    });
    creations.map(|statement| range_of(statement.syntax())).collect()
}

fn range_of(node: &SyntaxNode) -> Range<usize> {
    let range = node.text_range();
    range.start().into()..range.end().into()
}

/// Replaces these statements by an empty `SELECT` of the same length.
fn without(sql: &str, ranges: &[Range<usize>]) -> String {
    let mut rest = String::with_capacity(sql.len());
    let mut end = 0;
    for range in ranges {
        rest.push_str(&sql[end..range.start]);
        let ends_statement = sql[range.clone()].ends_with(';');
        let width = range.len() - usize::from(ends_statement);
        rest.push_str(&format!("{:width$}", "SELECT"));
        rest.push_str(if ends_statement { ";" } else { "" });
        end = range.end;
    }
    rest.push_str(&sql[end..]);
    rest
}

/// Removes suppressed problems, and reports ignore comments that are unexplained, unknown or unused.
fn apply_ignores(sql: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut added = Vec::new();
    for Ignore { at, line, rules, explained } in ignores(sql) {
        if !explained || rules.is_empty() {
            let message = "An ignore comment must name the rules and a reason.";
            let help = "-- squawk-ignore <rule>, <rule> -- <reason>";
            added.push(Problem::new(at, "unexplained-ignore", message).help(help));
        }
        for rule in rules {
            if !OWN_RULES.contains(&rule) && Rule::try_from(rule).is_err() {
                added.push(Problem::new(at, "unknown-rule", format!("There is no rule {rule}.")));
                continue;
            }
            let before = problems.len();
            problems.retain(|problem| {
                let is_in_scope = line.is_none_or(|line| line == line_of(sql, problem.at));
                !(is_in_scope && problem.rule == rule)
            });
            if problems.len() == before {
                let message = format!("{rule} finds nothing here.");
                added.push(Problem::new(at, "unused-ignore", message));
            }
        }
    }
    problems.extend(added);
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sql: &str, down: bool) -> Vec<String> {
        let transactional = !sql.starts_with("-- no-transaction");
        let script = Script { file: "a.sql".into(), sql: sql.into(), transactional };
        let project = Project::built_in();
        lint_script(&project, &script, down).into_iter().map(|finding| finding.rule).collect()
    }

    fn up(sql: &str) -> Vec<String> {
        rules(sql, false)
    }

    #[test]
    fn embedded_project_has_no_findings() {
        let findings = lint(&Project::built_in());
        let text: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{}", text.join("\n"));
    }

    #[test]
    fn finding_has_position_and_help() {
        let sql = "SELECT 1;\n/* é */ COMMIT;";
        let script = Script { file: "7_x.sql".into(), sql: sql.into(), transactional: true };
        let findings = lint_script(&Project::built_in(), &script, false);
        let text = "migrations/7_x.sql:2:9: This ends the transaction in which the file runs. \
                    [transaction-control]\n  Remove it, or begin the file with the line \
                    `-- no-transaction`.";
        assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
    }

    #[test]
    fn rejected_statements_are_reported() {
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
            ("COPY s.t FROM stdin;\nit's\t1\n\\.\nSELECT 1;", vec!["copy-from-client"]),
            ("\\restrict a1\nSELECT 1;\n\\unrestrict a1\n", vec![]),
            ("\\echo it's\nSELECT 1;", vec!["psql-command"]),
            ("COPY s.t FROM '/a'", vec![]),
            ("SELECT 1;\n-- no-transaction\nSELECT 2", vec!["no-transaction"]),
            ("--no-transaction\nSELECT 2", vec!["no-transaction"]),
            ("SELECT 1 +", vec!["syntax-error"]),
        ] {
            assert_eq!(up(sql), expected, "{sql}");
        }
    }

    #[test]
    fn unsafe_changes_are_reported_for_existing_tables_only() {
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
    fn table_that_may_exist_counts_as_existing() {
        let index = "CREATE INDEX i ON s.t (a)";
        let expected = ["require-concurrent-index-creation"];
        for before in [
            "CREATE TABLE IF NOT EXISTS s.t (a text)",
            "CREATE TABLE other.t (a text)",
            "CREATE TABLE s.\"T\" (a text)",
            "CREATE TABLE s.t (a text); DROP TABLE s.t",
            "CREATE TABLE s.t (a text); ALTER TABLE s.t SET SCHEMA u",
        ] {
            let mut found = up(&format!("{before}; {index}"));
            found.retain(|rule| expected.contains(&rule.as_str()));
            assert_eq!(found, expected, "{before}");
        }
        let path = "SET LOCAL search_path = a; CREATE TABLE t (a text);
            SET LOCAL search_path = b; CREATE INDEX i ON t (a)";
        assert!(up(path).contains(&expected[0].to_owned()), "{:?}", up(path));
        for (before, rule) in [
            ("CREATE TABLE S.\"t\" (a text)", None),
            ("CREATE TABLE s.u (a text); ALTER TABLE s.u RENAME TO t", Some("renaming-table")),
        ] {
            let mut found = up(&format!("{before}; {index}"));
            found.retain(|found| rule != Some(found.as_str()));
            assert!(found.is_empty(), "{before}: {found:?}");
        }
    }

    #[test]
    fn search_path_permits_names_without_schema() {
        let script = Script {
            file: "a.sql".to_owned(),
            sql: "CREATE TABLE t (a bigint); DROP TABLE u".to_owned(),
            transactional: true,
        };
        let project = Project { has_search_path: true, ..Project::built_in() };
        let rules: Vec<_> = lint_script(&project, &script, false);
        assert_eq!(rules.iter().map(|found| &*found.rule).collect::<Vec<_>>(), ["ban-drop-table"]);
    }

    #[test]
    fn down_migration_may_drop_objects() {
        assert!(rules("DROP TABLE s.t; ALTER TABLE s.u DROP COLUMN a", true).is_empty());
        assert_eq!(rules("DROP TABLE t", true), ["require-table-schema"]);
    }

    #[test]
    fn only_non_transactional_files_must_be_repeatable() {
        assert!(up("CREATE TABLE s.t (a bigint)").is_empty());
        let steps = "-- no-transaction\nCREATE TABLE s.t (a bigint)";
        assert_eq!(up(steps), ["prefer-robust-stmts"]);
    }

    #[test]
    fn ignore_comment_must_name_a_reason_and_match_a_finding() {
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
        // Squawk's own comments have no effect.
        let switch = "-- squawk-disable-assume-in-transaction\nCREATE TABLE s.t (a bigint)";
        assert!(up(switch).is_empty());
    }
}
