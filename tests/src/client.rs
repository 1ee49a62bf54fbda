//! A raw HTTP/1 client: it sends exactly what a test wrote and shows exactly what came back.
//!
//! Most calls panic at a surprise, for tests; the `try_` forms return it, for loads that count their failures.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::eventually::seconds;

/// Longest time for anything that is expected to arrive.
const PATIENCE: Duration = seconds(20);
/// Loopback addresses that many connections come from.
const SOURCES: usize = 8;

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
    fetch(port, path).await.ok()
}

/// One `GET` on a connection of its own, or why there is no whole response.
pub async fn fetch(port: u16, path: &str) -> io::Result<Response> {
    let mut connection = Connection::connect(port).await?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n");
    connection.try_send(head).await?;
    connection.try_response("GET").await
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
        Self::connect(port).await.ok()
    }

    /// Connects to `127.0.0.1:port`, or says why not.
    pub async fn connect(port: u16) -> io::Result<Self> {
        TcpStream::connect(("127.0.0.1", port))
            .await
            .map(Self::over)
    }

    /// Connects to `127.0.0.1:port` as the `number`th of many connections, or says why not.
    ///
    /// Each loopback address as source has only some 28,000 ports, so many connections take turns over several.
    pub async fn connect_as(number: usize, port: u16) -> io::Result<Self> {
        let last = 2 + number % SOURCES;
        let last = u8::try_from(last).expect("few sources");
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
        let stream = socket
            .connect(SocketAddr::from(([127, 0, 0, 1], port)))
            .await?;
        Ok(Self::over(stream))
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
        self.try_send(bytes)
            .await
            .expect("the peer takes what is sent");
    }

    /// Sends these bytes, or says why not.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .map_err(|_| silence("the peer does not take what is sent"))?
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

    /// Sends a `GET` that keeps the connection; returns the response, or why there is none.
    pub async fn try_get(&mut self, path: &str) -> io::Result<Response> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\n\r\n");
        self.try_send(head).await?;
        self.try_response("GET").await
    }

    /// The next response, to anything but HEAD.
    pub async fn response(&mut self) -> Response {
        self.response_to("GET").await
    }

    /// The next response to this method. Panics if none comes.
    pub async fn response_to(&mut self, method: &str) -> Response {
        self.try_response(method)
            .await
            .unwrap_or_else(|error| panic!("no response, but {error}: {}", self.text()))
    }

    /// At least this many bytes, exactly as they came. Panics if the connection ends before.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_bytes(count)
            .await
            .unwrap_or_else(|error| panic!("{error} after {:?}", self.text()))
    }

    /// Everything until the peer closes; an error stands for a reset.
    ///
    /// Panics if it does not close.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let rest = self.try_rest().await;
        if let Err(error) = &rest {
            assert_ne!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        }
        rest
    }

    async fn try_rest(&mut self) -> io::Result<Vec<u8>> {
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut self.buffer));
        read.await
            .map_err(|_| silence("the peer does not close"))??;
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Whether the peer has not closed and has sent nothing unasked.
    pub fn is_open(&self) -> bool {
        let mut byte = [0];
        let quiet = self
            .stream
            .try_read(&mut byte)
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        quiet && self.buffer.is_empty()
    }

    /// The next response to this method, or why there is none: `UnexpectedEof` if the connection ends before it is
    /// whole, `TimedOut` if nothing more comes, `InvalidData` if it cannot be read.
    pub async fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let head = self.until(b"\r\n\r\n").await?;
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut response = Response {
            status: status.ok_or_else(|| unreadable("status"))?,
            head,
            body: Vec::new(),
        };
        let bodiless = method == "HEAD" || matches!(response.status, 100..=199 | 204 | 304);
        if bodiless {
            return Ok(response);
        }
        response.body = if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(|_| unreadable("Content-Length"))?;
            self.try_bytes(length).await?
        } else {
            self.try_rest().await?
        };
        Ok(response)
    }

    /// Exactly this many bytes, or why they do not come.
    pub async fn try_bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| unreadable("chunk"))?;
            if size == 0 {
                while !self.until(b"\r\n").await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.try_bytes(size).await?);
            self.try_bytes(2).await?;
        }
    }

    /// The text before `end`, which is consumed too.
    async fn until(&mut self, end: &[u8]) -> io::Result<String> {
        let length = loop {
            match find(&self.buffer, end) {
                Some(length) => break length,
                None => self.more().await?,
            }
        };
        let text = self.buffer.drain(..length + end.len()).take(length);
        String::from_utf8(text.collect()).map_err(|_| unreadable("head"))
    }

    /// Reads more into the buffer.
    async fn more(&mut self) -> io::Result<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        match read.await {
            Ok(Ok(0)) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection ended",
            )),
            Ok(read) => read.map(|_| ()),
            Err(_) => Err(silence("nothing more comes")),
        }
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

fn silence(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

fn unreadable(part: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a {part} that cannot be read"),
    )
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
