//! What the agent must forward by: told by the control plane, kept on disk, put in force.
//!
//! - [`exchange`]: the stream as a state machine (pure). [`retry`]: when to try again, what to log (pure).
//! - [`stream`]: gRPC. [`disk`]: the kept snapshot and its deltas. [`keep`]: when they are written.
//! - [`apply`]: a view -> the table in force. [`follow`]: the task that moves it all.
//!
//! Follow a snapshot: [`stream::Link::next`] -> [`exchange::Exchange::observe`] -> [`apply::Applier::apply`] ->
//! [`keep::Keeper`] -> Ack. At start the kept one goes the same way, without a stream and without an answer.
//!
//! Invariant: the agent forwards by its last good snapshot until a whole better one is in force. Whatever kills it, it
//! comes back with no less than it has acknowledged, unless its disk had failed, which it says.
//! Revision 0, the empty beginning, is never better: a control plane that has lost its data takes no fleet down.

pub mod apply;
pub mod disk;
pub mod exchange;
pub mod follow;
pub mod keep;
pub mod retry;
pub mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::metrics::AgentFacts;

use apply::Applier;
use disk::Disk;
use follow::{Follower, Lines};
use stream::Link;

/// Questions for what is in force that may wait.
const ASKS: usize = 4;
/// How long an answer may take: a big snapshot may be under way.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// A whole snapshot, to be kept or shown. Cheap to make: the resources are shared.
#[derive(Debug, Clone)]
pub struct CompleteSnapshot {
    /// Its revision; 0 = nothing yet, or an empty configuration.
    pub revision: u64,
    /// Of the resources.
    pub digest: Digest,
    /// In the order of their keys.
    pub resources: Vec<Arc<v1::Resource>>,
}

/// How the agent introduces itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Unique in the fleet.
    pub name: String,
    /// For placement.
    pub labels: BTreeMap<String, String>,
}

/// Asks for what is in force.
type Ask = oneshot::Sender<CompleteSnapshot>;

/// The task that follows the control plane.
#[derive(Debug)]
pub struct Discovery {
    task: JoinHandle<Applier>,
    stop: CancellationToken,
    viewer: Viewer,
    facts: watch::Sender<AgentFacts>,
    revision: watch::Receiver<u64>,
}

/// Shows what is in force.
#[derive(Debug, Clone)]
pub struct Viewer {
    asks: mpsc::Sender<Ask>,
    facts: watch::Receiver<AgentFacts>,
}

impl Discovery {
    /// Puts what `disk` has in force, then follows the control plane. `verdicts` are told to it.
    pub fn start(
        identity: Identity,
        link: Link,
        disk: Disk,
        applier: Applier,
        verdicts: mpsc::Receiver<v1::TargetVerdict>,
    ) -> Self {
        let (asks, asked) = mpsc::channel(ASKS);
        let (facts, shown) = watch::channel(AgentFacts::default());
        let (revision, in_force) = watch::channel(0);
        let stop = CancellationToken::new();
        let lines = Lines {
            verdicts,
            asks: asked,
            facts: facts.clone(),
            revision,
        };
        let follower = Follower::new(identity, link, disk, applier, lines);
        Self {
            task: tokio::spawn(follower.run(stop.clone())),
            stop,
            viewer: Viewer { asks, facts: shown },
            facts,
            revision: in_force,
        }
    }

    /// Shows what is in force.
    pub fn viewer(&self) -> Viewer {
        self.viewer.clone()
    }

    /// The revision in force; changes for the first time when the first snapshot is.
    pub fn revision(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }

    /// Waits until following breaks, which it should not; says why.
    pub async fn failed(&mut self) -> String {
        match (&mut self.task).await {
            Ok(_) => "following the control plane has ended".to_owned(),
            Err(error) => format!("following the control plane broke: {error}"),
        }
    }

    /// Takes no more snapshots and keeps the one in force; returns what is in force, alive. `None` = it had broken.
    pub async fn stop(self) -> Option<Applier> {
        self.facts.send_modify(|facts| facts.draining = true);
        self.stop.cancel();
        self.task.await.ok()
    }
}

impl Viewer {
    /// Shows an agent that has nothing and has ended.
    #[cfg(test)]
    pub(crate) fn of_nothing() -> Self {
        Self {
            asks: mpsc::channel(1).0,
            facts: watch::channel(AgentFacts::default()).1,
        }
    }

    /// What is known of the agent now.
    pub fn facts(&self) -> AgentFacts {
        *self.facts.borrow()
    }

    /// The snapshot in force; `None` = no answer in time, or the agent ends.
    pub async fn in_force(&self) -> Option<CompleteSnapshot> {
        let (ask, answer) = oneshot::channel();
        timeout(ASK_TIMEOUT, async {
            self.asks.send(ask).await.ok()?;
            answer.await.ok()
        })
        .await
        .ok()
        .flatten()
    }
}
