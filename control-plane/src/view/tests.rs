//! Views and deltas over states that were made the way all are: by admitted changes.

use std::collections::{BTreeMap, BTreeSet};

use inlet_proto::v1::control_message::Kind as Control;
use prost::Message as _;

use super::*;
use crate::testing::{World, labels};

const BASE: &str = "
kind: LoadBalancer
name: everywhere
type: NETWORK
addresses: [127.0.0.1]
---
kind: LoadBalancer
name: a-only
type: APPLICATION
placement: {zone: a}
addresses: [127.0.0.1]
---
kind: TargetGroup
name: web
protocol: HTTP
port: 9001
targets: [{address: 127.0.0.1}, {address: 127.0.0.2}]
---
kind: TargetGroup
name: ruled
protocol: HTTP
port: 9002
targets: [{address: 127.0.0.1}]
---
kind: TargetGroup
name: wire
protocol: TCP
port: 9003
targets: [{address: 127.0.0.1}]
---
kind: TargetGroup
name: spare
protocol: HTTP
port: 9004
targets: [{address: 127.0.0.1}]
---
kind: Listener
name: http
loadBalancer: a-only
protocol: HTTP
port: 8080
defaultActions: [{forward: {targetGroups: [{name: web}]}}]
---
kind: Rule
name: some
listener: a-only/http
priority: 1
conditions: [{pathPattern: {values: [/some]}}]
actions: [{forward: {targetGroups: [{name: ruled}]}}]
---
kind: Listener
name: tcp
loadBalancer: everywhere
protocol: TCP
port: 8081
defaultActions: [{forward: {targetGroups: [{name: wire}]}}]
";

fn keys(view: &View) -> Vec<String> {
    let keys = view.entries.iter().map(|entry| entry.key.to_string());
    keys.collect()
}

#[tokio::test]
async fn an_agent_gets_what_its_load_balancers_refer_to_and_nothing_else() {
    let world = World::open();
    world.apply(BASE).await;
    let views = Views::default();
    let wire = [
        "LoadBalancer/everywhere",
        "TargetGroup/wire",
        "Target/wire/127.0.0.1:9003",
        "Listener/everywhere/tcp",
    ];
    let both = [
        "LoadBalancer/a-only",
        "LoadBalancer/everywhere",
        "TargetGroup/ruled",
        "TargetGroup/web",
        "TargetGroup/wire",
        "Target/ruled/127.0.0.1:9002",
        "Target/web/127.0.0.1:9001",
        "Target/web/127.0.0.2:9001",
        "Target/wire/127.0.0.1:9003",
        "Listener/a-only/http",
        "Listener/everywhere/tcp",
        "Rule/a-only/http/some",
    ];
    for (agent, expected) in [
        (labels(&[]), &wire[..]),
        (labels(&[("zone", "b")]), &wire),
        (labels(&[("zone", "a")]), &both),
        (labels(&[("zone", "a"), ("rack", "7")]), &both),
    ] {
        let view = views.view(&world.state(), &agent);
        assert_eq!(keys(&view), expected, "{agent:?}");
        assert_eq!(view.digest(), summed(&view));
    }
}

#[tokio::test]
async fn agents_with_the_same_selection_share_views_and_transfers() {
    let world = World::open();
    world.apply(BASE).await;
    let views = Views::default();
    let one = views.view(&world.state(), &labels(&[("zone", "b")]));
    let other = views.view(&world.state(), &labels(&[("name", "x")]));
    assert!(Arc::ptr_eq(&one, &other));
    world
        .apply("{kind: TargetGroup, name: wire, protocol: TCP, port: 9003, targets: []}")
        .await;
    let next = views.view(&world.state(), &labels(&[]));
    let shared: usize = next
        .entries
        .iter()
        .filter(|entry| one.entries.iter().any(|old| Arc::ptr_eq(old, entry)))
        .count();
    assert_eq!((next.len(), shared), (3, 3), "unchanged entries are shared");
    let delivery = Delivery {
        base: Base::View(one),
        view: next,
    };
    let first = views.transfer(&delivery);
    assert!(Arc::ptr_eq(&first, &views.transfer(&delivery)));
}

