//! Whoever makes changes: upserts, deletions, single targets, rollbacks, alone and together, some of them refused.
//!
//! Every resource that shows in a table carries a number that no other has, so that two revisions never look alike.

use std::collections::BTreeMap;

use fastrand::Rng;
use inlet_control_plane::simulation::Ask;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;

use crate::oracle::Resources;

/// Load balancers: name, placement.
const BALANCERS: [(&str, &[(&str, &str)]); 4] = [
    ("web", &[]),
    ("left", &[("zone", "a")]),
    ("right", &[("zone", "b")]),
    ("wire", &[("tier", "edge")]),
];
/// The one below HTTP, and its group.
const NETWORK: usize = 3;
/// Listeners of a load balancer at most; each has a port of its own.
const LISTENERS: usize = 3;
/// Target groups: HTTP, and the last one TCP.
const GROUPS: [&str; 4] = ["g0", "g1", "g2", "t0"];
/// How far back a rollback goes at most.
const FARTHEST: u64 = 12;

/// Makes changes.
#[derive(Debug)]
pub(crate) struct Operator {
    rng: Rng,
    number: u32,
}

/// Some port of some listener.
pub(crate) fn any_port(rng: &mut Rng) -> u16 {
    port(rng.usize(..BALANCERS.len()), rng.usize(..LISTENERS))
}

fn port(balancer: usize, listener: usize) -> u16 {
    u16::try_from(8000 + balancer * 10 + listener).expect("there are few of them")
}

