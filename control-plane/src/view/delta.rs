//! What differs between two views.

use std::cmp::Ordering;
use std::sync::Arc;

use inlet_proto::name::Key;

use crate::view::{Entry, View};

/// What turns one view into another.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    /// Entries that are new or differ, in the order of their keys.
    pub(crate) upserts: Vec<Arc<Entry>>,
    /// What is gone, in the order of the keys.
    pub(crate) removals: Vec<Key>,
}

/// What turns `base` into `next`; `None` as base is the empty view. Cost: one walk over both.
pub(crate) fn delta(base: Option<&View>, next: &View) -> Delta {
    let mut delta = Delta::default();
    let mut old = base.map_or(&[][..], |view| &view.entries).iter().peekable();
    for entry in &next.entries {
        loop {
            let order = old.peek().map(|old| old.key.cmp(&entry.key));
            match order {
                Some(Ordering::Less) => {
                    let gone = old.next().map(|gone| gone.key.clone());
                    delta.removals.extend(gone);
                }
                Some(Ordering::Equal) => {
                    let differs = old.next().is_none_or(|old| differ(old, entry));
                    delta.upserts.extend(differs.then(|| Arc::clone(entry)));
                    break;
                }
                Some(Ordering::Greater) | None => {
                    delta.upserts.push(Arc::clone(entry));
                    break;
                }
            }
        }
    }
    delta.removals.extend(old.map(|gone| gone.key.clone()));
    delta
}

fn differ(one: &Arc<Entry>, other: &Arc<Entry>) -> bool {
    !Arc::ptr_eq(one, other) && one.resource.revision() != other.resource.revision()
}
