//! The one writer: a thread that takes changes from a bounded queue, one after the other.
//!
//! Admit, append, publish: a change is durable before anybody can see it, and whoever asked is answered last. All
//! changes that wait are admitted one on top of the other and appended together (group commit), each as a revision of
//! its own; if the append fails, none of them was ever there.
//!
//! Invariant: revisions rise by one, and are given out here only. If the thread ends, callers are told
//! [`Refused::Closed`]; nobody hangs.

mod rollback;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use inlet_proto::v1;
use prost_types::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use crate::history::{self, History};
use crate::model::{Change, Quotas, State, Violation};
use crate::store::{Store, StoreError};
use thread::Reply;

pub(crate) use crate::history::NotKept;
pub(crate) use thread::{Core, Job};

/// Changes that wait at most; who comes later waits for a place.
const MAX_QUEUED: usize = 256;

/// How a writer works; the defaults are named constants.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How much there may be.
    pub(crate) quotas: Quotas,
    /// Revisions that are kept at most.
    pub(crate) kept_revisions: usize,
    /// Bytes of the revisions that are kept at most; the last one is kept in any case.
    pub(crate) kept_bytes: usize,
    /// Gives the time that a change is made at.
    pub(crate) clock: fn() -> Timestamp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            kept_revisions: 10_000,
            kept_bytes: 128 << 20,
            clock: now,
        }
    }
}

fn now() -> Timestamp {
    let now = jiff::Timestamp::now();
    Timestamp {
        seconds: now.as_second(),
        nanos: now.subsec_nanosecond(),
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
pub enum OpenError {
    /// What is kept cannot be opened.
    #[error("{0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no thread.
    #[error("cannot start the writer's thread: {0}")]
    Thread(#[source] std::io::Error),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

/// A handle of the one writer.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    states: watch::Receiver<Arc<State>>,
    history: Arc<RwLock<History>>,
}

impl Writer {
    /// Reads what is kept and starts the writer's thread, which ends with [`Writer::close`] or the last handle.
    pub(crate) fn open(store: Box<dyn Store>, settings: Settings) -> Result<Self, OpenError> {
        let (core, states, history) = Core::load(store, settings)?;
        let (queue, jobs) = mpsc::channel(MAX_QUEUED);
        let thread = std::thread::Builder::new().name("inlet-writer".to_owned());
        // It is not joined: `close` waits for its last word, and a panic closes the queue.
        thread
            .spawn(move || core.run(jobs))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            queue,
            states,
            history,
        })
    }

    /// The current state. Never waits for a change.
    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.states.borrow())
    }

    /// Tells every new state, once it is durable.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<State>> {
        self.states.clone()
    }

    /// Makes a change, or says why not. Durable and visible when it returns, and made even if the caller goes away.
    pub(crate) async fn apply(&self, change: Change) -> Result<Outcome, Refused> {
        self.ask(|reply| Job::Apply(change, reply)).await
    }

    /// Makes the configuration of an earlier revision the next one. What was deleted since comes back as a new
    /// resource; what may not be any more is refused with all reasons.
    pub(crate) async fn rollback(&self, rollback: Rollback) -> Result<Outcome, Refused> {
        self.ask(|reply| Job::Rollback(rollback, reply)).await
    }

    /// The revisions after one, the oldest first; not all if they are many: ask again after the last. None after the
    /// current one.
    pub(crate) fn revisions_after(&self, after: u64) -> Result<Vec<Arc<v1::Revision>>, NotKept> {
        let records = self.kept().after(after)?;
        Ok(records.iter().map(history::decode).collect())
    }

    /// The newest revisions below `before`, the newest first; none if they are not kept any more.
    pub(crate) fn history(&self, before: Option<u64>, limit: usize) -> Vec<Arc<v1::Revision>> {
        let records = self.kept().newest(before, limit);
        records.iter().map(history::decode).collect()
    }

    /// One revision.
    pub(crate) fn revision_record(&self, revision: u64) -> Result<Arc<v1::Revision>, NotKept> {
        let record = self.kept().one(revision)?;
        Ok(history::decode(&record))
    }

    /// The oldest revision that is kept: shown, and rolled back to. The current one if none was made yet.
    pub(crate) fn oldest_revision(&self) -> u64 {
        self.kept().oldest()
    }

    /// Waits until the writer's thread has ended: after [`Writer::close`], or because it broke.
    pub(crate) async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Ends the writer after what is queued, and closes the store.
    pub(crate) async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Job::Close(done)).await.is_ok() {
            // An error is a writer that broke: closed as well.
            let _ = closed.await;
        }
    }

    async fn ask(&self, job: impl FnOnce(Reply) -> Job) -> Result<Outcome, Refused> {
        let (reply, answer) = oneshot::channel();
        let queued = self.queue.send(job(reply)).await;
        queued.map_err(|_| Refused::Closed)?;
        answer.await.unwrap_or(Err(Refused::Closed))
    }

    fn kept(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }
}
