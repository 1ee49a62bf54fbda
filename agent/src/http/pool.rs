//! Idle connections to targets, of one worker, and what else its HTTP connections share.
//!
//! Last in, first out, so that what is not needed grows old and is closed. A connection is alive if a read of one byte
//! would block: no system call as long as the runtime has heard nothing of it. Whoever puts one in vouches that the
//! exchange before it was whole on both sides.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;

use crate::live::{Target, TargetId};

use super::exchange::Exchange;
use super::failure::Failure;

/// Idle connections kept to one target.
const IDLE_PER_TARGET_MAX: usize = 512;

/// Idle connections kept in all.
const IDLE_MAX: usize = 4096;

/// Longest time that a connection is kept idle; many servers close theirs after 60 seconds and more.
pub const IDLE_SECONDS_MAX: u32 = 50;

/// Exchanges kept for the next requests.
const SPARE_EXCHANGES_MAX: usize = 256;

/// Idle connections of one worker.
#[derive(Debug, Default)]
pub struct Upstreams {
    pool: RefCell<Pool>,
    #[expect(clippy::vec_box, reason = "the boxes are what is reused")]
    spare: RefCell<Vec<Box<Exchange>>>,
}

/// Shape: `targets` is indexed by target id; `idle` counts all connections in it.
#[derive(Debug, Default)]
struct Pool {
    targets: Vec<Option<OfTarget>>,
    idle: usize,
}

/// Shape: newest last. Holds the target, so that its id is not given to another meanwhile.
#[derive(Debug)]
struct OfTarget {
    target: Arc<Target>,
    idle: VecDeque<Idle>,
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    /// In seconds of the worker's clock.
    closes_at: u32,
}

impl Upstreams {
    /// A connection to the target that is alive, as far as is known.
    pub fn take(&self, target: &Arc<Target>) -> Option<TcpStream> {
        let mut pool = self.pool.borrow_mut();
        let of_target = pool.targets.get_mut(target.id.0 as usize)?.as_mut()?;
        let mut taken = 0;
        let alive = std::iter::from_fn(|| of_target.idle.pop_back()).find(|idle| {
            taken += 1;
            is_silent(&idle.stream)
        });
        pool.idle -= taken;
        Some(alive?.stream)
    }

    /// Takes a connection back for up to `seconds`; closes it if enough others are kept. `now`: the worker's clock.
    pub fn give_back(&self, target: &Arc<Target>, stream: TcpStream, now: u32, seconds: u32) {
        let mut pool = self.pool.borrow_mut();
        if pool.idle >= IDLE_MAX || target.deregistered.load(Ordering::Relaxed) {
            return;
        }
        let idle = &mut pool.of(target).idle;
        if idle.len() < IDLE_PER_TARGET_MAX {
            idle.push_back(Idle {
                stream,
                closes_at: now.saturating_add(seconds.min(IDLE_SECONDS_MAX)),
            });
            pool.idle += 1;
        }
    }

    /// Closes what is too old, what the target has closed, and what leads to targets that were deregistered.
    pub fn sweep(&self, now: u32) {
        let mut pool = self.pool.borrow_mut();
        let mut left = 0;
        for place in &mut pool.targets {
            if let Some(of_target) = place {
                let deregistered = of_target.target.deregistered.load(Ordering::Relaxed);
                of_target.idle.retain(|idle| {
                    !deregistered && idle.closes_at > now && is_silent(&idle.stream)
                });
                left += of_target.idle.len();
                if of_target.idle.is_empty() {
                    *place = None;
                }
            }
        }
        pool.idle = left;
    }

    /// Connections kept now.
    pub fn idle(&self) -> usize {
        self.pool.borrow().idle
    }

    /// An exchange in its first state, with the buffers of another before it.
    pub(super) fn exchange(&self) -> Box<Exchange> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an exchange back that is over.
    pub(super) fn recycle(&self, mut exchange: Box<Exchange>) {
        exchange.reset();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_EXCHANGES_MAX {
            spare.push(exchange);
        }
    }
}

impl Pool {
    fn of(&mut self, target: &Arc<Target>) -> &mut OfTarget {
        let TargetId(index) = target.id;
        let index = index as usize;
        if self.targets.len() <= index {
            self.targets.resize_with(index + 1, || None);
        }
        let place = &mut self.targets[index];
        place.get_or_insert_with(|| OfTarget {
            target: Arc::clone(target),
            idle: VecDeque::new(),
        })
    }
}

/// Nothing was received, and the connection is open, as far as the runtime knows.
pub(super) fn is_silent(stream: &TcpStream) -> bool {
    check_silent(stream).is_ok()
}

/// The same, with the reason why not: [`Failure::SpokeFirst`] or [`Failure::TargetClosed`].
pub(super) fn check_silent(stream: &TcpStream) -> Result<(), Failure> {
    match stream.try_read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(1..) => Err(Failure::SpokeFirst),
        Ok(0) | Err(_) => Err(Failure::TargetClosed),
    }
}
