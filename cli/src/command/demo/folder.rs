//! A temporary folder that is removed at the end.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::error::DemoError;

/// Names tried before giving up.
const ATTEMPTS: usize = 16;
/// Only its owner may look inside.
const MODE: u32 = 0o700;

/// A folder of its own, below the system's temporary one. Removed with all that is in it when dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes one. Errors: [`DemoError::Folder`].
    pub(super) fn try_new() -> Result<Self, DemoError> {
        let parent = std::env::temp_dir();
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..ATTEMPTS {
            let path = parent.join(format!("inlet-demo-{:08x}", fastrand::u32(..)));
            // Fails if it is there, whoever made it.
            match DirBuilder::new().mode(MODE).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(DemoError::Folder { path, error }),
            }
        }
        Err(DemoError::Folder {
            path: parent,
            error: last,
        })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file into it and says where that is. Errors: [`DemoError::Folder`].
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, DemoError> {
        let path = self.0.join(name);
        match std::fs::write(&path, text) {
            Ok(()) => Ok(path),
            Err(error) => Err(DemoError::Folder { path, error }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed at the end of a demo is the system's to clean up.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_private_and_gone_at_the_end() {
        let folder = Folder::try_new().unwrap();
        let file = folder.write("sample.yaml", "kind: Rule\n").unwrap();
        assert_eq!(std::fs::read_to_string(file).unwrap(), "kind: Rule\n");
        let path = folder.path().to_owned();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        drop(folder);
        assert!(!path.exists());
    }
}
