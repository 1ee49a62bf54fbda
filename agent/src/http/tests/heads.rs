//! Heads of requests: what a target gets for each, or the status that it is refused with. No sockets.

mod refused;

use std::net::IpAddr;

use super::super::failure::Failure;
use super::super::forward::{Surroundings, write};
use super::super::head::HEADERS_MAX;
use super::super::request::{Head, Rules};
use super::super::trace::Seed;
use super::*;

const TRACE: &str = "1-00000001-000000020000000000000003";

/// Our headers at the end of each head.
fn ours(forwarded_for: &str, port: u16) -> String {
    format!(
        "{forwarded_for}X-Forwarded-Proto: http\r\nX-Forwarded-Port: {port}\r\nX-Amzn-Trace-Id: Root={TRACE}\r\n\r\n"
    )
}

fn surroundings() -> Surroundings {
    Surroundings {
        peer: "192.0.2.7:4711".parse().unwrap(),
        local: "198.51.100.1:8080".parse().unwrap(),
        listener_port: 8080,
        preserve_host_header: false,
        x_forwarded_for: XForwardedFor::Append { client_port: false },
        seed: Seed {
            unix_seconds: 1,
            random: [2, 3],
        },
    }
}

/// The head for the target; Err(None) = not whole yet.
fn forwarded(bytes: &[u8], rules: Rules, around: &Surroundings) -> Result<String, Option<Failure>> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let head = Head::parse(bytes, &mut room).map_err(Some)?.ok_or(None)?;
    let request = head.judge(rules).map_err(Some)?;
    let mut out = Vec::new();
    let trace_id = write(&mut out, &head, &request, around);
    assert!(
        out[trace_id].ends_with(TRACE.as_bytes())
            || bytes.windows(8).any(|name| name == b"Trace-Id")
    );
    Ok(String::from_utf8(out).unwrap())
}

const KEEP_INVALID: Rules = Rules {
    drop_invalid_header_fields: false,
};

/// What a client sends, and what the target gets of it before [`ours`].
const CANONICAL: &[(&str, &str)] = &[
    // As it came, but for the end.
    (
        "GET /a?b HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\n\r\n",
        "GET /a?b HTTP/1.1\r\nHost: h:1\r\nAccept: */*\r\n",
    ),
    (
        "GET / HTTP/1.0\r\nHost: h:1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\n",
    ),
    // Host.
    (
        "GET / HTTP/1.1\r\nA: b\r\nHost: h\r\nC: d\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\nC: d\r\nHost: h:8080\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: Shop.Example:0081\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: shop.example:81\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: h:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:8080\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: [2001:DB8::1]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n",
    ),
    (
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 198.51.100.1:8080\r\n",
    ),
    // Forms of the target.
    (
        "GET http://u.example:9/a?b HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET /a?b HTTP/1.1\r\nHost: u.example:9\r\n",
    ),
    (
        "GET HTTPS://u.example HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: u.example:8080\r\n",
    ),
    (
        "OPTIONS http://u.example HTTP/1.1\r\nHost: h\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: u.example:8080\r\n",
    ),
    (
        "OPTIONS * HTTP/1.1\r\nHost: h:1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h:1\r\n",
    ),
    (
        "get //a/../b#c HTTP/1.1\r\nHost: h:1\r\n\r\n",
        "get //a/../b#c HTTP/1.1\r\nHost: h:1\r\n",
    ),
    // Lines that are not as one writes them.
    (
        "GET / HTTP/1.1\r\nHost: h:1\r\nA:b\r\nC:\t d \t\r\nE:\r\nF: \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nC: d\r\nE: \r\nF: \r\n",
    ),
    // What speaks of one connection only.
    (
        "GET / HTTP/1.1\r\nConnection: keep-alive\r\nHost: h:1\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
          Proxy-Connection: x\r\nUpgrade: x\r\nZ: z\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\nZ: z\r\n",
    ),
    (
        "GET / HTTP/1.1\r\nHost: h:1\r\nX-Hop: 1\r\nConnection: x-hop, Host, X-Forwarded-For\r\nX: 2\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\nX: 2\r\n",
    ),
    // Framing.
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 12\r\nA: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 12\r\nA: b\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nConnection: Content-Length\r\nContent-Length: 007\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 7\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\ntransfer-encoding:  CHUNKED\r\nA: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nA: b\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\nA: b\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: ,\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n",
    ),
    // Two lengths: targets get one, and neither connection is used again.
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nA: b\r\nContent-Length: 3\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nA: b\r\nConnection: close\r\n",
    ),
    (
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 007\r\nContent-Length: 7\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 7\r\nConnection: close\r\n",
    ),
    // Targets may disagree whether there is a body.
    (
        "GET / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\nConnection: close\r\n",
    ),
    // Expectations.
    (
        "PUT / HTTP/1.1\r\nHost: h:1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h:1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n",
    ),
    (
        "PUT / HTTP/1.0\r\nHost: h:1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h:1\r\nContent-Length: 1\r\n",
    ),
    // What we say ourselves, and names that a target may take for it.
    (
        "GET / HTTP/1.1\r\nHost: h:1\r\nX-Forwarded-Proto: https\r\nx-forwarded-port: 443\r\n\
          X_Forwarded_For: 1\r\nX.Amzn.Trace.Id: 1\r\nmy_name: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h:1\r\nmy_name: 1\r\n",
    ),
];

