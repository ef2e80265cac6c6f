//! `migrate import`: migrations of other tools, converted and applied.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{Project, assert_exit, assert_success, migrate};

/// Migrations as in the documentation of a tool.
struct Example {
    tool: &'static str,
    /// Whether `--from auto` recognizes the tool.
    recognized: bool,
    files: &'static [(&'static str, &'static str)],
    /// The files after the conversion.
    converted: &'static [&'static str],
}

/// Examples that create the same objects, the index without a transaction if the tool supports that.
const EXAMPLES: [Example; 8] = [
    Example {
        tool: "goose",
        recognized: true,
        files: &[
            (
                "00001_create_author.sql",
                "-- Authors.\n-- +goose Up\nCREATE TABLE author (\n    id bigint PRIMARY KEY,\n    \
                 email text NOT NULL\n);\n\n-- +goose StatementBegin\nCREATE FUNCTION touch() \
                 RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n    NEW.email = lower(NEW.email);\n \
                 \n    RETURN NEW;\nEND;\n$$;\n-- +goose StatementEnd\n\n-- +goose Down\nDROP \
                 FUNCTION touch;\nDROP TABLE author;\n",
            ),
            (
                "20240102030405_index.sql",
                "-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY \
                 author_email_idx ON author (email);\n\n-- +goose Down\nDROP INDEX CONCURRENTLY \
                 author_email_idx;\n",
            ),
        ],
        converted: &[
            "00001_create_author.down.sql",
            "00001_create_author.up.sql",
            "20240102030405_index.down.sql",
            "20240102030405_index.up.sql",
        ],
    },
    Example {
        tool: "dbmate",
        recognized: true,
        files: &[
            (
                "20151127184807_create_author.sql",
                "-- migrate:up\nCREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\n\
                 CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN RETURN NEW; \
                 END\n$$;\n\n-- migrate:down\nDROP FUNCTION touch;\nDROP TABLE author;\n",
            ),
            (
                "20151127184808_index.sql",
                "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY author_email_idx ON \
                 author (email);\n\n-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY \
                 author_email_idx;\n",
            ),
        ],
        converted: &[
            "20151127184807_create_author.down.sql",
            "20151127184807_create_author.up.sql",
            "20151127184808_index.down.sql",
            "20151127184808_index.up.sql",
        ],
    },
    Example {
        tool: "sql-migrate",
        recognized: true,
        files: &[
            (
                "1-create-author.sql",
                "-- +migrate Up\n-- SQL in section 'Up' is executed when this migration is \
                 applied\nCREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\n\n\
                 -- +migrate StatementBegin\nCREATE FUNCTION touch() RETURNS trigger LANGUAGE \
                 plpgsql AS $$\nBEGIN\n    RETURN NEW;\nEND;\n$$\n-- +migrate StatementEnd\n\n\
                 -- +migrate Down\nDROP FUNCTION touch;\nDROP TABLE author;\n",
            ),
            (
                "2_index.sql",
                "-- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY author_email_idx ON \
                 author (email);\n\n-- +migrate Down\nDROP INDEX author_email_idx;\n",
            ),
        ],
        converted: &[
            "1_create-author.down.sql",
            "1_create-author.up.sql",
            "2_index.down.sql",
            "2_index.up.sql",
        ],
    },
    Example {
        tool: "golang-migrate",
        recognized: false,
        files: &[
            (
                "000001_create_author.up.sql",
                "BEGIN;\n\nCREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\n\
                 CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; \
                 END $$;\n\nCOMMIT;\n",
            ),
            (
                "000001_create_author.down.sql",
                "BEGIN;\nDROP FUNCTION touch;\nDROP TABLE author;\nCOMMIT;\n",
            ),
            (
                "000002_index.up.sql",
                "CREATE INDEX CONCURRENTLY author_email_idx ON author (email);\n",
            ),
            ("000002_drop_index.down.sql", "DROP INDEX CONCURRENTLY author_email_idx;\n"),
        ],
        converted: &[
            "000001_create_author.down.sql",
            "000001_create_author.up.sql",
            "000002_index.down.sql",
            "000002_index.up.sql",
        ],
    },
    Example {
        tool: "flyway",
        recognized: false,
        files: &[
            (
                "V1__Create_author.sql",
                "CREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\nCREATE \
                 FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;\n",
            ),
            ("U1__Create_author.sql", "DROP FUNCTION touch;\nDROP TABLE author;\n"),
            ("V2__index.sql", "CREATE INDEX CONCURRENTLY author_email_idx ON author (email);\n"),
            ("U2__index.sql", "DROP INDEX IF EXISTS author_email_idx;\n"),
            ("U2__index.sql.conf", "# As in V2.\nexecuteInTransaction=false\n"),
        ],
        converted: &[
            "1_Create_author.down.sql",
            "1_Create_author.up.sql",
            "2_index.down.sql",
            "2_index.up.sql",
        ],
    },
    Example {
        tool: "diesel",
        recognized: true,
        files: &[
            ("00000000000000_diesel_initial_setup/up.sql", "CREATE SCHEMA helper;\n"),
            ("00000000000000_diesel_initial_setup/down.sql", "DROP SCHEMA helper;\n"),
            (
                "2024-01-01-000000_create_author/up.sql",
                "CREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\nCREATE \
                 FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;\n",
            ),
            (
                "2024-01-01-000000_create_author/down.sql",
                "DROP FUNCTION touch;\nDROP TABLE author;\n",
            ),
            (
                "2024-01-02-000000_index/up.sql",
                "CREATE INDEX CONCURRENTLY author_email_idx ON author (email);\n",
            ),
            ("2024-01-02-000000_index/down.sql", "DROP INDEX CONCURRENTLY author_email_idx;\n"),
            ("2024-01-02-000000_index/metadata.toml", "run_in_transaction = false\n"),
            (".keep", ""),
        ],
        converted: &[
            "00000000000000_diesel_initial_setup.down.sql",
            "00000000000000_diesel_initial_setup.up.sql",
            "20240101000000_create_author.down.sql",
            "20240101000000_create_author.up.sql",
            "20240102000000_index.down.sql",
            "20240102000000_index.up.sql",
        ],
    },
    Example {
        tool: "refinery",
        recognized: false,
        files: &[
            (
                "V1__create_author.sql",
                "CREATE TABLE author (id bigint PRIMARY KEY, email text NOT NULL);\n",
            ),
            ("U3__index.sql", "CREATE INDEX author_email_idx ON author (email);\n"),
            (
                "V2__touch.sql",
                "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; \
                 END $$;\n",
            ),
        ],
        converted: &["1_create_author.up.sql", "2_touch.up.sql", "3_index.up.sql"],
    },
    Example {
        tool: "atlas",
        recognized: true,
        files: &[
            (
                "20220318104614_create_author.sql",
                "-- Create \"author\" table\nCREATE TABLE \"author\" (\n  \"id\" bigint NOT NULL,\n  \
                 \"email\" text NOT NULL,\n  PRIMARY KEY (\"id\")\n);\n-- atlas:nolint\nCREATE \
                 FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;\n",
            ),
            (
                "20220318104615.sql",
                "-- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY \"author_email_idx\" ON \
                 \"author\" (\"email\");\n",
            ),
            ("atlas.sum", "h1:D1n0p==\n20220318104614_create_author.sql h1:D1n0p==\n"),
        ],
        converted: &["20220318104614_create_author.up.sql", "20220318104615_migration.up.sql"],
    },
];

