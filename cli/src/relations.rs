//! Who refers to whom, as far as `describe` tells it. The authority is the control plane.

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

/// Where references to a kind stand: the kind that has them, and the path as filters take it.
pub(crate) fn places(kind: Kind) -> &'static [(Kind, &'static str)] {
    match kind {
        Kind::TargetGroup => &[
            (Kind::Listener, "defaultActions.forward.targetGroups.name"),
            (Kind::Rule, "actions.forward.targetGroups.name"),
        ],
        Kind::Certificate => &[(Kind::Listener, "certificates")],
        Kind::LoadBalancer | Kind::Target | Kind::Listener | Kind::Rule => &[],
    }
}

/// What a resource refers to: its parent first, then the others, each once and in the order of its fields.
pub(crate) fn refers_to(resource: &v1::Resource) -> Vec<Key> {
    let mut keys: Vec<Key> = resource
        .key()
        .and_then(|key| key.parent())
        .into_iter()
        .collect();
    match &resource.kind {
        Some(Body::Listener(listener)) => {
            keys.extend(
                listener
                    .certificates
                    .iter()
                    .map(|name| Key::child(Kind::Certificate, "", name)),
            );
            keys.extend(groups(&listener.default_actions));
        }
        Some(Body::Rule(rule)) => keys.extend(groups(&rule.actions)),
        _ => {}
    }
    let mut seen = std::collections::HashSet::new();
    keys.retain(|key| seen.insert(key.clone()));
    keys
}

fn groups(actions: &[v1::Action]) -> impl Iterator<Item = Key> {
    let forwards = actions.iter().filter_map(|action| match &action.kind {
        Some(v1::action::Kind::Forward(forward)) => Some(forward),
        _ => None,
    });
    let groups = forwards.flat_map(|forward| &forward.target_groups);
    groups.map(|group| Key::child(Kind::TargetGroup, "", &group.name))
}

/// Whether a load balancer belongs on an agent: the agent carries every label of the placement.
pub(crate) fn is_placed_on(balancer: &v1::LoadBalancer, agent: &v1::Agent) -> bool {
    balancer
        .placement
        .iter()
        .all(|(name, value)| agent.labels.get(name) == Some(value))
}

/// Name of the load balancer that a resource belongs to, if it belongs to one.
pub(crate) fn balancer_of(key: &Key) -> Option<String> {
    let mut key = key.clone();
    while let Some(parent) = key.parent() {
        key = parent;
    }
    (key.kind == Kind::LoadBalancer).then_some(key.name)
}

#[cfg(test)]
mod tests {
    use inlet_proto::manifest;

    use super::*;

    #[test]
    fn references_are_told_once() {
        for (text, expected) in [
            (
                "{kind: Rule, name: a, listener: shop/http, priority: 1, conditions: [{pathPattern: {values: [/a]}}], actions: [{forward: {targetGroups: [{name: b}, {name: c}]}}]}",
                &["Listener/shop/http", "TargetGroup/b", "TargetGroup/c"][..],
            ),
            (
                "{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 80, defaultActions: [{forward: {targetGroups: [{name: b}]}}]}",
                &["LoadBalancer/shop", "TargetGroup/b"],
            ),
            (
                "{kind: TargetGroup, name: b, protocol: HTTP, port: 80}",
                &[],
            ),
            (
                "{kind: Target, targetGroup: b, address: 127.0.0.1, port: 80}",
                &["TargetGroup/b"],
            ),
        ] {
            let documents = manifest::parse(text, &mut |_| Err(String::new())).unwrap();
            let found: Vec<_> = refers_to(&documents[0].resource)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_placement_asks_for_labels() {
        let agent = v1::Agent {
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            ..Default::default()
        };
        for (placement, is_placed) in [
            (&[][..], true),
            (&[("zone", "a")], true),
            (&[("zone", "b")], false),
            (&[("tier", "a")], false),
        ] {
            let placement = placement
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let balancer = v1::LoadBalancer {
                placement: placement.collect(),
                ..Default::default()
            };
            assert_eq!(is_placed_on(&balancer, &agent), is_placed);
        }
    }

    #[test]
    fn only_what_is_below_a_load_balancer_belongs_to_one() {
        for (kind, name, balancer) in [
            ("Rule", "shop/http/a", Some("shop")),
            ("LoadBalancer", "shop", Some("shop")),
            ("Target", "catalog/127.0.0.1:80", None),
            ("TargetGroup", "catalog", None),
        ] {
            let key = Key::parse(kind, name).unwrap();
            assert_eq!(balancer_of(&key).as_deref(), balancer);
        }
    }
}
