//! What a change does not touch stays what it was, and many small changes lead where one big one leads.

use std::sync::atomic::Ordering;

use fastrand::Rng;

use super::*;

#[test]
fn a_changed_target_makes_a_new_pool_and_nothing_else() {
    let mut host = Host::with(&[SHOP, NET]);
    let before = Arc::clone(&host.table);
    let target = Arc::clone(&host.group("catalog").pool.members[1].0);
    target.healthy.store(true, Ordering::Relaxed);
    host.put_target("catalog", "10.0.0.2:9001", 7);
    host.compile().unwrap();
    let group = host.group("catalog");
    assert_eq!(
        members(group),
        ["10.0.0.1:9001 1", "10.0.0.2:9001 7", "[::1]:81 0"]
    );
    assert!(
        Arc::ptr_eq(&group.pool.members[1].0, &target),
        "health and counters go on"
    );
    assert!(!group.pool.schedule.load().fail_open);
    for (one, other) in before
        .groups
        .iter()
        .flatten()
        .zip(host.table.groups.iter().flatten())
    {
        assert_eq!(
            Arc::ptr_eq(one, other),
            *one.name != *"catalog",
            "{}",
            one.name
        );
        assert!(Arc::ptr_eq(&one.live, &other.live));
    }
    for (one, other) in before
        .listeners
        .iter()
        .flatten()
        .zip(host.table.listeners.iter().flatten())
    {
        assert!(Arc::ptr_eq(one, other));
    }
}

#[test]
fn a_changed_rule_makes_a_new_router_of_its_listener_and_nothing_else() {
    let mut host = Host::with(&[SHOP, NET]);
    let (before, router) = (
        Arc::clone(&host.table),
        Arc::clone(&host.http("shop/http").router),
    );
    host.edit(Kind::Rule, "shop/http/home", |body| match body {
        Body::Rule(rule) => rule.priority = 30,
        _ => unreachable!(),
    });
    host.compile().unwrap();
    for (one, other) in before
        .groups
        .iter()
        .flatten()
        .zip(host.table.groups.iter().flatten())
    {
        assert!(Arc::ptr_eq(one, other));
    }
    let (one, other) = (&before.listeners, &host.table.listeners);
    let same: Vec<_> = one
        .iter()
        .flatten()
        .zip(other.iter().flatten())
        .map(|(a, b)| Arc::ptr_eq(a, b))
        .collect();
    assert_eq!(same.iter().filter(|same| **same).count(), 1);
    let rules: Vec<_> = host.http("shop/http").router.rules.iter().collect();
    assert_eq!((rules[0].priority, rules[1].priority), (20, 30));
    assert!(
        router.rules.iter().any(|rule| Arc::ptr_eq(rule, rules[0])),
        "catalog is as it was"
    );
}

#[test]
fn attributes_and_default_actions_leave_the_rules_alone() {
    let mut host = Host::with(&[SHOP]);
    let first = Arc::clone(&host.http("shop/http").router);
    host.edit(Kind::LoadBalancer, "shop", |body| match body {
        Body::LoadBalancer(balancer) => balancer.addresses = vec!["127.0.0.2".to_owned()],
        _ => unreachable!(),
    });
    host.compile().unwrap();
    assert_eq!(
        host.listener("shop/http").addresses[0].to_string(),
        "127.0.0.2:8080"
    );
    assert!(Arc::ptr_eq(&host.http("shop/http").router, &first));
    host.edit(Kind::Listener, "shop/http", |body| match body {
        Body::Listener(listener) => listener.default_actions = vec![forward_to("catalog")],
        _ => unreachable!(),
    });
    host.compile().unwrap();
    let router = &host.http("shop/http").router;
    assert!(matches!(router.default, Action::Forward(_)));
    assert!(Arc::ptr_eq(&router.rules, &first.rules));
}

#[test]
fn tags_of_a_group_change_nothing_and_settings_keep_its_pool() {
    let mut host = Host::with(&[SHOP]);
    let before = Arc::clone(host.group("catalog"));
    host.edit(Kind::TargetGroup, "catalog", |body| match body {
        Body::TargetGroup(group) => drop(group.tags.insert("team".to_owned(), "red".to_owned())),
        _ => unreachable!(),
    });
    host.compile().unwrap();
    assert!(Arc::ptr_eq(host.group("catalog"), &before));
    host.edit(Kind::TargetGroup, "catalog", |body| match body {
        Body::TargetGroup(group) => group.algorithm = 1,
        _ => unreachable!(),
    });
    host.compile().unwrap();
    let after = host.group("catalog");
    assert_eq!(after.algorithm, Algorithm::RoundRobin);
    assert!(Arc::ptr_eq(&after.pool, &before.pool) && Arc::ptr_eq(&after.live, &before.live));
}

#[test]
fn indices_stay_and_are_not_given_to_others_while_needed() {
    let mut host = Host::with(&[SHOP, NET]);
    let (postgres, catalog) = (host.listener("net/postgres").id, host.group("catalog").id);
    let old = Arc::clone(host.listener("shop/http"));
    for key in [
        (Kind::Rule, "shop/http/home"),
        (Kind::Rule, "shop/http/catalog"),
        (Kind::Listener, "shop/http"),
    ] {
        host.remove(key.0, key.1);
    }
    host.compile().unwrap();
    assert!(host.table.listener(old.id).is_none());
    host.put(
        &SHOP
            .replace("name: http", "name: web")
            .replace("shop/http", "shop/web"),
    );
    host.compile().unwrap();
    let web = host.listener("shop/web").id;
    assert_ne!(web, old.id, "somebody still has the old one");
    assert_eq!(host.listener("net/postgres").id, postgres);
    assert_eq!(host.group("catalog").id, catalog);
    assert_eq!(host.table.listener(web).unwrap().id, web);
}

