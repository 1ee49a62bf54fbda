//! The kept snapshot: one file that is whole or not there, and says itself whether it is intact.
//!
//! Form: `MAGIC`, version (u32), length of the content (u64), SHA-256 of the content, content; numbers little-endian.
//! The content of version 1 is a complete [`v1::Snapshot`] of one part. It is written aside, synced and renamed, so a
//! crash leaves the old one or the new one. It has private keys in it: only the owner may read it.
//!
//! Everything here blocks: [`keep`](super::keep) decides when it is called, and not on which thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use inlet_proto::v1;
use prost::Message as _;
use prost::encoding::message;
use sha2::{Digest as _, Sha256};

use super::CompleteSnapshot;
use super::exchange::MAX_SNAPSHOT_BYTES;

/// The file.
const FILE: &str = "snapshot";
/// The next one, while it is written.
const ASIDE: &str = "snapshot.new";
/// The last one that could not be used, for inspection.
const BROKEN: &str = "snapshot.broken";
/// First bytes of the file.
const MAGIC: &[u8; 8] = b"inletsnp";
/// The form that is written.
const VERSION: u32 = 1;
/// Magic, version, length, checksum.
const HEADER_BYTES: usize = 8 + 4 + 8 + 32;
/// Field number of `Snapshot.upserts`.
const UPSERTS: u32 = 3;
/// Only the owner reads private keys.
const FILE_MODE: u32 = 0o600;

/// The place in the data folder where the snapshot is kept.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
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
}

impl Disk {
    /// The snapshot in this folder, which is there.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Reads the kept snapshot; `None` = there is no file.
    pub fn load(&self) -> Result<Option<v1::Snapshot>, LoadError> {
        let path = self.path(FILE);
        let bytes = match read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LoadError::Io { path, error }),
            Ok(bytes) => bytes,
        };
        decode(&bytes).map(Some)
    }

    /// Moves a file that cannot be used out of the way, over the last such one; says where it is then.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let broken = self.path(BROKEN);
        fs::rename(self.path(FILE), &broken)?;
        self.sync_folder()?;
        Ok(broken)
    }

    /// Keeps `snapshot` in place of what is there; durable when this returns. On an error the old one is still there.
    pub fn store(&self, snapshot: &CompleteSnapshot) -> io::Result<()> {
        let aside = self.path(ASIDE);
        let stored = write(&aside, &encode(snapshot))
            .and_then(|()| fs::rename(&aside, self.path(FILE)))
            .and_then(|()| self.sync_folder());
        if stored.is_err() {
            // A full disk needs the room; whether this works out is no further news.
            let _ = fs::remove_file(&aside);
        }
        stored
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The snapshot that a file holds, from its first byte to its last.
///
/// Errors: all but [`LoadError::Io`].
pub fn decode(file: &[u8]) -> Result<v1::Snapshot, LoadError> {
    Ok(v1::Snapshot::decode(unwrap(file)?)?)
}

/// At most one byte more than a snapshot may have.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = (HEADER_BYTES + MAX_SNAPSHOT_BYTES + 1) as u64;
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    // One that was left by a crash may have been made by anybody, with any mode.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)?;
    file.write_all(&header(content))?;
    file.write_all(content)?;
    file.sync_all()
}

fn header(content: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend(MAGIC);
    header.extend(VERSION.to_le_bytes());
    header.extend((content.len() as u64).to_le_bytes());
    header.extend(Sha256::digest(content));
    header
}

/// The content of a file, checked.
fn unwrap(bytes: &[u8]) -> Result<&[u8], LoadError> {
    let mut rest = bytes;
    let mut field = |length| rest.split_off(..length).ok_or(LoadError::Foreign);
    if field(MAGIC.len())? != MAGIC {
        return Err(LoadError::Foreign);
    }
    let version = u32::from_le_bytes(array(field(4)?)?);
    if version != VERSION {
        return Err(LoadError::Version(version));
    }
    let expected = u64::from_le_bytes(array(field(8)?)?);
    let checksum: [u8; 32] = array(field(32)?)?;
    let found = rest.len() as u64;
    if found != expected {
        return Err(LoadError::Length { expected, found });
    }
    if checksum != *Sha256::digest(rest) {
        return Err(LoadError::Checksum);
    }
    Ok(rest)
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], LoadError> {
    bytes.try_into().map_err(|_| LoadError::Foreign)
}

