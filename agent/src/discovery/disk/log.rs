//! Appends deltas behind the whole snapshot, each durable with one sync of a few hundred bytes.
//!
//! The file begins anew with the first delta after each whole snapshot. Whoever appends gives the log away and gets it
//! back on success only: behind a record that may be there by half nothing can be appended.
//!
//! Everything here blocks.

use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;

use super::whole::Checksum;
use super::{create, deltas, sync_folder};

/// The deltas may take this share of the whole snapshot (one in so many) before a new one is due, ...
const SHARE: u64 = 2;
/// ... but at least this, so that a small configuration is not written whole all the time, ...
const LEAST_BYTES: u64 = 256 * 1024;
/// ... and at most this, so that a start does not take long.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The deltas behind the whole snapshot that is on disk.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    base: Checksum,
    /// `None` = there is no delta yet; what else has the name follows another snapshot.
    file: Option<File>,
    bytes: u64,
    limit: u64,
}

impl Log {
    /// None yet behind the snapshot with this checksum and length.
    pub(super) fn new(path: PathBuf, base: Checksum, base_bytes: usize) -> Self {
        Self {
            path,
            base,
            file: None,
            bytes: 0,
            limit: (base_bytes as u64 / SHARE).clamp(LEAST_BYTES, MOST_BYTES),
        }
    }

    /// A whole snapshot is due: together they are too long.
    pub fn is_full(&self) -> bool {
        self.bytes >= self.limit
    }

    /// Whether an encoded delta of this length is better appended than written as part of a whole snapshot.
    pub fn takes(&self, delta_bytes: usize) -> bool {
        !self.is_full() && delta_bytes as u64 <= self.limit
    }

    /// Appends an encoded delta; durable when this returns. On an error what was there before is still there.
    pub fn append(mut self, delta: &[u8]) -> io::Result<Self> {
        let record = deltas::record(delta).ok_or(ErrorKind::FileTooLarge)?;
        self.bytes += record.len() as u64;
        match &mut self.file {
            Some(file) => {
                file.write_all(&record)?;
                file.sync_data()?;
            }
            None => self.file = Some(self.begin(&record)?),
        }
        Ok(self)
    }

    fn begin(&self, record: &[u8]) -> io::Result<File> {
        let mut file = create(&self.path)?;
        file.write_all(&[&deltas::header(&self.base), record].concat())?;
        file.sync_all()?;
        sync_folder(&self.path)?;
        Ok(file)
    }
}
