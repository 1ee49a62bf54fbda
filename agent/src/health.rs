//! Judges targets: every target of a group in use is probed, on the control runtime.
//!
//! Verdicts are decided by [`verdict`] (pure) and kept in `book` with the times of the next probes; `scheduler` is the
//! one task that drives it, [`prober`] does the I/O. A change of verdict makes the group's schedule anew and is
//! reported. What is deregistered drains ([`drain`], pure) until the group's delay is over.

mod book;
pub mod drain;
pub mod prober;
mod report;
mod scheduler;
pub mod verdict;

use std::sync::Arc;

use inlet_proto::v1;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::edge::Edge;
use crate::table::Table;

use scheduler::Shared;

/// Reports that may wait for the discovery stream; further ones wait in the book, the last of each target.
pub const REPORTS: usize = 1024;

/// The health part of an agent.
#[derive(Debug)]
pub struct Health {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
    /// Ends the task even if nobody calls [`Health::shutdown`].
    stop: DropGuard,
}

impl Health {
    /// Starts on the current runtime; probes nothing before the first [`Health::follow`]. The receiver yields
    /// transitions; a target that this agent is done with is told as UNUSED, once.
    pub fn start(edge: Arc<Edge>) -> (Self, mpsc::Receiver<v1::TargetVerdict>) {
        let (sender, receiver) = mpsc::channel(REPORTS);
        let shared = Arc::new(Shared::new(fastrand::u64(..), edge));
        let stop = CancellationToken::new();
        let task = tokio::spawn(scheduler::run(Arc::clone(&shared), sender, stop.clone()));
        let health = Self {
            shared,
            task,
            stop: stop.drop_guard(),
        };
        (health, receiver)
    }

    /// A table was committed: probes what it has, drains what it does not have any more.
    ///
    /// `before` is the `after` of the call before, or an empty table. What both have goes on undisturbed.
    pub fn follow(&mut self, before: &Arc<Table>, after: &Arc<Table>) {
        let now = Instant::now().into_std();
        let mut book = self.shared.book();
        book.follow(before, after, now);
        book.schedule();
        drop(book);
        self.shared.changed.notify_one();
    }

    /// Every verdict now, draining targets included; in no order.
    pub fn all(&self) -> Vec<v1::TargetVerdict> {
        self.shared.book().all(Instant::now().into_std())
    }

    /// Stops probing and draining, and waits for what is under way to end.
    pub async fn shutdown(self) {
        drop(self.stop);
        // Fails only if the task has panicked, which was printed.
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests;
