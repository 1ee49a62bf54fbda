//! The access log: one record per finished request or connection, written by a bounded writer.
//!
//! A worker formats its records into a buffer of its own and hands full or old buffers over; a thread writes them.
//! When the disk cannot keep up, lines are dropped and counted, never waited for.
//! Source: application load balancer, 13.1.

mod alb;
mod json;
mod queue;
mod sink;
mod text;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::{AccessLog, AccessLogFormat};

use queue::{CHUNK_BYTES, Queue};
use sink::Sink;
use text::Stamp;

/// Longest time that is left to the disk when the agent ends.
const END_WITHIN: Duration = Duration::from_secs(5);

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
    /// Whose doing the failure was: `client`, `target` or `agent`.
    pub fault: Option<&'static str>,
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

/// The log of an agent: the thread that writes, and what the workers share with it.
#[derive(Debug, Default)]
pub struct Log(Option<Open>);

/// A worker's end of the log. Made by [`Log::writer`]; the default one writes nothing.
#[derive(Debug, Default)]
pub struct Writer(Option<RefCell<Lines>>);

#[derive(Debug)]
struct Open {
    shared: Arc<Shared>,
    format: AccessLogFormat,
    thread: Option<JoinHandle<()>>,
    ended: oneshot::Receiver<()>,
}

/// What the workers and the thread share.
#[derive(Debug, Default)]
struct Shared {
    queue: Queue,
    dropped: AtomicU64,
    reopen: AtomicBool,
}

/// Lines that were not handed over yet.
#[derive(Debug)]
struct Lines {
    chunk: Vec<u8>,
    formatter: Formatter,
    shared: Arc<Shared>,
}

/// Makes the lines of a log. Pure; it remembers the second of its last line, so one per thread is best.
#[derive(Debug)]
pub struct Formatter {
    format: AccessLogFormat,
    stamps: Stamps,
}

/// The second of the last line, in words.
#[derive(Debug, Default)]
struct Stamps {
    received: Stamp,
    finished: Stamp,
}

/// Opens the log and starts its thread; without a `config` there is no log.
///
/// Errors: the file cannot be made or appended to, or the system gives no thread.
pub fn start(config: Option<&AccessLog>) -> io::Result<Log> {
    let Some(config) = config else {
        return Ok(Log::default());
    };
    let sink = Sink::open(&config.path)?;
    let shared = Arc::<Shared>::default();
    let (end, ended) = oneshot::channel();
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(move || {
            sink.run(&of_thread);
            // Nobody waits for it if the agent ended in disorder.
            let _ = end.send(());
        })?;
    Ok(Log(Some(Open {
        shared,
        format: config.format,
        thread: Some(thread),
        ended,
    })))
}

impl Log {
    /// A worker's end; all are alike. Its last lines are handed over when it is dropped.
    pub fn writer(&self, _worker: usize) -> Writer {
        let lines = self.0.as_ref().map(|open| {
            RefCell::new(Lines {
                chunk: Vec::new(),
                formatter: Formatter::new(open.format),
                shared: Arc::clone(&open.shared),
            })
        });
        Writer(lines)
    }

    /// Lines that were dropped so far, as the disk could not keep up.
    pub fn dropped(&self) -> u64 {
        let shared = self.0.as_ref().map(|open| &open.shared);
        shared.map_or(0, |shared| shared.dropped.load(Ordering::Relaxed))
    }

    /// Opens the file anew before the next line is written, as SIGHUP asks for. A file that was moved away is noticed
    /// without it, within a second.
    pub fn reopen(&self) {
        if let Some(open) = &self.0 {
            open.shared.reopen.store(true, Ordering::Relaxed);
        }
    }

    /// Writes what was handed over and ends the thread. Call it when all writers are dropped.
    ///
    /// A disk that takes longer than 5 s is not waited for.
    pub async fn shutdown(mut self) {
        let Some(open) = &mut self.0 else { return };
        open.shared.queue.close();
        match timeout(END_WITHIN, &mut open.ended).await {
            // It has ended, so joining does not wait; a panic was printed.
            Ok(_) => drop(open.thread.take().map(JoinHandle::join)),
            Err(_) => tracing::error!("the access log's last lines could not be written in time"),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl Writer {
    /// Whether anything is written; when not, nobody need put a record together.
    pub fn enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Writes one request. Never waits.
    pub fn request(&self, request: &Request<'_>) {
        self.line(|formatter, out| formatter.request(out, request));
    }

    /// Writes one connection. Never waits.
    pub fn connection(&self, connection: &Connection<'_>) {
        self.line(|formatter, out| formatter.connection(out, connection));
    }

    /// Hands over what there is, however little. Called twice a second, so that no line waits longer than that.
    pub fn flush_old(&self) {
        if let Some(lines) = &self.0 {
            lines.borrow_mut().hand_over();
        }
    }

    fn line(&self, write: impl FnOnce(&mut Formatter, &mut Vec<u8>)) {
        if let Some(lines) = &self.0 {
            lines.borrow_mut().line(write);
        }
    }
}

impl Lines {
    fn line(&mut self, write: impl FnOnce(&mut Formatter, &mut Vec<u8>)) {
        if self.is_full() && !self.hand_over() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        write(&mut self.formatter, &mut self.chunk);
        if self.is_full() {
            self.hand_over();
        }
    }

    fn is_full(&self) -> bool {
        self.chunk.len() >= CHUNK_BYTES
    }

    /// False = there is no room for more: the lines stay here.
    fn hand_over(&mut self) -> bool {
        self.chunk.is_empty() || self.shared.queue.offer(&mut self.chunk)
    }
}

impl Formatter {
    /// Lines of this form.
    pub fn new(format: AccessLogFormat) -> Self {
        Self {
            format,
            stamps: Stamps::default(),
        }
    }

    /// Appends the line of one request, line feed included. Whatever bytes clients sent, it is one line of its form.
    pub fn request(&mut self, out: &mut Vec<u8>, request: &Request<'_>) {
        match self.format {
            AccessLogFormat::Json => json::request(out, &mut self.stamps, request),
            AccessLogFormat::Alb => alb::request(out, &mut self.stamps, request),
        }
        out.push(b'\n');
    }

    /// Appends the line of one connection, line feed included.
    pub fn connection(&mut self, out: &mut Vec<u8>, connection: &Connection<'_>) {
        match self.format {
            AccessLogFormat::Json => json::connection(out, &mut self.stamps, connection),
            AccessLogFormat::Alb => alb::connection(out, &mut self.stamps, connection),
        }
        out.push(b'\n');
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let last = std::mem::take(&mut self.chunk);
        if !last.is_empty() {
            self.shared.queue.offer_last(last);
        }
    }
}

#[cfg(test)]
mod tests;
