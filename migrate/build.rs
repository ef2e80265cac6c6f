//! Makes cargo look at the folder of the migrations: `migrate!()` cannot tell it about new files.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
