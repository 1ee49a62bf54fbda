//! The admin address: `/healthz`, `/readyz`, `/metrics`, `/config`, over HTTP/1.1 for the host's operator.
//!
//! Runs on the control runtime and reads only; secrets are left out. Connections are bounded in number and time.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use inlet_proto::manifest::to_json;
use inlet_proto::redact::redact;
use inlet_proto::v1;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::access_log::Log;
use crate::discovery::{Facts, InForce, Inquiry};
use crate::live::Registry;
use crate::metrics::{self, AgentFacts};

/// Connections at a time; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may take for the head of a request, the first one or the next.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// How long nothing is accepted after accepting failed.
const PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// What the pages show.
#[derive(Debug)]
pub struct Pages {
    /// How discovery is going.
    pub facts: watch::Receiver<Facts>,
    /// To ask what is in force.
    pub inquiry: Inquiry,
    /// Counters.
    pub registry: Arc<Registry>,
    /// Counts its dropped lines.
    pub access_log: Arc<Log>,
    /// Cancelled when the agent begins to drain.
    pub draining: CancellationToken,
}

/// A handle of the server.
#[derive(Debug)]
pub struct Admin {
    task: JoinHandle<()>,
    /// Ends the task even if nobody calls [`Admin::shutdown`].
    stop: DropGuard,
}

/// Binds the admin address; it is served from [`Admin::start`] on. Errors: it cannot be had.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

impl Admin {
    /// Serves on the current runtime.
    pub fn start(listener: TcpListener, pages: Pages) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, Arc::new(pages), stop.clone()));
        Self {
            task,
            stop: stop.drop_guard(),
        }
    }

    /// Closes the address and all connections.
    pub async fn shutdown(self) {
        drop(self.stop);
        // Fails only if the task has panicked, which was printed.
        let _ = self.task.await;
    }
}

/// Connections end with the set that holds their tasks.
async fn serve(listener: TcpListener, pages: Arc<Pages>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let pages = Arc::clone(&pages);
                    connections.spawn(async move {
                        let _place = place;
                        connection(stream, pages).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept on the admin address");
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(move |request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off, or takes too long, is no news.
    let _ = timeout(CONNECTION_TIMEOUT, serving).await;
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        if !["/healthz", "/readyz", "/metrics", "/config"].contains(&path) {
            let pages = "no such page; there are /healthz, /readyz, /metrics and /config\n";
            return page(StatusCode::NOT_FOUND, TEXT, pages);
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refused.headers_mut().insert(ALLOW, allowed);
            return refused;
        }
        match path {
            "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => self.ready(),
            "/metrics" => page(StatusCode::OK, METRICS, self.metrics()),
            _ => self.config().await,
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        if self.draining.is_cancelled() {
            return page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n");
        }
        match self.facts.borrow().revision {
            Some(revision) => {
                let text = format!("snapshot {revision} in force\n");
                page(StatusCode::OK, TEXT, text)
            }
            None => {
                let text = "no snapshot is in force yet: the control plane has not sent one, and none was kept\n";
                page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
            }
        }
    }

    fn metrics(&self) -> String {
        let facts = *self.facts.borrow();
        let agent = AgentFacts {
            revision: facts.revision,
            resources: facts.resources,
            connected: facts.connected,
            streams: facts.streams,
            applied: facts.applied,
            refused: facts.refused,
            keep_failed: facts.keep_failed,
            draining: self.draining.is_cancelled(),
            open_files: open_files(),
            access_log_dropped: self.access_log.dropped(),
        };
        metrics::render(&self.registry, &agent)
    }

    async fn config(&self) -> Response<Full<Bytes>> {
        let Some(in_force) = self.inquiry.in_force().await else {
            return page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the agent ends\n");
        };
        page(StatusCode::OK, JSON, config(&in_force))
    }
}

/// `{"revision": "7", "resources": [...]}`: the resources as manifests, secrets left out.
fn config(in_force: &InForce) -> String {
    let manifest = |resource: &Arc<v1::Resource>| {
        let mut resource = v1::Resource::clone(resource);
        redact(&mut resource);
        to_json(&resource, true)
    };
    let resources: Vec<_> = in_force.resources.iter().map(manifest).collect();
    // 64-bit numbers are strings in proto3 JSON.
    let revision = in_force.revision.to_string();
    format!(
        "{:#}\n",
        json!({ "revision": revision, "resources": resources })
    )
}

/// `None` = the system does not say.
fn open_files() -> Option<u64> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(open).ok()
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use inlet_proto::digest::Digest;

    use super::*;

    #[test]
    fn the_configuration_is_shown_without_its_secrets() {
        let certificate = v1::Certificate {
            name: "shop".to_owned(),
            private_key: "secret".to_owned(),
            certificate_chain: "chain".to_owned(),
            ..Default::default()
        };
        let text = config(&InForce {
            revision: 7,
            digest: Digest::default(),
            resources: vec![Arc::new(certificate.into())],
        });
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown["revision"], "7");
        assert_eq!(shown["resources"][0]["kind"], "Certificate");
        assert!(text.contains("chain") && !text.contains("secret"), "{text}");
    }
}
