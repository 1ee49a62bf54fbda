//! Everything between the table and the connections: threads, sockets that listen, accepting, deadlines, draining.
//!
//! [`Edge::prepare`] binds what a table needs and changes nothing that serves; [`Edge::commit`] puts it in force on
//! every worker. What happens on a connection belongs to [`http`](crate::http) and [`l4`](crate::l4).
//!
//! Invariant: a table that was committed is in force on every worker when [`Edge::commit`] returns.

pub mod accept;
pub mod bind;
pub mod clock;
pub mod descriptors;
pub mod slot;
pub mod thread;
pub mod worker;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};

pub use accept::Open;
pub use slot::Slot;
pub use worker::{InForce, SCRATCH_BYTES, Worker};

use crate::access_log;
use crate::table::{Listener, ListenerId, Table};

use bind::Bound;
use thread::{COMMANDS, Command, Seed};

/// A client's connection, as accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection; TCP_NODELAY is on.
    pub stream: TcpStream,
    /// The client.
    pub peer: SocketAddr,
    /// The address that the client contacted.
    pub local: SocketAddr,
    /// The listener that it belongs to.
    pub listener: ListenerId,
    /// Counts it as open until dropped.
    pub open: Open,
}

/// The worker threads and the sockets that they listen on.
#[derive(Debug)]
pub struct Edge {
    workers: Vec<Handle>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    bound: Mutex<BTreeSet<SocketAddr>>,
    failures: tokio::sync::Mutex<mpsc::Receiver<String>>,
    said_no_ipv6: AtomicBool,
}

#[derive(Debug)]
struct Handle {
    commands: mpsc::Sender<Command>,
    wake_all: Arc<Notify>,
}

/// Sockets that a table needs and no worker has yet, listening.
#[derive(Debug)]
pub struct Prepared(Vec<Bound>);

/// Why a listener cannot be served on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `loadBalancer/listener`.
    pub listener: Arc<str>,
    /// What is wrong, with the address.
    pub message: String,
}

impl Edge {
    /// Starts `workers` threads, which serve nothing until the first commit. `access_log` makes one writer each.
    ///
    /// Errors: the system gives no thread.
    pub fn start(
        workers: usize,
        access_log: impl Fn(usize) -> access_log::Writer,
    ) -> io::Result<Self> {
        let descriptor_ceiling = descriptors::raise_limit();
        let (failures, failed) = mpsc::channel(1);
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for index in 0..workers {
            let (commands, receiver) = mpsc::channel(COMMANDS);
            let wake_all = Arc::new(Notify::new());
            let seed = Seed {
                index,
                access_log: access_log(index),
                descriptor_ceiling,
                commands: receiver,
                wake_all: Arc::clone(&wake_all),
                failures: failures.clone(),
            };
            threads.push(
                std::thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn(|| thread::run(seed))?,
            );
            handles.push(Handle { commands, wake_all });
        }
        Ok(Self {
            workers: handles,
            threads: Mutex::new(threads),
            bound: Mutex::default(),
            failures: tokio::sync::Mutex::new(failed),
            said_no_ipv6: AtomicBool::new(false),
        })
    }

