//! A table in the making: what it is made from, what is done so far, and why it cannot be.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use inlet_proto::check::check;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::View;
use super::reasons::Reasons;
use crate::live::Registry;
use crate::table::{Group, GroupId, Listener, ListenerId, Table};

/// A table in the making. Begins as the one in force.
pub(super) struct Draft<'a> {
    pub(super) registry: &'a Registry,
    pub(super) base: &'a Table,
    pub(super) view: &'a View,
    pub(super) changed: &'a BTreeSet<Key>,
    pub(super) reasons: Reasons,
    /// Changed resources that are not well-formed: their reasons are told, nothing is made of them.
    malformed: BTreeSet<&'a Key>,
    groups: Vec<Option<Arc<Group>>>,
    listeners: Vec<Option<Arc<Listener>>>,
    group_ids: HashMap<Arc<str>, GroupId>,
    listener_ids: HashMap<Arc<str>, ListenerId>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        registry: &'a Registry,
        base: &'a Table,
        view: &'a View,
        changed: &'a BTreeSet<Key>,
    ) -> Self {
        let groups = base.groups.iter().flatten();
        let listeners = base.listeners.iter().flatten();
        Self {
            group_ids: groups.map(|one| (Arc::clone(&one.name), one.id)).collect(),
            listener_ids: listeners
                .map(|one| (Arc::clone(&one.name), one.id))
                .collect(),
            groups: base.groups.clone(),
            listeners: base.listeners.clone(),
            reasons: Reasons::default(),
            malformed: BTreeSet::new(),
            registry,
            base,
            view,
            changed,
        }
    }

    /// Is each changed resource well-formed, as far as this version knows? The control plane may be newer.
    pub(super) fn check_changed(&mut self) {
        for (key, resource) in self
            .changed
            .iter()
            .filter_map(|key| self.view.get_key_value(key))
        {
            let violations = check(resource);
            for violation in &violations {
                self.reasons.violation(key, violation);
            }
            let is_misnamed = violations.is_empty() && resource.key().as_ref() != Some(key);
            if is_misnamed {
                self.reasons
                    .refuse(key, "what was sent under this name has another");
            }
            if is_misnamed || !violations.is_empty() {
                self.malformed.insert(key);
            }
        }
    }

    pub(super) fn is_malformed(&self, key: &Key) -> bool {
        self.malformed.contains(key)
    }

    /// The children of a resource that are well-formed.
    pub(super) fn children(
        &self,
        kind: Kind,
        parent: &str,
    ) -> impl Iterator<Item = (&'a Key, &'a v1::Resource)> + use<'a, '_> {
        children(self.view, kind, parent).filter(|(key, _)| !self.is_malformed(key))
    }

    /// Whether a child of this resource is among what changed.
    pub(super) fn has_changed_children(&self, kind: Kind, parent: &str) -> bool {
        let prefix = format!("{parent}/");
        let start = Key {
            kind,
            name: prefix.clone(),
        };
        let next = self.changed.range(start..).next();
        next.is_some_and(|key| key.kind == kind && key.name.starts_with(&prefix))
    }

    pub(super) fn load_balancer(&self, name: &str) -> Option<(&'a Key, &'a v1::LoadBalancer)> {
        let key = Key::child(Kind::LoadBalancer, "", name);
        match self
            .view
            .get_key_value(&key)
            .map(|(key, one)| (key, &one.kind))
        {
            Some((key, Some(Body::LoadBalancer(message)))) => Some((key, message)),
            _ => None,
        }
    }

    /// The listener in the table in force.
    pub(super) fn listener_before(&self, name: &str) -> Option<&'a Arc<Listener>> {
        self.base.listener(*self.listener_ids.get(name)?)
    }

    pub(super) fn put_listener(&mut self, listener: Listener) {
        let id = listener.id;
        self.listener_ids.insert(Arc::clone(&listener.name), id);
        put(&mut self.listeners, id.0, Arc::new(listener));
    }

    pub(super) fn remove_listener(&mut self, name: &str) {
        if let Some(id) = self.listener_ids.remove(name) {
            self.listeners[id.0 as usize] = None;
        }
    }

    /// Whether what others refer to may have gone or become something else.
    pub(super) fn groups_changed(&self) -> bool {
        self.changed.iter().any(|key| key.kind == Kind::TargetGroup)
    }

    /// All listeners as far as they are made.
    pub(super) fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.iter().flatten()
    }

    /// The id of a group; None = there is none of this name, or it could not be made.
    pub(super) fn group_id(&self, name: &str) -> Option<GroupId> {
        self.group_ids.get(name).copied()
    }

    /// A group that is made; None = it is gone.
    pub(super) fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(id.0 as usize)?.as_ref()
    }

    pub(super) fn put_group(&mut self, group: Arc<Group>) {
        self.group_ids.insert(Arc::clone(&group.name), group.id);
        put(&mut self.groups, group.id.0, group);
    }

    pub(super) fn remove_group(&mut self, name: &str) {
        if let Some(id) = self.group_ids.remove(name) {
            self.groups[id.0 as usize] = None;
        }
    }

    /// The table, if nothing stands against it.
    pub(super) fn finish(self, revision: u64) -> Result<Arc<Table>, Vec<v1::refusal::Reason>> {
        if !self.reasons.is_empty() {
            return Err(self.reasons.into_messages());
        }
        Ok(Arc::new(Table {
            revision,
            listeners: self.listeners,
            groups: self.groups,
        }))
    }
}

/// Puts an entry at its index; what is between stays a hole.
fn put<T>(entries: &mut Vec<Option<T>>, index: u32, entry: T) {
    let index = index as usize;
    entries.resize_with(entries.len().max(index + 1), || None);
    entries[index] = Some(entry);
}

/// The children of a resource, in the order of their names.
pub(super) fn children<'a>(
    view: &'a View,
    kind: Kind,
    parent: &str,
) -> impl Iterator<Item = (&'a Key, &'a v1::Resource)> + use<'a> {
    let prefix = format!("{parent}/");
    let start = Key {
        kind,
        name: prefix.clone(),
    };
    view.range(start..)
        .take_while(move |(key, _)| key.kind == kind && key.name.starts_with(&prefix))
        .map(|(key, resource)| (key, &**resource))
}
