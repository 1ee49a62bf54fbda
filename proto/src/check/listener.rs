//! Listener (specification: application load balancer, 5; network load balancer, 4).

use super::action::Place;
use super::findings::Findings;
use super::{action, field, limits};
use crate::kind::Kind;
use crate::v1;
use crate::v1::Protocol;
use crate::v1::listener::AlpnPolicy;

/// What agents serve so far.
const SERVED: [Protocol; 2] = [Protocol::Http, Protocol::Tcp];

pub(super) fn check(findings: &mut Findings, listener: &v1::Listener) {
    field::name(findings, &listener.name);
    field::labels(findings, "tags", &listener.tags);
    field::reference(
        findings,
        "loadBalancer",
        Kind::LoadBalancer,
        &listener.load_balancer,
    );
    let protocol = field::protocol(findings, listener.protocol, &SERVED, "a listener");
    field::required_range(findings, "port", listener.port, &limits::PORT);
    tls(findings, listener, protocol);
    if listener.tcp_idle_timeout.is_some()
        && !matches!(protocol, Some(Protocol::Tcp | Protocol::TcpUdp) | None)
    {
        findings.refuse("tcpIdleTimeout", "this belongs to TCP listeners");
    }
    field::seconds(
        findings,
        "tcpIdleTimeout",
        listener.tcp_idle_timeout.as_ref(),
        &limits::TCP_IDLE_TIMEOUT,
    );
    action::routing(
        findings,
        "defaultActions",
        &listener.default_actions,
        Place::Listener(listener),
    );
}

/// Fields of listeners that take TLS off.
fn tls(findings: &mut Findings, listener: &v1::Listener, protocol: Option<Protocol>) {
    let has_tls = matches!(protocol, Some(Protocol::Https | Protocol::Tls) | None);
    for (field, given, what) in [
        (
            "certificates",
            !listener.certificates.is_empty(),
            "a list of certificates",
        ),
        ("sslPolicy", !listener.ssl_policy.is_empty(), "a TLS policy"),
    ] {
        match (given, has_tls) {
            (true, true) => findings.unsupported(field, what),
            (true, false) => findings.refuse(field, "this belongs to HTTPS and TLS listeners"),
            (false, _) => {}
        }
    }
    let policy: AlpnPolicy = field::enumeration(findings, "alpnPolicy", listener.alpn_policy);
    match (policy, protocol) {
        (AlpnPolicy::Unspecified, _) | (AlpnPolicy::None, Some(Protocol::Tls) | None) => {}
        (_, Some(Protocol::Tls) | None) => {
            findings.unsupported(
                "alpnPolicy",
                &format!("the ALPN policy {}", policy.as_str_name()),
            );
        }
        _ => findings.refuse("alpnPolicy", "this belongs to TLS listeners"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, fixed_response, forward, redirect, run};

    fn http() -> v1::Listener {
        v1::Listener {
            name: "http".to_owned(),
            load_balancer: "shop".to_owned(),
            protocol: Protocol::Http.into(),
            port: 8080,
            default_actions: vec![fixed_response(404)],
            ..Default::default()
        }
    }

    fn tcp() -> v1::Listener {
        v1::Listener {
            protocol: Protocol::Tcp.into(),
            default_actions: vec![forward(&["postgres"])],
            ..http()
        }
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn http_listeners() {
        let cases: &[Case<v1::Listener>] = &[
            (|_| {}, &[]),
            (|l| l.default_actions = vec![forward(&["a", "b"])], &[]),
            (
                |l| l.load_balancer.clear(),
                &["loadBalancer: a LoadBalancer is required: one name"],
            ),
            (
                |l| l.load_balancer = "shop/x".to_owned(),
                &[
                    "loadBalancer: 'shop/x' is not the name of a LoadBalancer: expected one name without '/'",
                ],
            ),
            (|l| l.port = 0, &["port: a number is required: 1 to 65535"]),
            (
                |l| l.port = 65536,
                &["port: 65536 is out of range, 1 to 65535 are allowed"],
            ),
            (
                |l| l.protocol = 0,
                &["protocol: a protocol is required: HTTP or TCP"],
            ),
            (|l| l.protocol = 77, &["protocol: the value 77 is unknown"]),
            (
                |l| {
                    l.certificates = vec!["shop".to_owned()];
                    l.ssl_policy = "TLS13".to_owned();
                    l.alpn_policy = AlpnPolicy::Http2Only.into();
                    l.tcp_idle_timeout = seconds(350);
                },
                &[
                    "certificates: this belongs to HTTPS and TLS listeners",
                    "sslPolicy: this belongs to HTTPS and TLS listeners",
                    "alpnPolicy: this belongs to TLS listeners",
                    "tcpIdleTimeout: this belongs to TCP listeners",
                ],
            ),
            (
                |l| l.default_actions.clear(),
                &["defaultActions: an action is required: forward, redirect or fixedResponse"],
            ),
            (
                |l| l.default_actions = vec![fixed_response(404), fixed_response(404)],
                &[
                    "defaultActions: 2 actions are given, exactly one of forward, redirect or fixedResponse is allowed",
                ],
            ),
        ];
        run(http, cases);
    }

    #[test]
    fn tcp_listeners() {
        let cases: &[Case<v1::Listener>] = &[
            (|_| {}, &[]),
            (|l| l.tcp_idle_timeout = seconds(60), &[]),
            (
                |l| l.tcp_idle_timeout = seconds(59),
                &["tcpIdleTimeout: 59s is out of range, 60s to 6000s are allowed"],
            ),
            (
                |l| l.default_actions = vec![fixed_response(404)],
                &["defaultActions[0].fixedResponse: a TCP listener can only forward"],
            ),
            (
                |l| l.default_actions = vec![redirect(|r| r.port = "1".to_owned())],
                &["defaultActions[0].redirect: a TCP listener can only forward"],
            ),
            (
                |l| l.default_actions.clear(),
                &["defaultActions: an action is required: forward"],
            ),
        ];
        run(tcp, cases);
    }

    #[test]
    fn tls_and_datagrams_are_not_served_yet() {
        let cases: &[Case<v1::Listener>] = &[
            (
                |l| {
                    l.protocol = Protocol::Tls.into();
                    l.certificates = vec!["shop".to_owned()];
                    l.alpn_policy = AlpnPolicy::None.into();
                },
                &[
                    "protocol: a listener with the protocol TLS is not supported yet",
                    "certificates: a list of certificates is not supported yet",
                ],
            ),
            (
                |l| {
                    l.protocol = Protocol::Tls.into();
                    l.ssl_policy = "TLS13-1-2".to_owned();
                    l.alpn_policy = AlpnPolicy::Http1Only.into();
                },
                &[
                    "protocol: a listener with the protocol TLS is not supported yet",
                    "sslPolicy: a TLS policy is not supported yet",
                    "alpnPolicy: the ALPN policy HTTP1_ONLY is not supported yet",
                ],
            ),
            (
                |l| l.protocol = Protocol::Udp.into(),
                &["protocol: a listener with the protocol UDP is not supported yet"],
            ),
        ];
        run(tcp, cases);
    }
}
