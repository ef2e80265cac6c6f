//! Random files of statements, and the files in `corpus/`: `migrate` splits a file where PostgreSQL does.
//!
//! A file in the corpus that begins with `-- expected: ` is rejected with that message.
//!
//! `PROPTEST_CASES=1000 cargo test --workspace --test postgres -- random_files` runs longer than the
//! default.

use futures_util::TryStreamExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::support::{Project, RUNTIME, assert_exit, assert_success, events};

const SCHEMA: (&str, &str) =
    ("0001_app.sql", "CREATE TABLE app.log (n int GENERATED ALWAYS AS IDENTITY, v text);");

/// The values in the order in which they were inserted, and the functions.
const STATE: &str = "SELECT json_build_array( \
         (SELECT json_agg(v ORDER BY n) FROM app.log), \
         (SELECT json_agg(pg_get_functiondef(oid) ORDER BY proname) FROM pg_proc \
          WHERE pronamespace = 'app'::regnamespace))::text";

/// Text with characters and words that have a meaning outside of literals and comments. It has no
/// `z`, which only occurs in the tags of dollar quotes, and no `*`.
fn content() -> impl Strategy<Value = String> {
    let parts = [
        "'",
        "''",
        "\"",
        ";",
        ";;",
        "\\",
        "$",
        "$$",
        "$a$",
        "-",
        "--",
        "/",
        "\n",
        "a",
        "é",
        "(",
        ")",
        " ",
        "BEGIN",
        "BEGIN ATOMIC",
        "END",
        "CASE",
        "E'",
        "U&",
        "\\.",
        "COPY",
        "{",
        "%",
    ];
    vec(select(parts.to_vec()), 0..6).prop_map(|parts| parts.concat())
}

/// White space or comments, at least one character.
fn space() -> impl Strategy<Value = String> {
    let line = content().prop_map(|text| format!("-- {}\n", text.replace('\n', " ")));
    let block = content().prop_map(|text| format!("/* {text} /*; nested ' */ {text} */"));
    let plain = select(vec![" ", "\n", "\t", " \r\n"]).prop_map(str::to_owned);
    prop_oneof![4 => plain, 1 => line, 1 => block].prop_map(|space| format!(" {space}"))
}

/// A literal in one of PostgreSQL's notations.
fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        content().prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        content()
            .prop_map(|text| { format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")) }),
        content().prop_map(|text| format!("$z${text}$z$")),
        content().prop_map(|text| format!("$Z_1é${text}$Z_1é$")),
        (content(), content()).prop_map(|(first, second)| {
            format!("'{}'\n  '{}'", first.replace('\'', "''"), second.replace('\'', "''"))
        }),
    ]
}

/// A column of a `SELECT` list, in which `CASE` and `END` are keywords and names.
fn column() -> impl Strategy<Value = String> {
    let expression = prop_oneof![literal(), Just("log.v".to_owned())];
    let expression = expression.prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone())
                .prop_map(|(first, second)| { format!("CASE {first} WHEN 'a' THEN {second} END") }),
            inner.prop_map(|it| format!("(CASE WHEN true THEN {it} END)")),
        ]
    });
    let label = select(vec!["", " end", " case", " AS end", " AS case", " atomic", " begin"]);
    (expression, space(), label)
        .prop_map(|(expression, space, label)| format!("{expression}{space}{label}"))
}

