//! A whole snapshot and the deltas that follow it -> the whole snapshot that they make. Pure.
//!
//! They go through an [`Exchange`], as they did when they came from the control plane: each must build on the one
//! before and bring its digest. What does not ends it there, so that the result is always a state that was in force.

use std::sync::Arc;
use std::time::Instant;

use inlet_proto::v1;

use super::LoadError;
use super::deltas::Damage;
use crate::discovery::exchange::{Exchange, Input, Output};

/// What they make, and why not all deltas are in it.
///
/// Errors: the base is not a complete snapshot.
pub(super) fn fold(
    base: v1::Snapshot,
    deltas: Vec<v1::Snapshot>,
    now: Instant,
) -> Result<(v1::Snapshot, Option<Damage>), LoadError> {
    let mut exchange = Exchange::default();
    match exchange.observe(Input::Part(base), now) {
        Some(Output::Apply { .. }) => exchange.observe(Input::Applied, now),
        Some(Output::Nack { mut reasons, .. }) => {
            return Err(LoadError::Refused(reasons.swap_remove(0).message));
        }
        _ => return Err(LoadError::Incomplete),
    };
    let mut damage = None;
    for (number, delta) in (1..).zip(deltas) {
        let Some(Output::Apply { .. }) = exchange.observe(Input::Part(delta), now) else {
            damage = Some(Damage::Misfit(number));
            break;
        };
        exchange.observe(Input::Applied, now);
    }
    Ok((whole(exchange), damage))
}

fn whole(exchange: Exchange) -> v1::Snapshot {
    let in_force = exchange.in_force();
    // The resources have one owner now and need not be copied.
    drop(exchange);
    v1::Snapshot {
        revision: in_force.revision,
        base_revision: 0,
        upserts: in_force
            .resources
            .into_iter()
            .map(Arc::unwrap_or_clone)
            .collect(),
        removals: Vec::new(),
        digest: in_force.digest.to_bytes(),
        part: 1,
        parts: 1,
    }
}
