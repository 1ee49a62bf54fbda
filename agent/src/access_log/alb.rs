//! The form of AWS's load balancers, for tools that read it: 34 fields a request (application load balancer, 13.1),
//! and for a connection the 22 of a network load balancer (12 there), which AWS has for TLS only.
//!
//! Ours in it: `elb` is `app/LOAD-BALANCER/LISTENER` (`net/...`), a target group's ARN is its name, and a connection's
//! line has type `tcp`, `-` for all that is of TLS, and three fields appended: target, target group, how it ended.
//! Quotes and what is not printable ASCII are escaped as `\x22` within quoted fields.

use crate::digits::write_number;

use super::text::{self, FIELD_BYTES, USER_AGENT_BYTES, address, quoted, shorten};
use super::{Connection, Request, Stamps};

/// Missing.
const NONE: &[u8] = b"-";

/// A request, without the line feed.
pub(super) fn request(out: &mut Vec<u8>, stamps: &mut Stamps, request: &Request<'_>) {
    out.extend_from_slice(request.kind.as_bytes());
    out.push(b' ');
    stamps.finished.microseconds(out, request.finished_at_us);
    out.extend_from_slice(b" app/");
    out.extend_from_slice(request.listener.as_bytes());
    out.push(b' ');
    address(out, request.client);
    out.push(b' ');
    target(out, request);
    times(out, request);
    out.push(b' ');
    write_number(out, request.status.into());
    out.push(b' ');
    target_status(out, request);
    out.push(b' ');
    write_number(out, request.received_bytes);
    out.push(b' ');
    write_number(out, request.sent_bytes);
    request_line(out, request);
    let user_agent = shorten(request.user_agent.unwrap_or_default(), USER_AGENT_BYTES);
    quoted_or_none(out, user_agent);
    // Cipher and protocol.
    out.extend_from_slice(b" - -");
    word(out, request.target_group.unwrap_or_default());
    quoted_or_none(out, request.trace_id.unwrap_or_default());
    // Domain name and certificate.
    out.extend_from_slice(b" \"-\" \"-\" ");
    match request.rule_priority {
        Some(priority) => write_number(out, priority.into()),
        None => out.extend_from_slice(NONE),
    }
    out.push(b' ');
    stamps.received.microseconds(out, request.received_at_us);
    quoted_or_none(out, request.action.unwrap_or_default().as_bytes());
    quoted_or_none(out, request.redirect_url.unwrap_or_default());
    quoted_or_none(out, request.error_reason.unwrap_or_default().as_bytes());
    out.extend_from_slice(b" \"");
    target(out, request);
    out.extend_from_slice(b"\" \"");
    target_status(out, request);
    out.push(b'"');
    let classification = request.classification.unwrap_or_default();
    quoted_or_none(out, classification.as_bytes());
    let reason = request.classification_reason.unwrap_or_default();
    quoted_or_none(out, reason.as_bytes());
    // Connection trace and transforms.
    out.extend_from_slice(b" - \"-\" \"-\" \"-\" ");
    text::ip(out, request.local.ip());
}

/// A connection, without the line feed.
pub(super) fn connection(out: &mut Vec<u8>, stamps: &mut Stamps, connection: &Connection<'_>) {
    out.extend_from_slice(b"tcp 2.0 ");
    stamps.finished.seconds(out, connection.finished_at_us);
    let (load_balancer, listener) = connection
        .listener
        .split_once('/')
        .unwrap_or((connection.listener, ""));
    out.extend_from_slice(b" net/");
    out.extend_from_slice(load_balancer.as_bytes());
    word(out, listener);
    out.push(b' ');
    address(out, connection.client);
    out.push(b' ');
    address(out, connection.local);
    out.push(b' ');
    let lasted_us = connection
        .finished_at_us
        .saturating_sub(connection.received_at_us);
    write_number(out, u64::try_from(lasted_us).unwrap_or(0) / 1000);
    // The handshake.
    out.extend_from_slice(b" - ");
    write_number(out, connection.received_bytes);
    out.push(b' ');
    write_number(out, connection.sent_bytes);
    // Alert, certificate and its serial, cipher, protocol, key exchange, name, and the protocols behind it.
    out.extend_from_slice(b" - - - - - - - - - - ");
    stamps.received.seconds(out, connection.received_at_us);
    out.push(b' ');
    match connection.target {
        Some(target) => address(out, target),
        None => out.extend_from_slice(NONE),
    }
    word(out, connection.target_group.unwrap_or_default());
    word(out, connection.end);
}

/// `"METHOD http://host:port/uri HTTP/x"`; `- http://host:port- -` if the head could not be read.
fn request_line(out: &mut Vec<u8>, request: &Request<'_>) {
    out.extend_from_slice(b" \"");
    quoted(out, shorten(or_none(request.method), FIELD_BYTES));
    out.push(b' ');
    let uri = shorten(or_none(request.target_uri), FIELD_BYTES);
    let has_scheme = !uri.starts_with(b"/") && uri != NONE && uri != b"*";
    if !has_scheme {
        out.extend_from_slice(b"http://");
        host_and_port(out, request);
    }
    quoted(out, uri);
    out.push(b' ');
    out.extend_from_slice(or_none(request.version.as_bytes()));
    out.push(b'"');
}

/// The client may leave the port out; the field never does.
fn host_and_port(out: &mut Vec<u8>, request: &Request<'_>) {
    let host = shorten(request.host, FIELD_BYTES);
    if host.is_empty() {
        return address(out, request.local);
    }
    quoted(out, host);
    // Colons within brackets are of an IPv6 address.
    let after_name = host.iter().rposition(|byte| *byte == b']').unwrap_or(0);
    if !host[after_name..].contains(&b':') {
        out.push(b':');
        write_number(out, request.local.port().into());
    }
}

fn times(out: &mut Vec<u8>, request: &Request<'_>) {
    for us in [
        request.request_processing_us,
        request.target_processing_us,
        request.response_processing_us,
    ] {
        out.push(b' ');
        text::seconds(out, us);
    }
}

fn target(out: &mut Vec<u8>, request: &Request<'_>) {
    match request.target {
        Some(target) => address(out, target),
        None => out.extend_from_slice(NONE),
    }
}

fn target_status(out: &mut Vec<u8>, request: &Request<'_>) {
    match request.target_status {
        Some(status) => write_number(out, status.into()),
        None => out.extend_from_slice(NONE),
    }
}

/// A space, and a name or constant of ours.
fn word(out: &mut Vec<u8>, word: &str) {
    out.push(b' ');
    out.extend_from_slice(or_none(word.as_bytes()));
}

/// A space, and anything in quotes.
fn quoted_or_none(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        return out.extend_from_slice(b" \"-\"");
    }
    out.extend_from_slice(b" \"");
    quoted(out, shorten(text, FIELD_BYTES));
    out.push(b'"');
}

fn or_none(text: &[u8]) -> &[u8] {
    match text.is_empty() {
        true => NONE,
        false => text,
    }
}
