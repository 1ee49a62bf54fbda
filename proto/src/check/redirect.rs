//! Redirects: keywords, loop protection (specification: application load balancer, 7.3).

use super::action::Place;
use super::field::{self, VISIBLE};
use super::findings::Findings;
use super::limits;
use crate::v1::Protocol;
use crate::{defaults, v1};

/// Every keyword, with the fields in which it is legal.
const KEYWORDS: [(&str, &[&str]); 5] = [
    ("#{protocol}", &["protocol", "query"]),
    ("#{host}", &["host", "path", "query"]),
    ("#{port}", &["port", "path", "query"]),
    ("#{path}", &["path", "query"]),
    ("#{query}", &["query"]),
];

pub(super) fn check(findings: &mut Findings, redirect: &v1::Redirect, place: Place<'_>) {
    match redirect.status_code {
        301 | 302 => {}
        0 => findings.refuse("statusCode", "a status is required: 301 or 302"),
        code => findings.refuse("statusCode", format!("{code} is not 301 or 302")),
    }
    protocol(findings, &redirect.protocol, place);
    port(findings, &redirect.port);
    for (field, text) in [
        ("host", redirect.host.as_str()),
        ("path", &redirect.path),
        ("query", redirect.query.as_deref().unwrap_or_default()),
    ] {
        field::text(findings, field, text, limits::REDIRECT_CHARS, &VISIBLE);
        keywords(findings, field, text);
    }
    if let Some(bad) = redirect
        .host
        .replace("#{host}", "")
        .chars()
        .find(|c| "/?#@\\".contains(*c))
    {
        findings.refuse("host", format!("'{bad}' is not allowed in a host"));
    }
    if !redirect.path.is_empty() && !redirect.path.starts_with('/') {
        findings.refuse(
            "path",
            format!("'{}' does not begin with '/'", redirect.path),
        );
    }
    if redirect
        .query
        .as_deref()
        .is_some_and(|query| query.starts_with('?'))
    {
        findings.refuse("query", "leave out the leading '?'");
    }
    if !changes(redirect, place) {
        findings.refuse(
            "",
            "this leads back to itself: at least one of protocol, host, port and path must change",
        );
    }
}

fn protocol(findings: &mut Findings, protocol: &str, place: Place<'_>) {
    let secure =
        matches!(place, Place::Listener(listener) if listener.protocol() == Protocol::Https);
    match protocol {
        "" | "#{protocol}" | "HTTPS" => {}
        "HTTP" if secure => {
            findings.refuse("protocol", "a redirect from HTTPS to HTTP is not allowed")
        }
        "HTTP" => {}
        other => findings.refuse(
            "protocol",
            format!("'{other}' is not HTTP, HTTPS or #{{protocol}}"),
        ),
    }
}

fn port(findings: &mut Findings, port: &str) {
    let digits = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
    let in_range = port
        .parse()
        .is_ok_and(|port: u32| limits::PORT.contains(&port));
    if !port.is_empty() && port != "#{port}" && !(digits && in_range) {
        findings.refuse("port", format!("'{port}' is not 1 to 65535 or #{{port}}"));
    }
}

