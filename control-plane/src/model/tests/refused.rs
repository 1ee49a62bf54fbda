//! What is refused: every class of violation, alone and together, in the order of the change.

use super::*;

/// Judges a manifest on the shop; expects exactly these reasons.
#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    assert_eq!(lines(judge(&shop(), &put(text))), expected, "{text}");
}

#[test]
fn references_to_what_is_not_there_name_both_ends() {
    refused(
        "{kind: Listener, name: x, loadBalancer: none, protocol: HTTP, port: 1,
          defaultActions: [{forward: {targetGroups: [{name: web}, {name: lost}]}}]}
---
{kind: Rule, name: x, listener: shop/none, priority: 1, conditions: [{pathPattern: {values: [/a]}}],
 actions: [{forward: {targetGroups: [{name: gone}]}}]}
---
{kind: Target, targetGroup: none, address: 127.0.0.1, port: 80}
---
{kind: Target, targetGroup: void, address: 127.0.0.1}",
        &[
            "Reference Listener/none/x loadBalancer: there is no LoadBalancer none",
            "Reference Listener/none/x defaultActions[0].forward.targetGroups[1].name: there is no TargetGroup lost",
            "Reference Rule/shop/none/x listener: there is no Listener shop/none",
            "Reference Rule/shop/none/x actions[0].forward.targetGroups[0].name: there is no TargetGroup gone",
            "Reference Target/none/127.0.0.1:80 targetGroup: there is no TargetGroup none",
            "Reference Target/void/127.0.0.1:0 targetGroup: there is no TargetGroup void",
        ],
    );
}

#[test]
fn what_is_referred_to_cannot_be_deleted() {
    for (names, expected) in [
        (
            &["TargetGroup/web"][..],
            &[
                "Reference TargetGroup/web -: cannot be deleted: it is used by Listener shop/http, Rule shop/http/one",
            ][..],
        ),
        (
            &["TargetGroup/web", "TargetGroup/raw"],
            &[
                "Reference TargetGroup/raw -: cannot be deleted: it is used by Listener wire/tcp",
                "Reference TargetGroup/web -: cannot be deleted: it is used by Listener shop/http, Rule shop/http/one",
            ],
        ),
        (&["TargetGroup/spare"], &[]),
        (&["TargetGroup/web", "LoadBalancer/shop"], &[]),
        (&["LoadBalancer/shop", "TargetGroup/web"], &[]),
        (&["Target/web/127.0.0.1:9001"], &[]),
    ] {
        let found = lines(judge(&shop(), &delete(names)));
        assert_eq!(found, expected, "{names:?}");
    }
}

#[test]
fn many_who_refer_are_counted_and_only_some_named() {
    let rule = |number: u32| {
        format!(
            "---\n{{kind: Rule, name: r{number}, listener: shop/http, priority: {}, conditions: [{{pathPattern: {{values: [/a]}}}}],
             actions: [{{forward: {{targetGroups: [{{name: spare}}]}}}}]}}\n",
            number + 10
        )
    };
    let rules: String = (0..9).map(rule).collect();
    let state = after(&shop(), &rules);
    let found = lines(judge(&state, &delete(&["TargetGroup/spare"])));
    let expected = "Reference TargetGroup/spare -: cannot be deleted: it is used by \
                    Rule shop/http/r0, Rule shop/http/r1, Rule shop/http/r2 and 6 more";
    assert_eq!(found, [expected]);
}

#[test]
fn what_goes_in_the_same_change_is_not_there_for_what_comes() {
    let mut change = put("{kind: Rule, name: new, listener: shop/http, priority: 9,
          conditions: [{pathPattern: {values: [/a]}}], actions: [{forward: {targetGroups: [{name: spare}]}}]}");
    change.deletions = vec![key("TargetGroup/spare"), key("LoadBalancer/shop")];
    let expected = [
        "Reference Rule/shop/http/new listener: Listener shop/http is deleted in the same change",
        "Reference Rule/shop/http/new actions[0].forward.targetGroups[0].name: \
         TargetGroup spare is deleted in the same change",
    ];
    assert_eq!(lines(judge(&shop(), &change)), expected);

    // The same for what is pruned.
    let mut change = put(
        "{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1]}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}",
    );
    change.prune = true;
    let expected = [
        "Reference Listener/shop/http defaultActions[0].forward.targetGroups[0].name: \
         TargetGroup web is deleted in the same change",
    ];
    assert_eq!(lines(judge(&shop(), &change)), expected);
}

