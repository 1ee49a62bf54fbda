//! One agent's stream as a state machine: what it says and what happens comes in, what is to be done goes out.
//!
//! ```text
//! Silent --Hello--> InFlight --Ack--> Settled --newer view--> InFlight
//!                       |---Nack--> Refused --newer view--> InFlight
//!                       |---Hello: the agent wants everything--> InFlight (complete)
//!                       |---no answer for ANSWER_TIMEOUT--> Closed
//! ```
//!
//! Views may arrive in every state; the newest is kept, and goes out once nothing is in flight. Every revision goes
//! out, if need be as an empty delta: that is how the fleet proves that a revision is in force everywhere.
//!
//! Invariant: one snapshot is in flight, and it carries everything since the last one in force.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_proto::digest::Digest;

use crate::view::{Base, Delivery, View};

/// How long an agent may take to answer a snapshot.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What comes in.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// The agent introduces itself, or asks for a complete snapshot.
    Hello {
        /// In force; 0 = none.
        revision: u64,
        /// Of what is in force; `None` = unreadable.
        digest: Option<Digest>,
        /// What it must have now.
        view: Arc<View>,
    },
    /// A snapshot is in force.
    Ack(u64),
    /// A snapshot was refused.
    Nack(u64),
    /// What the agent must have from now on.
    View(Arc<View>),
    /// The agent's end has taken a part of the snapshot: the time for the answer begins anew.
    Taken,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// Send this, in place of whatever of an earlier one is not sent yet.
    Send(Delivery),
    /// The agent forwards by this revision now.
    InForce(u64),
    /// The agent has refused this revision.
    Refused(u64),
    /// End the stream. Nothing comes after it.
    Close(CloseReason),
}

/// Why the control plane ends a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloseReason {
    /// The first message was another one.
    #[error("the first message of a stream must be Hello")]
    NoHello,
    /// An answer to something that was not sent.
    #[error("revision {revision} was answered, but never sent on this stream")]
    NeverSent {
        /// As answered.
        revision: u64,
    },
    /// No answer in time.
    #[error("revision {revision} was not answered within {} s", ANSWER_TIMEOUT.as_secs())]
    NoAnswer {
        /// In flight.
        revision: u64,
    },
}

/// One agent's stream.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    phase: Phase,
    /// The newest view; set from the first Hello on.
    wanted: Option<Arc<View>>,
    /// What the agent has in force, once it is known; the base of the next delta.
    in_force: Option<Arc<View>>,
    /// A revision whose answer may still be under way although nobody waits for it any more.
    stale: Option<u64>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Silent,
    InFlight {
        view: Arc<View>,
        since: Instant,
    },
    Settled {
        revision: u64,
    },
    Refused {
        revision: u64,
    },
    Closed,
}

impl Exchange {
    /// Takes in one thing and says what is to be done, in order.
    pub(crate) fn observe(&mut self, input: Input, now: Instant) -> Vec<Output> {
        match (&self.phase, input) {
            (Phase::Closed, _) | (Phase::Silent, Input::View(_) | Input::Taken | Input::Tick) => {
                Vec::new()
            }
            (Phase::Silent, Input::Ack(_) | Input::Nack(_)) => self.close(CloseReason::NoHello),
            (
                Phase::Silent,
                Input::Hello {
                    revision,
                    digest,
                    view,
                },
            ) => vec![self.greet(revision, digest, view, now)],
            (_, Input::Hello { view, .. }) => vec![self.resync(view, now)],
            (_, Input::View(view)) => {
                self.wanted = Some(view);
                self.advance(now)
            }
            (_, Input::Ack(revision)) => self.answered(revision, true, now),
            (_, Input::Nack(revision)) => self.answered(revision, false, now),
            (_, Input::Taken) => self.taken(now),
            (_, Input::Tick) => self.tick(now),
        }
    }

    /// When [`Input::Tick`] is due next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::InFlight { since, .. } => Some(*since + ANSWER_TIMEOUT),
            _ => None,
        }
    }

    /// Whether a Hello was seen.
    pub(crate) fn is_greeted(&self) -> bool {
        !matches!(self.phase, Phase::Silent)
    }

    fn greet(
        &mut self,
        revision: u64,
        digest: Option<Digest>,
        view: Arc<View>,
        now: Instant,
    ) -> Output {
        let has_it = revision > 0 && revision <= view.revision() && digest == Some(view.digest());
        let base = if has_it {
            Base::Same(revision)
        } else {
            Base::Nothing
        };
        self.wanted = Some(Arc::clone(&view));
        self.send(base, view, now)
    }

    fn resync(&mut self, view: Arc<View>, now: Instant) -> Output {
        if let Phase::InFlight { view: dropped, .. } = &self.phase {
            self.stale = Some(dropped.revision());
        }
        self.in_force = None;
        self.wanted = Some(Arc::clone(&view));
        self.send(Base::Nothing, view, now)
    }

    /// Sends the wanted view if nothing is in flight and the agent has not answered this revision yet.
    fn advance(&mut self, now: Instant) -> Vec<Output> {
        let (Phase::Settled { revision } | Phase::Refused { revision }) = &self.phase else {
            return Vec::new();
        };
        let Some(view) = self
            .wanted
            .as_ref()
            .filter(|view| view.revision() != *revision)
            .map(Arc::clone)
        else {
            return Vec::new();
        };
        let base = self
            .in_force
            .as_ref()
            .map_or(Base::Nothing, |base| Base::View(Arc::clone(base)));
        vec![self.send(base, view, now)]
    }

    fn send(&mut self, base: Base, view: Arc<View>, now: Instant) -> Output {
        self.phase = Phase::InFlight {
            view: Arc::clone(&view),
            since: now,
        };
        Output::Send(Delivery { base, view })
    }

    fn answered(&mut self, revision: u64, accepted: bool, now: Instant) -> Vec<Output> {
        let view = match &self.phase {
            Phase::InFlight { view, .. } if view.revision() == revision => Arc::clone(view),
            // An answer that crossed the agent's own Hello.
            _ if self.stale == Some(revision) => return Vec::new(),
            _ => return self.close(CloseReason::NeverSent { revision }),
        };
        if self.stale != Some(revision) {
            self.stale = None;
        }
        let mut outputs = if accepted {
            self.in_force = Some(view);
            self.phase = Phase::Settled { revision };
            vec![Output::InForce(revision)]
        } else {
            self.phase = Phase::Refused { revision };
            vec![Output::Refused(revision)]
        };
        outputs.extend(self.advance(now));
        outputs
    }

    fn taken(&mut self, now: Instant) -> Vec<Output> {
        if let Phase::InFlight { since, .. } = &mut self.phase {
            *since = now;
        }
        Vec::new()
    }

    fn tick(&mut self, now: Instant) -> Vec<Output> {
        let Phase::InFlight { view, since } = &self.phase else {
            return Vec::new();
        };
        let revision = view.revision();
        if now.saturating_duration_since(*since) < ANSWER_TIMEOUT {
            return Vec::new();
        }
        self.close(CloseReason::NoAnswer { revision })
    }

    fn close(&mut self, reason: CloseReason) -> Vec<Output> {
        *self = Self {
            phase: Phase::Closed,
            ..Self::default()
        };
        vec![Output::Close(reason)]
    }
}

#[cfg(test)]
mod tests;
