//! One connection of an origin: read a request, record it, answer as scripted, until either side closes.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{HEALTH, Reply, Shared, reset};
use crate::client::{find, header, headers};

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Request line and header lines byte for byte, without the empty line.
    pub head: String,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
    /// The trailer lines of a chunked body.
    pub trailers: String,
}

impl Seen {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// All values of a header.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        headers(&self.head, name).collect()
    }
}

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut reader = Reader {
        stream,
        buffer: Vec::new(),
    };
    while let Some(seen) = reader.request().await {
        let Some(reply) = answer(&seen, &shared) else {
            return;
        };
        if let Some(gate) = &reply.gate {
            gate.pass().await;
        }
        let bytes = named(&reply.bytes, &shared.name, seen.method == "HEAD");
        if reader.stream.write_all(&bytes).await.is_err() || reply.close {
            return;
        }
        if reply.reset {
            return reset(reader.stream);
        }
    }
}

/// Health checks are answered here; everything else is recorded and scripted. `None` ends the connection.
fn answer(seen: &Seen, shared: &Shared) -> Option<Reply> {
    if seen.target == HEALTH {
        return Some(Reply::text(shared.health.load(Ordering::Relaxed), "").then_close());
    }
    if let Some(record) = &shared.seen {
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        record.push(seen.clone());
    }
    Some((shared.script)(seen))
}

/// Puts the origin's name in, and leaves the body out where HEAD asked.
fn named(bytes: &[u8], name: &str, head_only: bool) -> Vec<u8> {
    const MARK: &[u8] = b"X-Origin: {name}";
    let end = if head_only {
        find(bytes, b"\r\n\r\n").map_or(bytes.len(), |end| end + 4)
    } else {
        bytes.len()
    };
    let bytes = &bytes[..end];
    let Some(start) = find(&bytes[..bytes.len().min(1024)], MARK) else {
        return bytes.to_vec();
    };
    [
        &bytes[..start],
        format!("X-Origin: {name}").as_bytes(),
        &bytes[start + MARK.len()..],
    ]
    .concat()
}

struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    /// The next request; `None` if the connection ends before it is whole.
    async fn request(&mut self) -> Option<Seen> {
        let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n").await?).into_owned();
        let mut words = head.split(' ');
        let mut seen = Seen {
            method: words.next()?.to_owned(),
            target: words.next()?.to_owned(),
            head: head.clone(),
            body: Vec::new(),
            trailers: String::new(),
        };
        if seen.header("expect").is_some() {
            self.stream
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .await
                .ok()?;
        }
        if seen.header("transfer-encoding").is_some() {
            (seen.body, seen.trailers) = self.chunks().await?;
        } else if let Some(length) = header(&head, "content-length") {
            seen.body = self.exactly(length.parse().ok()?).await?;
        }
        Some(seen)
    }

    async fn chunks(&mut self) -> Option<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?).ok()?;
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                return Some((body, self.trailers().await?));
            }
            body.extend(self.exactly(size).await?);
            self.exactly(2).await?;
        }
    }

    async fn trailers(&mut self) -> Option<String> {
        let mut trailers = String::new();
        loop {
            let line = String::from_utf8(self.until(b"\r\n").await?).ok()?;
            if line.is_empty() {
                return Some(trailers);
            }
            trailers.push_str(&line);
            trailers.push_str("\r\n");
        }
    }

    /// Everything before `end`, which is consumed too.
    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, end) {
                return Some(self.buffer.drain(..at + end.len()).take(at).collect());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Some(self.buffer.drain(..count).collect())
    }

    async fn more(&mut self) -> Option<()> {
        self.buffer.reserve(64 * 1024);
        let count = self.stream.read_buf(&mut self.buffer).await.ok()?;
        (count > 0).then_some(())
    }
}
