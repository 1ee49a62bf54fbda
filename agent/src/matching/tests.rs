//! Each condition by itself, and which rule wins. Requests are written as changes of one.

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::table::FixedResponse;
use crate::table::router::{Case, Condition, Pattern, Rule, Rules};

mod property;

/// Headers as a test writes them.
#[derive(Debug, Clone, Copy)]
struct Lines<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Lines<'_> {
    fn any(&self, name: &[u8], look: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut lines = self.0.iter();
        lines
            .any(|(own, value)| own.as_bytes().eq_ignore_ascii_case(name) && look(value.as_bytes()))
    }
}

/// `GET http://shop.example.com/` from 192.0.2.1, without headers.
const REQUEST: Request<'_, Lines<'_>> = Request {
    method: b"GET",
    host: b"shop.example.com",
    path: b"/",
    query: None,
    source: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    headers: Lines(&[]),
};

fn answer(status: u16) -> Action {
    Action::FixedResponse(Box::new(FixedResponse {
        status,
        content_type: "".into(),
        body: "".into(),
    }))
}

/// A router of rules with these priorities.
fn router(rules: Vec<(u32, Vec<Condition>)>) -> Router {
    let rule = |(priority, conditions): (u32, Vec<Condition>)| {
        Arc::new(Rule {
            name: format!("rule-{priority}").into(),
            priority,
            conditions: conditions.into(),
            action: answer(200),
        })
    };
    Router {
        default: answer(404),
        rules: Arc::new(Rules::new(rules.into_iter().map(rule).collect())),
    }
}

fn patterns(texts: &[&str], case: Case) -> Box<[Pattern]> {
    texts.iter().map(|text| Pattern::new(text, case)).collect()
}

fn host(texts: &[&str]) -> Condition {
    let lower = texts.iter().map(|text| text.to_ascii_lowercase());
    Condition::Host(
        lower
            .map(|text| Pattern::new(&text, Case::Matters))
            .collect(),
    )
}

fn path(texts: &[&str]) -> Condition {
    Condition::Path(patterns(texts, Case::Matters))
}

fn header(name: &str, texts: &[&str]) -> Condition {
    Condition::Header {
        name: name.as_bytes().into(),
        values: patterns(texts, Case::Ignored),
    }
}

fn method(texts: &[&str]) -> Condition {
    Condition::Method(texts.iter().map(|text| text.as_bytes().into()).collect())
}

/// An empty name = any.
fn query(pairs: &[(&str, &str)]) -> Condition {
    let pattern = |text: &str| Pattern::escaped(text, Case::Ignored);
    let pair = |(name, value): &(&str, &str)| {
        let name = (!name.is_empty()).then(|| pattern(name));
        (name, pattern(value))
    };
    Condition::Query(pairs.iter().map(pair).collect())
}

fn source(nets: &[&str]) -> Condition {
    Condition::Source(nets.iter().map(|net| net.parse().unwrap()).collect())
}

/// Whether the only rule matches.
fn holds(condition: Condition, request: Request<'_, Lines<'_>>) -> bool {
    find(&router(vec![(1, vec![condition])]), &request).priority == 1
}

#[test]
fn hosts_match_without_case_and_as_a_whole() {
    for (pattern, name, expected) in [
        ("shop.example.com", "shop.example.com", true),
        ("Shop.Example.Com", "sHOP.example.COM", true),
        ("shop.example.com", "shop.example.com.evil.org", false),
        ("*.example.com", "shop.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*example.com", "example.com", true),
        ("shop?.example.com", "shop1.example.com", true),
        ("shop?.example.com", "shop.example.com", false),
        ("a*.com", "", false),
        ("*.com", "a\x01.com", false),
    ] {
        let request = Request {
            host: name.as_bytes(),
            ..REQUEST
        };
        assert_eq!(
            holds(host(&[pattern]), request),
            expected,
            "{pattern} {name}"
        );
    }
    let long = format!("{}.example.com", "x".repeat(300));
    let request = Request {
        host: long.as_bytes(),
        ..REQUEST
    };
    assert!(holds(host(&["*.example.com"]), request));
}

#[test]
fn paths_match_with_case_in_normal_form_and_without_the_query() {
    for (pattern, text, expected) in [
        ("/catalog", "/catalog", true),
        ("/catalog", "/Catalog", false),
        ("/catalog", "/catalog/", false),
        ("/catalog*", "/catalog/x/y", true),
        ("/img/*.jpg", "/img/a/b.jpg", true),
        ("/img/*.jpg", "/img/a.jpg.exe", false),
        ("/?/x", "/a/x", true),
        ("/admin/*", "/x/../admin/./y", true),
        ("/admin/*", "/%61dmin/y", true),
        ("/admin/*", "/admin/../y", false),
        ("*", "*", true),
        ("/a*", "/a\x7f", false),
    ] {
        let request = Request {
            path: text.as_bytes(),
            query: Some(b"/catalog"),
            ..REQUEST
        };
        assert_eq!(
            holds(path(&[pattern]), request),
            expected,
            "{pattern} {text}"
        );
    }
}

#[test]
fn repeated_headers_are_tried_one_by_one_without_case() {
    for (name, pattern, expected) in [
        ("user-agent", "*Chrome*", true),
        ("user-agent", "mozilla/5.0", true),
        ("x-team", "red", true),
        ("x-team", "BLUE", true),
        ("x-team", "red*blue", false),
        ("x-other", "*", false),
        ("x-tab", "*", false),
        ("x-empty", "*", true),
    ] {
        let headers = Lines(&[
            ("User-Agent", "Mozilla/5.0"),
            ("X-Team", "Red"),
            ("USER-AGENT", "x chrome y"),
            ("X-Team", "Blue"),
            ("X-Tab", "a\tb"),
            ("X-Empty", ""),
        ]);
        let request = Request { headers, ..REQUEST };
        assert_eq!(
            holds(header(name, &[pattern]), request),
            expected,
            "{name} {pattern}"
        );
    }
}

