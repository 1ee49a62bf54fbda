//! Which protocols fit together: listeners to the type of their load balancer, target groups to listeners
//! (specification: application load balancer, 5.1 and 9.2; network load balancer, 4.1).

use inlet_proto::defaults::is_http;
use inlet_proto::v1;
use inlet_proto::v1::Protocol;
use inlet_proto::v1::load_balancer::Type;
use inlet_proto::v1::target_group::ProtocolVersion;

/// The protocols of the listeners of a load balancer.
pub(super) fn of_listeners(kind: Type) -> &'static [Protocol] {
    match kind {
        Type::Unspecified => &[],
        Type::Application => &[Protocol::Http, Protocol::Https],
        Type::Network => &[
            Protocol::Tcp,
            Protocol::Tls,
            Protocol::Udp,
            Protocol::TcpUdp,
        ],
    }
}

/// The protocols of the target groups that a listener can forward to.
pub(super) fn of_groups(listener: Protocol) -> &'static [Protocol] {
    match listener {
        Protocol::Unspecified => &[],
        Protocol::Http | Protocol::Https => &[Protocol::Http, Protocol::Https],
        Protocol::Tcp => &[Protocol::Tcp, Protocol::TcpUdp],
        Protocol::Tls => &[Protocol::Tcp, Protocol::Tls],
        Protocol::Udp => &[Protocol::Udp, Protocol::TcpUdp],
        Protocol::TcpUdp => &[Protocol::TcpUdp],
    }
}

/// Why a listener cannot forward to a group (AWS: `IncompatibleProtocols`); `None` if it can.
/// Protocols that were not given are another mistake than this.
pub(super) fn misfit(listener: &v1::Listener, group: &v1::TargetGroup) -> Option<String> {
    let (from, to) = (listener.protocol(), group.protocol());
    if from == Protocol::Unspecified || to == Protocol::Unspecified {
        return None;
    }
    let listener = format!("Listener {}/{}", listener.load_balancer, listener.name);
    if !of_groups(from).contains(&to) {
        return Some(format!(
            "TargetGroup {} is {} and {listener} is {}: groups of {} fit",
            group.name,
            to.as_str_name(),
            from.as_str_name(),
            names(of_groups(from))
        ));
    }
    let version = version(group);
    if from == Protocol::Http && version != ProtocolVersion::Http1 {
        return Some(format!(
            "TargetGroup {} speaks {} and {listener} is HTTP: only HTTPS listeners fit",
            group.name,
            version.as_str_name()
        ));
    }
    None
}

/// What is spoken to the targets of a group; never unspecified.
pub(super) fn version(group: &v1::TargetGroup) -> ProtocolVersion {
    match group.protocol_version() {
        ProtocolVersion::Unspecified => ProtocolVersion::Http1,
        version => version,
    }
}

/// Which transports a listener takes its port on: (TCP, UDP).
pub(super) fn transports(protocol: Protocol) -> (bool, bool) {
    match protocol {
        Protocol::Unspecified => (false, false),
        Protocol::Udp => (false, true),
        Protocol::TcpUdp => (true, true),
        Protocol::Http | Protocol::Https | Protocol::Tcp | Protocol::Tls => (true, false),
    }
}

/// Whether a listener has rules.
pub(super) fn has_rules(listener: &v1::Listener) -> bool {
    is_http(listener.protocol())
}

/// `TCP, TLS or UDP`.
pub(super) fn names(protocols: &[Protocol]) -> String {
    let names: Vec<_> = protocols.iter().map(Protocol::as_str_name).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
