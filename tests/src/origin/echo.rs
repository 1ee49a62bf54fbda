//! Backends that send back what they get: over TCP and over WebSocket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::reset;

/// An echoing backend.
#[derive(Debug)]
pub struct Echo {
    /// Its port on 127.0.0.1.
    pub port: u16,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Echo {
    /// TCP: greets with `hello from NAME` and a line end, then sends back every piece. A piece that begins with `reset`
    /// is answered by a reset; after the client's half-close it says `bye` and closes.
    pub async fn tcp(name: &str) -> Self {
        let greeting = format!("hello from {name}\n");
        Self::start(move |stream| tcp(stream, greeting.clone())).await
    }

    /// WebSocket: sends back every message. Answers plain health checks with nothing, so check it by TCP.
    pub async fn websocket() -> Self {
        Self::start(websocket).await
    }

    /// How many connections it has open.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    async fn start<F: Future<Output = ()> + Send + 'static>(
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, count) = (serve(stream), Arc::clone(&counted));
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    serving.await;
                    count.fetch_sub(1, Ordering::SeqCst);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { port, open, task }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tcp(mut stream: TcpStream, greeting: String) {
    let mut piece = vec![0; 64 * 1024];
    let mut send = greeting.into_bytes();
    loop {
        if stream.write_all(&send).await.is_err() {
            return;
        }
        match stream.read(&mut piece).await {
            Ok(0) => {
                let _ = stream.write_all(b"bye").await;
                return;
            }
            Ok(count) if piece[..count].starts_with(b"reset") => return reset(stream),
            Ok(count) => send = piece[..count].to_vec(),
            Err(_) => return,
        }
    }
}

async fn websocket(stream: TcpStream) {
    // A health check connects and closes: no handshake, nothing to say.
    let Ok(mut socket) = accept_async(stream).await else {
        return;
    };
    while let Some(Ok(message)) = socket.next().await {
        let echo = matches!(message, Message::Text(_) | Message::Binary(_));
        if echo && socket.send(message).await.is_err() {
            return;
        }
    }
}
