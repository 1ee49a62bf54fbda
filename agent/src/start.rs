//! Starts an agent: everything is wired here, in the order in which it is needed, and ended in the reverse one.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::access_log::{self, Log};
use crate::admin::Admin;
use crate::admin::pages::Pages;
use crate::compile::Compiler;
use crate::config::{AccessLog, Config};
use crate::discovery::apply::Applier;
use crate::discovery::disk::Disk;
use crate::discovery::stream::{BadUrl, Link};
use crate::discovery::{Discovery, Identity};
use crate::edge::Edge;
use crate::health::Health;
use crate::live::Registry;

/// Held by the agent that uses a data folder.
const LOCK_FILE: &str = "lock";
/// The data folder has private keys in it.
const FOLDER_MODE: u32 = 0o700;

/// An agent that runs. Dropping it leaves it running as long as the runtime lives: see [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    /// Where its admin pages are.
    pub admin: SocketAddr,
    /// The revision in force; changes for the first time when the first snapshot is.
    pub revision: watch::Receiver<u64>,
    edge: Arc<Edge>,
    discovery: Discovery,
    pages: Admin,
    access_log: Arc<Log>,
    drain_timeout: Duration,
    /// Lets go of the data folder when the agent has ended.
    _lock: File,
}

/// Why an agent cannot start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made or written.
    #[error("cannot use data folder {}: {error}; choose another with --data-dir", path.display())]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another agent has it.
    #[error(
        "data folder {} is in use by another agent; stop that one, or give this one its own with --data-dir",
        path.display()
    )]
    DataDirInUse {
        /// Which.
        path: PathBuf,
    },
    /// The admin address is taken.
    #[error(
        "cannot listen on admin address {0}: the address is in use; stop the program that has it, or choose another with --admin"
    )]
    AdminInUse(SocketAddr),
    /// The admin address cannot be had.
    #[error("cannot listen on admin address {address}: {error}; choose another with --admin")]
    Admin {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The access log cannot be written.
    #[error("cannot write the access log {}: {error}; choose another file with --access-log", path.display())]
    AccessLog {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The control plane's URL cannot be used.
    #[error("cannot use --control-plane {url}: {error}; give a URL such as http://127.0.0.1:7400")]
    ControlPlane {
        /// As given.
        url: String,
        /// What is wrong.
        error: BadUrl,
    },
    /// No worker threads.
    #[error(
        "cannot start worker threads: {0}; give fewer with --workers, or raise the limit of processes"
    )]
    Threads(io::Error),
}

/// Starts an agent on the current runtime; it serves as soon as a snapshot is there.
///
/// Errors: nothing of it runs then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let lock = lock(&config.data_dir)?;
    let (listener, admin) = bind(config.admin).await?;
    let link = Link::new(&config.control_plane, Rng::new()).map_err(|error| {
        let url = config.control_plane.clone();
        StartError::ControlPlane { url, error }
    })?;
    let access_log = Arc::new(open_access_log(config.access_log.as_ref())?);
    let edge = Edge::start(config.workers, |worker| access_log.writer(worker))
        .map_err(StartError::Threads)?;
    let edge = Arc::new(edge);
    let registry = Arc::new(Registry::new(config.workers));
    let (health, verdicts) = Health::start(Arc::clone(&edge));
    let discovery = Discovery::start(
        Identity {
            name: config.name,
            labels: config.labels,
        },
        link,
        Disk::new(&config.data_dir),
        Applier::new(
            Compiler::new(Arc::clone(&registry)),
            Arc::clone(&edge),
            health,
        ),
        verdicts,
    );
    let pages = Pages::new(registry, discovery.viewer(), Arc::clone(&access_log));
    Ok(Running {
        admin,
        revision: discovery.revision(),
        edge,
        discovery,
        pages: Admin::start(listener, pages),
        access_log,
        drain_timeout: config.drain_timeout,
        _lock: lock,
    })
}

impl Running {
    /// Waits until the agent cannot go on; says why.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            why = self.edge.failed() => why,
            why = self.discovery.failed() => why,
        }
    }

    /// Opens the access log anew, as after its file was moved away.
    pub fn reopen_access_log(&self) {
        self.access_log.reopen();
    }

    /// Takes no more changes and accepts nothing new, finishes what is under way, ends.
    pub async fn shutdown(self) {
        // Kept first: whoever loses patience with the draining loses no snapshot. Targets are judged until it is over.
        let in_force = self.discovery.stop().await;
        if !self.edge.drain(self.drain_timeout).await {
            tracing::warn!(timeout = ?self.drain_timeout, "connections were cut: they took longer than --drain-timeout");
        }
        if let Some(in_force) = in_force {
            in_force.stop().await;
        }
        self.pages.stop().await;
        // Everybody who had a share has ended.
        if let Some(access_log) = Arc::into_inner(self.access_log) {
            access_log.shutdown().await;
        }
    }
}

fn open_access_log(config: Option<&AccessLog>) -> Result<Log, StartError> {
    access_log::start(config).map_err(|error| StartError::AccessLog {
        path: config.map(|log| log.path.clone()).unwrap_or_default(),
        error,
    })
}

/// Makes the data folder and takes it for this process.
fn lock(path: &Path) -> Result<File, StartError> {
    let unusable = |error| StartError::DataDir {
        path: path.to_owned(),
        error,
    };
    if path.exists() && !path.is_dir() {
        return Err(unusable(ErrorKind::NotADirectory.into()));
    }
    let mut folder = DirBuilder::new();
    folder
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(unusable)?;
    let file = File::create(path.join(LOCK_FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::DataDirInUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// The admin address, listening, and what it really is if any free port was asked for.
async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address)
        .await
        .and_then(|listener| listener.local_addr().map(|real| (listener, real)));
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => StartError::AdminInUse(address),
        _ => StartError::Admin { address, error },
    })
}

#[cfg(test)]
mod tests;
