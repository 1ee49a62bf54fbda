//! The database proper: sled 0.34, with what it needs to be trusted.
//!
//! - sled may panic where it should fail, so every call is caught; after any failure the database is given up, and
//!   not closed: closing waits for what failed. That it may never return is `follower`'s business.
//! - Its `flush` does not reach the disk on Linux: `db` is synced by us.
//! - Large values keep their disk when they go: values are cut into chunks of [`MAX_CHUNK_BYTES`].
//!
//! Keys: `r` key NUL chunk = a resource, `h` revision chunk = a revision, `m` = [`Meta`]. All of an append is one
//! atomic batch. Invariant: where `m` is, everything at its revision is there; the digest over all resources tells.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use sled::Batch;

use super::image::Image;
use crate::store::record::encode_resource;
use crate::store::{Entry, Record};

/// The largest value.
const MAX_CHUNK_BYTES: usize = 64 * 1024;
/// Memory for pages; the state is not read from here while the program runs.
const CACHE_BYTES: u64 = 16 << 20;
/// Values of one batch while the database is built.
const BUILD_BATCH: usize = 1000;
/// The form that is written; earlier ones would be read here.
const VERSION: u8 = 1;

/// Why the database is given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum DatabaseError {
    /// As sled says.
    #[error("{0}")]
    Sled(#[from] sled::Error),
    /// Its file cannot be synced.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// sled does not return.
    #[error("sled does not return")]
    Stuck,
    /// sled panicked.
    #[error("sled panicked")]
    Panic,
    /// It can be read, and does not make sense.
    #[error("{0}")]
    Unsound(&'static str),
}

/// An open database.
pub(super) struct Database {
    db: sled::Db,
    file: File,
    meta: Meta,
    has_failed: bool,
}

/// What the database says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Meta {
    revision: u64,
    digest: Digest,
}

