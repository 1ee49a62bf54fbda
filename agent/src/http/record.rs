//! What is known of a request when it ends, counted and logged once.
//!
//! Text is copied out of the head only if somebody will read it; the clock is read for that, and for the response time.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::access_log;
use crate::edge::Worker;
use crate::live::{
    self, GroupCounters, ListenerCounters, MADE_STATUSES, RESPONSE_TIME_BOUNDS_US, STATUS_CLASSES,
};
use crate::table::ListenerId;

use super::failure::Failure;
use super::request::{Head, Version};

/// Who speaks to whom: the same for all requests of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flow {
    /// The client.
    pub(super) peer: SocketAddr,
    /// The address that it contacted.
    pub(super) local: SocketAddr,
    /// The listener.
    pub(super) listener: ListenerId,
}

/// One request, from its first byte to its record.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) times: Times,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    /// Sent, or 460.
    pub(super) status: u16,
    pub(super) target_status: Option<u16>,
    /// The status is ours, after a failure.
    pub(super) failure: Option<Failure>,
    pub(super) target: Option<SocketAddr>,
    pub(super) rule_priority: Option<u32>,
    pub(super) action: Option<&'static str>,
    pub(super) upgraded: bool,
    text: Text,
}

/// The moments of a request; None = it did not come so far, or nobody wants to know.
#[derive(Debug, Default)]
pub(super) struct Times {
    pub(super) received: Option<Instant>,
    pub(super) sent: Option<Instant>,
    pub(super) answered: Option<Instant>,
    pub(super) replied: Option<Instant>,
}

/// Parts of the head, for the log. Empty ranges = not known.
#[derive(Debug, Default)]
struct Text {
    bytes: Vec<u8>,
    version: &'static str,
    method: Range<usize>,
    uri: Range<usize>,
    host: Range<usize>,
    user_agent: Range<usize>,
    trace_id: Range<usize>,
    redirect_url: Range<usize>,
}

impl Text {
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    fn some(&self, range: &Range<usize>) -> Option<&[u8]> {
        (!range.is_empty()).then(|| self.part(range))
    }
}

impl Record {
    /// As new, with the memory that it has.
    pub(super) fn reset(&mut self) {
        let mut bytes = std::mem::take(&mut self.text.bytes);
        bytes.clear();
        *self = Self {
            text: Text {
                bytes,
                ..Text::default()
            },
            ..Self::default()
        };
    }

    /// The head was read.
    pub(super) fn keep_head(&mut self, head: &Head<'_>, host: &[u8]) {
        let text = &mut self.text;
        text.method = text.keep(head.method);
        text.uri = text.keep(head.uri);
        text.host = text.keep(host);
        text.user_agent = text.keep(head.lines.value(b"user-agent").unwrap_or_default());
        text.version = match head.version {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        };
    }

    /// As sent to the target.
    pub(super) fn keep_trace_id(&mut self, trace_id: &[u8]) {
        self.text.trace_id = self.text.keep(trace_id);
    }

    /// As sent to the client.
    pub(super) fn keep_redirect_url(&mut self, location: &[u8]) {
        self.text.redirect_url = self.text.keep(location);
    }

    /// Counts and logs. `group`: where it went.
    pub(super) fn write(
        &self,
        worker: &Worker,
        flow: &Flow,
        listener: &live::Listener,
        group: Option<&live::Group>,
    ) {
        self.count(listener.counters.of(worker.index));
        if let Some(group) = group {
            self.count_for_group(group.counters.of(worker.index));
        }
        let log = worker.access_log();
        if log.enabled() {
            let finished_at = Instant::now();
            log.request(&self.line(
                flow,
                &listener.name,
                group.map(|group| &*group.name),
                finished_at,
            ));
        }
    }

    fn count(&self, counters: &ListenerCounters) {
        counters.requests.add(1);
        // A relay keeps count of its own bytes.
        if !self.upgraded {
            counters.received_bytes.add(self.received_bytes);
            counters.sent_bytes.add(self.sent_bytes);
        }
        let made = self.failure.filter(|_| self.target_status.is_none());
        if let Some(status) = made.map(Failure::status) {
            let place = MADE_STATUSES.iter().position(|made| *made == status);
            counters.made[place.unwrap_or(MADE_STATUSES.len())].add(1);
        }
        // 460 is never sent.
        if made.is_none_or(|failure| failure.status() != 460) {
            count_class(&counters.responses, self.status);
        }
    }

    fn count_for_group(&self, counters: &GroupCounters) {
        let Some(status) = self.target_status else {
            return;
        };
        count_class(&counters.responses, status);
        if let (Some(sent), Some(answered)) = (self.times.sent, self.times.answered) {
            let micros = micros(answered.saturating_duration_since(sent));
            let bucket =
                RESPONSE_TIME_BOUNDS_US.partition_point(|bound| u64::from(*bound) < micros);
            counters.response_time[bucket].add(1);
            counters.response_time_sum_us.add(micros);
        }
    }

    fn line<'a>(
        &'a self,
        flow: &Flow,
        listener: &'a str,
        target_group: Option<&'a str>,
        finished_at: Instant,
    ) -> access_log::Request<'a> {
        let (times, text) = (&self.times, &self.text);
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(micros(to?.saturating_duration_since(from?)))
        };
        let finished_at_us = unix_us();
        let age = times.received.map_or(0, |received| {
            micros(finished_at.saturating_duration_since(received))
        });
        access_log::Request {
            kind: if self.upgraded { "ws" } else { "http" },
            listener,
            client: flow.peer,
            local: flow.local,
            received_at_us: finished_at_us - age.cast_signed(),
            finished_at_us,
            target_group,
            target: self.target,
            request_processing_us: between(times.received, times.sent),
            target_processing_us: between(times.sent, times.answered),
            response_processing_us: between(times.answered, times.replied),
            status: self.status,
            target_status: self.target_status,
            received_bytes: self.received_bytes,
            sent_bytes: self.sent_bytes,
            method: text.part(&text.method),
            host: text.part(&text.host),
            target_uri: text.part(&text.uri),
            version: text.version,
            user_agent: text.some(&text.user_agent),
            trace_id: text.some(&text.trace_id),
            rule_priority: self.rule_priority,
            action: self.action,
            redirect_url: text.some(&text.redirect_url),
            error_reason: self.failure.map(Failure::reason),
            classification: None,
            classification_reason: None,
        }
    }
}

fn count_class(classes: &[live::Counter; STATUS_CLASSES], status: u16) {
    if let Some(class) = usize::from(status / 100)
        .checked_sub(1)
        .and_then(|class| classes.get(class))
    {
        class.add(1);
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Microseconds since 1970.
fn unix_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
