//! Tables of conditions, good and bad.

use super::*;
use crate::check::tests::rule;

fn list(values: &[&str]) -> v1::ValuesCondition {
    v1::ValuesCondition {
        values: values.iter().map(|value| (*value).to_owned()).collect(),
        regex_values: Vec::new(),
    }
}

fn header(name: &str, values: &[&str]) -> Body {
    Body::HttpHeader(v1::HttpHeaderCondition {
        name: name.to_owned(),
        values: list(values).values,
        regex_values: Vec::new(),
    })
}

fn query(pairs: &[(&str, &str)]) -> Body {
    let pair = |(key, value): &(&str, &str)| v1::query_string_condition::KeyValue {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    Body::QueryString(v1::QueryStringCondition {
        values: pairs.iter().map(pair).collect(),
    })
}

/// The violations of a rule with these conditions.
fn found(bodies: Vec<Body>) -> Vec<String> {
    let conditions = bodies
        .into_iter()
        .map(|body| v1::Condition { kind: Some(body) })
        .collect();
    let violations = crate::check::check(
        &v1::Rule {
            conditions,
            ..rule()
        }
        .into(),
    );
    violations
        .into_iter()
        .map(|v| format!("{}: {}", v.field, v.message))
        .collect()
}

/// Runs a table of single conditions; the expected text is what follows `conditions[0].`.
fn table(cases: Vec<(Body, &[&str])>) {
    for (body, expected) in cases {
        let shown = format!("{body:?}");
        let expected: Vec<_> = expected
            .iter()
            .map(|text| format!("conditions[0].{text}"))
            .collect();
        assert_eq!(found(vec![body]), expected, "{shown}");
    }
}

#[test]
fn hosts() {
    let host = |values: &[&str]| Body::HostHeader(list(values));
    let long = format!("{}.com", "x".repeat(125));
    table(vec![
        (
            host(&["shop.example.com", "*.Example.com", "s?op.example-1.com"]),
            &[],
        ),
        (host(&[]), &["hostHeader.values: a value is required"]),
        (
            host(&["a.b", "c.d", "e.f", "g.h"]),
            &["hostHeader.values: 4 are given, at most 3 are allowed"],
        ),
        (
            host(&[""]),
            &["hostHeader.values[0]: a value cannot be empty"],
        ),
        (
            host(&["localhost"]),
            &["hostHeader.values[0]: 'localhost' has no '.': a host pattern needs at least one"],
        ),
        (
            host(&["example.*"]),
            &["hostHeader.values[0]: '*' follows the last '.' of 'example.*': only letters may"],
        ),
        (
            host(&["127.0.0.1"]),
            &["hostHeader.values[0]: '1' follows the last '.' of '127.0.0.1': only letters may"],
        ),
        (
            host(&["a_b.com"]),
            &[concat!(
                "hostHeader.values[0]: '_' is not allowed in 'a_b.com', only letters, digits, '.', '-' and the ",
                "wildcards '*' and '?'",
            )],
        ),
        (
            host(&[&long]),
            &["hostHeader.values[0]: 129 characters are given, at most 128 are allowed"],
        ),
        (
            host(&["a.com", "A.com"]),
            &["hostHeader.values[1]: 'A.com' is given already at values[0]"],
        ),
    ]);
}

#[test]
fn paths() {
    let path = |values: &[&str]| Body::PathPattern(list(values));
    table(vec![
        (path(&["/catalog/*", "*.jpg", "/a-Z_0.$/~\"'@:+&?"]), &[]),
        (path(&["/a", "/A"]), &[]),
        (
            path(&["/a", "/a"]),
            &["pathPattern.values[1]: '/a' is given already at values[0]"],
        ),
        (
            path(&["/a b"]),
            &[concat!(
                "pathPattern.values[0]: ' ' is not allowed in '/a b', only letters, digits, _ - . $ / ~ \" ' @ : + & ",
                "and the wildcards '*' and '?'",
            )],
        ),
        (
            path(&["/%41"]),
            &[concat!(
                "pathPattern.values[0]: '%' is not allowed in '/%41', only letters, digits, _ - . $ / ~ \" ' @ : + & ",
                "and the wildcards '*' and '?'",
            )],
        ),
    ]);
}

#[test]
fn headers_and_methods() {
    let method = |values: &[&str]| Body::HttpRequestMethod(list(values));
    table(vec![
        (header("X-Client", &["legacy*", "with space"]), &[]),
        (
            header("", &["x"]),
            &["httpHeader.name: the name of a header is required"],
        ),
        (
            header("HOST", &["x"]),
            &["httpHeader.name: the Host header has its own condition: hostHeader"],
        ),
        (
            header("X Client", &["x"]),
            &["httpHeader.name: ' ' is not allowed in 'X Client', only the characters of a token"],
        ),
        (
            header(&"x".repeat(41), &["x"]),
            &["httpHeader.name: 41 characters are given, at most 40 are allowed"],
        ),
        (
            header("X", &["é"]),
            &["httpHeader.values[0]: 'é' is not allowed in 'é', only printable ASCII"],
        ),
        (
            header("X", &["a", "A"]),
            &["httpHeader.values[1]: 'A' is given already at values[0]"],
        ),
        (method(&["GET", "M-SEARCH", "MY_METHOD"]), &[]),
        (
            method(&["get"]),
            &["httpRequestMethod.values[0]: 'g' is not allowed in 'get', only A-Z, '_' and '-'"],
        ),
        (
            method(&["*"]),
            &["httpRequestMethod.values[0]: '*' is not allowed in '*', only A-Z, '_' and '-'"],
        ),
    ]);
}

#[test]
fn queries_and_addresses() {
    let source = |values: &[&str]| Body::SourceIp(list(values));
    table(vec![
        (
            query(&[("version", "1"), ("", "beta*"), ("q", r"a\*\?\\b")]),
            &[],
        ),
        (query(&[]), &["queryString.values: a value is required"]),
        (
            query(&[("k", "")]),
            &["queryString.values[0].value: a value cannot be empty"],
        ),
        (
            query(&[("", r"a\b")]),
            &[
                r"queryString.values[0].value: '\' stands only before '*', '?' or '\', to take it literally",
            ],
        ),
        (
            query(&[("k", "a\n")]),
            &[r"queryString.values[0].value: '\n' is not allowed in 'a\n', only printable ASCII"],
        ),
        (
            query(&[("K", "v"), ("k", "V")]),
            &["queryString.values[1]: 'k=V' is given already at values[0]"],
        ),
        (
            source(&["127.0.0.0/8", "::1/128", "0.0.0.0/0", "::/0", "10.0.0.1/32"]),
            &[],
        ),
        (
            source(&[
                "1.0.0.0/8",
                "2.0.0.0/8",
                "3.0.0.0/8",
                "4.0.0.0/8",
                "5.0.0.0/8",
                "6.0.0.0/8",
            ]),
            &["sourceIp.values: 6 are given, at most 5 are allowed"],
        ),
        (
            source(&["10.0.0.1", "10.0.0.0/33"]),
            &[
                "sourceIp.values[0]: '10.0.0.1' is not in CIDR notation such as 10.0.0.0/8 or ::1/128",
                "sourceIp.values[1]: '10.0.0.0/33' is not in CIDR notation such as 10.0.0.0/8 or ::1/128",
            ],
        ),
        (
            source(&["255.255.255.255/32"]),
            &["sourceIp.values[0]: 255.255.255.255/32 is nobody's address"],
        ),
        (
            source(&["10.0.0.0/8", "10.1.2.3/8"]),
            &["sourceIp.values[1]: '10.1.2.3/8' is given already at values[0]"],
        ),
    ]);
}

#[test]
fn regular_expressions_are_not_served_yet() {
    let regex = || vec!["^a".to_owned()];
    table(vec![
        (
            Body::PathPattern(v1::ValuesCondition {
                values: Vec::new(),
                regex_values: regex(),
            }),
            &["pathPattern.regexValues: a regular expression is not supported yet"],
        ),
        (
            Body::HostHeader(v1::ValuesCondition {
                values: vec!["a.b".to_owned()],
                regex_values: regex(),
            }),
            &[
                "hostHeader.regexValues: a regular expression is not supported yet",
                "hostHeader: either values or regexValues can be given, not both",
            ],
        ),
    ]);
}

#[test]
fn a_rule_has_bounded_patterns_and_wildcards() {
    let host = |values: &[&str]| Body::HostHeader(list(values));
    let path = |values: &[&str]| Body::PathPattern(list(values));
    let addresses = || Body::SourceIp(list(&["10.0.0.0/8", "::1/128"]));
    let methods = || Body::HttpRequestMethod(list(&["GET", "HEAD"]));
    let once = "a rule can have this condition once: put its values into one list";
    for (bodies, expected) in [
        (
            vec![
                host(&["a.b", "c.d"]),
                path(&["/1", "/2", "/3"]),
                methods(),
                addresses(),
            ],
            vec![],
        ),
        (
            vec![host(&["a.b", "c.d", "e.f"]), path(&["/1", "/2", "/3"])],
            vec!["conditions: the rule has 6 patterns, at most 5 are allowed".to_owned()],
        ),
        (vec![path(&["/***", "/???"])], vec![]),
        (
            vec![path(&["/***", "/????"])],
            vec!["conditions: the rule has 7 wildcards, at most 6 are allowed".to_owned()],
        ),
        (vec![path(&["/******"]), query(&[("", r"\*\?")])], vec![]),
        (
            vec![
                header("X", &["1"]),
                header("X", &["2"]),
                query(&[("", "1")]),
                query(&[("", "2")]),
            ],
            vec![],
        ),
        (
            vec![path(&["/1"]), host(&["a.b"]), path(&["/2"])],
            vec![format!("conditions[2].pathPattern: {once}")],
        ),
        (
            vec![addresses(), addresses()],
            vec![format!("conditions[1].sourceIp: {once}")],
        ),
        (
            vec![],
            vec!["conditions: a condition is required".to_owned()],
        ),
    ] {
        assert_eq!(found(bodies), expected);
    }
}

#[test]
fn an_empty_condition_names_the_kinds() {
    let rule = v1::Rule {
        conditions: vec![v1::Condition::default()],
        ..rule()
    };
    let found = crate::check::check(&rule.into());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].field, "conditions[0]");
    assert!(
        found[0]
            .message
            .starts_with("a condition is required: hostHeader, pathPattern,")
    );
}
