//! Rebuilds the crate when a migration is added, because `migrate!()` cannot track new files, and
//! detects the optional programs that the tests use.

fn main() {
    println!("cargo::rerun-if-changed=../db/migrations");
    println!("cargo::rerun-if-changed=sqlx.toml");
    test_tools::detect(&[
        test_tools::PGBOUNCER,
        test_tools::PG_DUMP,
        test_tools::POSTGRES,
        test_tools::POSTGRES_18,
    ]);
}
