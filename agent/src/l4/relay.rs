//! Bytes both ways between two sockets, until both have ended or one breaks.
//!
//! Small pieces are copied through the worker's scratch; after [`COPIED_BYTES`] in one run they go through a pipe
//! (`splice`). Nothing is held while idle: what a socket does not take at once stays in the sender's own buffers but
//! for one read, so a slow reader slows its sender.
//!
//! Each direction: open -> ending (end of stream read, rest to be written) -> done (the end passed on). A reset of one
//! side is passed on to the other, and so is our own verdict: idle for too long, or the target was cut.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::{RecvFlags, Shutdown};
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::edge::{Slot, Worker};
use crate::live;

use super::pipe::{PIPE_BYTES, Pipe};

/// So much is copied before a run of bytes goes through a pipe.
const COPIED_BYTES: usize = 32 * 1024;

/// A read as small as this ends a run: interactive traffic is copied however much it adds up to.
const SMALL_READ_BYTES: usize = 2 * 1024;

/// Reads per direction before others have their turn.
const READS_PER_TURN: usize = 16;

/// How a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Bytes from the client.
    pub received_bytes: u64,
    /// Bytes written to the client.
    pub sent_bytes: u64,
    /// Why.
    pub cause: Cause,
}

/// Why a relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Both sides ended their streams.
    Done,
    /// No byte for too long; both were reset.
    IdleTimeout,
    /// The client reset, or vanished; the target was reset.
    ClientReset,
    /// The target reset, or vanished; the client was reset.
    TargetReset,
    /// The time of a deregistered target is over; both were reset.
    Cut,
}

/// Bytes that were read before the relay began, to be sent first.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// From the client.
    pub to_target: Vec<u8>,
    /// From the target.
    pub to_client: Vec<u8>,
}

/// The two sides, as `live` knows them.
#[derive(Debug)]
pub struct Parties {
    /// Its byte counters are kept up to date by the relay.
    pub listener: Arc<live::Listener>,
    /// Watched for [`live::Target::cut`].
    pub target: Arc<live::Target>,
}

/// A relay under way.
#[derive(Debug)]
pub struct Relay {
    worker: Rc<Worker>,
    slot: Slot,
    parties: Parties,
    client: TcpStream,
    target: TcpStream,
    idle_seconds: u32,
    to_target: Direction,
    to_client: Direction,
}

/// One direction. Invariant: `held` and the pipe are never both in use.
#[derive(Debug, Default)]
struct Direction {
    state: State,
    /// The reader's readiness was put aside while the writer was blocked: read before asking for it.
    stalled: bool,
    /// Bytes read since the last small read.
    run_bytes: usize,
    /// Copied bytes that the writer did not take yet.
    held: Vec<u8>,
    pipe: Option<Pipe>,
    read_bytes: u64,
    written_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Ending,
    Done,
}

/// Which side of a direction broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    Reader,
    Writer,
}

