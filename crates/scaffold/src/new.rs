//! Writes a new component: its own files from templates, and its entries in the files that list
//! components.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Serialize;

use crate::component::{Component, Field, Id, Kind, decimal, pascal, smoke_name, upper_first};
use crate::facts;
use crate::insert::{append, before, insert_block, replace_between, sorted_block, sorted_line};
use crate::workspace::Workspace;

/// Adds a component to the workspace. Nothing is written yet.
pub fn new(workspace: &mut Workspace, component: &Component) -> anyhow::Result<()> {
    let name = &component.name;
    let directory = format!("components/{name}");
    ensure!(
        !workspace.root().join(&directory).exists(),
        "{directory} exists already; choose another name"
    );
    check_names(workspace, component)?;
    check_schemas(workspace, component)?;
    let migration = format!("{:04}_{}", facts::newest_migration(workspace)? + 1, component.ident);
    let templates = Templates::new(component, &migration)?;

    let create = |workspace: &mut Workspace, path: String, template: &str| {
        let text = templates.render(template)?;
        let text = if path.ends_with(".rs") { format_rust(workspace.root(), text)? } else { text };
        workspace.create(&path, text)
    };
    create(workspace, format!("{directory}/Cargo.toml"), "Cargo.toml")?;
    create(workspace, format!("{directory}/openapi.yaml"), "openapi.yaml")?;
    for module in ["lib", "domain", "routes"] {
        create(workspace, format!("{directory}/src/{module}.rs"), &format!("{module}.rs"))?;
    }
    create(workspace, format!("tests/{}.rs", component.ident), "test.rs")?;
    create(workspace, format!("crates/smoke/src/checks/{}.rs", component.ident), "smoke.rs")?;
    if component.id.is_some() {
        create(workspace, format!("{directory}/src/store.rs"), "store.rs")?;
        for direction in ["up", "down"] {
            let template = format!("{direction}.sql");
            create(workspace, format!("db/migrations/{migration}.{template}"), &template)?;
        }
        schema(workspace, component, &templates.render("schema.sql")?)?;
    }
    manifest(workspace, component, &templates.render("spin.toml")?)?;
    lock_file(workspace, component)?;
    tests(workspace, component)?;
    smoke(workspace, component)?;
    workspace.edit("components/docs/page/operations.js", |text| {
        append(text, "export const services = [\n", &templates.render("operations.js")?)
    })?;
    documents(workspace, component, &templates.render("api.md")?)?;
    facts::update(workspace)
}

/// Returns an error if a package, a test module or a path has the name of the new component.
fn check_names(
    workspace: &Workspace,
    Component { name, ident, .. }: &Component,
) -> anyhow::Result<()> {
    let is_package = workspace.text("Cargo.lock")?.contains(&format!("\nname = \"{name}\"\n"));
    ensure!(!is_package, "Cargo.lock has a package {name} already; choose another name");
    let is_module = workspace.text("tests/main.rs")?.contains(&format!("\nmod {ident};\n"));
    ensure!(!is_module, "tests/main.rs has a module {ident} already; choose another name");
    let route = format!("/{name}");
    let manifest = workspace.text("spin.toml")?;
    let is_route =
        manifest.contains(&format!("{route}\"")) || manifest.contains(&format!("{route}/"));
    ensure!(!is_route, "spin.toml has a path with {route} already; choose another name");
    Ok(())
}

/// Returns an error if a schema of the OpenAPI document has the name of one of the new component.
fn check_schemas(
    workspace: &Workspace,
    Component { item_type, .. }: &Component,
) -> anyhow::Result<()> {
    for name in workspace.file_names("components")? {
        let path = format!("components/{name}/openapi.yaml");
        if !workspace.root().join(&path).exists() {
            continue;
        }
        let text = workspace.text(&path)?;
        for schema in [item_type.clone(), format!("New{item_type}"), format!("{item_type}Patch")] {
            let is_taken = text.contains(&format!("\n    {schema}:\n"));
            ensure!(!is_taken, "{path} has a schema {schema} already; choose another --item");
        }
    }
    Ok(())
}

