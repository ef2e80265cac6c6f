//! Folders of the project.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The folder for results, installed tools and temporary files.
pub fn folder() -> PathBuf {
    root().join("target/bench")
}
