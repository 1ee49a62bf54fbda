//! Heads of requests: what the agent takes leaves it as one request in canonical form, framed as the agent thinks.

mod judge;

use std::mem::{MaybeUninit, discriminant};

use inlet_agent::http::failure::Failure;
use inlet_agent::http::forward::{Surroundings, write};
use inlet_agent::http::head::HEADERS_MAX;
use inlet_agent::http::request::{HEAD_BYTES_MAX, Head, Request, Rules, Version};
use inlet_agent::http::trace::Seed;
use inlet_agent::table::XForwardedFor;

use super::places;
use crate::fuzz::strict::Strict;
use crate::fuzz::{Outcome, Target, chance, feature};
use judge::judge;

pub(super) static TARGET: Target = Target {
    name: "request",
    dictionary: &[
        b"\r\n",
        b"\n",
        b"\r",
        b": ",
        b":",
        b" ",
        b"\t",
        b",",
        b";",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
        b"\r\n ",
        b"\r\n\t",
        b"\r\n\r\n",
        b"\n\n",
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"OPTIONS * ",
        b"CONNECT ",
        b"TRACE ",
        b"PRI * HTTP/2.0",
        b" HTTP/1.1\r\n",
        b" HTTP/1.0\r\n",
        b" HTTP/1.1",
        b"HTTP/0.9",
        b"/",
        b"//",
        b"?",
        b"#",
        b"*",
        b"http://a/",
        b"https://b:8/",
        b"://",
        b"@",
        b"[::1]",
        b"[",
        b"]",
        b"Host: a\r\n",
        b"Host: b:80\r\n",
        b"Host:",
        b"host",
        b"Content-Length: 1\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 01\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length",
        b"Content_Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding",
        b"Transfer_Encoding: chunked\r\n",
        b"chunked",
        b"identity",
        b"gzip, chunked",
        b"xchunked",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: upgrade\r\n",
        b"Connection: content-length, host, a, transfer-encoding\r\n",
        b"Upgrade: websocket\r\n",
        b"Upgrade: h2c\r\n",
        b"HTTP2-Settings: a\r\n",
        b"TE: trailers\r\n",
        b"Keep-Alive: 1\r\n",
        b"Proxy-Connection: close\r\n",
        b"Expect: 100-continue\r\n",
        b"X-Forwarded-For: 1.2.3.4\r\n",
        b"X-Forwarded-For: a, b\r\n",
        b"X_Forwarded_For: a\r\n",
        b"X-Forwarded-Proto: https\r\n",
        b"X-Forwarded-Port: 1\r\n",
        b"X-Amzn-Trace-Id: Root=1-a-b\r\n",
        b"X-Amzn-Trace-Id: ;Self=;Root=\r\n",
        b"A: b\r\n",
        b"A:b\r\n",
        b"A : b\r\n",
        b"a_b: c\r\n",
        b":\r\n",
        b"Trailer: a\r\n",
    ],
    bytes_max: HEAD_BYTES_MAX + 20_000,
    own_mutation: None,
    run,
};

fn run(bytes: &[u8]) -> Outcome {
    let mut random = chance(bytes);
    let rules = Rules {
        drop_invalid_header_fields: random.bool(),
    };
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let head = match Head::parse(bytes, &mut room) {
        Ok(Some(head)) => head,
        Ok(None) => {
            assert!(
                bytes.len() < HEAD_BYTES_MAX,
                "a head without end is waited for"
            );
            return Outcome::refused(0);
        }
        Err(failure) => return Outcome::refused(class(failure)),
    };
    arrival_does_not_matter(bytes, head.length(), &places(&mut random, head.length()));
    match head.judge(rules) {
        Err(failure) => Outcome::refused((1, class(failure))),
        Ok(request) => {
            let around = surroundings(&mut random);
            let mut out = Vec::new();
            let trace_id = write(&mut out, &head, &request, &around);
            assert!(
                out[trace_id].windows(2).any(|two| two == b"1-"),
                "the trace id is somewhere else"
            );
            let shown = || out.escape_ascii().to_string();
            let strict = Strict::read(&out).unwrap_or_else(|why| panic!("{why}: {}", shown()));
            judge(&strict, &head, &request, &around)
                .unwrap_or_else(|why| panic!("{why}: {}", shown()));
            second_hop_agrees(&out, &request);
            Outcome::accepted(features(&head, &request, &around))
        }
    }
}