impl Relay {
    /// A relay that begins with the first poll. `idle` is rounded up to seconds.
    pub fn new(
        worker: Rc<Worker>,
        slot: Slot,
        parties: Parties,
        client: TcpStream,
        target: TcpStream,
        leftovers: Leftovers,
        idle: Duration,
    ) -> Self {
        let idle_seconds = u32::try_from(idle.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        slot.arm(idle_seconds);
        Self {
            worker,
            slot,
            parties,
            client,
            target,
            idle_seconds,
            to_target: Direction::beginning_with(leftovers.to_target),
            to_client: Direction::beginning_with(leftovers.to_client),
        }
    }

    /// Moves what can be moved. Ready = the cause of the end.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        let Self {
            worker,
            client,
            target,
            to_target,
            to_client,
            ..
        } = self;
        if let Poll::Ready(Err(broken)) =
            to_target.turn(cx, worker, client, target, to_client.state)
        {
            return Poll::Ready(if broken == Broken::Reader {
                Cause::ClientReset
            } else {
                Cause::TargetReset
            });
        }
        if let Poll::Ready(Err(broken)) =
            to_client.turn(cx, worker, target, client, to_target.state)
        {
            return Poll::Ready(if broken == Broken::Reader {
                Cause::TargetReset
            } else {
                Cause::ClientReset
            });
        }
        match (to_target.state, to_client.state) {
            (State::Done, State::Done) => Poll::Ready(Cause::Done),
            _ => Poll::Pending,
        }
    }

    fn turn_and_count(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        let before = (
            self.to_target.read_bytes,
            self.to_client.written_bytes,
            self.to_target.written_bytes,
        );
        let turned = self.turn(cx);
        let after = (
            self.to_target.read_bytes,
            self.to_client.written_bytes,
            self.to_target.written_bytes,
        );
        if before != after {
            self.slot.arm(self.idle_seconds);
            let counters = self.parties.listener.counters.of(self.worker.index);
            counters.received_bytes.add(after.0 - before.0);
            counters.sent_bytes.add(after.1 - before.1);
        }
        turned
    }

    /// Both sides get a RST when their sockets are closed.
    fn reset(&self) {
        for stream in [&self.client, &self.target] {
            // Fails only on a socket that is gone already.
            let _ = stream.set_zero_linger();
        }
    }

    fn end(&self, cause: Cause) -> End {
        if cause != Cause::Done {
            self.reset();
        }
        End {
            received_bytes: self.to_target.read_bytes,
            sent_bytes: self.to_client.written_bytes,
            cause,
        }
    }
}

impl Future for Relay {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        self.slot.wait(cx);
        if self.parties.target.cut.load(Ordering::Relaxed) {
            return Poll::Ready(self.end(Cause::Cut));
        }
        // Bytes first: what arrived together with the deadline counts.
        let cause = match self.turn_and_count(cx) {
            Poll::Ready(cause) => cause,
            Poll::Pending if self.slot.expired() => Cause::IdleTimeout,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(self.end(cause))
    }
}

impl Drop for Relay {
    /// Pipes go back also when the task is dropped.
    fn drop(&mut self) {
        for direction in [&mut self.to_target, &mut self.to_client] {
            direction.give_back(&self.worker);
        }
    }
}

impl Direction {
    fn beginning_with(held: Vec<u8>) -> Self {
        Self {
            read_bytes: held.len() as u64,
            held,
            ..Self::default()
        }
    }