/// Returns what the migrations have created.
fn schema(project: &Project) -> String {
    project.value(
        "SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM (
           SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
           UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
         ) AS of_both (name)",
    )
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("create dir");
        std::fs::write(path, text).expect("write file");
    }
}

fn import(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.arg("import").arg(folder).args(arguments).env("MIGRATE_LOG", "human");
    command.output().expect("run migrate")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = folder.read_dir().expect("read dir");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn example_of_each_tool_is_converted_applied_and_reverted() {
    for Example { tool, recognized, files, converted } in EXAMPLES {
        let source = tempfile::tempdir().expect("create temp dir");
        write(source.path(), files);
        // The database and the folder of a project; its own migrations are replaced.
        let project = Project::new(&[]);
        std::fs::remove_dir(project.folder.path().join("migrations")).expect("remove dir");
        let to = project.folder.path().to_str().expect("UTF-8");
        let from = if recognized { "auto" } else { tool };
        let output = import(source.path(), &["--from", from, "--to", to]);
        assert_exit(&output, 0, "migrate baseline --source");
        assert_eq!(names(&project.folder.path().join("migrations")), converted, "{tool}");

        let run = |arguments: &[&str]| {
            let output = project.migrate(&[arguments, &["--search-path", "public"]].concat());
            assert_exit(&output, 0, "");
        };
        run(&["up"]);
        let expected = "author, author_email_idx, author_pkey, touch";
        assert_eq!(schema(&project), expected, "{tool}");
        if converted[0].contains(".down.") {
            run(&["down", "--production", "--steps", "9"]);
            assert_eq!(schema(&project), "", "{tool}");
        }
    }
}

#[test]
fn import_without_target_prints_and_writes_nothing() {
    let source = tempfile::tempdir().expect("create temp dir");
    write(source.path(), EXAMPLES[0].files);
    let before = names(source.path());
    let output = import(source.path(), &[]);
    assert_exit(
        &output,
        0,
        "00001_create_author.sql -> 00001_create_author.up.sql, 00001_create_author.down.sql\n",
    );
    assert_exit(&output, 0, "2 migrations of goose; nothing was written, pass --to FOLDER");
    assert_eq!(names(source.path()), before);
    let json = import(source.path(), &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("parse JSON");
    assert_eq!(json["migrations"][1]["version"], 20240102030405_i64);
}

#[test]
fn import_never_overwrites_and_writes_all_files_or_none() {
    let (source, target) = (TempDir::new().expect("temp dir"), TempDir::new().expect("temp dir"));
    write(source.path(), EXAMPLES[1].files);
    let to = target.path().to_str().expect("UTF-8");
    write(target.path(), &[("migrations/0001_mine.up.sql", "SELECT 1;")]);
    assert_exit(&import(source.path(), &["--to", to]), 2, "is not empty, and import never");
    assert_eq!(names(target.path()), ["migrations"]);
    assert_eq!(names(&target.path().join("migrations")), ["0001_mine.up.sql"]);
    // The second file cannot be converted.
    write(source.path(), &[("20151127184809_bad.sql", "SELECT 1;\n-- migrate:up\n")]);
    std::fs::remove_file(target.path().join("migrations/0001_mine.up.sql")).expect("remove file");
    assert_exit(&import(source.path(), &["--to", to]), 2, "20151127184809_bad.sql:1: dbmate does");
    assert_eq!(names(&target.path().join("migrations")), Vec::<String>::new());
    // An empty folder is replaced.
    std::fs::remove_file(source.path().join("20151127184809_bad.sql")).expect("remove file");
    assert_success(&import(source.path(), &["--to", to]));
    assert_eq!(names(target.path()), ["migrations"]);
}

#[test]
fn unconvertible_file_is_named_in_error() {
    const UP: &str = "-- +goose Up\nSELECT 1;\n";
    for (from, files, expected) in [
        ("auto", &[("a.txt", "")][..], "no tool is recognized"),
        ("auto", &[("V1__a.sql", "")], "pass --from flyway or refinery"),
        ("auto", &[("1_a.sql", UP), ("2_b.sql", "-- migrate:up")], "several tools: goose, dbmate"),
        ("auto", &[("1_a.sql", "SELECT 1;\n-- rambler down")], "rambler cannot be converted"),
        ("goose", &[("1_a.go", "package a")], "1_a.go: a program cannot be converted"),
        ("goose", &[("a_1.sql", UP)], "not migrations of goose in "),
        ("goose", &[("1_a.sql", UP), ("sub/2_a.sql", UP)], ": sub/; convert"),
        ("goose", &[("1_a.sql", UP), ("001_b.sql", UP)], "have the same version 1"),
        ("dbmate", &[("1_a.sql", "-- migrate:up"), ("1_b.sql", "-- migrate:up")], "1_b.sql have"),
        (
            "diesel",
            &[("9_a/up.sql", ""), ("10_b/up.sql", "")],
            "diesel runs 9_a/up.sql after 10_b/up.sql, because it orders versions as text",
        ),
        ("goose", &[("99999999999999999999_a.sql", UP)], "the version is not a number up to"),
        ("goose", &[("1_a.sql", "\0")], "1_a.sql:1: the file contains the character NUL"),
        ("flyway", &[("V1.1__a.sql", "")], "V1.1__a.sql: the version is not a whole number"),
        ("flyway", &[("R__a.sql", "")], "R__a.sql: a repeatable migration has no counterpart"),
        ("flyway", &[("B1__a.sql", "")], "B1__a.sql: a baseline migration has no counterpart"),
        ("flyway", &[("beforeMigrate.sql", "")], "not migrations of Flyway in "),
        ("flyway", &[("V1__a.sql", "\nSELECT '${a}';")], "V1__a.sql:2: Flyway replaces"),
        (
            "flyway",
            &[("V1__a.sql", ""), ("V1__a.sql.conf", "encoding=x")],
            "V1__a.sql.conf:1: `encoding=x` has no counterpart",
        ),
        ("flyway", &[("U1__a.sql", "")], "U1__a.sql has no up migration"),
        ("golang-migrate", &[("1_a.sql", "")], "not migrations of golang-migrate in "),
        ("golang-migrate", &[("1_a.down.sql", "")], "1_a.down.sql has no up migration"),
        ("diesel", &[("init/up.sql", "")], "init: the version `init` is not a number"),
        ("diesel", &[("1_a/README.md", "")], "1_a has no up.sql"),
        ("diesel", &[("1_a/up.sql", ""), ("1_a/metadata.toml", "a = 1")], "unknown field `a`"),
        ("atlas", &[("1_a.sql", "-- atlas:delimiter x")], "1_a.sql:1: `-- atlas:delimiter x` has"),
        ("refinery", &[("V1__a.rs", "")], "V1__a.rs: a program cannot be converted"),
    ] {
        let source = tempfile::tempdir().expect("create temp dir");
        write(source.path(), files);
        let output = import(source.path(), &["--from", from]);
        assert_exit(&output, 2, expected);
    }
    assert_exit(&import(Path::new("/nowhere"), &[]), 2, "cannot read /nowhere: No such file");
    let unknown = migrate("postgres://h/x", &["import", ".", "--from", "other"]).output();
    assert_exit(&unknown.expect("run migrate"), 2, "golang-migrate");
}
