//! The client of the demo: one request on a connection of its own, a WebSocket message, a TCP line.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{self, Message};

use super::backend::{CHAT_PATH, NAME_HEADER};
use super::ports::loopback;

/// Longest time for one exchange; generous, for machines that are busy with something else.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Refused or reset.
    #[error("{0}")]
    Socket(#[from] io::Error),
    /// Not HTTP.
    #[error("{0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be.
    #[error("{0}")]
    Request(#[from] hyper::http::Error),
    /// The body is cut, or too long.
    #[error("body: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// Not a WebSocket.
    #[error("{0}")]
    WebSocket(Box<tungstenite::Error>),
    /// The connection ended.
    #[error("the connection ended")]
    Ended,
    /// Nothing came.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    TooLate,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: u16,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body, as text.
    pub(super) text: String,
}

impl Answer {
    /// A header's value; empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The backend that it comes from; empty = from none.
    pub(super) fn backend(&self) -> &str {
        self.header(NAME_HEADER)
    }
}

/// A `GET` to `127.0.0.1:port`.
pub(super) async fn get(
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Answer, ClientError> {
    request("GET", port, path, headers, Bytes::new()).await
}

/// One request to `127.0.0.1:port` on a connection of its own.
pub(super) async fn request(
    method: &str,
    port: u16,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Answer, ClientError> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, loopback(port).to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    in_time(exchange(port, request)).await
}

async fn exchange(port: u16, request: Request<Full<Bytes>>) -> Result<Answer, ClientError> {
    let stream = TcpStream::connect(loopback(port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let bytes = body.map_err(ClientError::Body)?.to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    };
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => {
            ended?;
            // The connection has ended after all that it had to say: the rest is in the answer's buffers.
            answer.await
        }
    }
}

/// Sends a message over a WebSocket to `127.0.0.1:port` and returns what comes back.
pub(super) async fn chat(port: u16, text: &str) -> Result<String, ClientError> {
    let failed = |error| ClientError::WebSocket(Box::new(error));
    in_time(async {
        let stream = TcpStream::connect(loopback(port)).await?;
        let url = format!("ws://{}{CHAT_PATH}", loopback(port));
        let (mut socket, _) = client_async(url, stream).await.map_err(failed)?;
        socket.send(Message::text(text)).await.map_err(failed)?;
        let echo = socket.next().await.ok_or(ClientError::Ended)?;
        let echo = echo.and_then(Message::into_text).map_err(failed)?;
        socket.close(None).await.map_err(failed)?;
        Ok(echo.as_str().to_owned())
    })
    .await
}

/// Sends bytes to `127.0.0.1:port`, ends its side, and returns all that comes back.
pub(super) async fn say(port: u16, bytes: &[u8]) -> Result<Vec<u8>, ClientError> {
    in_time(async {
        let mut stream = TcpStream::connect(loopback(port)).await?;
        let (reader, mut writer) = stream.split();
        let mut echo = Vec::new();
        // Both at once: neither end can buffer everything.
        let (sent, read) = tokio::join!(
            async {
                writer.write_all(bytes).await?;
                writer.shutdown().await
            },
            async {
                let mut reader = reader.take(MAX_ANSWER_BYTES as u64);
                reader.read_to_end(&mut echo).await
            }
        );
        sent?;
        read?;
        Ok(echo)
    })
    .await
}

async fn in_time<T>(
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    timeout(PATIENCE, exchange)
        .await
        .unwrap_or(Err(ClientError::TooLate))
}

#[cfg(test)]
mod tests {
    use super::super::backend::Backend;
    use super::*;

    #[tokio::test]
    async fn a_backend_says_who_it_is_and_what_reached_it() {
        let backend = Backend::http("blue-1").await.unwrap();
        let port = backend.address.port();
        let answer = get(port, "/shop/1?a=b", &[("X-Preview", "yes")])
            .await
            .unwrap();
        assert_eq!((answer.status, answer.backend()), (200, "blue-1"));
        assert_eq!(
            answer.text,
            format!("hello from blue-1\nGET /shop/1?a=b\nhost: 127.0.0.1:{port}\nx-preview: yes\n")
        );
        let body = Bytes::from(vec![b'x'; 300_000]);
        let answer = request("POST", port, "/shop/1", &[], body).await.unwrap();
        assert!(
            answer.text.contains("300000 bytes received"),
            "{}",
            answer.text
        );
    }

    #[tokio::test]
    async fn backends_echo_over_websocket_and_tcp() {
        let green = Backend::http("green").await.unwrap();
        assert_eq!(chat(green.address.port(), "hi").await.unwrap(), "hi");
        let echo = Backend::echo("echo").await.unwrap();
        let bytes = vec![7; 600_000];
        assert_eq!(say(echo.address.port(), &bytes).await.unwrap(), bytes);
    }

    #[tokio::test]
    async fn nobody_there_is_an_error() {
        let port = {
            let listener = std::net::TcpListener::bind(loopback(0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let refused = get(port, "/", &[]).await;
        assert!(
            matches!(refused, Err(ClientError::Socket(_))),
            "{refused:?}"
        );
    }
}
