//! Whether a change may be, and the state that it makes.

use std::collections::BTreeSet;

use inlet_proto::name::Key;
use prost_types::Timestamp;

use super::change::{Change, Changed};
use super::quotas::Quotas;
use super::state::State;
use super::violation::Violation;

/// What admission needs to be told besides state and change.
#[derive(Debug, Clone)]
pub(crate) struct Terms<'a> {
    /// The time that the change is made at.
    pub(crate) now: Timestamp,
    /// How much there may be.
    pub(crate) quotas: &'a Quotas,
    /// Resources that take the place of others of the same name (a rollback over a deletion): they get a new uid, and
    /// what else cannot change may.
    pub(crate) anew: &'a BTreeSet<Key>,
}

/// A change that may be.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    /// The next state; the same revision as before if nothing changed.
    pub(crate) state: State,
    /// What was asked for in its order, then deletions, children after their parents; what stays as it is included.
    pub(crate) changes: Vec<Changed>,
}

/// Judges a change.
pub(crate) fn admit(
    _state: &State,
    _change: &Change,
    _terms: &Terms<'_>,
    _ids: &mut dyn FnMut() -> String,
) -> Result<Admitted, Vec<Violation>> {
    unimplemented!()
}
