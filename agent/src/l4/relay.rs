//! Bytes both ways between two sockets, until both have ended or one breaks.
//!
//! Small pieces are copied through the worker's scratch; after `COPIED_BYTES` in one run they go through a pipe
//! (`splice`). Nothing is held while idle: what a socket does not take at once stays in the sender's own buffers but
//! for one read, so a slow reader slows its sender.
//!
//! Each direction: open -> ending (end of stream read, rest to be written) -> done (the end passed on). A reset of one
//! side is passed on to the other, and so is our own verdict: idle for too long, or the target was cut.

mod direction;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::edge::slot::whole_seconds;
use crate::edge::{Slot, Worker};
use crate::live;

use direction::{Broken, Direction, State};

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
        let idle_seconds = whole_seconds(idle);
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

#[cfg(test)]
mod tests;
