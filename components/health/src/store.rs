//! What the migrations leave behind for those who wait for them.

use json::{FromObject, Object};
use pg::Db;

struct Applied {
    version: i64,
}

impl FromObject for Applied {
    fn from_object(row: &mut Object) -> Option<Applied> {
        Some(Applied { version: row.required("version")? })
    }
}

/// The newest migration that has been applied, 0 when none has.
pub fn schema_version(db: &Db) -> Result<i64, pg::Error> {
    const SQL: &str = "SELECT coalesce(max(version), 0) AS version
         FROM katas._sqlx_migrations WHERE success";
    Ok(db.one::<Applied>(SQL, &[])?.map_or(0, |applied| applied.version))
}