#[test]
fn deletions_of_what_is_not_there_and_of_what_is_put_are_refused() {
    let mut change = put("{kind: TargetGroup, name: spare, protocol: HTTP, port: 9003}");
    change.deletions = vec![
        key("TargetGroup/none"),
        key("TargetGroup/spare"),
        key("Target/web/127.0.0.9:1"),
        key("Listener/shop/none"),
    ];
    let expected = [
        "Malformed TargetGroup/spare -: is both to be put and to be deleted: decide for one",
        "NotFound TargetGroup/none -: there is no TargetGroup none",
        "NotFound Target/web/127.0.0.9:1 -: there is no Target web/127.0.0.9:1",
        "NotFound Listener/shop/none -: there is no Listener shop/none",
    ];
    assert_eq!(lines(judge(&shop(), &change)), expected);
}

#[test]
fn malformed_resources_are_reported_and_do_not_hide_other_reasons() {
    let balancer = v1::LoadBalancer {
        name: "new".to_owned(),
        addresses: vec!["nowhere".to_owned()],
        ..Default::default()
    };
    let listener = put(
        "{kind: Listener, name: http, loadBalancer: new, protocol: HTTP, port: 8090,
        defaultActions: [{forward: {targetGroups: [{name: bad}, {name: lost}]}}]}",
    );
    let mut change = Change {
        upserts: vec![
            upsert(balancer, "a.yaml:1"),
            upsert(group("bad", 70_000), "a.yaml:5"),
            upsert(v1::Resource::default(), "a.yaml:9"),
            upsert(group("Not A Name", 80), ""),
        ],
        ..Change::default()
    };
    change.upserts.extend(listener.upserts);
    let found = judge(&shop(), &change).unwrap_err();
    let origins: Vec<_> = found.iter().map(|it| it.origin.as_deref()).collect();
    let (first, second) = (Some("a.yaml:1"), Some("a.yaml:5"));
    let third = Some("a.yaml:9");
    assert_eq!(
        origins,
        [first, first, second, third, None, Some("test.yaml:1")]
    );
    let expected = [
        "Malformed LoadBalancer/new type: a type is required: APPLICATION or NETWORK",
        "Malformed LoadBalancer/new addresses[0]: 'nowhere' is not an IP address such as 127.0.0.1 or ::1",
        "Malformed TargetGroup/bad port: 70000 is out of range, 1 to 65535 are allowed",
        "Malformed - -: the resource has no kind, or one of a newer version",
        "Malformed TargetGroup/Not A Name name: 'Not A Name' is not a name: 1 to 63 of a-z, 0-9, '-' and '.', \
         with a letter or digit at both ends",
        "Reference Listener/new/http defaultActions[0].forward.targetGroups[1].name: there is no TargetGroup lost",
    ];
    assert_eq!(lines(Err(found)), expected);
}

#[test]
fn what_is_in_a_change_twice_is_refused_with_the_first_place() {
    let target = |address: &str, port| v1::Target {
        target_group: "web".to_owned(),
        address: address.to_owned(),
        port,
        ..Default::default()
    };
    let whole = v1::TargetGroup {
        targets: vec![target("::1", 0)],
        ..group("web", 9001)
    };
    let change = Change {
        upserts: vec![
            upsert(group("a", 1), "a.yaml:1"),
            upsert(whole, ""),
            upsert(group("a", 1), "a.yaml:7"),
            upsert(target("0::1", 9001), ""),
        ],
        ..Change::default()
    };
    let expected = [
        "Malformed TargetGroup/a -: is in the change twice, first at a.yaml:1: give it once",
        "Malformed Target/web/[::1]:9001 -: is in the change twice: give it once",
    ];
    assert_eq!(lines(judge(&shop(), &change)), expected);
}

#[test]
fn protected_load_balancers_stay() {
    let state = after(
        &State::empty(),
        "{kind: LoadBalancer, name: safe, type: APPLICATION, deletionProtection: true}",
    );
    let expected = [
        "Protected LoadBalancer/safe deletionProtection: the load balancer is protected from deletion: set it to false first",
    ];
    assert_eq!(
        lines(judge(&state, &delete(&["LoadBalancer/safe"]))),
        expected
    );
    let mut prune = put("{kind: TargetGroup, name: a, protocol: HTTP, port: 1}");
    prune.prune = true;
    assert_eq!(lines(judge(&state, &prune)), expected);
    let state = after(
        &state,
        "{kind: LoadBalancer, name: safe, type: APPLICATION}",
    );
    assert!(judge(&state, &delete(&["LoadBalancer/safe"])).is_ok());
}

