//! What a field means when it is absent: the one place that knows, for the control plane, the agent and `lbctl`.
//!
//! Every function takes a message that has passed [`crate::check::check`] and gives the value in force. A value that
//! the check would have refused counts as absent here, so nothing in this module can fail.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::check::Matcher;
use crate::v1;

/// Longest time without a byte on an HTTP connection (application load balancer, 2.2).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest life of a client connection (application load balancer, 2.2).
pub const CLIENT_KEEP_ALIVE: Duration = Duration::from_secs(3600);
/// Longest time without a byte on a relayed TCP connection (network load balancer, 4.2).
pub const TCP_IDLE_TIMEOUT: Duration = Duration::from_secs(350);
/// How long a deregistered target may finish (application load balancer, 9.3; network load balancer, 7.2).
pub const DEREGISTRATION_DELAY: Duration = Duration::from_secs(300);
/// Share of a target, or of a target group in a forward action (application load balancer, 7.3).
pub const WEIGHT: u32 = 1;
/// Where a load balancer listens: every address of the host.
pub const ADDRESSES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];
/// Content type of a fixed response with a body (application load balancer, 7.3).
pub const CONTENT_TYPE: &str = "text/plain";

/// Time between two checks (application load balancer, 9.7; network load balancer, 8.1).
const CHECK_INTERVAL: Duration = Duration::from_secs(30);
/// Answer time of a check in an HTTP group (application load balancer, 9.7).
const CHECK_TIMEOUT_HTTP_GROUP: Duration = Duration::from_secs(5);
/// Answer time of an HTTP check in a group below HTTP (network load balancer, 8.1).
const CHECK_TIMEOUT_HTTP: Duration = Duration::from_secs(6);
/// Answer time of a TCP or HTTPS check in a group below HTTP (network load balancer, 8.1).
const CHECK_TIMEOUT_TCP: Duration = Duration::from_secs(10);
/// A default timeout gives way to a shorter interval: in HTTP groups it stays this much below.
const CHECK_TIMEOUT_GAP: Duration = Duration::from_secs(1);
const HEALTHY_THRESHOLD: u32 = 5;
const UNHEALTHY_THRESHOLD: u32 = 2;

/// The attributes of an application load balancer in force (application load balancer, 2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveApplication {
    /// Longest time without a byte on a client or target connection.
    pub idle_timeout: Duration,
    /// Longest life of a client connection.
    pub client_keep_alive: Duration,
    /// Never unspecified.
    pub desync_mitigation: v1::application_attributes::DesyncMitigation,
    /// Headers with other names than `[-A-Za-z0-9]+` are removed.
    pub drop_invalid_header_fields: bool,
    /// The Host header is forwarded byte for byte.
    pub preserve_host_header: bool,
    /// Never unspecified.
    pub x_forwarded_for: v1::x_forwarded_for::Mode,
    /// X-Forwarded-For elements carry the port; false unless the mode is APPEND.
    pub client_port: bool,
}

/// A group's health check in force (application load balancer, 9.7; network load balancer, 8.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveHealthCheck {
    /// HTTP, HTTPS or TCP.
    pub protocol: v1::Protocol,
    /// Port to ask; `None` = the target's own.
    pub port: Option<u16>,
    /// HTTP: path and query to GET. Without meaning for TCP.
    pub path: String,
    /// Time between two checks.
    pub interval: Duration,
    /// Time for the answer.
    pub timeout: Duration,
    /// Passed checks in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failed checks in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// HTTP: statuses that pass. Without meaning for TCP.
    pub matcher: Matcher,
}

/// The parts of a redirect in force, keywords not yet replaced (application load balancer, 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectiveRedirect<'a> {
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: &'a str,
    /// May hold keywords.
    pub host: &'a str,
    /// A number or `#{port}`.
    pub port: &'a str,
    /// Begins with `/`; may hold keywords.
    pub path: &'a str,
    /// Without `?`; empty = no query.
    pub query: &'a str,
    /// 301 or 302.
    pub status_code: u16,
}

