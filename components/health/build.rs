//! Sets `REQUIRED_SCHEMA` to the version of the newest migration.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let migrations = Path::new("../../db/migrations");
    println!("cargo:rerun-if-changed={}", migrations.display());
    let mut newest = 0;
    for file in std::fs::read_dir(migrations)? {
        let name = file?.file_name();
        let version = name.to_str().and_then(|name| name.split_once('_')).map(|(number, _)| number);
        newest = newest.max(version.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0));
    }
    println!("cargo:rustc-env=REQUIRED_SCHEMA={newest}");
    Ok(())
}
