//! What is known of a connection when it ends, counted and logged once.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::access_log;
use crate::edge::clock::now_and_then_us;
use crate::edge::{Open, Worker};
use crate::live::{self, InFlight};

use super::relay::{Cause, End};

/// One client's connection, from its acceptance to its record.
#[derive(Debug)]
pub(super) struct Connection {
    worker: Rc<Worker>,
    listener: Arc<live::Listener>,
    group: Option<Arc<live::Group>>,
    in_flight: Option<InFlight>,
    peer: SocketAddr,
    local: SocketAddr,
    accepted_at: Instant,
    _open: Open,
}

impl Connection {
    /// As accepted; nothing was decided yet.
    pub(super) fn new(
        worker: Rc<Worker>,
        listener: Arc<live::Listener>,
        flow: (SocketAddr, SocketAddr),
        open: Open,
    ) -> Self {
        let (peer, local) = flow;
        let accepted_at = Instant::now();
        Self {
            worker,
            listener,
            group: None,
            in_flight: None,
            peer,
            local,
            accepted_at,
            _open: open,
        }
    }

    /// Source and destination.
    pub(super) fn flow(&self) -> (SocketAddr, SocketAddr) {
        (self.peer, self.local)
    }

    /// Its group was chosen.
    pub(super) fn sent_to_group(&mut self, group: Arc<live::Group>) {
        self.group = Some(group);
    }

    /// A target was chosen; another one before it is let go.
    pub(super) fn sent_to(&mut self, target: InFlight) {
        self.in_flight = Some(target);
    }

    /// Where it goes.
    pub(super) fn target(&self) -> Option<&Arc<live::Target>> {
        self.in_flight.as_ref().map(InFlight::target)
    }

    /// Counts and logs. `end` = how its relay ended; None = no target answered.
    pub(super) fn write(&self, end: Option<End>) {
        if let Some(who) = reset_by(end.map(|end| end.cause)) {
            self.listener.counters.of(self.worker.index).resets[who].add(1);
        }
        if self.worker.access_log().enabled() {
            self.worker.access_log().connection(&self.line(end));
        }
    }

    fn line(&self, end: Option<End>) -> access_log::Connection<'_> {
        let (finished_at_us, received_at_us) = now_and_then_us(self.accepted_at);
        access_log::Connection {
            listener: &self.listener.name,
            client: self.peer,
            local: self.local,
            received_at_us,
            finished_at_us,
            target_group: self.group.as_ref().map(|group| &*group.name),
            target: self.target().map(|target| target.address),
            received_bytes: end.map_or(0, |end| end.received_bytes),
            sent_bytes: end.map_or(0, |end| end.sent_bytes),
            end: words_for(end.map(|end| end.cause)),
        }
    }
}

/// An end in the words of the log; None = no target answered.
fn words_for(cause: Option<Cause>) -> &'static str {
    match cause {
        Some(Cause::Done) => "done",
        Some(Cause::IdleTimeout) => "idle-timeout",
        Some(Cause::ClientReset) => "client-reset",
        Some(Cause::TargetReset) => "target-reset",
        Some(Cause::Cut) => "cut",
        None => "no-target",
    }
}

/// Which of [`live::ListenerCounters::resets`] an end counts as: by client, target or agent.
fn reset_by(cause: Option<Cause>) -> Option<usize> {
    match cause {
        Some(Cause::Done) => None,
        Some(Cause::ClientReset) => Some(0),
        Some(Cause::TargetReset) => Some(1),
        Some(Cause::IdleTimeout | Cause::Cut) | None => Some(2),
    }
}
