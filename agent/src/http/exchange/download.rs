//! From the target to the client: heads as they are judged, then the body.
//!
//! awaiting -> body -> done. What is written to the client is either the bytes that came, or what `buffer` holds.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

use crate::edge::Worker;
use crate::l4::pipe::Pipe;
use crate::l4::receive::poll_receive;

use super::super::body::Body;
use super::super::buffer::Buffer;
use super::super::failure::Failure;
use super::super::response::Coding;
use super::SPLICED_BYTES_MIN;
use super::upload::have_pipe;

/// What comes from the target, and what is to be sent to the client.
#[derive(Debug, Default)]
pub(super) struct Download {
    /// What the client did not take at once.
    pub(super) buffer: Buffer,
    pub(super) state: State,
    /// Interim responses so far.
    pub(super) interims: u8,
    /// A head that is not whole, and how much of it was looked at in vain.
    head: Vec<u8>,
    looked_at: usize,
    pipe: Option<Pipe>,
    /// Anything was received from the target on the present connection.
    pub(super) received: bool,
    /// The target will take another request on the connection.
    pub(super) keeps_target: bool,
    /// Bytes came after the end of the response.
    pub(super) surplus: bool,
    /// Bytes written to the client.
    pub(super) sent_bytes: u64,
}

#[derive(Debug, Default)]
pub(super) enum State {
    #[default]
    Awaiting,
    Body(Body, Coding),
    Done,
}

impl Download {
    /// As new, with the memory that it has.
    pub(super) fn reset(&mut self) {
        self.buffer.clear();
        let buffer = std::mem::take(&mut self.buffer);
        *self = Self {
            buffer,
            ..Self::default()
        };
    }

    pub(super) fn is_awaiting(&self) -> bool {
        matches!(self.state, State::Awaiting)
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The client does not take what is there for it.
    pub(super) fn waits_for_client(&self) -> bool {
        !self.buffer.is_sent() || self.pipe.as_ref().is_some_and(|pipe| !pipe.is_empty())
    }

    pub(super) fn give_back(&mut self, worker: &Worker) {
        if let Some(pipe) = self.pipe.take() {
            worker.pipes().give_back(pipe);
        }
    }

    /// Ready when nothing is left to be sent.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        client: &TcpStream,
    ) -> Poll<io::Result<()>> {
        ready!(self.buffer.poll_send(cx, client, &mut self.sent_bytes))?;
        self.buffer.clear();
        let more = self.unseen() > 0;
        match &mut self.pipe {
            Some(pipe) => pipe.poll_drain(cx, client, more, &mut self.sent_bytes),
            None => Poll::Ready(Ok(())),
        }
    }

    /// A head that was begun, and what `bytes` add to it, if it is worth looking at; `None` = wait for more.
    ///
    /// Looked at again only when it has doubled or shows its end, so that a byte at a time costs no more than at once.
    pub(super) fn continue_head(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        // The end may be split in up to three bytes before and one after.
        let from = self.head.len().saturating_sub(3);
        self.head.extend_from_slice(bytes);
        let has_end = memchr::memmem::find(&self.head[from..], b"\n\r\n").is_some();
        (has_end || self.head.len() >= 2 * self.looked_at).then(|| std::mem::take(&mut self.head))
    }

    pub(super) fn has_begun_head(&self) -> bool {
        !self.head.is_empty()
    }

    /// A head whose end is not there yet.
    pub(super) fn keep_head(&mut self, bytes: &[u8]) {
        self.looked_at = bytes.len();
        self.head = bytes.to_vec();
    }

    /// Bytes of the body that go to the client as they are, unseen.
    fn unseen(&self) -> u64 {
        match &self.state {
            State::Body(body, Coding::AsIs) => body.unseen(),
            _ => 0,
        }
    }

    /// Moves more of the body, up to its end. The buffer and the pipe must be empty.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &TcpStream,
        target: &mut TcpStream,
    ) -> Poll<Result<(), Failure>> {
        let unseen = self.unseen();
        if unseen > SPLICED_BYTES_MIN
            && let Some(pipe) = have_pipe(worker, &mut self.pipe)
        {
            let filled = match pipe.poll_fill(cx, target, unseen) {
                Poll::Pending => {
                    self.give_back(worker);
                    return Poll::Pending;
                }
                Poll::Ready(filled) => filled,
            };
            return Poll::Ready(self.observe_spliced(filled));
        }
        self.give_back(worker);
        let scratch = &mut *worker.scratch();
        let received = ready!(poll_receive(cx, target, scratch));
        Poll::Ready(match received {
            Ok(0) => self.observe_end(),
            Ok(bytes) => self.observe_body(client, &scratch[..bytes]),
            Err(_) => Err(Failure::TargetClosed),
        })
    }

    fn observe_spliced(&mut self, filled: io::Result<usize>) -> Result<(), Failure> {
        match (filled, &mut self.state) {
            (Ok(bytes @ 1..), State::Body(body, _)) => {
                body.skip(bytes);
                self.end_if_done();
                Ok(())
            }
            _ => Err(Failure::TargetClosed),
        }
    }

    /// The end of the target's stream, in the body.
    fn observe_end(&mut self) -> Result<(), Failure> {
        match &self.state {
            State::Body(Body::UntilClose, coding) => {
                if *coding == Coding::Chunk {
                    self.buffer.bytes.extend_from_slice(b"0\r\n\r\n");
                }
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Failure::TargetClosed),
        }
    }

    /// Bytes of the body. The buffer is empty.
    fn observe_body(&mut self, client: &TcpStream, bytes: &[u8]) -> Result<(), Failure> {
        let pass = self.take(bytes)?;
        self.buffer
            .send_now(client, &bytes[..pass], &mut self.sent_bytes);
        Ok(())
    }

    /// Takes what belongs to the body: what is to be coded goes to the buffer; so many bytes go on as they are.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let State::Body(body, coding) = &mut self.state else {
            self.surplus |= !bytes.is_empty();
            return Ok(0);
        };
        let out = &mut self.buffer.bytes;
        let taken = match coding {
            Coding::AsIs => body.take(bytes, |_| {}),
            Coding::Unchunk => body.take(bytes, |data| out.extend_from_slice(data)),
            Coding::Chunk => body.take(bytes, |data| write_chunk(out, data)),
        };
        let taken = taken.map_err(|_| Failure::ResponseMalformed)?;
        let as_is = *coding == Coding::AsIs;
        self.surplus |= taken < bytes.len();
        self.end_if_done();
        Ok(if as_is { taken } else { 0 })
    }

    pub(super) fn end_if_done(&mut self) {
        if let State::Body(body, _) = &self.state
            && body.is_done()
        {
            self.state = State::Done;
        }
    }
}

fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    use std::io::Write as _;
    if data.is_empty() {
        return;
    }
    let written = write!(out, "{:x}\r\n", data.len());
    // Writing to memory cannot fail.
    debug_assert!(written.is_ok());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}
