//! Conditions of rules: what they may hold, and how much of it one rule may have
//! (specification: application load balancer, 7.1 and 7.2).

use ipnet::IpNet;

use super::field::{self, Alphabet, PRINTABLE};
use super::findings::Findings;
use super::limits;
use crate::v1;
use crate::v1::condition::Kind as Body;

const HOST: Alphabet = Alphabet {
    allows: |c| c.is_ascii_alphanumeric() || ".-*?".contains(c),
    names: "letters, digits, '.', '-' and the wildcards '*' and '?'",
};
const PATH: Alphabet = Alphabet {
    allows: |c| c.is_ascii_alphanumeric() || "_-.$/~\"'@:+&*?".contains(c),
    names: "letters, digits, _ - . $ / ~ \" ' @ : + & and the wildcards '*' and '?'",
};
const METHOD: Alphabet = Alphabet {
    allows: |c| c.is_ascii_uppercase() || "_-".contains(c),
    names: "A-Z, '_' and '-'",
};
/// RFC 9110, 5.6.2.
const TOKEN: Alphabet = Alphabet {
    allows: |c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c),
    names: "the characters of a token",
};

/// All conditions of a rule.
pub(super) fn all(findings: &mut Findings, conditions: &[v1::Condition]) {
    if conditions.is_empty() {
        findings.refuse("conditions", "a condition is required");
    }
    findings.each("conditions", conditions, one);
    singles(findings, conditions);

    let patterns: Vec<_> = conditions.iter().flat_map(wildcards).collect();
    for (what, count, max) in [
        ("patterns", patterns.len(), limits::PATTERNS_PER_RULE),
        (
            "wildcards",
            patterns.iter().sum(),
            limits::WILDCARDS_PER_RULE,
        ),
    ] {
        if count > max {
            findings.refuse(
                "conditions",
                format!("the rule has {count} {what}, at most {max} are allowed"),
            );
        }
    }
}

/// The manifest name of a condition.
fn name(body: &Body) -> &'static str {
    match body {
        Body::HostHeader(_) => "hostHeader",
        Body::PathPattern(_) => "pathPattern",
        Body::HttpHeader(_) => "httpHeader",
        Body::HttpRequestMethod(_) => "httpRequestMethod",
        Body::QueryString(_) => "queryString",
        Body::SourceIp(_) => "sourceIp",
    }
}

/// Some conditions can stand only once in a rule.
fn singles(findings: &mut Findings, conditions: &[v1::Condition]) {
    let mut seen = Vec::new();
    for (index, body) in conditions
        .iter()
        .enumerate()
        .filter_map(|(i, c)| Some((i, c.kind.as_ref()?)))
    {
        let repeatable = matches!(body, Body::HttpHeader(_) | Body::QueryString(_));
        if seen.contains(&name(body)) && !repeatable {
            findings.refuse(
                &format!("conditions[{index}].{}", name(body)),
                "a rule can have this condition once: put its values into one list",
            );
        }
        seen.push(name(body));
    }
}

fn one(findings: &mut Findings, condition: &v1::Condition) {
    let Some(body) = &condition.kind else {
        findings.refuse(
            "",
            "a condition is required: hostHeader, pathPattern, httpHeader, httpRequestMethod, queryString or sourceIp",
        );
        return;
    };
    findings.inside(name(body), |findings| match body {
        Body::HostHeader(given) => values(findings, given, host, str::to_ascii_lowercase),
        Body::PathPattern(given) => values(findings, given, path, str::to_owned),
        Body::HttpHeader(given) => http_header(findings, given),
        Body::HttpRequestMethod(given) => values(findings, given, method, str::to_owned),
        Body::QueryString(given) => query_string(findings, given),
        Body::SourceIp(given) => source_ip(findings, given),
    });
}

/// A list of texts: how many, each by itself, none twice.
fn values(
    findings: &mut Findings,
    given: &v1::ValuesCondition,
    check: fn(&mut Findings, &str),
    identity: fn(&str) -> String,
) {
    if regexes(findings, &given.regex_values, given.values.len()) {
        return;
    }
    count(findings, given.values.len(), limits::VALUES_PER_CONDITION);
    findings.each("values", &given.values, |findings, value| {
        value_given(findings, value, check)
    });
    field::distinct(
        findings,
        "values",
        &given.values,
        |value| identity(value),
        String::clone,
    );
}

/// Whether the condition stands on regular expressions instead of values.
fn regexes(findings: &mut Findings, regexes: &[String], values: usize) -> bool {
    if !regexes.is_empty() {
        findings.unsupported("regexValues", "a regular expression");
        if values > 0 {
            findings.refuse("", "either values or regexValues can be given, not both");
        }
    }
    !regexes.is_empty()
}

fn count(findings: &mut Findings, count: usize, max: usize) {
    if count == 0 {
        findings.refuse("values", "a value is required");
    } else if count > max {
        findings.refuse(
            "values",
            format!("{count} are given, at most {max} are allowed"),
        );
    }
}

