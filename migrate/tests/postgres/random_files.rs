//! Random files of statements: `migrate` splits a file where PostgreSQL does.
//!
//! `PROPTEST_CASES=1000 cargo test --workspace --test postgres -- random_files` runs longer than the
//! default.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::support::{Project, SERVER, assert_success, events, sql};

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
    let function = (0..50, literal(), space()).prop_map(|(n, value, space)| {
        format!(
            "CREATE OR REPLACE FUNCTION app.atomic_{n}() RETURNS text BEGIN{space}ATOMIC; \
             SELECT CASE WHEN true THEN {value} END; SELECT {value}; END"
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

#[test]
fn file_is_split_as_postgresql_splits_it() {
    let config = ProptestConfig {
        failure_persistence: None,
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(12),
        ..ProptestConfig::default()
    };
    let result = TestRunner::new(config).run(&file(), |statements| {
        let parts = statements.iter().map(|(before, text, after)| format!("{before}{text}{after}"));
        let text = parts.collect::<Vec<_>>().join(";");
        // PostgreSQL splits the file itself when it arrives as one simple query.
        let expected = Project::new(&[]);
        expected.sql(&format!("CREATE SCHEMA app; {}", SCHEMA.1));
        expected.sql(&text);

        let project = Project::new(&[SCHEMA]);
        project.write("0002_random.sql", &format!("-- no-transaction\n{text}"));
        let up = project.migrate(&["up"]);
        assert_success(&up);
        prop_assert_eq!(events(&up, "step").len(), statements.len());
        prop_assert_eq!(project.value(STATE), expected.value(STATE));
        // Thousands of databases would fill the disk.
        for Project { name, .. } in [&project, &expected] {
            sql(&SERVER.administrator("postgres"), &format!("DROP DATABASE {name}"));
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}
