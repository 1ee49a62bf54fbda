//! How much there may be: AWS's defaults times ten (specification: application load balancer, 15; network load
//! balancer, 14), and more where one installation is meant to be larger than an AWS account.

use std::collections::{BTreeMap, BTreeSet};

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::load_balancer::Type;
use inlet_proto::v1::resource::Kind as Body;

use super::change::Changed;
use super::state::State;
use super::violation::{Findings, Subject, ViolationKind};

/// Upper bounds over several resources. A change is refused if it raises a count above its bound, not if the count
/// was above it before.
///
/// Not here on purpose: AWS lets a target group serve one load balancer only (`TargetGroupAssociationLimit`) and
/// bounds the targets of a load balancer. Groups are shared here, so targets are bounded per group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quotas {
    /// Load balancers of one type; AWS 50.
    pub(crate) load_balancers_per_type: usize,
    /// Listeners of a load balancer; AWS 50.
    pub(crate) listeners_per_load_balancer: usize,
    /// Certificates of a load balancer besides its listeners' default ones; AWS 25.
    pub(crate) certificates_per_load_balancer: usize,
    /// Rules of a load balancer; AWS 100.
    pub(crate) rules_per_load_balancer: usize,
    /// Different target groups that a load balancer forwards to; AWS 100.
    pub(crate) target_groups_per_load_balancer: usize,
    /// Target groups in all; AWS 3000.
    pub(crate) target_groups: usize,
    /// Targets of a group; AWS 1000.
    pub(crate) targets_per_target_group: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            load_balancers_per_type: 500,
            listeners_per_load_balancer: 500,
            certificates_per_load_balancer: 250,
            rules_per_load_balancer: 20_000,
            target_groups_per_load_balancer: 1000,
            target_groups: 30_000,
            targets_per_target_group: 20_000,
        }
    }
}

/// What a change adds to, so that only these counts are looked at.
#[derive(Debug, Default)]
struct Grown<'a> {
    balancers: BTreeSet<&'a str>,
    groups: BTreeSet<&'a str>,
    /// By their types; the last one of each.
    created_balancers: BTreeMap<i32, &'a Key>,
    created_group: Option<&'a Key>,
}

impl Quotas {
    /// Reports every count that a change raises above its bound.
    pub(super) fn check(
        &self,
        before: &State,
        after: &State,
        changes: &[Changed],
        findings: &mut Findings,
    ) {
        let grown = Grown::of(changes);
        let mut check = |key: &Key, what: &str, counts: (usize, usize), bound: usize| {
            let (old, new) = counts;
            if new > bound && new > old {
                let message = format!("there would be {new} {what}, at most {bound} are allowed");
                findings.refuse(Subject::stored(key), ViolationKind::Quota, "", message);
            }
        };
        for kind in [Type::Application, Type::Network] {
            if let Some(key) = grown.created_balancers.get(&kind.into()) {
                let counts = (of_type(before, kind), of_type(after, kind));
                let what = format!("load balancers of the type {}", kind.as_str_name());
                check(key, &what, counts, self.load_balancers_per_type);
            }
        }
        if let Some(key) = grown.created_group {
            let counts = both(before, after, |state| state.count(Kind::TargetGroup, ""));
            check(key, "target groups", counts, self.target_groups);
        }
        for name in grown.groups {
            let key = Key::child(Kind::TargetGroup, "", name);
            let counts = both(before, after, |state| {
                state.count(Kind::Target, &format!("{name}/"))
            });
            check(
                &key,
                "targets in the group",
                counts,
                self.targets_per_target_group,
            );
        }
        for name in grown.balancers {
            let key = Key::child(Kind::LoadBalancer, "", name);
            let prefix = format!("{name}/");
            let counts = both(before, after, |state| state.count(Kind::Listener, &prefix));
            check(&key, "listeners", counts, self.listeners_per_load_balancer);
            let counts = both(before, after, |state| state.count(Kind::Rule, &prefix));
            check(&key, "rules", counts, self.rules_per_load_balancer);
            let counts = both(before, after, |state| state.groups_of(name));
            let what = "target groups that it forwards to";
            check(&key, what, counts, self.target_groups_per_load_balancer);
            let counts = both(before, after, |state| certificates(state, &key));
            let what = "certificates besides the default ones";
            check(&key, what, counts, self.certificates_per_load_balancer);
        }
    }
}

impl<'a> Grown<'a> {
    fn of(changes: &'a [Changed]) -> Self {
        let mut grown = Self::default();
        for changed in changes {
            let Some(after) = changed.after.as_ref().filter(|_| changed.is_effective()) else {
                continue;
            };
            let is_new = changed.before.is_none();
            let top = changed.key.name.split('/').next().unwrap_or_default();
            match changed.key.kind {
                Kind::LoadBalancer if is_new => {
                    if let Some(Body::LoadBalancer(balancer)) = &after.kind {
                        grown
                            .created_balancers
                            .insert(balancer.r#type, &changed.key);
                    }
                }
                Kind::TargetGroup if is_new => grown.created_group = Some(&changed.key),
                Kind::Target if is_new => drop(grown.groups.insert(top)),
                // Also when they change: they may forward to more groups than before.
                Kind::Listener | Kind::Rule => drop(grown.balancers.insert(top)),
                _ => {}
            }
        }
        grown
    }
}

fn both(before: &State, after: &State, count: impl Fn(&State) -> usize) -> (usize, usize) {
    (count(before), count(after))
}

fn of_type(state: &State, kind: Type) -> usize {
    let balancers = state.of_kind(Kind::LoadBalancer);
    let is_of_type = |resource: &v1::Resource| match &resource.kind {
        Some(Body::LoadBalancer(balancer)) => balancer.r#type() == kind,
        _ => false,
    };
    balancers
        .filter(|(_, resource)| is_of_type(resource))
        .count()
}

fn certificates(state: &State, balancer: &Key) -> usize {
    let listeners = state.children(balancer, Kind::Listener);
    let besides = listeners.map(|(_, resource)| match &resource.kind {
        Some(Body::Listener(listener)) => listener.certificates.len().saturating_sub(1),
        _ => 0,
    });
    besides.sum()
}
