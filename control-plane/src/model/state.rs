//! All resources at one revision, and the indexes that keep admission cheap.
//!
//! Immutable: a change copies the state (pointers) and changes the copy, which shares everything else.
//!
//! Invariant: a TargetGroup in a state carries no `targets`; each target is a Target resource of its own, with its
//! address in canonical form and its port filled in.

use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::ordered::Ordered;
use super::references::referred;

/// Everything at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    revision: u64,
    resources: Ordered<Key, Arc<v1::Resource>>,
    /// (referred to, refers).
    referrers: Ordered<(Key, Key), ()>,
    /// (listener, priority, rule): more than one rule only while a change is being judged.
    priorities: Ordered<(String, u32, Key), ()>,
    /// (port, listener).
    ports: Ordered<(u32, Key), ()>,
    /// (load balancer, target group) -> how many listeners and rules of the one forward to the other.
    forwards: Ordered<(String, String), usize>,
}

/// A resource as the state lends it.
pub(crate) type Lent<'a> = (&'a Key, &'a Arc<v1::Resource>);

impl State {
    /// Nothing, at revision 0.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// A state from what was kept.
    pub(crate) fn restore(
        revision: u64,
        resources: impl IntoIterator<Item = v1::Resource>,
    ) -> Self {
        let mut state = Self::empty();
        for resource in resources {
            if let Some(key) = resource.key() {
                state.put(key, Arc::new(resource));
            }
        }
        state.set_revision(revision);
        state
    }

    /// Its revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// One resource. Cost: O(log n).
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<v1::Resource>> {
        self.resources.get(key)
    }

    /// All resources, parents before children.
    pub(crate) fn all(&self) -> impl Iterator<Item = Lent<'_>> {
        self.resources.iter()
    }

    /// The resources of a kind in the order of their full names.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = Lent<'_>> {
        self.named(kind, String::new())
    }

    /// The direct children of one kind, in the order of their names; none if `kind` is no child of `parent`.
    pub(crate) fn children<'a>(
        &'a self,
        parent: &Key,
        kind: Kind,
    ) -> impl Iterator<Item = Lent<'a>> + use<'a> {
        let is_child = kind.parent() == Some(parent.kind);
        let below = self.named(kind, format!("{}/", parent.name));
        below.take_while(move |_| is_child)
    }

    /// The resources of a kind whose full names begin with `prefix`, in order.
    pub(super) fn named(&self, kind: Kind, prefix: String) -> impl Iterator<Item = Lent<'_>> {
        let first = Key { kind, name: prefix };
        let prefix = first.name.clone();
        self.resources
            .from(&first)
            .take_while(move |(key, _)| key.kind == kind && key.name.starts_with(&prefix))
    }

    /// How many resources of a kind have full names that begin with `prefix`. Cost: O(n / 64).
    pub(super) fn count(&self, kind: Kind, prefix: &str) -> usize {
        let below = |key: &Key| (key.kind, key.name.as_str()) < (kind, prefix);
        self.resources.count(below, |key: &Key| {
            below(key) || (key.kind == kind && key.name.starts_with(prefix))
        })
    }

    /// Who refers to a resource.
    pub(super) fn referrers<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a Key> + use<'a> {
        let kind = Kind::ALL[0];
        let first = (
            key.clone(),
            Key {
                kind,
                name: String::new(),
            },
        );
        let wanted = key.clone();
        let found = self.referrers.from(&first).map(|(pair, ())| pair);
        found
            .take_while(move |(to, _)| *to == wanted)
            .map(|(_, from)| from)
    }

    /// The rules of a listener with one priority.
    pub(super) fn with_priority<'a>(
        &'a self,
        listener: &str,
        priority: u32,
    ) -> impl Iterator<Item = &'a Key> + use<'a> {
        let first = (
            listener.to_owned(),
            priority,
            Key {
                kind: Kind::Rule,
                name: String::new(),
            },
        );
        let wanted = (listener.to_owned(), priority);
        let found = self.priorities.from(&first).map(|(entry, ())| entry);
        found
            .take_while(move |(of, at, _)| (of, at) == (&wanted.0, &wanted.1))
            .map(|(_, _, rule)| rule)
    }

    /// The listeners on a port, of all load balancers.
    pub(super) fn on_port(&self, port: u32) -> impl Iterator<Item = &Key> {
        let first = (
            port,
            Key {
                kind: Kind::Listener,
                name: String::new(),
            },
        );
        let found = self.ports.from(&first).map(|(entry, ())| entry);
        found
            .take_while(move |(at, _)| *at == port)
            .map(|(_, listener)| listener)
    }

    /// How many target groups the listeners and rules of a load balancer forward to.
    pub(super) fn groups_of(&self, balancer: &str) -> usize {
        self.forwards.count(
            |(of, _): &(String, String)| of.as_str() < balancer,
            |(of, _)| of.as_str() <= balancer,
        )
    }

    pub(super) fn set_revision(&mut self, revision: u64) {
        self.revision = revision;
    }

    /// Adds or replaces a resource.
    pub(super) fn put(&mut self, key: Key, resource: Arc<v1::Resource>) {
        self.remove(&key);
        self.index(&key, &resource);
        self.resources.insert(key, resource);
    }

    /// Removes a resource, without its children.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<v1::Resource>> {
        let resource = self.resources.remove(key)?;
        self.unindex(key, &resource);
        Some(resource)
    }

    fn index(&mut self, key: &Key, resource: &v1::Resource) {
        for other in referred(resource) {
            if let Some(pair) = forward(key, &other) {
                let count = self.forwards.get(&pair).copied().unwrap_or_default();
                self.forwards.insert(pair, count + 1);
            }
            self.referrers.insert((other, key.clone()), ());
        }
        match &resource.kind {
            Some(Body::Rule(rule)) => {
                let entry = (rule.listener.clone(), rule.priority, key.clone());
                self.priorities.insert(entry, ());
            }
            Some(Body::Listener(listener)) => {
                self.ports.insert((listener.port, key.clone()), ());
            }
            _ => {}
        }
    }

    fn unindex(&mut self, key: &Key, resource: &v1::Resource) {
        for other in referred(resource) {
            if let Some(pair) = forward(key, &other) {
                match self.forwards.get(&pair) {
                    Some(count) if *count > 1 => drop(self.forwards.insert(pair, count - 1)),
                    _ => drop(self.forwards.remove(&pair)),
                }
            }
            self.referrers.remove(&(other, key.clone()));
        }
        match &resource.kind {
            Some(Body::Rule(rule)) => {
                let entry = (rule.listener.clone(), rule.priority, key.clone());
                self.priorities.remove(&entry);
            }
            Some(Body::Listener(listener)) => {
                self.ports.remove(&(listener.port, key.clone()));
            }
            _ => {}
        }
    }
}

/// (load balancer, target group) if that is what a reference connects.
fn forward(from: &Key, to: &Key) -> Option<(String, String)> {
    let (balancer, _) = from.name.split_once('/')?;
    (to.kind == Kind::TargetGroup).then(|| (balancer.to_owned(), to.name.clone()))
}

/// A target group as it is answered: with its registered targets, in the order of their names.
pub(crate) fn with_targets(state: &State, group: &v1::Resource) -> v1::Resource {
    let mut group = group.clone();
    let key = group.key();
    if let (Some(Body::TargetGroup(message)), Some(key)) = (&mut group.kind, key) {
        let targets = state.children(&key, Kind::Target);
        let targets = targets.filter_map(|(_, resource)| match &resource.kind {
            Some(Body::Target(target)) => Some(target.clone()),
            _ => None,
        });
        message.targets = targets.collect();
    }
    group
}
