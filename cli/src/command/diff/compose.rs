//! Successive changes as one.

use std::collections::HashMap;

use inlet_proto::v1;
use inlet_proto::v1::resource_change::Operation;

/// Changes put together, each resource once, in the order in which they were first touched.
#[derive(Debug, Default)]
pub(super) struct Composition {
    changes: Vec<v1::ResourceChange>,
    places: HashMap<(String, String), usize>,
}

impl Composition {
    /// Adds what comes next.
    pub(super) fn add(&mut self, changes: Vec<v1::ResourceChange>) {
        for change in changes {
            let key = change.key.clone().unwrap_or_default();
            let place = self
                .places
                .entry((key.kind, key.name))
                .or_insert(self.changes.len());
            match self.changes.get_mut(*place) {
                // Only what is now counts, not the ways there.
                Some(first) => {
                    first.after = change.after;
                    first.operation = operation(first).into();
                }
                None => self.changes.push(change),
            }
        }
    }

    /// The way back.
    pub(super) fn reversed(mut self) -> Self {
        for change in &mut self.changes {
            std::mem::swap(&mut change.before, &mut change.after);
            let operation = match change.operation() {
                Operation::Created => Operation::Deleted,
                Operation::Deleted => Operation::Created,
                other => other,
            };
            change.operation = operation.into();
        }
        self
    }

    /// What is different in the end; what came and went, or came back, is not.
    pub(super) fn into_changes(self) -> Vec<v1::ResourceChange> {
        let changes = self.changes.into_iter();
        changes
            .filter(|change| change.operation() != Operation::Unchanged)
            .collect()
    }
}

/// What a resource's two sides amount to.
fn operation(change: &v1::ResourceChange) -> Operation {
    match (&change.before, &change.after) {
        (None, None) => Operation::Unchanged,
        (None, Some(_)) => Operation::Created,
        (Some(_), None) => Operation::Deleted,
        (Some(before), Some(after)) if is_equal(before, after) => Operation::Unchanged,
        (Some(_), Some(_)) => Operation::Changed,
    }
}

/// Whether two resources are equal but for what the server keeps.
fn is_equal(one: &v1::Resource, other: &v1::Resource) -> bool {
    let mut other = other.clone();
    other.set_kept(one.kept().unwrap_or_default());
    *one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, before: Option<u32>, after: Option<u32>) -> v1::ResourceChange {
        let group = |port: u32| {
            v1::Resource::from(v1::TargetGroup {
                name: name.to_owned(),
                port,
                revision: u64::from(port) + 1,
                ..Default::default()
            })
        };
        let mut change = v1::ResourceChange {
            key: Some(v1::ResourceKey {
                kind: "TargetGroup".to_owned(),
                name: name.to_owned(),
            }),
            before: before.map(group),
            after: after.map(group),
            ..Default::default()
        };
        change.operation = operation(&change).into();
        change
    }

    fn composed(steps: &[(Option<u32>, Option<u32>)]) -> Composition {
        let mut composition = Composition::default();
        for (before, after) in steps {
            composition.add(vec![change("a", *before, *after)]);
        }
        composition
    }

    #[test]
    fn steps_amount_to_their_ends() {
        for (steps, expected) in [
            (
                &[(None, Some(1)), (Some(1), Some(2))][..],
                Some((None, Some(2))),
            ),
            (
                &[(Some(1), Some(2)), (Some(2), Some(3))],
                Some((Some(1), Some(3))),
            ),
            (&[(Some(1), Some(2)), (Some(2), Some(1))], None),
            (&[(Some(1), None), (None, Some(1))], None),
            (
                &[(Some(1), None), (None, Some(2))],
                Some((Some(1), Some(2))),
            ),
            (&[(None, Some(1)), (Some(1), None)], None),
            (
                &[(Some(1), Some(2)), (Some(2), None)],
                Some((Some(1), None)),
            ),
        ] {
            let changes = composed(steps).into_changes();
            let expected: Vec<_> = expected
                .map(|(before, after)| change("a", before, after))
                .into_iter()
                .collect();
            assert_eq!(changes, expected, "{steps:?}");
        }
    }

    #[test]
    fn the_way_back_swaps_the_sides() {
        let back = composed(&[(None, Some(1))]).reversed().into_changes();
        assert_eq!(back, [change("a", Some(1), None)]);
    }

    #[test]
    fn a_change_of_what_is_not_shown_stays_a_change() {
        let mut composition = Composition::default();
        let secret = v1::ResourceChange {
            operation: Operation::Changed.into(),
            ..change("a", Some(1), Some(1))
        };
        composition.add(vec![secret.clone()]);
        assert_eq!(composition.into_changes(), [secret]);
    }
}
