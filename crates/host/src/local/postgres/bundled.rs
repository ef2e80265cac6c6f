//! The bundled PostgreSQL 17, for machines without an installed one: the runtime in the crates
//! `pglite-rs-lib-…`, an ordinary server with plpgsql and no other extension. The build script
//! embeds it, so neither cargo nor its registry is needed to run it. It has one limitation:
//! timeouts (`statement_timeout`, `lock_timeout` and the like) can be set but never fire.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::local::private_file;

/// The version of the crate and the archive in it, if there is one for this platform.
const RUNTIME: Option<(&str, &[u8])> = {
    #[cfg(bundled_postgres)]
    let runtime = Some((
        env!("BUNDLED_POSTGRES_VERSION"),
        include_bytes!(env!("BUNDLED_POSTGRES")).as_slice(),
    ));
    #[cfg(not(bundled_postgres))]
    let runtime = None;
    runtime
};

/// Unpacks the runtime into `folder` unless it is already unpacked. Returns the directory of its
/// programs.
pub(super) fn unpack(folder: &Path) -> anyhow::Result<PathBuf> {
    let (version, archive) = RUNTIME.context("none is bundled for this platform")?;
    let home = folder.join(format!("postgresql-{version}"));
    if !home.exists() {
        // Unpacked elsewhere and then renamed: another process may be unpacking too, and either may
        // be killed.
        let partial = folder.join(format!("unpacking-{}", std::process::id()));
        unpack_to(&partial, archive).with_context(|| {
            format!("cannot unpack the bundled PostgreSQL in {}", partial.display())
        })?;
        if fs::rename(&partial, &home).is_err() {
            fs::remove_dir_all(&partial)?;
        }
    }
    Ok(home.join("bin"))
}

fn unpack_to(folder: &Path, archive: &[u8]) -> std::io::Result<()> {
    private_file::create_directory(folder)?;
    tar::Archive::new(zstd::Decoder::new(archive)?).unpack(folder)
}
