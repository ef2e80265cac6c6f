//! Rebuilds the crate when a migration is added, because `migrate!()` cannot track new files.

fn main() {
    println!("cargo::rerun-if-changed=../../db/migrations");
}