#[test]
fn methods_are_compared_with_case() {
    for (methods, expected) in [
        (&["GET"][..], true),
        (&["POST", "GET"], true),
        (&["get"], false),
        (&["GE"], false),
    ] {
        assert_eq!(holds(method(methods), REQUEST), expected, "{methods:?}");
    }
}

#[test]
fn a_query_matches_by_any_of_its_parameters_as_sent() {
    for (pairs, text, expected) in [
        (&[("version", "v1")][..], Some("version=v1"), true),
        (&[("version", "v1")], Some("a=b&VERSION=V1&c"), true),
        (&[("version", "v1")], Some("version=v11"), false),
        (&[("version", "v1")], Some("v1"), false),
        (&[("version", "v1")], None, false),
        (&[("", "*example*")], Some("q=an+example+"), true),
        (&[("", "v1")], Some("a=v1"), true),
        (&[("a", "1"), ("b", "2")], Some("b=2"), true),
        (&[("flag", "*")], Some("x&flag"), true),
        (&[("ver*", "v?")], Some("version=v2"), true),
        (&[("a", r"\*")], Some("a=*"), true),
        (&[("a", r"\*")], Some("a=x"), false),
        (&[("a", "b=c")], Some("a=b=c"), true),
        (&[("a", "b")], Some("a=%62"), false),
        (&[("a", "b")], Some("x=1#a=b"), false),
        (&[("", "*")], Some("&&"), false),
        (&[("", "*")], Some(""), false),
    ] {
        let request = Request {
            query: text.map(str::as_bytes),
            ..REQUEST
        };
        assert_eq!(holds(query(pairs), request), expected, "{pairs:?} {text:?}");
    }
}

#[test]
fn sources_match_by_network_whatever_the_socket_calls_them() {
    for (net, address, expected) in [
        ("192.0.2.0/24", "192.0.2.77", true),
        ("192.0.2.0/24", "192.0.3.77", false),
        ("192.0.2.0/24", "::ffff:192.0.2.77", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("2001:db8::/32", "2001:db8::1", true),
        ("::/0", "192.0.2.1", false),
    ] {
        let request = Request {
            source: address.parse().unwrap(),
            ..REQUEST
        };
        assert_eq!(holds(source(&[net]), request), expected, "{net} {address}");
    }
}

#[test]
fn the_lowest_priority_whose_conditions_all_hold_wins() {
    let router = router(vec![
        (30, vec![path(&["/catalog/*"])]),
        (
            10,
            vec![
                host(&["*.example.com"]),
                path(&["/catalog/*", "/c/*"]),
                method(&["POST"]),
            ],
        ),
        (
            20,
            vec![host(&["a.example.com", "b.example.com"]), path(&["/c/*"])],
        ),
        (40, vec![host(&["*.example.com"])]),
        (50, vec![source(&["192.0.2.0/24"])]),
    ]);
    for (method, host, path, expected) in [
        ("POST", "x.example.com", "/c/1", 10),
        ("POST", "x.example.com", "/catalog/1", 10),
        ("GET", "x.example.com", "/catalog/1", 30),
        ("GET", "b.example.com", "/c/1", 20),
        ("GET", "x.example.com", "/c/1", 40),
        ("GET", "example.org", "/c/1", 50),
        ("POST", "", "/catalog/1", 30),
    ] {
        let request = Request {
            method: method.as_bytes(),
            host: host.as_bytes(),
            path: path.as_bytes(),
            ..REQUEST
        };
        assert_eq!(
            find(&router, &request).priority,
            expected,
            "{method} {host} {path}"
        );
    }
    let stranger = Request {
        source: "198.51.100.1".parse().unwrap(),
        host: b"example.org",
        ..REQUEST
    };
    let found = find(&router, &stranger);
    assert_eq!(found.priority, 0);
    assert!(matches!(found.action, Action::FixedResponse(answer) if answer.status == 404));
}

/// What the number of rules must not cost: a rule is tried only if its host and path fit already. Counted, not timed.
#[test]
fn of_ten_thousand_rules_only_those_whose_host_and_path_fit_are_tried() {
    for count in [1, 100, 10_000] {
        let rule = |number: u32| {
            let (name, prefix) = (
                format!("h{}.example.com", number % 50),
                format!("/s{number}/*"),
            );
            let conditions = vec![host(&[&name]), path(&[&prefix]), method(&["GET"])];
            (number + 1, conditions)
        };
        let router = router((0..count).map(rule).collect());
        let tried = |name: &str, path: &str| {
            let mut tried = 0;
            let found = router
                .rules
                .first(Some(name.as_bytes()), Some(path.as_bytes()), |_| {
                    tried += 1;
                    true
                });
            (found.map(|rule| rule.priority), tried)
        };
        let last = count - 1;
        let of_last = format!("h{}.example.com", last % 50);
        assert_eq!(
            tried(&of_last, &format!("/s{last}/item")),
            (Some(count), 1),
            "{count} rules"
        );
        assert_eq!(tried("h0.example.com", "/s0/item"), (Some(1), 1));
        assert_eq!(tried("h0.example.com", "/none"), (None, 0));
        assert_eq!(tried("other.example.com", "/s0/item"), (None, 0));
    }
}
