//! The files in which each rule applies.

use squawk_linter::Rule;

/// The names of the rules that are not squawk's.
pub(super) const OWN_RULES: [&str; 13] = [
    "syntax-error",
    "transaction-control",
    "session-setting",
    "local-setting",
    "not-in-transaction",
    "discard-all",
    "unnamed-index",
    "copy-from-client",
    "psql-command",
    "no-transaction",
    "unknown-rule",
    "unexplained-ignore",
    "unused-ignore",
];

/// The files in which a rule of squawk applies.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scope {
    Nowhere,
    Everywhere,
    /// Up migrations.
    Up,
    /// Up migrations without a transaction.
    UpSteps,
}

/// The reason why a rule against dropping objects does not apply to down migrations.
const DOWN_DROPS: &str = "a down migration drops what the up migration has created";

/// The rules that differ from squawk's defaults, with the reason. Includes every rule that squawk
/// disables by default.
///
/// Rules that squawk enables and that are not listed apply everywhere: against scans and rewrites
/// under a strong lock, and against types that are hard to change later.
pub(super) const RULE_SCOPES: &[(Rule, Scope, &str)] = &[
    // Covered by the runner.
    (Rule::RequireLockTimeout, Scope::Nowhere, "the runner sets it for every session"),
    (Rule::RequireStatementTimeout, Scope::Nowhere, "the runner sets it for every session"),
    (Rule::TransactionNesting, Scope::Nowhere, "covered by `transaction-control`"),
    (Rule::BanUncommittedTransaction, Scope::Nowhere, "`transaction-control` reports the BEGIN"),
    (
        Rule::BanConcurrentIndexCreationInTransaction,
        Scope::Nowhere,
        "`not-in-transaction` covers more statements, and files with a single one",
    ),
    (
        Rule::PreferRobustStmts,
        Scope::UpSteps,
        "a failed transaction leaves nothing behind; a step is repeated if the connection is lost \
         before its record is written",
    ),
    // Changes that break pods of the previous release.
    (Rule::BanDropColumn, Scope::Up, DOWN_DROPS),
    (Rule::BanDropTable, Scope::Up, DOWN_DROPS),
    (Rule::BanDropView, Scope::Up, DOWN_DROPS),
    (Rule::BanDropFunction, Scope::Up, DOWN_DROPS),
    (Rule::BanDropType, Scope::Up, DOWN_DROPS),
    (Rule::BanDropDomain, Scope::Up, DOWN_DROPS),
    (Rule::BanDropSchema, Scope::Up, DOWN_DROPS),
    (Rule::BanDropSequence, Scope::Up, DOWN_DROPS),
    (Rule::BanDropExtension, Scope::Up, DOWN_DROPS),
    (Rule::BanDropDefault, Scope::Up, DOWN_DROPS),
    (Rule::BanDropConstraint, Scope::Up, DOWN_DROPS),
    (Rule::BanDropNotNull, Scope::Up, DOWN_DROPS),
    (Rule::BanDropGeneratedExpression, Scope::Up, DOWN_DROPS),
    (Rule::BanDropTrigger, Scope::Up, "pods may rely on its effect"),
    (Rule::BanDisableTrigger, Scope::Up, "pods may rely on its effect"),
    (Rule::BanDropPolicy, Scope::Up, "changes which rows pods see"),
    (Rule::BanCreatePolicy, Scope::Up, "changes which rows pods see"),
    (Rule::BanAlterPolicyCondition, Scope::Up, "changes which rows pods see"),
    (Rule::BanAlterPolicyRoles, Scope::Up, "changes which rows pods see"),
    (Rule::BanAlterRowLevelSecurity, Scope::Up, "changes which rows pods see"),
    (Rule::BanDetachInheritance, Scope::Up, "changes which rows pods see"),
    (Rule::BanRevoke, Scope::Up, "pods may need the privilege"),
    (Rule::RenamingColumn, Scope::Up, "a down migration restores the old name"),
    (Rule::RenamingTable, Scope::Up, "a down migration restores the old name"),
    (Rule::RenamingObject, Scope::Up, "a down migration restores the old name"),
    (Rule::BanSetSchema, Scope::Up, "a down migration restores the old name"),
    (Rule::BanAlterIdentity, Scope::Up, "a down migration restores the old identity"),
    (Rule::BanAlterSequenceValues, Scope::Up, "the sequence may return values again"),
    // Disabled by squawk, enabled here.
    (Rule::RequireTableSchema, Scope::Everywhere, "the search_path is empty"),
    (Rule::BanAlterGeneratedExpression, Scope::Everywhere, "it rewrites the table under a lock"),
    (Rule::BanAlterRoleOptions, Scope::Everywhere, "roles belong to the server: see roles.sql"),
    (Rule::BanAlterDatabaseOptions, Scope::Everywhere, "left to the operator of the database"),
    (Rule::BanAlterSystemOptions, Scope::Everywhere, "left to the operator of the server"),
    (Rule::BanAlterExtension, Scope::Everywhere, "left to the operator of the server"),
    // Rules that would reject every regular use.
    (Rule::RequireEnumValueOrdering, Scope::Nowhere, "a new value belongs at the end"),
    (Rule::BanAddEnumValue, Scope::Nowhere, "backward-compatible"),
    (Rule::BanAddCompositeAttribute, Scope::Nowhere, "backward-compatible"),
    (Rule::BanAddColumn, Scope::Nowhere, "backward-compatible"),
    (Rule::BanReplaceViewFunction, Scope::Nowhere, "the way to fix a function"),
    (Rule::BanAlterFunctionOptions, Scope::Nowhere, "the way to fix a function"),
    (Rule::BanAlterViewOptions, Scope::Nowhere, "the way to fix a view"),
    (Rule::BanSetDefault, Scope::Nowhere, "a new default affects new rows only"),
    (Rule::BanDropIndex, Scope::Nowhere, "compatible; another rule covers the lock"),
    (Rule::BanReplicaIdentity, Scope::Nowhere, "affects logical replication, not pods"),
    (
        Rule::BanNewWriteRestriction,
        Scope::Nowhere,
        "every constraint is one; other rules cover those that lock for long",
    ),
];

/// Returns whether a rule concerns a definition itself, rather than existing rows and concurrent
/// sessions. Such a rule applies to new tables too.
pub(super) fn is_about_definition(rule: Rule) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_listed_once() {
        for (index, (rule, ..)) in RULE_SCOPES.iter().enumerate() {
            assert!(!RULE_SCOPES[..index].iter().any(|(other, ..)| other == rule), "{rule}");
        }
    }
}
