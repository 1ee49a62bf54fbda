//! What cannot be compiled is refused with every reason, and nothing in force changes.

use prost::Message as _;

use super::*;

/// What is done to a good configuration, and the reasons against it.
type Case = (fn(&mut Host), &'static [&'static str]);

fn listener(body: &mut Body) -> &mut v1::Listener {
    match body {
        Body::Listener(message) => message,
        other => panic!("{other:?}"),
    }
}

fn rule(body: &mut Body) -> &mut v1::Rule {
    match body {
        Body::Rule(message) => message,
        other => panic!("{other:?}"),
    }
}

fn group(body: &mut Body) -> &mut v1::TargetGroup {
    match body {
        Body::TargetGroup(message) => message,
        other => panic!("{other:?}"),
    }
}

const CASES: &[Case] = &[
    // References that lead nowhere.
    (
        |host| host.remove(Kind::LoadBalancer, "shop"),
        &["Listener shop/http: LoadBalancer shop is not there"],
    ),
    (
        |host| host.remove(Kind::Listener, "shop/http"),
        &[
            "Rule shop/http/catalog: Listener shop/http is not there",
            "Rule shop/http/home: Listener shop/http is not there",
        ],
    ),
    (
        |host| host.remove(Kind::TargetGroup, "postgres"),
        &[
            "Target postgres/10.0.0.9:5432: TargetGroup postgres is not there",
            "Listener net/postgres: TargetGroup postgres is not there",
        ],
    ),
    (
        |host| host.remove(Kind::TargetGroup, "catalog-next"),
        &["Rule shop/http/catalog: TargetGroup catalog-next is not there"],
    ),
    (
        |host| host.put_target("nobody", "10.0.0.1:1", 1),
        &["Target nobody/10.0.0.1:1: TargetGroup nobody is not there"],
    ),
    (
        |host| {
            host.edit(Kind::Rule, "shop/http/home", |body| {
                rule(body).listener = "shop/none".to_owned();
            });
        },
        &["Rule shop/none/home: Listener shop/none is not there"],
    ),
    // What this version does not serve.
    (
        |host| {
            host.edit(Kind::Listener, "shop/http", |body| {
                listener(body).protocol = v1::Protocol::Https.into();
            });
        },
        &[
            "Listener shop/http: protocol: a listener with the protocol HTTPS is not supported by this agent version yet",
        ],
    ),
    (
        |host| {
            host.edit(Kind::TargetGroup, "catalog", |body| {
                group(body).stickiness = Some(v1::Stickiness::default());
            });
        },
        &["TargetGroup catalog: stickiness: stickiness is not supported by this agent version yet"],
    ),
    (
        |host| {
            host.put_resource(
                v1::Certificate {
                    name: "c".to_owned(),
                    ..Default::default()
                }
                .into(),
            )
        },
        &["Certificate c: kind Certificate is not supported by this agent version yet"],
    ),
    (
        |host| {
            drop(
                host.view
                    .insert(key(Kind::Rule, "shop/http/home"), Arc::default()),
            )
        },
        &["Rule shop/http/home: the resource has no kind, or one of a newer version"],
    ),
    (
        |host| {
            let other = Arc::clone(&host.view[&key(Kind::Rule, "shop/http/catalog")]);
            host.view.insert(key(Kind::Rule, "shop/http/home"), other);
        },
        &["Rule shop/http/home: what was sent under this name has another"],
    ),
    // What does not fit together.
    (
        |host| {
            host.edit(Kind::Listener, "net/postgres", |body| {
                listener(body).load_balancer = "shop".to_owned();
            });
            host.remove(Kind::Listener, "net/postgres");
        },
        &["Listener shop/postgres: LoadBalancer shop is APPLICATION: it has no TCP listeners"],
    ),
    (
        |host| {
            host.edit(Kind::Rule, "shop/http/catalog", |body| {
                rule(body).actions = vec![v1::Action {
                    kind: Some(v1::action::Kind::Forward(v1::Forward {
                        target_groups: ["postgres", "none"]
                            .map(|name| v1::forward::WeightedTargetGroup {
                                name: name.to_owned(),
                                weight: None,
                            })
                            .into(),
                        ..Default::default()
                    })),
                }];
            });
        },
        &[
            "Rule shop/http/catalog: TargetGroup none is not there",
            "Rule shop/http/catalog: TargetGroup postgres does not fit: it must be HTTP",
        ],
    ),
    (
        |host| {
            host.edit(Kind::Rule, "shop/http/home", |body| {
                rule(body).listener = "net/postgres".to_owned();
            });
        },
        &["Rule net/postgres/home: Listener net/postgres is TCP: rules need HTTP"],
    ),
    (
        |host| {
            host.edit(Kind::Rule, "shop/http/home", |body| {
                rule(body).priority = 20
            })
        },
        &["Rule shop/http/home: priority 20 is also that of rule catalog"],
    ),
    (
        |host| {
            host.edit(Kind::Listener, "shop/http", |body| {
                listener(body).name = "again".to_owned();
            });
        },
        &[
            "Listener shop/http: 127.0.0.1:8080 is also an address of Listener shop/again",
            "Listener shop/http: [::1]:8080 is also an address of Listener shop/again",
        ],
    ),
    (
        |host| {
            host.edit(Kind::TargetGroup, "catalog", |body| {
                group(body).targets = vec![v1::Target {
                    address: "10.0.0.1".to_owned(),
                    ..Default::default()
                }];
            });
        },
        &["TargetGroup catalog: its targets must come as resources of their own"],
    ),
    // All at once, each told once, and nothing made of what is malformed.
    (
        |host| {
            host.edit(Kind::TargetGroup, "catalog", |body| group(body).port = 0);
            host.edit(Kind::Rule, "shop/http/home", |body| rule(body).priority = 0);
            host.edit(Kind::Rule, "shop/http/catalog", |body| {
                rule(body).actions.clear()
            });
            host.put_target("catalog", "0.0.0.0:1", 1000);
            host.remove(Kind::LoadBalancer, "net");
        },
        &[
            "TargetGroup catalog: port: a number is required: 1 to 65535",
            "Target catalog/0.0.0.0:1: address: 0.0.0.0 is not the address of one host",
            "Target catalog/0.0.0.0:1: weight: 1000 is out of range, 0 to 999 are allowed",
            "Listener net/postgres: LoadBalancer net is not there",
            "Rule shop/http/catalog: actions: an action is required: forward, redirect or fixedResponse",
            "Rule shop/http/home: priority: a number is required: 1 to 50000",
        ],
    ),
];

