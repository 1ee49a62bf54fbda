//! What one agent must have: the resources behind the load balancers that its labels select, and what differs
//! between two such views.
//!
//! A view is immutable and shared by every agent with the same selection; so are the deltas between views and their
//! encoded parts ([`Views`]). Nothing here knows an agent, a stream or a clock.
//!
//! Invariant: a Certificate is in a view only if one of the view's listeners uses it.

mod build;
mod cache;
mod delta;
mod parts;
mod placement;

use std::sync::Arc;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;

pub(crate) use cache::Views;
pub(crate) use delta::{Delta, delta};
pub(crate) use parts::{Base, Delivery, PART_BYTES, Transfer};
pub(crate) use placement::{Labels, Selection};

/// One resource of a view. Successive views share the entries that did not change.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its address.
    pub(crate) key: Key,
    /// The resource as in the state.
    pub(crate) resource: Arc<v1::Resource>,
}

/// What an agent must have at one revision.
///
/// Shape: `entries` in the order of their keys, so two views compare in one walk.
#[derive(Debug)]
pub(crate) struct View {
    revision: u64,
    entries: Vec<Arc<Entry>>,
    digest: Digest,
}

impl View {
    /// The revision of the state that it was derived from.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The digest over all entries, as both ends of the stream compute it.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// How many resources it has.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has the resource. Cost: O(log n).
    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.entries
            .binary_search_by(|entry| entry.key.cmp(key))
            .is_ok()
    }
}

#[cfg(test)]
mod tests;

/// Views for the tests of those who use them.
#[cfg(test)]
pub(crate) mod testing {
    use std::collections::BTreeMap;

    use super::*;

    /// A view of target groups with these names and revisions.
    pub(crate) fn view(revision: u64, groups: &BTreeMap<String, u64>) -> Arc<View> {
        let mut digest = Digest::default();
        let entry = |(name, revision): (&String, &u64)| {
            let group = v1::TargetGroup {
                name: name.clone(),
                revision: *revision,
                ..Default::default()
            };
            let resource = Arc::new(v1::Resource::from(group));
            let key = resource.key().unwrap();
            digest.add(&key, *revision);
            Arc::new(Entry { key, resource })
        };
        let entries = groups.iter().map(entry).collect();
        Arc::new(View {
            revision,
            entries,
            digest,
        })
    }
}