/// A statement without its terminator.
fn statement() -> impl Strategy<Value = String> {
    let insert = (literal(), space(), space()).prop_map(|(value, first, second)| {
        format!("INSERT{first}INTO app.log (v){second}VALUES ({value})")
    });
    let named = (content(), literal()).prop_map(|(name, value)| {
        let name = name.replace('"', "\"\"");
        format!("INSERT INTO app.log (v) SELECT {value} AS \"n{name}\"")
    });
    let case = (literal(), literal()).prop_map(|(first, second)| {
        format!("INSERT INTO app.log (v) SELECT CASE WHEN {first} = {second} THEN 'a' ELSE 'b' END")
    });
    let block = (literal(), literal()).prop_map(|(first, second)| {
        let literals = [first, second].map(|it| format!("INSERT INTO app.log (v) VALUES ({it});"));
        format!("DO $Zz$ BEGIN {} END $Zz$", literals.join(" "))
    });
    let body = vec((vec(column(), 1..4), space()), 0..4).prop_map(|selects| {
        let statements = selects
            .into_iter()
            .map(|(columns, space)| format!("SELECT{space}{} FROM app.log;", columns.join(",")));
        statements.collect::<String>()
    });
    let function = (0..50, literal(), space(), body).prop_map(|(n, value, space, body)| {
        format!(
            "CREATE OR REPLACE FUNCTION app.atomic_{n}() RETURNS text BEGIN{space}ATOMIC; \
             {body} SELECT {value} end; END"
        )
    });
    let quoted = (0..50, content()).prop_map(|(n, text)| {
        format!(
            "CREATE OR REPLACE FUNCTION app.quoted_{n}() RETURNS text LANGUAGE sql \
             AS $Zz$ SELECT $z${text}$z$; $Zz$"
        )
    });
    prop_oneof![4 => insert, 1 => named, 1 => case, 1 => block, 1 => function, 1 => quoted]
}

/// Statements, each with the space before and after it.
fn file() -> impl Strategy<Value = Vec<(String, String, String)>> {
    vec((space(), statement(), space()), 1..20)
}

/// Runs a file in one simple query, which PostgreSQL splits itself, and returns the number of its
/// statements. Omits `\restrict` and `\unrestrict`, which are for psql.
fn run(url: &str, text: &str) -> usize {
    let is_sql =
        |line: &&str| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ");
    let text: &str = &text.split_inclusive('\n').filter(is_sql).collect::<String>();
    let count = RUNTIME.block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let results = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut connection);
        let results: Vec<_> = results.try_collect().await?;
        Ok(results.iter().filter(|result| result.is_left()).count())
    });
    count.unwrap_or_else(|error: sqlx::Error| panic!("{error}: {text}"))
}

/// Checks that `migrate` splits a file as PostgreSQL does. `project` has the migration [`SCHEMA`],
/// `expected` has none.
fn check(project: &Project, expected: &Project, text: &str) -> Result<(), TestCaseError> {
    // Two databases for all files: creating and dropping them for each would take most of the time.
    for database in [project, expected] {
        database.sql("DROP SCHEMA IF EXISTS app CASCADE");
    }
    expected.sql(&format!("CREATE SCHEMA app; {}", SCHEMA.1));
    let count = run(&expected.administrator, text);

    project.write("0002_file.sql", &format!("-- no-transaction\n{text}"));
    let up = project.migrate(&["up"]);
    assert_success(&up);
    // Settings are not steps: they apply again when a file is resumed.
    let is_setting = |line: &&str| line.starts_with("SET ") || line.starts_with("RESET ");
    let settings = text.lines().filter(is_setting).count();
    prop_assert_eq!(events(&up, "step").len(), count - settings);
    prop_assert_eq!(project.value(STATE), expected.value(STATE));
    Ok(())
}

#[test]
fn file_is_split_as_postgresql_splits_it() {
    let config = ProptestConfig {
        failure_persistence: None,
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(12),
        ..ProptestConfig::default()
    };
    let (project, expected) = (Project::new(&[SCHEMA]), Project::new(&[]));
    let result = TestRunner::new(config).run(&file(), |statements| {
        let parts = statements.iter().map(|(before, text, after)| format!("{before}{text}{after}"));
        check(&project, &expected, &parts.collect::<Vec<_>>().join(";"))
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn file_of_the_corpus_is_split_as_postgresql_splits_it_or_rejected() {
    let files = test_tools::corpus(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres/corpus"));
    let (project, expected) = (Project::new(&[SCHEMA]), Project::new(&[]));
    for (name, content) in files {
        println!("{name}");
        let text = String::from_utf8(content).expect("the file is UTF-8");
        match text.strip_prefix("-- expected: ").and_then(|text| text.lines().next()) {
            Some(message) => {
                let text = format!("-- no-transaction\n{text}");
                let project = Project::new(&[SCHEMA, ("0002_file.sql", &text)]);
                assert_exit(&project.migrate(&["up"]), 3, message);
            }
            None => check(&project, &expected, &text).unwrap_or_else(|error| panic!("{error}")),
        }
    }
}
