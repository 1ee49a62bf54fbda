//! The health check of a group (specification: application load balancer, 9.7; network load balancer, 8.1).

use super::field::{self, VISIBLE};
use super::findings::Findings;
use super::{Matcher, limits};
use crate::v1::Protocol;
use crate::{defaults, v1};

pub(super) fn check(findings: &mut Findings, group: &v1::TargetGroup) {
    if let Some(given) = &group.health_check {
        findings.inside("healthCheck", |findings| {
            protocol(findings, group, given);
            field::optional_range(findings, "port", given.port, &limits::PORT);
            http(findings, group, given);
            timing(findings, group, given);
            for (field, value) in [
                ("healthyThreshold", given.healthy_threshold),
                ("unhealthyThreshold", given.unhealthy_threshold),
            ] {
                field::optional_range(findings, field, value, &limits::CHECK_THRESHOLD);
            }
        });
    }
}

fn protocol(findings: &mut Findings, group: &v1::TargetGroup, given: &v1::HealthCheck) {
    let protocol: Protocol = field::enumeration(findings, "protocol", given.protocol);
    match protocol {
        Protocol::Tcp if defaults::is_http(group.protocol()) => {
            findings.refuse(
                "protocol",
                "the targets of HTTP groups are checked by HTTP, not TCP",
            );
        }
        Protocol::Unspecified | Protocol::Http | Protocol::Tcp => {}
        Protocol::Https => findings.unsupported("protocol", "a health check by HTTPS"),
        other => findings.refuse(
            "protocol",
            format!("{} is not HTTP, HTTPS or TCP", other.as_str_name()),
        ),
    }
}

/// Fields that only a check by HTTP has.
fn http(findings: &mut Findings, group: &v1::TargetGroup, given: &v1::HealthCheck) {
    // Of a group without a protocol it is not known yet how it would be checked.
    let unknown = group.protocol() == Protocol::Unspecified && given.protocol == 0;
    let asks_http = unknown || defaults::is_http(defaults::health_check_protocol(group));
    for (field, text) in [("path", &given.path), ("matcher", &given.matcher)] {
        if !text.is_empty() && !asks_http {
            findings.refuse(
                field,
                "this belongs to checks by HTTP: set healthCheck.protocol",
            );
        }
    }
    if !given.path.is_empty() && !given.path.starts_with('/') {
        findings.refuse(
            "path",
            format!("'{}' does not begin with '/'", given.path.escape_debug()),
        );
    }
    field::text(
        findings,
        "path",
        &given.path,
        limits::CHECK_PATH_CHARS,
        &VISIBLE,
    );
    if !given.matcher.is_empty() {
        matcher(findings, group, &given.matcher);
    }
}

fn matcher(findings: &mut Findings, group: &v1::TargetGroup, text: &str) {
    if text.len() > limits::MATCHER_CHARS {
        let (count, max) = (text.chars().count(), limits::MATCHER_CHARS);
        let message = format!("{count} characters are given, at most {max} are allowed");
        return findings.refuse("matcher", message);
    }
    let max = limits::HTTP_GROUP_MATCHER_MAX;
    match Matcher::parse(text) {
        Ok(matcher) if matcher.highest() > max && defaults::is_http(group.protocol()) => findings
            .refuse(
                "matcher",
                format!(
                    "{} is out of range, 200 to {max} are allowed in HTTP groups",
                    matcher.highest()
                ),
            ),
        Ok(_) => {}
        Err(error) => findings.refuse("matcher", error.to_string()),
    }
}