#[test]
fn a_target_that_comes_back_starts_anew_while_the_old_one_drains() {
    let mut host = Host::with(&[SHOP]);
    let old = Arc::clone(&host.group("catalog").pool.members[0].0);
    host.remove(Kind::Target, "catalog/10.0.0.1:9001");
    host.compile().unwrap();
    old.deregistered.store(true, Ordering::Relaxed);
    host.put_target("catalog", "10.0.0.1:9001", 1);
    host.compile().unwrap();
    let new = &host.group("catalog").pool.members[0].0;
    assert_eq!(new.address, old.address);
    assert!(new.id != old.id && !new.deregistered.load(Ordering::Relaxed));
}

#[test]
fn a_group_that_is_replaced_by_one_that_does_not_fit_is_noticed_by_unchanged_rules() {
    let mut host = Host::with(&[SHOP]);
    host.edit(Kind::TargetGroup, "catalog-next", |body| match body {
        Body::TargetGroup(group) => group.protocol = v1::Protocol::Tcp.into(),
        _ => unreachable!(),
    });
    let told = host.compile().unwrap_err();
    assert_eq!(
        told,
        ["Rule shop/http/catalog: TargetGroup catalog-next does not fit: it must be HTTP"]
    );
}

/// Whatever the changes, in whatever steps: the same table as from scratch, or the same reasons.
#[test]
fn many_small_changes_lead_where_one_big_one_leads() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..60 {
        let mut random = Rng::with_seed(seed);
        let mut host = Host::with(&[SHOP, NET]);
        for step in 0..40 {
            let last_good = host.view.clone();
            for _ in 0..random.usize(1..3) {
                change(&mut host, &mut random);
            }
            let mut scratch = Host::new();
            scratch.view = host.view.clone();
            scratch.changed = host.view.keys().cloned().collect();
            let (made, expected) = (host.compile(), scratch.compile());
            assert_eq!(made, expected, "seed {seed}, step {step}");
            if made.is_ok() {
                assert_eq!(
                    shown(&host.table),
                    shown(&scratch.table),
                    "seed {seed}, step {step}"
                );
                good += 1;
            } else {
                (host.view, host.changed) = (last_good, BTreeSet::new());
                bad += 1;
            }
        }
    }
    assert!(good > 500 && bad > 200, "{good} good, {bad} bad");
}

fn change(host: &mut Host, random: &mut Rng) {
    let pick = |random: &mut Rng, names: &[&str]| names[random.usize(0..names.len())].to_owned();
    let group = pick(random, &["catalog", "catalog-next", "postgres", "other"]);
    match random.u8(0..8) {
        0..3 => {
            let rule = v1::Rule {
                name: pick(random, &["home", "catalog", "a", "b"]),
                listener: pick(
                    random,
                    &["shop/http", "shop/http", "shop/http", "net/postgres"],
                ),
                priority: random.u32(1..8),
                conditions: vec![v1::Condition {
                    kind: Some(v1::condition::Kind::PathPattern(v1::ValuesCondition {
                        values: vec![pick(random, &["/a", "/b*", "*"])],
                        ..Default::default()
                    })),
                }],
                actions: vec![forward_to(&group)],
                ..Default::default()
            };
            host.put_resource(rule.into());
        }
        3..5 => {
            let address = format!("10.0.0.{}:9001", random.u8(1..5));
            host.put_target(&group, &address, random.u32(0..3));
        }
        5 => host.put(&format!(
            "kind: TargetGroup\nname: {group}\nprotocol: {}\nport: 9001",
            pick(random, &["HTTP", "TCP"])
        )),
        _ => {
            let keys: Vec<_> = host.view.keys().cloned().collect();
            let key = &keys[random.usize(0..keys.len())];
            host.remove(key.kind, &key.name);
        }
    }
}

/// A table in words, without what may differ between two that are the same to everybody: ids and the order of them.
fn shown(table: &Table) -> BTreeSet<String> {
    let name = |action: &Action| match action {
        Action::Forward(forward) => {
            let groups = forward.groups.iter();
            groups
                .map(|(id, weight)| format!("{} {weight} ", table.group(*id).unwrap().name))
                .collect()
        }
        other => format!("{other:?}"),
    };
    let listener = |listener: &Arc<Listener>| {
        let service = match &listener.service {
            Service::Tcp(service) => name(&Action::Forward(service.forward.clone())),
            Service::Http(service) => {
                let rules = service.router.rules.iter();
                let rules = rules.map(|rule| {
                    format!(
                        "{} {} {:?} {}",
                        rule.priority,
                        rule.name,
                        rule.conditions,
                        name(&rule.action)
                    )
                });
                format!(
                    "{} {:?}",
                    name(&service.router.default),
                    rules.collect::<Vec<_>>()
                )
            }
        };
        format!("{} {:?} {service}", listener.name, listener.addresses)
    };
    let group = |group: &Arc<Group>| {
        format!(
            "{} {:?} {:?} {:?}",
            group.name,
            group.algorithm,
            group.health_check,
            members(group)
        )
    };
    let listeners = table.listeners.iter().flatten().map(listener);
    listeners
        .chain(table.groups.iter().flatten().map(group))
        .collect()
}

fn forward_to(group: &str) -> v1::Action {
    v1::Action {
        kind: Some(v1::action::Kind::Forward(v1::Forward {
            target_groups: vec![v1::forward::WeightedTargetGroup {
                name: group.to_owned(),
                weight: None,
            }],
            ..Default::default()
        })),
    }
}
