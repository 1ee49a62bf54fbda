//! The access log: whatever bytes clients send, a request is one line that reads as its form says, with as many fields
//! as ever, and what was sent is found in it again.

use std::net::SocketAddr;

use inlet_agent::access_log::{Formatter, Request};
use inlet_agent::config::AccessLogFormat;

use crate::fuzz::{Outcome, Target, chance, feature};

pub(super) static TARGET: Target = Target {
    name: "access-log",
    dictionary: &[
        SEPARATOR,
        b"\n",
        b"\r\n",
        b"\"",
        b"\\",
        b"\\\"",
        b"\\x22",
        b"\\u0022",
        b"\0",
        b"\t",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xc3\xa9",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x80\xa8",
        b" ",
        b"-",
        b"GET",
        b"/",
        b"http://a/",
        b"*",
        b"[::1]:80",
        b"a:80",
        b"]",
        b":",
        b"curl/8",
        b"Root=1-a-b",
        b"\"}\n{\"",
        b"','",
    ],
    bytes_max: 40_000,
    own_mutation: None,
    run,
};

/// Between the fields of an input.
const SEPARATOR: &[u8] = b"\n==\n";
/// Fields of a line in AWS's form (application load balancer, 13.1).
const ALB_FIELDS: usize = 34;
/// What is kept of a field.
const FIELD_BYTES: usize = 16 * 1024;

fn run(bytes: &[u8]) -> Outcome {
    let request = request(bytes);
    let mut written = Vec::new();
    for format in [AccessLogFormat::Json, AccessLogFormat::Alb] {
        let mut formatter = Formatter::new(format);
        let mut out = Vec::new();
        // Twice, as the second line may profit from the first.
        formatter.request(&mut out, &request);
        let first = out.len();
        formatter.request(&mut out, &request);
        assert_eq!(out[..first], out[first..], "the second line differs");
        let line = out[..first]
            .strip_suffix(b"\n")
            .expect("a line feed at the end");
        assert!(
            !line.contains(&b'\n') && !line.contains(&b'\r'),
            "two lines: {}",
            line.escape_ascii()
        );
        match format {
            AccessLogFormat::Json => reads_as_json(line, &request),
            AccessLogFormat::Alb => reads_as_alb(line, &request),
        }
        written.push(line.len().checked_ilog2());
    }
    let present = [
        request.method,
        request.host,
        request.target_uri,
        request.user_agent.unwrap_or_default(),
    ];
    let others = [request.trace_id, request.redirect_url].map(Option::unwrap_or_default);
    let kinds = present.into_iter().chain(others).map(kind).enumerate();
    Outcome::accepted(kinds.map(feature).chain(written.into_iter().map(feature)))
}

/// Fields of an input, in this order: method, host, URI, User-Agent, trace, redirect; the rest by chance.
fn request(bytes: &[u8]) -> Request<'_> {
    let mut random = chance(bytes);
    let mut rest = bytes;
    let mut next = || {
        let end = rest
            .windows(SEPARATOR.len())
            .position(|window| window == SEPARATOR);
        match end {
            Some(end) => {
                let field = &rest[..end];
                rest = &rest[end + SEPARATOR.len()..];
                field
            }
            None => std::mem::take(&mut rest),
        }
    };
    let (method, host, target_uri) = (next(), next(), next());
    let [user_agent, trace_id, redirect_url] = [next(), next(), next()];
    let given = |text: &'_ [u8]| !text.is_empty();
    let addresses = ["192.0.2.7:1", "[2001:db8::1]:65535"]
        .map(|text| text.parse::<SocketAddr>().expect("an address"));
    let mut any_us = || random.u64(..) >> random.u8(..64);
    let (received, took) = (any_us(), any_us());
    Request {
        kind: if random.bool() { "http" } else { "ws" },
        listener: "shop/http",
        client: addresses[random.usize(..2)],
        local: addresses[random.usize(..2)],
        received_at_us: received.cast_signed(),
        finished_at_us: received.wrapping_add(took).cast_signed(),
        target_group: random.bool().then_some("catalog"),
        target: random.bool().then_some(addresses[0]),
        request_processing_us: random.bool().then_some(took),
        target_processing_us: random.bool().then_some(took / 3),
        response_processing_us: random.bool().then_some(received),
        status: random.u16(..1000),
        target_status: random.bool().then_some(200),
        received_bytes: received,
        sent_bytes: took,
        method,
        host,
        target_uri,
        version: if random.bool() { "HTTP/1.1" } else { "" },
        user_agent: Some(user_agent).filter(|text| given(text)),
        trace_id: Some(trace_id).filter(|text| given(text)),
        rule_priority: random.bool().then_some(7),
        action: random.bool().then_some("redirect"),
        redirect_url: Some(redirect_url).filter(|text| given(text)),
        error_reason: random.bool().then_some("TargetClosed"),
        fault: None,
        classification: random.bool().then_some("Ambiguous"),
        classification_reason: random.bool().then_some("AmbiguousUri"),
    }
}

