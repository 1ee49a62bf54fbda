//! Resources -> [`Table`], or every reason why not. The only module that knows both messages and tables.
//!
//! In order: every changed resource is checked by itself ([`inlet_proto::check`], so what this version cannot serve is
//! refused and never ignored), then target groups are compiled, then listeners with their rules. Only what a change
//! touches is compiled; the rest is the same `Arc` as in the table before.
//!
//! Pure but for [`Registry`], which gives entries of `live` to names.

mod action;
mod condition;
mod draft;
mod group;
mod listener;
mod reasons;
mod references;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;

use crate::live::Registry;
use crate::table::Table;
use draft::Draft;

/// Every resource that this agent must have, targets as resources of their own.
pub type View = BTreeMap<Key, Arc<v1::Resource>>;

/// Makes tables.
#[derive(Debug)]
pub struct Compiler {
    registry: Arc<Registry>,
}

impl Compiler {
    /// A compiler whose tables share these entries.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry }
    }

    /// Compiles a whole view. `base` is the table in force (the empty one at start), `changed` the keys that differ
    /// from the view that it was made of (all of them at start, removed ones included). Nothing in force changes.
    ///
    /// Errors: every reason, with the resource it concerns, in the order of the keys.
    pub fn compile(
        &self,
        base: &Arc<Table>,
        view: &View,
        changed: &BTreeSet<Key>,
        revision: u64,
    ) -> Result<Arc<Table>, Vec<v1::refusal::Reason>> {
        let mut draft = Draft::new(&self.registry, base, view, changed);
        draft.check_changed();
        for name in affected(changed, Kind::TargetGroup, Kind::Target) {
            group::compile(&mut draft, name);
        }
        for key in affected_listeners(view, changed) {
            listener::compile(&mut draft, &key);
        }
        references::check(&mut draft);
        draft.finish(revision)
    }
}

/// Full names of the parents that a change touches, by themselves or through a child.
fn affected(changed: &BTreeSet<Key>, parent: Kind, child: Kind) -> BTreeSet<&str> {
    let names = changed.iter().filter_map(|key| {
        if key.kind == parent {
            Some(key.name.as_str())
        } else if key.kind == child {
            Some(key.name.rsplit_once('/')?.0)
        } else {
            None
        }
    });
    names.collect()
}

/// Listeners that a change touches: by themselves, through a rule, or through their load balancer.
fn affected_listeners(view: &View, changed: &BTreeSet<Key>) -> BTreeSet<Key> {
    let balancers = changed.iter().filter(|key| key.kind == Kind::LoadBalancer);
    let below = balancers.flat_map(|key| draft::children(view, Kind::Listener, &key.name));
    let below = below.map(|(key, _)| key.clone());
    let own = affected(changed, Kind::Listener, Kind::Rule).into_iter();
    let own = own.map(|name| Key {
        kind: Kind::Listener,
        name: name.to_owned(),
    });
    below.chain(own).collect()
}

#[cfg(test)]
mod tests;
