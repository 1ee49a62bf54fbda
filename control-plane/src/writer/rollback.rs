//! The change that leads back to an earlier revision: the later ones undone, the newest first (pure).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inlet_proto::name::Key;
use inlet_proto::v1;

use super::Rollback;
use crate::model::{Change, State, Upsert};

/// The way back.
#[derive(Debug)]
pub(super) struct WayBack {
    /// What is to be made.
    pub(super) change: Change,
    /// Resources that take the place of others of the same name.
    pub(super) anew: BTreeSet<Key>,
}

/// Finds the way back from `state` by undoing `later`: every revision after the wanted one, the newest first.
///
/// Only what changed since is put or deleted, parents before children. What was deleted comes back as a new resource.
pub(super) fn way_back(
    state: &State,
    later: impl Iterator<Item = Arc<v1::Revision>>,
    rollback: Rollback,
) -> WayBack {
    let mut wanted = BTreeMap::new();
    for revision in later {
        for change in &revision.changes {
            let key = change.key.as_ref().map(Key::try_from);
            // A kind that this program does not know was refused when it was loaded.
            if let Some(Ok(key)) = key {
                wanted.insert(key, change.before.clone());
            }
        }
    }
    let mut way = WayBack {
        anew: BTreeSet::new(),
        change: Change {
            expected_revision: rollback.expected_revision,
            validate_only: rollback.validate_only,
            author: rollback.author,
            message: if rollback.message.is_empty() {
                format!("rollback to {}", rollback.to)
            } else {
                rollback.message
            },
            ..Change::default()
        },
    };
    for (key, before) in wanted {
        way.add(state, key, before);
    }
    way
}

impl WayBack {
    fn add(&mut self, state: &State, key: Key, before: Option<v1::Resource>) {
        let current = state.get(&key);
        match (before, current) {
            (Some(resource), current) => {
                if current.is_some_and(|current| uid(current) != uid(&resource)) {
                    self.anew.insert(key);
                }
                self.change.upserts.push(Upsert {
                    resource,
                    ..Upsert::default()
                });
            }
            (None, Some(_)) => self.change.deletions.push(key),
            (None, None) => {}
        }
    }
}

fn uid(resource: &v1::Resource) -> String {
    resource.kept().unwrap_or_default().uid
}