fn timing(findings: &mut Findings, group: &v1::TargetGroup, given: &v1::HealthCheck) {
    let bounds = &limits::CHECK_INTERVAL;
    let interval_ok =
        field::seconds(findings, "interval", given.interval.as_ref(), bounds).is_some();
    let Some(timeout) = field::seconds(
        findings,
        "timeout",
        given.timeout.as_ref(),
        &limits::CHECK_TIMEOUT,
    ) else {
        return;
    };
    let interval = defaults::health_check(group).interval;
    let (too_long, right) = if defaults::is_http(group.protocol()) {
        (timeout >= interval, "be below")
    } else {
        (timeout > interval, "not exceed")
    };
    if too_long && (interval_ok || given.interval.is_none()) {
        let (timeout, interval) = (timeout.as_secs_f64(), interval.as_secs_f64());
        findings.refuse(
            "timeout",
            format!("{timeout}s must {right} the interval, {interval}s"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, http, run, tcp};

    fn given(group: &mut v1::TargetGroup) -> &mut v1::HealthCheck {
        group.health_check.get_or_insert_default()
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn http_groups() {
        let cases: &[Case<v1::TargetGroup>] = &[
            (|g| g.health_check = Some(v1::HealthCheck::default()), &[]),
            (|g| given(g).interval = seconds(5), &[]),
            (|g| given(g).matcher = "200-299,499".to_owned(), &[]),
            (|g| given(g).path = "/healthz?deep=1".to_owned(), &[]),
            (
                |g| given(g).protocol = Protocol::Tcp.into(),
                &["healthCheck.protocol: the targets of HTTP groups are checked by HTTP, not TCP"],
            ),
            (
                |g| given(g).protocol = Protocol::Https.into(),
                &["healthCheck.protocol: a health check by HTTPS is not supported yet"],
            ),
            (
                |g| given(g).protocol = Protocol::Udp.into(),
                &["healthCheck.protocol: UDP is not HTTP, HTTPS or TCP"],
            ),
            (
                |g| given(g).path = "healthz".to_owned(),
                &["healthCheck.path: 'healthz' does not begin with '/'"],
            ),
            (
                |g| given(g).path = format!("/{}", "x".repeat(1024)),
                &["healthCheck.path: 1025 characters are given, at most 1024 are allowed"],
            ),
            (
                |g| given(g).path = "/a b".to_owned(),
                &["healthCheck.path: ' ' is not allowed in '/a b', only visible ASCII"],
            ),
            (
                |g| given(g).interval = seconds(4),
                &["healthCheck.interval: 4s is out of range, 5s to 300s are allowed"],
            ),
            (
                |g| given(g).timeout = seconds(121),
                &["healthCheck.timeout: 121s is out of range, 2s to 120s are allowed"],
            ),
            (
                |g| given(g).timeout = seconds(30),
                &["healthCheck.timeout: 30s must be below the interval, 30s"],
            ),
            (
                |g| given(g).healthy_threshold = 1,
                &["healthCheck.healthyThreshold: 1 is out of range, 2 to 10 are allowed"],
            ),
            (
                |g| given(g).unhealthy_threshold = 11,
                &["healthCheck.unhealthyThreshold: 11 is out of range, 2 to 10 are allowed"],
            ),
            (
                |g| given(g).matcher = "200-500".to_owned(),
                &[
                    "healthCheck.matcher: 500 is out of range, 200 to 499 are allowed in HTTP groups",
                ],
            ),
            (
                |g| given(g).matcher = "2xx".to_owned(),
                &[
                    "healthCheck.matcher: '2xx' is not a status such as 200 or a range such as 200-299",
                ],
            ),
            (
                |g| given(g).matcher = vec!["200"; 256].join(","),
                &["healthCheck.matcher: 1023 characters are given, at most 512 are allowed"],
            ),
            (
                |g| {
                    g.protocol = 0;
                    given(g).path = "/z".to_owned();
                },
                &["protocol: a protocol is required: HTTP or TCP"],
            ),
            (
                |g| given(g).port = 65536,
                &["healthCheck.port: 65536 is out of range, 1 to 65535 are allowed"],
            ),
        ];
        run(http, cases);
    }

    #[test]
    fn tcp_groups() {
        let cases: &[Case<v1::TargetGroup>] = &[
            (|g| given(g).protocol = Protocol::Tcp.into(), &[]),
            (
                |g| {
                    given(g).protocol = Protocol::Http.into();
                    given(g).path = "/z".to_owned();
                    given(g).matcher = "200-599".to_owned();
                },
                &[],
            ),
            (
                |g| {
                    given(g).interval = seconds(10);
                    given(g).timeout = seconds(10);
                },
                &[],
            ),
            (
                |g| {
                    given(g).interval = seconds(10);
                    given(g).timeout = seconds(11);
                },
                &["healthCheck.timeout: 11s must not exceed the interval, 10s"],
            ),
            (
                |g| given(g).path = "/z".to_owned(),
                &["healthCheck.path: this belongs to checks by HTTP: set healthCheck.protocol"],
            ),
            (
                |g| given(g).matcher = "200".to_owned(),
                &["healthCheck.matcher: this belongs to checks by HTTP: set healthCheck.protocol"],
            ),
        ];
        run(tcp, cases);
    }
}