    /// Writes what is held and reads what is there, until one of them would block or others are due.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &TcpStream,
        opposite: State,
    ) -> Poll<Result<(), Broken>> {
        for _ in 0..READS_PER_TURN {
            match self.state {
                State::Done => return Poll::Ready(Ok(())),
                State::Open | State::Ending => ready!(self.poll_write(cx, from, to))?,
            }
            if self.state == State::Ending {
                self.pass_end_on(worker, to, opposite);
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_read(cx, worker, from, to)) {
                Ok(0) => self.state = State::Ending,
                Ok(bytes) => self.read_bytes += bytes as u64,
                Err(_) => return Poll::Ready(Err(Broken::Reader)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Half-close, unless the other direction is done: then both sockets are closed at once.
    fn pass_end_on(&mut self, worker: &Worker, to: &TcpStream, opposite: State) {
        self.state = State::Done;
        self.give_back(worker);
        if opposite != State::Done {
            // Fails if the writer is gone already, which the other direction finds out.
            let _ = rustix::net::shutdown(to, Shutdown::Write);
        }
    }

    /// Ready once nothing is held.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Poll<Result<(), Broken>> {
        while !self.is_empty() {
            match self.try_write(to) {
                Ok(bytes) => self.written_bytes += bytes as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if to.poll_write_ready(cx).is_pending() {
                        return self
                            .poll_reader_broken(cx, from)
                            .map(|()| Err(Broken::Reader));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Poll::Ready(Err(Broken::Writer)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn try_write(&mut self, to: &TcpStream) -> io::Result<usize> {
        if let Some(pipe) = self.pipe.as_mut().filter(|pipe| !pipe.is_empty()) {
            return pipe.drain(to, false);
        }
        let bytes = to.try_write(&self.held)?;
        if bytes == self.held.len() {
            self.held = Vec::new();
        } else {
            self.held.drain(..bytes);
        }
        Ok(bytes)
    }

    fn is_empty(&self) -> bool {
        self.held.is_empty() && self.pipe.as_ref().is_none_or(Pipe::is_empty)
    }

    /// While the writer is blocked nobody reads, so a reset of the reader would go unseen: its readiness is put aside
    /// (bytes stay in the kernel) and the next event asked for. Ready = it was reset.
    fn poll_reader_broken(&mut self, cx: &mut Context<'_>, from: &TcpStream) -> Poll<()> {
        self.stalled = true;
        // Twice: to put aside what is known, then what came since.
        for _ in 0..2 {
            if from.try_io(Interest::ERROR, || Ok(())).is_ok()
                && from.take_error().is_ok_and(|error| error.is_some())
            {
                return Poll::Ready(());
            }
            let _ = from.try_io(Interest::READABLE, || {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
            if from.poll_read_ready(cx).is_pending() {
                break;
            }
        }
        Poll::Pending
    }

    /// One read, into the pipe or through the scratch on to the writer; 0 = the end.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        if self.run_bytes > COPIED_BYTES && self.pipe.is_none() {
            self.pipe = worker.pipes().take().ok();
        }
        let read = match &mut self.pipe {
            Some(pipe) => poll_fill(pipe, cx, from, &mut self.stalled),
            None => self.poll_copy(cx, worker, from, to),
        };
        match read {
            Poll::Pending => self.give_back(worker),
            Poll::Ready(Ok(bytes)) if bytes > SMALL_READ_BYTES => self.run_bytes += bytes,
            Poll::Ready(_) => self.run_bytes = 0,
        }
        if self.run_bytes == 0 && self.is_empty() {
            self.give_back(worker);
        }
        read
    }

    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut TcpStream,
        to: &TcpStream,
    ) -> Poll<io::Result<usize>> {
        let scratch = &mut *worker.scratch();
        let bytes = ready!(poll_receive(cx, from, scratch, &mut self.stalled))?;
        let read = &scratch[..bytes];
        // An error of the writer is found again, and told from the reader's, when the rest is written.
        let written = if read.is_empty() {
            0
        } else {
            to.try_write(read).unwrap_or(0)
        };
        self.written_bytes += written as u64;
        if written < bytes {
            self.held = read[written..].to_vec();
        }
        Poll::Ready(Ok(bytes))
    }

    fn give_back(&mut self, worker: &Worker) {
        if let Some(pipe) = self.pipe.take() {
            worker.pipes().give_back(pipe);
        }
    }
}

fn poll_fill(
    pipe: &mut Pipe,
    cx: &mut Context<'_>,
    from: &TcpStream,
    stalled: &mut bool,
) -> Poll<io::Result<usize>> {
    if *stalled {
        match pipe.fill_now(from, PIPE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => *stalled = false,
            done => return Poll::Ready(done),
        }
    }
    loop {
        match pipe.fill(from, PIPE_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(from.poll_read_ready(cx))?
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return Poll::Ready(done),
        }
    }
}

fn poll_receive(
    cx: &mut Context<'_>,
    from: &mut TcpStream,
    scratch: &mut [u8],
    stalled: &mut bool,
) -> Poll<io::Result<usize>> {
    if *stalled {
        match rustix::net::recv(&*from, &mut *scratch, RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => *stalled = false,
            done => return Poll::Ready(done.map(|(bytes, _)| bytes).map_err(io::Error::from)),
        }
    }
    let mut buffer = ReadBuf::new(scratch);
    ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
    Poll::Ready(Ok(buffer.filled().len()))
}

#[cfg(test)]
mod tests;
