//! Where revisions are kept: the [`Store`] trait; [`Sled`] on disk, [`Memory`] for tests and the demo; `record` is the
//! stored form.
//!
//! A store knows nothing of rules and readers: the writer says what to append, and publishes it afterwards.
//! Invariant: what [`Store::append`] has returned for survives any crash; what it failed for was never there.

mod error;
mod memory;
mod record;
mod sled;

use std::sync::Arc;

use inlet_proto::v1;

use crate::model::Changed;

pub(crate) use error::StoreError;
pub(crate) use memory::Memory;
pub(crate) use record::{decode_revision, encode_revision};
pub(crate) use sled::Sled;

/// A revision in its stored form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its number.
    pub(crate) revision: u64,
    /// As [`encode_revision`] made it. Holds secrets.
    pub(crate) bytes: Arc<[u8]>,
}

/// One revision to append.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The revision.
    pub(crate) record: Record,
    /// What it changes, effective changes only.
    pub(crate) changes: Vec<Changed>,
}

/// What a store has kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    /// The last revision.
    pub(crate) revision: u64,
    /// Every resource at that revision, in no order.
    pub(crate) resources: Vec<v1::Resource>,
    /// The revisions that are kept, the oldest first, without gaps, ending with the last.
    pub(crate) records: Vec<Record>,
}

/// Keeps the resources and the history. One owner, one thread.
pub(crate) trait Store: Send {
    /// Everything that is kept; asked once, at the start.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Appends revisions, each one above the last, and forgets the history before `oldest`.
    /// When it returns, all of them are durable; if it fails, none of them is there.
    fn append(&mut self, batch: &[Entry], oldest: u64) -> Result<(), StoreError>;

    /// Whether enough was appended for an [`Store::export`] to be worthwhile.
    fn wants_export(&self) -> bool;

    /// Writes everything anew, so that what was appended so far need not be read again.
    fn export(&mut self, whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError>;
}
