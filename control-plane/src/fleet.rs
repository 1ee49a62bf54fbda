//! The fleet: one [`session::Session`] with its [`exchange::Exchange`] per agent's stream, and the [`roster`] of all
//! agents.
//!
//! [`Fleet`] is the roster as the streams and the API share it: behind a lock that is held for one call, with a
//! number to wait for when something changed, and a way to end a stream that a newer one replaces.

pub(crate) mod exchange;
pub(crate) mod introduce;
pub(crate) mod roster;
pub(crate) mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use inlet_proto::name::Key;
use inlet_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::view::View;
use roster::{Census, Full, Introduction, Roster, StreamId, Verdict};

/// The agents, shared.
pub(crate) struct Fleet {
    shared: Mutex<Shared>,
    /// The number of the roster's last change.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Shared {
    roster: Roster,
    /// How to end the stream of each connected agent.
    ends: HashMap<String, (StreamId, CancellationToken)>,
}

/// An agent's place in the roster while its stream is open; left when it is dropped.
pub(crate) struct Membership {
    fleet: Arc<Fleet>,
    name: String,
    stream: StreamId,
    /// Cancelled when a newer stream of the same name takes over.
    pub(crate) replaced: CancellationToken,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            shared: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Fleet {
    /// Takes a stream in; an older one of the same name is told to end. Errors: see [`Roster::connect`].
    pub(crate) fn join(self: &Arc<Self>, who: Introduction) -> Result<Membership, Full> {
        let name = who.name.clone();
        let replaced = CancellationToken::new();
        let stream = self.change(|shared| {
            let (stream, _) = shared.roster.connect(who, SystemTime::now())?;
            let end = (stream, replaced.clone());
            if let Some((_, old)) = shared.ends.insert(name.clone(), end) {
                old.cancel();
            }
            Ok(stream)
        })?;
        Ok(Membership {
            fleet: Arc::clone(self),
            name,
            stream,
            replaced,
        })
    }

    /// One agent.
    pub(crate) fn agent(&self, name: &str) -> Option<v1::Agent> {
        self.lock().roster.agent(name)
    }

    /// The agents that changed after a number, and the number to ask with next.
    pub(crate) fn changed_after(&self, after: u64) -> (Vec<v1::Agent>, u64) {
        let shared = self.lock();
        (
            shared.roster.changed_after(after),
            shared.roster.last_change(),
        )
    }

    /// Announces the number of the last change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether a connected agent's view has the resource.
    pub(crate) fn is_in_view(&self, key: &Key) -> bool {
        let views = self.lock().roster.views();
        views.iter().any(|view| view.contains(key))
    }

    /// Counts the agents.
    pub(crate) fn census(&self) -> Census {
        self.lock().roster.census()
    }

    /// Drops the agents that are gone for long.
    pub(crate) fn expire(&self) {
        self.lock().roster.expire(SystemTime::now());
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shared) -> T) -> T {
        let mut shared = self.lock();
        let result = change(&mut shared);
        self.changes.send_replace(shared.roster.last_change());
        result
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    /// The agent's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The agent must have this view.
    pub(crate) fn want(&self, view: &Arc<View>) {
        self.fleet
            .change(|shared| shared.roster.want(&self.name, self.stream, view));
    }

    /// The agent has answered.
    pub(crate) fn answered(&self, verdict: Verdict) {
        self.fleet.change(|shared| {
            shared
                .roster
                .answered(&self.name, self.stream, verdict, SystemTime::now());
        });
    }

    /// The agent was heard of.
    pub(crate) fn touch(&self) {
        let mut shared = self.fleet.lock();
        shared
            .roster
            .touch(&self.name, self.stream, SystemTime::now());
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.fleet.change(|shared| {
            let now = SystemTime::now();
            if shared.roster.disconnect(&self.name, self.stream, now) {
                shared.ends.remove(&self.name);
            }
        });
    }
}
