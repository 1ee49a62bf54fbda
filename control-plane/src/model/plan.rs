//! Lays a change out: one item per resource to put, targets split off their groups and completed, and the full list
//! of what goes.
//!
//! Malformed resources are reported here. They stay in the plan as long as they have an address, so that what refers
//! to them is not reported as well.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use inlet_proto::check::check;
use inlet_proto::kind::Kind;
use inlet_proto::name::{Key, is_name};
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::change::{Change, Upsert};
use super::state::State;
use super::violation::{Findings, Subject, ViolationKind};

/// A resource to put.
#[derive(Debug)]
pub(super) struct Item {
    /// Its address.
    pub(super) key: Key,
    /// In the form of the state.
    pub(super) resource: v1::Resource,
    /// Where it was written.
    pub(super) origin: String,
    /// Which upsert it comes from.
    pub(super) place: usize,
    /// By itself it is as it must be.
    pub(super) is_well_formed: bool,
}

impl Item {
    pub(super) fn subject(&self) -> Subject<'_> {
        Subject {
            place: self.place,
            key: Some(&self.key),
            origin: &self.origin,
        }
    }
}

/// A change, laid out.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of the change; every key once.
    pub(super) items: Vec<Item>,
    /// Where an item is.
    places: HashMap<Key, usize>,
    /// What goes, children after their parents; every key once, and none that is an item.
    pub(super) deletions: Vec<Key>,
    deleted: HashSet<Key>,
    /// Names of the groups whose targets are given as a whole.
    whole: HashSet<String>,
}

impl Plan {
    /// Lays out a change to a state.
    pub(super) fn of(state: &State, change: &Change, findings: &mut Findings) -> Self {
        let mut plan = Self::default();
        let ports = group_ports(change);
        for (place, upsert) in change.upserts.iter().enumerate() {
            plan.put(state, &ports, place, upsert, findings);
        }
        for key in &change.deletions {
            plan.delete(state, canonical(key), findings);
        }
        plan.drop_absent_targets(state);
        if change.prune {
            plan.prune(state);
        }
        // However they were asked for: parents before their children.
        plan.deletions.sort_unstable();
        plan
    }

    /// The item with a key.
    pub(super) fn item(&self, key: &Key) -> Option<&Item> {
        self.places.get(key).map(|at| &self.items[*at])
    }

    /// Whether a resource goes.
    pub(super) fn deletes(&self, key: &Key) -> bool {
        self.deleted.contains(key)
    }

    fn put(
        &mut self,
        state: &State,
        ports: &HashMap<&str, u32>,
        place: usize,
        upsert: &Upsert,
        findings: &mut Findings,
    ) {
        let mut resource = upsert.resource.clone();
        let mut has_group = true;
        let targets = match &mut resource.kind {
            Some(Body::TargetGroup(group)) => {
                let targets = std::mem::take(&mut group.targets);
                if upsert.all_targets || !targets.is_empty() {
                    self.whole.insert(group.name.clone());
                }
                targets
                    .into_iter()
                    .map(|target| complete(target, &group.name, group.port))
                    .collect()
            }
            Some(Body::Target(target)) => {
                let group = target.target_group.clone();
                let port = ports.get(group.as_str()).copied();
                let port = port.or_else(|| stored_port(state, &group));
                has_group = port.is_some();
                *target = complete(std::mem::take(target), &group, port.unwrap_or_default());
                Vec::new()
            }
            _ => Vec::new(),
        };
        let key = resource.key();
        let violations = check(&upsert.resource);
        let subject = Subject {
            place,
            key: key.as_ref(),
            origin: &upsert.origin,
        };
        let is_well_formed = violations.is_empty();
        for violation in violations {
            findings.refuse(
                subject,
                ViolationKind::Malformed,
                violation.field,
                violation.message,
            );
        }
        if is_well_formed && !has_group && !key.as_ref().is_some_and(is_address) {
            // Without the group its port, and so its address, are not known: the judge will not see it.
            let group = key.as_ref().and_then(Key::parent);
            let message = format!(
                "there is no TargetGroup {}",
                group.map_or_else(String::new, |it| it.name)
            );
            findings.refuse(subject, ViolationKind::Reference, "targetGroup", message);
        }
        let mut add = |resource: v1::Resource| {
            let key = resource.key().filter(is_address)?;
            let item = Item {
                key,
                resource,
                origin: upsert.origin.clone(),
                place,
                is_well_formed,
            };
            self.add(item, findings);
            Some(())
        };
        // What has no address was reported by `check`; what has one twice within a group too, hence the filter below.
        add(resource);
        let mut seen = HashSet::new();
        for target in targets {
            let target = v1::Resource::from(target);
            if seen.insert(target.key()) {
                add(target);
            }
        }
    }

