//! The kept snapshot: a file with a whole one, and beside it one with the deltas that have followed.
//!
//! - `whole`, `deltas`: the forms of the two files (pure). `fold`: both -> one whole snapshot (pure).
//! - `log`: appends deltas.
//!
//! The whole one is written aside, synced and renamed, so a crash leaves the old one or the new one. Then the deltas
//! are dropped. What a crash leaves of them names another whole snapshot as their base, and is passed over; so at each
//! step the folder has exactly one state, and none older than what was durable before:
//!
//! ```text
//! base 5, deltas of 5: 6 7 --write aside--> the same --rename--> base 7, deltas of 5 --drop--> base 7
//!     base 7 --append 8--> base 7, deltas of 7 by half: none yet --synced--> base 7, deltas of 7: 8
//! ```
//!
//! The files have private keys in them: only the owner may read them. Everything here blocks: [`keep`](super::keep)
//! decides when it is called, and not on which thread.

mod deltas;
mod fold;
mod log;
mod whole;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use inlet_proto::v1;
use prost::Message as _;

use super::CompleteSnapshot;
use super::exchange::MAX_SNAPSHOT_BYTES;
use deltas::Deltas;
use whole::{Checksum, HEADER_BYTES, VERSION};

pub use deltas::{Damage, encode as encode_delta};
pub use log::Log;

/// The whole snapshot.
const FILE: &str = "snapshot";
/// The next one, while it is written.
const ASIDE: &str = "snapshot.new";
/// The last one that could not be used, for inspection.
const BROKEN: &str = "snapshot.broken";
/// What has changed since the whole snapshot.
const DELTAS: &str = "snapshot.deltas";
/// The last ones that could not be used, for inspection.
const BROKEN_DELTAS: &str = "snapshot.deltas.broken";
/// Only the owner reads private keys.
const FILE_MODE: u32 = 0o600;

/// The place in the data folder where the snapshot is kept.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
}

/// What was kept.
#[derive(Debug)]
pub struct Loaded {
    /// Whole, with all that has followed.
    pub snapshot: v1::Snapshot,
    /// Where the next delta goes; `None` = the next write must be a whole snapshot.
    pub log: Option<Log>,
    /// Why `snapshot` may be older than what was kept.
    pub damage: Option<Damage>,
}

/// Why there is no kept snapshot although there is a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The system does not give it.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Something else, or its begin is damaged.
    #[error("it is not a kept snapshot")]
    Foreign,
    /// Written by another version of the agent.
    #[error("it has the form {0}, and this agent knows form {VERSION}")]
    Version(u32),
    /// Its end is missing, or there is more than there should be.
    #[error("it should have {expected} bytes of content and has {found}")]
    Length {
        /// As its header says.
        expected: u64,
        /// As there are, as far as they were read.
        found: u64,
    },
    /// Some bytes are not those that were written.
    #[error("its checksum does not match")]
    Checksum,
    /// Not what its form says, although nothing is damaged.
    #[error("its content cannot be read: {0}")]
    Content(#[from] prost::DecodeError),
    /// Not what its form says, although it can be read.
    #[error("it is not a complete snapshot")]
    Incomplete,
    /// Nothing that may be in force.
    #[error("{0}")]
    Refused(String),
}

impl Disk {
    /// The snapshot in this folder, which is there.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Reads the kept snapshot; `None` = there is no file.
    pub fn load(&self) -> Result<Option<Loaded>, LoadError> {
        let path = self.path(FILE);
        let bytes = match read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::Io { path, error }),
            Ok(bytes) => bytes,
        };
        let (content, base) = whole::unwrap(&bytes)?;
        let snapshot = v1::Snapshot::decode(content)?;
        let (deltas, damage) = match self.deltas(&base) {
            Ok(None) => (Vec::new(), None),
            Ok(Some(found)) => (found.deltas, found.damage),
            Err(damage) => (Vec::new(), Some(damage)),
        };
        if deltas.is_empty() {
            let log = Log::new(self.path(DELTAS), base, content.len());
            return Ok(Some(Loaded {
                snapshot,
                log: damage.is_none().then_some(log),
                damage,
            }));
        }
        let (snapshot, misfit) = fold::fold(snapshot, deltas, Instant::now())?;
        Ok(Some(Loaded {
            snapshot,
            log: None,
            damage: misfit.or(damage),
        }))
    }

    /// What follows the whole snapshot with this checksum; `None` = nothing.
    fn deltas(&self, base: &Checksum) -> Result<Option<Deltas>, Damage> {
        match read(&self.path(DELTAS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Damage::Io(error.kind())),
            Ok(bytes) => Ok(deltas::parse(&bytes)?.filter(|found| found.base == *base)),
        }
    }

    /// Moves a snapshot that cannot be used out of the way, over the last such one, and its deltas with it; says where
    /// it is then.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let broken = self.path(BROKEN);
        fs::rename(self.path(FILE), &broken)?;
        match fs::rename(self.path(DELTAS), self.path(BROKEN_DELTAS)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        sync_folder(&broken)?;
        Ok(broken)
    }

    /// Gives damaged deltas another name, over the last such ones; says which. They keep their own name, too, until
    /// the next whole snapshot has what was good in them.
    pub fn save_damaged_deltas(&self) -> io::Result<PathBuf> {
        let broken = self.path(BROKEN_DELTAS);
        remove(&broken)?;
        fs::hard_link(self.path(DELTAS), &broken)?;
        sync_folder(&broken)?;
        Ok(broken)
    }

    /// Keeps `snapshot` in place of what is there; durable when this returns. On an error the old one is still there.
    pub fn store(&self, snapshot: &CompleteSnapshot) -> io::Result<Log> {
        let aside = self.path(ASIDE);
        let content = whole::content(snapshot);
        let header = whole::header(&content);
        let stored = write(&aside, &[&header, &content])
            .and_then(|()| fs::rename(&aside, self.path(FILE)))
            .and_then(|()| sync_folder(&aside));
        if stored.is_err() {
            // A full disk needs the room; whether this works out is no further news.
            let _ = fs::remove_file(&aside);
        }
        stored?;
        // If they stay, nobody takes them for those of this snapshot.
        let _ = fs::remove_file(self.path(DELTAS));
        let base = whole::checksum(&content);
        Ok(Log::new(self.path(DELTAS), base, content.len()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The whole snapshot that a file holds, from its first byte to its last; what follows it is in another file.
///
/// Errors: all but [`LoadError::Io`].
pub fn decode(file: &[u8]) -> Result<v1::Snapshot, LoadError> {
    let (content, _) = whole::unwrap(file)?;
    Ok(v1::Snapshot::decode(content)?)
}

/// At most one byte more than a snapshot may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = (HEADER_BYTES + MAX_SNAPSHOT_BYTES + 1) as u64;
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, chunks: &[&[u8]]) -> io::Result<()> {
    let mut file = create(path)?;
    for chunk in chunks {
        file.write_all(chunk)?;
    }
    file.sync_all()
}

/// A new file in place of what has the name.
fn create(path: &Path) -> io::Result<File> {
    // One that was left by a crash may have been made by anybody, with any mode.
    remove(path)?;
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes durable that a file has its name.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests;
