//! Derives a view from a state: selected load balancers, their listeners and rules, the target groups that these
//! forward to with their targets, and the certificates that the listeners use.

use std::collections::HashSet;
use std::sync::Arc;

use inlet_proto::digest::Digest;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use crate::model::State;
use crate::view::{Entry, Selection, View};

/// A resource as the state lends it.
type Lent<'a> = (&'a Key, &'a Arc<v1::Resource>);

impl View {
    /// The view of a selection. With `previous`, the view of an earlier state, its unchanged entries are shared and
    /// the digest follows the difference instead of being summed anew.
    ///
    /// Cost: O(n) in the resources of the view, without allocation for those that `previous` has.
    pub(crate) fn build(state: &State, selection: &Selection, previous: Option<&Self>) -> Self {
        let (before, mut digest) = match previous {
            Some(view) => (&*view.entries, view.digest),
            None => (&[][..], Digest::default()),
        };
        let mut before = before.iter().peekable();
        let members = members(state, selection);
        let mut entries = Vec::with_capacity(members.len());
        for (key, resource) in members {
            while let Some(gone) = before.next_if(|entry| entry.key < *key) {
                digest.remove(&gone.key, gone.resource.revision());
            }
            let known = before.next_if(|entry| entry.key == *key);
            if let Some(known) = known.filter(|known| is_same(&known.resource, resource)) {
                entries.push(Arc::clone(known));
                continue;
            }
            if let Some(changed) = known {
                digest.remove(key, changed.resource.revision());
            }
            digest.add(key, resource.revision());
            entries.push(Arc::new(Entry {
                key: key.clone(),
                resource: Arc::clone(resource),
            }));
        }
        for gone in before {
            digest.remove(&gone.key, gone.resource.revision());
        }
        Self {
            revision: state.revision(),
            entries,
            digest,
        }
    }
}

/// One key at one revision is one content: revisions are never given out twice.
fn is_same(one: &Arc<v1::Resource>, other: &Arc<v1::Resource>) -> bool {
    Arc::ptr_eq(one, other) || one.revision() == other.revision()
}

/// Everything in the view, in the order of the keys.
fn members<'a>(state: &'a State, selection: &Selection) -> Vec<Lent<'a>> {
    let mut found: Vec<Lent<'a>> = Vec::new();
    let mut used = Used::default();
    for balancer in state.of_kind(Kind::LoadBalancer) {
        if !selection.has(&balancer.0.name) {
            continue;
        }
        found.push(balancer);
        for listener in state.children(balancer.0, Kind::Listener) {
            found.push(listener);
            used.note(listener.1);
            for rule in state.children(listener.0, Kind::Rule) {
                found.push(rule);
                used.note(rule.1);
            }
        }
    }
    for group in state.of_kind(Kind::TargetGroup) {
        if used.groups.contains(group.0.name.as_str()) {
            found.push(group);
            found.extend(state.children(group.0, Kind::Target));
        }
    }
    let certificates = state.of_kind(Kind::Certificate);
    found.extend(certificates.filter(|(key, _)| used.certificates.contains(key.name.as_str())));
    // Stable on purpose: what was collected is a few sorted runs, which this sort only merges.
    found.sort_by(|one, other| one.0.cmp(other.0));
    found
}

/// What the listeners and rules of a view refer to.
#[derive(Default)]
struct Used<'a> {
    groups: HashSet<&'a str>,
    certificates: HashSet<&'a str>,
}

impl<'a> Used<'a> {
    fn note(&mut self, resource: &'a v1::Resource) {
        match &resource.kind {
            Some(Body::Listener(listener)) => {
                self.note_actions(&listener.default_actions);
                let certificates = listener.certificates.iter().map(String::as_str);
                self.certificates.extend(certificates);
            }
            Some(Body::Rule(rule)) => self.note_actions(&rule.actions),
            _ => {}
        }
    }

    fn note_actions(&mut self, actions: &'a [v1::Action]) {
        for action in actions {
            if let Some(v1::action::Kind::Forward(forward)) = &action.kind {
                let groups = forward
                    .target_groups
                    .iter()
                    .map(|group| group.name.as_str());
                self.groups.extend(groups);
            }
        }
    }
}
