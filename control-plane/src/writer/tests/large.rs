//! 10,000 rules and 10,000 targets: what a change of one target costs until all see it, besides the sync.

use std::time::{Duration, Instant};

use super::*;
use crate::model::Upsert;

const RULES: u32 = 10_000;
const TARGETS: u32 = 10_000;
/// Copying the state would take many times as long, also in a debug build on a busy machine.
const PER_CHANGE: Duration = Duration::from_millis(10);

#[tokio::test]
async fn one_targets_change_is_visible_at_once_among_20_000_resources() {
    let desk = Desk::open();
    let base = "{kind: LoadBalancer, name: shop, type: APPLICATION}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 80,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: Rule, name: first, listener: shop/http, priority: 50000, conditions: [{pathPattern: {values: [/first]}}],
 actions: [{forward: {targetGroups: [{name: web}]}}]}";
    let mut change = put(base);
    let Some(v1::resource::Kind::Rule(rule)) = change.upserts[3].resource.kind.clone() else {
        panic!("a rule")
    };
    change.upserts.extend((1..=RULES).map(|number| {
        upsert(v1::Rule {
            name: format!("r{number}"),
            priority: number,
            ..rule.clone()
        })
    }));
    let targets = (0..TARGETS).map(|number| upsert(target(number, None)));
    change.upserts.extend(targets);
    let begun = Instant::now();
    desk.writer.apply(change).await.unwrap();
    println!("all of it: {:?}", begun.elapsed());

    let mut quickest = Duration::MAX;
    for number in 0..50 {
        let change = Change {
            upserts: vec![upsert(target(number * 7, Some(9)))],
            ..Change::default()
        };
        let begun = Instant::now();
        let outcome = desk.writer.apply(change).await.unwrap();
        quickest = quickest.min(begun.elapsed());
        assert_eq!(desk.writer.state().revision(), outcome.revision);
    }
    println!("one target: {quickest:?}");
    assert!(quickest < PER_CHANGE, "{quickest:?}");
}

fn upsert(resource: impl Into<v1::Resource>) -> Upsert {
    Upsert {
        resource: resource.into(),
        ..Upsert::default()
    }
}

fn target(number: u32, weight: Option<u32>) -> v1::Target {
    v1::Target {
        target_group: "web".to_owned(),
        address: format!("10.0.{}.{}", number / 256, number % 256),
        weight,
        ..Default::default()
    }
}
