//! Components that `katas new` writes: they compile, and pass the checks of the existing ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use migrations::{Database, Project, UpOptions};
use scaffold::{Component, Field, Workspace, facts};

use crate::docs::drift::{
    assert_error_responses_match_document, assert_successful_responses_match_document,
};
use crate::repository::files;
use crate::statements::assert_every_query_returns_one_row;
use crate::support::{App, RUNTIME, app, build, cluster, root};

/// Returns a component for each kind of id, with a field of each type.
fn components() -> Vec<Component> {
    let every_type = [
        "title:text:1..200",
        "body:text:0..2000?",
        "pinned:bool=false",
        "open:bool?",
        "rank:int:1..5=3",
        "stars:int:1..5?",
        "count:int",
        "size:int?",
        "due_on:date?",
        "begin_on:date",
        "price:decimal:0.00..999.99",
        "tax:decimal:0.0..0.9?",
        "weight:decimal",
        "length:decimal?",
        "seen_at:timestamp?",
        "starts_at:timestamp",
    ];
    let components: [(&str, Option<&str>, &[&str]); 4] = [
        ("sample-notes", Some("uuid"), &every_type),
        ("sample-events", Some("bigint"), &["title:text:1..200"]),
        ("sample-tags", Some("slug"), &["slug:text:1..100", "label:text:0..50?", "hidden:bool"]),
        (
            "sample-sums",
            None,
            &[
                "word:text:1..20",
                "amount:int:0..1000",
                "exact:bool=true",
                "price:decimal:0.50..99.99",
                "at:timestamp",
            ],
        ),
    ];
    let component = |(name, id, fields): (&str, _, &[&str])| {
        let fields = fields.iter().map(|field| field.parse::<Field>().expect(field)).collect();
        Component::new(name, None, None, id, fields).expect(name)
    };
    components.map(component).into()
}

/// Copies the files of the repository to a directory that keeps the build of an earlier run. The first
/// run begins with the build of the repository.
fn copy() -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new-component");
    let target = copy.join("target");
    if !target.exists() {
        app();
        fs::create_dir_all(&target).expect("a directory");
        let built = ["release", "wasm32-wasip2"].map(|folder| root().join("target").join(folder));
        // With the times of the files, from which cargo knows that they are up to date.
        let copied = Command::new("cp").arg("-Rp").args(built).arg(&target).status();
        assert!(copied.expect("cp runs").success(), "the build cannot be copied");
    }
    for entry in fs::read_dir(&copy).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true if path.ends_with("target") => Ok(()),
            true => fs::remove_dir_all(path),
            false => fs::remove_file(path),
        }
        .expect("a removed file");
    }
    for file in files("") {
        let (from, to) = (root().join(&file), copy.join(&file));
        fs::create_dir_all(to.parent().expect("a directory")).expect("a directory");
        fs::copy(&from, &to).expect("a copy");
        // An unchanged file is not compiled again.
        let modified = fs::metadata(&from).and_then(|metadata| metadata.modified());
        let copied = fs::File::options().append(true).open(&to).expect("a file");
        copied.set_modified(modified.expect("a time")).expect("a set time");
    }
    // Flags of the repository also apply to this directory inside it. With the same flags twice, cargo
    // would compile all dependencies again.
    let config = "[build]\ntarget-dir = \"target\"\n";
    fs::write(copy.join(".cargo/config.toml"), config).expect("a written file");
    copy
}

/// Adds the components to a copy of the repository.
fn generate() -> PathBuf {
    let copy = copy();
    for component in components() {
        let mut workspace = Workspace::new(&copy);
        scaffold::new(&mut workspace, &component).expect("the component is generated");
        workspace.write().expect("the files are written");
        let error = scaffold::new(&mut Workspace::new(&copy), &component).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
    }
    copy
}

#[test]
fn taken_name_is_rejected_with_the_reason() {
    let field = || vec!["amount:int".parse::<Field>().expect("a field")];
    for (name, item, reason) in [
        ("receipts", None, "components/receipts exists already"),
        ("orders", Some("purchase"), "Cargo.lock has a package orders already"),
        ("privileges", None, "tests/main.rs has a module privileges already"),
        ("entries", Some("item_entry"), "spin.toml has a path with /entries already"),
        ("sample-notes", Some("entry"), "has a schema Entry already"),
        ("sample-notes", Some("person"), "the table katas.person exists already"),
    ] {
        let component = Component::new(name, item, None, Some("uuid"), field()).expect(name);
        let mut workspace = Workspace::new(root());
        let error = scaffold::new(&mut workspace, &component).unwrap_err();
        assert!(error.to_string().contains(reason), "{name}: {error}");
    }
}

/// Creates a database with the migrations of the copy. Returns its name and its schema.
fn migrated_database(copy: &Path) -> (String, String) {
    let name = cluster().create_database(false);
    let project = Project::read(&copy.join("db")).expect("the migrations");
    let migrator = Database::new(&cluster().migrator_url(&name)).expect("a URL");
    let dump = RUNTIME.block_on(async {
        migrations::up(&project, &migrator, UpOptions::default(), &|_| ()).await?;
        migrations::dump(&project, &migrator, &|_| ()).await
    });
    (name, dump.expect("the migrations are applied"))
}

/// Compares two dumps, except for the privileges on the database, which `migrate bootstrap` grants.
#[track_caller]
fn assert_same_schema(actual: &str, expected: &str) {
    let lines = |dump: &str| {
        let (_, schema) = dump.split_once("-- session: settings").expect("a dump");
        schema.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let (actual, expected) = (lines(actual), lines(expected));
    let difference = actual.iter().zip(&expected).find(|(actual, expected)| actual != expected);
    assert_eq!(difference, None);
    assert_eq!(actual.len(), expected.len());
}

#[test]
fn generated_components_pass_the_checks_of_existing_ones() {
    let copy = generate();
    let formatted =
        Command::new("cargo").args(["fmt", "--all", "--check"]).current_dir(&copy).status();
    assert!(formatted.expect("cargo runs").success(), "the source is not formatted");
    let mut workspace = Workspace::new(&copy);
    facts::update(&mut workspace).expect("the facts");
    assert_eq!(workspace.changed(), [""; 0], "facts are out of date");

    let (database, schema) = migrated_database(&copy);
    assert_same_schema(&schema, &fs::read_to_string(copy.join("db/schema.sql")).expect("a file"));
    assert_every_query_returns_one_row(&App::probe_with_database(&database), &copy);

    let manifest = copy.join("spin.toml");
    let built = build(&manifest).expect("the components build");
    let app = App::of(built.clone(), &migrated_database(&copy).0);
    for component in built.manifest.component.values() {
        for example in component.examples() {
            let response = app.call(example);
            assert_eq!(response.status, example.status, "{example:?} {response:?}");
        }
    }
    let app = App::of(built.clone(), &migrated_database(&copy).0);
    assert_successful_responses_match_document(&app);
    let app = App::of(built, &migrated_database(&copy).0);
    assert_error_responses_match_document(&app);
}
