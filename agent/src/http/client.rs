//! The client's side of a connection between requests: waiting for a head, without holding anything. When the head is
//! there, the request takes its one table and its exchange begins.
//!
//! A head that comes whole is looked at where it was read. One that does not is kept until it is whole, within the
//! bounds of heads, and looked at again when its end is there or it has doubled: a byte at a time costs no more in all
//! than at once. Nothing that a connection does not need while idle is in here.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustix::net::RecvFlags;
use tokio::net::TcpStream;

use crate::edge::slot::whole_seconds;
use crate::edge::{Accepted, InForce, Open, Slot, Worker};
use crate::l4::receive::poll_receive;
use crate::table::{HttpService, Service};

use super::exchange::Exchange;
use super::failure::Failure;
use super::head::HEADERS_MAX;
use super::record::Flow;
use super::request::{HEAD_BYTES_MAX, Head};

/// Longest time from the first byte of a head to its last, if the idle timeout is not longer.
const HEAD_SECONDS_MIN: u32 = 120;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: TcpStream,
    pub(super) slot: Slot,
    pub(super) flow: Flow,
    /// Read and not used: the beginning of a head, or further requests.
    pub(super) unread: Vec<u8>,
    /// How much of [`Self::unread`] was looked at in vain.
    looked_at: usize,
    /// When the head must be whole, in seconds of the worker's clock.
    head_due_at: u32,
    /// When one more request is the last.
    retires_at: u32,
    pub(super) idle_seconds: u32,
    /// Of the next request; known only if somebody wants to know.
    pub(super) first_byte_at: Option<Instant>,
    /// The table in force when it was accepted, for the first request if the listener is gone by then.
    accepted_by: Option<Rc<InForce>>,
    open: Open,
}

impl Client {
    /// As accepted. None = the listener is gone, or none of HTTP.
    pub(super) fn new(worker: &Worker, accepted: Accepted) -> Option<Self> {
        let in_force = worker.in_force();
        let service = service(&in_force, &accepted)?;
        let idle_seconds = whole_seconds(service.idle_timeout);
        let retires_at = worker
            .seconds()
            .saturating_add(whole_seconds(service.client_keep_alive));
        let slot = worker.connection(accepted.listener);
        slot.arm(idle_seconds);
        Some(Self {
            stream: accepted.stream,
            slot,
            flow: Flow {
                peer: accepted.peer,
                local: accepted.local,
                listener: accepted.listener,
            },
            unread: Vec::new(),
            looked_at: 0,
            head_due_at: 0,
            retires_at,
            idle_seconds,
            first_byte_at: None,
            accepted_by: Some(in_force),
            open: accepted.open,
        })
    }

