//! Makes cargo look at the folder of the SQL: `migrate!()` cannot tell it about new files.

fn main() {
    println!("cargo:rerun-if-changed=sql");
    println!("cargo:rerun-if-changed=sqlx.toml");
}