#[test]
fn every_reason_is_told_and_the_table_in_force_stays() {
    for (change, expected) in CASES {
        let mut host = Host::with(&[SHOP, NET]);
        let before = Arc::clone(&host.table);
        change(&mut host);
        host.changed.extend(host.view.keys().cloned());
        assert_eq!(host.compile().unwrap_err(), *expected);
        assert!(Arc::ptr_eq(&host.table, &before));
    }
}

#[test]
fn the_same_reasons_are_told_when_only_what_changed_is_looked_at() {
    for (change, expected) in CASES {
        let mut host = Host::with(&[SHOP, NET]);
        change(&mut host);
        host.changed.insert(key(Kind::Rule, "shop/http/home"));
        assert_eq!(host.compile().unwrap_err(), *expected);
    }
}

/// Bytes from outside never panic: whatever still decodes is compiled or refused.
#[test]
fn damaged_messages_are_compiled_or_refused() {
    let (mut good, mut bad) = (0, 0);
    for seed in 0..1_500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut host = Host::with(&[SHOP, NET]);
        let keys: Vec<_> = host.view.keys().cloned().collect();
        let key = &keys[random.usize(0..keys.len())];
        let mut bytes = host.view[key].encode_to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..bytes.len());
            bytes[at] = random.u8(..);
        }
        let Ok(damaged) = v1::Resource::decode(&*bytes) else {
            continue;
        };
        host.view.insert(key.clone(), Arc::new(damaged));
        host.changed.insert(key.clone());
        match host.compile() {
            Ok(()) => good += 1,
            Err(reasons) => bad += usize::from(!reasons.is_empty()),
        }
    }
    assert!(good > 15 && bad > 150, "{good} good, {bad} bad");
}

#[test]
fn what_was_refused_leaves_nothing_behind() {
    let mut host = Host::with(&[NET]);
    host.put(&SHOP.replace("\nname: catalog-next", "\nname: misnamed"));
    host.compile().unwrap_err();
    let registry = &host.compiler.registry;
    assert_eq!(registry.groups().len(), 1);
    assert_eq!(registry.listeners().len(), 1);
    assert_eq!(registry.targets().len(), 1);
}
