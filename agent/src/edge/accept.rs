//! Accepting, on one worker: in batches, so that a flood of connections does not starve those that are open.
//!
//! When descriptors run out, connections stay in the system's queue for a bounded time instead of being refused, and
//! the log says so, at most every `SAY_EVERY_SECONDS`.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::net::{TcpListener, TcpStream};

use crate::table::{ListenerId, Service};
use crate::{http, l4, live};

use super::Accepted;
use super::bind::BACKLOG;
use super::worker::Worker;

/// Connections accepted before others have their turn.
const ACCEPT_BATCH: usize = 64;

/// How long nothing is accepted after descriptors ran out.
const PAUSE: Duration = Duration::from_millis(100);

/// How often the log speaks of it.
const SAY_EVERY_SECONDS: u32 = 10;

/// One listening socket of one worker.
#[derive(Debug)]
pub struct Acceptor {
    worker: Rc<Worker>,
    socket: TcpListener,
    /// The bound address; a connection's own is asked for only if this is a wildcard.
    address: SocketAddr,
    /// Whose connections they are; a swap may give an address to another listener.
    listener: Cell<ListenerId>,
    /// See [`super::descriptors`].
    descriptor_ceiling: u64,
    said_at: Cell<Option<u32>>,
}

/// Counts a connection for as long as it is held: by its task, to the end.
#[derive(Debug)]
pub struct Open {
    worker: Rc<Worker>,
    listener: Arc<live::Listener>,
}

impl Acceptor {
    /// Registers the socket with the worker's runtime, which must be the running one.
    pub fn try_new(
        worker: Rc<Worker>,
        socket: std::net::TcpListener,
        address: SocketAddr,
        listener: ListenerId,
        descriptor_ceiling: u64,
    ) -> io::Result<Self> {
        let socket = TcpListener::from_std(socket)?;
        Ok(Self {
            worker,
            socket,
            address,
            listener: Cell::new(listener),
            descriptor_ceiling,
            said_at: Cell::new(None),
        })
    }

    /// Gives the address to a listener.
    pub fn assign(&self, listener: ListenerId) {
        self.listener.set(listener);
    }

    /// Accepts until its task is aborted.
    pub async fn run(&self) {
        loop {
            match poll_fn(|cx| self.poll_batch(cx)).await {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => {
                    self.say(&error);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Accepts what the system has in its queue, before the socket is closed: whatever the runtime knows of it. No more
    /// than fits in there: clients that go on coming must not keep the worker from all else.
    pub fn accept_queued(&self) {
        for _ in 0..=BACKLOG {
            let Ok((stream, peer)) =
                acceptfrom_with(&self.socket, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)
            else {
                return;
            };
            let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
            let (Some(peer), Ok(stream)) = (peer, TcpStream::from_std(stream.into())) else {
                continue;
            };
            if self.begin(stream, peer).is_err() {
                return;
            }
        }
    }

    /// Errors: whatever makes it senseless to go on at once.
    fn poll_batch(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..ACCEPT_BATCH {
            match ready!(self.socket.poll_accept(cx)) {
                Ok((stream, peer)) => self.begin(stream, peer)?,
                Err(error) if client_went_away(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Starts the task of one connection.
    fn begin(&self, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let in_force = self.worker.in_force();
        let Some(listener) = in_force.table.listener(self.listener.get()) else {
            return Ok(());
        };
        let counters = listener.live.counters.of(self.worker.index);
        if u64::try_from(stream.as_raw_fd()).is_ok_and(|number| number >= self.descriptor_ceiling) {
            counters.rejected_connections.add(1);
            return Err(Errno::MFILE.into());
        }
        let Ok(local) = self.local(&stream) else {
            return Ok(());
        };
        counters.connections.add(1);
        let open = Open::new(Rc::clone(&self.worker), Arc::clone(&listener.live));
        let worker = Rc::clone(&self.worker);
        let accepted = Accepted {
            stream,
            peer,
            local,
            listener: listener.id,
            open,
        };
        // The runtime catches a panic of the task: one connection's bug ends that connection.
        // Spawned as they are: another future around them would hold them twice.
        match &listener.service {
            Service::Http(_) => tokio::task::spawn_local(http::serve(worker, accepted)),
            Service::Tcp(_) => {
                tokio::task::spawn_local(l4::serve(worker, Rc::clone(&in_force), accepted))
            }
        };
        Ok(())
    }

    /// Fails if the client is gone already.
    fn local(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        if self.address.ip().is_unspecified() {
            stream.local_addr()
        } else {
            Ok(self.address)
        }
    }

    fn say(&self, error: &io::Error) {
        let now = self.worker.seconds();
        if self
            .said_at
            .get()
            .is_none_or(|said_at| now - said_at >= SAY_EVERY_SECONDS)
        {
            self.said_at.set(Some(now));
            let open_connections = self.worker.open_connections();
            tracing::error!(address = %self.address, open_connections, %error,
                "cannot accept connections: clients wait or are refused (raise the limit of open files, ulimit -n)");
        }
    }
}

/// While it waited to be accepted: accept(2) names all of these.
fn client_went_away(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM | Errno::NETDOWN)
    )
}

impl Open {
    fn new(worker: Rc<Worker>, listener: Arc<live::Listener>) -> Self {
        listener.counters.of(worker.index).active_connections.add(1);
        worker.opened();
        Self { worker, listener }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.listener
            .counters
            .of(self.worker.index)
            .active_connections
            .sub(1);
        self.worker.closed();
    }
}