/// Adds the table to `db/schema.sql`, as `migrate dump` writes it.
fn schema(workspace: &mut Workspace, component: &Component, blocks: &str) -> anyhow::Result<()> {
    let version = facts::newest_migration(workspace)?;
    ensure!(
        !workspace
            .text("db/schema.sql")?
            .contains(&format!("-- table: katas.{}\n", component.table)),
        "the table katas.{} exists already; choose another --item",
        component.table
    );
    workspace.edit("db/schema.sql", |text| {
        let mut text =
            replace_between(text, "-- The schema katas at version ", ":", &version.to_string())?;
        for block in blocks.split("\n\n") {
            let kind = block.split_inclusive(": ").next().context("a block has a heading")?;
            text = sorted_block(&text, kind, block)?;
        }
        Ok(text)
    })
}

/// Adds the triggers and the component to `spin.toml`.
fn manifest(workspace: &mut Workspace, component: &Component, block: &str) -> anyhow::Result<()> {
    workspace.edit("spin.toml", |text| {
        let is_alias = |route: &str| route.starts_with("/api/") && !facts::is_versioned(route);
        let text = trigger(text, component, "/api/v1/", facts::is_versioned)?;
        let text = trigger(&text, component, "/api/", is_alias)?;
        sorted_block(&text, "[component.", block)
    })
}

/// Adds a trigger after the last one whose route is of the same kind.
fn trigger(
    text: &str,
    Component { name, id, .. }: &Component,
    prefix: &str,
    is_same_kind: impl Fn(&str) -> bool,
) -> anyhow::Result<String> {
    const HEADING: &str = "[[trigger.http]]\nroute = \"";
    let is_last = |(start, _): &(usize, &str)| {
        text[start + HEADING.len()..].split('"').next().is_some_and(&is_same_kind)
    };
    let last = text.match_indices(HEADING).filter(is_last).last().map(|(start, _)| start);
    let last = last.with_context(|| format!("no trigger for {prefix}"))?;
    let end = text[last..].find("\n\n").context("a trigger ends with a blank line")? + last + 2;
    let rest = if id.is_some() { "/..." } else { "" };
    Ok(insert_block(text, end, &format!("{HEADING}{prefix}{name}{rest}\"\ncomponent = \"{name}\"")))
}

/// The dependencies of the crate.
fn dependencies(component: &Component) -> Vec<&'static str> {
    let fields = component.fields.iter().chain(&component.key);
    let has_rules = fields.into_iter().any(|field| field.new_type.is_some());
    let mut names = vec!["json", "serde", "web"];
    if component.id.is_some() {
        names.extend(["const_format", "pg"]);
    }
    if has_rules {
        names.push("rules");
    }
    names.sort_unstable();
    names
}

/// Adds the crate to `Cargo.lock`, so that `--locked` succeeds.
fn lock_file(workspace: &mut Workspace, component: &Component) -> anyhow::Result<()> {
    let dependencies: String =
        dependencies(component).iter().map(|name| format!(" \"{name}\",\n")).collect();
    let name = &component.name;
    workspace.edit("Cargo.lock", |text| {
        const HEADING: &str = "[[package]]\nname = \"";
        // The version of a crate of this workspace.
        let version = text.split_once("name = \"web\"\nversion = \"").context("no package web")?.1;
        let version = version.split('"').next().unwrap_or_default();
        let block = format!(
            "{HEADING}{name}\"\nversion = \"{version}\"\ndependencies = [\n{dependencies}]"
        );
        let mut packages = text.match_indices(HEADING).map(|(start, _)| start);
        let greater = packages.find(|start| {
            text[start + HEADING.len()..]
                .split('"')
                .next()
                .is_some_and(|other| other > name.as_str())
        });
        Ok(insert_block(text, greater.unwrap_or(text.len()), &block))
    })
}

