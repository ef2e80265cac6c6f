//! Files with secrets, and the directories that contain them.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates a file that only its owner can access. An existing file is replaced, because it may have
/// another mode, be open elsewhere, or be a link.
pub(super) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::options().write(true).create_new(true).mode(0o600).open(path),
    }
}

/// Creates a directory and its parents unless they exist. Whatever the umask, only their owner can
/// change their entries. Unless the umask forbids it, others can search them, which a server under
/// another account requires.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn existing_file_or_link_is_replaced_by_a_private_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("public"), "old").unwrap();
        fs::set_permissions(path("public"), fs::Permissions::from_mode(0o644)).unwrap();
        let mut reader = File::open(path("public")).unwrap();
        fs::write(path("target"), "old").unwrap();
        symlink(path("target"), path("link")).unwrap();
        for name in ["public", "link", "new"] {
            create(&path(name)).unwrap().write_all(b"secret").unwrap();
            let metadata = fs::symlink_metadata(path(name)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
            assert_eq!(fs::read_to_string(path(name)).unwrap(), "secret");
        }
        assert_eq!(fs::read_to_string(path("target")).unwrap(), "old");
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "old");
    }
}
