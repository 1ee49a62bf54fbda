//! TargetGroup (specification: application load balancer, 9 and 17; network load balancer, 7 and 15).

use super::findings::Findings;
use super::{field, health_check, limits, target};
use crate::defaults;
use crate::v1;
use crate::v1::Protocol;
use crate::v1::target_group::{Algorithm, ProtocolVersion, ProxyProtocol};

/// What agents serve so far.
const SERVED: [Protocol; 2] = [Protocol::Http, Protocol::Tcp];

pub(super) fn check(findings: &mut Findings, group: &v1::TargetGroup) {
    field::name(findings, &group.name);
    field::labels(findings, "tags", &group.tags);
    let protocol = field::protocol(findings, group.protocol, &SERVED, "a target group");
    field::required_range(findings, "port", group.port, &limits::PORT);
    field::seconds(
        findings,
        "deregistrationDelay",
        group.deregistration_delay.as_ref(),
        &limits::DEREGISTRATION_DELAY,
    );
    if group.stickiness.is_some() {
        findings.unsupported("stickiness", "stickiness");
    }
    request_level(findings, group, protocol);
    connection_level(findings, group, protocol);
    health_check::check(findings, group);
    target::all(findings, group);
}

/// Fields of groups that balance requests.
fn request_level(findings: &mut Findings, group: &v1::TargetGroup, protocol: Option<Protocol>) {
    let belongs = protocol.is_none_or(defaults::is_http);
    let version: ProtocolVersion =
        field::enumeration(findings, "protocolVersion", group.protocol_version);
    if version != ProtocolVersion::Unspecified && !belongs {
        findings.refuse("protocolVersion", "this belongs to HTTP groups");
    } else if matches!(version, ProtocolVersion::Http2 | ProtocolVersion::Grpc) {
        findings.unsupported(
            "protocolVersion",
            &format!("the protocol version {}", version.as_str_name()),
        );
    }
    let algorithm: Algorithm = field::enumeration(findings, "algorithm", group.algorithm);
    if algorithm != Algorithm::Unspecified && !belongs {
        findings.refuse(
            "algorithm",
            "this belongs to HTTP groups: groups below HTTP choose by flow hash",
        );
    } else if algorithm == Algorithm::WeightedRandom {
        findings.unsupported("algorithm", "the algorithm WEIGHTED_RANDOM");
    }
    slow_start(findings, group, belongs, algorithm);
}

fn slow_start(
    findings: &mut Findings,
    group: &v1::TargetGroup,
    belongs: bool,
    algorithm: Algorithm,
) {
    let Some(given) = group
        .slow_start
        .filter(|given| (given.seconds, given.nanos) != (0, 0))
    else {
        return;
    };
    if !belongs {
        findings.refuse("slowStart", "this belongs to HTTP groups");
    } else if field::seconds(findings, "slowStart", Some(&given), &limits::SLOW_START).is_some() {
        findings.unsupported("slowStart", "a slow start");
    }
    if matches!(
        algorithm,
        Algorithm::LeastOutstandingRequests | Algorithm::WeightedRandom
    ) {
        let name = algorithm.as_str_name();
        findings.refuse(
            "slowStart",
            format!("a slow start needs the algorithm ROUND_ROBIN, not {name}"),
        );
    }
}