/// Declares the test module and the permissions.
fn tests(workspace: &mut Workspace, component: &Component) -> anyhow::Result<()> {
    let Component { name, ident, id, .. } = component;
    workspace.edit("tests/main.rs", |text| sorted_line(text, "mod ", &format!("mod {ident};")))?;
    let permissions = if id.is_some() { "Database, Token" } else { "" };
    workspace.edit("tests/components.rs", |text| {
        sorted_line(text, "    (\"", &format!("    (\"{name}\", &[{permissions}]),"))
    })
}

/// Declares the module and the check of the smoke test.
fn smoke(workspace: &mut Workspace, component: &Component) -> anyhow::Result<()> {
    let Component { name, ident, an_item, id, .. } = component;
    let (kind, expects) = match id {
        Some(_) => ("write", format!("{an_item} is created, read, changed and deleted")),
        None => ("check", "a result is computed and invalid input is rejected".to_owned()),
    };
    let root = workspace.root().to_owned();
    workspace.edit("crates/smoke/src/checks.rs", |text| {
        let text = module(text, ident)?;
        let check = format!("    {kind}(\"{name}\", \"{expects}\", {ident}::check),\n");
        format_rust(&root, append(&text, "const CHECKS: &[Check] = &[\n", &check)?)
    })
}

/// Declares a module in the modules of a file, which precede its imports.
fn module(text: &str, name: &str) -> anyhow::Result<String> {
    let (head, tail) = text.split_once("\nuse ").context("no imports")?;
    let line = format!("mod {name};");
    let head = match head.contains("\nmod ") {
        true => sorted_line(head, "mod ", &line)?,
        false => format!("{head}\n{line}\n"),
    };
    Ok(format!("{head}\nuse {tail}"))
}

/// Adds the section in API.md and the line in CHANGELOG.md.
fn documents(
    workspace: &mut Workspace,
    component: &Component,
    section: &str,
) -> anyhow::Result<()> {
    workspace.edit("docs/API.md", |text| {
        before(text, "## Health\n", &format!("{}\n\n", section.trim_end()))
    })?;
    let Component { name, description, .. } = component;
    let line = format!("- The component `{name}`: {}.\n", facts::lower_first(description));
    workspace.edit("CHANGELOG.md", |text| {
        let (head, tail) =
            text.split_once("## [Unreleased]\n\n").context("no section Unreleased")?;
        let tail = match tail.strip_prefix("### Added\n\n") {
            Some(entries) => format!("### Added\n\n{line}{entries}"),
            None => format!("### Added\n\n{line}\n{tail}"),
        };
        Ok(format!("{head}## [Unreleased]\n\n{tail}"))
    })
}

/// Formats a source file with rustfmt and the settings of the repository.
fn format_rust(root: &Path, text: String) -> anyhow::Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run rustfmt; install it with: rustup component add rustfmt")?;
    rustfmt.stdin.take().context("stdin is piped")?.write_all(text.as_bytes())?;
    let output = rustfmt.wait_with_output()?;
    ensure!(output.status.success(), "rustfmt: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The templates and the values that they use.
struct Templates {
    environment: Environment<'static>,
    values: Value,
}

/// A constraint of the table.
#[derive(Serialize)]
struct Check {
    name: String,
    condition: String,
    /// The condition as PostgreSQL shows it.
    dumped: String,
}

macro_rules! templates {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../templates/", $name, ".j2")))),*]
    };
}

impl Templates {
    fn new(component: &Component, migration: &str) -> anyhow::Result<Templates> {
        let mut environment = Environment::new();
        environment.set_syntax(
            SyntaxConfig::builder()
                .trim_blocks(true)
                .lstrip_blocks(true)
                .keep_trailing_newline(true)
                .build()?,
        );
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.add_filter("wrap", wrap);
        environment.add_filter("grouped", |number: i64| grouped(number, '_'));
        environment.add_filter("decimal", decimal);
        environment.add_filter("thousands", |number: i64| grouped(number, ','));
        environment.add_filter("lower_first", |text: String| facts::lower_first(&text));
        environment.add_filter("sentence", |text: String| upper_first(&text));
        for (name, source) in templates![
            "Cargo.toml",
            "api.md",
            "domain.rs",
            "down.sql",
            "lib.rs",
            "openapi.yaml",
            "operations.js",
            "routes.rs",
            "schema.sql",
            "smoke.rs",
            "spin.toml",
            "store.rs",
            "test.rs",
            "up.sql"
        ] {
            environment
                .add_template_owned(name, format!("{{% import 'macros' as m %}}{source}"))?;
        }
        environment.add_template("macros", include_str!("../templates/macros.j2"))?;
        let values = Value::from(Serde(Values::new(component, migration)));
        Ok(Templates { environment, values })
    }