impl Database {
    /// Opens one, or makes an empty one, at revision 0.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        caught(|| {
            let config = sled::Config::new().path(path).flush_every_ms(None);
            let db = config.cache_capacity(CACHE_BYTES).open()?;
            let meta = match db.get("m")? {
                Some(bytes) => {
                    Meta::decode(&bytes).ok_or(DatabaseError::Unsound("its revision is broken"))?
                }
                None if db.is_empty() => Meta::default(),
                None => return Err(DatabaseError::Unsound("it has no revision")),
            };
            let file = File::open(path.join("db"))?;
            Ok(Self {
                db,
                file,
                meta,
                has_failed: false,
            })
        })
    }

    /// Reads everything. Errors also: something is missing, or too much.
    pub(super) fn image(&mut self) -> Result<Image, DatabaseError> {
        let read = caught(|| {
            let mut image = Image {
                revision: self.meta.revision,
                ..Image::default()
            };
            for value in self.values(b"r") {
                let (_, bytes) = value?;
                let added = image.add(&bytes);
                added.map_err(|_| DatabaseError::Unsound("a resource cannot be decoded"))?;
            }
            for value in self.values(b"h") {
                let (key, bytes) = value?;
                let revision = key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
                let revision =
                    revision.ok_or(DatabaseError::Unsound("a revision has no number"))?;
                let bytes = bytes.into();
                image.records.push(Record { revision, bytes });
            }
            let mut digest = Digest::default();
            for (key, resource) in &image.resources {
                digest.add(key, resource.revision());
            }
            if digest != self.meta.digest || !image.is_sound(image.revision) {
                return Err(DatabaseError::Unsound("something is missing"));
            }
            Ok(image)
        });
        self.has_failed |= read.is_err();
        read
    }

    /// Appends revisions and forgets the history before `oldest`. Durable when it returns.
    pub(super) fn append(&mut self, entries: &[Entry], oldest: u64) -> Result<(), DatabaseError> {
        let mut meta = self.meta;
        let mut last = BTreeMap::new();
        for entry in entries {
            meta.revision = entry.record.revision;
            for changed in &entry.changes {
                if let Some(before) = &changed.before {
                    meta.digest.remove(&changed.key, before.revision());
                }
                if let Some(after) = &changed.after {
                    meta.digest.add(&changed.key, after.revision());
                }
                last.insert(&changed.key, changed.after.as_ref());
            }
        }
        let written = caught(|| {
            let mut batch = Batch::default();
            for (key, resource) in last {
                self.put(
                    &mut batch,
                    &resource_key(key),
                    resource.map(|it| encode_resource(it)),
                )?;
            }
            for entry in entries.iter().filter(|it| it.record.revision >= oldest) {
                let bytes = entry.record.bytes.to_vec();
                self.put(&mut batch, &record_key(entry.record.revision), Some(bytes))?;
            }
            for key in self.db.range(&b"h"[..]..&record_key(oldest)[..]).keys() {
                batch.remove(key?);
            }
            batch.insert("m", meta.encode());
            self.db.apply_batch(batch)?;
            self.sync()
        });
        self.written(written, meta)
    }

    /// Fills an empty one. Its revision is written last: half of it is an unsound database.
    pub(super) fn fill(&mut self, image: &Image) -> Result<(), DatabaseError> {
        let mut meta = Meta {
            revision: image.revision,
            ..Meta::default()
        };
        let resources = image.resources.iter().map(|(key, resource)| {
            meta.digest.add(key, resource.revision());
            (resource_key(key), encode_resource(resource))
        });
        let resources: Vec<_> = resources.collect();
        let records = image.records.iter();
        let records = records.map(|it| (record_key(it.revision), it.bytes.to_vec()));
        let values: Vec<_> = resources.into_iter().chain(records).collect();
        let written = caught(|| {
            for values in values.chunks(BUILD_BATCH) {
                let mut batch = Batch::default();
                for (key, value) in values {
                    self.put(&mut batch, key, Some(value.clone()))?;
                }
                self.db.apply_batch(batch)?;
            }
            self.db.insert("m", meta.encode())?;
            self.sync()
        });
        self.written(written, meta)
    }

    /// Closes it; one that failed is left open.
    pub(super) fn close(self) {
        if self.has_failed {
            std::mem::forget(self);
        } else {
            // Everything is synced; what closing does besides may fail.
            let _ = caught(|| {
                drop(self);
                Ok(())
            });
        }
    }

    fn written(
        &mut self,
        written: Result<(), DatabaseError>,
        meta: Meta,
    ) -> Result<(), DatabaseError> {
        match written {
            Ok(()) => self.meta = meta,
            Err(_) => self.has_failed = true,
        }
        written
    }

    /// Puts a value, in chunks, or removes it; chunks of a longer one before it go.
    fn put(
        &self,
        batch: &mut Batch,
        key: &[u8],
        value: Option<Vec<u8>>,
    ) -> Result<(), DatabaseError> {
        let mut chunks = 0_u32;
        for chunk in value.iter().flat_map(|value| value.chunks(MAX_CHUNK_BYTES)) {
            batch.insert(chunk_key(key, chunks), chunk);
            chunks += 1;
        }
        while self.db.contains_key(chunk_key(key, chunks))? {
            batch.remove(chunk_key(key, chunks));
            chunks += 1;
        }
        Ok(())
    }

    /// The values whose keys begin with `prefix`, with what follows it, without the number of the chunk.
    fn values<'a>(
        &'a self,
        prefix: &'static [u8],
    ) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), DatabaseError>> + use<'a> {
        let mut chunks = self.db.scan_prefix(prefix).peekable();
        std::iter::from_fn(move || {
            let (first, mut bytes) = match chunks.next()? {
                Ok((key, value)) => (key, value.to_vec()),
                Err(error) => return Some(Err(error.into())),
            };
            let key = first.get(..first.len().saturating_sub(4))?;
            let mut at = 1;
            let is_next = |at: u32, next: &sled::Result<(sled::IVec, sled::IVec)>| {
                next.as_ref()
                    .is_ok_and(|(next, _)| **next == *chunk_key(key, at))
            };
            while let Some(Ok((_, more))) = chunks.next_if(|next| is_next(at, next)) {
                bytes.extend_from_slice(&more);
                at += 1;
            }
            Some(Ok((key[prefix.len()..].to_vec(), bytes)))
        })
    }

    fn sync(&self) -> Result<(), DatabaseError> {
        self.db.flush()?;
        self.file.sync_data()?;
        Ok(())
    }
}

impl Meta {
    fn encode(self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.revision.to_le_bytes());
        bytes.extend(self.digest.to_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (revision, digest) = rest.split_first_chunk()?;
        (version == VERSION).then_some(Self {
            revision: u64::from_le_bytes(*revision),
            digest: Digest::from_bytes(digest)?,
        })
    }
}

/// Kind and name of a resource, as in a key of the database. No name contains a NUL.
fn resource_key(key: &Key) -> Vec<u8> {
    format!("r{key}\0").into_bytes()
}

fn record_key(revision: u64) -> Vec<u8> {
    [b"h", &revision.to_be_bytes()[..]].concat()
}

fn chunk_key(key: &[u8], chunk: u32) -> Vec<u8> {
    [key, &chunk.to_be_bytes()].concat()
}

fn caught<T>(call: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or(Err(DatabaseError::Panic))
}
