//! The form for programs: one JSON object a line, absent facts left out, names in the manifest's manner.

use crate::digits::write_number;

use super::text::{self, FIELD_BYTES, USER_AGENT_BYTES, address, shorten};
use super::{Connection, Request, Stamps};

/// A request, without the line feed.
pub(super) fn request(out: &mut Vec<u8>, stamps: &mut Stamps, request: &Request<'_>) {
    begin(out, stamps, request.finished_at_us, request.kind);
    own(out, "listener", request.listener);
    addressed(out, "client", request.client);
    addressed(out, "local", request.local);
    time(out, &mut stamps.received, request.received_at_us);
    count(out, "status", Some(request.status.into()));
    count(out, "targetStatus", request.target_status.map(u64::from));
    count(out, "receivedBytes", Some(request.received_bytes));
    count(out, "sentBytes", Some(request.sent_bytes));
    count(out, "requestProcessingUs", request.request_processing_us);
    count(out, "targetProcessingUs", request.target_processing_us);
    count(out, "responseProcessingUs", request.response_processing_us);
    foreign(out, "method", request.method, FIELD_BYTES);
    foreign(out, "host", request.host, FIELD_BYTES);
    foreign(out, "uri", request.target_uri, FIELD_BYTES);
    own(out, "version", request.version);
    let user_agent = request.user_agent.unwrap_or_default();
    foreign(out, "userAgent", user_agent, USER_AGENT_BYTES);
    let trace_id = request.trace_id.unwrap_or_default();
    foreign(out, "traceId", trace_id, FIELD_BYTES);
    count(out, "rulePriority", request.rule_priority.map(u64::from));
    own(out, "action", request.action.unwrap_or_default());
    own(out, "targetGroup", request.target_group.unwrap_or_default());
    if let Some(target) = request.target {
        addressed(out, "target", target);
    }
    let redirect_url = request.redirect_url.unwrap_or_default();
    foreign(out, "redirectUrl", redirect_url, FIELD_BYTES);
    own(out, "errorReason", request.error_reason.unwrap_or_default());
    own(out, "fault", request.fault.unwrap_or_default());
    own(
        out,
        "classification",
        request.classification.unwrap_or_default(),
    );
    let reason = request.classification_reason.unwrap_or_default();
    own(out, "classificationReason", reason);
    out.push(b'}');
}

/// A connection, without the line feed.
pub(super) fn connection(out: &mut Vec<u8>, stamps: &mut Stamps, connection: &Connection<'_>) {
    begin(out, stamps, connection.finished_at_us, "tcp");
    own(out, "listener", connection.listener);
    addressed(out, "client", connection.client);
    addressed(out, "local", connection.local);
    time(out, &mut stamps.received, connection.received_at_us);
    count(out, "receivedBytes", Some(connection.received_bytes));
    count(out, "sentBytes", Some(connection.sent_bytes));
    own(
        out,
        "targetGroup",
        connection.target_group.unwrap_or_default(),
    );
    if let Some(target) = connection.target {
        addressed(out, "target", target);
    }
    own(out, "end", connection.end);
    out.push(b'}');
}

fn begin(out: &mut Vec<u8>, stamps: &mut Stamps, finished_at_us: i64, kind: &str) {
    out.extend_from_slice(b"{\"time\":\"");
    stamps.finished.microseconds(out, finished_at_us);
    out.extend_from_slice(b"\",\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
}

fn key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn time(out: &mut Vec<u8>, stamp: &mut text::Stamp, received_at_us: i64) {
    out.extend_from_slice(b",\"receivedTime\":\"");
    stamp.microseconds(out, received_at_us);
    out.push(b'"');
}

fn count(out: &mut Vec<u8>, name: &str, value: Option<u64>) {
    if let Some(value) = value {
        key(out, name);
        write_number(out, value);
    }
}

fn addressed(out: &mut Vec<u8>, name: &str, value: std::net::SocketAddr) {
    key(out, name);
    out.push(b'"');
    address(out, value);
    out.push(b'"');
}

/// A word of ours: names and constants need no escapes.
fn own(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        key(out, name);
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

fn foreign(out: &mut Vec<u8>, name: &str, value: &[u8], most_bytes: usize) {
    if !value.is_empty() {
        key(out, name);
        out.push(b'"');
        text::json(out, shorten(value, most_bytes));
        out.push(b'"');
    }
}
