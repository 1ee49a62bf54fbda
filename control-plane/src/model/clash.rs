//! Listeners that would want the same port of the same address of one agent.
//!
//! Which agents there are is not known here, on purpose: two placements are apart only if no agent could ever carry
//! the labels of both, which is when they ask for different values of one label.

use std::collections::BTreeMap;
use std::net::IpAddr;

use inlet_proto::defaults;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::protocols::transports;
use super::state::State;

/// A listener with which another cannot be, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash<'a> {
    /// The other listener.
    pub(super) with: &'a Key,
    /// In words, after the port.
    pub(super) why: String,
}

/// The other listeners that want the port of this one.
pub(super) fn port_clashes<'a>(
    state: &'a State,
    key: &Key,
    listener: &v1::Listener,
) -> Vec<Clash<'a>> {
    let Some(balancer) = balancer_of(state, listener) else {
        return Vec::new();
    };
    let addresses = defaults::addresses(balancer);
    let mut found = Vec::new();
    for with in state.on_port(listener.port).filter(|other| *other != key) {
        let Some(other) = listener_at(state, with) else {
            continue;
        };
        let Some(others) = balancer_of(state, other) else {
            continue;
        };
        if listener.load_balancer == other.load_balancer {
            // Specification: application load balancer, 5.1; network load balancer, 4.1 (`DuplicateListener`): even
            // TCP and UDP on one port are one TCP_UDP listener.
            let why = format!(
                "is also the port of Listener {}: one listener per port",
                with.name
            );
            found.push(Clash { with, why });
        } else if share_a_transport(listener, other) && can_meet(balancer, others) {
            let overlap = common(&addresses, &defaults::addresses(others));
            found.extend(overlap.map(|address| Clash {
                with,
                why: format!(
                    "is also the port of Listener {} on {address}, and one agent can have both: \
                     give them different addresses, or placements with different values of a label",
                    with.name
                ),
            }));
        }
    }
    found
}

pub(super) fn listener_at<'a>(state: &'a State, key: &Key) -> Option<&'a v1::Listener> {
    match &state.get(key)?.kind {
        Some(Body::Listener(listener)) => Some(listener),
        _ => None,
    }
}

fn balancer_of<'a>(state: &'a State, listener: &v1::Listener) -> Option<&'a v1::LoadBalancer> {
    let key = Key::child(Kind::LoadBalancer, "", &listener.load_balancer);
    match &state.get(&key)?.kind {
        Some(Body::LoadBalancer(balancer)) => Some(balancer),
        _ => None,
    }
}

fn share_a_transport(one: &v1::Listener, other: &v1::Listener) -> bool {
    let (one, other) = (transports(one.protocol()), transports(other.protocol()));
    (one.0 && other.0) || (one.1 && other.1)
}

/// Whether an agent could carry the labels of both.
fn can_meet(one: &v1::LoadBalancer, other: &v1::LoadBalancer) -> bool {
    let differs = |labels: &BTreeMap<String, String>, name: &String, value: &String| {
        labels.get(name).is_some_and(|theirs| theirs != value)
    };
    !one.placement
        .iter()
        .any(|(name, value)| differs(&other.placement, name, value))
}

/// An address on which both listen.
fn common(one: &[IpAddr], other: &[IpAddr]) -> Option<IpAddr> {
    let overlap = |a: IpAddr, b: IpAddr| {
        let same_family = a.is_ipv4() == b.is_ipv4();
        if same_family && a.is_unspecified() {
            return Some(b);
        }
        (a == b || (same_family && b.is_unspecified())).then_some(a)
    };
    let mut pairs = one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b)));
    pairs.find_map(|(a, b)| overlap(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_overlap_when_one_socket_would_take_both() {
        for (one, other, expected) in [
            ("127.0.0.1", "127.0.0.1", Some("127.0.0.1")),
            ("127.0.0.1", "127.0.0.2", None),
            ("0.0.0.0", "127.0.0.2", Some("127.0.0.2")),
            ("127.0.0.2", "0.0.0.0", Some("127.0.0.2")),
            ("0.0.0.0", "::1", None),
            ("::", "127.0.0.1", None),
            ("::", "::1", Some("::1")),
            ("::1", "0::1", Some("::1")),
            ("0.0.0.0", "0.0.0.0", Some("0.0.0.0")),
        ] {
            let [one_list, other_list] = [one, other].map(|text| [text.parse().unwrap()]);
            let found = common(&one_list, &other_list).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{one} {other}");
        }
    }

    #[test]
    fn placements_meet_unless_a_label_differs() {
        let placed = |labels: &[(&str, &str)]| v1::LoadBalancer {
            placement: labels
                .iter()
                .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                .collect(),
            ..Default::default()
        };
        for (one, other, meet) in [
            (&[][..], &[][..], true),
            (&[("zone", "a")], &[], true),
            (&[("zone", "a")], &[("zone", "a")], true),
            (&[("zone", "a")], &[("zone", "b")], false),
            (&[("zone", "a")], &[("tier", "b")], true),
            (
                &[("zone", "a"), ("tier", "x")],
                &[("zone", "a"), ("tier", "y")],
                false,
            ),
        ] {
            assert_eq!(
                can_meet(&placed(one), &placed(other)),
                meet,
                "{one:?} {other:?}"
            );
            assert_eq!(
                can_meet(&placed(other), &placed(one)),
                meet,
                "{other:?} {one:?}"
            );
        }
    }
}