/// Fields of groups that balance connections.
fn connection_level(findings: &mut Findings, group: &v1::TargetGroup, protocol: Option<Protocol>) {
    let http = protocol.is_some_and(defaults::is_http);
    if group.connection_termination && http {
        findings.refuse("connectionTermination", "this belongs to groups below HTTP");
    }
    let proxy: ProxyProtocol = field::enumeration(findings, "proxyProtocol", group.proxy_protocol);
    if proxy != ProxyProtocol::Unspecified && http {
        findings.refuse("proxyProtocol", "this belongs to TCP and TLS groups");
    } else if matches!(proxy, ProxyProtocol::V1 | ProxyProtocol::V2) {
        findings.unsupported(
            "proxyProtocol",
            &format!("the PROXY protocol {}", proxy.as_str_name()),
        );
    }
    match group.preserve_client_ip {
        Some(true) => findings.unsupported("preserveClientIp", "a preserved client address"),
        Some(false) if matches!(protocol, Some(Protocol::Udp | Protocol::TcpUdp)) => {
            findings.refuse(
                "preserveClientIp",
                "UDP groups always preserve the client's address",
            );
        }
        Some(false) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, http, run, tcp};

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    fn target(address: &str, port: u32) -> v1::Target {
        v1::Target {
            address: address.to_owned(),
            port,
            ..Default::default()
        }
    }

    #[test]
    fn http_groups() {
        let cases: &[Case<v1::TargetGroup>] = &[
            (|_| {}, &[]),
            (
                |g| g.algorithm = Algorithm::LeastOutstandingRequests.into(),
                &[],
            ),
            (|g| g.protocol_version = ProtocolVersion::Http1.into(), &[]),
            (|g| g.slow_start = seconds(0), &[]),
            (|g| g.deregistration_delay = seconds(0), &[]),
            (|g| g.preserve_client_ip = Some(false), &[]),
            (|g| g.port = 0, &["port: a number is required: 1 to 65535"]),
            (
                |g| g.protocol = 0,
                &["protocol: a protocol is required: HTTP or TCP"],
            ),
            (
                |g| g.protocol = Protocol::Https.into(),
                &["protocol: a target group with the protocol HTTPS is not supported yet"],
            ),
            (
                |g| g.deregistration_delay = seconds(3601),
                &["deregistrationDelay: 3601s is out of range, 0s to 3600s are allowed"],
            ),
            (
                |g| g.stickiness = Some(v1::Stickiness::default()),
                &["stickiness: stickiness is not supported yet"],
            ),
            (
                |g| g.protocol_version = ProtocolVersion::Grpc.into(),
                &["protocolVersion: the protocol version GRPC is not supported yet"],
            ),
            (
                |g| g.algorithm = Algorithm::WeightedRandom.into(),
                &["algorithm: the algorithm WEIGHTED_RANDOM is not supported yet"],
            ),
            (
                |g| g.slow_start = seconds(30),
                &["slowStart: a slow start is not supported yet"],
            ),
            (
                |g| g.slow_start = seconds(29),
                &["slowStart: 29s is out of range, 30s to 900s are allowed"],
            ),
            (
                |g| {
                    g.slow_start = seconds(30);
                    g.algorithm = Algorithm::LeastOutstandingRequests.into();
                },
                &[
                    "slowStart: a slow start is not supported yet",
                    "slowStart: a slow start needs the algorithm ROUND_ROBIN, not LEAST_OUTSTANDING_REQUESTS",
                ],
            ),
            (
                |g| {
                    g.connection_termination = true;
                    g.proxy_protocol = ProxyProtocol::V2.into();
                },
                &[
                    "connectionTermination: this belongs to groups below HTTP",
                    "proxyProtocol: this belongs to TCP and TLS groups",
                ],
            ),
            (
                |g| g.preserve_client_ip = Some(true),
                &["preserveClientIp: a preserved client address is not supported yet"],
            ),
        ];
        run(http, cases);
    }

    #[test]
    fn tcp_groups() {
        let cases: &[Case<v1::TargetGroup>] = &[
            (|_| {}, &[]),
            (
                |g| {
                    g.connection_termination = true;
                    g.proxy_protocol = ProxyProtocol::Off.into();
                },
                &[],
            ),
            (
                |g| g.proxy_protocol = ProxyProtocol::V1.into(),
                &["proxyProtocol: the PROXY protocol V1 is not supported yet"],
            ),
            (
                |g| {
                    g.algorithm = Algorithm::RoundRobin.into();
                    g.protocol_version = ProtocolVersion::Http1.into();
                    g.slow_start = seconds(30);
                },
                &[
                    "protocolVersion: this belongs to HTTP groups",
                    "algorithm: this belongs to HTTP groups: groups below HTTP choose by flow hash",
                    "slowStart: this belongs to HTTP groups",
                ],
            ),
            (
                |g| {
                    g.protocol = Protocol::Udp.into();
                    g.preserve_client_ip = Some(false);
                },
                &[
                    "protocol: a target group with the protocol UDP is not supported yet",
                    "preserveClientIp: UDP groups always preserve the client's address",
                ],
            ),
        ];
        run(tcp, cases);
    }

    #[test]
    fn targets_in_a_group() {
        let cases: &[Case<v1::TargetGroup>] = &[
            (
                |g| {
                    g.targets = vec![
                        target("10.0.0.1", 1),
                        target("10.0.0.1", 2),
                        target("::1", 1),
                    ]
                },
                &[],
            ),
            (
                |g| g.targets = vec![target("::1", 0), target("0::1", 9001)],
                &["targets[1]: '[::1]:9001' is given already at targets[0]"],
            ),
            (
                |g| g.targets = vec![target("x", 0)],
                &["targets[0].address: 'x' is not an IP address such as 127.0.0.1 or ::1"],
            ),
            (
                |g| {
                    let mut other = target("::1", 0);
                    other.target_group = "other".to_owned();
                    g.targets = vec![other];
                },
                &[
                    "targets[0].targetGroup: 'other' is another group than this, 'catalog': leave it out",
                ],
            ),
        ];
        run(http, cases);
    }
}