/// Every `#{...}` must be a keyword that is legal in this field.
fn keywords(findings: &mut Findings, field: &str, text: &str) {
    let legal: Vec<_> = KEYWORDS
        .iter()
        .filter(|(_, fields)| fields.contains(&field))
        .map(|(keyword, _)| *keyword)
        .collect();
    let mut rest = text;
    while let Some(start) = rest.find("#{") {
        rest = &rest[start..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let (keyword, tail) = rest.split_at(end);
        if !legal.contains(&keyword) {
            let legal = legal.join(", ");
            findings.refuse(
                field,
                format!("'{keyword}' is not a keyword of this field: {legal}"),
            );
        }
        rest = tail;
    }
}

/// Loop protection. At a listener, naming its own protocol or port changes nothing either.
fn changes(redirect: &v1::Redirect, place: Place<'_>) -> bool {
    let given = defaults::redirect(redirect);
    let (protocol, port) = match place {
        Place::Rule => (String::new(), String::new()),
        Place::Listener(listener) => (
            listener.protocol().as_str_name().to_owned(),
            listener.port.to_string(),
        ),
    };
    (given.protocol != "#{protocol}" && given.protocol != protocol)
        || (given.port != "#{port}" && given.port != port)
        || given.host != "#{host}"
        || given.path != "/#{path}"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, redirect, rule};

    const LOOP: &str =
        ": this leads back to itself: at least one of protocol, host, port and path must change";

    fn found(protocol: Option<Protocol>, change: fn(&mut v1::Redirect)) -> Vec<String> {
        let action = redirect(change);
        let field = if protocol.is_some() {
            "defaultActions"
        } else {
            "actions"
        };
        let violations = match protocol {
            None => crate::check::check(
                &v1::Rule {
                    actions: vec![action],
                    ..rule()
                }
                .into(),
            ),
            Some(protocol) => crate::check::check(
                &v1::Listener {
                    name: "l".to_owned(),
                    load_balancer: "b".to_owned(),
                    protocol: protocol.into(),
                    port: 8443,
                    default_actions: vec![action],
                    ..Default::default()
                }
                .into(),
            ),
        };
        let prefix = format!("{field}[0].redirect");
        let own = violations
            .iter()
            .filter_map(|v| Some((v.field.strip_prefix(&prefix)?, &v.message)));
        own.map(|(field, message)| format!("{}: {message}", field.trim_start_matches('.')))
            .collect()
    }

    const OF_RULES: &[Case<v1::Redirect>] = &[
        (|r| r.protocol = "HTTPS".to_owned(), &[]),
        (|r| r.port = "8443".to_owned(), &[]),
        (|r| r.host = "www.#{host}".to_owned(), &[]),
        (|r| r.path = "/new/#{path}/#{host}/#{port}".to_owned(), &[]),
        (
            |r| {
                r.path = "/x".to_owned();
                r.query = Some("p=#{protocol}&h=#{host}&#{port}#{path}#{query}".to_owned());
            },
            &[],
        ),
        (
            |r| {
                r.path = "/x".to_owned();
                r.query = Some(String::new());
            },
            &[],
        ),
        (|_| {}, &[LOOP]),
        (|r| r.query = Some("x=1".to_owned()), &[LOOP]),
        (
            |r| {
                r.protocol = "#{protocol}".to_owned();
                r.host = "#{host}".to_owned();
                r.port = "#{port}".to_owned();
                r.path = "/#{path}".to_owned();
            },
            &[LOOP],
        ),
        (
            |r| r.protocol = "https".to_owned(),
            &["protocol: 'https' is not HTTP, HTTPS or #{protocol}"],
        ),
        (
            |r| r.port = "0".to_owned(),
            &["port: '0' is not 1 to 65535 or #{port}"],
        ),
        (
            |r| r.port = "65536".to_owned(),
            &["port: '65536' is not 1 to 65535 or #{port}"],
        ),
        (
            |r| r.port = "+80".to_owned(),
            &["port: '+80' is not 1 to 65535 or #{port}"],
        ),
        (
            |r| r.host = "#{path}.x".to_owned(),
            &[
                "host: '#{path}' is not a keyword of this field: #{host}",
                "host: '#' is not allowed in a host",
            ],
        ),
        (
            |r| r.host = "a/b".to_owned(),
            &["host: '/' is not allowed in a host"],
        ),
        (
            |r| r.path = "/#{query}".to_owned(),
            &["path: '#{query}' is not a keyword of this field: #{host}, #{port}, #{path}"],
        ),
        (
            |r| r.path = "/#{hos".to_owned(),
            &["path: '#{hos' is not a keyword of this field: #{host}, #{port}, #{path}"],
        ),
        (
            |r| r.path = "x".to_owned(),
            &["path: 'x' does not begin with '/'"],
        ),
        (
            |r| r.path = format!("/{}", "x".repeat(128)),
            &["path: 129 characters are given, at most 128 are allowed"],
        ),
        (
            |r| r.path = "/a\r\nb".to_owned(),
            &[r"path: '\r' is not allowed in '/a\r\nb', only visible ASCII"],
        ),
        (
            |r| {
                r.path = "/x".to_owned();
                r.query = Some("?a".to_owned());
            },
            &["query: leave out the leading '?'"],
        ),
        (
            |r| {
                r.path = "/x".to_owned();
                r.status_code = 0;
            },
            &["statusCode: a status is required: 301 or 302"],
        ),
        (
            |r| {
                r.path = "/x".to_owned();
                r.status_code = 307;
            },
            &["statusCode: 307 is not 301 or 302"],
        ),
    ];

    #[test]
    fn redirects_of_rules() {
        for (change, expected) in OF_RULES {
            assert_eq!(found(None, *change), *expected);
        }
    }

    #[test]
    fn a_listener_knows_its_own_protocol_and_port() {
        let same: fn(&mut v1::Redirect) = |r| {
            r.protocol = "HTTP".to_owned();
            r.port = "8443".to_owned();
        };
        assert_eq!(found(Some(Protocol::Http), same), [LOOP]);
        assert_eq!(
            found(Some(Protocol::Https), same),
            ["protocol: a redirect from HTTPS to HTTP is not allowed"]
        );
        assert!(found(Some(Protocol::Http), |r| r.protocol = "HTTPS".to_owned()).is_empty());
    }
}