fn value_given(findings: &mut Findings, value: &str, check: fn(&mut Findings, &str)) {
    if value.is_empty() {
        findings.refuse("", "a value cannot be empty");
    } else {
        check(findings, value);
    }
}

fn host(findings: &mut Findings, pattern: &str) {
    field::text(findings, "", pattern, limits::PATTERN_CHARS, &HOST);
    match pattern.rsplit_once('.') {
        None => findings.refuse(
            "",
            format!("'{pattern}' has no '.': a host pattern needs at least one"),
        ),
        Some((_, last))
            if last.is_empty() || !last.bytes().all(|byte| byte.is_ascii_alphabetic()) =>
        {
            findings.refuse(
                "",
                format!("'{last}' follows the last '.' of '{pattern}': only letters may"),
            );
        }
        Some(_) => {}
    }
}

fn path(findings: &mut Findings, pattern: &str) {
    field::text(findings, "", pattern, limits::PATTERN_CHARS, &PATH);
}

fn printable(findings: &mut Findings, pattern: &str) {
    field::text(findings, "", pattern, limits::PATTERN_CHARS, &PRINTABLE);
}

fn method(findings: &mut Findings, method: &str) {
    field::text(findings, "", method, limits::TOKEN_CHARS, &METHOD);
}

fn http_header(findings: &mut Findings, given: &v1::HttpHeaderCondition) {
    if given.name.is_empty() {
        findings.refuse("name", "the name of a header is required");
    } else if given.name.eq_ignore_ascii_case("host") {
        findings.refuse("name", "the Host header has its own condition: hostHeader");
    }
    field::text(findings, "name", &given.name, limits::TOKEN_CHARS, &TOKEN);
    if regexes(findings, &given.regex_values, given.values.len()) {
        return;
    }
    count(findings, given.values.len(), limits::VALUES_PER_CONDITION);
    findings.each("values", &given.values, |findings, value| {
        value_given(findings, value, printable)
    });
    field::distinct(
        findings,
        "values",
        &given.values,
        |value| value.to_ascii_lowercase(),
        String::clone,
    );
}

fn query_string(findings: &mut Findings, given: &v1::QueryStringCondition) {
    count(findings, given.values.len(), limits::VALUES_PER_CONDITION);
    findings.each("values", &given.values, |findings, pair| {
        for (field, text) in [("key", &pair.key), ("value", &pair.value)] {
            findings.inside(field, |findings| query_pattern(findings, text));
        }
        if pair.value.is_empty() {
            findings.refuse("value", "a value cannot be empty");
        }
    });
    field::distinct(
        findings,
        "values",
        &given.values,
        |pair| {
            (
                pair.key.to_ascii_lowercase(),
                pair.value.to_ascii_lowercase(),
            )
        },
        |pair| format!("{}={}", pair.key, pair.value),
    );
}

fn query_pattern(findings: &mut Findings, pattern: &str) {
    printable(findings, pattern);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && !matches!(chars.next(), Some('*' | '?' | '\\')) {
            findings.refuse(
                "",
                r"'\' stands only before '*', '?' or '\', to take it literally",
            );
            return;
        }
    }
}

fn source_ip(findings: &mut Findings, given: &v1::ValuesCondition) {
    if regexes(findings, &given.regex_values, given.values.len()) {
        return;
    }
    count(
        findings,
        given.values.len(),
        limits::ADDRESSES_PER_CONDITION,
    );
    findings.each("values", &given.values, |findings, value| {
        value_given(findings, value, cidr)
    });
    let identity = |value: &String| {
        value
            .parse()
            .map(|net: IpNet| net.trunc())
            .map_err(|_| value.clone())
    };
    field::distinct(findings, "values", &given.values, identity, String::clone);
}

fn cidr(findings: &mut Findings, value: &str) {
    if value == "255.255.255.255/32" {
        findings.refuse("", "255.255.255.255/32 is nobody's address");
    } else if value.parse::<IpNet>().is_err() {
        findings.refuse(
            "",
            format!("'{value}' is not in CIDR notation such as 10.0.0.0/8 or ::1/128"),
        );
    }
}

/// The number of wildcards in each value of a condition that is matched, not just compared.
fn wildcards(condition: &v1::Condition) -> Vec<usize> {
    let values = match &condition.kind {
        Some(Body::HostHeader(given) | Body::PathPattern(given)) => &given.values,
        Some(Body::HttpHeader(given)) => &given.values,
        Some(Body::QueryString(given)) => {
            let pairs = given.values.iter();
            return pairs
                .map(|pair| unescaped(&pair.key) + unescaped(&pair.value))
                .collect();
        }
        Some(Body::HttpRequestMethod(_) | Body::SourceIp(_)) | None => return Vec::new(),
    };
    values
        .iter()
        .map(|value| value.matches(['*', '?']).count())
        .collect()
}

/// The wildcards of a query pattern, in which `\` takes one literally.
fn unescaped(pattern: &str) -> usize {
    let mut chars = pattern.chars();
    let mut count = 0;
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '*' | '?' => count += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests;
