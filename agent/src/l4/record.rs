//! The end of a connection, counted and logged once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::edge::Worker;
use crate::live;

use super::relay::End;
use super::service::reset_by;

/// What is known when a connection ends.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) started: Instant,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) target: Option<SocketAddr>,
    pub(super) group: Option<Arc<live::Group>>,
    /// None = no target answered.
    pub(super) end: Option<End>,
}

/// Counts and logs.
pub(super) fn write(worker: &Worker, listener: &live::Listener, finished: &Finished) {
    if let Some(who) = reset_by(finished.end.map(|end| end.cause)) {
        listener.counters.of(worker.index).resets[who].add(1);
    }
    if worker.access_log().enabled() {}
}
