//! Bytes on their way to a socket: written at once as far as it takes them, kept for the rest.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;

/// Memory that a buffer keeps for the next request.
const KEPT_BYTES: usize = 8 * 1024;

/// Bytes to be sent; what is sent already stays until [`Buffer::clear`], so that it can be sent again.
#[derive(Debug, Default)]
pub struct Buffer {
    /// All bytes; append here.
    pub bytes: Vec<u8>,
    sent: usize,
}

impl Buffer {
    /// What is not sent yet.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Everything is sent.
    pub fn is_sent(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Everything is to be sent again.
    pub fn rewind(&mut self) {
        self.sent = 0;
    }

    /// Forgets everything, and gives back memory beyond what most requests need.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.sent = 0;
    }

    /// Sends what is left; ready when it is all sent. Adds to `written` what was.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        to: &TcpStream,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        while !self.is_sent() {
            match to.try_write(self.rest()) {
                Ok(bytes) => {
                    self.sent += bytes;
                    *written += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(to.poll_write_ready(cx))?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends `bytes` at once, as far as the socket takes them, and keeps the rest; behind what is waiting, if any is.
    ///
    /// An error is found again when the rest is sent.
    pub fn send_now(&mut self, to: &TcpStream, bytes: &[u8], written: &mut u64) {
        self.send_both_now(to, bytes, &[], written);
    }

    /// The same with two pieces in one call.
    pub fn send_both_now(&mut self, to: &TcpStream, head: &[u8], body: &[u8], written: &mut u64) {
        let sent = match (self.is_sent(), head, body) {
            (false, _, _) | (true, [], []) => 0,
            (true, one, []) | (true, [], one) => to.try_write(one).unwrap_or(0),
            (true, head, body) => to
                .try_write_vectored(&[io::IoSlice::new(head), io::IoSlice::new(body)])
                .unwrap_or(0),
        };
        *written += sent as u64;
        if sent < head.len() + body.len() {
            self.bytes.extend_from_slice(&head[sent.min(head.len())..]);
            self.bytes
                .extend_from_slice(&body[sent.saturating_sub(head.len())..]);
        }
    }
}
