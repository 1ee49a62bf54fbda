//! Keeps the answer to a change within what clients take.
//!
//! A change may be as large as a message, and its answer repeats every resource twice. A client that cannot read
//! the answer to a change that was kept would believe that it failed.

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::v1;
use inlet_proto::v1::resource_change::Operation;
use prost::Message as _;

/// Bytes of the changes in one answer; the rest of the message needs a few dozen.
const MAX_CHANGES_BYTES: usize = MAX_MESSAGE_BYTES - 1024;

/// Leaves out `before` and `after` if there is too much: of what is unchanged, then, of a change that was `kept`, of
/// everything. Whoever asks what a change would do asks for just that, and is told that it is too much.
pub(super) fn fit(changes: &mut [v1::ResourceChange], kept: bool) {
    fit_within(changes, kept, MAX_CHANGES_BYTES);
}

fn fit_within(changes: &mut [v1::ResourceChange], kept: bool, bytes: usize) {
    for all in [false, true] {
        if size(changes) <= bytes || (all && !kept) {
            return;
        }
        let dispensable = changes
            .iter_mut()
            .filter(|change| all || change.operation() == Operation::Unchanged);
        for change in dispensable {
            change.before = None;
            change.after = None;
        }
    }
}

/// Each with its key and length in the message that carries it.
fn size(changes: &[v1::ResourceChange]) -> usize {
    let sizes = changes.iter().map(v1::ResourceChange::encoded_len);
    sizes.map(|bytes| bytes + 6).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(operation: Operation, bytes: usize) -> v1::ResourceChange {
        let group = v1::TargetGroup {
            name: "x".repeat(bytes),
            ..Default::default()
        };
        v1::ResourceChange {
            key: None,
            operation: operation.into(),
            before: Some(group.clone().into()),
            after: Some(group.into()),
        }
    }

    #[test]
    fn what_is_needed_least_goes_first() {
        for (changed, unchanged, committed, whole) in [
            (100, 100, true, [true, true]),
            (100, 1000, true, [true, false]),
            (1000, 100, true, [false, false]),
            (1000, 100, false, [true, false]),
        ] {
            let mut changes = [
                change(Operation::Changed, changed),
                change(Operation::Unchanged, unchanged),
            ];
            fit_within(&mut changes, committed, 1000);
            let found = changes
                .each_ref()
                .map(|change| change.before.is_some() && change.after.is_some());
            assert_eq!(found, whole);
        }
    }
}
