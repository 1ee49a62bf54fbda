//! The writer's thread: batches of changes, each admitted on the last, appended with one sync, then published.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use inlet_proto::name::Key;
use inlet_proto::v1;
use prost_types::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use super::rollback::way_back;
use super::{OpenError, Outcome, Refused, Rollback, Settings};
use crate::history::{self, History};
use crate::model::{Admitted, Change, Changed, State, Terms, admit, redact_change};
use crate::store::{Entry, Loaded, Record, Store, StoreError, encode_revision};

/// Revisions that are appended together at most.
pub(super) const MAX_BATCH: usize = 256;
/// Stored bytes that are appended together at most; one larger revision goes by itself.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Where an answer goes. Whoever asked may be gone.
pub(crate) type Reply = oneshot::Sender<Result<Outcome, Refused>>;

/// What waits in the queue.
pub(crate) enum Job {
    /// A change to make.
    Apply(Change, Reply),
    /// A revision to go back to.
    Rollback(Rollback, Reply),
    /// End, and say so.
    Close(oneshot::Sender<()>),
}

/// What the thread owns.
pub(crate) struct Core {
    store: Box<dyn Store>,
    settings: Settings,
    states: watch::Sender<Arc<State>>,
    history: Arc<RwLock<History>>,
}

/// Changes that become durable together.
struct Batch {
    /// The state with all of them, not visible yet.
    state: Arc<State>,
    entries: Vec<Entry>,
    bytes: usize,
    answers: Vec<Answer>,
}

/// An answer that is held back until the batch is durable.
struct Answer {
    reply: Reply,
    result: Result<Outcome, Refused>,
    /// It rests on changes of this batch.
    is_pending: bool,
}

/// What was found about one change.
struct Judged {
    outcome: Outcome,
    /// The next state and its entry, if it is to be kept.
    next: Option<(State, Entry)>,
}

/// A core with what its handles look at.
pub(crate) type Parts = (Core, watch::Receiver<Arc<State>>, Arc<RwLock<History>>);

impl Core {
    /// Reads what is kept.
    pub(crate) fn load(mut store: Box<dyn Store>, settings: Settings) -> Result<Parts, OpenError> {
        let loaded = store.load()?;
        let state = State::restore(loaded.revision, loaded.resources);
        let (states, receiver) = watch::channel(Arc::new(state));
        let history = Arc::new(RwLock::new(History::of(
            loaded.records,
            loaded.revision,
            settings.kept_revisions,
            settings.kept_bytes,
        )));
        let core = Self {
            store,
            settings,
            states,
            history: Arc::clone(&history),
        };
        Ok((core, receiver, history))
    }

