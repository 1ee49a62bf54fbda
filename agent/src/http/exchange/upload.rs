//! From the client to the target: the head as we wrote it, then the body.
//!
//! What was sent stays in the buffer until more of the body is read, so that another connection can be tried.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::edge::Worker;
use crate::l4::pipe::Pipe;
use crate::l4::receive::poll_receive;

use super::super::body::Body;
use super::super::buffer::Buffer;
use super::super::failure::{Failure, Reason};
use super::{READS_PER_TURN, SPLICED_BYTES_MIN};

/// What is to be sent to the target.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// Head, and what of the body was not taken at once.
    pub(super) buffer: Buffer,
    /// What the client has not sent yet.
    pub(super) body: Body,
    pipe: Option<Pipe>,
    /// [`Self::buffer`] does not hold everything any more.
    gone: bool,
    /// The target takes no more. It may have answered all the same.
    pub(super) broken: bool,
    /// Bytes written to the target on the present connection.
    pub(super) sent_bytes: u64,
    /// Bytes of the body read.
    pub(super) received_bytes: u64,
}

impl Upload {
    /// As new, with the memory that it has.
    pub(super) fn reset(&mut self) {
        self.buffer.clear();
        let buffer = std::mem::take(&mut self.buffer);
        *self = Self {
            buffer,
            ..Self::default()
        };
    }

    /// Everything was sent.
    pub(super) fn is_done(&self) -> bool {
        self.body.is_done()
            && self.buffer.is_sent()
            && self.pipe.as_ref().is_none_or(Pipe::is_empty)
    }

    /// The target does not take what is there for it.
    pub(super) fn waits_for_target(&self) -> bool {
        !self.buffer.is_sent() || self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty())
    }

    /// Everything that was sent could be sent again.
    pub(super) fn is_repeatable(&self) -> bool {
        !self.gone
    }

    /// Begins again on another connection.
    pub(super) fn rewind(&mut self) {
        debug_assert!(self.is_repeatable());
        self.buffer.rewind();
        self.broken = false;
        self.sent_bytes = 0;
    }

    /// Sends until all is sent, or one side would block. What follows the request goes to `unread`.
    ///
    /// Errors: [`Failure::TargetClosed`], and what is wrong with the body.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut TcpStream,
        unread: &mut Vec<u8>,
        target: &TcpStream,
    ) -> Poll<Result<(), Failure>> {
        for _ in 0..READS_PER_TURN {
            ready!(self.poll_send(cx, target)).map_err(|_| Failure::TargetClosed)?;
            if self.body.is_done() {
                self.give_back(worker);
                return Poll::Ready(Ok(()));
            }
            let unseen = self.body.unseen();
            let received = if unseen > SPLICED_BYTES_MIN
                && let Some(pipe) = have_pipe(worker, &mut self.pipe)
            {
                let filled = pipe.poll_fill(cx, client, unseen);
                filled.map(|filled| self.observe_spliced(filled))
            } else {
                self.poll_copy(cx, worker, client, unread, target)
            };
            let received = match received {
                Poll::Pending => {
                    self.give_back(worker);
                    return Poll::Pending;
                }
                Poll::Ready(received) => received?,
            };
            self.received_bytes += received as u64;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn give_back(&mut self, worker: &Worker) {
        if let Some(pipe) = self.pipe.take() {
            worker.pipes().give_back(pipe);
        }
    }

    /// More is to be sent than can be kept. Until then, what was sent can be sent again.
    fn forget_sent(&mut self) {
        self.gone = true;
        self.buffer.clear();
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, target: &TcpStream) -> Poll<io::Result<()>> {
        ready!(self.buffer.poll_send(cx, target, &mut self.sent_bytes))?;
        let more = self.body.unseen() > 0;
        match &mut self.pipe {
            Some(pipe) => pipe.poll_drain(cx, target, more, &mut self.sent_bytes),
            None => Poll::Ready(Ok(())),
        }
    }

    fn observe_spliced(&mut self, filled: io::Result<usize>) -> Result<usize, Failure> {
        match filled {
            Ok(0) | Err(_) => Err(Failure::RequestCutShort),
            Ok(bytes) => {
                self.forget_sent();
                self.body.skip(bytes);
                Ok(bytes)
            }
        }
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut TcpStream,
        unread: &mut Vec<u8>,
        target: &TcpStream,
    ) -> Poll<Result<usize, Failure>> {
        let scratch = &mut *worker.scratch();
        let bytes = match ready!(poll_receive(cx, client, scratch)) {
            Ok(0) | Err(_) => return Poll::Ready(Err(Failure::RequestCutShort)),
            Ok(bytes) => &scratch[..bytes],
        };
        let taken = self
            .body
            .take(bytes, |_| {})
            .map_err(|_| Failure::Malformed(Reason::Chunk))?;
        self.forget_sent();
        self.buffer
            .send_now(target, &bytes[..taken], &mut self.sent_bytes);
        unread.extend_from_slice(&bytes[taken..]);
        Poll::Ready(Ok(taken))
    }
}

/// The pipe, taken now if there is none yet. None = no descriptor is left for one: bytes are copied.
pub(super) fn have_pipe<'p>(worker: &Worker, pipe: &'p mut Option<Pipe>) -> Option<&'p mut Pipe> {
    if pipe.is_none() {
        *pipe = worker.pipes().take().ok();
    }
    pipe.as_mut()
}
