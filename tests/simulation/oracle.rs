//! What may be in force: for every revision that was acknowledged, the view of each agent and the table that it
//! makes, worked out from the resources in the plainest way, with nothing of the control plane's or the agent's code.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use inlet_agent::table::{self, Table};
use inlet_proto::digest::Digest;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

/// Labels of an agent.
pub(crate) type Labels = BTreeMap<String, String>;
/// Resources by key.
pub(crate) type Resources = BTreeMap<Key, Arc<v1::Resource>>;

/// Every revision that was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    revisions: BTreeMap<u64, Resources>,
    views: BTreeMap<(u64, Labels), Rc<Expected>>,
}

/// What an agent has if it has one revision.
#[derive(Debug)]
pub(crate) struct Expected {
    /// The resources.
    pub(crate) view: Resources,
    /// Over them.
    pub(crate) digest: Digest,
    /// What the table does, see [`describe`].
    pub(crate) table: BTreeSet<String>,
    /// What must be bound.
    pub(crate) ports: BTreeSet<u16>,
}

impl Oracle {
    /// A revision was acknowledged, or was found in the store.
    pub(crate) fn record(&mut self, revision: u64, resources: Vec<Arc<v1::Resource>>) {
        let resources: Resources = resources
            .into_iter()
            .map(|resource| (resource.key().expect("it was admitted"), resource))
            .collect();
        if let Some(known) = self.revisions.get(&revision) {
            assert_eq!(*known, resources, "revision {revision} is not what it was");
        }
        self.revisions.insert(revision, resources);
    }

    /// The last one; 0 = none.
    pub(crate) fn last(&self) -> u64 {
        self.revisions.keys().last().copied().unwrap_or_default()
    }

    /// The resources of the last one.
    pub(crate) fn resources(&self) -> Option<&Resources> {
        self.revisions.values().last()
    }

    /// What an agent with these labels has at a revision. Panics if nobody acknowledged it.
    pub(crate) fn expected(&mut self, revision: u64, labels: &Labels) -> Rc<Expected> {
        let key = (revision, labels.clone());
        if let Some(known) = self.views.get(&key) {
            return Rc::clone(known);
        }
        let empty = Resources::new();
        let all = match revision {
            0 => &empty,
            _ => self
                .revisions
                .get(&revision)
                .unwrap_or_else(|| panic!("revision {revision} was never acknowledged")),
        };
        let expected = Rc::new(Expected::of(all, labels));
        self.views.insert(key, Rc::clone(&expected));
        expected
    }
}

impl Expected {
    fn of(all: &Resources, labels: &Labels) -> Self {
        let mut view = Resources::new();
        let mut groups = BTreeSet::new();
        for (key, resource) in all {
            let balancer = key.name.split('/').next().unwrap_or_default();
            let actions = match &resource.kind {
                Some(Body::LoadBalancer(_)) => &[][..],
                Some(Body::Listener(listener)) => &listener.default_actions,
                Some(Body::Rule(rule)) => &rule.actions,
                _ => continue,
            };
            if is_selected(all, balancer, labels) {
                view.insert(key.clone(), Arc::clone(resource));
                groups.extend(forwards(actions).map(|group| group.name.clone()));
            }
        }
        let is_used = |key: &Key| match key.kind {
            Kind::TargetGroup => groups.contains(&key.name),
            Kind::Target => groups.contains(key.name.split('/').next().unwrap_or_default()),
            _ => false,
        };
        let used = all.iter().filter(|(key, _)| is_used(key));
        view.extend(used.map(|(key, resource)| (key.clone(), Arc::clone(resource))));
        let mut digest = Digest::default();
        for (key, resource) in &view {
            digest.add(key, resource.revision());
        }
        let ports = view.values().filter_map(|resource| port(resource));
        Self {
            digest,
            table: wanted(&view),
            ports: ports.collect(),
            view,
        }
    }
}

fn is_selected(all: &Resources, balancer: &str, labels: &Labels) -> bool {
    let key = Key::child(Kind::LoadBalancer, "", balancer);
    match all.get(&key).map(|resource| &resource.kind) {
        Some(Some(Body::LoadBalancer(balancer))) => {
            let mut asked = balancer.placement.iter();
            asked.all(|(name, value)| labels.get(name) == Some(value))
        }
        _ => false,
    }
}

