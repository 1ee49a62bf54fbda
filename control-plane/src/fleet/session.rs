//! One agent's stream without its transport: messages and states come in, parts wait to go out, and the roster and
//! the views are told. The shell (`api/grpc/discovery`) moves the bytes and the time; the simulation does the same
//! with bytes and time of its own.
//!
//! What the messages mean is the [`exchange`](super::exchange)'s matter; here they meet who the agent is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use prost::bytes::Bytes;

use super::exchange::{CloseReason, Exchange, Input, Output};
use super::introduce::{self, BadHello};
use super::roster::{Full, Introduction, Verdict};
use super::{Fleet, Membership};
use crate::model::State;
use crate::view::{Delivery, Labels, View, Views};

/// How long a stream may be open without a Hello.
pub(crate) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// One stream.
pub(crate) struct Session {
    exchange: Exchange,
    /// Set by the first Hello.
    member: Option<Membership>,
    labels: Labels,
    peer: String,
    opened: Instant,
    /// Parts of the snapshot in flight that are not sent yet.
    pending: VecDeque<Bytes>,
}

/// What a session finds around it at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    /// The agents.
    pub(crate) fleet: &'a Arc<Fleet>,
    /// Their views.
    pub(crate) views: &'a Views,
    /// The current state. What was told once is not told older.
    pub(crate) state: &'a State,
    /// The time.
    pub(crate) now: Instant,
}

/// What the agent says about its snapshots.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    /// Who it is, or that it wants everything.
    Hello(v1::Hello),
    /// A snapshot is in force.
    Ack(v1::Ack),
    /// A snapshot was refused.
    Nack(v1::Nack),
}

/// What was done, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// A snapshot is on its way.
    Sent,
    /// The agent has refused one.
    Refused,
}

