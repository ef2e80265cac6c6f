//! Every query of every store returns exactly one row, even when nothing matches: Spin 4.0 hangs on
//! a query without rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use http::Method;
use pg::PAGE;

use crate::support::{App, root};

/// Returns the source files that contain SQL.
fn stores(root: &Path) -> Vec<PathBuf> {
    let mut stores = Vec::new();
    for component in fs::read_dir(root.join("components")).expect("the folder exists") {
        let source = component.expect("an entry").path().join("src");
        stores.push(source.join("store.rs"));
        let modules = fs::read_dir(source.join("store")).into_iter().flatten();
        stores.extend(modules.map(|module| module.expect("an entry").path()));
    }
    stores.retain(|path| path.exists());
    stores.push(root.join("crates/orders/src/lib.rs"));
    stores
}

/// Returns the string constants of a file, in order. A constant is one literal, or a `concatcp!` or
/// `pg::page!` of literals and earlier constants. Names may repeat.
fn constants(source: &str) -> Vec<(&str, String)> {
    let mut constants: Vec<(&str, String)> = Vec::new();
    for item in source.split("const ").skip(1) {
        let Some((name, rest)) = item.split_once(": &str =") else { continue };
        let expression = rest.split(";\n").next().expect("a constant ends").trim();
        let value = match expression.strip_prefix("pg::page!(") {
            Some(arguments) => page(&values(arguments, &constants)),
            None => values(expression.trim_start_matches("concatcp!("), &constants).concat(),
        };
        constants.push((name, value));
    }
    constants
}

/// Returns the values of a list of literals and earlier constants.
fn values(list: &str, constants: &[(&str, String)]) -> Vec<String> {
    let mut values = Vec::new();
    // Odd parts are inside quotes; even parts hold names and commas.
    for (index, part) in list.split('"').enumerate() {
        if index % 2 == 1 {
            let mut lines = part.split("\\\n");
            let first = lines.next().unwrap_or_default().to_owned();
            values.push(lines.fold(first, |text, line| text + line.trim_start()));
            continue;
        }
        for word in part.split([',', ')']).map(str::trim).filter(|word| !word.is_empty()) {
            let known = constants.iter().find(|(known, _)| *known == word);
            values.push(known.unwrap_or_else(|| panic!("{word} is not a constant")).1.clone());
        }
    }
    values
}

/// Composes the statement of a page as `pg::page!` does.
fn page(arguments: &[String]) -> String {
    let [columns, rows, key] = arguments else { panic!("page! of {arguments:?}") };
    let parts = [PAGE[0], key, PAGE[1], columns, PAGE[2], rows, PAGE[3], key, PAGE[4]];
    parts.concat()
}

/// Returns the statements of a file: the constants that begin with an SQL verb and are complete.
fn statements(path: &Path) -> Vec<String> {
    let source = fs::read_to_string(path).expect("the file is readable");
    let is_statement = |sql: &String| {
        ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "]
            .iter()
            .any(|verb| sql.starts_with(verb))
            && !sql.ends_with(' ')
    };
    constants(&source).into_iter().map(|(_, value)| value).filter(is_statement).collect()
}

/// Replaces each parameter of a statement by a literal of the type that PostgreSQL infers.
fn with_literals(app: &App, sql: &str) -> String {
    let mut text = sql.to_owned();
    for (index, kind) in app.parameter_types(sql).iter().enumerate().rev() {
        let parameter = format!("${}", index + 1);
        let is_cast_to = |other: &str| sql.contains(&format!("{parameter}::text::{other}"));
        let value = match kind.as_str() {
            "TEXT" if is_cast_to("json") => "{}",
            "TEXT" if is_cast_to("numeric") => "0",
            "TEXT" if is_cast_to("date") || is_cast_to("timestamptz") => "2026-01-31",
            "TEXT" => "name@example.com",
            "INT8" => "1",
            "INT8[]" => "{1}",
            "BOOL" => "true",
            "TEXT[]" => "{x}",
            "UUID" => "00000000-0000-0000-0000-000000000000",
            "BYTEA" => "",
            other => panic!("no value of type {other} for {parameter} in {sql}"),
        };
        text = text.replace(&parameter, &format!("'{value}'::{kind}"));
    }
    text
}

#[test]
fn every_query_returns_one_row_from_an_empty_database() {
    assert_every_query_returns_one_row(&App::probe(), root());
}

/// Runs every statement of the stores below `root` with the probe, whose database is empty.
pub(crate) fn assert_every_query_returns_one_row(app: &App, root: &Path) {
    let tables = app.value(
        "SELECT string_agg(format('katas.%I', tablename), ', ') FROM pg_tables \
         WHERE schemaname = 'katas' AND tablename <> '_sqlx_migrations'",
    );
    let mut by_store = BTreeMap::new();
    for store in stores(root) {
        let statements = statements(&store);
        assert!(!statements.is_empty(), "{} has no statement", store.display());
        by_store.insert(store, statements);
    }
    for (store, statements) in by_store {
        for sql in statements {
            let returns_rows = sql.starts_with("SELECT ")
                || sql.starts_with("WITH ")
                || sql.contains(" RETURNING ");
            let path = if returns_rows { "/do/query" } else { "/do/execute" };
            let response = app.request(Method::POST, path, &[], with_literals(app, &sql));
            // The first line lists the columns.
            let rows = response.body.lines().count().saturating_sub(1);
            let executed = response.body.starts_with("Ok(");
            assert!(
                if returns_rows { rows == 1 } else { executed },
                "{}: {rows} rows, {}\n{sql}",
                store.display(),
                response.body
            );
            app.sql(&format!("TRUNCATE {tables}"));
        }
    }
}

#[test]
fn every_database_call_uses_a_constant_statement() {
    // Other statements would not be covered by the test above.
    for store in stores(root()) {
        let source = fs::read_to_string(&store).expect("the file is readable");
        let calls = ["db.row(", "db.page(", "db.execute("];
        for call in calls.iter().flat_map(|call| source.split(call).skip(1)) {
            let argument = call.split([',', ')']).next().unwrap_or_default().trim();
            assert!(
                ["SQL", "sql"].contains(&argument),
                "{}: {argument} is not a constant",
                store.display()
            );
        }
    }
}
