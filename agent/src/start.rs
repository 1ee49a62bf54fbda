//! Starts an agent: everything is wired here, in the order in which it is needed.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access_log::{self, Log};
use crate::admin::{self, Admin, Pages};
use crate::compile::Compiler;
use crate::config::Config;
use crate::discovery::apply::Applier;
use crate::discovery::disk::Disk;
use crate::discovery::{Discovery, Facts, Identity};
use crate::edge::Edge;
use crate::health::Health;
use crate::live::Registry;

/// Held by the agent that uses a data folder.
const LOCK_FILE: &str = "lock";
/// Only the owner looks into the data folder: private keys are in it.
const FOLDER_MODE: u32 = 0o700;

/// An agent that runs.
#[derive(Debug)]
pub struct Running {
    /// Where its admin pages are.
    pub admin: SocketAddr,
    /// How discovery is going.
    pub facts: watch::Receiver<Facts>,
    edge: Arc<Edge>,
    discovery: Discovery,
    pages: Admin,
    access_log: Arc<Log>,
    draining: CancellationToken,
    drain_timeout: Duration,
    /// Lets go of the data folder when the agent has ended.
    _lock: File,
}

/// Why an agent cannot start.
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
    #[error("data folder {} is in use by another agent: stop that one, or choose another folder with --data-dir", path.display())]
    DataDirInUse {
        /// Which.
        path: PathBuf,
    },
    /// Another program has the admin address.
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
    /// The URL of the control plane.
    #[error("--control-plane {url}: {error}")]
    ControlPlane {
        /// As given.
        url: String,
        /// Why it cannot be used.
        error: String,
    },
    /// No worker threads.
    #[error("cannot start worker threads: {0}")]
    Threads(io::Error),
}

/// Starts an agent on the current runtime; it serves as soon as a snapshot is there.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let lock = lock(&config.data_dir)?;
    let admin = bind(config.admin).await?;
    let address = admin.local_addr().unwrap_or(config.admin);
    let access_log = Arc::new(open_access_log(&config)?);
    let edge = Edge::start(config.workers, |worker| access_log.writer(worker));
    let edge = Arc::new(edge.map_err(StartError::Threads)?);
    let registry = Arc::new(Registry::new(config.workers));
    let discovery = discover(&config, &edge, &registry)?;
    let draining = CancellationToken::new();
    let pages = Pages {
        facts: discovery.facts(),
        inquiry: discovery.inquiry(),
        registry,
        access_log: Arc::clone(&access_log),
        draining: draining.clone(),
    };
    Ok(Running {
        admin: address,
        facts: discovery.facts(),
        edge,
        discovery,
        pages: Admin::start(admin, pages),
        access_log,
        draining,
        drain_timeout: config.drain_timeout,
        _lock: lock,
    })
}

impl Running {
    /// Waits until the agent cannot go on; says why.
    pub async fn failed(&self) -> String {
        self.edge.failed().await
    }

    /// Opens the access log anew, as after its file was moved away.
    pub fn reopen_access_log(&self) {
        self.access_log.reopen();
    }

    /// Accepts nothing new, finishes what is under way, ends.
    pub async fn shutdown(self) {
        self.draining.cancel();
        self.discovery.shutdown().await;
        if !self.edge.drain(self.drain_timeout).await {
            tracing::warn!(timeout = ?self.drain_timeout, "connections were cut: they took longer than --drain-timeout");
        }
        self.pages.shutdown().await;
        if let Some(access_log) = Arc::into_inner(self.access_log) {
            access_log.shutdown().await;
        }
    }
}

/// Waits until a snapshot is in force for the first time; its revision.
pub async fn ready(facts: &mut watch::Receiver<Facts>) -> u64 {
    let in_force = facts.wait_for(|facts| facts.revision.is_some()).await;
    match in_force.ok().and_then(|facts| facts.revision) {
        Some(revision) => revision,
        // Discovery has ended before that.
        None => std::future::pending().await,
    }
}

async fn bind(address: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    let bound = admin::bind(address).await;
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => StartError::AdminInUse(address),
        _ => StartError::Admin { address, error },
    })
}

fn open_access_log(config: &Config) -> Result<Log, StartError> {
    access_log::start(config.access_log.as_ref()).map_err(|error| {
        let path = config.access_log.as_ref().map(|log| log.path.clone());
        StartError::AccessLog {
            path: path.unwrap_or_default(),
            error,
        }
    })
}

fn discover(
    config: &Config,
    edge: &Arc<Edge>,
    registry: &Arc<Registry>,
) -> Result<Discovery, StartError> {
    let (health, verdicts) = Health::start(Arc::clone(edge));
    let compiler = Compiler::new(Arc::clone(registry));
    let applier = Applier::new(compiler, Arc::clone(edge), health);
    let identity = Identity {
        name: config.name.clone(),
        labels: config.labels.clone(),
    };
    let disk = Disk::new(&config.data_dir);
    let url = &config.control_plane;
    Discovery::start(url, identity, applier, verdicts, disk).map_err(|error| {
        StartError::ControlPlane {
            url: url.clone(),
            error: error.to_string(),
        }
    })
}

/// Makes the data folder and takes it for this process.
fn lock(path: &Path) -> Result<File, StartError> {
    let unusable = |error| StartError::DataDir {
        path: path.to_owned(),
        error,
    };
    DirBuilder::new()
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