    fn render(&self, template: &str) -> anyhow::Result<String> {
        let text = self.environment.get_template(template)?.render(&self.values);
        text.with_context(|| format!("cannot render {template}"))
    }
}

/// The values of the templates.
#[derive(Serialize)]
struct Values<'c> {
    #[serde(flatten)]
    component: &'c Component,
    /// The name of the migration, with its number.
    migration: &'c str,
    fields_and_key: Vec<&'c Field>,
    /// The names of the fields.
    names: Vec<&'c str>,
    /// The fields by which a list can be filtered.
    filters: Vec<&'c Field>,
    /// The parameter of the path that identifies a resource.
    path_parameter: &'c str,
    /// A text field that can hold the names of the smoke test.
    named: Option<&'c str>,
    /// The id, in words.
    id_words: &'c str,
    /// The plural as a type name, for ids of operations.
    ident_type: String,
    /// An example body and an example patch.
    body: String,
    changes: String,
    dependencies: Vec<&'static str>,
    /// The errors of the rules that the domain uses.
    rule_errors: Vec<&'static str>,
    /// The names that the store imports from `pg`.
    imports: Vec<&'static str>,
    /// The fields of a row in the order of its columns: the first, and the others.
    first: String,
    rest: Vec<String>,
    columns: String,
    page_columns: String,
    page_key: &'c str,
    add_values: Vec<String>,
    put_values: Vec<String>,
    put_excluded: Vec<String>,
    put_set: Vec<String>,
    patch_set: Vec<String>,
    checks: Vec<Check>,
    /// Fields of the playground.
    path_field: String,
    body_fields: String,
}

impl<'c> Values<'c> {
    fn new(component: &'c Component, migration: &'c str) -> Values<'c> {
        let Component { fields, key, .. } = component;
        let fields_and_key: Vec<&Field> = key.iter().chain(fields).collect();
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        let named = fields.iter().find(|field| {
            field.kind == Kind::Text && field.max >= Some(smoke_name(&component.name))
        });
        let (mut identifiers, columns): (Vec<_>, Vec<_>) = columns(component).into_iter().unzip();
        Values {
            migration,
            filters: fields.iter().filter(|field| field.kind == Kind::Bool).collect(),
            path_parameter: key.as_ref().map_or("id", |key| &key.name),
            named: named.map(|field| field.name.as_str()),
            id_words: key.as_ref().map_or("id", |key| &key.words),
            ident_type: pascal(&component.ident),
            body: object(fields, |field| &field.example),
            changes: object(&fields[..1], |field| &field.other),
            dependencies: dependencies(component),
            rule_errors: rule_errors(&fields_and_key),
            imports: imports(component),
            first: identifiers.remove(0),
            rest: identifiers,
            columns: columns.join(", "),
            page_columns: page_columns(component),
            page_key: page_key(component),
            add_values: placeholders(fields, 1),
            put_values: placeholders(fields, 3),
            put_excluded: names.iter().map(|name| format!("{name} = excluded.{name}")).collect(),
            put_set: assignments(fields),
            patch_set: patch_assignments(fields),
            checks: fields_and_key.iter().filter_map(|field| check(component, field)).collect(),
            path_field: path_field(component),
            body_fields: body_fields(fields),
            component,
            fields_and_key,
            names,
        }
    }
}

