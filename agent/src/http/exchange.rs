//! One request and its response: decided, sent, answered, counted.
//!
//! head -> rule -> target (`decide`) -> connection (`upstream`) -> `upload` and `download` of bodies, polled in this
//! order until the response (`reply`) is sent. Both directions run until they would block, so a response may come
//! before the request has ended. Any failure goes through [`Exchange::observe_failure`]: tried again, answered by us if
//! nothing was answered yet, or cut. [`Exchange::finish`] counts and logs, once.
//!
//! Invariant: nothing of it is held by an idle connection; a connection to a target is used again only if its request
//! was sent whole, its response was framed and whole, and nothing came after it.

mod decide;
mod download;
mod reply;
mod upload;
mod upstream;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::net::TcpStream;

use crate::edge::{InForce, Worker};
use crate::l4::dial;
use crate::l4::receive::poll_receive;
use crate::live::{self, InFlight};
use crate::table::GroupId;

use super::client::Client;
use super::failure::Failure;
use super::pool::check_silent;
use super::record::{Flow, Record};

use download::Download;
use upload::Upload;
use upstream::Upstream;

/// Bodies with more than this to go pass through a pipe.
const SPLICED_BYTES_MIN: u64 = 32 * 1024;

/// Reads per direction before others have their turn.
const READS_PER_TURN: usize = 16;

/// Bytes of further requests that are read while one is under way.
const PIPELINED_BYTES_MAX: usize = 16 * 1024;

/// One request under way.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    pub(super) record: Record,
    in_force: Option<Rc<InForce>>,
    group: Option<GroupId>,
    traits: Traits,
    /// Connections tried so far.
    connections: u8,
    upstream: Option<Upstream>,
    /// The target that a connection could not even be begun to.
    refused_by: Option<Arc<live::Target>>,
    upload: Upload,
    download: Download,
    /// The client's connection goes on after this.
    keeps_client: bool,
    /// The client finds the end of the response by the end of the connection.
    ends_by_close: bool,
    idle_seconds: u32,
}

/// What of a request is needed until its end.
#[derive(Debug, Default, Clone, Copy)]
struct Traits {
    to_head: bool,
    http10: bool,
    keep_alive: bool,
    /// The client said that it sends nothing after this.
    is_last: bool,
    upgrade: bool,
    ambiguous: bool,
    idempotent: bool,
}

/// How an exchange ends for the client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Another request may follow.
    Next,
    /// It is closed; the client has sent all that it wanted.
    Close,
    /// It is closed; the client may be sending still.
    Linger,
    /// It is cut: the response is not whole.
    Cut {
        /// The client would take the end of the connection for the end of the response.
        reset: bool,
    },
    /// It is a relay from now on.
    Upgrade,
}

/// What a relay is made of. The table is not among it: a long connection keeps no old one alive.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) record: Record,
    pub(super) target: TcpStream,
    pub(super) in_flight: InFlight,
    /// The head of the 101, and what the target sent after it.
    pub(super) to_client: Vec<u8>,
    pub(super) listener: Arc<live::Listener>,
    pub(super) group: Option<Arc<live::Group>>,
    pub(super) idle_seconds: u32,
}

impl Exchange {
    /// As new, with the memory that it has.
    pub(super) fn reset(&mut self) {
        self.record.reset();
        self.upload.reset();
        self.download.reset();
        self.in_force = None;
        self.group = None;
        self.traits = Traits::default();
        self.connections = 0;
        self.upstream = None;
        self.refused_by = None;
        self.keeps_client = false;
        self.ends_by_close = false;
        self.idle_seconds = 0;
    }