#[test]
fn what_a_target_gets_is_canonical() {
    for (bytes, expected) in CANONICAL {
        let expected = format!("{expected}{}", ours("X-Forwarded-For: 192.0.2.7\r\n", 8080));
        let forwarded = forwarded(bytes.as_bytes(), KEEP_INVALID, &surroundings());
        assert_eq!(forwarded, Ok(expected), "{bytes}");
    }
}

#[test]
fn hosts_follow_the_port_of_the_listener() {
    let at_80 = Surroundings {
        listener_port: 80,
        ..surroundings()
    };
    let cases = [
        ("h:8080", "h"),
        ("h", "h"),
        ("H:80", "h"),
        ("[::1]:443", "[::1]"),
    ];
    for (host, expected) in cases {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = forwarded(bytes.as_bytes(), KEEP_INVALID, &at_80).unwrap();
        assert!(
            head.starts_with(&format!("GET / HTTP/1.1\r\nHost: {expected}\r\nX-For")),
            "{head}"
        );
    }
    let preserving = Surroundings {
        preserve_host_header: true,
        ..at_80
    };
    for host in ["Shop.Example:8080", "h", "h:", "h:080"] {
        let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let head = forwarded(bytes.as_bytes(), KEEP_INVALID, &preserving).unwrap();
        assert!(
            head.starts_with(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-For")),
            "{head}"
        );
    }
}

#[test]
fn forwarded_for_is_kept_as_configured() {
    let one = "X-Forwarded-For: a, b\r\n";
    let two = "X-Forwarded-For: a\r\nA: b\r\nx-forwarded-for: c\r\n";
    let append = XForwardedFor::Append { client_port: false };
    let with_port = XForwardedFor::Append { client_port: true };
    let cases = [
        (
            append,
            "192.0.2.7:4711",
            "",
            "",
            "X-Forwarded-For: 192.0.2.7\r\n",
        ),
        (
            append,
            "192.0.2.7:4711",
            one,
            "",
            "X-Forwarded-For: a, b, 192.0.2.7\r\n",
        ),
        (
            append,
            "192.0.2.7:4711",
            two,
            "A: b\r\n",
            "X-Forwarded-For: a, c, 192.0.2.7\r\n",
        ),
        (
            append,
            "192.0.2.7:4711",
            "X-Forwarded-For:\r\n",
            "",
            "X-Forwarded-For: 192.0.2.7\r\n",
        ),
        (
            append,
            "[2001:db8::1]:9",
            "",
            "",
            "X-Forwarded-For: 2001:db8::1\r\n",
        ),
        (
            with_port,
            "192.0.2.7:4711",
            one,
            "",
            "X-Forwarded-For: a, b, 192.0.2.7:4711\r\n",
        ),
        (
            with_port,
            "[2001:db8::1]:9",
            "",
            "",
            "X-Forwarded-For: [2001:db8::1]:9\r\n",
        ),
        (XForwardedFor::Preserve, "192.0.2.7:4711", "", "", ""),
        (XForwardedFor::Preserve, "192.0.2.7:4711", two, two, ""),
        (XForwardedFor::Remove, "192.0.2.7:4711", one, "", ""),
    ];
    for (x_forwarded_for, peer, sent, kept, added) in cases {
        let around = Surroundings {
            x_forwarded_for,
            peer: peer.parse().unwrap(),
            ..surroundings()
        };
        let bytes = format!("GET / HTTP/1.1\r\nHost: h:1\r\n{sent}\r\n");
        let expected = format!("GET / HTTP/1.1\r\nHost: h:1\r\n{kept}{}", ours(added, 8080));
        assert_eq!(
            forwarded(bytes.as_bytes(), KEEP_INVALID, &around),
            Ok(expected),
            "{bytes}"
        );
    }
}

#[test]
fn invalid_names_are_dropped_on_demand() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h:1\r\nmy_name: 1\r\nA.B: 2\r\nC-D: 3\r\n\r\n";
    let drop = Rules {
        drop_invalid_header_fields: true,
    };
    let head = forwarded(bytes, drop, &surroundings()).unwrap();
    assert!(
        head.starts_with("GET / HTTP/1.1\r\nHost: h:1\r\nC-D: 3\r\nX-For"),
        "{head}"
    );
}

