//! Rebuilds the crate when a file is added, because `include_dir!()` cannot track new files.

fn main() {
    println!("cargo::rerun-if-changed=../../db/migrations");
    println!("cargo::rerun-if-changed=../../db/seeds");
}
