//! Starts a control plane in this process: opens the store, binds the port, serves until told to stop.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::{self, ServeError, Shared};
use crate::config::{Config, StoreConfig};
use crate::store::{self, Store};
use crate::writer::{OpenError, Settings, Writer};

/// How often agents and reports that are gone for long are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How long requests and streams may take to end at the shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Why a control plane does not start. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program has the address.
    #[error(
        "cannot listen on {0}: the address is in use; stop the program that has it, or choose another with --listen"
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {error}; choose another address with --listen")]
    Listen {
        /// As given.
        address: SocketAddr,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The configuration that is kept cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A control plane that runs. Dropping it leaves it running as long as the runtime lives: see [`Running::shutdown`].
pub struct Running {
    /// Where it listens; the real port if 0 was asked for.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<Result<(), ServeError>>,
    sweeper: JoinHandle<()>,
}

/// Starts a control plane. It accepts connections when this returns.
///
/// Errors: the address cannot be bound, or what is kept cannot be opened.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // The port first: two control planes by mistake meet here, before one touches the other's data.
    let listener = bind(config.listen).await?;
    let address = listener.local_addr().map_err(|error| StartError::Listen {
        address: config.listen,
        error,
    })?;
    let writer = open(config.store).await?;
    let shared = Arc::new(Shared::new(writer));
    let server = tokio::spawn(api::serve(listener, Arc::clone(&shared)));
    let sweeper = tokio::spawn(sweep(Arc::clone(&shared)));
    Ok(Running {
        address,
        shared,
        server,
        sweeper,
    })
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => StartError::AddressInUse(address),
        _ => StartError::Listen { address, error },
    })
}

async fn open(config: StoreConfig) -> Result<Writer, StartError> {
    let opened = tokio::task::spawn_blocking(move || {
        let store: Box<dyn Store> = match config {
            StoreConfig::Memory => Box::new(store::Memory::default()),
            StoreConfig::Sled(folder) => {
                Box::new(store::Sled::open(&folder).map_err(OpenError::from)?)
            }
        };
        Writer::open(store, Settings::default())
    });
    Ok(opened.await.expect("opening a store does not panic")?)
}

/// Forgets agents and reports that are gone for long, until the shutdown.
async fn sweep(shared: Arc<Shared>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = shared.shutdown.cancelled() => return,
        }
        shared.fleet.expire();
        shared.observed().expire(Instant::now());
    }
}

impl Running {
    /// `http://127.0.0.1:7400`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until it stops by itself, which it should not, and says why.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            served = &mut self.server => match served {
                Ok(Ok(())) => "stopped serving".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => format!("the server broke: {error}"),
            },
            () = self.shared.writer.ended() => {
                "the writer broke, see above; everything that was acknowledged is kept".to_owned()
            }
        }
    }

    /// Ends streams, finishes the requests under way within `SHUTDOWN_GRACE`, and closes the store.
    pub async fn shutdown(self) {
        self.shared.shutdown.cancel();
        self.shared.tasks.close();
        let mut server = self.server;
        let ended = async {
            self.shared.tasks.wait().await;
            // How serving ended does not matter any more.
            let _ = (&mut server).await;
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, ended).await.is_err() {
            tracing::warn!("requests were still under way at the end of the shutdown");
            server.abort();
        }
        // The sweeper looks at the same signal and never waits for anything else.
        let _ = self.sweeper.await;
        self.shared.writer.clone().close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Change;
    use crate::testing::upserts;

    fn config(data: &Path) -> Config {
        Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            store: StoreConfig::Sled(data.to_owned()),
        }
    }

    async fn refused(config: Config) -> String {
        match start(config).await {
            Ok(running) => panic!("{} was started", running.url()),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn what_was_applied_is_there_after_a_restart_on_the_same_data() {
        let folder = tempfile::tempdir().unwrap();
        for revision in 1..=3 {
            let running = start(config(folder.path())).await.unwrap();
            let writer = &running.shared.writer;
            assert_eq!(writer.state().revision(), revision - 1);
            let text =
                format!("{{kind: TargetGroup, name: g{revision}, protocol: HTTP, port: 80}}");
            let change = Change {
                upserts: upserts(&text).into_iter().map(Into::into).collect(),
                ..Change::default()
            };
            assert_eq!(writer.apply(change).await.unwrap().revision, revision);
            running.shutdown().await;
        }
    }

    #[tokio::test]
    async fn what_keeps_it_from_starting_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let running = start(config(folder.path())).await.unwrap();
        let taken = Config {
            listen: running.address,
            store: StoreConfig::Memory,
        };
        let said = refused(taken).await;
        let expected = format!(
            "cannot listen on {}: the address is in use; ",
            running.address
        );
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains("--listen"), "{said}");

        let said = refused(config(folder.path())).await;
        let expected = format!("the data directory {} is in use", folder.path().display());
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains("--data-dir"), "{said}");
        running.shutdown().await;
        start(config(folder.path())).await.unwrap().shutdown().await;
    }

    #[tokio::test]
    async fn a_writer_that_breaks_ends_the_program() {
        let mut running = start(Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            store: StoreConfig::Memory,
        })
        .await
        .unwrap();
        running.shared.writer.clone().close().await;
        let failed = tokio::time::timeout(Duration::from_secs(20), running.failed());
        let why = failed.await.unwrap();
        assert!(why.contains("the writer broke"), "{why}");
    }
}