#[test]
fn what_cannot_change_does_not() {
    refused(
        "{kind: TargetGroup, name: web, protocol: TCP, port: 9009}
---
{kind: TargetGroup, name: spare, protocol: HTTP, protocolVersion: HTTP1, port: 9003, algorithm: ROUND_ROBIN}
---
{kind: LoadBalancer, name: wire, type: APPLICATION, addresses: [127.0.0.1]}",
        &[
            "Protected TargetGroup/web protocol: is HTTP and cannot change to TCP: delete it and make it anew",
            "Protected TargetGroup/web port: is 9001 and cannot change to 9009: delete it and make it anew",
            "Protected LoadBalancer/wire type: is NETWORK and cannot change to APPLICATION: delete it and make it anew",
            "Clash Listener/wire/tcp protocol: LoadBalancer wire is APPLICATION: its listeners are HTTP or HTTPS, not TCP",
        ],
    );
}

#[test]
fn protocols_of_listeners_groups_and_load_balancers_fit() {
    refused(
        "{kind: Listener, name: a, loadBalancer: wire, protocol: HTTP, port: 1,
          defaultActions: [{forward: {targetGroups: [{name: raw}]}}]}
---
{kind: Listener, name: b, loadBalancer: wire, protocol: TCP, port: 2,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: Rule, name: a, listener: shop/http, priority: 3, conditions: [{pathPattern: {values: [/a]}}],
 actions: [{forward: {targetGroups: [{name: raw}, {name: web}]}}]}
---
{kind: Rule, name: b, listener: wire/tcp, priority: 3, conditions: [{pathPattern: {values: [/a]}}],
 actions: [{forward: {targetGroups: [{name: web}]}}]}",
        &[
            "Clash Listener/wire/a protocol: LoadBalancer wire is NETWORK: its listeners are TCP, TLS, UDP or TCP_UDP, not HTTP",
            "Clash Listener/wire/a defaultActions[0].forward.targetGroups[0].name: \
             TargetGroup raw is TCP and Listener wire/a is HTTP: groups of HTTP or HTTPS fit",
            "Clash Listener/wire/b defaultActions[0].forward.targetGroups[0].name: \
             TargetGroup web is HTTP and Listener wire/b is TCP: groups of TCP or TCP_UDP fit",
            "Clash Rule/shop/http/a actions[0].forward.targetGroups[0].name: \
             TargetGroup raw is TCP and Listener shop/http is HTTP: groups of HTTP or HTTPS fit",
            "Clash Rule/wire/tcp/b listener: Listener wire/tcp is TCP: only HTTP and HTTPS listeners have rules",
        ],
    );
}

#[test]
fn one_mistake_is_one_reason_also_if_the_load_balancer_changes_too() {
    refused(
        "{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.9]}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: raw}]}}]}",
        &[
            "Clash Listener/shop/http defaultActions[0].forward.targetGroups[0].name: \
             TargetGroup raw is TCP and Listener shop/http is HTTP: groups of HTTP or HTTPS fit",
        ],
    );
}

#[test]
fn priorities_are_given_once_per_listener() {
    let rule = |name: &str, listener: &str, priority: u32| {
        format!(
            "{{kind: Rule, name: {name}, listener: {listener}, priority: {priority}, conditions: [{{pathPattern: {{values: [/a]}}}}],
             actions: [{{fixedResponse: {{statusCode: 200}}}}]}}\n---\n"
        )
    };
    let other = "{kind: Listener, name: other, loadBalancer: shop, protocol: HTTP, port: 8082,
        defaultActions: [{fixedResponse: {statusCode: 200}}]}\n---\n";
    for (text, expected) in [
        (rule("three", "shop/http", 3), &[][..]),
        (
            rule("three", "shop/http", 2),
            &[
                "Clash Rule/shop/http/three priority: 2 is also the priority of Rule shop/http/two: each is given once per listener",
            ],
        ),
        // Each pair once, at the first of the two in the change.
        (
            rule("a", "shop/http", 7) + &rule("b", "shop/http", 7),
            &[
                "Clash Rule/shop/http/a priority: 7 is also the priority of Rule shop/http/b: each is given once per listener",
            ],
        ),
        // Swapped.
        (
            rule("one", "shop/http", 2) + &rule("two", "shop/http", 1),
            &[],
        ),
        (other.to_owned() + &rule("one", "shop/other", 1), &[]),
    ] {
        refused(text.trim().trim_end_matches("---"), expected);
    }
    let mut change = put(&rule("three", "shop/http", 2).replace("---", ""));
    change.deletions = vec![key("Rule/shop/http/two")];
    assert!(judge(&shop(), &change).is_ok(), "the priority becomes free");
}