    /// Number of workers: of shards that `live` counters need.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Binds what `table` needs and is not bound yet. Nothing that serves changes, whatever comes of it.
    pub fn prepare(&self, table: &Table) -> Result<Prepared, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut bound = Vec::new();
        for (listener, address) in self.missing(table) {
            match self.bind(listener, address) {
                Ok(sockets) => bound.extend(sockets.map(|sockets| (listener, sockets))),
                Err(error) => problems.push(Problem::new(listener, address, &error)),
            }
        }
        if problems.is_empty() {
            let refused = bound.iter().filter_map(|(listener, sockets)| {
                sockets
                    .listen()
                    .err()
                    .map(|error| Problem::new(listener, sockets.address, &error))
            });
            problems = refused.collect();
        }
        match problems.is_empty() {
            true => Ok(Prepared(
                bound.into_iter().map(|(_, sockets)| sockets).collect(),
            )),
            false => Err(problems),
        }
    }

    /// Puts `table` in force: every worker has swapped and accepts on its sockets when this returns.
    pub async fn commit(&self, table: Arc<Table>, prepared: Prepared) {
        let wanted: BTreeSet<_> = addresses(&table).map(|(_, address)| address).collect();
        {
            let mut bound = self.bound();
            bound.retain(|address| wanted.contains(address));
            bound.extend(prepared.0.iter().map(|sockets| sockets.address));
        }
        let mut shares: Vec<_> = self.workers.iter().map(|_| Vec::new()).collect();
        for sockets in prepared.0 {
            let address = sockets.address;
            for (share, listener) in shares.iter_mut().zip(sockets.into_listeners()) {
                share.push((address, listener));
            }
        }
        let mut shares = shares.into_iter();
        self.tell_all(|done| Command::Swap {
            table: Arc::clone(&table),
            sockets: shares.next().unwrap_or_default(),
            done,
        })
        .await;
    }

    /// Wakes every connection: a target was cut, say.
    pub fn wake_all(&self) {
        for worker in &self.workers {
            worker.wake_all.notify_one();
        }
    }

    /// Why a worker could not go on; waits for as long as all of them do.
    pub async fn failed(&self) -> String {
        match self.failures.lock().await.recv().await {
            Some(why) => why,
            // The threads were told to end.
            None => std::future::pending().await,
        }
    }

    /// Accepts nothing more, lets connections finish for up to `timeout`, and ends the threads.
    ///
    /// Says whether all had finished.
    pub async fn drain(&self, timeout: Duration) -> bool {
        let drained = self.tell_all(|done| Command::Drain { done });
        let finished = tokio::time::timeout(timeout, drained).await.is_ok();
        for worker in &self.workers {
            // Fails only if the thread has ended.
            let _ = worker.commands.send(Command::End).await;
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A thread that panicked was reported by `failed`.
        let _ = tokio::task::spawn_blocking(|| threads.into_iter().try_for_each(JoinHandle::join))
            .await;
        finished
    }

    /// Tells every worker, then waits for each to be done. A worker that has ended is passed over.
    async fn tell_all(&self, mut command: impl FnMut(oneshot::Sender<()>) -> Command) {
        let mut waiting = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, told) = oneshot::channel();
            if worker.commands.send(command(done)).await.is_ok() {
                waiting.push(told);
            }
        }
        for told in waiting {
            let _ = told.await;
        }
    }

    fn missing<'t>(&self, table: &'t Table) -> Vec<(&'t Listener, SocketAddr)> {
        let bound = self.bound();
        addresses(table)
            .filter(|(_, address)| !bound.contains(address))
            .collect()
    }

    /// None = the host has no IPv6, and the listener has other addresses.
    fn bind(&self, listener: &Listener, address: SocketAddr) -> io::Result<Option<Bound>> {
        let beside_own = self.bound().iter().any(|own| bind::overlap(*own, address));
        match Bound::bind(address, self.workers.len(), beside_own) {
            Err(error) if listener.addresses.len() > 1 && bind::lacks_ipv6(address, &error) => {
                if !self.said_no_ipv6.swap(true, Ordering::Relaxed) {
                    tracing::warn!(listener = %listener.name, %address, "this host has no IPv6: listening on IPv4 only");
                }
                Ok(None)
            }
            bound => bound.map(Some),
        }
    }

    fn bound(&self) -> MutexGuard<'_, BTreeSet<SocketAddr>> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Problem {
    fn new(listener: &Listener, address: SocketAddr, error: &io::Error) -> Self {
        Self {
            listener: Arc::clone(&listener.name),
            message: bind::explain(address, error),
        }
    }
}

fn addresses(table: &Table) -> impl Iterator<Item = (&Listener, SocketAddr)> {
    let listeners = table.listeners.iter().flatten();
    listeners.flat_map(|listener| {
        listener
            .addresses
            .iter()
            .map(|address| (&**listener, *address))
    })
}

#[cfg(test)]
mod tests;
