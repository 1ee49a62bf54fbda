//! What differs between two states, ignoring what the server keeps.

use std::sync::Arc;

use inlet_proto::v1;

use super::change::Changed;
use super::state::State;

/// The changes that lead from one state to another, in the order of the keys. What is equal but for its kept fields
/// (revision, times) is left out, unless the uid differs: that is another resource of the same name.
pub(crate) fn diff(from: &State, to: &State) -> Vec<Changed> {
    let (mut before, mut after) = (from.all().peekable(), to.all().peekable());
    let mut found = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return found,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((one, _)), Some((other, _))) => one.cmp(other),
        };
        let before = if order.is_le() { before.next() } else { None };
        let after = if order.is_ge() { after.next() } else { None };
        let Some((key, _)) = before.or(after) else {
            continue;
        };
        let changed = Changed {
            key: key.clone(),
            before: before.map(|(_, resource)| Arc::clone(resource)),
            after: after.map(|(_, resource)| Arc::clone(resource)),
        };
        if is_different(&changed) {
            found.push(changed);
        }
    }
}

fn is_different(changed: &Changed) -> bool {
    match (&changed.before, &changed.after) {
        (Some(before), Some(after)) => {
            !Arc::ptr_eq(before, after) && (uid(before) != uid(after) || !is_equal(before, after))
        }
        _ => true,
    }
}

fn uid(resource: &v1::Resource) -> String {
    resource.kept().unwrap_or_default().uid
}

/// Whether two resources are equal but for what the server keeps.
pub(super) fn is_equal(one: &v1::Resource, other: &v1::Resource) -> bool {
    let mut other = other.clone();
    if let Some(kept) = one.kept() {
        other.set_kept(kept);
    }
    *one == other
}