/// The addresses that the agents bind, in the order given.
pub fn addresses(balancer: &v1::LoadBalancer) -> Vec<IpAddr> {
    if balancer.addresses.is_empty() {
        return ADDRESSES.to_vec();
    }
    balancer
        .addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

/// The attributes of an application load balancer.
pub fn application(balancer: &v1::LoadBalancer) -> EffectiveApplication {
    use v1::application_attributes::DesyncMitigation;
    use v1::x_forwarded_for::Mode;

    let given = balancer.application.unwrap_or_default();
    let forwarded = given.x_forwarded_for.unwrap_or_default();
    let mode = match forwarded.mode() {
        Mode::Unspecified => Mode::Append,
        mode => mode,
    };
    let desync = DesyncMitigation::try_from(given.desync_mitigation).unwrap_or_default();
    EffectiveApplication {
        idle_timeout: duration(given.idle_timeout.as_ref(), IDLE_TIMEOUT),
        client_keep_alive: duration(given.client_keep_alive.as_ref(), CLIENT_KEEP_ALIVE),
        desync_mitigation: match desync {
            DesyncMitigation::Unspecified => DesyncMitigation::Defensive,
            mode => mode,
        },
        drop_invalid_header_fields: given.drop_invalid_header_fields,
        preserve_host_header: given.preserve_host_header,
        x_forwarded_for: mode,
        client_port: forwarded.client_port && mode == Mode::Append,
    }
}

/// Longest time without a byte on a connection of a TCP listener.
pub fn tcp_idle_timeout(listener: &v1::Listener) -> Duration {
    duration(listener.tcp_idle_timeout.as_ref(), TCP_IDLE_TIMEOUT)
}

/// How long requests and connections to a deregistered target may go on; zero = they end at once.
pub fn deregistration_delay(group: &v1::TargetGroup) -> Duration {
    duration(group.deregistration_delay.as_ref(), DEREGISTRATION_DELAY)
}

/// How a target is chosen for a request; never unspecified.
pub fn algorithm(group: &v1::TargetGroup) -> v1::target_group::Algorithm {
    match group.algorithm() {
        v1::target_group::Algorithm::Unspecified => v1::target_group::Algorithm::RoundRobin,
        algorithm => algorithm,
    }
}

/// How the health of the group's targets is found out.
///
/// An absent timeout gives way to a short interval: in HTTP groups it is at most 1 s below it, else at most equal.
pub fn health_check(group: &v1::TargetGroup) -> EffectiveHealthCheck {
    let given = group.health_check.clone().unwrap_or_default();
    let http_group = is_http(group.protocol());
    let protocol = health_check_protocol(group);
    let interval = duration(given.interval.as_ref(), CHECK_INTERVAL);
    let timeout = match (http_group, protocol) {
        (true, _) => CHECK_TIMEOUT_HTTP_GROUP.min(interval.saturating_sub(CHECK_TIMEOUT_GAP)),
        (false, v1::Protocol::Http) => CHECK_TIMEOUT_HTTP.min(interval),
        (false, _) => CHECK_TIMEOUT_TCP.min(interval),
    };
    EffectiveHealthCheck {
        protocol,
        port: u16::try_from(given.port).ok().filter(|port| *port != 0),
        path: if given.path.is_empty() {
            "/".to_owned()
        } else {
            given.path
        },
        interval,
        timeout: duration(given.timeout.as_ref(), timeout),
        healthy_threshold: or_default(given.healthy_threshold, HEALTHY_THRESHOLD),
        unhealthy_threshold: or_default(given.unhealthy_threshold, UNHEALTHY_THRESHOLD),
        matcher: Matcher::parse(&given.matcher).unwrap_or_else(|_| default_matcher(http_group)),
    }
}

/// What a group's health check speaks: as given, or HTTP for HTTP groups and TCP below.
pub fn health_check_protocol(group: &v1::TargetGroup) -> v1::Protocol {
    let given = group
        .health_check
        .as_ref()
        .map_or(v1::Protocol::Unspecified, v1::HealthCheck::protocol);
    match given {
        v1::Protocol::Unspecified if is_http(group.protocol()) => v1::Protocol::Http,
        v1::Protocol::Unspecified => v1::Protocol::Tcp,
        protocol => protocol,
    }
}

/// Share of a target in relation to the others; 0 = nothing new.
pub fn target_weight(target: &v1::Target) -> u32 {
    target.weight.unwrap_or(WEIGHT)
}

/// Share of a group in a forward action; 0 = nothing new.
pub fn group_weight(group: &v1::forward::WeightedTargetGroup) -> u32 {
    group.weight.unwrap_or(WEIGHT)
}

/// Port of a target: its own, or that of its group.
pub fn target_port(target: &v1::Target, group: &v1::TargetGroup) -> u32 {
    or_default(target.port, group.port)
}

/// The parts of a redirect.
pub fn redirect(redirect: &v1::Redirect) -> EffectiveRedirect<'_> {
    EffectiveRedirect {
        protocol: text(&redirect.protocol, "#{protocol}"),
        host: text(&redirect.host, "#{host}"),
        port: text(&redirect.port, "#{port}"),
        path: text(&redirect.path, "/#{path}"),
        query: redirect.query.as_deref().unwrap_or("#{query}"),
        status_code: u16::try_from(redirect.status_code).unwrap_or_default(),
    }
}