impl Operator {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, number: 0 }
    }

    /// The first change: something for everybody.
    pub(crate) fn begin(&mut self) -> Ask {
        let mut upserts: Vec<v1::Upsert> = GROUPS.map(|name| self.group(name)).into();
        for balancer in 0..BALANCERS.len() {
            upserts.push(self.balancer(balancer, false));
            upserts.push(self.listener(balancer, 0));
        }
        upserts.push(self.rule("web/l0", 0));
        apply(upserts, Vec::new())
    }

    /// Some changes that come at once.
    pub(crate) fn next(&mut self, current: u64, resources: &Resources) -> Vec<Ask> {
        let count = if self.rng.u8(..5) == 0 { 3 } else { 1 };
        (0..count).map(|_| self.ask(current, resources)).collect()
    }

    fn ask(&mut self, current: u64, resources: &Resources) -> Ask {
        match self.rng.u8(..20) {
            0 => Ask::RollBack {
                to: current.saturating_sub(self.rng.u64(..FARTHEST)).max(1),
            },
            1 => self.delete(resources, Kind::TargetGroup),
            2 => self.delete(resources, Kind::LoadBalancer),
            3 => self.delete(resources, Kind::Listener),
            4 | 5 => self.delete(resources, Kind::Rule),
            6 | 7 => self.delete(resources, Kind::Target),
            8 => Ask::Apply {
                upserts: self.some_upserts(resources),
                deletions: Vec::new(),
                expected_revision: Some(current.saturating_sub(self.rng.u64(..2))),
            },
            9 | 10 => {
                let mut upserts = Vec::new();
                for _ in 0..3 {
                    upserts.extend(self.some_upserts(resources));
                }
                apply(once(upserts), Vec::new())
            }
            _ => apply(self.some_upserts(resources), Vec::new()),
        }
    }

    fn delete(&mut self, resources: &Resources, kind: Kind) -> Ask {
        let key = self.some(resources, kind);
        apply(Vec::new(), key.into_iter().collect())
    }

    fn some_upserts(&mut self, resources: &Resources) -> Vec<v1::Upsert> {
        let balancer = self.rng.usize(..BALANCERS.len());
        match self.rng.u8(..10) {
            0 => vec![self.balancer(balancer, true)],
            1 => vec![self.balancer(balancer, false), self.listener(balancer, 0)],
            2 | 3 => {
                let listener = self.rng.usize(..LISTENERS);
                vec![self.listener(balancer, listener)]
            }
            4 | 5 => {
                let name = GROUPS[self.rng.usize(..GROUPS.len())];
                vec![self.group(name)]
            }
            6 | 7 => {
                let Some(listener) = self.some(resources, Kind::Listener) else {
                    return Vec::new();
                };
                let number = self.rng.u32(..4);
                // One below HTTP has no rules: refused.
                vec![self.rule(&listener.name, number)]
            }
            _ => {
                let Some(group) = self.some(resources, Kind::TargetGroup) else {
                    return Vec::new();
                };
                vec![upsert(self.target(&group.name), false)]
            }
        }
    }

    fn some(&mut self, resources: &Resources, kind: Kind) -> Option<Key> {
        let keys: Vec<_> = resources.keys().filter(|key| key.kind == kind).collect();
        self.rng.choice(keys).cloned()
    }

    /// A number that was not there before.
    fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    fn balancer(&mut self, number: usize, moved: bool) -> v1::Upsert {
        let (name, placement) = BALANCERS[number];
        let mut placement: BTreeMap<String, String> = placement
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        if moved {
            let zone = ["a", "b", "c"][self.rng.usize(..3)];
            placement.insert("zone".to_owned(), zone.to_owned());
        }
        let mut balancer = v1::LoadBalancer {
            name: name.to_owned(),
            placement,
            ..Default::default()
        };
        if number == NETWORK {
            balancer.set_type(v1::load_balancer::Type::Network);
        } else {
            balancer.set_type(v1::load_balancer::Type::Application);
            let idle = i64::from(self.next_number() % 4000) + 1;
            balancer.application = Some(v1::ApplicationAttributes {
                idle_timeout: Some(prost_types::Duration {
                    seconds: idle,
                    nanos: 0,
                }),
                ..Default::default()
            });
        }
        upsert(balancer, false)
    }

    fn listener(&mut self, balancer: usize, number: usize) -> v1::Upsert {
        let mut listener = v1::Listener {
            name: format!("l{number}"),
            load_balancer: BALANCERS[balancer].0.to_owned(),
            port: port(balancer, number).into(),
            ..Default::default()
        };
        if balancer == NETWORK {
            listener.set_protocol(v1::Protocol::Tcp);
            let weight = self.rng.u32(1..5);
            listener.default_actions = vec![forward(&[(GROUPS[NETWORK], weight)])];
        } else {
            listener.set_protocol(v1::Protocol::Http);
            listener.default_actions = vec![self.action()];
        }
        upsert(listener, false)
    }

    fn rule(&mut self, listener: &str, number: u32) -> v1::Upsert {
        let pattern = format!("/{}/*", self.next_number());
        let condition = v1::condition::Kind::PathPattern(v1::ValuesCondition {
            values: vec![pattern],
            ..Default::default()
        });
        let rule = v1::Rule {
            name: format!("r{number}"),
            listener: listener.to_owned(),
            priority: number * 3 + self.rng.u32(1..6),
            conditions: vec![v1::Condition {
                kind: Some(condition),
            }],
            actions: vec![self.action()],
            ..Default::default()
        };
        upsert(rule, false)
    }

    fn action(&mut self) -> v1::Action {
        let http = &GROUPS[..NETWORK];
        match self.rng.u8(..4) {
            0 => {
                let weight = self.rng.u32(..100);
                forward(&[(http[0], weight), (http[1], 100 - weight)])
            }
            1 => forward(&[(http[self.rng.usize(..http.len())], self.rng.u32(1..999))]),
            _ => v1::Action {
                kind: Some(v1::action::Kind::FixedResponse(v1::FixedResponse {
                    status_code: 200,
                    content_type: String::new(),
                    body: format!("v{}", self.next_number()),
                })),
            },
        }
    }

    fn group(&mut self, name: &str) -> v1::Upsert {
        let protocol = if name == GROUPS[NETWORK] {
            v1::Protocol::Tcp
        } else {
            v1::Protocol::Http
        };
        let count = self.rng.usize(..4);
        let mut group = v1::TargetGroup {
            name: name.to_owned(),
            port: 80,
            targets: (0..count).map(|_| self.target(name)).collect(),
            ..Default::default()
        };
        group
            .targets
            .sort_by(|one, other| one.address.cmp(&other.address));
        group
            .targets
            .dedup_by(|one, other| one.address == other.address);
        group.set_protocol(protocol);
        if protocol == v1::Protocol::Http && self.rng.bool() {
            group.set_algorithm(v1::target_group::Algorithm::LeastOutstandingRequests);
        }
        let all_targets = self.rng.bool();
        upsert(group, all_targets)
    }

    fn target(&mut self, group: &str) -> v1::Target {
        v1::Target {
            target_group: group.to_owned(),
            address: format!("10.0.0.{}", self.rng.u8(1..6)),
            port: 80,
            weight: Some(self.next_number() % 1000),
            ..Default::default()
        }
    }
}

fn apply(upserts: Vec<v1::Upsert>, deletions: Vec<Key>) -> Ask {
    Ask::Apply {
        upserts,
        deletions,
        expected_revision: None,
    }
}

fn upsert(resource: impl Into<v1::Resource>, all_targets: bool) -> v1::Upsert {
    v1::Upsert {
        resource: Some(resource.into()),
        all_targets,
        origin: String::new(),
    }
}

/// Each resource once: the first.
fn once(upserts: Vec<v1::Upsert>) -> Vec<v1::Upsert> {
    let mut seen = Vec::new();
    let mut is_new = |upsert: &v1::Upsert| {
        let key = upsert.resource.as_ref().and_then(v1::Resource::key);
        let is_new = !seen.contains(&key);
        seen.push(key);
        is_new
    };
    upserts
        .into_iter()
        .filter(|upsert| is_new(upsert))
        .collect()
}

/// To these groups with these weights.
fn forward(groups: &[(&str, u32)]) -> v1::Action {
    let group = |(name, weight): &(&str, u32)| v1::forward::WeightedTargetGroup {
        name: (*name).to_owned(),
        weight: Some(*weight),
    };
    v1::Action {
        kind: Some(v1::action::Kind::Forward(v1::Forward {
            target_groups: groups.iter().map(group).collect(),
            ..Default::default()
        })),
    }
}
