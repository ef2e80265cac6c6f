//! Detects changed files, for `katas up --watch`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often to look for changes. Reading the attributes of a thousand files takes 2 ms.
const INTERVAL: Duration = Duration::from_millis(250);

/// Directories with generated or downloaded files, besides hidden ones.
const IGNORED: [&str; 2] = ["node_modules", "target"];

/// The files under a directory, with the time of their last change and their length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

impl Snapshot {
    /// Reads the attributes of all files under `root`, except for `excluded` and hidden ones.
    pub(super) fn read(root: &Path, excluded: &Path) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.add(root, excluded);
        snapshot
    }

    /// Adds the files under a directory. One that cannot be read, because it has just been deleted
    /// for example, is empty.
    fn add(&mut self, folder: &Path, excluded: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let is_ignored = name.starts_with('.') || IGNORED.contains(&&*name);
            if is_ignored || path == excluded {
                continue;
            }
            // Symbolic links are not followed: they may form a cycle.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => self.add(&path, excluded),
                Ok(metadata) => {
                    self.0.insert(path, (metadata.modified().ok(), metadata.len()));
                }
                Err(_) => {}
            }
        }
    }

    /// Returns a file that was added, changed or deleted since an earlier snapshot.
    fn difference<'a>(&'a self, earlier: &'a Snapshot) -> Option<&'a Path> {
        let changed = self.0.iter().find(|(path, state)| earlier.0.get(*path) != Some(state));
        let deleted = || earlier.0.iter().find(|(path, _)| !self.0.contains_key(*path));
        changed.or_else(deleted).map(|(path, _)| path.as_path())
    }
}

/// Waits until a file under `root` differs from the snapshot, and until no more files change: editors
/// and version control write several. Updates the snapshot and returns the file.
pub(super) async fn changed(snapshot: &mut Snapshot, root: &Path, excluded: &Path) -> PathBuf {
    let mut first = None;
    loop {
        tokio::time::sleep(INTERVAL).await;
        let now = Snapshot::read(root, excluded);
        match (now.difference(snapshot).map(Path::to_owned), first.take()) {
            (None, Some(file)) => return file,
            (None, None) => {}
            (Some(file), earlier) => first = earlier.or(Some(file)),
        }
        *snapshot = now;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn added_changed_and_deleted_files_are_differences() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let read = || Snapshot::read(root, &root.join("state"));
        fs::create_dir(root.join("src")).unwrap();
        let empty = read();
        fs::write(root.join("src/lib.rs"), "a").unwrap();
        let added = read();
        assert_eq!(added.difference(&empty), Some(root.join("src/lib.rs").as_path()));
        assert_eq!(added.difference(&added), None);
        fs::write(root.join("src/lib.rs"), "ab").unwrap();
        assert_eq!(read().difference(&added), Some(root.join("src/lib.rs").as_path()));
        fs::remove_file(root.join("src/lib.rs")).unwrap();
        assert_eq!(read().difference(&added), Some(root.join("src/lib.rs").as_path()));
    }

    #[test]
    fn hidden_generated_and_excluded_files_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for ignored in [".git", "target", "node_modules", "state"] {
            fs::create_dir(root.join(ignored)).unwrap();
            fs::write(root.join(ignored).join("file"), "").unwrap();
        }
        assert_eq!(Snapshot::read(root, &root.join("state")), Snapshot::default());
    }
}
