//! The files of the repository, for tests that check them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::root;

/// Returns the files whose names end with `ending`, tracked by Git or untracked and not ignored.
pub(crate) fn files(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names = names.lines().filter(|name| name.ends_with(ending)).map(PathBuf::from);
    let files: Vec<_> = names.filter(|name| root().join(name).is_file()).collect();
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

/// Returns the text of a file, given its path in the repository.
pub(crate) fn text(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|_| panic!("{}", path.display()))
}