/// Content type of a fixed response.
pub fn content_type(response: &v1::FixedResponse) -> &str {
    text(&response.content_type, CONTENT_TYPE)
}

/// Whether a protocol is one of requests (HTTP, HTTPS) rather than of connections or datagrams.
pub fn is_http(protocol: v1::Protocol) -> bool {
    matches!(protocol, v1::Protocol::Http | v1::Protocol::Https)
}

fn default_matcher(http_group: bool) -> Matcher {
    Matcher::parse(if http_group { "200" } else { "200-399" }).expect("both texts are matchers")
}

fn duration(given: Option<&prost_types::Duration>, default: Duration) -> Duration {
    given
        .and_then(|given| Duration::try_from(*given).ok())
        .unwrap_or(default)
}

fn or_default(given: u32, default: u32) -> u32 {
    if given == 0 { default } else { given }
}

fn text<'a>(given: &'a str, default: &'a str) -> &'a str {
    if given.is_empty() { default } else { given }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(protocol: v1::Protocol, check: v1::HealthCheck) -> v1::TargetGroup {
        v1::TargetGroup {
            protocol: protocol.into(),
            health_check: Some(check),
            ..Default::default()
        }
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn health_check_defaults_follow_group_and_check_protocol() {
        use v1::Protocol::{Http, Tcp, Unspecified};
        for (protocol, check, effective, timeout, passes) in [
            (Http, Unspecified, Http, 5, 200),
            (Tcp, Unspecified, Tcp, 10, 399),
            (Tcp, Http, Http, 6, 399),
        ] {
            let check = v1::HealthCheck {
                protocol: check.into(),
                ..Default::default()
            };
            let found = health_check(&group(protocol, check));
            assert_eq!(
                (
                    found.protocol,
                    found.timeout.as_secs(),
                    found.matcher.highest()
                ),
                (effective, timeout, passes)
            );
            assert_eq!(
                (found.port, found.path.as_str(), found.interval.as_secs()),
                (None, "/", 30)
            );
            assert_eq!((found.healthy_threshold, found.unhealthy_threshold), (5, 2));
        }
    }

    #[test]
    fn an_absent_timeout_gives_way_to_a_short_interval() {
        for (protocol, interval, timeout) in [(v1::Protocol::Http, 5, 4), (v1::Protocol::Tcp, 5, 5)]
        {
            let check = v1::HealthCheck {
                interval: seconds(interval),
                ..Default::default()
            };
            assert_eq!(
                health_check(&group(protocol, check)).timeout.as_secs(),
                timeout
            );
        }
    }

    #[test]
    fn given_values_win() {
        let check = v1::HealthCheck {
            port: 81,
            path: "/z".to_owned(),
            timeout: seconds(2),
            healthy_threshold: 3,
            matcher: "204".to_owned(),
            ..Default::default()
        };
        let found = health_check(&group(v1::Protocol::Http, check));
        assert_eq!(
            (found.port, found.path.as_str(), found.timeout.as_secs()),
            (Some(81), "/z", 2)
        );
        assert_eq!((found.healthy_threshold, found.matcher.highest()), (3, 204));
    }

    #[test]
    fn an_empty_load_balancer_has_every_default() {
        let balancer = v1::LoadBalancer::default();
        assert_eq!(addresses(&balancer), ADDRESSES);
        let found = application(&balancer);
        assert_eq!(
            (found.idle_timeout, found.client_keep_alive),
            (IDLE_TIMEOUT, CLIENT_KEEP_ALIVE)
        );
        assert_eq!(found.x_forwarded_for, v1::x_forwarded_for::Mode::Append);
        assert_eq!(
            found.desync_mitigation,
            v1::application_attributes::DesyncMitigation::Defensive
        );
    }

    #[test]
    fn an_absent_query_is_kept_and_an_empty_one_dropped() {
        let mut given = v1::Redirect::default();
        assert_eq!(redirect(&given).query, "#{query}");
        given.query = Some(String::new());
        assert_eq!(redirect(&given).query, "");
    }
}
