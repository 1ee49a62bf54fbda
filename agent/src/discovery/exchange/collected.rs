//! The parts of one snapshot, collected within bounds, and what they make of the view in force.
//!
//! What is too much, or cannot be read, is passed over up to the last part and then refused with the reason, so that
//! the one who made the change learns of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use prost::Message as _;

use super::reason;
use crate::compile::View;

/// Parts of a snapshot at most.
pub const MAX_PARTS: u32 = 4096;
/// Encoded parts of a snapshot together at most.
pub const MAX_SNAPSHOT_BYTES: usize = 512 * 1024 * 1024;
/// Resources in a view, and resources that a snapshot changes, at most.
pub const MAX_RESOURCES: usize = 1_000_000;
/// Things that cannot be read, of one snapshot, that are told.
const MAX_UNREADABLE: usize = 20;

/// What a snapshot does to each key: a new resource, or `None` = gone.
pub(super) type Delta = BTreeMap<Key, Option<Arc<v1::Resource>>>;

/// A snapshot whose parts are on their way.
#[derive(Debug)]
pub(super) struct Collected {
    revision: u64,
    base_revision: u64,
    digest: Option<Digest>,
    taken: u32,
    parts: u32,
    bytes: usize,
    delta: Delta,
    reasons: Vec<v1::refusal::Reason>,
}

/// A snapshot that fits the view: lay `delta` over it.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) revision: u64,
    pub(super) digest: Digest,
    /// Only what differs.
    pub(super) delta: Delta,
}

/// Why a whole snapshot does not fit.
#[derive(Debug)]
pub(super) enum Mistake {
    /// It builds on something else than what is in force: a complete one is needed.
    Resync,
    /// It cannot be had, and asking again would not help.
    Refuse(Vec<v1::refusal::Reason>),
}

/// A part that does not follow the one before.
#[derive(Debug)]
pub(super) struct OutOfTurn;

impl Collected {
    /// A snapshot that begins with this part, which is not taken yet.
    pub(super) fn new(first: &v1::Snapshot) -> Self {
        Self {
            revision: first.revision,
            base_revision: first.base_revision,
            digest: Digest::from_bytes(&first.digest),
            taken: 0,
            parts: first.parts,
            bytes: 0,
            delta: Delta::new(),
            reasons: Vec::new(),
        }
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// It builds on nothing.
    pub(super) fn is_complete(&self) -> bool {
        self.base_revision == 0
    }

    /// Takes the next part's place in the order; says whether it is the last one.
    pub(super) fn take(&mut self, part: &v1::Snapshot) -> Result<bool, OutOfTurn> {
        let follows = part.part == self.taken + 1
            && part.part <= part.parts
            && part.parts == self.parts
            && part.revision == self.revision
            && part.base_revision == self.base_revision
            && Digest::from_bytes(&part.digest) == self.digest;
        if !follows {
            return Err(OutOfTurn);
        }
        self.taken += 1;
        self.bytes = self.bytes.saturating_add(part.encoded_len());
        Ok(self.taken == self.parts)
    }

    /// Adds what a part carries.
    pub(super) fn add(&mut self, part: v1::Snapshot) {
        if let Err(reason) = self.check_bounds(part.upserts.len() + part.removals.len()) {
            self.delta.clear();
            self.reasons = vec![reason];
            return;
        }
        for key in &part.removals {
            match Key::try_from(key) {
                Ok(key) => drop(self.delta.insert(key, None)),
                Err(error) => self.unreadable(error.to_string()),
            }
        }
        for resource in part.upserts {
            match resource.key() {
                Some(key) => drop(self.delta.insert(key, Some(Arc::new(resource)))),
                None => self.unreadable(
                    "the snapshot has a kind of resource that this agent does not know: upgrade the agent".to_owned(),
                ),
            }
        }
    }

    fn check_bounds(&self, more: usize) -> Result<(), v1::refusal::Reason> {
        let too_large = |what: String| reason(format!("the snapshot is too large: {what}"));
        if self.parts > MAX_PARTS {
            return Err(too_large(format!("more than {MAX_PARTS} parts")));
        }
        if self.bytes > MAX_SNAPSHOT_BYTES {
            return Err(too_large(format!("more than {MAX_SNAPSHOT_BYTES} bytes")));
        }
        if self.delta.len() + more > MAX_RESOURCES {
            return Err(too_large(format!("more than {MAX_RESOURCES} resources")));
        }
        Ok(())
    }

    fn unreadable(&mut self, message: String) {
        if self.reasons.len() < MAX_UNREADABLE {
            self.reasons.push(reason(message));
        }
    }

    /// What the snapshot, all parts taken, makes of the view in force.
    ///
    /// Cost: of a delta, what it changes; of a complete snapshot, a walk over the view.
    pub(super) fn finish(
        mut self,
        revision: u64,
        view: &View,
        digest: Digest,
    ) -> Result<Staged, Mistake> {
        if !self.reasons.is_empty() {
            return Err(Mistake::Refuse(self.reasons));
        }
        if self.revision == 0 && !view.is_empty() {
            return Err(Mistake::Refuse(vec![emptied(revision)]));
        }
        let is_complete = self.is_complete();
        if !is_complete && self.base_revision != revision {
            return Err(Mistake::Resync);
        }
        if is_complete {
            for key in view
                .keys()
                .filter(|key| !self.delta.contains_key(key))
                .cloned()
                .collect::<Vec<_>>()
            {
                self.delta.insert(key, None);
            }
        }
        self.delta
            .retain(|key, new| view.get(key).map(|old| &**old) != new.as_deref());
        let after = follow(digest, view, &self.delta);
        match self.digest {
            Some(told) if told == after => Ok(Staged {
                revision: self.revision,
                digest: after,
                delta: self.delta,
            }),
            _ if is_complete => Err(Mistake::Refuse(vec![reason(
                "the digest of the complete snapshot does not match its content".to_owned(),
            )])),
            _ => Err(Mistake::Resync),
        }
    }
}

/// Why revision 0, the empty beginning of every history, does not replace what is in force: nobody has asked for it.
/// Removing everything on purpose makes a revision of its own; 0 comes from a control plane that has lost its data.
fn emptied(in_force: u64) -> v1::refusal::Reason {
    reason(format!(
        "the control plane has no configuration at all (revision 0), and this agent has revision {in_force} in force: \
         does the control plane run on the right --data-dir? Revision {in_force} stays in force until something is \
         applied there"
    ))
}

/// The digest of a view once a delta is laid over it.
fn follow(mut digest: Digest, view: &View, delta: &Delta) -> Digest {
    for (key, new) in delta {
        if let Some(old) = view.get(key) {
            digest.remove(key, old.revision());
        }
        if let Some(new) = new {
            digest.add(key, new.revision());
        }
    }
    digest
}
