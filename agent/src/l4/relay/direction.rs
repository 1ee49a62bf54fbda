//! One direction of a relay: read, write, pass the end on.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, Shutdown};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::edge::Worker;
use crate::l4::pipe::{PIPE_BYTES, Pipe};
use crate::l4::receive::poll_receive;

/// So much is copied before a run of bytes goes through a pipe.
const COPIED_BYTES: usize = 32 * 1024;

/// A read as small as this ends a run: interactive traffic is copied however much it adds up to.
const SMALL_READ_BYTES: usize = 2 * 1024;

/// Reads per direction before others have their turn.
const READS_PER_TURN: usize = 16;

/// One direction. Invariant: `held` and the pipe are never both in use.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub(super) state: State,
    /// The reader's readiness was put aside while the writer was blocked: read before asking for it.
    stalled: bool,
    /// Bytes read since the last small read.
    run_bytes: usize,
    /// Copied bytes that the writer did not take yet.
    held: Vec<u8>,
    pipe: Option<Pipe>,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Open,
    Ending,
    Done,
}

/// Which side of a direction broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Reader,
    Writer,
}

impl Direction {
    pub(super) fn beginning_with(held: Vec<u8>) -> Self {
        Self {
            read_bytes: held.len() as u64,
            held,
            ..Self::default()
        }
    }

    /// Writes what is held and reads what is there, until one of them would block or others are due.
    pub(super) fn turn(
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
        let bytes = ready!(poll_copied(cx, from, scratch, &mut self.stalled))?;
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

    pub(super) fn give_back(&mut self, worker: &Worker) {
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
    pipe.poll_fill(cx, from, PIPE_BYTES as u64)
}

fn poll_copied(
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
    poll_receive(cx, from, scratch)
}