fn forwards(actions: &[v1::Action]) -> impl Iterator<Item = &v1::forward::WeightedTargetGroup> {
    let forwards = actions.iter().filter_map(|action| match &action.kind {
        Some(v1::action::Kind::Forward(forward)) => Some(&forward.target_groups),
        _ => None,
    });
    forwards.flatten()
}

fn port(resource: &v1::Resource) -> Option<u16> {
    match &resource.kind {
        Some(Body::Listener(listener)) => u16::try_from(listener.port).ok(),
        _ => None,
    }
}

/// What the table of a view must do, in the words of [`describe`].
fn wanted(view: &Resources) -> BTreeSet<String> {
    let line = |(key, resource): (&Key, &Arc<v1::Resource>)| {
        let name = &key.name;
        Some(match resource.kind.as_ref()? {
            Body::LoadBalancer(balancer) => {
                let idle = balancer
                    .application
                    .as_ref()?
                    .idle_timeout
                    .as_ref()?
                    .seconds;
                return (balancer.r#type() == v1::load_balancer::Type::Application)
                    .then(|| format!("{name} idle {idle}"))
                    .filter(|_| has_listeners(view, name));
            }
            Body::Listener(listener) => {
                let action = wanted_action(&listener.default_actions);
                format!("{name} :{} -> {action}", listener.port)
            }
            Body::Rule(rule) => {
                format!(
                    "{name} @{} -> {}",
                    rule.priority,
                    wanted_action(&rule.actions)
                )
            }
            Body::TargetGroup(group) => {
                let least = v1::target_group::Algorithm::LeastOutstandingRequests;
                format!("{name} least: {}", group.algorithm() == least)
            }
            Body::Target(target) => {
                let (address, port) = (&target.address, target.port);
                format!(
                    "{}: {address}:{port} * {}",
                    target.target_group,
                    target.weight.unwrap_or(1)
                )
            }
            Body::Certificate(_) => return None,
        })
    };
    view.iter().filter_map(line).collect()
}

fn has_listeners(view: &Resources, balancer: &str) -> bool {
    let mut keys = view.keys();
    keys.any(|key| key.kind == Kind::Listener && key.name.split('/').next() == Some(balancer))
}

fn wanted_action(actions: &[v1::Action]) -> String {
    match actions.first().and_then(|action| action.kind.as_ref()) {
        Some(v1::action::Kind::Forward(forward)) => {
            let groups = forward.target_groups.iter();
            let groups: Vec<_> = groups
                .map(|group| format!("{} * {}", group.name, group.weight.unwrap_or(1)))
                .collect();
            groups.join(", ")
        }
        Some(v1::action::Kind::FixedResponse(fixed)) => fixed.body.clone(),
        other => panic!("the operator never does this: {other:?}"),
    }
}

/// What a table does, in lines; every resource that it was made of shows in one.
pub(crate) fn describe(table: &Table) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for listener in table.listeners.iter().flatten() {
        let name = &listener.name;
        let action = match &listener.service {
            table::Service::Http(http) => {
                let idle = http.idle_timeout.as_secs();
                lines.insert(format!("{} idle {idle}", listener.load_balancer));
                for rule in http.router.rules.iter() {
                    let action = action(table, &rule.action);
                    lines.insert(format!(
                        "{name}/{} @{} -> {action}",
                        rule.name, rule.priority
                    ));
                }
                action(table, &http.router.default)
            }
            table::Service::Tcp(tcp) => forward(table, &tcp.forward),
        };
        lines.insert(format!("{name} :{} -> {action}", listener.port));
    }
    for group in table.groups.iter().flatten() {
        let name = &group.name;
        let least = group.algorithm == table::Algorithm::LeastOutstandingRequests;
        lines.insert(format!("{name} least: {least}"));
        for (target, weight) in &group.pool.members {
            lines.insert(format!("{name}: {} * {weight}", target.address));
        }
    }
    lines
}

fn action(table: &Table, action: &table::Action) -> String {
    match action {
        table::Action::Forward(to) => forward(table, to),
        table::Action::FixedResponse(fixed) => fixed.body.to_string(),
        table::Action::Redirect(_) => panic!("the operator never makes one"),
    }
}

fn forward(table: &Table, forward: &table::Forward) -> String {
    let group = |(id, weight): &(table::GroupId, u32)| {
        let group = table.group(*id).expect("compiling guarantees it");
        format!("{} * {weight}", group.name)
    };
    let groups: Vec<_> = forward.groups.iter().map(group).collect();
    groups.join(", ")
}
