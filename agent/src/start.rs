//! Starts an agent: everything is wired here, in the order in which it is needed.

use std::fs::{File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::access_log;
use crate::config::Config;
use crate::edge::Edge;

/// Held by the agent that uses a data folder.
const LOCK_FILE: &str = "lock";

/// An agent that runs.
#[derive(Debug)]
pub struct Running {
    /// Where its admin pages are.
    pub admin: SocketAddr,
    /// The revision in force; changes for the first time when the first snapshot is.
    pub revision: watch::Receiver<u64>,
    edge: Arc<Edge>,
    drain_timeout: Duration,
    /// Lets go of the data folder when the agent has ended.
    _lock: File,
}

/// Why an agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or written.
    #[error("cannot use data folder {}: {error}", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another agent has it.
    #[error("data folder {} is in use by another agent", path.display())]
    DataDirInUse {
        /// Which.
        path: PathBuf,
    },
    /// The admin address cannot be had.
    #[error("cannot listen on admin address {address}: {error}")]
    Admin {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// No worker threads.
    #[error("cannot start worker threads: {0}")]
    Threads(io::Error),
}

/// Starts an agent on the current runtime; it serves as soon as a snapshot is there.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let lock = lock(&config.data_dir)?;
    let edge = Edge::start(config.workers, |_| access_log::Writer::default())
        .map_err(StartError::Threads)?;
    let (_, revision) = watch::channel(0);
    Ok(Running {
        admin: config.admin,
        revision,
        edge: Arc::new(edge),
        drain_timeout: config.drain_timeout,
        _lock: lock,
    })
}

impl Running {
    /// Waits until the agent cannot go on; says why.
    pub async fn failed(&mut self) -> String {
        self.edge.failed().await
    }

    /// Accepts nothing new, finishes what is under way, ends.
    pub async fn shutdown(self) {
        if !self.edge.drain(self.drain_timeout).await {
            tracing::warn!(timeout = ?self.drain_timeout, "connections were cut: they took longer than --drain-timeout");
        }
    }
}

/// Makes the data folder and takes it for this process.
fn lock(path: &Path) -> Result<File, StartError> {
    let unusable = |error| StartError::DataDir {
        path: path.to_owned(),
        error,
    };
    std::fs::create_dir_all(path).map_err(unusable)?;
    let file = File::create(path.join(LOCK_FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataDirInUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
