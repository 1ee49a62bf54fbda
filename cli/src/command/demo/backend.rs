//! The sample backends: small servers that say who they are and what reached them.
//!
//! Invariant: all that a backend has started ends with it, WebSockets included.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::error::DemoError;
use super::ports::loopback;

/// Response header with the backend's name.
pub(super) const NAME_HEADER: &str = "x-backend";
/// Where health checks look.
const HEALTH_PATH: &str = "/healthz";
/// Where the backend speaks WebSocket.
pub(super) const CHAT_PATH: &str = "/chat";
/// Connections at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 1024;
/// Bytes that are sent back at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// A backend that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Backend {
    /// Where it listens.
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Backend {
    /// HTTP/1.1 on any free port: answers with its name and what reached it; at `/chat` it echoes over WebSocket.
    pub(super) async fn http(name: &'static str) -> Result<Self, DemoError> {
        Self::start(name, move |stream| serve_http(name, stream)).await
    }

    /// TCP on any free port: sends back what it gets.
    pub(super) async fn echo(name: &'static str) -> Result<Self, DemoError> {
        Self::start(name, |stream| async {
            // How a client ends its connection is its own affair.
            let _ = send_back(stream).await;
        })
        .await
    }

    async fn start<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Result<Self, DemoError> {
        let broken = |error| DemoError::Backend { name, error };
        let listener = TcpListener::bind(loopback(0)).await.map_err(broken)?;
        let address = listener.local_addr().map_err(broken)?;
        let task = tokio::spawn(accept(listener, serve));
        Ok(Self { address, task })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    connections.spawn(serve(stream));
                }
                Ok(_) => {}
                // Out of descriptors, say: go on when a connection has ended.
                Err(_) if connections.is_empty() => return,
                Err(_) => drop(connections.join_next().await),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn send_back(mut stream: TcpStream) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match stream.read(&mut piece).await? {
            0 => return stream.shutdown().await,
            count => stream.write_all(&piece[..count]).await?,
        }
    }
}

async fn serve_http(name: &'static str, stream: TcpStream) {
    let (upgrades, mut upgraded) = mpsc::channel(1);
    let service = service_fn(|request| {
        let upgrades = upgrades.clone();
        async move { Ok::<_, Infallible>(answer(name, request, &upgrades).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // How a client ends its connection is its own affair.
    let _ = connection.await;
    if let Ok(upgrade) = upgraded.try_recv()
        && let Ok(stream) = upgrade.await
    {
        chat(stream).await;
    }
}

/// Sends back every message until the client closes.
async fn chat(stream: Upgraded) {
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        let echo = matches!(message, Message::Text(_) | Message::Binary(_));
        if echo && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn answer(
    name: &'static str,
    mut request: Request<Incoming>,
    upgrades: &mpsc::Sender<OnUpgrade>,
) -> Response<Full<Bytes>> {
    if let Some(accept) = websocket_accept(request.uri().path(), request.headers()) {
        // One request of a connection can be an upgrade, and it is the last: there is room.
        let _ = upgrades.try_send(hyper::upgrade::on(&mut request));
        return switch(name, &accept);
    }
    let (head, body) = request.into_parts();
    let Ok(received) = received_bytes(body).await else {
        return respond(name, StatusCode::BAD_REQUEST, String::new());
    };
    let text = match head.uri.path() {
        HEALTH_PATH => "ok\n".to_owned(),
        _ => {
            let line = format!("{} {}", head.method, head.uri);
            describe(name, &line, &head.headers, received)
        }
    };
    respond(name, StatusCode::OK, text)
}

/// The value of Sec-WebSocket-Accept, if this asks for a WebSocket (RFC 6455, 4.2.1).
fn websocket_accept(path: &str, headers: &HeaderMap) -> Option<String> {
    let upgrade = headers.get(hyper::header::UPGRADE)?.to_str().ok()?;
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    (path == CHAT_PATH && upgrade.eq_ignore_ascii_case("websocket"))
        .then(|| derive_accept_key(key.as_bytes()))
}

fn switch(name: &'static str, accept: &str) -> Response<Full<Bytes>> {
    let mut response = respond(name, StatusCode::SWITCHING_PROTOCOLS, String::new());
    let headers = response.headers_mut();
    headers.insert(
        hyper::header::CONNECTION,
        HeaderValue::from_static("upgrade"),
    );
    headers.insert(
        hyper::header::UPGRADE,
        HeaderValue::from_static("websocket"),
    );
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    headers.remove(hyper::header::CONTENT_TYPE);
    response
}

fn respond(name: &'static str, status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(NAME_HEADER, HeaderValue::from_static(name));
    headers.insert(
        hyper::header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain"),
    );
    response
}

/// Counts a body without keeping it.
async fn received_bytes(mut body: Incoming) -> Result<usize, hyper::Error> {
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        count += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(count)
}

/// What a user should see of a request: that it arrived, and what the load balancer added.
fn describe(name: &str, line: &str, headers: &HeaderMap, received: usize) -> String {
    let mut text = format!("hello from {name}\n{line}\n");
    for (key, value) in headers {
        let key = key.as_str();
        if key == "host" || key.starts_with("x-") {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
    }
    if received > 0 {
        let _ = writeln!(text, "{received} bytes received");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(key, value)| {
                (
                    hyper::header::HeaderName::from_static(key),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn a_request_is_described_by_what_the_load_balancer_added() {
        let headers = headers(&[
            ("host", "shop"),
            ("accept", "*/*"),
            ("x-forwarded-for", "127.0.0.1"),
        ]);
        assert_eq!(
            describe("blue-1", "POST /shop/1", &headers, 3),
            "hello from blue-1\nPOST /shop/1\nhost: shop\nx-forwarded-for: 127.0.0.1\n3 bytes received\n"
        );
    }

    #[test]
    fn only_the_chat_is_a_websocket() {
        let asked = headers(&[
            ("upgrade", "WebSocket"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ]);
        // The example of RFC 6455, 1.3.
        assert_eq!(
            websocket_accept("/chat", &asked).as_deref(),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        );
        assert_eq!(websocket_accept("/shop", &asked), None);
        assert_eq!(
            websocket_accept("/chat", &headers(&[("upgrade", "h2c")])),
            None
        );
    }
}
