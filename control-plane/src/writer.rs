//! The one writer.

use std::sync::Arc;

use inlet_proto::v1;
use tokio::sync::watch;

use crate::model::{Change, Quotas, State, Violation};
use crate::store::{Store, StoreError};

pub(crate) use crate::history::NotKept;

/// How a writer works; the defaults are named constants.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How much there may be.
    pub(crate) quotas: Quotas,
    /// Revisions that are kept at most.
    pub(crate) kept_revisions: usize,
    /// Bytes of the revisions that are kept at most; the last one is kept in any case.
    pub(crate) kept_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            kept_revisions: 10_000,
            kept_bytes: 16 << 20,
        }
    }
}

/// What a change did, or would do.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The new revision, or the current one if nothing was kept.
    pub(crate) revision: u64,
    /// It was kept as a new revision.
    pub(crate) committed: bool,
    /// In the order of the request, then deletions, children after their parents. Secrets are left out.
    pub(crate) changes: Vec<v1::ResourceChange>,
}

/// A configuration to go back to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rollback {
    /// The revision whose configuration is wanted.
    pub(crate) to: u64,
    /// Refused unless this is the current revision.
    pub(crate) expected_revision: Option<u64>,
    /// Says what would happen and keeps nothing.
    pub(crate) validate_only: bool,
    /// Who asks.
    pub(crate) author: String,
    /// Kept with the revision; empty = `rollback to REVISION`.
    pub(crate) message: String,
}

/// Why a change is not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It may not be; all reasons.
    #[error("the change is refused for {} reasons", .0.len())]
    Invalid(Vec<Violation>),
    /// Another revision was expected.
    #[error("revision {expected} was expected, but the current one is {current}")]
    Conflict {
        /// As asked for.
        expected: u64,
        /// The current one.
        current: u64,
    },
    /// The revision to go back to is not there.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// It cannot be kept; nothing of it is there.
    #[error("the change cannot be kept: {message}")]
    Storage {
        /// What the store says.
        message: String,
    },
    /// The writer has ended.
    #[error("the control plane is shutting down")]
    Closed,
}

/// Why a writer does not start.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct OpenError(#[from] StoreError);

/// A handle of the one writer.
#[derive(Clone)]
pub(crate) struct Writer {
    states: watch::Receiver<Arc<State>>,
}

impl Writer {
    /// Reads what is kept and starts the writer's thread.
    pub(crate) fn open(_store: Box<dyn Store>, _settings: Settings) -> Result<Self, OpenError> {
        unimplemented!()
    }

    /// The current state. Never waits for a change.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    /// Tells every new state, once it is durable.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// Makes a change, or says why not. Durable and visible when it returns.
    pub(crate) async fn apply(&self, _change: Change) -> Result<Outcome, Refused> {
        unimplemented!()
    }

    /// Makes the configuration of an earlier revision the next one.
    pub(crate) async fn rollback(&self, _rollback: Rollback) -> Result<Outcome, Refused> {
        unimplemented!()
    }

    /// The revisions after one, the oldest first; not all if they are many: ask again after the last.
    pub(crate) fn revisions_after(&self, _after: u64) -> Result<Vec<Arc<v1::Revision>>, NotKept> {
        unimplemented!()
    }

    /// The newest revisions below `before`, the newest first.
    pub(crate) fn history(
        &self,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Vec<Arc<v1::Revision>>, NotKept> {
        unimplemented!()
    }

    /// One revision.
    pub(crate) fn revision_record(&self, _revision: u64) -> Result<Arc<v1::Revision>, NotKept> {
        unimplemented!()
    }

    /// The oldest revision that is kept: shown, and rolled back to.
    pub(crate) fn oldest_revision(&self) -> u64 {
        unimplemented!()
    }

    /// Ends the writer after what is queued, and closes the store.
    pub(crate) async fn close(self) {}
}
