//! Every agent that is known: who it is, what it has in force, what it refused, when it was last heard of.
//!
//! An entry belongs to one stream at a time. A newer stream of the same name takes it over, and what the older one
//! still says is ignored. Each change of an entry gets the next number, so whoever watches asks for "all after N"
//! and nobody keeps a queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use inlet_proto::v1;

use crate::view::{Labels, View};

/// An agent that was not heard of for this long is dropped.
pub(crate) const FORGET_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Agents that are known at most. The longest gone gives way to a new one; connected ones never do.
pub(crate) const MAX_AGENTS: usize = 10_000;

/// Tells the streams apart; rises with each one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(u64);

/// Who an agent says that it is. Lengths were checked at the edge.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Introduction {
    /// Its name.
    pub(crate) name: String,
    /// For placement.
    pub(crate) labels: Labels,
    /// Of its program.
    pub(crate) version: String,
    /// In force at its Hello; 0 = none.
    pub(crate) revision: u64,
    /// Its address as seen here.
    pub(crate) peer: String,
}

/// What becomes of an agent's answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// In force.
    InForce(u64),
    /// Refused, with the reasons.
    Refused(u64, Vec<v1::refusal::Reason>),
}

/// The roster is full of connected agents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_AGENTS} agents are connected, which is the most that are taken")]
pub(crate) struct Full;

/// The agents, in the order of their names.
#[derive(Default)]
pub(crate) struct Roster {
    entries: BTreeMap<String, Entry>,
    streams: u64,
    /// Number of the last change.
    changes: u64,
}

struct Entry {
    agent: v1::Agent,
    last_seen: SystemTime,
    stream: Option<StreamId>,
    /// What it must have; only while it is connected.
    view: Option<Arc<View>>,
    /// Number of its last change.
    changed: u64,
}

/// How many agents are in which condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Census {
    /// Their stream is open.
    pub(crate) connected: usize,
    /// Connected, but not at the revision that they should have.
    pub(crate) behind: usize,
    /// Connected, and the last snapshot was refused.
    pub(crate) refusing: usize,
    /// Known, but not connected.
    pub(crate) gone: usize,
}

impl Roster {
    /// A stream has introduced itself. Returns its identity, and the stream that it takes the name over from.
    ///
    /// Errors: [`Full`] if the name is new and no agent that is gone can give way.
    pub(crate) fn connect(
        &mut self,
        who: Introduction,
        now: SystemTime,
    ) -> Result<(StreamId, Option<StreamId>), Full> {
        let before = self.entries.remove(&who.name);
        if before.is_none() && self.entries.len() >= MAX_AGENTS {
            self.drop_longest_gone()?;
        }
        self.streams += 1;
        let stream = StreamId(self.streams);
        let (replaced, last_refusal) = before.map_or((None, None), |entry| {
            (entry.stream, entry.agent.last_refusal)
        });
        let agent = v1::Agent {
            name: who.name.clone(),
            labels: who.labels,
            version: who.version,
            connected: true,
            revision_in_force: who.revision,
            revision_wanted: 0,
            last_refusal,
            last_seen: Some(now.into()),
            peer: who.peer,
            resources: 0,
        };
        let entry = Entry {
            agent,
            last_seen: now,
            stream: Some(stream),
            view: None,
            changed: self.next_change(),
        };
        self.entries.insert(who.name, entry);
        Ok((stream, replaced))
    }

    /// The agent must have this view.
    pub(crate) fn want(&mut self, name: &str, stream: StreamId, view: &Arc<View>) {
        let change = self.next_change();
        if let Some(entry) = self.entry_of(name, stream) {
            entry.agent.revision_wanted = view.revision();
            entry.agent.resources = u32::try_from(view.len()).unwrap_or(u32::MAX);
            entry.view = Some(Arc::clone(view));
            entry.changed = change;
        }
    }

    /// The agent has answered a snapshot.
    pub(crate) fn answered(
        &mut self,
        name: &str,
        stream: StreamId,
        verdict: Verdict,
        now: SystemTime,
    ) {
        let change = self.next_change();
        if let Some(entry) = self.entry_of(name, stream) {
            match verdict {
                Verdict::InForce(revision) => {
                    entry.agent.revision_in_force = revision;
                    entry.agent.last_refusal = None;
                }
                Verdict::Refused(revision, reasons) => {
                    entry.agent.last_refusal = Some(v1::Refusal {
                        revision,
                        reasons,
                        time: Some(now.into()),
                    });
                }
            }
            entry.changed = change;
        }
    }

    /// The agent was heard of. Not a change that watchers are told.
    pub(crate) fn touch(&mut self, name: &str, stream: StreamId, now: SystemTime) {
        if let Some(entry) = self.entry_of(name, stream) {
            entry.last_seen = now;
        }
    }

    /// The stream is over. Returns whether it was the agent's current one.
    pub(crate) fn disconnect(&mut self, name: &str, stream: StreamId, now: SystemTime) -> bool {
        let change = self.next_change();
        let Some(entry) = self.entry_of(name, stream) else {
            return false;
        };
        entry.agent.connected = false;
        entry.stream = None;
        entry.view = None;
        entry.last_seen = now;
        entry.changed = change;
        true
    }

    /// Drops the agents that were not heard of for [`FORGET_AFTER`].
    pub(crate) fn expire(&mut self, now: SystemTime) {
        self.entries.retain(|_, entry| {
            let silent = now.duration_since(entry.last_seen).unwrap_or_default();
            entry.stream.is_some() || silent < FORGET_AFTER
        });
    }

    /// One agent, as answered to clients.
    pub(crate) fn agent(&self, name: &str) -> Option<v1::Agent> {
        self.entries.get(name).map(Entry::describe)
    }