#[tokio::test]
async fn deltas_turn_each_view_into_the_next() {
    let world = World::open();
    world.apply(BASE).await;
    let steps = [
        // A target's weight changes; one target comes, one goes.
        "{kind: TargetGroup, name: web, protocol: HTTP, port: 9001,
          targets: [{address: 127.0.0.1, weight: 5}, {address: 127.0.0.3}]}",
        // A rule refers to another group, so one group with its targets leaves and one enters the view.
        "{kind: Rule, name: some, listener: a-only/http, priority: 1,
          conditions: [{pathPattern: {values: [/some]}}],
          actions: [{forward: {targetGroups: [{name: spare}]}}]}",
        // A load balancer moves to agents elsewhere.
        "{kind: LoadBalancer, name: a-only, type: APPLICATION, placement: {zone: c}, addresses: [127.0.0.1]}",
        // Nothing that this agent sees.
        "{kind: TargetGroup, name: spare, protocol: HTTP, port: 9004, targets: []}",
    ];
    let expected = [
        (
            &["Target/web/127.0.0.1:9001", "Target/web/127.0.0.3:9001"][..],
            &["Target/web/127.0.0.2:9001"][..],
        ),
        (
            &[
                "TargetGroup/spare",
                "Target/spare/127.0.0.1:9004",
                "Rule/a-only/http/some",
            ],
            &["TargetGroup/ruled", "Target/ruled/127.0.0.1:9002"],
        ),
        (
            &[],
            &[
                "LoadBalancer/a-only",
                "TargetGroup/spare",
                "TargetGroup/web",
                "Target/spare/127.0.0.1:9004",
                "Target/web/127.0.0.1:9001",
                "Target/web/127.0.0.3:9001",
                "Listener/a-only/http",
                "Rule/a-only/http/some",
            ],
        ),
        (&[], &[]),
    ];
    let views = Views::default();
    let agent = labels(&[("zone", "a")]);
    let mut base = views.view(&world.state(), &agent);
    for (step, (upserts, removals)) in steps.iter().zip(expected) {
        world.apply(step).await;
        let next = views.view(&world.state(), &agent);
        let delta = delta(Some(&base), &next);
        let changed: Vec<_> = delta
            .upserts
            .iter()
            .map(|entry| entry.key.to_string())
            .collect();
        let gone: Vec<_> = delta.removals.iter().map(ToString::to_string).collect();
        assert_eq!(
            (&changed[..], &gone[..]),
            (&texts(upserts)[..], &texts(removals)[..])
        );
        assert_eq!(next.digest(), summed(&next));
        assert_eq!(apply(&base, &delta), revisions(&next));
        base = next;
    }
}

fn texts(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn revisions(view: &View) -> BTreeMap<Key, u64> {
    let entries = view.entries.iter();
    entries
        .map(|entry| (entry.key.clone(), entry.resource.revision()))
        .collect()
}

fn apply(base: &View, delta: &Delta) -> BTreeMap<Key, u64> {
    let mut resources = revisions(base);
    for key in &delta.removals {
        assert!(resources.remove(key).is_some(), "{key} was there");
    }
    for entry in &delta.upserts {
        resources.insert(entry.key.clone(), entry.resource.revision());
    }
    resources
}

fn summed(view: &View) -> Digest {
    let mut digest = Digest::default();
    for entry in &view.entries {
        digest.add(&entry.key, entry.resource.revision());
    }
    digest
}

#[test]
fn transfers_are_split_into_parts_of_bounded_size_that_decode_to_the_delta() {
    let name = |number: u64| format!("{number:-<60}");
    let many: BTreeMap<String, u64> = (0..20_000).map(|number| (name(number), 1)).collect();
    let few: BTreeMap<String, u64> = (0..10).map(|number| (name(number), 1)).collect();
    let (many, few) = (testing::view(1, &many), testing::view(2, &few));
    let cases = [
        (Base::Nothing, &many, (20_000, 0)),
        (Base::View(Arc::clone(&many)), &few, (0, 19_990)),
        (Base::Same(1), &few, (0, 0)),
    ];
    for (base, view, expected) in cases {
        let delivery = Delivery {
            base: base.clone(),
            view: Arc::clone(view),
        };
        let transfer = Transfer::encode(&delivery, PART_BYTES);
        let mut keys = BTreeSet::new();
        let (mut upserts, mut removals) = (0, 0);
        for (at, part) in transfer.parts.iter().enumerate() {
            assert!(part.len() < 600 * 1024, "{} bytes", part.len());
            let message = v1::ControlMessage::decode(part.clone()).unwrap();
            let Some(Control::Snapshot(snapshot)) = message.kind else {
                panic!("not a snapshot");
            };
            assert_eq!(snapshot.revision, view.revision());
            assert_eq!(snapshot.digest, view.digest().to_bytes());
            assert_eq!(snapshot.part as usize, at + 1);
            assert_eq!(snapshot.parts as usize, transfer.parts.len());
            upserts += snapshot.upserts.len();
            removals += snapshot.removals.len();
            keys.extend(snapshot.upserts.iter().filter_map(v1::Resource::key));
            keys.extend(snapshot.removals.iter().flat_map(Key::try_from));
        }
        assert_eq!((upserts, removals), expected, "{base:?}");
        assert_eq!(keys.len(), upserts + removals, "each resource once");
        assert!(!transfer.parts.is_empty());
    }
}
