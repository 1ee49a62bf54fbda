//! The agent's end of the discovery stream as a state machine: what arrives comes in, what is to be done goes out.
//!
//! ```text
//! Apart --Open--> Waiting --first part--> Collecting --last part--> Deciding --Applied: Ack / Refused: Nack--> Settled
//!                    ^                        |                                                                  |
//!                    |---Hello again: wrong base or digest; a complete snapshot is wanted                        |
//!                                             ^------------------------first part--------------------------------|
//! Waiting, Collecting --nothing for SNAPSHOT_TIMEOUT, or parts out of order--> Apart (Close)
//! any --Lost--> Apart; a decision under way is still taken, and nobody is told
//! ```
//!
//! While deciding, the staged view stands in [`Exchange::view`]; the delta that leads back is kept, so that a change
//! costs what it changes and not what there is. It knows neither the stream nor the table.
//!
//! Invariant: outside of `Deciding`, the view is exactly that of the revision in force.

mod collected;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;

use super::CompleteSnapshot;
use crate::compile::View;

use collected::{Collected, Delta, Mistake, Staged};
pub use collected::{MAX_PARTS, MAX_RESOURCES, MAX_SNAPSHOT_BYTES};

/// How long the control plane may take from Hello to the first part of a snapshot, and from one part to the next.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(30);
/// Reasons of a refusal that are told.
const MAX_REASONS: usize = 100;
/// Longest text of a reason that is told, in bytes.
const MAX_REASON_BYTES: usize = 1024;

/// What comes in.
#[derive(Debug, Clone)]
pub enum Input {
    /// A stream is open.
    Open,
    /// The stream is gone.
    Lost,
    /// A part of a snapshot, from the stream or (whole, while there is no stream) from the disk.
    Part(v1::Snapshot),
    /// What [`Output::Apply`] asked for is in force.
    Applied,
    /// What [`Output::Apply`] asked for cannot be had. Nothing has changed.
    Refused(Vec<v1::refusal::Reason>),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Introduce the agent, or ask for a complete snapshot if it is on an open stream.
    Hello {
        /// In force; 0 = nothing.
        revision: u64,
        /// Of what is in force.
        digest: Digest,
    },
    /// Put [`Exchange::view`] in force and answer with [`Input::Applied`] or [`Input::Refused`].
    Apply {
        /// The revision that it is.
        revision: u64,
        /// What differs from the view in force, removed keys included.
        changed: BTreeSet<Key>,
        /// It came whole and not as a delta.
        is_complete: bool,
    },
    /// Tell that a revision is in force.
    Ack(u64),
    /// Tell that a revision is refused.
    Nack {
        /// Which.
        revision: u64,
        /// Why; at least one.
        reasons: Vec<v1::refusal::Reason>,
    },
    /// End the stream, then open another one.
    Close(CloseReason),
}

/// Why the agent ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// A part that does not follow the one before.
    #[error("part {part} of {parts} of revision {revision} came out of turn")]
    OutOfTurn {
        /// As sent.
        revision: u64,
        /// As sent.
        part: u32,
        /// As sent.
        parts: u32,
    },
    /// Nothing came in time.
    #[error("no part of a snapshot came within {} s", SNAPSHOT_TIMEOUT.as_secs())]
    Silent,
}

/// The stream and what is in force.
#[derive(Debug, Default)]
pub struct Exchange {
    phase: Phase,
    revision: u64,
    digest: Digest,
    view: View,
}

#[derive(Debug, Default)]
enum Phase {
    /// There is no stream.
    #[default]
    Apart,
    /// Hello was said. `resync`: what does not begin a complete snapshot was sent before that, and is passed over.
    Waiting { since: Instant, resync: bool },
    /// Some parts are there, more are to come.
    Collecting {
        since: Instant,
        collected: Collected,
    },
    /// The view is laid out; `staged` leads back. `answer`: the stream that it came on is still open.
    Deciding { staged: Staged, answer: bool },
    /// Answered; the next snapshot may begin.
    Settled,
}

impl Exchange {
    /// The revision in force; 0 = nothing yet, or the empty configuration of a new control plane.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The digest of what is in force.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What is in force; between [`Output::Apply`] and its answer what is staged.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// What is in force, to be kept or shown. Not to be asked while deciding.
    pub fn in_force(&self) -> CompleteSnapshot {
        debug_assert!(self.staged().is_none(), "the view is not in force yet");
        CompleteSnapshot {
            revision: self.revision,
            digest: self.digest,
            resources: self.view.values().cloned().collect(),
        }
    }

    /// Revision and digest of what is to be decided about, if anything.
    pub fn staged(&self) -> Option<(u64, Digest)> {
        match &self.phase {
            Phase::Deciding { staged, .. } => Some((staged.revision, staged.digest)),
            _ => None,
        }
    }

