//! What a change makes of a state.

use inlet_proto::kind::Kind;

use super::*;

#[test]
fn what_is_put_comes_in_its_order_and_then_what_goes_parents_first() {
    let mut change = put("{kind: TargetGroup, name: zzz, protocol: HTTP, port: 1, targets: [{address: 10.0.0.2}, {address: 10.0.0.1}]}
---
{kind: TargetGroup, name: aaa, protocol: HTTP, port: 1}
---
{kind: LoadBalancer, name: wire, type: NETWORK, addresses: [127.0.0.1]}
---
{kind: LoadBalancer, name: wide, type: NETWORK, addresses: [127.0.0.3]}");
    change.deletions = vec![
        key("Rule/shop/http/two"),
        key("Listener/shop/http"),
        key("TargetGroup/spare"),
        key("LoadBalancer/shop"),
    ];
    let admitted = judge(&shop(), &change).unwrap();
    let expected = [
        "created TargetGroup/zzz",
        "created Target/zzz/10.0.0.2:1",
        "created Target/zzz/10.0.0.1:1",
        "created TargetGroup/aaa",
        "unchanged LoadBalancer/wire",
        "created LoadBalancer/wide",
        "deleted LoadBalancer/shop",
        "deleted TargetGroup/spare",
        "deleted Target/spare/127.0.0.1:9003",
        "deleted Listener/shop/http",
        "deleted Rule/shop/http/one",
        "deleted Rule/shop/http/two",
    ];
    assert_eq!(changes(&admitted), expected);
    assert_eq!(admitted.state.revision(), 2);
    for gone in [
        "Listener/shop/http",
        "Rule/shop/http/one",
        "TargetGroup/spare",
    ] {
        assert!(admitted.state.get(&key(gone)).is_none(), "{gone}");
    }
}

#[test]
fn what_is_applied_again_stays_as_it_is() {
    let state = shop();
    let admitted = judge(&state, &put(SHOP)).unwrap();
    assert_eq!(admitted.state.revision(), state.revision());
    assert!(
        changes(&admitted)
            .iter()
            .all(|line| line.starts_with("unchanged "))
    );
    assert_eq!(admitted.changes.len(), state.all().count());
    let same = state.all().zip(admitted.state.all());
    assert!(
        same.into_iter()
            .all(|((_, one), (_, other))| std::sync::Arc::ptr_eq(one, other))
    );
    // What the server keeps is ignored on input.
    let mut given = v1::Resource::clone(state.get(&key("TargetGroup/web")).unwrap());
    let mut forged = given.kept().unwrap();
    forged.uid = "mine".to_owned();
    forged.revision = 99;
    given.set_kept(forged);
    let change = Change {
        upserts: vec![upsert(given, "")],
        ..Change::default()
    };
    let admitted = judge(&state, &change).unwrap();
    assert_eq!(changes(&admitted), ["unchanged TargetGroup/web"]);
}

#[test]
fn a_change_keeps_uid_and_creation_and_a_new_resource_gets_its_own() {
    let state = shop();
    let before = kept(&state, "TargetGroup/web");
    let state = after(
        &state,
        "{kind: TargetGroup, name: web, protocol: HTTP, port: 9001, tags: {a: b}}",
    );
    let changed = kept(&state, "TargetGroup/web");
    assert_eq!(
        (&changed.uid, changed.create_time),
        (&before.uid, before.create_time)
    );
    assert_eq!((before.revision, changed.revision), (1, 2));
    assert_ne!(changed.update_time, before.update_time);
    assert_eq!(
        kept(&state, "Target/web/127.0.0.1:9001").revision,
        1,
        "others keep theirs"
    );
    let uids: BTreeSet<_> = state.all().map(|(_, it)| it.kept().unwrap().uid).collect();
    assert_eq!(uids.len(), state.all().count());
}

#[test]
fn targets_are_resources_of_their_own_with_address_and_port_filled_in() {
    let state = after(
        &State::empty(),
        "{kind: TargetGroup, name: web, protocol: HTTP, port: 9001,
          targets: [{address: '0:0::1'}, {address: 127.0.0.1, port: 80, weight: 3}]}",
    );
    let targets: Vec<_> = state
        .of_kind(Kind::Target)
        .map(|(key, _)| key.name.as_str())
        .collect();
    assert_eq!(targets, ["web/127.0.0.1:80", "web/[::1]:9001"]);
    let group = state.get(&key("TargetGroup/web")).unwrap();
    let Some(v1::resource::Kind::TargetGroup(bare)) = &group.kind else {
        panic!("{group:?}")
    };
    assert!(bare.targets.is_empty(), "they are not in the group");
    let whole = with_targets(&state, group);
    let Some(v1::resource::Kind::TargetGroup(whole)) = whole.kind else {
        panic!("{whole:?}")
    };
    let shown: Vec<_> = whole
        .targets
        .iter()
        .map(|it| (it.name.as_str(), it.port, it.weight))
        .collect();
    assert_eq!(
        shown,
        [("127.0.0.1:80", 80, Some(3)), ("[::1]:9001", 9001, None)]
    );
    // A target beside the group that it comes with takes its port; so does one of a group that is there.
    let beside = put("{kind: Target, targetGroup: new, address: 127.0.0.1}
---
{kind: TargetGroup, name: new, protocol: HTTP, port: 7000}
---
{kind: Target, targetGroup: web, address: 127.0.0.7}");
    let admitted = judge(&state, &beside).unwrap();
    let expected = [
        "created Target/new/127.0.0.1:7000",
        "created TargetGroup/new",
        "created Target/web/127.0.0.7:9001",
    ];
    assert_eq!(changes(&admitted), expected);
    // Deletions may name one by another form of its address.
    let admitted = judge(&state, &delete(&["Target/web/[0::1]:9001"])).unwrap();
    assert_eq!(changes(&admitted), ["deleted Target/web/[::1]:9001"]);
}

#[test]
fn targets_that_are_given_are_the_whole_set_and_others_are_left_alone() {
    let group = "kind: TargetGroup, name: web, protocol: HTTP, port: 9001";
    for (targets, all_targets, expected) in [
        ("", false, &["unchanged TargetGroup/web"][..]),
        (
            "",
            true,
            &[
                "unchanged TargetGroup/web",
                "deleted Target/web/127.0.0.1:9001",
                "deleted Target/web/127.0.0.2:9001",
            ],
        ),
        (
            ", targets: [{address: 127.0.0.2, weight: 9}, {address: 127.0.0.3}]",
            false,
            &[
                "unchanged TargetGroup/web",
                "changed Target/web/127.0.0.2:9001",
                "created Target/web/127.0.0.3:9001",
                "deleted Target/web/127.0.0.1:9001",
            ],
        ),
    ] {
        let mut change = put(&format!("{{{group}{targets}}}"));
        change.upserts[0].all_targets = all_targets;
        let admitted = judge(&shop(), &change).unwrap();
        assert_eq!(changes(&admitted), expected, "{targets} {all_targets}");
    }
    let mut change = put(&format!("{{{group}}}"));
    change.upserts[0].all_targets = true;
    let target = put("{kind: Target, targetGroup: web, address: 127.0.0.2}");
    change.upserts.extend(target.upserts);
    let admitted = judge(&shop(), &change).unwrap();
    let expected = [
        "unchanged TargetGroup/web",
        "unchanged Target/web/127.0.0.2:9001",
        "deleted Target/web/127.0.0.1:9001",
    ];
    assert_eq!(
        changes(&admitted),
        expected,
        "one that is given beside stays"
    );
}

#[test]
fn pruning_deletes_everything_else_but_the_targets_of_groups_that_stay() {
    let mut change = put(
        "{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1]}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001}",
    );
    change.prune = true;
    let admitted = judge(&shop(), &change).unwrap();
    let expected = [
        "unchanged LoadBalancer/shop",
        "unchanged TargetGroup/web",
        "deleted LoadBalancer/wire",
        "deleted TargetGroup/raw",
        "deleted TargetGroup/spare",
        "deleted Target/spare/127.0.0.1:9003",
        "deleted Listener/shop/http",
        "deleted Listener/wire/tcp",
        "deleted Rule/shop/http/one",
        "deleted Rule/shop/http/two",
    ];
    assert_eq!(changes(&admitted), expected);
    assert_eq!(admitted.state.of_kind(Kind::Target).count(), 2);
    let nothing = Change {
        prune: true,
        ..Change::default()
    };
    assert_eq!(judge(&shop(), &nothing).unwrap().state.all().count(), 0);
}

#[test]
fn deleting_a_parent_deletes_all_that_is_below_it_and_nothing_beside() {
    let state = after(
        &shop(),
        "{kind: LoadBalancer, name: shop-2, type: APPLICATION, addresses: [127.0.0.7]}
---
{kind: Listener, name: http, loadBalancer: shop-2, protocol: HTTP, port: 8080,
 defaultActions: [{fixedResponse: {statusCode: 200}}]}",
    );
    for (names, expected) in [
        (
            &["LoadBalancer/shop"][..],
            &[
                "deleted LoadBalancer/shop",
                "deleted Listener/shop/http",
                "deleted Rule/shop/http/one",
                "deleted Rule/shop/http/two",
            ][..],
        ),
        (
            &[
                "Listener/shop/http",
                "Rule/shop/http/one",
                "Listener/shop/http",
            ],
            &[
                "deleted Listener/shop/http",
                "deleted Rule/shop/http/one",
                "deleted Rule/shop/http/two",
            ],
        ),
        (
            &["TargetGroup/spare"],
            &[
                "deleted TargetGroup/spare",
                "deleted Target/spare/127.0.0.1:9003",
            ],
        ),
    ] {
        let admitted = judge(&state, &delete(names)).unwrap();
        assert_eq!(changes(&admitted), expected, "{names:?}");
    }
}

#[test]
fn a_resource_anew_gets_a_new_uid_and_may_be_what_it_could_not_become() {
    let state = shop();
    let change = put("{kind: TargetGroup, name: spare, protocol: TCP, port: 7}");
    assert!(judge(&state, &change).is_err());
    let anew = BTreeSet::from([key("TargetGroup/spare")]);
    let admitted = judge_with(&state, &change, &Quotas::default(), &anew).unwrap();
    assert_eq!(changes(&admitted), ["changed TargetGroup/spare"]);
    let (before, after) = (
        kept(&state, "TargetGroup/spare"),
        kept(&admitted.state, "TargetGroup/spare"),
    );
    assert_ne!(before.uid, after.uid);
    assert_ne!(before.create_time, after.create_time);
    // But those who use it must still fit.
    let change = put("{kind: TargetGroup, name: web, protocol: TCP, port: 7}");
    let anew = BTreeSet::from([key("TargetGroup/web")]);
    let found = lines(judge_with(&state, &change, &Quotas::default(), &anew));
    let expected = [
        "Clash Listener/shop/http defaultActions[0].forward.targetGroups[0].name: \
         TargetGroup web is TCP and Listener shop/http is HTTP: groups of HTTP or HTTPS fit",
        "Clash Rule/shop/http/one actions[0].forward.targetGroups[0].name: \
         TargetGroup web is TCP and Listener shop/http is HTTP: groups of HTTP or HTTPS fit",
    ];
    assert_eq!(found, expected);
}

/// The indexes after any history are those of the state built at once.
#[test]
fn indexes_follow_every_change() {
    let mut state = shop();
    for text in [
        "{kind: Rule, name: one, listener: shop/http, priority: 9, conditions: [{pathPattern: {values: [/x]}}],
          actions: [{forward: {targetGroups: [{name: spare}, {name: web}]}}]}",
        "{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8085,
          defaultActions: [{fixedResponse: {statusCode: 200}}]}",
        "{kind: Rule, name: one, listener: shop/http, priority: 1, conditions: [{pathPattern: {values: [/x]}}],
          actions: [{forward: {targetGroups: [{name: spare}]}}]}",
    ] {
        state = after(&state, text);
        let resources = state.all().map(|(_, it)| v1::Resource::clone(it));
        let built = State::restore(state.revision(), resources);
        for group in ["web", "spare", "raw"] {
            let group = key(&format!("TargetGroup/{group}"));
            assert!(state.referrers(&group).eq(built.referrers(&group)), "{text}");
        }
        for port in [8080, 8085] {
            assert!(state.on_port(port).eq(built.on_port(port)));
        }
        for priority in [1, 2, 9] {
            let at = |state: &State| state.with_priority("shop/http", priority).cloned().collect::<Vec<_>>();
            assert_eq!(at(&state), at(&built));
        }
        assert_eq!(state.groups_of("shop"), built.groups_of("shop"));
    }
    assert_eq!(state.groups_of("shop"), 1);
    assert!(
        judge(&state, &delete(&["TargetGroup/web"])).is_ok(),
        "nobody uses it any more"
    );
}