/// Returns a JSON object with a value for each field.
fn object(fields: &[Field], value: fn(&Field) -> &String) -> String {
    let members = fields.iter().map(|field| format!("\"{}\":{}", field.name, value(field)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Returns the columns of a resource: the name of the field, and the expression.
fn columns(component: &Component) -> Vec<(String, String)> {
    let column = |name: &str| (name.to_owned(), name.to_owned());
    let mut columns = match &component.key {
        Some(key) => vec![column(&key.name)],
        None => vec![column("id")],
    };
    columns.extend(component.fields.iter().map(|Field { name, kind, .. }| match kind {
        Kind::Date | Kind::Decimal => (name.clone(), format!("{name}::text")),
        Kind::Timestamp => (name.clone(), format!("{name} AT TIME ZONE 'UTC'")),
        _ => column(name),
    }));
    columns.extend(
        ["created_at", "updated_at"]
            .map(|name| (name.to_owned(), format!("{name} AT TIME ZONE 'UTC'"))),
    );
    if component.key.is_some() {
        columns.push(column("id"));
    }
    columns.push(column("version"));
    columns
}

fn page_columns(component: &Component) -> String {
    let first = component.key.as_ref().map_or("id", |key| &key.name);
    let time = |name: &str| format!("katas.rfc3339({name}) AS {name}");
    let times = ["created_at", "updated_at"].map(time);
    let fields = component.fields.iter().map(|Field { name, kind, .. }| match kind {
        // As JSON, numeric would be a number.
        Kind::Decimal => format!("{name}::text AS {name}"),
        Kind::Timestamp => time(name),
        _ => name.clone(),
    });
    let all: Vec<_> = std::iter::once(first.to_owned()).chain(fields).chain(times).collect();
    all.join(", ")
}

fn page_key(component: &Component) -> &str {
    match (&component.key, component.id) {
        (Some(key), _) => &key.name,
        (None, Some(Id::Uuid)) => "number",
        _ => "id",
    }
}

/// Returns the placeholder of a field with the casts that its type needs.
fn placeholder(field: &Field, number: usize) -> String {
    match field.kind {
        Kind::Decimal => format!("${number}::text::numeric"),
        Kind::Date => format!("${number}::text::date"),
        Kind::Timestamp => format!("${number}::text::timestamptz"),
        _ => format!("${number}"),
    }
}

fn placeholders(fields: &[Field], first: usize) -> Vec<String> {
    fields.iter().enumerate().map(|(index, field)| placeholder(field, first + index)).collect()
}

/// Returns the assignments of a replacement. The first two parameters are the id and `If-None-Match`.
fn assignments(fields: &[Field]) -> Vec<String> {
    let values = placeholders(fields, 3);
    fields.iter().zip(values).map(|(field, value)| format!("{} = {value}", field.name)).collect()
}

/// Returns the assignments of a patch, after three parameters. An optional field has two parameters:
/// whether it changes, and its value.
fn patch_assignments(fields: &[Field]) -> Vec<String> {
    let mut number = 4;
    let mut assignments = Vec::new();
    for field in fields {
        let name = &field.name;
        if field.optional {
            let value = placeholder(field, number + 1);
            assignments.push(format!("{name} = CASE WHEN ${number} THEN {value} ELSE {name} END"));
            number += 2;
        } else {
            let value = placeholder(field, number);
            assignments.push(format!("{name} = coalesce({value}, {name})"));
            number += 1;
        }
    }
    assignments
}

/// Returns the constraint of a field.
fn check(component: &Component, field: &Field) -> Option<Check> {
    let Field { name, places, .. } = field;
    let table = &component.table;
    if field.kind == Kind::Decimal && places.is_none() {
        return Some(Check {
            name: format!("{table}_{name}_range"),
            condition: format!("{name} >= 0"),
            dumped: format!("({name} >= (0)::numeric)"),
        });
    }
    let (min, max) = (field.min?, field.max?);
    Some(match field.kind {
        Kind::Text if min == 0 => Check {
            name: format!("{table}_{name}_length"),
            condition: format!("char_length({name}) <= {max}"),
            dumped: format!("(char_length({name}) <= {max})"),
        },
        Kind::Text => Check {
            name: format!("{table}_{name}_length"),
            condition: format!("char_length({name}) BETWEEN {min} AND {max}"),
            dumped: format!("((char_length({name}) >= {min}) AND (char_length({name}) <= {max}))"),
        },
        _ => {
            let [min, max] = [min, max].map(|number| match places {
                Some(places) => decimal(number, *places),
                None => number.to_string(),
            });
            Check {
                name: format!("{table}_{name}_range"),
                condition: format!("{name} BETWEEN {min} AND {max}"),
                dumped: format!("(({name} >= {min}) AND ({name} <= {max}))"),
            }
        }
    })
}

/// Returns the errors of the rules of these fields.
fn rule_errors(fields: &[&Field]) -> Vec<&'static str> {
    let has =
        |kind: Kind| fields.iter().any(|field| field.kind == kind && field.new_type.is_some());
    let errors = [
        (Kind::Decimal, "DecimalError"),
        (Kind::Date, "InvalidDate"),
        (Kind::Timestamp, "InvalidTimestamp"),
        (Kind::Int, "OutOfRange"),
        (Kind::Text, "TextError"),
    ];
    errors.into_iter().filter(|(kind, _)| has(*kind)).map(|(_, error)| error).collect()
}

/// Returns the names that the store imports from `pg`.
fn imports(component: &Component) -> Vec<&'static str> {
    let fields = &component.fields;
    let is = |kind: Kind| fields.iter().any(|field| field.kind == kind);
    let mut names =
        vec!["Change", "Db", "Page", "Parameter", "Row", "Timestamp", "int8", "nullable", "set"];
    if is(Kind::Bool) || fields.iter().any(|field| field.optional) {
        names.push("boolean");
    }
    let is_text = [Kind::Text, Kind::Decimal, Kind::Date, Kind::Timestamp].into_iter().any(is);
    if is_text || component.key.is_some() {
        names.push("text");
    }
    if component.id == Some(Id::Uuid) {
        names.push("uuid");
    }
    names
}

/// Returns the field of the playground that holds the id.
fn path_field(component: &Component) -> String {
    match &component.key {
        Some(key) => format!("{{ name: '{}', label: '{}', value: 'first' }}", key.name, label(key)),
        None => format!(
            "{{ name: '{}', label: 'ID', hint: 'from Create {}' }}",
            component.table, component.item
        ),
    }
}

/// Returns the fields of the playground that form the body.
fn body_fields(fields: &[Field]) -> String {
    let fields = fields.iter().map(|field| {
        let format = match field.kind {
            Kind::Bool => ", as: 'boolean'",
            Kind::Int => ", as: 'number'",
            Kind::Text if field.max > Some(200) => ", as: 'area'",
            Kind::Text | Kind::Decimal | Kind::Date | Kind::Timestamp => "",
        };
        let optional = if field.optional { ", optional: true" } else { "" };
        let (name, label, value) = (&field.name, label(field), field.example.trim_matches('"'));
        format!(
            "{{ name: '{name}', label: '{label}', in: 'json'{format}{optional}, value: '{value}' }}"
        )
    });
    fields.collect::<Vec<_>>().join(", ")
}

fn label(field: &Field) -> String {
    upper_first(&field.words)
}

/// Breaks a list of SQL expressions in a string literal into lines of at most 90 columns, each but the
/// first indented.
fn wrap(list: String, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for part in list.split_inclusive(", ") {
        let line = lines.last_mut().expect("there is a line");
        if line.len() + part.len() + indent > 90 && !line.is_empty() {
            lines.push(part.to_owned());
        } else {
            line.push_str(part);
        }
    }
    lines.join(&format!("\\\n{}", " ".repeat(indent)))
}

/// Returns a number with a separator between groups of three digits.
fn grouped(number: i64, separator: char) -> String {
    let digits = number.abs().to_string();
    let mut text = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        // Like rustfmt's own code, numbers of four digits are not grouped.
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}