    /// Waits for the next request. None = the connection is to be closed.
    pub(super) fn poll_request(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
    ) -> Poll<Option<Box<Exchange>>> {
        if !self.unread.is_empty() && self.looked_at == 0 {
            self.note_first_byte(worker);
            if let Some(begun) = self.look_at_unread(worker) {
                return Poll::Ready(begun);
            }
        }
        loop {
            let scratch = &mut *worker.scratch();
            let bytes = match poll_receive(cx, &mut self.stream, scratch) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(None),
                Poll::Ready(Ok(bytes)) => &scratch[..bytes],
                Poll::Pending => return self.wait(worker),
            };
            if let Some(begun) = self.observe(worker, bytes) {
                return Poll::Ready(begun);
            }
        }
    }

    /// What a relay takes over.
    pub(super) fn into_parts(self) -> (TcpStream, Slot, Flow, Vec<u8>, Open) {
        (self.stream, self.slot, self.flow, self.unread, self.open)
    }

    /// This exchange is the last: the agent ends, the listener is gone, or the connection is old.
    pub(super) fn is_closing(&self, worker: &Worker) -> bool {
        worker.draining()
            || worker.seconds() >= self.retires_at
            || worker
                .in_force()
                .table
                .listener(self.flow.listener)
                .is_none()
    }

    /// Nothing is to be read now.
    fn wait(&mut self, worker: &Worker) -> Poll<Option<Box<Exchange>>> {
        match (self.unread.is_empty(), self.slot.expired()) {
            (true, true) => Poll::Ready(None),
            (false, true) => Poll::Ready(self.refuse(worker, Failure::RequestTimeout, 0)),
            // An old connection may have one more request.
            (true, false) if self.must_not_wait(worker) && !self.has_request() => Poll::Ready(None),
            (_, false) => Poll::Pending,
        }
    }

    fn must_not_wait(&self, worker: &Worker) -> bool {
        worker.draining()
            || worker
                .in_force()
                .table
                .listener(self.flow.listener)
                .is_none()
    }

    /// The system has bytes that the runtime has not heard of yet; it will.
    fn has_request(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&self.stream, &mut [0], flags).is_ok_and(|(bytes, _)| bytes > 0)
    }

    /// Bytes of a head, from its first byte or after others. Some(None) = close.
    fn observe(&mut self, worker: &Worker, bytes: &[u8]) -> Option<Option<Box<Exchange>>> {
        if self.unread.is_empty() {
            self.note_first_byte(worker);
            let (begun, used) = self.look_at(worker, bytes);
            self.unread.extend_from_slice(&bytes[used..]);
            self.note_partial(worker, begun.is_none());
            return begun;
        }
        // The end may be split in up to three bytes before and one after.
        let from = self.unread.len().saturating_sub(3);
        self.unread.extend_from_slice(bytes);
        let has_end = memchr::memmem::find(&self.unread[from..], b"\n\r\n").is_some();
        let is_due = self.unread.len() >= (2 * self.looked_at).min(HEAD_BYTES_MAX);
        if has_end || is_due {
            return self.look_at_unread(worker);
        }
        self.arm_for_head(worker);
        None
    }

    fn look_at_unread(&mut self, worker: &Worker) -> Option<Option<Box<Exchange>>> {
        let mut bytes = std::mem::take(&mut self.unread);
        let (begun, used) = self.look_at(worker, &bytes);
        if used < bytes.len() {
            bytes.drain(..used);
            self.unread = bytes;
        }
        self.note_partial(worker, begun.is_none());
        begun
    }

    fn note_first_byte(&mut self, worker: &Worker) {
        self.head_due_at = worker
            .seconds()
            .saturating_add(self.idle_seconds.max(HEAD_SECONDS_MIN));
        if worker.access_log().enabled() {
            self.first_byte_at = Some(Instant::now());
        }
    }

    fn note_partial(&mut self, worker: &Worker, partial: bool) {
        self.looked_at = if partial { self.unread.len() } else { 0 };
        if self.looked_at > 0 {
            self.arm_for_head(worker);
        }
    }

    /// A byte within the idle timeout, and all of them in bounded time.
    fn arm_for_head(&self, worker: &Worker) {
        let due_in = self.head_due_at.saturating_sub(worker.seconds());
        self.slot.arm(self.idle_seconds.min(due_in).max(1));
    }

    /// What `bytes` begin, and how many of them that took.
    fn look_at(&mut self, worker: &Worker, bytes: &[u8]) -> (Option<Option<Box<Exchange>>>, usize) {
        let blank = blank_lines(bytes);
        let mut room = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
        match Head::parse(&bytes[blank..], &mut room) {
            Ok(None) => (None, blank),
            Ok(Some(head)) => {
                let end = blank + head.length();
                let (begun, used) = self.begin(worker, &head, &bytes[end..]);
                (Some(begun), end + used)
            }
            Err(failure) => (Some(self.refuse(worker, failure, bytes.len())), bytes.len()),
        }
    }

    fn begin(
        &mut self,
        worker: &Worker,
        head: &Head<'_>,
        rest: &[u8],
    ) -> (Option<Box<Exchange>>, usize) {
        let Some(in_force) = self.in_force(worker) else {
            return (None, 0);
        };
        let mut exchange = worker.upstreams().exchange();
        let used = exchange.begin(worker, self, in_force, head, rest);
        (Some(exchange), used)
    }

    /// No request can be made of what came. `received_bytes`: besides what is kept.
    fn refuse(
        &mut self,
        worker: &Worker,
        failure: Failure,
        received_bytes: usize,
    ) -> Option<Box<Exchange>> {
        let in_force = self.in_force(worker)?;
        let received_bytes = received_bytes + std::mem::take(&mut self.unread).len();
        let mut exchange = worker.upstreams().exchange();
        exchange.refuse(worker, self, &in_force, received_bytes, failure);
        Some(exchange)
    }

    /// The table that decides the next request. None = none has the listener any more.
    fn in_force(&mut self, worker: &Worker) -> Option<Rc<InForce>> {
        let accepted_by = self.accepted_by.take();
        let now = worker.in_force();
        let in_force = match now.table.listener(self.flow.listener) {
            Some(_) => now,
            None => accepted_by?,
        };
        match &in_force.table.listener(self.flow.listener)?.service {
            Service::Http(service) => self.idle_seconds = whole_seconds(service.idle_timeout),
            Service::Tcp(_) => return None,
        }
        Some(in_force)
    }
}

fn service<'t>(in_force: &'t InForce, accepted: &Accepted) -> Option<&'t HttpService> {
    match &in_force.table.listener(accepted.listener)?.service {
        Service::Http(service) => Some(service),
        Service::Tcp(_) => None,
    }
}

/// Empty lines before a request are passed over (RFC 9112, 2.2).
fn blank_lines(bytes: &[u8]) -> usize {
    2 * bytes
        .chunks_exact(2)
        .take_while(|pair| *pair == b"\r\n")
        .count()
}