/// Why a session ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    /// The agent cannot be who it says.
    #[error(transparent)]
    Hello(#[from] BadHello),
    /// There is no place for it.
    #[error(transparent)]
    Full(#[from] Full),
    /// It broke the protocol.
    #[error(transparent)]
    Closed(#[from] CloseReason),
    /// It did not say who it is.
    #[error("no Hello within {} s", HELLO_TIMEOUT.as_secs())]
    NeverGreeted,
}

impl Session {
    /// A stream that was just opened by `peer`.
    pub(crate) fn new(peer: String, now: Instant) -> Self {
        Self {
            exchange: Exchange::default(),
            member: None,
            labels: Labels::new(),
            peer,
            opened: now,
            pending: VecDeque::new(),
        }
    }

    /// The agent's place in the roster, from its first Hello on.
    pub(crate) fn member(&self) -> Option<&Membership> {
        self.member.as_ref()
    }

    /// Its address as seen here.
    pub(crate) fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether a Hello was seen: only then states are of interest.
    pub(crate) fn is_greeted(&self) -> bool {
        self.exchange.is_greeted()
    }

    /// Whether a part waits to be sent.
    pub(crate) fn has_parts(&self) -> bool {
        !self.pending.is_empty()
    }

    /// When [`Session::tick`] is due next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_greeted() {
            self.exchange.deadline()
        } else {
            Some(self.opened + HELLO_TIMEOUT)
        }
    }

    /// The agent has said something.
    pub(crate) fn hear(&mut self, heard: Heard, here: Here<'_>) -> Result<Vec<Done>, End> {
        match heard {
            Heard::Hello(hello) => self.greet(hello, here),
            Heard::Ack(ack) => self.observe(Input::Ack(ack.revision), here),
            Heard::Nack(nack) => self.refuse(nack, here),
        }
    }

    /// The state has changed.
    pub(crate) fn look(&mut self, here: Here<'_>) -> Result<Vec<Done>, End> {
        let view = self.view(here);
        self.observe(Input::View(view), here)
    }

    /// The next part, which the transport has room for.
    pub(crate) fn next_part(&mut self, here: Here<'_>) -> Option<Bytes> {
        let part = self.pending.pop_front()?;
        let outputs = self.exchange.observe(Input::Taken, here.now);
        debug_assert!(outputs.is_empty(), "more time is all that it gives");
        Some(part)
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, here: Here<'_>) -> Result<Vec<Done>, End> {
        if !self.is_greeted() {
            return match here.now.saturating_duration_since(self.opened) < HELLO_TIMEOUT {
                true => Ok(Vec::new()),
                false => Err(End::NeverGreeted),
            };
        }
        self.observe(Input::Tick, here)
    }

    fn greet(&mut self, hello: v1::Hello, here: Here<'_>) -> Result<Vec<Done>, End> {
        let revision = hello.revision;
        let digest = Digest::from_bytes(&hello.digest);
        let mut who = introduce::check(hello, &self.peer)?;
        match &self.member {
            Some(member) if member.name() != who.name => {
                return Err(introduce::changed("hello.name").into());
            }
            Some(_) if self.labels != who.labels => {
                return Err(introduce::changed("hello.labels").into());
            }
            Some(_) => {}
            None => {
                let current = here.state.revision();
                if revision > current {
                    tracing::warn!(
                        agent = who.name,
                        in_force = revision,
                        current,
                        "an agent has a revision that does not exist here: is this the right --data-dir?"
                    );
                }
                let view = here.views.view(here.state, &who.labels);
                who.revision = introduce::credible(revision, digest, &view);
                self.labels = who.labels.clone();
                self.join(who, here)?;
            }
        }
        let view = self.view(here);
        let hello = Input::Hello {
            revision,
            digest,
            view,
        };
        self.observe(hello, here)
    }

    fn join(&mut self, who: Introduction, here: Here<'_>) -> Result<(), End> {
        tracing::info!(
            agent = who.name,
            peer = who.peer,
            revision = who.revision,
            "agent connected"
        );
        self.member = Some(here.fleet.join(who)?);
        Ok(())
    }

    fn view(&self, here: Here<'_>) -> Arc<View> {
        let view = here.views.view(here.state, &self.labels);
        if let Some(member) = &self.member {
            member.want(&view);
        }
        view
    }

    fn refuse(&mut self, nack: v1::Nack, here: Here<'_>) -> Result<Vec<Done>, End> {
        let reasons = introduce::shorten(nack.reasons);
        let outputs = self.exchange.observe(Input::Nack(nack.revision), here.now);
        let is_refused = outputs.iter().any(
            |output| matches!(output, Output::Refused(revision) if *revision == nack.revision),
        );
        if let Some(member) = self.member.as_ref().filter(|_| is_refused) {
            let first = reasons.first().map_or("", |reason| reason.message.as_str());
            tracing::warn!(
                agent = member.name(),
                revision = nack.revision,
                reasons = reasons.len(),
                first,
                "agent refused a snapshot"
            );
            member.answered(Verdict::Refused(nack.revision, reasons));
        }
        self.perform(outputs, here)
    }

    fn observe(&mut self, input: Input, here: Here<'_>) -> Result<Vec<Done>, End> {
        let outputs = self.exchange.observe(input, here.now);
        self.perform(outputs, here)
    }

    fn perform(&mut self, outputs: Vec<Output>, here: Here<'_>) -> Result<Vec<Done>, End> {
        let mut done = Vec::new();
        for output in outputs {
            match output {
                Output::Send(delivery) => {
                    self.send(&delivery, here);
                    done.push(Done::Sent);
                }
                Output::InForce(revision) => {
                    if let Some(member) = &self.member {
                        member.answered(Verdict::InForce(revision));
                    }
                }
                Output::Refused(_) => done.push(Done::Refused),
                Output::Close(reason) => return Err(reason.into()),
            }
        }
        Ok(done)
    }

    fn send(&mut self, delivery: &Delivery, here: Here<'_>) {
        let transfer = here.views.transfer(delivery);
        self.pending = transfer.parts.iter().cloned().collect();
    }
}
