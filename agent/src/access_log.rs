//! The access log: one record per finished request or connection, written by a bounded writer.
//!
//! A worker formats its records into a buffer of its own and hands full or old buffers over; a thread writes them.
//! When the disk cannot keep up, lines are dropped and counted, never waited for.
//! Source: application load balancer, 13.1.

use std::net::SocketAddr;

/// A finished request, lent for the time of the call.
#[derive(Debug)]
pub struct Request<'a> {
    /// `http` or `ws`: what the connection spoke in the end.
    pub kind: &'static str,
    /// `loadBalancer/listener`.
    pub listener: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// The address that it contacted.
    pub local: SocketAddr,
    /// When the first byte of the request was received, microseconds since 1970.
    pub received_at_us: i64,
    /// When the last byte of the response was sent, microseconds since 1970.
    pub finished_at_us: i64,
    /// The group that it was sent to.
    pub target_group: Option<&'a str>,
    /// The target that it was sent to, last.
    pub target: Option<SocketAddr>,
    /// From received to sent to the target, in microseconds; None = never sent (-1 in the log).
    pub request_processing_us: Option<u64>,
    /// From sent to the target to its response head; None = it never answered.
    pub target_processing_us: Option<u64>,
    /// From the response head to the first byte sent to the client.
    pub response_processing_us: Option<u64>,
    /// Status of the response, whoever made it.
    pub status: u16,
    /// Status of the target's response.
    pub target_status: Option<u16>,
    /// Bytes received from the client, head included.
    pub received_bytes: u64,
    /// Bytes sent to the client, head included.
    pub sent_bytes: u64,
    /// Method as sent; empty if the head could not be read.
    pub method: &'a [u8],
    /// Host with its port if there was one; empty if unknown.
    pub host: &'a [u8],
    /// Path and query as sent; empty if the head could not be read.
    pub target_uri: &'a [u8],
    /// `HTTP/1.1` or `HTTP/1.0`; empty if the head could not be read.
    pub version: &'static str,
    /// User-Agent.
    pub user_agent: Option<&'a [u8]>,
    /// Value of X-Amzn-Trace-Id as sent to the target.
    pub trace_id: Option<&'a [u8]>,
    /// Priority of the rule that matched; 0 = the default action; None = no rule was looked for.
    pub rule_priority: Option<u32>,
    /// `forward`, `redirect`, `fixed-response`; None = none was taken.
    pub action: Option<&'static str>,
    /// Location of a redirect that was made.
    pub redirect_url: Option<&'a [u8]>,
    /// Why the agent itself failed the request, in the spec's words where it has one.
    pub error_reason: Option<&'static str>,
    /// Desync class, `Acceptable`, `Ambiguous` or `Severe`; None = compliant.
    pub classification: Option<&'static str>,
    /// Reason of the class.
    pub classification_reason: Option<&'static str>,
}

/// A finished connection of a TCP listener, lent for the time of the call.
#[derive(Debug)]
pub struct Connection<'a> {
    /// `loadBalancer/listener`.
    pub listener: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// The address that it contacted.
    pub local: SocketAddr,
    /// When it was accepted, microseconds since 1970.
    pub received_at_us: i64,
    /// When it ended, microseconds since 1970.
    pub finished_at_us: i64,
    /// The group that it was sent to.
    pub target_group: Option<&'a str>,
    /// The target that it was sent to.
    pub target: Option<SocketAddr>,
    /// Bytes received from the client.
    pub received_bytes: u64,
    /// Bytes sent to the client.
    pub sent_bytes: u64,
    /// How it ended: `done`, `idle-timeout`, `client-reset`, `target-reset`, `cut`, `no-target`.
    pub end: &'static str,
}

/// A worker's end of the log.
#[derive(Debug, Default)]
pub struct Writer {}

impl Writer {
    /// Whether anything is written; when not, nobody need put a record together.
    pub fn enabled(&self) -> bool {
        false
    }

    /// Writes one request. Never waits.
    pub fn request(&self, _request: &Request<'_>) {}

    /// Writes one connection. Never waits.
    pub fn connection(&self, _connection: &Connection<'_>) {}
}
