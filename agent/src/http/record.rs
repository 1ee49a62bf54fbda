//! What is known of a request when it ends, counted and logged once.
//!
//! Text is copied out of the head only if somebody will read it; the clock is read for that, and for the response time.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::access_log;
use crate::edge::Worker;
use crate::edge::clock::now_and_then_us;
use crate::live::{
    self, GroupCounters, ListenerCounters, MADE_STATUSES, RESPONSE_TIME_BOUNDS_US, STATUS_CLASSES,
};
use crate::table::ListenerId;

use super::failure::Failure;
use super::request::{Head, Version};

/// The status of a client that is gone.
const NEVER_SENT: u16 = 460;

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
            log.request(&self.line(flow, &listener.name, group.map(|group| &*group.name)));
        }
    }

    fn count(&self, counters: &ListenerCounters) {
        counters.requests.add(1);
        // A relay keeps count of its own bytes.
        if !self.upgraded {
            counters.received_bytes.add(self.received_bytes);
            counters.sent_bytes.add(self.sent_bytes);
        }
        // An answer that was on its way when the client failed is counted as what it was.
        let is_made =
            self.target_status.is_none() && self.failure.map(Failure::status) == Some(self.status);
        if is_made {
            let place = MADE_STATUSES.iter().position(|made| *made == self.status);
            counters.made[place.unwrap_or(MADE_STATUSES.len())].add(1);
        }
        if !(is_made && self.status == NEVER_SENT) {
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
    ) -> access_log::Request<'a> {
        let (times, text) = (&self.times, &self.text);
        let between = |from: Option<Instant>, to: Option<Instant>| {
            Some(micros(to?.saturating_duration_since(from?)))
        };
        let received = times.received.unwrap_or_else(Instant::now);
        let (finished_at_us, received_at_us) = now_and_then_us(received);
        access_log::Request {
            kind: if self.upgraded { "ws" } else { "http" },
            listener,
            client: flow.peer,
            local: flow.local,
            received_at_us,
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
            fault: self.failure.map(|failure| failure.fault().word()),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::live::Shards;

    use super::super::head::HEADERS_MAX;
    use super::*;

    fn flow() -> Flow {
        Flow {
            peer: "192.0.2.7:4711".parse().unwrap(),
            local: "198.51.100.1:80".parse().unwrap(),
            listener: ListenerId(0),
        }
    }

    #[test]
    fn a_line_tells_the_whole_story() {
        let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
        let bytes = b"GET /a?b HTTP/1.0\r\nHost: h:1\r\nUser-Agent: curl\r\n\r\n";
        let head = Head::parse(bytes, &mut room).unwrap().unwrap();
        let received = Instant::now();
        let after = |micros| Some(received + Duration::from_micros(micros));
        let mut record = Record {
            status: 200,
            target_status: Some(200),
            ..Record::default()
        };
        record.times = Times {
            received: Some(received),
            sent: after(10),
            answered: after(510),
            replied: after(515),
        };
        record.keep_head(&head, b"h:1");
        record.keep_trace_id(b"Root=1");
        let flow = flow();
        let line = record.line(&flow, "edge/http", Some("shop"));
        assert_eq!(
            (line.method, line.host, line.target_uri),
            (&b"GET"[..], &b"h:1"[..], &b"/a?b"[..])
        );
        assert_eq!(
            (line.version, line.user_agent, line.trace_id),
            ("HTTP/1.0", Some(&b"curl"[..]), Some(&b"Root=1"[..]))
        );
        let times = (
            line.request_processing_us,
            line.target_processing_us,
            line.response_processing_us,
        );
        assert_eq!(times, (Some(10), Some(500), Some(5)));
        assert!(line.received_at_us <= line.finished_at_us);
        assert_eq!(
            (line.kind, line.redirect_url, line.error_reason),
            ("http", None, None)
        );
        record.reset();
        let line = record.line(&flow, "edge/http", None);
        assert_eq!(
            (line.method, line.user_agent, line.target_processing_us),
            (&b""[..], None, None)
        );
    }

    #[test]
    fn what_is_made_and_what_targets_say_is_counted_apart() {
        let failed = |failure: Failure, target_status: Option<u16>| Record {
            status: target_status.unwrap_or_else(|| failure.status()),
            failure: Some(failure),
            target_status,
            ..Record::default()
        };
        let name: Arc<str> = "edge/http".into();
        let listener = live::Listener {
            name,
            counters: Shards::new(1),
        };
        let counters: &ListenerCounters = listener.counters.of(0);
        // A response of ours; a client that is gone; a response of the target that was cut.
        failed(Failure::Refused, None).count(counters);
        failed(Failure::ClientGone, None).count(counters);
        failed(Failure::TargetClosed, Some(200)).count(counters);
        // A response of ours that the client did not take.
        Record {
            status: 301,
            failure: Some(Failure::ClientStalled),
            ..Record::default()
        }
        .count(counters);
        let made = |status| {
            counters.made[MADE_STATUSES
                .iter()
                .position(|made| *made == status)
                .unwrap()]
            .value()
        };
        assert_eq!((made(502), made(460)), (1, 1));
        let classes = [0, 1, 2, 3, 4].map(|class: usize| counters.responses[class].value());
        assert_eq!((classes, counters.requests.value()), ([0, 1, 1, 0, 1], 4));
    }

    #[test]
    fn response_times_fall_into_their_buckets() {
        let counters = GroupCounters::default();
        for micros in [0, 250, 251, 5_000_000, 5_000_001] {
            let sent = Instant::now();
            let times = Times {
                sent: Some(sent),
                answered: Some(sent + Duration::from_micros(micros)),
                ..Times::default()
            };
            Record {
                times,
                target_status: Some(200),
                ..Record::default()
            }
            .count_for_group(&counters);
        }
        let filled: Vec<_> = counters
            .response_time
            .iter()
            .map(live::Counter::value)
            .collect();
        assert_eq!((filled[0], filled[1], filled[11], filled[12]), (2, 1, 1, 1));
        assert_eq!(counters.response_time_sum_us.value(), 10_000_502);
    }
}
