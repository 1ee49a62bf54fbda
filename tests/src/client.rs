//! A raw HTTP/1 client: it sends exactly what a test wrote and shows exactly what came back.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::eventually::seconds;

/// Longest time for anything that is expected to arrive.
const PATIENCE: Duration = seconds(20);

/// A client connection; bytes that follow a response are kept for the next.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Status line and header lines as they came, without the empty line.
    pub head: String,
    /// The body, without the framing of chunks.
    pub body: Vec<u8>,
}

/// One `GET` on a connection of its own to `127.0.0.1:port`.
///
/// Panics if no response comes.
pub async fn get(port: u16, path: &str) -> Response {
    request(port, "GET", path, "", b"").await
}

/// One request on a connection of its own; `headers` are whole lines.
///
/// Panics if no response comes.
pub async fn request(port: u16, method: &str, path: &str, headers: &str, body: &[u8]) -> Response {
    let mut connection = Connection::open(port).await;
    let length = if body.is_empty() {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    let host = if headers.contains("Host:") {
        ""
    } else {
        "Host: shop.example.com\r\n"
    };
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{length}{headers}\r\n");
    connection.send(head).await;
    connection.send(body).await;
    connection.response_to(method).await
}

/// One `GET`, or `None` if the connection was refused or ended without a whole response: for polls.
pub async fn try_get(port: u16, path: &str) -> Option<Response> {
    let mut connection = Connection::try_open(port).await?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n");
    connection.stream.write_all(head.as_bytes()).await.ok()?;
    timeout(PATIENCE, connection.try_response("GET"))
        .await
        .ok()?
}

impl Connection {
    /// Connects to `127.0.0.1:port`. Panics if that is refused.
    pub async fn open(port: u16) -> Self {
        Self::open_at("127.0.0.1", port).await
    }

    /// Connects to `address:port`. Panics if that is refused.
    pub async fn open_at(address: &str, port: u16) -> Self {
        let stream = TcpStream::connect((address, port))
            .await
            .unwrap_or_else(|error| panic!("{address}:{port}: {error}"));
        Self::over(stream)
    }

    /// Connects to `127.0.0.1:port`, or `None` if that is refused.
    pub async fn try_open(port: u16) -> Option<Self> {
        TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
            .map(Self::over)
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP option");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .await
            .expect("the peer takes what is sent");
    }

    /// Says that nothing more will be sent (half-close).
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("a half-close");
    }

    /// Sends a `GET` that keeps the connection, and returns the response.
    pub async fn get(&mut self, path: &str) -> Response {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"
        ))
        .await;
        self.response().await
    }

    /// The next response, to anything but HEAD.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await
    }

    /// The next response to this method. Panics if none comes.
    pub async fn response_to(&mut self, method: &str) -> Response {
        timeout(PATIENCE, self.try_response(method))
            .await
            .expect("a response within the patience")
            .unwrap_or_else(|| panic!("the connection ended within a response: {}", self.text()))
    }

    /// At least this many bytes, exactly as they came. Panics if the connection ends before.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(
                self.more().await,
                "the connection ended after {:?}",
                self.text()
            );
        }
        self.buffer.drain(..count).collect()
    }

    /// Everything until the peer closes; an error stands for a reset.
    pub async fn rest(&mut self) -> Result<Vec<u8>, std::io::Error> {
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut self.buffer));
        read.await.expect("the peer closes within the patience")?;
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the peer has not closed and has sent nothing unasked.
    pub fn is_open(&self) -> bool {
        let mut byte = [0];
        let quiet = self
            .stream
            .try_read(&mut byte)
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        quiet && self.buffer.is_empty()
    }

    async fn try_response(&mut self, method: &str) -> Option<Response> {
        let head = self.head().await?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut response = Response {
            status,
            head,
            body: Vec::new(),
        };
        let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
        if bodiless {
            return Some(response);
        }
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else if let Some(length) = response.header("content-length") {
            self.exactly(length.parse().ok()?).await?
        } else {
            self.rest().await.ok()?
        };
        Some(response)
    }

    async fn head(&mut self) -> Option<String> {
        let end = loop {
            match find(&self.buffer, b"\r\n\r\n") {
                Some(end) => break end,
                None if self.more().await => {}
                None => return None,
            }
        };
        let head = self.buffer.drain(..end + 4).take(end).collect();
        String::from_utf8(head).ok()
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.text_line().await?;
            let size = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if size == 0 {
                while !self.text_line().await?.is_empty() {}
                return Some(body);
            }
            body.extend(self.exactly(size).await?);
            self.exactly(2).await?;
        }
    }

    async fn text_line(&mut self) -> Option<String> {
        while find(&self.buffer, b"\r\n").is_none() {
            if !self.more().await {
                return None;
            }
        }
        let end = find(&self.buffer, b"\r\n")?;
        let line = self.buffer.drain(..end + 2).take(end).collect();
        String::from_utf8(line).ok()
    }

    /// Reads more into the buffer; `false` at the end of the connection, a reset included.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        read.await
            .unwrap_or_else(|_| panic!("nothing comes after {:?}", self.text()))
            .is_ok_and(|count| count > 0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(500)]).into_owned()
    }
}

impl Response {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// It has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n\n{}", self.head, self.text());
        self
    }

    /// It comes from the origin with this name.
    #[track_caller]
    pub fn from(self, origin: &str) -> Self {
        assert_eq!(
            self.header("x-origin"),
            Some(origin),
            "{}\n\n{}",
            self.head,
            self.text()
        );
        self
    }
}

/// The first value of a header in a head; names are compared without regard to case.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    headers(head, name).next()
}

/// All values of a header in a head.
pub fn headers<'h>(head: &'h str, name: &str) -> impl Iterator<Item = &'h str> {
    let lines = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'));
    lines
        .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