    /// Moves what can be moved.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
    ) -> Poll<End> {
        loop {
            let before = self.moved_bytes();
            let turned = self.turn(cx, worker, client);
            if self.moved_bytes() != before {
                client.slot.arm(self.idle_seconds);
            }
            let failure = match turned {
                Poll::Ready(Ok(end)) => return Poll::Ready(end),
                Poll::Ready(Err(failure)) => failure,
                Poll::Pending if client.slot.expired() => self.blame(),
                Poll::Pending => return Poll::Pending,
            };
            if let Some(end) = self.observe_failure(worker, client, failure) {
                return Poll::Ready(end);
            }
        }
    }

    /// Counts and logs. The exchange is over.
    pub(super) fn finish(&mut self, worker: &Worker, flow: &Flow) {
        self.add_up(worker);
        let Some(in_force) = &self.in_force else {
            return;
        };
        if let Some(listener) = in_force.table.listener(flow.listener) {
            let group = self.live_group().map(|group| &**group);
            self.record.write(worker, flow, &listener.live, group);
        }
    }

    /// After [`End::Upgrade`]: what the relay needs. The exchange is over; whoever relays writes the record.
    pub(super) fn take_upgraded(&mut self, worker: &Worker, flow: &Flow) -> Option<Upgraded> {
        let Upstream {
            stream, in_flight, ..
        } = self.upstream.take()?;
        self.add_up(worker);
        self.record.upgraded = true;
        let in_force = self.in_force.as_ref()?;
        let listener = Arc::clone(&in_force.table.listener(flow.listener)?.live);
        Some(Upgraded {
            target: stream,
            in_flight,
            to_client: self.download.buffer.rest().to_vec(),
            listener,
            group: self.live_group().map(Arc::clone),
            idle_seconds: self.idle_seconds,
            record: std::mem::take(&mut self.record),
        })
    }

    /// The pipes go back, and what both directions moved goes into the record.
    fn add_up(&mut self, worker: &Worker) {
        self.upload.give_back(worker);
        self.download.give_back(worker);
        self.record.received_bytes += self.upload.received_bytes;
        self.record.sent_bytes += self.download.sent_bytes;
    }

    fn live_group(&self) -> Option<&Arc<live::Group>> {
        let in_force = self.in_force.as_ref()?;
        Some(&in_force.table.group(self.group?)?.live)
    }

    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
    ) -> Poll<Result<End, Failure>> {
        if self.upstream.is_some() {
            self.turn_upstream(cx, worker, client)?;
        }
        if self.is_upgraded() {
            return Poll::Ready(Ok(End::Upgrade));
        }
        if self.download.is_done() {
            ready!(self.download.poll_send(cx, &client.stream)).map_err(|_| Failure::ClientGone)?;
            self.note_reply(worker);
            return Poll::Ready(Ok(self.end(client)));
        }
        Poll::Pending
    }

    /// Both directions, until each would block or has ended.
    fn turn_upstream(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
    ) -> Result<(), Failure> {
        let Some(upstream) = &mut self.upstream else {
            return Ok(());
        };
        if upstream.in_flight.target().cut.load(Ordering::Relaxed) {
            return Err(Failure::TargetCut);
        }
        if !upstream.is_open {
            match dial::poll_connected(&upstream.stream, cx) {
                // What comes of a body that is not whole yet waits; else only the end can be of interest.
                Poll::Pending if self.upload.body.is_done() => return watch(cx, worker, client),
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Failure::Refused),
                Poll::Ready(Ok(())) => {}
            }
            upstream.is_open = true;
            client.slot.arm(self.idle_seconds);
            check_silent(&upstream.stream)?;
        }
        self.turn_upload(cx, worker, client)?;
        self.turn_download(cx, worker, client)?;
        if self.download.is_done() {
            self.release(worker);
        }
        Ok(())
    }

    fn turn_upload(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
    ) -> Result<(), Failure> {
        let Some(upstream) = &self.upstream else {
            return Ok(());
        };
        if self.upload.broken {
            return Ok(());
        }
        if !self.upload.is_done() {
            let upload = &mut self.upload;
            match upload.poll(
                cx,
                worker,
                &mut client.stream,
                &mut client.unread,
                &upstream.stream,
            ) {
                Poll::Pending => return Ok(()),
                // Perhaps it has answered before it closed; the download will tell.
                Poll::Ready(Err(Failure::TargetClosed)) => {
                    self.upload.broken = true;
                    return Ok(());
                }
                Poll::Ready(result) => result?,
            }
        }
        if self.record.times.sent.is_none() {
            self.record.times.sent = Some(Instant::now());
        }
        watch(cx, worker, client)
    }

    fn turn_download(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
    ) -> Result<(), Failure> {
        for _ in 0..READS_PER_TURN {
            match self.download.poll_send(cx, &client.stream) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(_)) => return Err(Failure::ClientGone),
                Poll::Ready(Ok(())) => {}
            }
            self.note_reply(worker);
            let Some(upstream) = &mut self.upstream else {
                return Ok(());
            };
            let moved = match &self.download.state {
                download::State::Done => return Ok(()),
                download::State::Body(..) => {
                    self.download
                        .poll_body(cx, worker, &client.stream, &mut upstream.stream)
                }
                download::State::Awaiting => self.poll_head(cx, worker, client),
            };
            match moved {
                Poll::Pending => return Ok(()),
                Poll::Ready(moved) => moved?,
            }
            if self.is_upgraded() {
                return Ok(());
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &Client,
    ) -> Poll<Result<(), Failure>> {
        let Some(upstream) = &mut self.upstream else {
            return Poll::Pending;
        };
        let scratch = &mut *worker.scratch();
        let bytes = match ready!(poll_receive(cx, &mut upstream.stream, scratch)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(Failure::TargetClosed)),
            Ok(bytes) => &scratch[..bytes],
        };
        self.download.received = true;
        Poll::Ready(if self.download.has_begun_head() {
            match self.download.continue_head(bytes) {
                Some(bytes) => self.observe_heads(worker, client, &bytes),
                None => Ok(()),
            }
        } else {
            self.observe_heads(worker, client, bytes)
        })
    }

    /// The deadline has passed: who let it?
    fn blame(&self) -> Failure {
        match &self.upstream {
            None => Failure::ClientStalled,
            Some(upstream) if !upstream.is_open => Failure::ConnectTimeout,
            Some(_) if self.download.waits_for_client() => Failure::ClientStalled,
            Some(_)
                if self.download.is_awaiting()
                    && !self.upload.is_done()
                    && !self.upload.waits_for_target() =>
            {
                Failure::RequestTimeout
            }
            Some(_) => Failure::ResponseTimeout,
        }
    }

    fn note_reply(&mut self, worker: &Worker) {
        let times = &mut self.record.times;
        if times.replied.is_none() && times.answered.is_some() && worker.access_log().enabled() {
            times.replied = Some(Instant::now());
        }
    }

    fn end(&self, client: &Client) -> End {
        let whole = self.upload.body.is_done();
        match (
            self.keeps_client,
            whole && client.unread.is_empty() && self.traits.is_last,
        ) {
            (true, _) => End::Next,
            (false, true) => End::Close,
            (false, false) => End::Linger,
        }
    }

    fn is_upgraded(&self) -> bool {
        self.record.target_status == Some(101)
    }

    fn moved_bytes(&self) -> (u64, u64, u64) {
        (
            self.upload.received_bytes,
            self.upload.sent_bytes,
            self.download.sent_bytes,
        )
    }
}

/// While the target works: bytes of further requests wait, within a bound; the end of the stream ends it all.
///
/// A client that only closes its sending side is taken for gone, too (application load balancer, 12: 460).
fn watch(cx: &mut Context<'_>, worker: &Worker, client: &mut Client) -> Result<(), Failure> {
    while client.unread.len() < PIPELINED_BYTES_MAX {
        let room = PIPELINED_BYTES_MAX - client.unread.len();
        let scratch = &mut worker.scratch()[..room];
        match poll_receive(cx, &mut client.stream, scratch) {
            Poll::Pending => break,
            Poll::Ready(Ok(0) | Err(_)) => return Err(Failure::ClientGone),
            Poll::Ready(Ok(bytes)) => client.unread.extend_from_slice(&scratch[..bytes]),
        }
    }
    Ok(())
}