/// Two load balancers with a listener each, and whether they can be together.
#[test]
fn listeners_clash_where_one_agent_could_have_both_ports() {
    let manifest = |one: (&str, &str, u32), other: (&str, &str, u32)| {
        let part = |name: &str, (placement, addresses, port): (&str, &str, u32)| {
            format!(
                "{{kind: LoadBalancer, name: {name}, type: APPLICATION, placement: {{{placement}}}, addresses: [{addresses}]}}
---
{{kind: Listener, name: http, loadBalancer: {name}, protocol: HTTP, port: {port},
 defaultActions: [{{fixedResponse: {{statusCode: 200}}}}]}}"
            )
        };
        format!("{}\n---\n{}", part("a", one), part("b", other))
    };
    let on = |address: &str| {
        format!(
            "Clash Listener/a/http port: 80 is also the port of Listener b/http on {address}, and one agent can have both: \
             give them different addresses, or placements with different values of a label"
        )
    };
    for (one, other, clash) in [
        (
            ("", "127.0.0.1", 80),
            ("", "127.0.0.1", 80),
            Some("127.0.0.1"),
        ),
        (("", "127.0.0.1", 80), ("", "127.0.0.1", 81), None),
        (("", "127.0.0.1", 80), ("", "127.0.0.2", 80), None),
        (
            ("", "127.0.0.1, 127.0.0.3", 80),
            ("", "127.0.0.2, 127.0.0.3", 80),
            Some("127.0.0.3"),
        ),
        // Wildcards, given or by default.
        (
            ("", "0.0.0.0", 80),
            ("", "127.0.0.2", 80),
            Some("127.0.0.2"),
        ),
        (("", "", 80), ("", "127.0.0.2", 80), Some("127.0.0.2")),
        (("", "", 80), ("", "'::1'", 80), Some("::1")),
        (("", "0.0.0.0", 80), ("", "'::1'", 80), None),
        (("", "'::'", 80), ("", "127.0.0.1", 80), None),
        (("", "", 80), ("", "", 80), Some("0.0.0.0")),
        // Placements: apart only by different values of one label.
        (("zone: a", "", 80), ("zone: b", "", 80), None),
        (("zone: a", "", 80), ("zone: a", "", 80), Some("0.0.0.0")),
        (("zone: a", "", 80), ("", "", 80), Some("0.0.0.0")),
        (("zone: a", "", 80), ("tier: b", "", 80), Some("0.0.0.0")),
        (
            ("zone: a, tier: x", "", 80),
            ("zone: a, tier: y", "", 80),
            None,
        ),
    ] {
        let found = lines(judge(&State::empty(), &put(&manifest(one, other))));
        let expected: Vec<_> = clash.map(on).into_iter().collect();
        assert_eq!(found, expected, "{one:?} {other:?}");
    }
}

#[test]
fn ports_clash_also_when_only_the_load_balancer_moves() {
    let apart = after(
        &shop(),
        "{kind: LoadBalancer, name: more, type: APPLICATION, placement: {zone: b}, addresses: [127.0.0.2]}
---
{kind: Listener, name: http, loadBalancer: more, protocol: HTTP, port: 8080,
 defaultActions: [{fixedResponse: {statusCode: 200}}]}",
    );
    let moved = "{kind: LoadBalancer, name: more, type: APPLICATION, placement: {zone: b}, addresses: [127.0.0.1]}";
    let found = judge(&apart, &put(moved)).unwrap_err();
    assert_eq!(found[0].origin.as_deref(), Some("test.yaml:1"));
    let expected = "Clash Listener/more/http port: 8080 is also the port of Listener shop/http on 127.0.0.1, and one \
                    agent can have both: give them different addresses, or placements with different values of a label";
    assert_eq!(lines(Err(found)), [expected]);
    // Moving both at once, so that they are apart again, is fine.
    let both = format!(
        "{moved}\n---\n{{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.2]}}"
    );
    assert!(judge(&apart, &put(&both)).is_ok());
}

#[test]
fn a_load_balancer_has_one_listener_per_port() {
    refused(
        "{kind: Listener, name: again, loadBalancer: shop, protocol: HTTP, port: 8080,
          defaultActions: [{fixedResponse: {statusCode: 200}}]}",
        &[
            "Clash Listener/shop/again port: 8080 is also the port of Listener shop/http: one listener per port",
        ],
    );
}
