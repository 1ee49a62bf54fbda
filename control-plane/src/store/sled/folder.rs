//! The data directory: whose it is, what lies in it, and where broken things go.
//!
//! `lock`, `journal-REVISION`, `export-REVISION`, `sled/`, and `broken/` with what was last found broken.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// How long the locks of a control plane that is just ending are waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Time between two looks at a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);
/// Digits of a revision in a file name, so that names sort like numbers.
const DIGITS: usize = 20;

/// A data directory that is ours as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Held for its lock, which ends with the process however that ends.
    _lock: File,
}

/// A file that is named after a revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered {
    /// The revision.
    pub(super) revision: u64,
    /// Where it is.
    pub(super) path: PathBuf,
}

impl Folder {
    /// Makes the directory if it is not there, and takes it.
    ///
    /// Errors: it is another's, not a directory, or not writable.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let unusable = |error| StoreError::Unusable {
            folder: path.to_owned(),
            error,
        };
        match fs::metadata(path) {
            Ok(found) if !found.is_dir() => {
                let folder = path.to_owned();
                return Err(StoreError::NotAFolder { folder });
            }
            Ok(_) => {}
            Err(_) => make(path).map_err(unusable)?,
        }
        let mut options = File::options();
        let lock = options.create(true).append(true).open(path.join("lock"));
        let lock = lock.map_err(unusable)?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        let ours = lock_patiently(&folder._lock).map_err(unusable)?;
        if ours && folder.is_database_released().map_err(unusable)? {
            return Ok(folder);
        }
        let folder = path.to_owned();
        Err(StoreError::InUse { folder })
    }

    /// Whether nobody has the database locked (any more). A process that is killed gives its locks back one after the
    /// other, and a database that is still locked would look like a broken one.
    fn is_database_released(&self) -> io::Result<bool> {
        let file = self.at(super::DATABASE).join("db");
        match File::options().write(true).open(file) {
            Ok(file) => {
                let free = lock_patiently(&file)?;
                file.unlock()?;
                Ok(free)
            }
            // Whatever else is wrong with it is found when it is read.
            Err(_) => Ok(true),
        }
    }

    /// The path of something in it.
    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The path of a file that is named after a revision.
    pub(super) fn numbered(&self, name: &str, revision: u64) -> PathBuf {
        self.at(&format!("{name}-{revision:0DIGITS$}"))
    }

    /// The files `NAME-REVISION`, the lowest revision first.
    pub(super) fn list(&self, name: &str) -> Result<Vec<Numbered>, StoreError> {
        let entries = fs::read_dir(&self.path).map_err(StoreError::io("read", &self.path))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("read", &self.path))?.path();
            let file = path.file_name().and_then(|file| file.to_str());
            let number = file.and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
            if let Some(revision) = number.and_then(|number| number.parse().ok()) {
                found.push(Numbered { revision, path });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Makes names durable: those of new, renamed and removed files.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        synced.map_err(StoreError::io("sync", &self.path))
    }

    /// Writes a file so that it is there whole or not at all: aside, synced, renamed.
    pub(super) fn write_whole(
        &self,
        path: &Path,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let aside = self.at("unfinished");
        let written = File::create(&aside).and_then(|mut file| {
            write(&mut file)?;
            file.sync_all()?;
            fs::rename(&aside, path)
        });
        if written.is_err() {
            // On a full disk its bytes are wanted back; if not even that works, the next one overwrites it.
            let _ = fs::remove_file(&aside);
        }
        written.map_err(StoreError::io("write", path))?;
        self.sync()
    }

    /// Moves what is broken into `broken/`, in the place of what was moved there before.
    pub(super) fn set_aside(&self, paths: &[PathBuf]) -> Result<(), StoreError> {
        let broken = self.at("broken");
        match fs::remove_dir_all(&broken) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &broken)(error));
            }
            _ => fs::create_dir(&broken).map_err(StoreError::io("create", &broken))?,
        }
        for path in paths {
            if let Some(name) = path.file_name() {
                fs::rename(path, broken.join(name)).map_err(StoreError::io("move", path))?;
            }
        }
        self.sync()
    }

    /// Removes the database, which may still be open: its disk is given back all the same.
    pub(super) fn remove_database(&self) -> Result<(), StoreError> {
        let path = self.at(super::DATABASE);
        let file = path.join("db");
        let emptied = File::options().write(true).truncate(true).open(&file);
        emptied.map_err(StoreError::io("truncate", &file))?;
        fs::remove_dir_all(&path).map_err(StoreError::io("remove", &path))?;
        self.sync()
    }

    /// Removes files that are not needed any more. Failing costs disk only.
    pub(super) fn forget<'a>(&self, files: impl IntoIterator<Item = &'a Numbered>) {
        for file in files {
            if let Err(error) = fs::remove_file(&file.path) {
                tracing::warn!(path = %file.path.display(), %error, "a file that is not needed cannot be removed");
            }
        }
    }
}

/// Makes a directory and those above it, for this user only (there are secrets in it), durably.
fn make(path: &Path) -> io::Result<()> {
    let ancestors = path.ancestors().take_while(|it| !it.as_os_str().is_empty());
    let missing: Vec<_> = ancestors.take_while(|it| !it.exists()).collect();
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    for made in missing {
        let parent = made.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Takes a lock, or gives up after [`LOCK_PATIENCE`].
fn lock_patiently(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(false),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOCK_INTERVAL),
        }
    }
}