/// A snapshot, put together from encoded fields: building the message itself would clone every resource.
fn encode(snapshot: &CompleteSnapshot) -> Vec<u8> {
    let frame = v1::Snapshot {
        revision: snapshot.revision,
        digest: snapshot.digest.to_bytes(),
        part: 1,
        parts: 1,
        ..Default::default()
    };
    let mut bytes = frame.encode_to_vec();
    for resource in &snapshot.resources {
        message::encode(UPSERTS, &**resource, &mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use inlet_proto::digest::Digest;

    use super::*;

    fn snapshot(revision: u64, groups: usize) -> CompleteSnapshot {
        let group = |number| {
            v1::TargetGroup {
                name: format!("g{number}"),
                revision,
                ..Default::default()
            }
            .into()
        };
        let mut digest = Digest::default();
        let resources: Vec<Arc<v1::Resource>> =
            (0..groups).map(|number| Arc::new(group(number))).collect();
        for resource in &resources {
            digest.add(&resource.key().unwrap(), revision);
        }
        CompleteSnapshot {
            revision,
            digest,
            resources,
        }
    }

    fn kept(groups: usize) -> (tempfile::TempDir, Disk) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path());
        disk.store(&snapshot(7, groups)).unwrap();
        (folder, disk)
    }

    #[test]
    fn what_was_stored_last_is_loaded() {
        let (_folder, disk) = kept(3);
        disk.store(&snapshot(8, 2)).unwrap();
        let loaded = disk.load().unwrap().unwrap();
        let expected = snapshot(8, 2);
        assert_eq!((loaded.revision, loaded.base_revision), (8, 0));
        assert_eq!((loaded.part, loaded.parts), (1, 1));
        assert_eq!(loaded.digest, expected.digest.to_bytes());
        let resources: Vec<_> = loaded.upserts.into_iter().map(Arc::new).collect();
        assert_eq!(resources, expected.resources);
    }

    #[test]
    fn nothing_kept_is_no_mistake() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Disk::new(folder.path()).load().unwrap().is_none());
    }

    #[test]
    fn only_the_owner_may_read_private_keys() {
        let (_folder, disk) = kept(1);
        let mode = fs::metadata(disk.path(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
    }

    #[test]
    fn a_file_that_was_cut_off_or_changed_anywhere_is_noticed() {
        let (_folder, disk) = kept(2);
        let whole = fs::read(disk.path(FILE)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x40;
            for bad in [&whole[..at], &changed[..]] {
                fs::write(disk.path(FILE), bad).unwrap();
                assert!(disk.load().is_err(), "byte {at}");
            }
        }
        let longer = [&whole[..], b"x"].concat();
        fs::write(disk.path(FILE), longer).unwrap();
        assert!(matches!(disk.load(), Err(LoadError::Length { .. })));
    }

    #[test]
    fn what_cannot_be_used_is_said_and_kept_once() {
        let content = |version: u32, content: &[u8]| {
            let mut header = header(content);
            header[8..12].copy_from_slice(&version.to_le_bytes());
            [header, content.to_vec()].concat()
        };
        let (_folder, disk) = kept(1);
        for (bytes, expected) in [
            (b"hello".to_vec(), "it is not a kept snapshot"),
            (
                content(2, b"x"),
                "it has the form 2, and this agent knows form 1",
            ),
            (content(1, b"\xff"), "its content cannot be read"),
        ] {
            fs::write(disk.path(FILE), &bytes).unwrap();
            let error = disk.load().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            let broken = disk.set_aside().unwrap();
            assert_eq!(fs::read(broken).unwrap(), bytes);
            assert!(disk.load().unwrap().is_none());
        }
        let files = fs::read_dir(&disk.folder).unwrap().count();
        assert_eq!(files, 1, "broken ones do not pile up");
    }

    #[test]
    fn a_failed_store_leaves_the_old_one_and_a_crashed_one_is_no_obstacle() {
        let (folder, disk) = kept(1);
        fs::write(disk.path(ASIDE), b"half").unwrap();
        disk.store(&snapshot(8, 1)).unwrap();
        // A folder in its place cannot be replaced by a file.
        fs::create_dir(folder.path().join(ASIDE)).unwrap();
        assert!(disk.store(&snapshot(9, 1)).is_err());
        assert_eq!(disk.load().unwrap().unwrap().revision, 8);
    }
}
