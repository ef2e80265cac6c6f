//! Directories of the project.

use std::path::{Path, PathBuf};

/// Returns the root directory of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Returns the directory for results, installed tools and temporary files.
pub fn output_directory() -> PathBuf {
    root().join("target/bench")
}
