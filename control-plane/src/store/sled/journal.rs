//! The journal: revisions in the order in which they were made, each a checked frame.
//!
//! Invariant: what [`Journal::append`] has returned for is on the disk, and behind it is nothing, or the rest of an
//! append that failed, which is cut off before the next one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::folder::{Folder, Numbered};
use super::frame::{self, FileKind, Kind};
use crate::store::Record;
use crate::store::StoreError;

/// Name of the files, before the revision after which they begin.
pub(super) const NAME: &str = "journal";

/// The journal that is appended to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    path: PathBuf,
    /// Bytes that are durable.
    len: u64,
    /// There may be more behind them.
    is_torn: bool,
    /// The next append fails after so many bytes, like one on a full disk.
    #[cfg(test)]
    pub(super) room: Option<usize>,
}

impl Journal {
    /// A new one, for the revisions after `base`.
    pub(super) fn create(folder: &Folder, base: u64) -> Result<Self, StoreError> {
        let path = folder.numbered(NAME, base);
        let header = FileKind::Journal.header();
        folder.write_whole(&path, |file| io::Write::write_all(file, &header))?;
        Self::open(path, header.len() as u64)
    }

    /// Goes on with one after its first `whole` bytes; what is behind them is cut off.
    pub(super) fn resume(file: &Numbered, whole: u64) -> Result<Self, StoreError> {
        let mut journal = Self::open(file.path.clone(), whole)?;
        journal.is_torn = true;
        journal.mend()?;
        Ok(journal)
    }

    fn open(path: PathBuf, len: u64) -> Result<Self, StoreError> {
        let file = File::options().write(true).open(&path);
        Ok(Self {
            file: file.map_err(StoreError::io("open", &path))?,
            path,
            len,
            is_torn: false,
            #[cfg(test)]
            room: None,
        })
    }

    /// Its size in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where it is.
    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Appends revisions. Durable when it returns; if it fails, none of them is there, or none will be: the next
    /// append cuts off what was written.
    pub(super) fn append<'a>(
        &mut self,
        records: impl Iterator<Item = &'a Record>,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        for record in records {
            frame::write(&mut bytes, Kind::Revision, record.revision, &record.bytes);
        }
        self.mend()?;
        self.is_torn = true;
        let written = self.write(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            let refused = StoreError::io("write", &self.path)(error);
            if let Err(error) = self.mend() {
                tracing::error!(%error, "a failed append is cut off before the next one");
            }
            return Err(refused);
        }
        self.is_torn = false;
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        if let Some(room) = self.room.filter(|room| *room < bytes.len()) {
            self.file.write_all_at(&bytes[..room], self.len)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_all_at(bytes, self.len)
    }

    /// Cuts off what a failed append, or a crash, has left behind the end.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.is_torn {
            let cut = self.file.set_len(self.len);
            let cut = cut.and_then(|()| self.file.sync_data());
            cut.map_err(StoreError::io("truncate", &self.path))?;
            self.is_torn = false;
        }
        Ok(())
    }
}
