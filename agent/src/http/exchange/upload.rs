//! From the client to the target: the head as we wrote it, then the body.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::edge::Worker;
use crate::l4::pipe::Pipe;

use super::super::body::Body;
use super::super::buffer::{Buffer, poll_receive};
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
            self.gone = true;
            self.buffer.clear();
            let received =
                if self.body.unseen() > SPLICED_BYTES_MIN && have_pipe(worker, &mut self.pipe) {
                    self.poll_splice(cx, client)
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

    fn poll_send(&mut self, cx: &mut Context<'_>, target: &TcpStream) -> Poll<io::Result<()>> {
        ready!(self.buffer.poll_send(cx, target, &mut self.sent_bytes))?;
        let more = self.body.unseen() > 0;
        match &mut self.pipe {
            Some(pipe) => poll_drain(cx, pipe, target, more, &mut self.sent_bytes),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        client: &TcpStream,
    ) -> Poll<Result<usize, Failure>> {
        match ready!(poll_fill(cx, &mut self.pipe, client, self.body.unseen())) {
            Ok(0) | Err(_) => Poll::Ready(Err(Failure::RequestCutShort)),
            Ok(bytes) => {
                self.body.skip(bytes);
                Poll::Ready(Ok(bytes))
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
        self.buffer
            .send_now(target, &bytes[..taken], &mut self.sent_bytes);
        unread.extend_from_slice(&bytes[taken..]);
        Poll::Ready(Ok(taken))
    }
}

/// Whether there is a pipe, or can be; if no descriptor is left for one, bytes are copied.
pub(super) fn have_pipe(worker: &Worker, pipe: &mut Option<Pipe>) -> bool {
    if pipe.is_none() {
        *pipe = worker.pipes().take().ok();
    }
    pipe.is_some()
}

/// Moves up to `bytes_max` from a socket into the pipe, which is there and empty; 0 = the end of the stream.
pub(super) fn poll_fill(
    cx: &mut Context<'_>,
    pipe: &mut Option<Pipe>,
    from: &TcpStream,
    bytes_max: u64,
) -> Poll<io::Result<usize>> {
    let Some(pipe) = pipe else {
        return Poll::Ready(Ok(0));
    };
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    loop {
        match pipe.fill(from, bytes_max) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(from.poll_read_ready(cx))?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Moves what is in the pipe into a socket; ready when it is empty.
pub(super) fn poll_drain(
    cx: &mut Context<'_>,
    pipe: &mut Pipe,
    to: &TcpStream,
    more: bool,
    written: &mut u64,
) -> Poll<io::Result<()>> {
    while !pipe.is_empty() {
        match pipe.drain(to, more) {
            Ok(bytes) => *written += bytes as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(to.poll_write_ready(cx))?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}
