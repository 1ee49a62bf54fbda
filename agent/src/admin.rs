//! The admin address: HTTP/1.1 for probes, scrapers and people on the agent's host. What it shows is in [`pages`].
//!
//! Hostile or forgotten clients cost a bounded number of connections, each with a bounded head and a bounded life.

pub mod pages;

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use pages::Pages;

/// Connections at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take, the wait for it included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest head, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Header fields of a request at most.
const MAX_HEADERS: usize = 64;
/// A connection is closed after its next answer when it is this old, ...
const MAX_AGE: Duration = Duration::from_secs(60);
/// ... or cut when that answer takes longer than this.
const GRACE: Duration = Duration::from_secs(10);
/// How long the end of the agent waits for answers under way.
const END_GRACE: Duration = Duration::from_secs(1);
/// Pause after an error that is not one connection's.
const PAUSE: Duration = Duration::from_millis(100);

/// The admin server.
#[derive(Debug)]
pub struct Admin {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Admin {
    /// Serves `pages` on `listener`.
    pub fn start(listener: TcpListener, pages: Pages) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, Arc::new(pages), stop.clone()));
        Self { stop, task }
    }

    /// Accepts nothing more, finishes the answers under way within `END_GRACE`, ends.
    pub async fn stop(self) {
        self.stop.cancel();
        // A panic was logged by its hook, and nothing is left to be done.
        let _ = self.task.await;
    }
}

async fn serve(listener: TcpListener, pages: Arc<Pages>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some((stream, permit)) = next(&listener, &free, &stop).await {
        connections.spawn(connection(stream, Arc::clone(&pages), stop.clone(), permit));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// `None` = told to stop.
async fn next(
    listener: &TcpListener,
    free: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepted = async {
        let permit = Arc::clone(free).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, permit)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the admin address; trying again");
                    sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn connection(
    stream: TcpStream,
    pages: Arc<Pages>,
    stop: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(request.method(), request.uri().path()).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // However a connection ends, the client is the only one whom it concerns.
    let grace = tokio::select! {
        _ = connection.as_mut() => return,
        () = sleep(MAX_AGE) => GRACE,
        () = stop.cancelled() => END_GRACE,
    };
    connection.as_mut().graceful_shutdown();
    let _ = timeout(grace, connection).await;
}

#[cfg(test)]
mod tests;
