//! Folders, files and URLs that were not made for `migrate`.

use std::process::Command;

use crate::support::{Project, assert_exit, assert_failed, assert_success, failed_event, migrate};

const PEOPLE: &str = "CREATE TABLE public.people (id int PRIMARY KEY);";

/// The commands that read the folder and the database.
const COMMANDS: [&[&str]; 8] = [
    &["up"],
    &["plan"],
    &["lint"],
    &["status", "--check"],
    &["verify"],
    &["wait"],
    &["down", "--production"],
    &["baseline"],
];

#[test]
fn migrations_of_other_tools_are_refused_before_anything_runs() {
    for (file, text, expected) in [
        (
            "00001_init.sql",
            "-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE public.people;",
            "migrations/00001_init.sql:1: `-- +goose Up`: this is a migration of goose",
        ),
        ("1_a.sql", "-- migrate:up\n\n-- migrate:down\nDROP TABLE public.people;", "of dbmate"),
        ("1_a.sql", "-- +migrate Up\n-- +migrate Down\nDROP TABLE public.people;", "sql-migrate"),
        ("1_a.up.sql", "-- atlas:checkpoint\n\nDROP TABLE public.people;", "of Atlas"),
        (
            "001_a.sql",
            "SELECT 1;\n---- create above / drop below ----\nDROP TABLE public.people;",
            "001_a.sql:2: `---- create above / drop below ----`: this is a migration of tern, not \
             of sqlx; split it into",
        ),
        ("V1__a.sql", "DROP TABLE public.people;", "of Flyway or refinery, not of sqlx"),
        ("2024-01-01-000000_init/up.sql", "DROP TABLE public.people;", "of diesel, not of sqlx"),
        ("20210313140442_init/migration.sql", "DROP TABLE public.people;", "of Prisma or Drizzle"),
    ] {
        let project = Project::new(&[]);
        project.sql(PEOPLE);
        let path = project.folder.path().join("migrations").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("create dir");
        std::fs::write(path, text).expect("write file");
        for command in COMMANDS {
            assert_failed(&project.migrate(command), 2, expected);
        }
        let kept = "SELECT concat(to_regclass('public.people'), to_regnamespace('app'))";
        assert_eq!(project.value(kept), "people", "{file}");
    }
}

#[test]
fn file_that_is_not_a_migration_is_refused_and_documentation_ignored() {
    for (file, expected) in [
        ("001-init.sql", "not migrations in "),
        ("0001_init.SQL", ": 0001_init.SQL; name migrations <number>_<description>.up.sql"),
        ("0001_init.DOWN.sql", ": 0001_init.DOWN.sql; name"),
        ("embed.go", ": embed.go; name"),
        ("0001_item.up.sql~", ": 0001_item.up.sql~; name"),
        ("sub/0002_b.up.sql", ": sub/; name"),
    ] {
        let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id bigint);")]);
        let path = project.folder.path().join("migrations").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("create dir");
        std::fs::write(path, PEOPLE).expect("write file");
        for command in COMMANDS {
            assert_failed(&project.migrate(command), 2, expected);
        }
    }
    let project = Project::new(&[("0001_item.up.sql", "CREATE TABLE app.item (id bigint);")]);
    for file in ["README", "notes.md", ".gitkeep", "atlas.sum"] {
        project.write(file, "-- +goose Up");
    }
    std::fs::create_dir(project.folder.path().join("migrations/meta")).expect("create dir");
    assert_success(&project.migrate(&["up"]));
}

#[test]
fn many_other_files_are_counted() {
    let project = Project::new(&[]);
    for number in 0..5 {
        project.write(&format!("{number}.txt"), "");
    }
    assert_failed(&project.migrate(&["up"]), 2, ": 0.txt, 1.txt, 2.txt, ... (5); name");
}

#[test]
fn folder_without_migrations_is_refused_except_by_new() {
    let project = Project::new(&[]);
    for command in COMMANDS {
        assert_failed(&project.migrate(command), 2, "create one with `migrate new NAME --source");
    }
    assert_success(&project.migrate(&["new", "first"]));
    assert_exit(&project.migrate(&["status"]), 0, "0001_first");
}

#[test]
fn file_in_another_encoding_is_refused() {
    let utf_16: Vec<u8> = "SELECT 1;".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [&[0xff, 0xfe][..], &utf_16].concat();
    for (bytes, expected) in [
        (&b"SELECT 1;\nSELECT\0 2;"[..], "0001_a.up.sql:2: the file contains the character NUL"),
        (&utf_16, "0001_a.up.sql:1: the file contains the character NUL; save the file as UTF-8"),
        (&with_mark, "0001_a.up.sql:1: the file is not UTF-8"),
        (b"-- na\xefve\n", "0001_a.up.sql:1: the file is not UTF-8"),
        (
            b"\xef\xbb\xbf-- no-transaction\nVACUUM;",
            "0001_a.up.sql:1: `-- no-transaction` has no effect after a byte order mark",
        ),
    ] {
        let project = Project::new(&[]);
        let path = project.folder.path().join("migrations/0001_a.up.sql");
        std::fs::write(&path, bytes).expect("write file");
        for command in COMMANDS {
            assert_failed(&project.migrate(command), 2, expected);
        }
    }
    let project = Project::new(&[("0001_a.up.sql", "\u{feff}CREATE TABLE app.a ();")]);
    assert_success(&project.migrate(&["up"]));
    std::fs::write(project.folder.path().join("roles.sql"), "\0").expect("write file");
    assert_failed(&project.migrate(&["status"]), 2, "roles.sql:1: the file contains the character");
}

