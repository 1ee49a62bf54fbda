//! Heads of responses: what a client gets for each, or that it is none. No sockets.

use super::super::failure::Failure;
use super::super::head::{Framing, HEADERS_MAX};
use super::super::respond::Persistence;
use super::super::response::{Coding, Response};

type Judged = (Framing, bool, bool, Vec<u8>);

/// Framing, will the target go on, does it go on unchanged, the head for the client.
fn judged(bytes: &[u8], to_head: bool) -> Result<Judged, Option<Failure>> {
    let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let response = Response::parse(bytes, &mut room, to_head)
        .map_err(Some)?
        .ok_or(None)?;
    let coding = response.coding(true);
    let mut out = Vec::new();
    response.write(&mut out, coding, Persistence::Default);
    let unchanged = response.goes_on_unchanged(coding, Persistence::Default);
    if unchanged {
        assert_eq!(out, &bytes[..response.length()]);
    }
    Ok((response.framing, response.keep_alive, unchanged, out))
}

/// Head; is it one to HEAD; framing; will the target go on; the head for the client, None = unchanged.
type Canonical = (&'static str, bool, Framing, bool, Option<&'static str>);

const CANONICAL: &[Canonical] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        true,
        None,
    ),
    (
        "HTTP/1.1 404 no such page\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n",
        false,
        Framing::Chunked,
        true,
        None,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        true,
        Framing::Empty,
        true,
        None,
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Empty,
        true,
        None,
    ),
    (
        "HTTP/1.1 200 OK\r\nmy_name: x\r\nContent-Length: 0\r\n\r\n",
        false,
        Framing::Length(0),
        true,
        None,
    ),
    (
        "HTTP/1.1 200 OK\r\nVia: \u{e9}\r\nContent-Length: 0\r\n\r\n",
        false,
        Framing::Length(0),
        true,
        None,
    ),
    (
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\nA: b\r\n\r\n",
        false,
        Framing::Empty,
        true,
        Some("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"),
    ),
    (
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nx-hop: 1\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        false,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        false,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        true,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.1 200 OK\r\nA:b\r\n\r\n",
        false,
        Framing::UntilClose,
        false,
        Some("HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ),
    (
        "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        true,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.1 599 \r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        true,
        Some("HTTP/1.1 599 Server Error\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.1 200 \u{e9}\r\nContent-Length: 3\r\n\r\n",
        false,
        Framing::Length(3),
        true,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
    ),
    (
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        false,
        Framing::Length(0),
        true,
        None,
    ),
    (
        "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
        false,
        Framing::Length(0),
        true,
        Some("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:  Chunked\r\n\r\n",
        false,
        Framing::Chunked,
        true,
        Some("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"),
    ),
];

#[test]
fn what_a_client_gets_is_canonical() {
    for &(bytes, to_head, framing, keep_alive, expected) in CANONICAL {
        let unchanged = expected.is_none();
        let expected = (
            framing,
            keep_alive,
            unchanged,
            expected.unwrap_or(bytes).into(),
        );
        assert_eq!(judged(bytes.as_bytes(), to_head), Ok(expected), "{bytes}");
    }
}

#[test]
fn what_could_be_read_in_two_ways_is_no_response() {
    let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes();
    let cases: Vec<Vec<u8>> = vec![
        ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        ok("Content-Length: 1\r\nContent-Length: 1\r\n"),
        ok("Content-Length: 1, 1\r\n"),
        ok("Content-Length: -1\r\n"),
        ok("Content-Length: 01\r\n"),
        ok("Content-Length:\r\n"),
        ok("Content-Length: 99999999999999999999\r\n"),
        ok("Transfer-Encoding: gzip, chunked\r\n"),
        ok("Transfer-Encoding: identity\r\n"),
        ok("Transfer-Encoding: chunked,\r\n"),
        ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        ok("Transfer_Encoding: chunked\r\n"),
        ok("Content-Length : 1\r\n"),
        ok("A: b\r\n folded\r\n"),
        ok("A: b\nC: d\r\n"),
        ok("A: b\rc\r\n"),
        ok("A: \0\r\n"),
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\nA: b\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nA: b\r\n\n".to_vec(),
        b"\r\nHTTP/1.1 200 OK\r\n\r\n".to_vec(),
        b"HTTP/2.0 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 99 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 099 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 600 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 2000 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1  200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 O\rK\r\n\r\n".to_vec(),
        b"<html>".to_vec(),
        b"220 mail.example ESMTP\r\n".to_vec(),
    ];
    for bytes in cases {
        let judged = judged(&bytes, false);
        assert_eq!(
            judged,
            Err(Some(Failure::ResponseMalformed)),
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn heads_of_responses_are_bounded() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(32 * 1024));
    assert_eq!(
        judged(long.as_bytes(), false),
        Err(Some(Failure::ResponseHeadTooLarge))
    );
    assert_eq!(
        judged(&long.as_bytes()[..32 * 1024], false),
        Err(Some(Failure::ResponseHeadTooLarge))
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "A: b\r\n".repeat(HEADERS_MAX + 1)
    );
    assert_eq!(
        judged(many.as_bytes(), false),
        Err(Some(Failure::ResponseHeadTooLarge))
    );
    let half = "HTTP/1.1 200 OK\r\nA: b";
    assert_eq!(judged(half.as_bytes(), false), Err(None));
}

#[test]
fn an_old_client_gets_no_chunks() {
    let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n";
    let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
    let response = Response::parse(bytes, &mut room, false).unwrap().unwrap();
    assert_eq!(response.coding(false), Coding::Unchunk);
    let mut out = Vec::new();
    response.write(&mut out, Coding::Unchunk, Persistence::Close);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\n");
}

#[test]
fn whatever_is_accepted_reads_the_same_behind_us() {
    let seeds: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: x\r\nX: 1\r\n\r\n",
        b"HTTP/1.1 404 no\r\ntransfer-encoding: chunked\r\nA:b\r\n\r\n",
        b"HTTP/1.0 204 No Content\r\nContent-Length: 3\r\nKeep-Alive: 1\r\n\r\n",
    ];
    let mut random = fastrand::Rng::with_seed(3);
    let mut accepted = 0;
    for round in 0..200_000 {
        let mut bytes = seeds[round % seeds.len()].to_vec();
        for _ in 0..random.usize(1..4) {
            super::heads::mutate(&mut random, &mut bytes);
        }
        let Ok((framing, _, _, once)) = judged(&bytes, false) else {
            continue;
        };
        accepted += 1;
        let (again, _, _, twice) = judged(&once, false).unwrap_or_else(|failure| {
            panic!("{failure:?}: {}", once.escape_ascii());
        });
        let expected = if framing == Framing::UntilClose {
            Framing::Chunked
        } else {
            framing
        };
        assert_eq!(
            (again, &twice),
            (expected, &once),
            "{}",
            bytes.escape_ascii()
        );
    }
    assert!(
        accepted > 10_000,
        "{accepted}: most of it must not be refused for one reason"
    );
}
