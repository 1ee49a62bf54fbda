//! 10,000 rules and 10,000 targets: the cost of a change is that of what it touches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;

const RULES: u32 = 10_000;
const TARGETS: u32 = 10_000;
const CHANGES: u32 = 50;
/// Generous for a debug build on a busy machine: copying the state would take many times as long.
const PER_CHANGE: Duration = Duration::from_millis(10);

fn large() -> State {
    let mut resources: Vec<v1::Resource> = shop()
        .all()
        .map(|(_, it)| v1::Resource::clone(it))
        .collect();
    let forward = upserts("{kind: Rule, name: x, listener: shop/http, priority: 9, conditions: [{pathPattern: {values: [/x]}}],
        actions: [{forward: {targetGroups: [{name: web}]}}]}");
    let Some(v1::resource::Kind::Rule(rule)) =
        forward.into_iter().next().unwrap().resource.unwrap().kind
    else {
        panic!("a rule")
    };
    resources.extend((10..RULES + 10).map(|number| {
        v1::Rule {
            name: format!("r{number}"),
            priority: number,
            ..rule.clone()
        }
        .into()
    }));
    resources.extend((0..TARGETS).map(|number| {
        v1::Target {
            target_group: "web".to_owned(),
            address: format!("10.0.{}.{}", number / 256, number % 256),
            port: 9001,
            ..Default::default()
        }
        .into()
    }));
    State::restore(1, resources)
}

#[test]
fn one_change_among_20_000_resources_costs_what_it_touches() {
    let state = large();
    let quickest = |what: &str, change: &dyn Fn(u32) -> Change| {
        let one = |number| {
            let change = change(number);
            let begun = Instant::now();
            let admitted = judge(&state, &change).unwrap();
            let next = Arc::new(admitted.state);
            let took = begun.elapsed();
            assert_eq!(next.revision(), 2);
            took
        };
        let quickest = (0..CHANGES).map(one).min().unwrap();
        println!("{what}: {quickest:?}");
        assert!(quickest < PER_CHANGE, "{what}: {quickest:?}");
    };
    quickest("one target's weight", &|number| {
        put(&format!(
            "{{kind: Target, targetGroup: web, address: 10.0.7.{number}, weight: 7}}"
        ))
    });
    quickest("one new target", &|number| {
        put(&format!(
            "{{kind: Target, targetGroup: web, address: 10.9.7.{number}}}"
        ))
    });
    quickest("one rule", &|number| {
        put(&format!(
            "{{kind: Rule, name: r{}, listener: shop/http, priority: {}, conditions: [{{pathPattern: {{values: [/y]}}}}],
             actions: [{{forward: {{targetGroups: [{{name: spare}}]}}}}]}}",
            number + 100,
            number + 100
        ))
    });
    quickest("one target gone", &|number| {
        delete(&[&format!("Target/web/10.0.7.{number}:9001")])
    });
}
