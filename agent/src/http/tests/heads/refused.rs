//! Heads of requests that are refused, and the reason for each. No sockets.

use super::super::super::failure::Failure::{
    self, ForwardedFor, HeadTooLarge, Malformed, Method, TransferCoding, UriTooLong, Version,
};
use super::super::super::failure::Reason;
use super::*;

/// Each is refused for this reason.
fn refused(cases: impl IntoIterator<Item = (Vec<u8>, Failure)>) {
    for (bytes, failure) in cases {
        let shown = bytes[..bytes.len().min(200)].escape_ascii().to_string();
        let forwarded = forwarded(&bytes, KEEP_INVALID, &surroundings());
        assert_eq!(forwarded, Err(Some(failure)), "{shown}");
    }
}

fn post(headers: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{headers}\r\n").into_bytes()
}

fn get(line: &str) -> Vec<u8> {
    format!("{line}\r\nHost: h\r\n\r\n").into_bytes()
}

#[test]
fn a_body_that_could_end_in_two_places_is_refused() {
    refused([
        (
            post("Transfer-Encoding: identity\r\nContent-Length: 1\r\n"),
            Malformed(Reason::BothTeClPresent),
        ),
        (
            post("Content-Length: 1\r\nContent-Length: 2\r\n"),
            Malformed(Reason::MultipleContentLength),
        ),
        (
            post("Content-Length: 1, 1\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Content-Length: +1\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Content-Length: 0x1\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Content-Length: 1 1\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Content-Length:\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Content-Length: 18446744073709551616\r\n"),
            Malformed(Reason::BadContentLength),
        ),
        (
            post("Transfer-Encoding:\r\n"),
            Malformed(Reason::BadTransferEncoding),
        ),
        (
            post("Transfer-Encoding: chunked, gzip\r\n"),
            Malformed(Reason::BadTransferEncoding),
        ),
        (
            post("Transfer-Encoding: chunked, identity\r\n"),
            Malformed(Reason::BadTransferEncoding),
        ),
        (
            post("Transfer-Encoding: chunked, chunked\r\n"),
            Malformed(Reason::MultipleTransferEncodingChunked),
        ),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            Malformed(Reason::MultipleTransferEncodingChunked),
        ),
        (post("Transfer-Encoding: gzip, chunked\r\n"), TransferCoding),
        (post("Transfer-Encoding: gzip\r\n"), TransferCoding),
        (post("Transfer-Encoding: xchunked\r\n"), TransferCoding),
        (post("Transfer-Encoding: chunked;q=1\r\n"), TransferCoding),
        (post("Transfer-Encoding: \"chunked\"\r\n"), TransferCoding),
        (
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            Malformed(Reason::UndefinedTransferEncodingSemantics),
        ),
        (
            post("Content_Length: 1\r\n"),
            Malformed(Reason::SuspiciousHeader),
        ),
        (
            post("Transfer.Encoding: chunked\r\n"),
            Malformed(Reason::SuspiciousHeader),
        ),
    ]);
}

#[test]
fn lines_that_could_be_read_in_two_ways_are_refused() {
    refused([
        (
            b"POST / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n".to_vec(),
            Malformed(Reason::Header),
        ),
        (
            b"POST / HTTP/1.1\nHost: h\r\n\r\n".to_vec(),
            Malformed(Reason::Header),
        ),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\n\n".to_vec(),
            Malformed(Reason::Header),
        ),
        (
            b"POST / HTTP/1.1\r\nHost: h\n\r\n".to_vec(),
            Malformed(Reason::Header),
        ),
        (b"POST / HTTP/1.1\n\n".to_vec(), Malformed(Reason::Header)),
        (
            b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(),
            Malformed(Reason::Header),
        ),
        (post("A: b\r\n c\r\n"), Malformed(Reason::Header)),
        (post("A: b\r\n\tc\r\n"), Malformed(Reason::Header)),
        (post(" A: b\r\n"), Malformed(Reason::Header)),
        (post("A : b\r\n"), Malformed(Reason::Header)),
        (post("Content-Length : 1\r\n"), Malformed(Reason::Header)),
        (post("A\r\n"), Malformed(Reason::Header)),
        (post(": b\r\n"), Malformed(Reason::Header)),
        (post("A: b\rc\r\n"), Malformed(Reason::Header)),
        (post("A: b\0c\r\n"), Malformed(Reason::Header)),
        (post("A\0: b\r\n"), Malformed(Reason::Header)),
        (post("\u{e9}: b\r\n"), Malformed(Reason::Header)),
    ]);
}

#[test]
fn a_request_without_one_usable_host_is_refused() {
    refused([
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Malformed(Reason::Host)),
        (
            b"GET http://h/ HTTP/1.1\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (post("Host: h\r\n"), Malformed(Reason::Host)),
        (
            b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: [a]\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (
            b"GET / HTTP/1.1\r\nHost: h\xe9\r\n\r\n".to_vec(),
            Malformed(Reason::Host),
        ),
        (get("GET http://u@h/ HTTP/1.1"), Malformed(Reason::Host)),
    ]);
}

#[test]
fn request_lines_that_are_none_are_refused() {
    refused([
        (get("TRACE / HTTP/1.1"), Method),
        (get("CONNECT h:443 HTTP/1.1"), Method),
        (get("G(T / HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET  / HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET /\0 HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET /\x7f HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET / / HTTP/1.1"), Malformed(Reason::Version)),
        (get("GET a HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET * HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET ftp://h/ HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET http:///a HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET h:443 HTTP/1.1"), Malformed(Reason::Uri)),
        (get("GET / HTTP/2.0"), Version),
        (get("GET / HTTP/1.2"), Version),
        (get("GET / http/1.1"), Malformed(Reason::Version)),
        (get("GET / HTTP/1.1 "), Malformed(Reason::Uri)),
        (get("GET / HTTP/11"), Malformed(Reason::Version)),
        (get("GET /"), Malformed(Reason::Uri)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), Version),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Malformed(Reason::Method),
        ),
    ]);
}

#[test]
fn heads_are_bounded() {
    refused([
        (
            get(&format!("GET /{} HTTP/1.1", "a".repeat(16 * 1024))),
            UriTooLong,
        ),
        (
            format!("GET /{}", "a".repeat(16 * 1024)).into_bytes(),
            UriTooLong,
        ),
        (
            post(&format!("A: {}\r\n", "b".repeat(16 * 1024))),
            HeadTooLarge,
        ),
        (post(&"A: b\r\n".repeat(HEADERS_MAX)), HeadTooLarge),
        (
            post(&format!("A: {}\r\n", "b".repeat(15 * 1024)).repeat(5)),
            HeadTooLarge,
        ),
        (
            format!("GET / HTTP/1.1\r\nA: {}", "b".repeat(80 * 1024)).into_bytes(),
            HeadTooLarge,
        ),
        (
            post(&format!("X-Forwarded-For: {}\r\n", "a,".repeat(31))),
            ForwardedFor,
        ),
        (post(&"X-Forwarded-For: a, b\r\n".repeat(16)), ForwardedFor),
    ]);
}
