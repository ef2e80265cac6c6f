//! Every statement of every store returns exactly one row, even where it finds nothing: Spin 4.0 never
//! returns from a query without rows.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use http::Method;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, ExprLit, Lit, Token};

use crate::support::{App, root};

/// The files that contain SQL.
fn stores() -> Vec<PathBuf> {
    let components = fs::read_dir(root().join("components")).expect("the folder exists");
    let stores = components.map(|entry| entry.expect("an entry").path().join("src/store.rs"));
    let mut stores: Vec<_> = stores.filter(|path| path.exists()).collect();
    stores.push(root().join("guest/orders/src/lib.rs"));
    stores
}

/// The values of the constants of a file that are strings, by name. Names of statements repeat.
#[derive(Default)]
struct Constants(Vec<(String, String)>);

impl Constants {
    /// Evaluates a literal, a constant, or a `concatcp!` of both.
    fn evaluate(&self, expression: &Expr) -> Option<String> {
        match expression {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            Expr::Path(path) => {
                let name = path.path.get_ident()?.to_string();
                self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
            }
            Expr::Macro(it) if it.mac.path.is_ident("concatcp") => {
                let parse = Punctuated::<Expr, Token![,]>::parse_terminated;
                let parts = it.mac.parse_body_with(parse).expect("a list of expressions");
                parts.iter().map(|part| self.evaluate(part)).collect()
            }
            _ => None,
        }
    }
}

impl<'ast> Visit<'ast> for Constants {
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        if let Some(value) = self.evaluate(&item.expr) {
            self.0.push((item.ident.to_string(), value));
        }
        visit::visit_item_const(self, item);
    }
}

/// The statements of a file: the constants that begin with a verb of SQL and do not end in the middle.
fn statements(path: &PathBuf) -> Vec<String> {
    let source = fs::read_to_string(path).expect("it can be read");
    let file = syn::parse_file(&source).expect("it is Rust");
    let mut constants = Constants::default();
    constants.visit_file(&file);
    let is_statement = |sql: &String| {
        ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "].iter().any(|it| sql.starts_with(it))
            && !sql.ends_with(' ')
    };
    let values = constants.0.into_iter().map(|(_, value)| value);
    values.filter(is_statement).collect()
}

/// The statement with a literal of the inferred type in place of each parameter.
fn with_literals(app: &App, sql: &str) -> String {
    let mut text = sql.to_owned();
    for (index, kind) in app.parameter_types(sql).iter().enumerate().rev() {
        let parameter = format!("${}", index + 1);
        let is_number = sql.contains(&format!("{parameter}::text::numeric"));
        let value = match kind.as_str() {
            "TEXT" if is_number => "0",
            "TEXT" => "{}", // also valid as JSON
            "INT8" => "1",
            "TEXT[]" => "{}",
            "UUID" => "00000000-0000-0000-0000-000000000000",
            "BYTEA" => "",
            other => panic!("no value of type {other} for {parameter} in {sql}"),
        };
        text = text.replace(&parameter, &format!("'{value}'::{kind}"));
    }
    text
}

#[test]
fn every_statement_returns_one_row_from_an_empty_database() {
    let app = App::probe();
    let mut by_store = BTreeMap::new();
    for store in stores() {
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
            let response = app.request(Method::POST, path, &[], with_literals(&app, &sql));
            // The first line has the columns.
            let rows = response.body.lines().count().saturating_sub(1);
            let executed = response.body.starts_with("Ok(");
            assert!(
                if returns_rows { rows == 1 } else { executed },
                "{}: {rows} rows, {}\n{sql}",
                store.display(),
                response.body
            );
            app.sql(
                "TRUNCATE katas.entry, katas.person, katas.price_list, katas.receipt, \
                 katas.dataset, katas.dataset_row, katas.dataset_run",
            );
        }
    }
}

#[test]
fn every_call_of_the_database_names_a_statement_that_is_a_constant() {
    // A statement that is not a constant would escape the test above.
    for store in stores() {
        let source = fs::read_to_string(&store).expect("it can be read");
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
