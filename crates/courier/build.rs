//! Detects the optional programs that tests need.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The tests start an installed PostgreSQL. The bundled one would require the local host.
    let postgres = test_tools::Tool { cfg: "has_postgres", ..test_tools::POSTGRES };
    test_tools::detect(&[postgres, test_tools::PGBOUNCER, test_tools::RABBITMQ]);
}
