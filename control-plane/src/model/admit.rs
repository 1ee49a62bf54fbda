//! Whether a change may be, and the state that it makes: the plan is laid over the state, and the result is judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use inlet_proto::kind::Kept;
use inlet_proto::name::Key;
use inlet_proto::v1;
use prost_types::Timestamp;

use super::change::{Change, Changed};
use super::judge::Judge;
use super::plan::Plan;
use super::quotas::Quotas;
use super::state::State;
use super::violation::{Findings, Violation};

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

/// Judges a change: the next state, or every reason against it at once, in the order of the change.
///
/// `ids` gives the uid of each resource that is new. The state is left as it is; nothing is ever half-done.
/// Cost: that of what the change touches, not of the state.
pub(crate) fn admit(
    state: &State,
    change: &Change,
    terms: &Terms<'_>,
    ids: &mut dyn FnMut() -> String,
) -> Result<Admitted, Vec<Violation>> {
    let mut findings = Findings::default();
    let plan = Plan::of(state, change, &mut findings);
    let admitted = make(state, &plan, terms, ids);
    judge(&plan, &admitted, terms, &mut findings);
    let quotas = terms.quotas;
    quotas.check(state, &admitted.state, &admitted.changes, &mut findings);
    findings.into_result()?;
    Ok(admitted)
}

/// The state as it would be, not judged yet.
fn make(
    state: &State,
    plan: &Plan,
    terms: &Terms<'_>,
    ids: &mut dyn FnMut() -> String,
) -> Admitted {
    let mut next = state.clone();
    let revision = state.revision() + 1;
    let mut deleted = Vec::with_capacity(plan.deletions.len());
    for key in &plan.deletions {
        deleted.push(Changed {
            key: key.clone(),
            before: next.remove(key),
            after: None,
        });
    }
    let mut changes = Vec::with_capacity(plan.items.len() + deleted.len());
    for item in &plan.items {
        let before = state.get(&item.key).cloned();
        let anew = terms.anew.contains(&item.key);
        let after = match &before {
            Some(before) if !anew && is_equal(before, &item.resource) => Arc::clone(before),
            _ => {
                let before = before.as_deref().filter(|_| !anew);
                let kept = kept(before, revision, terms.now, ids);
                let mut resource = item.resource.clone();
                resource.set_kept(kept);
                let resource = Arc::new(resource);
                next.put(item.key.clone(), Arc::clone(&resource));
                resource
            }
        };
        changes.push(Changed {
            key: item.key.clone(),
            before,
            after: Some(after),
        });
    }
    changes.extend(deleted);
    if changes.iter().any(Changed::is_effective) {
        next.set_revision(revision);
    }
    Admitted {
        state: next,
        changes,
    }
}

/// Whether two resources are equal but for what the server keeps.
fn is_equal(one: &v1::Resource, other: &v1::Resource) -> bool {
    let mut other = other.clone();
    if let Some(kept) = one.kept() {
        other.set_kept(kept);
    }
    *one == other
}

/// What the server keeps of a resource that is new or changed.
fn kept(
    before: Option<&v1::Resource>,
    revision: u64,
    now: Timestamp,
    ids: &mut dyn FnMut() -> String,
) -> Kept {
    let before = before.and_then(v1::Resource::kept);
    let (uid, create_time) = match before {
        Some(before) => (before.uid, before.create_time),
        None => (ids(), Some(now)),
    };
    Kept {
        uid,
        revision,
        create_time,
        update_time: Some(now),
    }
}

fn judge(plan: &Plan, admitted: &Admitted, terms: &Terms<'_>, findings: &mut Findings) {
    let mut judge = Judge::new(plan, &admitted.state, terms, findings);
    let (put, deleted) = admitted.changes.split_at(plan.items.len());
    for (item, changed) in plan.items.iter().zip(put) {
        judge.put(item, changed);
    }
    for changed in deleted {
        if let Some(before) = &changed.before {
            judge.deletion(&changed.key, before);
        }
    }
}