    /// The agents that changed after change number `after` (0 = all), in the order of their names.
    pub(crate) fn changed_after(&self, after: u64) -> Vec<v1::Agent> {
        let entries = self.entries.values();
        entries
            .filter(|entry| entry.changed > after)
            .map(Entry::describe)
            .collect()
    }

    /// The number of the last change; grows only.
    pub(crate) fn last_change(&self) -> u64 {
        self.changes
    }

    /// The distinct views of the connected agents.
    pub(crate) fn views(&self) -> Vec<Arc<View>> {
        let mut views: Vec<Arc<View>> = Vec::new();
        for view in self
            .entries
            .values()
            .filter_map(|entry| entry.view.as_ref())
        {
            if !views.iter().any(|known| Arc::ptr_eq(known, view)) {
                views.push(Arc::clone(view));
            }
        }
        views
    }

    /// Counts the agents.
    pub(crate) fn census(&self) -> Census {
        let mut census = Census::default();
        for Entry { agent, .. } in self.entries.values() {
            if !agent.connected {
                census.gone += 1;
                continue;
            }
            census.connected += 1;
            census.behind += usize::from(agent.revision_in_force < agent.revision_wanted);
            census.refusing += usize::from(agent.last_refusal.is_some());
        }
        census
    }

    fn entry_of(&mut self, name: &str, stream: StreamId) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(name);
        entry.filter(|entry| entry.stream == Some(stream))
    }

    fn next_change(&mut self) -> u64 {
        self.changes += 1;
        self.changes
    }

    fn drop_longest_gone(&mut self) -> Result<(), Full> {
        let gone = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.stream.is_none());
        let longest = gone.min_by_key(|(_, entry)| entry.last_seen);
        let name = longest.map(|(name, _)| name.clone()).ok_or(Full)?;
        self.entries.remove(&name);
        Ok(())
    }
}

impl Entry {
    fn describe(&self) -> v1::Agent {
        v1::Agent {
            last_seen: Some(self.last_seen.into()),
            ..self.agent.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn who(name: &str) -> Introduction {
        Introduction {
            name: name.to_owned(),
            labels: Labels::new(),
            version: "1".to_owned(),
            revision: 3,
            peer: "127.0.0.1:1".to_owned(),
        }
    }

    #[test]
    fn a_newer_stream_takes_the_name_over_and_the_older_one_is_ignored() {
        let mut roster = Roster::default();
        let (old, replaced) = roster.connect(who("edge-1"), START).unwrap();
        assert_eq!(replaced, None);
        let (new, replaced) = roster.connect(who("edge-1"), START).unwrap();
        assert_eq!(replaced, Some(old));
        roster.answered("edge-1", old, Verdict::InForce(9), START);
        assert!(!roster.disconnect("edge-1", old, START));
        let agent = roster.agent("edge-1").unwrap();
        assert!(agent.connected);
        assert_eq!(agent.revision_in_force, 3);
        assert!(roster.disconnect("edge-1", new, START));
        assert!(!roster.agent("edge-1").unwrap().connected);
    }

    #[test]
    fn a_refusal_stays_until_something_is_in_force() {
        let mut roster = Roster::default();
        let (stream, _) = roster.connect(who("edge-1"), START).unwrap();
        let reason = v1::refusal::Reason {
            key: None,
            message: "address in use".to_owned(),
        };
        let verdict = Verdict::Refused(4, vec![reason]);
        roster.answered("edge-1", stream, verdict, START);
        assert_eq!(roster.census().refusing, 1);
        let refusal = roster.agent("edge-1").unwrap().last_refusal.unwrap();
        assert_eq!((refusal.revision, refusal.reasons.len()), (4, 1));
        roster.answered("edge-1", stream, Verdict::InForce(5), START);
        assert_eq!(roster.agent("edge-1").unwrap().last_refusal, None);
    }

    #[test]
    fn watchers_see_what_changed_after_their_number() {
        let mut roster = Roster::default();
        let (_, _) = roster.connect(who("a"), START).unwrap();
        let (b, _) = roster.connect(who("b"), START).unwrap();
        let seen = roster.last_change();
        assert_eq!(roster.changed_after(0).len(), 2);
        assert!(roster.changed_after(seen).is_empty());
        roster.touch("b", b, START);
        assert!(roster.changed_after(seen).is_empty());
        roster.disconnect("b", b, START);
        let changed = roster.changed_after(seen);
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0].name, "b");
    }

    #[test]
    fn agents_that_are_gone_are_forgotten_and_connected_ones_are_not() {
        let mut roster = Roster::default();
        let (_, _) = roster.connect(who("here"), START).unwrap();
        let (gone, _) = roster.connect(who("gone"), START).unwrap();
        roster.disconnect("gone", gone, START);
        roster.expire(START + FORGET_AFTER / 2);
        assert!(roster.agent("gone").is_some());
        roster.expire(START + FORGET_AFTER);
        assert!(roster.agent("gone").is_none());
        assert!(roster.agent("here").is_some());
    }

    #[test]
    fn a_full_roster_gives_up_the_longest_gone_only() {
        let mut roster = Roster::default();
        for number in 0..MAX_AGENTS {
            roster.connect(who(&format!("a{number}")), START).unwrap();
        }
        assert_eq!(roster.connect(who("new"), START), Err(Full));
        let (again, replaced) = roster.connect(who("a7"), START).unwrap();
        assert!(replaced.is_some());
        roster.disconnect("a7", again, START);
        assert!(roster.connect(who("new"), START).is_ok());
        assert!(roster.agent("a7").is_none());
    }
}
