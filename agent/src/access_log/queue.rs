//! Full buffers on their way from the workers to the thread that writes them.
//!
//! Invariant: at most [`CHUNKS`] wait, and one more for each worker that ends. Offering never waits for the disk: the
//! lock is held for a few instructions, once per buffer.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A buffer is handed over at this size.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// Buffers that may wait for the disk: 4 MiB.
pub(super) const CHUNKS: usize = 64;

/// Chunks, each of whole lines, in the order in which they were handed over; and buffers to use again.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    closing: Condvar,
}

#[derive(Debug, Default)]
struct State {
    full: VecDeque<Vec<u8>>,
    free: Vec<Vec<u8>>,
    closed: bool,
}

impl Queue {
    /// Hands `chunk` over and leaves an empty one; false = there is no room, nothing was done.
    pub(super) fn offer(&self, chunk: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        if state.full.len() >= CHUNKS {
            return false;
        }
        let empty = state.free.pop().unwrap_or_default();
        state.full.push_back(std::mem::replace(chunk, empty));
        self.filled.notify_one();
        true
    }

    /// Hands over the last chunk of a worker that ends, room or not.
    pub(super) fn offer_last(&self, chunk: Vec<u8>) {
        self.lock().full.push_back(chunk);
        self.filled.notify_one();
    }

    /// The next chunk; waits for it. `None` = closed, and nothing is left.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        loop {
            match state.full.pop_front() {
                Some(chunk) => return Some(chunk),
                None if state.closed => return None,
                None => {
                    let woken = self.filled.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Gives a written buffer back to be filled again.
    pub(super) fn give_back(&self, mut bytes: Vec<u8>) {
        bytes.clear();
        let mut state = self.lock();
        // Those that a very long line has blown up are let go.
        if bytes.capacity() <= 2 * CHUNK_BYTES && state.free.len() < CHUNKS {
            state.free.push(bytes);
        }
    }

    /// Waits before another attempt; false = closed: there will be no better time.
    pub(super) fn wait_to_retry(&self, time: Duration) -> bool {
        let woken = self
            .closing
            .wait_timeout_while(self.lock(), time, |state| !state.closed);
        !woken.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    /// What is in it is still taken; [`Self::take`] ends after it.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.closing.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_comes_out_in_order_and_no_more_than_there_is_room_for() {
        let queue = Queue::default();
        for number in 0..CHUNKS {
            let mut offered = number.to_string().into_bytes();
            assert!(queue.offer(&mut offered));
            assert!(offered.is_empty());
        }
        let mut beyond = b"beyond".to_vec();
        assert!(!queue.offer(&mut beyond));
        assert_eq!(beyond, b"beyond", "it is kept");
        queue.offer_last(b"last".to_vec());
        queue.close();
        for number in 0..CHUNKS {
            assert_eq!(queue.take().unwrap(), number.to_string().as_bytes());
        }
        assert_eq!(queue.take().unwrap(), b"last");
        assert!(queue.take().is_none());
        assert!(!queue.wait_to_retry(Duration::from_secs(1000)));
    }

    #[test]
    fn buffers_are_used_again_unless_they_are_huge() {
        let queue = Queue::default();
        queue.give_back(Vec::with_capacity(10 * CHUNK_BYTES));
        queue.give_back(Vec::with_capacity(CHUNK_BYTES));
        let (mut first, mut second) = (b"a".to_vec(), b"b".to_vec());
        assert!(queue.offer(&mut first) && queue.offer(&mut second));
        assert!(first.capacity() >= CHUNK_BYTES);
        assert_eq!(second.capacity(), 0);
    }
}