#[test]
fn the_trace_goes_on() {
    let bytes = b"GET / HTTP/1.1\r\nHost: h:1\r\nX-Amzn-Trace-Id: Root=1-a-b\r\n\r\n";
    let head = forwarded(bytes, KEEP_INVALID, &surroundings()).unwrap();
    assert!(
        head.ends_with(&format!("X-Amzn-Trace-Id: Self={TRACE};Root=1-a-b\r\n\r\n")),
        "{head}"
    );
}

#[test]
fn a_head_is_whole_at_its_last_byte() {
    let bytes = b"GET /a HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n";
    for length in 0..bytes.len() {
        assert_eq!(
            forwarded(&bytes[..length], KEEP_INVALID, &surroundings()),
            Err(None),
            "{length}"
        );
    }
    assert!(forwarded(bytes, KEEP_INVALID, &surroundings()).is_ok());
}

#[test]
fn rules_see_the_request_as_it_was_meant() {
    use crate::matching::Headers as _;
    let cases = [
        (
            "GET /a/b?c=d&e HTTP/1.1\r\nHost: Shop.Example:8080\r\nA: 1\r\na: 2\r\n\r\n",
            "Shop.Example",
            "/a/b",
            Some("c=d&e"),
        ),
        (
            "GET /a#?b HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n",
            "h",
            "/a",
            None,
        ),
        (
            "GET /?a?b#c HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n",
            "h",
            "/",
            Some("a?b"),
        ),
        (
            "GET http://u:1/x HTTP/1.1\r\nHost: h\r\nA: 1\r\na: 2\r\n\r\n",
            "u",
            "/x",
            None,
        ),
        ("GET / HTTP/1.0\r\nA: 1\r\na: 2\r\n\r\n", "", "/", None),
    ];
    for (bytes, host, path, query) in cases {
        let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
        let head = Head::parse(bytes.as_bytes(), &mut room).unwrap().unwrap();
        let request = head.judge(KEEP_INVALID).unwrap();
        let view = head.view(&request.target, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(
            (view.host, view.path, view.query),
            (host.as_bytes(), path.as_bytes(), query.map(str::as_bytes))
        );
        assert!(view.headers.any(b"a", &mut |value| value == b"2"));
        assert!(!view.headers.any(b"b", &mut |_| true));
    }
}

/// Bytes that matter to parsers, put, doubled or taken out anywhere.
pub(super) fn mutate(random: &mut fastrand::Rng, bytes: &mut Vec<u8>) {
    const PIECES: [&[u8]; 14] = [
        b"\r\n",
        b"\n",
        b"\r",
        b":",
        b" ",
        b"\t",
        b",",
        b"0",
        b"\0",
        b"chunked",
        b"Content-Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: b\r\n",
        b"\xff",
    ];
    let at = random.usize(..=bytes.len());
    match random.u8(..3) {
        0 => drop(bytes.splice(
            at..at,
            random.choice(PIECES).unwrap_or(b"x").iter().copied(),
        )),
        1 => drop(bytes.drain(at..bytes.len().min(at + random.usize(..8)))),
        _ if at < bytes.len() => bytes[at] = random.u8(..),
        _ => {}
    }
}

#[test]
fn whatever_is_accepted_leaves_in_one_form() {
    let seeds: [&[u8]; 4] = [
        b"GET /a?b HTTP/1.1\r\nHost: h:1\r\nConnection: x, close\r\nX: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: H\r\nContent-Length: 012\r\nA:b\r\n\r\n",
        b"POST http://u/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nA_B: c\r\n\r\n",
        b"GET / HTTP/1.0\r\nX-Forwarded-For: a\r\nX-Amzn-Trace-Id: Root=1\r\nExpect: 100-continue\r\n\r\n",
    ];
    let mut random = fastrand::Rng::with_seed(2);
    let mut accepted = 0;
    for round in 0..200_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..random.usize(1..4) {
            mutate(&mut random, &mut bytes);
        }
        let Ok(once) = forwarded_freely(&bytes) else {
            continue;
        };
        accepted += 1;
        // Every line is `Name: value CRLF`, there is one Host and one framing, and a second hop reads the same.
        let text = String::from_utf8_lossy(&once.0);
        let (first, headers) = text.split_once("\r\n").unwrap();
        assert!(
            first.ends_with(" HTTP/1.1") && first.split(' ').count() == 3,
            "{text:?}"
        );
        let lines: Vec<_> = headers
            .strip_suffix("\r\n\r\n")
            .unwrap()
            .split("\r\n")
            .collect();
        assert!(
            lines
                .iter()
                .all(|line| line.contains(": ") && !line.contains(['\r', '\n', '\0'])),
            "{text:?}"
        );
        let count = |name: &str| {
            lines
                .iter()
                .filter(|line| line.to_ascii_lowercase().starts_with(name))
                .count()
        };
        assert_eq!(count("host: "), 1, "{text:?}");
        assert!(
            count("content-length: ") + count("transfer-encoding: ") <= 1,
            "{text:?}"
        );
        let twice =
            forwarded_freely(&once.0).unwrap_or_else(|failure| panic!("{failure:?}: {text:?}"));
        assert_eq!(once.1, twice.1, "{text:?}");
    }
    assert!(
        accepted > 10_000,
        "{accepted}: most of it must not be refused for one reason"
    );
}

/// What a target gets, and how it frames the body.
fn forwarded_freely(
    bytes: &[u8],
) -> Result<(Vec<u8>, super::super::head::Framing), Option<Failure>> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let head = Head::parse(bytes, &mut room).map_err(Some)?.ok_or(None)?;
    let request = head.judge(KEEP_INVALID).map_err(Some)?;
    let mut out = Vec::new();
    write(&mut out, &head, &request, &surroundings());
    Ok((out, request.framing))
}