    fn add(&mut self, item: Item, findings: &mut Findings) {
        if let Some(first) = self.item(&item.key) {
            let place = if first.origin.is_empty() {
                String::new()
            } else {
                format!(", first at {}", first.origin)
            };
            let message = format!("is in the change twice{place}: give it once");
            findings.refuse(item.subject(), ViolationKind::Malformed, "", message);
            return;
        }
        self.places.insert(item.key.clone(), self.items.len());
        self.items.push(item);
    }

    fn delete(&mut self, state: &State, key: Key, findings: &mut Findings) {
        let subject = Subject::stored(&key);
        if let Some(item) = self.item(&key) {
            let message = "is both to be put and to be deleted: decide for one";
            findings.refuse(item.subject(), ViolationKind::Malformed, "", message);
        } else if state.get(&key).is_none() {
            let message = format!("there is no {} {}", key.kind.name(), key.name);
            findings.refuse(subject, ViolationKind::NotFound, "", message);
        } else {
            self.drop_with_children(state, &key);
        }
    }

    /// Targets that are not among those given as the whole set of their group.
    fn drop_absent_targets(&mut self, state: &State) {
        let mut groups: Vec<_> = self.whole.iter().cloned().collect();
        groups.sort_unstable();
        for group in groups {
            let group = Key::child(Kind::TargetGroup, "", &group);
            for (target, _) in state.children(&group, Kind::Target) {
                self.drop_one(target);
            }
        }
    }

    /// Everything that is not an item; the targets of a group that is one stay.
    fn prune(&mut self, state: &State) {
        for (key, _) in state.all() {
            let stays = key.kind == Kind::Target
                && key
                    .parent()
                    .is_some_and(|group| self.places.contains_key(&group));
            if !stays {
                self.drop_one(key);
            }
        }
    }

    fn drop_with_children(&mut self, state: &State, key: &Key) {
        self.drop_one(key);
        let below = Kind::ALL.iter().filter(|kind| is_below(**kind, key.kind));
        for kind in below {
            for (child, _) in state.named(*kind, format!("{}/", key.name)) {
                self.drop_one(child);
            }
        }
    }

    fn drop_one(&mut self, key: &Key) {
        if !self.places.contains_key(key) && self.deleted.insert(key.clone()) {
            self.deletions.push(key.clone());
        }
    }
}

/// The default ports of the groups in a change, for targets beside them.
fn group_ports(change: &Change) -> HashMap<&str, u32> {
    let groups = change
        .upserts
        .iter()
        .filter_map(|upsert| match &upsert.resource.kind {
            Some(Body::TargetGroup(group)) => Some((group.name.as_str(), group.port)),
            _ => None,
        });
    groups.collect()
}

fn stored_port(state: &State, group: &str) -> Option<u32> {
    match &state.get(&Key::child(Kind::TargetGroup, "", group))?.kind {
        Some(Body::TargetGroup(group)) => Some(group.port),
        _ => None,
    }
}

/// A target in the form of the state: address in canonical form, port, name and group filled in.
fn complete(mut target: v1::Target, group: &str, port: u32) -> v1::Target {
    if let Ok(address) = target.address.parse::<IpAddr>() {
        target.address = address.to_string();
    }
    if target.port == 0 {
        target.port = port;
    }
    group.clone_into(&mut target.target_group);
    target.name = inlet_proto::name::target_name(&target.address, target.port);
    target
}

/// Deletions may name a target by an address that is not in canonical form.
fn canonical(key: &Key) -> Key {
    let parts = key
        .name
        .split_once('/')
        .filter(|_| key.kind == Kind::Target);
    match parts.and_then(|(group, own)| Some((group, own.parse::<SocketAddr>().ok()?))) {
        Some((group, own)) => Key::child(Kind::Target, group, &own.to_string()),
        None => key.clone(),
    }
}

/// Whether resources of `kind` are children, grandchildren, ... of those of `ancestor`.
fn is_below(kind: Kind, ancestor: Kind) -> bool {
    let parents = std::iter::successors(kind.parent(), |parent| parent.parent());
    parents.into_iter().any(|parent| parent == ancestor)
}

/// Whether a resource can be kept under this key.
fn is_address(key: &Key) -> bool {
    if Key::of(key.kind, &key.name).is_err() {
        return false;
    }
    match (key.kind, key.name.split_once('/')) {
        (Kind::Target, Some((group, own))) => {
            let own = own.parse::<SocketAddr>();
            is_name(group) && own.is_ok_and(|own| own.port() != 0)
        }
        _ => key.name.split('/').all(is_name),
    }
}
