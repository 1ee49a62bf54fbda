//! Pipes for `splice`: bytes go from socket to socket through the kernel, without being copied to us.
//!
//! A [`Pipe`] is borrowed from its worker's [`Pipes`] while a burst lasts and goes back when it is empty; one that
//! still holds bytes is closed instead, so that no connection ever sees another's.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use rustix::pipe::{
    PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice,
};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What a pipe can hold, as wanted; the system may allow less.
pub const PIPE_BYTES: usize = 1024 * 1024;

/// Empty pipes kept per worker.
const PIPES_KEPT: usize = 32;

/// Empty pipes of one worker, ready for use.
#[derive(Debug, Default)]
pub struct Pipes(RefCell<Vec<Pipe>>);

/// A pipe, and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    output: OwnedFd,
    input: OwnedFd,
    capacity: usize,
    held: usize,
}

impl Pipes {
    /// An empty pipe. Errors: no descriptor is left; then the caller copies instead.
    pub fn take(&self) -> io::Result<Pipe> {
        match self.0.borrow_mut().pop() {
            Some(pipe) => Ok(pipe),
            None => Pipe::open(),
        }
    }

    /// Takes a pipe back; closes it if bytes are left in it or enough others are kept.
    pub fn give_back(&self, pipe: Pipe) {
        let mut kept = self.0.borrow_mut();
        if pipe.is_empty() && kept.len() < PIPES_KEPT {
            kept.push(pipe);
        }
    }

    /// Pipes that wait to be used.
    pub fn kept(&self) -> usize {
        self.0.borrow().len()
    }
}

impl Pipe {
    fn open() -> io::Result<Self> {
        let (output, input) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused above a user's share of pipe memory: then the usual size will do.
        let capacity =
            fcntl_setpipe_size(&input, PIPE_BYTES).or_else(|_| fcntl_getpipe_size(&input))?;
        Ok(Self {
            output,
            input,
            capacity,
            held: 0,
        })
    }

    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves up to `max_bytes` from a socket into the pipe; `Ok(0)` is the end of the stream.
    ///
    /// Shape: the pipe must be empty, so that `WouldBlock` speaks of the socket (whose readiness is then cleared) and
    /// not of the pipe.
    pub fn fill(&mut self, from: &TcpStream, max_bytes: usize) -> io::Result<usize> {
        from.try_io(Interest::READABLE, || self.fill_now(from, max_bytes))
    }

    /// The same without asking or changing the runtime's idea of readiness.
    pub fn fill_now(&mut self, from: &TcpStream, max_bytes: usize) -> io::Result<usize> {
        debug_assert!(
            self.is_empty(),
            "a pipe is drained before it is filled again"
        );
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(
            from,
            None,
            &self.input,
            None,
            max_bytes.min(self.capacity),
            flags,
        )?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what is in the pipe into a socket; `more` says that more is about to follow.
    ///
    /// Errors: `WouldBlock` if the socket takes nothing now.
    pub fn drain(&mut self, to: &TcpStream, more: bool) -> io::Result<usize> {
        if self.is_empty() {
            return Ok(0);
        }
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        flags.set(SpliceFlags::MORE, more);
        let moved = to.try_io(Interest::WRITABLE, || {
            splice(&self.output, None, to, None, self.held, flags).map_err(io::Error::from)
        })?;
        self.held -= moved;
        Ok(moved)
    }
    /// [`Self::fill`], ready when something was moved or the stream has ended.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        max_bytes: u64,
    ) -> Poll<io::Result<usize>> {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        loop {
            match self.fill(from, max_bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(from.poll_read_ready(cx))?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// [`Self::drain`], ready when the pipe is empty. Adds to `written` what was moved.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
        more: bool,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match self.drain(to, more) {
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
}