fn reads_as_json(line: &[u8], request: &Request<'_>) {
    let value: serde_json::Value = serde_json::from_slice(line)
        .unwrap_or_else(|error| panic!("{error}: {}", line.escape_ascii()));
    let object = value.as_object().expect("an object");
    for (name, sent) in [
        ("method", Some(request.method)),
        ("host", Some(request.host)),
        ("uri", Some(request.target_uri)),
        ("redirectUrl", request.redirect_url),
    ] {
        let sent = sent.unwrap_or_default();
        let expected = (!sent.is_empty())
            .then(|| String::from_utf8_lossy(&sent[..sent.len().min(FIELD_BYTES)]).into_owned());
        let found = object
            .get(name)
            .map(|found| found.as_str().expect("a text").to_owned());
        assert_eq!(found, expected, "{name}");
    }
}

fn reads_as_alb(line: &[u8], request: &Request<'_>) {
    let text = std::str::from_utf8(line).expect("ASCII");
    assert!(
        text.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{text}"
    );
    let fields = alb_fields(text);
    assert_eq!(fields.len(), ALB_FIELDS, "{text}");
    // Three words in AWS's own lines; a blank that a client sends stays one, and readers split at the ends.
    let line = &fields[12];
    let method = &request.method[..request.method.len().min(FIELD_BYTES)];
    if !method.is_empty() {
        assert!(unescape(line).starts_with(method), "{line}");
    }
    let agent = request
        .user_agent
        .map_or(&b"-"[..], |agent| &agent[..agent.len().min(8 * 1024)]);
    assert_eq!(
        unescape(&fields[13]).escape_ascii().to_string(),
        agent.escape_ascii().to_string()
    );
}

/// Splits at blanks outside of quotes. Panics if a quote is not where it may be.
fn alb_fields(text: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (field, after) = quoted.split_once('"').expect("a quote that ends");
                (field, after)
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        assert!(!field.is_empty() && !field.contains('"'), "{text}");
        fields.push(field.to_owned());
        match after.strip_prefix(' ') {
            Some(next) => rest = next,
            None => {
                assert!(after.is_empty(), "{text}");
                return fields;
            }
        }
    }
}

/// `\x22` -> `"`.
fn unescape(field: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some(byte) = rest.split_off_first() {
        if *byte != b'\\' {
            bytes.push(*byte);
            continue;
        }
        let escape = rest
            .split_off(..3)
            .and_then(|escape| escape.strip_prefix(b"x"))
            .expect("\\xHH");
        let digits = std::str::from_utf8(escape).expect("ASCII");
        bytes.push(u8::from_str_radix(digits, 16).expect("two hexadecimal digits"));
    }
    bytes
}

/// What a text has in it.
fn kind(text: &[u8]) -> (bool, bool, bool, bool, bool) {
    (
        text.is_empty(),
        text.iter().any(|byte| b"\"\\".contains(byte)),
        text.iter().any(u8::is_ascii_control),
        !text.is_ascii(),
        std::str::from_utf8(text).is_ok(),
    )
}
