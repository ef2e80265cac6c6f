//! The migration ledger, `katas._sqlx_migrations`.

use pg::Db;

/// Returns the version of the newest applied migration, 0 when there is none.
pub fn schema_version() -> Result<i64, pg::Error> {
    const SQL: &str = "SELECT coalesce(max(version), 0) FROM katas._sqlx_migrations WHERE success";
    // Readiness must not wait for a connection that other requests hold.
    Db::with_pool("katas-readiness").row(SQL, &[])?.take(0)
}
