//! What the control plane answers on its one port: gRPC, and `/metrics`, `/healthz`, `/readyz` over HTTP.
//!
//! The edge: it authenticates, decodes, calls the writer, the fleet and what was observed, and turns errors into
//! statuses. It holds no rule of its own. The only place that names the RPC framework.

mod accept;
mod auth;
mod filter;
mod grpc;
mod http;
mod metrics;
mod outlet;
mod page;
mod server;
mod status;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fleet::Fleet;
use crate::observed::Observed;
use crate::view::Views;
use crate::writer::Writer;

pub(crate) use metrics::Metrics;
pub(crate) use server::{ServeError, serve};

/// Streams of `Watch` and `WatchAgents` that may be open, all together.
const MAX_WATCHERS: usize = 256;
/// How long a reader may leave a full stream untouched before it is dropped.
const READER_PATIENCE: Duration = Duration::from_secs(30);

/// What the services share.
pub(crate) struct Shared {
    /// The one writer.
    pub(crate) writer: Writer,
    /// The agents.
    pub(crate) fleet: Arc<Fleet>,
    /// Their views.
    pub(crate) views: Views,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Cancelled when the program ends: streams end with it.
    pub(crate) shutdown: CancellationToken,
    /// The tasks of the streams.
    pub(crate) tasks: TaskTracker,
    observed: Mutex<Observed>,
    watchers: Arc<Semaphore>,
}

impl Shared {
    /// Nothing connected, nothing observed.
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            writer,
            fleet: Arc::default(),
            views: Views::default(),
            metrics: Metrics::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            observed: Mutex::default(),
            watchers: Arc::new(Semaphore::new(MAX_WATCHERS)),
        }
    }

    /// What the agents report; the lock is held for one call.
    pub(crate) fn observed(&self) -> MutexGuard<'_, Observed> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
