//! A whole page, read back strictly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

use super::*;
use crate::live::{Shards, TargetId};

const WORKERS: usize = 2;

fn listener(name: &str) -> Arc<Listener> {
    Arc::new(Listener {
        name: name.into(),
        counters: Shards::new(WORKERS),
    })
}

fn group(name: &str) -> Arc<Group> {
    Arc::new(Group {
        name: name.into(),
        counters: Shards::new(WORKERS),
        cursor: AtomicUsize::new(0),
    })
}

fn target(group: &str, address: &str) -> Arc<Target> {
    Arc::new(Target {
        id: TargetId(0),
        group: group.into(),
        address: address.parse().unwrap(),
        healthy: AtomicBool::new(true),
        in_flight: AtomicU32::new(3),
        deregistered: AtomicBool::new(false),
        cut: AtomicBool::new(false),
    })
}

/// Values by series; panics at what Prometheus would refuse.
fn read(text: &str) -> BTreeMap<String, f64> {
    let (mut families, mut series) = (BTreeSet::new(), BTreeMap::new());
    let (mut family, mut form) = (String::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help text");
            assert!(families.insert(name.to_owned()), "{name} comes twice");
            assert!(name.starts_with("inlet_agent_") && !help.is_empty());
            family = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, family, "TYPE follows its HELP");
            assert!(["counter", "gauge", "histogram"].contains(&kind));
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
            form = kind.to_owned();
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let base = name.split('{').next().unwrap();
            let suffix = base.strip_prefix(&family).expect("a series of its family");
            match form.as_str() {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix)),
                _ => assert_eq!(suffix, ""),
            }
            let value = value.parse().expect("a number");
            assert!(
                series.insert(name.to_owned(), value).is_none(),
                "{name} comes twice"
            );
        }
    }
    series
}

fn page(
    agent: &AgentFacts,
    of_listeners: &[Arc<Listener>],
    of_groups: &[Arc<Group>],
    of_targets: &[Arc<Target>],
) -> String {
    let mut page = Page::default();
    agent_facts(&mut page, agent);
    listeners(&mut page, of_listeners);
    groups(&mut page, of_groups);
    targets(&mut page, of_targets);
    page.text()
}

#[test]
fn all_that_is_counted_is_shown_summed_over_the_workers() {
    let (http, catalog) = (listener("shop/http"), group("catalog"));
    for worker in 0..WORKERS {
        let counters = http.counters.of(worker);
        counters.requests.add(5);
        counters.active_connections.add(2);
        counters.responses[3].add(4);
        counters.made[6].add(1);
        counters.made[MADE_STATUSES.len()].add(7);
        counters.resets[1].add(9);
        let counters = catalog.counters.of(worker);
        counters.requests.add(6);
        counters.responses[1].add(6);
        counters.response_time[0].add(1);
        counters.response_time[2].add(2);
        counters.response_time[RESPONSE_TIME_BOUNDS_US.len()].add(3);
        counters.response_time_sum_us.add(1_500_001);
    }
    let agent = AgentFacts {
        revision: Some(12),
        connected: true,
        applied: 3,
        refused: 1,
        open_files: Some(40),
        access_log_dropped: 2,
        ..AgentFacts::default()
    };
    let targets = [
        target("catalog", "10.0.0.1:80"),
        target("catalog", "[fd00::1]:80"),
    ];
    let text = page(&agent, &[http, listener("edge/tcp")], &[catalog], &targets);
    let series = read(&text);
    let shop = "load_balancer=\"shop\",listener=\"http\"";
    let bucket = |le: &str| {
        format!("target_group_response_seconds_bucket{{target_group=\"catalog\",le=\"{le}\"}}")
    };
    let cases = [
        ("revision".to_owned(), 12.0),
        ("connected".to_owned(), 1.0),
        ("snapshot_keep_failed".to_owned(), 0.0),
        ("open_files".to_owned(), 40.0),
        ("snapshots_refused_total".to_owned(), 1.0),
        ("access_log_dropped_lines_total".to_owned(), 2.0),
        (format!("listener_requests_total{{{shop}}}"), 10.0),
        (format!("listener_active_connections{{{shop}}}"), 4.0),
        (
            format!("listener_responses_total{{{shop},class=\"4xx\"}}"),
            8.0,
        ),
        (
            format!("listener_made_responses_total{{{shop},status=\"460\"}}"),
            2.0,
        ),
        (
            format!("listener_made_responses_total{{{shop},status=\"other\"}}"),
            14.0,
        ),
        (
            format!("listener_resets_total{{{shop},by=\"target\"}}"),
            18.0,
        ),
        (
            "listener_requests_total{load_balancer=\"edge\",listener=\"tcp\"}".to_owned(),
            0.0,
        ),
        (
            "target_group_requests_total{target_group=\"catalog\"}".to_owned(),
            12.0,
        ),
        (bucket("0.00025"), 2.0),
        (bucket("0.0005"), 2.0),
        (bucket("0.001"), 6.0),
        (bucket("5"), 6.0),
        (bucket("+Inf"), 12.0),
        (
            "target_group_response_seconds_count{target_group=\"catalog\"}".to_owned(),
            12.0,
        ),
        (
            "target_group_response_seconds_sum{target_group=\"catalog\"}".to_owned(),
            3.000_002,
        ),
        (
            "target_healthy{target_group=\"catalog\",target=\"10.0.0.1:80\"}".to_owned(),
            1.0,
        ),
        (
            "target_in_flight{target_group=\"catalog\",target=\"[fd00::1]:80\"}".to_owned(),
            3.0,
        ),
    ];
    for (name, expected) in cases {
        let value = series.get(&format!("inlet_agent_{name}"));
        assert_eq!(value, Some(&expected), "{name}");
    }
}

#[test]
fn the_series_depend_on_the_configuration_only() {
    let (http, catalog) = (listener("shop/http"), group("catalog"));
    let (listeners, groups) = ([Arc::clone(&http)], [Arc::clone(&catalog)]);
    let page = || page(&AgentFacts::default(), &listeners, &groups, &[]);
    let names = |text: &str| read(text).into_keys().collect::<Vec<_>>();
    let before = names(&page());
    http.counters.of(1).made[3].add(1);
    catalog.counters.of(0).responses[4].add(1);
    catalog.counters.of(0).response_time[7].add(1);
    assert_eq!(names(&page()), before);
}

#[test]
fn an_agent_without_a_table_has_a_page_too() {
    let text = render(&Registry::new(WORKERS), &AgentFacts::default());
    assert_eq!(read(&text)["inlet_agent_revision"], 0.0);
}

#[test]
fn a_draining_target_and_its_successor_are_one_series() {
    let (old, new) = (
        target("catalog", "10.0.0.1:80"),
        target("catalog", "10.0.0.1:80"),
    );
    old.deregistered.store(true, Ordering::Relaxed);
    new.healthy.store(false, Ordering::Relaxed);
    let series = read(&page(&AgentFacts::default(), &[], &[], &[old, new]));
    let labels = "{target_group=\"catalog\",target=\"10.0.0.1:80\"}";
    assert_eq!(series[&format!("inlet_agent_target_healthy{labels}")], 0.0);
    assert_eq!(
        series[&format!("inlet_agent_target_in_flight{labels}")],
        6.0
    );
}