    /// Serves until it is told to close, or nobody is left to ask.
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = queue.blocking_recv() else {
                break;
            };
            closing = self.serve(first, &mut queue);
            self.export();
        }
        // Whoever has queued something after the end learns it by its reply being dropped.
        drop(queue);
        drop(self);
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    /// Serves a job and those that wait behind it, as far as they fit into one batch.
    pub(crate) fn serve(
        &mut self,
        first: Job,
        queue: &mut mpsc::Receiver<Job>,
    ) -> Option<oneshot::Sender<()>> {
        let mut batch = Batch::on(&self.states.borrow());
        let mut next = Some(first);
        let mut closing = None;
        while let Some(job) = next {
            match job {
                Job::Apply(change, reply) => {
                    let judged = self.judge(&batch.state, &change, &BTreeSet::new());
                    batch.add(judged, reply);
                }
                Job::Rollback(rollback, reply) => {
                    // It reads the history, which has only what is durable.
                    self.commit(batch);
                    batch = Batch::on(&self.states.borrow());
                    batch.add(self.roll_back(&batch.state, rollback), reply);
                }
                Job::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            next = if batch.is_full() {
                None
            } else {
                queue.try_recv().ok()
            };
        }
        self.commit(batch);
        closing
    }

    fn judge(
        &self,
        state: &State,
        change: &Change,
        anew: &BTreeSet<Key>,
    ) -> Result<Judged, Refused> {
        let current = state.revision();
        if let Some(expected) = change.expected_revision.filter(|it| *it != current) {
            return Err(Refused::Conflict { expected, current });
        }
        let terms = Terms {
            now: (self.settings.clock)(),
            quotas: &self.settings.quotas,
            anew,
        };
        let mut ids = || uuid::Uuid::now_v7().to_string();
        let admitted = admit(state, change, &terms, &mut ids).map_err(Refused::Invalid)?;
        Ok(Judged::of(state, change, admitted, terms.now))
    }

    fn roll_back(&self, state: &State, rollback: Rollback) -> Result<Judged, Refused> {
        let later = self.history.read().unwrap_or_else(PoisonError::into_inner);
        let later = later.back_to(rollback.to)?;
        let way = way_back(state, later.iter().map(history::decode), rollback);
        self.judge(state, &way.change, &way.anew)
    }

    /// Makes a batch durable, then visible, then answers; or answers that nothing of it was kept.
    fn commit(&mut self, batch: Batch) {
        if batch.entries.is_empty() {
            return batch.answer();
        }
        match self.append(&batch.entries) {
            Ok(()) => {
                let records = batch.entries.iter().map(|entry| entry.record.clone());
                let history = self.history.write();
                let mut history = history.unwrap_or_else(PoisonError::into_inner);
                history.extend(records.collect());
                drop(history);
                self.states.send_replace(Arc::clone(&batch.state));
                batch.answer();
            }
            Err(error) => batch.refuse(&error),
        }
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let history = self.history.read().unwrap_or_else(PoisonError::into_inner);
        let oldest = history.oldest_with(entries.iter().map(|entry| &entry.record));
        drop(history);
        self.store.append(entries, oldest)
    }

    /// Failing is no harm: everything is kept already, and the store asks again later.
    fn export(&mut self) {
        if !self.store.wants_export() {
            return;
        }
        let (states, history) = (&self.states, &self.history);
        let mut whole = || {
            let state = Arc::clone(&states.borrow());
            let history = history.read().unwrap_or_else(PoisonError::into_inner);
            Loaded {
                revision: state.revision(),
                resources: state.all().map(|(_, r)| v1::Resource::clone(r)).collect(),
                records: history.records().cloned().collect(),
            }
        };
        if let Err(error) = self.store.export(&mut whole) {
            tracing::warn!(%error, "the configuration could not be exported; it is tried again later");
        }
    }
}

impl Batch {
    fn on(state: &Arc<State>) -> Self {
        Self {
            state: Arc::clone(state),
            entries: Vec::new(),
            bytes: 0,
            answers: Vec::new(),
        }
    }

    fn is_full(&self) -> bool {
        self.answers.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    fn add(&mut self, judged: Result<Judged, Refused>, reply: Reply) {
        let mut is_pending = !self.entries.is_empty();
        let result = judged.map(|judged| {
            if let Some((state, entry)) = judged.next {
                self.state = Arc::new(state);
                self.bytes += entry.record.bytes.len();
                self.entries.push(entry);
                is_pending = true;
            }
            judged.outcome
        });
        self.answers.push(Answer {
            reply,
            result,
            is_pending,
        });
    }

    fn answer(self) {
        for answer in self.answers {
            let _ = answer.reply.send(answer.result);
        }
    }

    /// Nothing of it was kept: also who was refused, or told that nothing changes, was judged by what is not there.
    fn refuse(self, error: &StoreError) {
        let message = error.to_string();
        for answer in self.answers {
            let result = if answer.is_pending {
                Err(Refused::Storage {
                    message: message.clone(),
                })
            } else {
                answer.result
            };
            let _ = answer.reply.send(result);
        }
    }
}

impl Judged {
    fn of(state: &State, change: &Change, admitted: Admitted, now: Timestamp) -> Self {
        let committed = admitted.state.revision() != state.revision() && !change.validate_only;
        let outcome = Outcome {
            revision: if committed {
                admitted.state.revision()
            } else {
                state.revision()
            },
            committed,
            changes: admitted.changes.iter().map(shown).collect(),
        };
        let next = committed.then(|| {
            let entry = entry(&admitted, change, now);
            (admitted.state, entry)
        });
        Self { outcome, next }
    }
}

fn shown(changed: &Changed) -> v1::ResourceChange {
    let mut message = changed.to_message();
    redact_change(&mut message);
    message
}

fn entry(admitted: &Admitted, change: &Change, now: Timestamp) -> Entry {
    let effective = admitted.changes.iter().filter(|it| it.is_effective());
    let changes: Vec<_> = effective.cloned().collect();
    let revision = v1::Revision {
        revision: admitted.state.revision(),
        time: Some(now),
        author: change.author.clone(),
        message: change.message.clone(),
        changes: changes.iter().map(Changed::to_message).collect(),
    };
    let record = Record {
        revision: revision.revision,
        bytes: encode_revision(&revision),
    };
    Entry { record, changes }
}
