//! Changes to the files of the repository, collected in memory and written at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The files of the repository with changes that have not been written.
pub struct Workspace {
    root: PathBuf,
    changes: BTreeMap<String, String>,
}

impl Workspace {
    /// Opens the repository at `root`.
    pub fn new(root: impl Into<PathBuf>) -> Workspace {
        Workspace { root: root.into(), changes: BTreeMap::new() }
    }

    /// Returns the repository of which `directory` is a part: the nearest one with a `spin.toml` and
    /// the crates of this workspace.
    pub fn find(directory: &Path) -> anyhow::Result<Workspace> {
        let is_root =
            |path: &&Path| path.join("spin.toml").exists() && path.join("crates/web").exists();
        let root = directory.ancestors().find(is_root);
        let root = root.context("not in a clone of this repository; run it where spin.toml is")?;
        Ok(Workspace::new(root))
    }

    /// Returns the root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the text of a file, with the changes so far.
    pub fn text(&self, path: &str) -> anyhow::Result<String> {
        match self.changes.get(path) {
            Some(text) => Ok(text.clone()),
            None => self.stored(path),
        }
    }

    fn stored(&self, path: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// Returns the names of the files in a directory, including new ones, in order.
    pub fn file_names(&self, directory: &str) -> anyhow::Result<Vec<String>> {
        let entries = fs::read_dir(self.root.join(directory))
            .with_context(|| format!("cannot read {directory}"))?;
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry?.file_name().into_string());
        }
        let prefix = format!("{directory}/");
        names.extend(
            self.changes.keys().filter_map(|path| path.strip_prefix(&prefix)).map(str::to_owned),
        );
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Adds a file. Returns an error if it exists.
    pub fn create(&mut self, path: &str, text: String) -> anyhow::Result<()> {
        ensure!(
            !self.root.join(path).exists(),
            "{path} exists already; remove it or choose another name"
        );
        self.changes.insert(path.to_owned(), text);
        Ok(())
    }

    /// Changes the text of an existing file.
    pub fn edit(
        &mut self,
        path: &str,
        change: impl FnOnce(&str) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        let text = self.text(path)?;
        let changed = change(&text).with_context(|| format!("cannot edit {path}"))?;
        if changed != text {
            self.changes.insert(path.to_owned(), changed);
        }
        Ok(())
    }

    /// Returns the paths of the files that differ from those on disk.
    pub fn changed(&self) -> Vec<&str> {
        let differs = |(path, text): &(&String, &String)| {
            self.stored(path).map_or(true, |stored| stored != **text)
        };
        self.changes.iter().filter(differs).map(|(path, _)| path.as_str()).collect()
    }

    /// Writes all changes. If one cannot be written, the others are undone.
    pub fn write(&self) -> anyhow::Result<()> {
        let mut undo = Vec::new();
        for path in self.changed() {
            let previous = self.stored(path).ok();
            if let Err(error) = self.write_file(path, &self.changes[path]) {
                for (path, previous) in undo {
                    self.restore(path, previous);
                }
                return Err(error.context("nothing was written"));
            }
            undo.push((path, previous));
        }
        Ok(())
    }

    fn write_file(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.root.join(path);
        let directory = file.parent().context("a file has a directory")?;
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("cannot write {path}"))
    }

    fn restore(&self, path: &str, previous: Option<String>) {
        let file = self.root.join(path);
        // A second failure must not hide the first one.
        let _ = match previous {
            Some(text) => fs::write(file, text),
            None => fs::remove_file(file),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_leaves_no_change() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "old").unwrap();
        // A file where a directory is needed.
        fs::write(directory.path().join("z"), "").unwrap();
        let mut workspace = Workspace::new(directory.path());
        workspace.edit("a", |_| Ok("new".to_owned())).unwrap();
        workspace.create("b/c", "text".to_owned()).unwrap();
        workspace.create("z/d", "text".to_owned()).unwrap();
        assert_eq!(workspace.changed(), ["a", "b/c", "z/d"]);
        let error = workspace.write().unwrap_err();
        assert_eq!(format!("{error:#}").split(": ").next(), Some("nothing was written"));
        assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "old");
        assert!(!directory.path().join("b/c").exists());
    }

    #[test]
    fn existing_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a"), "old").unwrap();
        let error = Workspace::new(directory.path()).create("a", String::new()).unwrap_err();
        assert!(error.to_string().starts_with("a exists already"), "{error}");
    }
}