#[test]
fn names_without_schema_need_search_path() {
    let files = [
        ("0001_account.up.sql", "CREATE TABLE account (id bigint PRIMARY KEY);"),
        (
            "0002_index.up.sql",
            "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS account_idx ON account (id);",
        ),
        ("0001_account.down.sql", "DROP TABLE account;"),
        ("0002_index.down.sql", "-- no-transaction\nDROP INDEX CONCURRENTLY account_idx;"),
    ];
    let project = Project::new(&files);
    let hint = "a name without a schema is looked up in --search-path, which is empty by default";
    assert_failed(&project.migrate(&["up"]), 4, hint);
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("MIGRATE_SEARCH_PATH", "public").output().expect("run migrate")
    };
    assert_exit(&run(&["plan"]), 0, "account");
    assert_success(&run(&["lint", "--search-path", "app, public"]));
    assert_success(&run(&["up"]));
    let owner = "SELECT concat(to_regclass('public.account_idx'), ' ', to_regclass('app.account'),
                               to_regclass('app._sqlx_migrations'))";
    assert_eq!(project.value(owner), "account_idx app._sqlx_migrations");
    assert_success(&run(&["down", "--production", "--steps", "2"]));
    assert_eq!(project.value(owner), " app._sqlx_migrations");
    // The URL may set it too.
    let url = format!("{}&options=-csearch_path%3Dpublic", project.url);
    let output = project.command_at(&url, &["up", "--to", "1"]).output().expect("run migrate");
    assert_success(&output);
    assert_failed(&run(&["up", "--search-path", "pg_catalog"]), 2, "belongs to PostgreSQL");
    // Other names that the search path would have found.
    project.write("0002_index.up.sql", "SELECT missing(1);");
    assert_failed(&project.migrate(&["up"]), 4, hint);
    project.write("0002_index.up.sql", "SELECT * FROM account;");
    assert_failed(&project.migrate(&["up"]), 4, hint);
    project.write("0002_index.up.sql", "CREATE TABLE app.b (a missing);");
    assert_failed(&project.migrate(&["up"]), 4, hint);
}

/// Dumps a database with `pg_dump`.
fn dump(project: &Project, options: &[&str]) -> String {
    let output = Command::new(test_tools::PG_DUMP.find().expect("pg_dump is installed"))
        .args(["--no-owner", "--schema=shop"])
        .args(options)
        .arg(&project.administrator)
        .output()
        .expect("run pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8 output")
}

const SHOP: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
    INSERT INTO shop.item (name) VALUES ('it''s; $$ \"x'), (E'a\\\\b\\tc');
    CREATE FUNCTION shop.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;";

#[test]
#[cfg_attr(not(has_pg_dump), ignore = "pg_dump is not installed")]
fn pg_dump_without_copy_is_a_migration() {
    let original = Project::new(&[]);
    original.sql(SHOP);
    for (options, rows) in [(&["--schema-only"][..], "0"), (&["--inserts"], "2")] {
        let text = dump(&original, options);
        let project = Project::new(&[("0001_baseline.up.sql", &text)]);
        assert_success(&project.migrate(&["plan"]));
        assert_success(&project.migrate(&["up"]));
        assert_eq!(project.value("SELECT count(*)::text FROM shop.item"), rows);
    }
    let text = dump(&original, &[]);
    let line = 1 + text.lines().position(|line| line.starts_with("COPY ")).expect("a COPY");
    let project = Project::new(&[("0001_baseline.up.sql", &text)]);
    let expected = format!("0001_baseline.up.sql:{line}: A migration has no client to copy from");
    assert_failed(&project.migrate(&["up"]), 3, &expected);
    assert_failed(&project.migrate(&["up"]), 3, "`pg_dump --inserts`");
}

#[test]
fn restrict_lines_of_newer_pg_dump_are_skipped() {
    let text = "\\restrict aB1\n\nSET statement_timeout = 0;\nSELECT \
                pg_catalog.set_config('search_path', '', false);\nCREATE TABLE app.a (id \
                bigint);\n\n\\unrestrict aB1\n\n";
    let project = Project::new(&[("0001_baseline.up.sql", text)]);
    assert_success(&project.migrate(&["up"]));
    project.write("0002_b.up.sql", "SELECT 1;\n\\connect postgres\nSELECT 2;\n");
    assert_failed(&project.migrate(&["up"]), 3, "0002_b.up.sql:2: This is a command of psql");
}

#[test]
fn unsupported_url_parameters_are_refused_by_name() {
    let project = Project::new(&[("0001_a.up.sql", "SELECT 1;")]);
    let status = |parameter: &str| {
        let url = format!("{}&{parameter}", project.url);
        project.command_at(&url, &["status"]).output().expect("run migrate")
    };
    for parameter in ["channel_binding=require", "foo=bar", "target_session_attrs=read-write"] {
        let (name, _) = parameter.split_once('=').expect("a pair");
        let expected = format!("unsupported parameter in the database URL: {name}; remove it");
        assert_failed(&status(parameter), 2, &expected);
        assert_failed(&status(parameter), 2, "supported are application_name, connect_timeout");
    }
    // The manual lists the same parameters.
    let help = migrate("postgres://h/x", &["up", "--help"]).output().expect("run migrate");
    let help = String::from_utf8(help.stdout).expect("UTF-8 output");
    let event = failed_event(&status("foo=bar"), 2);
    let (_, supported) = event["message"]
        .as_str()
        .and_then(|text| text.split_once("supported are "))
        .expect("a list");
    for name in supported.split(", ") {
        assert!(help.contains(name), "{name} in {help}");
    }
    for parameter in ["application_name=a", "connect_timeout=3", "options=-c%20geqo%3Doff"] {
        assert_success(&status(parameter));
    }
    let output = migrate(&format!("{}&sslmode=nonsense", project.url), &["status"]).output();
    assert_exit(&output.expect("run migrate"), 2, "nonsense");
}