/// A head is taken at its last byte, not before, and whatever comes after it changes nothing.
fn arrival_does_not_matter(bytes: &[u8], length: usize, places: &[usize]) {
    for place in places.iter().copied().chain([length - 1]) {
        let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let early = Head::parse(&bytes[..place], &mut room);
        assert!(
            matches!(early, Ok(None)),
            "after {place} of {length} bytes: {early:?}"
        );
    }
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let alone = Head::parse(&bytes[..length], &mut room);
    assert!(
        matches!(&alone, Ok(Some(head)) if head.length() == length),
        "alone: {alone:?}"
    );
}

fn surroundings(random: &mut fastrand::Rng) -> Surroundings {
    let peers = ["192.0.2.7:4711", "[2001:db8::1]:9"];
    let peer = random.choice(peers).unwrap_or_default();
    let treatments = [
        XForwardedFor::Append { client_port: false },
        XForwardedFor::Append { client_port: true },
        XForwardedFor::Preserve,
        XForwardedFor::Remove,
    ];
    Surroundings {
        peer: peer.parse().expect("an address"),
        local: "198.51.100.1:8080".parse().expect("an address"),
        listener_port: random.choice([80, 8080]).unwrap_or_default(),
        preserve_host_header: random.bool(),
        x_forwarded_for: random.choice(treatments).unwrap_or(XForwardedFor::Remove),
        seed: Seed {
            unix_seconds: 1,
            random: [2, 3],
        },
    }
}

/// What leaves us would pass us again, as the same request.
fn second_hop_agrees(out: &[u8], request: &Request<'_>) {
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let again = match Head::parse(out, &mut room) {
        Ok(Some(head)) => head,
        // Our own headers may be what is too much for another hop.
        Err(Failure::HeadTooLarge) => return,
        other => panic!("a second hop says {other:?}"),
    };
    let rules = Rules {
        drop_invalid_header_fields: false,
    };
    match again.judge(rules) {
        Ok(second) => {
            assert_eq!(
                second.framing, request.framing,
                "a second hop frames it in another way"
            );
            assert_eq!(again.length(), out.len(), "a second hop sees two requests");
        }
        Err(failure) => assert_eq!(failure, Failure::ForwardedFor, "a second hop refuses it"),
    }
}

fn class(failure: Failure) -> String {
    format!("{failure:?}")
}

fn features(head: &Head<'_>, request: &Request<'_>, around: &Surroundings) -> Vec<u64> {
    let framing = discriminant(&request.framing);
    let kinds = request.kinds[..head.lines.headers.len()].iter();
    let mut features: Vec<u64> = kinds
        .map(|kind| feature((format!("{kind:?}"), framing)))
        .collect();
    let is_old = head.version == Version::Http10;
    let target = &request.target;
    features.extend([
        feature((
            is_old,
            framing,
            request.keep_alive,
            request.upgrade,
            request.ambiguous,
        )),
        feature((
            target.is_origin_form,
            target.query.is_some(),
            target.port.is_some(),
        )),
        feature((
            around.listener_port,
            around.preserve_host_header,
            target.port.is_some(),
        )),
        feature((
            request.forwarded_for_again,
            format!("{:?}", around.x_forwarded_for),
        )),
        feature((
            request.trace_id.is_some(),
            head.lines.headers.len().checked_ilog2(),
        )),
    ]);
    features
}
