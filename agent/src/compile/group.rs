//! TargetGroup and its Targets -> [`Group`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use inlet_proto::defaults;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::draft::Draft;
use crate::balance;
use crate::live::{self, Pool};
use crate::table::{Algorithm, Group, GroupId, HealthCheck, Probe};

/// Makes the group of this name, or takes it out if it is gone.
pub(super) fn compile(draft: &mut Draft<'_>, name: &str) {
    let key = Key::child(Kind::TargetGroup, "", name);
    match draft.view.get(&key).map(|resource| &resource.kind) {
        None => gone(draft, name),
        Some(Some(Body::TargetGroup(message))) if !draft.is_malformed(&key) => {
            if !message.targets.is_empty() {
                let message = "its targets must come as resources of their own";
                draft.reasons.refuse(&key, message);
            }
            let group = make(draft, &key, message);
            draft.put_group(group);
        }
        Some(_) => {}
    }
}

fn gone(draft: &mut Draft<'_>, name: &str) {
    draft.remove_group(name);
    let orphans: Vec<_> = draft.children(Kind::Target, name).collect();
    for (target, _) in orphans {
        let message = format!("TargetGroup {name} is not there");
        draft.reasons.refuse(target, message);
    }
}

fn make(draft: &mut Draft<'_>, key: &Key, message: &v1::TargetGroup) -> Arc<Group> {
    let (id, live) = draft.registry.group(&key.name);
    let id = GroupId(id);
    let before = draft
        .base
        .group(id)
        .filter(|before| Arc::ptr_eq(&before.live, &live));
    let group = Group {
        id,
        name: Arc::clone(&live.name),
        algorithm: algorithm(message),
        deregistration_delay: defaults::deregistration_delay(message),
        connection_termination: message.connection_termination,
        health_check: health_check(message),
        pool: pool(
            draft,
            &live.name,
            message,
            before.map(|before| &before.pool),
        ),
        live,
    };
    match before {
        Some(before) if is_same(before, &group) => Arc::clone(before),
        _ => Arc::new(group),
    }
}

/// Whether nothing that a table shows has changed (tags may have).
fn is_same(one: &Group, other: &Group) -> bool {
    one.algorithm == other.algorithm
        && one.deregistration_delay == other.deregistration_delay
        && one.connection_termination == other.connection_termination
        && one.health_check == other.health_check
        && Arc::ptr_eq(&one.pool, &other.pool)
        && Arc::ptr_eq(&one.live, &other.live)
}

fn algorithm(message: &v1::TargetGroup) -> Algorithm {
    use v1::target_group::Algorithm as Given;
    match defaults::algorithm(message) {
        _ if !defaults::is_http(message.protocol()) => Algorithm::FlowHash,
        Given::LeastOutstandingRequests => Algorithm::LeastOutstandingRequests,
        // WEIGHTED_RANDOM is not well-formed yet.
        Given::RoundRobin | Given::Unspecified | Given::WeightedRandom => Algorithm::RoundRobin,
    }
}

fn health_check(message: &v1::TargetGroup) -> HealthCheck {
    let given = defaults::health_check(message);
    let probe = if defaults::is_http(given.protocol) {
        Probe::Http {
            path: given.path.into(),
            matcher: given
                .matcher
                .ranges()
                .iter()
                .map(|range| (*range.start(), *range.end()))
                .collect(),
        }
    } else {
        Probe::Tcp
    };
    HealthCheck {
        probe,
        port: given.port,
        interval: given.interval,
        timeout: given.timeout,
        healthy_threshold: given.healthy_threshold,
        unhealthy_threshold: given.unhealthy_threshold,
    }
}

/// The group's pool; the one before if it has the same members.
fn pool(
    draft: &mut Draft<'_>,
    group: &Arc<str>,
    message: &v1::TargetGroup,
    before: Option<&Arc<Pool>>,
) -> Arc<Pool> {
    let mut members = Vec::new();
    let targets: Vec<_> = draft.children(Kind::Target, group).collect();
    for (key, resource) in targets {
        let Some(Body::Target(target)) = &resource.kind else {
            continue;
        };
        match address(target, message) {
            Some(address) => {
                let weight = defaults::target_weight(target);
                members.push((draft.registry.target(group, address), weight));
            }
            None => draft.reasons.refuse(key, "it has no address and port"),
        }
    }
    match before {
        Some(before) if has_same_members(before, &members) => Arc::clone(before),
        _ => Arc::new(Pool {
            schedule: ArcSwap::from_pointee(balance::schedule(&members)),
            members: members.into(),
        }),
    }
}

fn has_same_members(pool: &Pool, members: &[(Arc<live::Target>, u32)]) -> bool {
    let mut pairs = pool.members.iter().zip(members);
    pool.members.len() == members.len()
        && pairs.all(|(one, other)| Arc::ptr_eq(&one.0, &other.0) && one.1 == other.1)
}

fn address(target: &v1::Target, group: &v1::TargetGroup) -> Option<SocketAddr> {
    let address: IpAddr = target.address.parse().ok()?;
    let port = u16::try_from(defaults::target_port(target, group)).ok()?;
    (port != 0).then(|| SocketAddr::new(address, port))
}
