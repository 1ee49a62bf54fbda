//! Scriptable backends on ports of their own: [`Origin`] speaks HTTP/1.1, [`echo`] TCP and WebSocket.
//!
//! An origin records what reaches it byte for byte, and answers with its name unless a test scripts it. It runs on the
//! test's own runtime and ends with the test, or with [`Origin::stop`].

pub mod echo;
mod exchange;

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

pub use exchange::Seen;

use crate::client::Response;

/// The path of health checks: answered with the origin's health and not recorded.
pub const HEALTH: &str = "/healthz";

/// An HTTP/1.1 backend.
#[derive(Debug)]
pub struct Origin {
    /// Its port on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

/// How an origin answers one request.
#[derive(Debug, Clone)]
pub struct Reply {
    bytes: Vec<u8>,
    close: bool,
    reset: bool,
    gate: Option<Gate>,
}

/// Holds answers back until a test lets them go.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

pub(crate) struct Shared {
    name: String,
    health: AtomicU16,
    /// `None` = nothing is recorded.
    seen: Option<Mutex<Vec<Seen>>>,
    script: Script,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// Starts one that answers everything with 200 and its name.
    pub async fn named(name: &str) -> Self {
        let body = name.to_owned();
        Self::scripted(name, move |_| Reply::text(200, &body)).await
    }

    /// As [`Origin::named`], but it records nothing: for loads that would fill the memory.
    pub async fn unrecorded(name: &str) -> Self {
        let body = name.to_owned();
        Self::start(name, None, move |_| Reply::text(200, &body)).await
    }

    /// Starts one that answers as `script` says.
    pub async fn scripted(
        name: &str,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(name, Some(Mutex::default()), script).await
    }

    async fn start(
        name: &str,
        seen: Option<Mutex<Vec<Seen>>>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            name: name.to_owned(),
            health: AtomicU16::new(200),
            seen,
            script: Arc::new(script),
        };
        let mut origin = Self {
            port: 0,
            shared: Arc::new(shared),
            task: None,
        };
        origin.restart().await;
        origin
    }

    /// From now on, health checks are answered with this status.
    pub fn set_health(&self, status: u16) {
        self.shared.health.store(status, Ordering::Relaxed);
    }

    /// Takes the requests that have arrived since the last call.
    ///
    /// Panics if it records nothing.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.shared.seen.as_ref().expect("an origin that records");
        std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The only request that has arrived since the last call. Panics if it is not exactly one.
    #[track_caller]
    pub fn only_seen(&self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    /// Closes its port and all connections, as if its process had ended.
    pub async fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Cancelled is what was asked for; the listener is closed when this returns.
            let _ = task.await;
        }
    }

    /// Listens again on the same port. Panics if somebody else has taken it.
    pub async fn restart(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port))
            .await
            .expect("the origin's port");
        self.port = listener.local_addr().expect("its address").port();
        self.task = Some(tokio::spawn(serve(listener, Arc::clone(&self.shared))));
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Reply {
    /// A text with its Content-Length.
    pub fn text(status: u16, body: &str) -> Self {
        Self::with(status, "", body.as_bytes())
    }

    /// A body with its Content-Length and further header lines (each ends with CR LF).
    pub fn with(status: u16, headers: &str, body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status} Because\r\n{headers}Content-Length: {}\r\n",
            body.len()
        )
        .into_bytes();
        bytes.extend(b"X-Origin: {name}\r\n\r\n");
        bytes.extend(body);
        Self::raw(bytes)
    }

    /// Exactly these bytes; the connection stays open.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: bytes.into(),
            close: false,
            reset: false,
            gate: None,
        }
    }

    /// Closes the connection after the bytes.
    pub fn then_close(self) -> Self {
        Self {
            close: true,
            ..self
        }
    }

    /// Resets the connection after the bytes.
    pub fn then_reset(self) -> Self {
        Self {
            reset: true,
            ..self
        }
    }

    /// Waits at the gate before the bytes.
    pub fn after(self, gate: &Gate) -> Self {
        Self {
            gate: Some(gate.clone()),
            ..self
        }
    }
}

impl Gate {
    /// A gate that lets nothing pass yet.
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        // An error says that the gate is open.
        let _ = self.0.acquire().await;
    }
}

impl Response {
    /// How many of these responses came from each of the named origins.
    pub fn counts<const N: usize>(responses: &[Self], origins: [&str; N]) -> [usize; N] {
        origins.map(|origin| {
            responses
                .iter()
                .filter(|response| response.header("x-origin") == Some(origin))
                .count()
        })
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(exchange::serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

/// Makes the close of this socket a reset.
pub(crate) fn reset(stream: TcpStream) {
    let socket = socket2::SockRef::from(&stream);
    socket
        .set_linger(Some(std::time::Duration::ZERO))
        .expect("a TCP option");
}

#[cfg(test)]
mod tests {
    use super::echo::Echo;
    use super::*;
    use crate::client::{Connection, get, request, try_get};

    #[tokio::test]
    async fn an_origin_answers_with_its_name_and_records_what_it_got() {
        let mut origin = Origin::named("catalog").await;
        get(origin.port, "/a").await.expect(200).from("catalog");
        let posted = request(origin.port, "POST", "/b", "X-Mine: 1\r\n", b"hello").await;
        assert_eq!(posted.expect(200).text(), "catalog");
        let seen = origin.seen();
        assert_eq!(
            (seen[1].target.as_str(), seen[1].header("x-mine")),
            ("/b", Some("1"))
        );
        assert_eq!(seen[1].body, b"hello");

        origin.set_health(503);
        get(origin.port, HEALTH).await.expect(503);
        assert!(origin.seen().is_empty());
        origin.stop().await;
        assert!(try_get(origin.port, "/").await.is_none());
        origin.restart().await;
        get(origin.port, "/").await.expect(200);
    }

    #[tokio::test]
    async fn chunks_are_read_on_both_sides() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        let origin = Origin::scripted("chunks", move |_| Reply::raw(chunked)).await;
        let mut connection = Connection::open(origin.port).await;
        for _ in 0..2 {
            let request = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: 1\r\n\r\n";
            connection.send(request).await;
            assert_eq!(connection.response().await.expect(200).text(), "abc");
            let seen = origin.only_seen();
            assert_eq!(
                (seen.body.as_slice(), seen.trailers.as_str()),
                (&b"hello"[..], "T: 1\r\n")
            );
        }
    }

    #[tokio::test]
    async fn an_echo_greets_echoes_and_says_bye() {
        let echo = Echo::tcp("one").await;
        let mut connection = Connection::open(echo.port).await;
        connection.send("ping").await;
        connection.finish().await;
        assert_eq!(connection.rest().await.unwrap(), b"hello from one\npingbye");
    }
}
