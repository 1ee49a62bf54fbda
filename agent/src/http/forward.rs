//! The head of a request as the target gets it: canonical, with our headers. Pure.
//!
//! Source: application load balancer, 4.3-4.7.

use std::net::SocketAddr;

use crate::digits::{write_ipv4, write_number};
use crate::table::XForwardedFor;

use super::head::{Framing, Kind, Rewrite, write_header};
use super::request::{Head, Request, Version};
use super::trace;

/// What is not in the request.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// The client.
    pub peer: SocketAddr,
    /// The address that it contacted.
    pub local: SocketAddr,
    /// Port of the listener.
    pub listener_port: u16,
    /// Forward Host byte for byte.
    pub preserve_host_header: bool,
    /// What happens to X-Forwarded-For.
    pub x_forwarded_for: XForwardedFor,
    /// For the trace id.
    pub seed: trace::Seed,
}

/// Appends the head for the target; says where in `out` the trace id stands.
pub fn write(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    request: &Request<'_>,
    around: &Surroundings,
) -> std::ops::Range<usize> {
    let host_stays = host_stays(head, request, around);
    let mut rewrite = Rewrite::new(head.lines.raw, out);
    let is_canonical_line = head.version == Version::Http11 && request.target.is_origin_form;
    if !is_canonical_line {
        let first = head.lines.first().len();
        rewrite.skip(0, first);
        write_request_line(rewrite.out, head.method, request.target.origin_form);
    }
    for index in 0..head.lines.headers.len() {
        let stays = match request.kinds[index] {
            Kind::Plain | Kind::Expect => true,
            Kind::Host => host_stays,
            Kind::ContentLength => head.lines.headers[index].value.first() != Some(&b'0'),
            Kind::TransferEncoding => {
                request.framing == Framing::Chunked && head.lines.headers[index].value == b"chunked"
            }
            Kind::ForwardedFor => around.x_forwarded_for == XForwardedFor::Preserve,
            Kind::Connection
            | Kind::Upgrade
            | Kind::TraceId
            | Kind::Own
            | Kind::Hop
            | Kind::Dropped => false,
        };
        if stays {
            rewrite.keep(&head.lines, index);
        } else {
            rewrite.skip(head.lines.start(index), head.lines.start(index + 1));
        }
    }
    rewrite.flush(head.length() - 2);
    if !host_stays {
        write_host(out, request, around);
    }
    write_framing(out, head, request);
    write_protocol(out, head, request);
    write_forwarded(out, head, request, around);
    write_trace(out, head, request, around)
}

fn host_stays(head: &Head<'_>, request: &Request<'_>, around: &Surroundings) -> bool {
    let is_own = head.lines.value(b"host") == Some(request.target.authority);
    is_own
        && !request.target.authority.is_empty()
        && (around.preserve_host_header || request.target.host_stays(around.listener_port))
}

fn write_request_line(out: &mut Vec<u8>, method: &[u8], target: &[u8]) {
    for piece in [method, b" ", target, b" HTTP/1.1\r\n"] {
        out.extend_from_slice(piece);
    }
}

fn write_host(out: &mut Vec<u8>, request: &Request<'_>, around: &Surroundings) {
    out.extend_from_slice(b"Host: ");
    if around.preserve_host_header && !request.target.authority.is_empty() {
        out.extend_from_slice(request.target.authority);
    } else {
        request
            .target
            .write_host(out, around.local, around.listener_port);
    }
    out.extend_from_slice(b"\r\n");
}

/// Framing headers whose lines did not stay, in their one canonical form.
fn write_framing(out: &mut Vec<u8>, head: &Head<'_>, request: &Request<'_>) {
    match request.framing {
        Framing::Length(length) => {
            let stayed = head
                .lines
                .value(b"content-length")
                .is_some_and(|value| value.first() != Some(&b'0'));
            if !stayed {
                out.extend_from_slice(b"Content-Length: ");
                write_number(out, length);
                out.extend_from_slice(b"\r\n");
            }
        }
        Framing::Chunked => {
            let lines = head.lines.headers.iter().zip(&request.kinds);
            // Any of them: another one may say nothing.
            let stayed = lines
                .filter(|(_, kind)| **kind == Kind::TransferEncoding)
                .any(|(header, _)| header.value == b"chunked");
            if !stayed {
                write_header(out, b"Transfer-Encoding", b"chunked");
            }
        }
        Framing::Empty | Framing::UntilClose => {}
    }
}

/// What we say about the connection to the target.
fn write_protocol(out: &mut Vec<u8>, head: &Head<'_>, request: &Request<'_>) {
    if request.upgrade {
        let lines = head.lines.headers.iter().zip(&request.kinds);
        for (header, _) in lines.filter(|(_, kind)| **kind == Kind::Upgrade) {
            write_header(out, b"Upgrade", header.value);
        }
        write_header(out, b"Connection", b"Upgrade");
    } else if request.ambiguous {
        write_header(out, b"Connection", b"close");
    }
}

fn write_forwarded(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    request: &Request<'_>,
    around: &Surroundings,
) {
    if let XForwardedFor::Append { client_port } = around.x_forwarded_for {
        out.extend_from_slice(b"X-Forwarded-For: ");
        let lines = head.lines.headers.iter().zip(&request.kinds);
        for (header, _) in
            lines.filter(|(header, kind)| **kind == Kind::ForwardedFor && !header.value.is_empty())
        {
            out.extend_from_slice(header.value);
            out.extend_from_slice(b", ");
        }
        write_peer(out, around.peer, client_port);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"X-Forwarded-Proto: http\r\nX-Forwarded-Port: ");
    write_number(out, around.listener_port.into());
    out.extend_from_slice(b"\r\n");
}

fn write_peer(out: &mut Vec<u8>, peer: SocketAddr, with_port: bool) {
    use std::io::Write as _;
    let written = match peer {
        SocketAddr::V4(address) => {
            write_ipv4(out, address.ip().octets());
            Ok(())
        }
        SocketAddr::V6(address) if with_port => write!(out, "[{}]", address.ip()),
        SocketAddr::V6(address) => write!(out, "{}", address.ip()),
    };
    // Writing to memory cannot fail.
    debug_assert!(written.is_ok());
    if with_port {
        out.push(b':');
        write_number(out, peer.port().into());
    }
}

/// The last header, and the empty line.
fn write_trace(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    request: &Request<'_>,
    around: &Surroundings,
) -> std::ops::Range<usize> {
    out.extend_from_slice(b"X-Amzn-Trace-Id: ");
    let start = out.len();
    let headers_bytes = head.length() - head.lines.first().len();
    trace::write(out, request.trace_id, headers_bytes, around.seed);
    let end = out.len();
    out.extend_from_slice(b"\r\n\r\n");
    start..end
}
