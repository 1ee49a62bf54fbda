//! Heads of responses: what the agent takes reaches the client as one response in canonical form, framed as the agent
//! thinks, whatever the client speaks.

use std::mem::{MaybeUninit, discriminant};

use inlet_agent::http::head::{Framing, HEADERS_MAX};
use inlet_agent::http::respond::Persistence;
use inlet_agent::http::response::{Coding, RESPONSE_HEAD_BYTES_MAX, Response};

use super::places;
use crate::fuzz::strict::{Body, Strict};
use crate::fuzz::{Outcome, Target, chance, feature};

pub(super) static TARGET: Target = Target {
    name: "response",
    dictionary: &[
        b"\r\n",
        b"\n",
        b"\r",
        b": ",
        b":",
        b" ",
        b"\t",
        b",",
        b"\0",
        b"\xff",
        b"\r\n ",
        b"\r\n\r\n",
        b"\n\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 ",
        b"HTTP/2 ",
        b"100 Continue",
        b"101 Switching Protocols",
        b"103 Early Hints",
        b"204 No Content",
        b"304 ",
        b"426 ",
        b"599",
        b"600",
        b"999",
        b"099",
        b"1000",
        b"Content-Length: 1\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 01\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length",
        b"Content_Length: 1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: CHUNKED\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding",
        b"Transfer.Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Connection: upgrade\r\n",
        b"Connection: content-length, a, transfer-encoding\r\n",
        b"Upgrade: websocket\r\n",
        b"Keep-Alive: 1\r\n",
        b"Proxy-Connection: close\r\n",
        b"TE: a\r\n",
        b"Trailer: a\r\n",
        b"A: b\r\n",
        b"A:b\r\n",
        b"A : b\r\n",
        b"a_b: c\r\n",
        b":\r\n",
        b"Server: x\r\n",
        b"Set-Cookie: a=b\r\n",
        b"Set-Cookie: c=d\r\n",
    ],
    bytes_max: RESPONSE_HEAD_BYTES_MAX + 10_000,
    own_mutation: None,
    run,
};

fn run(bytes: &[u8]) -> Outcome {
    let mut random = chance(bytes);
    let to_head = random.bool();
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let response = match Response::parse(bytes, &mut room, to_head) {
        Ok(Some(response)) => response,
        Ok(None) => {
            assert!(
                bytes.len() < RESPONSE_HEAD_BYTES_MAX,
                "a head without end is waited for"
            );
            return Outcome::refused(0);
        }
        Err(failure) => return Outcome::refused(format!("{failure:?}")),
    };
    arrival_does_not_matter(
        bytes,
        to_head,
        response.length(),
        &places(&mut random, response.length()),
    );
    let mut unchanged = Vec::new();
    for knows_chunks in [true, false] {
        let coding = response.coding(knows_chunks);
        for persistence in [
            Persistence::Default,
            Persistence::KeepAlive,
            Persistence::Close,
        ] {
            let mut out = Vec::new();
            response.write(&mut out, coding, persistence);
            let shown = || out.escape_ascii().to_string();
            judge(&out, &response, coding, persistence, to_head)
                .unwrap_or_else(|why| panic!("{why}: {}", shown()));
            if response.goes_on_unchanged(coding, persistence) {
                let raw = &bytes[..response.length()];
                assert_eq!(
                    raw.escape_ascii().to_string(),
                    shown(),
                    "what goes on unchanged would be written otherwise"
                );
                unchanged.push((knows_chunks, persistence == Persistence::Default));
            }
        }
    }
    let framing = discriminant(&response.framing);
    Outcome::accepted([
        feature(response.status),
        feature((response.status / 100, to_head, response.keep_alive, framing)),
        feature((framing, unchanged)),
    ])
}

/// A head is taken at its last byte, not before, and whatever comes after it changes nothing.
fn arrival_does_not_matter(bytes: &[u8], to_head: bool, length: usize, places: &[usize]) {
    for place in places.iter().copied().chain([length - 1]) {
        let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let early = Response::parse(&bytes[..place], &mut room, to_head);
        assert!(
            matches!(early, Ok(None)),
            "after {place} of {length} bytes: {early:?}"
        );
    }
    let mut room = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let alone = Response::parse(&bytes[..length], &mut room, to_head);
    assert!(
        matches!(&alone, Ok(Some(head)) if head.length() == length),
        "alone: {alone:?}"
    );
}

/// What the strict reader has against it.
fn judge(
    out: &[u8],
    response: &Response<'_>,
    coding: Coding,
    persistence: Persistence,
    to_head: bool,
) -> Result<(), String> {
    let strict = Strict::read(out)?;
    let status = response.status.to_string();
    let line = strict.first;
    if !line.starts_with(b"HTTP/1.1 ")
        || line.get(9..12) != Some(status.as_bytes())
        || line.get(12) != Some(&b' ')
    {
        return Err("another status line".to_owned());
    }
    let bodiless = to_head || matches!(response.status, 100..=199 | 204 | 304);
    // Fails if it is framed in two ways, with or without a body.
    let body = strict.body()?;
    let expected = match (response.framing, coding) {
        (Framing::Empty, _) if bodiless => None,
        (Framing::Length(length), Coding::AsIs) => Some(Body::Length(length)),
        (Framing::Chunked, Coding::AsIs) | (Framing::UntilClose, Coding::Chunk) => {
            Some(Body::Chunked)
        }
        (Framing::UntilClose, Coding::AsIs) | (Framing::Chunked, Coding::Unchunk) => {
            Some(Body::Unframed)
        }
        other => return Err(format!("no way to send a body: {other:?}")),
    };
    if expected.is_some_and(|expected| expected != body)
        || body == Body::Chunked && expected.is_none()
    {
        return Err(format!("framed by {body:?}, meant as {expected:?}"));
    }
    if matches!(response.status, 100..=199 | 204) && body != Body::Unframed {
        return Err("a length where there is no body (RFC 9110, 8.6)".to_owned());
    }
    if response.framing == Framing::UntilClose && response.keep_alive {
        return Err("used again after its end".to_owned());
    }
    let connection: &[&[u8]] = match (response.status, persistence) {
        (101, _) => &[b"Upgrade"],
        (_, Persistence::Default) => &[],
        (_, Persistence::KeepAlive) => &[b"keep-alive"],
        (_, Persistence::Close) => &[b"close"],
    };
    if strict.all("connection") != connection {
        return Err(format!("Connection is not {connection:?}"));
    }
    let ends_here = ["te", "keep-alive", "proxy-connection", "http2-settings"];
    match ends_here.iter().find(|name| !strict.all(name).is_empty()) {
        Some(name) => Err(format!("{name} goes on")),
        None => Ok(()),
    }
}
