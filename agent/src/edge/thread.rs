//! One worker thread: its runtime, and the commands that reach it from the control runtime.
//!
//! Everything that touches a [`Worker`] runs here. A command is carried out whole before the next one; the table is
//! swapped only after the queues of the sockets that go away were accepted from.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::access_log;
use crate::table::{ListenerId, Table};

use super::accept::Acceptor;
use super::slot::TICK;
use super::worker::Worker;

/// Commands that may wait for one worker.
pub const COMMANDS: usize = 16;

/// What the control runtime asks of a worker.
#[derive(Debug)]
pub enum Command {
    /// Put a table in force, with the sockets that it needs and this worker does not have.
    Swap {
        /// The table.
        table: Arc<Table>,
        /// New sockets, already listening.
        sockets: Vec<(SocketAddr, TcpListener)>,
        /// Told when it is in force.
        done: oneshot::Sender<()>,
    },
    /// Accept nothing more and finish what is under way.
    Drain {
        /// Told when the last connection has ended.
        done: oneshot::Sender<()>,
    },
    /// End the thread; what is still open is closed.
    End,
}

/// What a worker thread is started with.
#[derive(Debug)]
pub struct Seed {
    /// Its number.
    pub index: usize,
    /// Its end of the access log.
    pub access_log: access_log::Writer,
    /// See [`super::descriptors`].
    pub descriptor_ceiling: u64,
    /// What it is told.
    pub commands: mpsc::Receiver<Command>,
    /// Every connection is to look around.
    pub wake_all: Arc<Notify>,
    /// Told why, if the thread cannot go on.
    pub failures: mpsc::Sender<String>,
}

/// The state of the thread beside its connections.
struct Thread {
    worker: Rc<Worker>,
    acceptors: HashMap<SocketAddr, (Rc<Acceptor>, JoinHandle<()>)>,
    descriptor_ceiling: u64,
    failures: mpsc::Sender<String>,
}

/// Reports a panic of the task that holds it.
struct Supervised {
    worker: usize,
    failures: mpsc::Sender<String>,
}

/// Runs a worker until its commands end. What is still open then is closed.
pub fn run(seed: Seed) {
    let supervised = Supervised {
        worker: seed.index,
        failures: seed.failures.clone(),
    };
    match Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
    {
        Ok(runtime) => runtime.block_on(serve(seed)),
        Err(error) => supervised.report(&format!("cannot start: {error}")),
    }
}

async fn serve(seed: Seed) {
    let Seed {
        index,
        access_log,
        descriptor_ceiling,
        mut commands,
        wake_all,
        failures,
    } = seed;
    let worker = Worker::new(index, Arc::default(), access_log);
    let mut thread = Thread {
        worker,
        acceptors: HashMap::new(),
        descriptor_ceiling,
        failures,
    };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::End) | None => return,
                Some(Command::Swap { table, sockets, done }) => {
                    thread.swap(table, sockets).await;
                    // Nobody waits any more if the control runtime has ended.
                    let _ = done.send(());
                }
                Some(Command::Drain { done }) => thread.drain(done).await,
            },
            () = wake_all.notified() => thread.worker.wake_all(),
            _ = ticks.tick() => thread.worker.tick(),
        }
    }
}

impl Thread {
    async fn drain(&mut self, done: oneshot::Sender<()>) {
        self.close(|_| true).await;
        self.worker.drain();
        let worker = Rc::clone(&self.worker);
        tokio::task::spawn_local(async move {
            worker.all_closed().await;
            let _ = done.send(());
        });
    }

    async fn swap(&mut self, table: Arc<Table>, sockets: Vec<(SocketAddr, TcpListener)>) {
        let listeners = listeners_by_address(&table);
        self.close(|address| !listeners.contains_key(address)).await;
        self.worker.swap(table);
        for (address, (acceptor, _)) in &self.acceptors {
            acceptor.assign(listeners[address]);
        }
        for (address, socket) in sockets {
            self.open(address, socket, listeners[&address]);
        }
    }

    fn open(&mut self, address: SocketAddr, socket: TcpListener, listener: ListenerId) {
        let worker = Rc::clone(&self.worker);
        let acceptor =
            match Acceptor::try_new(worker, socket, address, listener, self.descriptor_ceiling) {
                Ok(acceptor) => Rc::new(acceptor),
                Err(error) => {
                    return self
                        .supervised()
                        .report(&format!("cannot watch {address}: {error}"));
                }
            };
        let (running, supervised) = (Rc::clone(&acceptor), self.supervised());
        let task = tokio::task::spawn_local(async move {
            let _supervised = supervised;
            running.run().await;
        });
        self.acceptors.insert(address, (acceptor, task));
    }

    /// Closes the sockets that are not wanted, after accepting what is in their queues.
    async fn close(&mut self, unwanted: impl Fn(&SocketAddr) -> bool) {
        let closing: Vec<_> = self
            .acceptors
            .extract_if(|address, _| unwanted(address))
            .collect();
        for (_, (acceptor, task)) in closing {
            task.abort();
            // Its share of the socket is gone once it has ended.
            let _ = task.await;
            acceptor.accept_queued();
        }
    }

    fn supervised(&self) -> Supervised {
        Supervised {
            worker: self.worker.index,
            failures: self.failures.clone(),
        }
    }
}

fn listeners_by_address(table: &Table) -> HashMap<SocketAddr, ListenerId> {
    let listeners = table.listeners.iter().flatten();
    listeners
        .flat_map(|listener| {
            listener
                .addresses
                .iter()
                .map(|address| (*address, listener.id))
        })
        .collect()
}

impl Supervised {
    fn report(&self, what: &str) {
        // One report is enough: the process ends with the first.
        let _ = self
            .failures
            .try_send(format!("worker {}: {what}", self.worker));
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report("panicked outside a connection");
        }
    }
}
