//! Rebuilds the crate when a migration is added: `migrate!()` cannot tell cargo about new files.

fn main() {
    println!("cargo:rerun-if-changed=../db/migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
