//! Detects the optional programs that the tests use.

fn main() {
    test_tools::detect(&[
        test_tools::PGBOUNCER,
        test_tools::PG_DUMP,
        test_tools::POSTGRES,
        test_tools::POSTGRES_18,
    ]);
}