    /// When [`Input::Tick`] is due next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Waiting { since, .. } | Phase::Collecting { since, .. } => {
                Some(*since + SNAPSHOT_TIMEOUT)
            }
            Phase::Apart | Phase::Deciding { .. } | Phase::Settled => None,
        }
    }

    /// Takes in one thing and says what is to be done, if anything.
    pub fn observe(&mut self, input: Input, now: Instant) -> Option<Output> {
        match input {
            Input::Open => {
                debug_assert!(matches!(self.phase, Phase::Apart), "one stream at a time");
                Some(self.hello(now, false))
            }
            Input::Lost => {
                self.lose();
                None
            }
            Input::Part(part) => self.part(part, now),
            Input::Applied => self.applied(),
            Input::Refused(reasons) => self.refused(reasons),
            Input::Tick => {
                let due = self.deadline().is_some_and(|deadline| deadline <= now);
                due.then(|| self.close(CloseReason::Silent))
            }
        }
    }

    fn hello(&mut self, now: Instant, resync: bool) -> Output {
        self.phase = Phase::Waiting { since: now, resync };
        Output::Hello {
            revision: self.revision,
            digest: self.digest,
        }
    }

    fn lose(&mut self) {
        match &mut self.phase {
            Phase::Deciding { answer, .. } => *answer = false,
            phase => *phase = Phase::Apart,
        }
    }

    fn close(&mut self, reason: CloseReason) -> Output {
        self.lose();
        Output::Close(reason)
    }

    fn part(&mut self, part: v1::Snapshot, now: Instant) -> Option<Output> {
        let begins = part.part == 1;
        let answer = !matches!(self.phase, Phase::Apart);
        let mut collected = match std::mem::take(&mut self.phase) {
            Phase::Waiting { since, resync } if resync && !(begins && part.base_revision == 0) => {
                self.phase = Phase::Waiting { since, resync };
                return None;
            }
            // A new snapshot may begin before the last one is complete.
            Phase::Apart | Phase::Waiting { .. } | Phase::Collecting { .. } | Phase::Settled
                if begins =>
            {
                Collected::new(&part)
            }
            Phase::Collecting { collected, .. } => collected,
            phase => {
                self.phase = phase;
                return Some(self.out_of_turn(&part));
            }
        };
        let Ok(is_complete) = collected.take(&part) else {
            return Some(self.out_of_turn(&part));
        };
        collected.add(part);
        if is_complete {
            return Some(self.stage(collected, now, answer));
        }
        self.phase = Phase::Collecting {
            since: now,
            collected,
        };
        None
    }

    fn out_of_turn(&mut self, part: &v1::Snapshot) -> Output {
        self.close(CloseReason::OutOfTurn {
            revision: part.revision,
            part: part.part,
            parts: part.parts,
        })
    }

    /// Lays a whole snapshot over the view, if it fits.
    fn stage(&mut self, collected: Collected, now: Instant, answer: bool) -> Output {
        let revision = collected.revision();
        let is_complete = collected.is_complete();
        match collected.finish(self.revision, &self.view, self.digest) {
            Ok(mut staged) => {
                let changed = staged.delta.keys().cloned().collect();
                swap(&mut self.view, &mut staged.delta);
                self.phase = Phase::Deciding { staged, answer };
                Output::Apply {
                    revision,
                    changed,
                    is_complete,
                }
            }
            Err(Mistake::Resync) => self.hello(now, true),
            Err(Mistake::Refuse(reasons)) => {
                self.phase = if answer { Phase::Settled } else { Phase::Apart };
                nack(revision, reasons)
            }
        }
    }

    fn applied(&mut self) -> Option<Output> {
        let (staged, answer) = self.decided()?;
        self.revision = staged.revision;
        self.digest = staged.digest;
        answer.then_some(Output::Ack(self.revision))
    }

    fn refused(&mut self, reasons: Vec<v1::refusal::Reason>) -> Option<Output> {
        let (mut staged, answer) = self.decided()?;
        swap(&mut self.view, &mut staged.delta);
        answer.then(|| nack(staged.revision, reasons))
    }

    fn decided(&mut self) -> Option<(Staged, bool)> {
        match std::mem::take(&mut self.phase) {
            Phase::Deciding { staged, answer } => {
                self.phase = if answer { Phase::Settled } else { Phase::Apart };
                Some((staged, answer))
            }
            phase => {
                debug_assert!(false, "a decision that was not asked for");
                self.phase = phase;
                None
            }
        }
    }
}

/// Lays a delta over a view; what it has displaced stands in the delta afterwards, so that a second call undoes it.
fn swap(view: &mut View, delta: &mut Delta) {
    for (key, slot) in delta {
        *slot = match slot.take() {
            Some(resource) => view.insert(key.clone(), resource),
            None => view.remove(key),
        };
    }
}

fn nack(revision: u64, mut reasons: Vec<v1::refusal::Reason>) -> Output {
    let more = reasons.len().saturating_sub(MAX_REASONS);
    reasons.truncate(MAX_REASONS);
    for reason in &mut reasons {
        let end = reason.message.floor_char_boundary(MAX_REASON_BYTES);
        reason.message.truncate(end);
    }
    if more > 0 {
        reasons.push(reason(format!("and {more} more reasons")));
    }
    Output::Nack { revision, reasons }
}

/// A reason that is about the snapshot as a whole.
fn reason(message: String) -> v1::refusal::Reason {
    v1::refusal::Reason { key: None, message }
}

#[cfg(test)]
mod tests;
