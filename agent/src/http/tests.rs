//! The engine over real sockets on loopback, raw bytes on both sides: a [`Rig`] is one worker with one HTTP listener,
//! whose client is a socket and whose target is a listener that the test answers for by hand.

mod bodies;
mod connections;
mod heads;
mod hostile;
mod responses;
mod targets;
mod timeouts;
mod torture;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::time::timeout;

use crate::access_log;
use crate::edge::Worker;
use crate::edge::accept::Acceptor;
use crate::live::{self, Shards};
use crate::table::{
    Action, FixedResponse, Forward, Group, GroupId, HttpService, Listener, ListenerId, Redirect,
    Router, Service, Table, TemplatePart, XForwardedFor, testing,
};

const DEADLINE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(60);
const GROUP: GroupId = GroupId(0);
const LISTENER: ListenerId = ListenerId(0);

/// `GET /` as clients send it, and the start of what the target gets for it.
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A response that lets the connection go on.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One worker that serves one listener.
struct Rig {
    worker: Rc<Worker>,
    listener: Arc<Listener>,
    group: Arc<Group>,
    address: SocketAddr,
    /// The worker's clock, which only [`Rig::advance`] moves.
    now: Cell<Duration>,
    target: TcpListener,
}

/// What a listener is like, but for its addresses.
struct Settings {
    action: Action,
    idle_timeout: Duration,
    client_keep_alive: Duration,
    drop_invalid_header_fields: bool,
    preserve_host_header: bool,
    x_forwarded_for: XForwardedFor,
    targets: Vec<SocketAddr>,
    access_log: access_log::Writer,
}

/// A socket that a test speaks through by hand.
struct Peer(TcpStream);

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async { timeout(DEADLINE, test).await.expect("the test's deadline") });
}

fn forward() -> Action {
    Action::Forward(Forward {
        groups: [(GROUP, 1)].into(),
        total_weight: 1,
    })
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            action: forward(),
            idle_timeout: IDLE,
            client_keep_alive: Duration::from_secs(3600),
            drop_invalid_header_fields: false,
            preserve_host_header: false,
            x_forwarded_for: XForwardedFor::Append { client_port: false },
            targets: Vec::new(),
            access_log: access_log::Writer::default(),
        }
    }
}

impl Rig {
    async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The rig's own target comes before the others.
    async fn start_with(settings: Settings) -> Self {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut addresses = vec![target.local_addr().unwrap()];
        addresses.extend(&settings.targets);
        Self::start_at(settings, target, &addresses).await
    }

    async fn start_at(
        mut settings: Settings,
        target: TcpListener,
        addresses: &[SocketAddr],
    ) -> Self {
        let access_log = std::mem::take(&mut settings.access_log);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let (listener, group) = (listener(address, settings), group(addresses));
        let worker = Worker::new(0, table(Some(&listener), &group), access_log);
        let acceptor =
            Acceptor::try_new(Rc::clone(&worker), socket, address, LISTENER, u64::MAX).unwrap();
        tokio::task::spawn_local(async move { acceptor.run().await });
        Self {
            worker,
            listener,
            group,
            address,
            now: Cell::new(Duration::ZERO),
            target,
        }
    }

    async fn client(&self) -> Peer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(stream)
    }

    async fn target(&self) -> Peer {
        let (stream, _) = self.target.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        Peer(stream)
    }

    /// A client and a target between which a request was sent; the target has read its head.
    async fn exchange(&self, request: &str) -> (Peer, Peer) {
        let mut client = self.client().await;
        client.send(request).await;
        let mut target = self.target().await;
        target.head().await;
        (client, target)
    }

    /// Lets time pass, and a tick at its end.
    fn advance(&self, seconds: f64) {
        self.now
            .set(self.now.get() + Duration::from_secs_f64(seconds));
        self.worker.tick_at(self.now.get());
    }

    fn counters(&self) -> &live::ListenerCounters {
        self.listener.live.counters.of(0)
    }

    fn group_counters(&self) -> &live::GroupCounters {
        self.group.live.counters.of(0)
    }

    fn made(&self, status: u16) -> u64 {
        let place = live::MADE_STATUSES
            .iter()
            .position(|made| *made == status)
            .unwrap();
        self.counters().made[place].value()
    }
}

impl Peer {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Until the end of a head; panics if the stream ends before.
    async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    async fn until(&mut self, end: &str) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            match self.0.read_u8().await {
                Ok(byte) => read.push(byte),
                Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&read)),
            }
        }
        String::from_utf8(read).unwrap()
    }

    async fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let expected = bytes.as_ref();
        let mut read = vec![0; expected.len()];
        if let Err(error) = self.0.read_exact(&mut read).await {
            panic!("{error} instead of {}", expected.escape_ascii());
        }
        assert_eq!(
            read.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    /// Everything up to the end of the stream.
    async fn rest(&mut self) -> String {
        let mut read = Vec::new();
        self.0.read_to_end(&mut read).await.unwrap();
        String::from_utf8(read).unwrap()
    }

    /// The stream ends with nothing more.
    async fn expect_end(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    /// The stream ends, in order or by a reset (bytes of ours that nobody read).
    async fn expect_closed(&mut self) {
        let read = self.0.read(&mut [0]).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }

    /// A response of ours with a body: its head.
    async fn expect_made(&mut self, status: u16) -> String {
        let head = self.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let length = head
            .split_once("Content-Length: ")
            .unwrap()
            .1
            .split_once("\r\n")
            .unwrap()
            .0;
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        head
    }

    /// Nothing has arrived by now, and the stream is open.
    fn is_silent(&self) -> bool {
        super::pool::is_silent(&self.0)
    }

    fn close(self) {
        drop(self.0);
    }

    fn reset(self) {
        self.0.set_zero_linger().unwrap();
    }
}

/// Waits until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until so many connections are served, all of them waiting.
async fn settled(rig: &Rig, connections: usize) {
    until(|| rig.worker.open_connections() == connections).await;
    // Tasks that were woken run before this one does again.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

fn group(addresses: &[SocketAddr]) -> Arc<Group> {
    let targets = (0..).zip(addresses);
    let targets: Vec<_> = targets
        .map(|(id, address)| testing::healthy(id, *address))
        .collect();
    Arc::new(testing::scheduled(GROUP.0, &targets))
}

fn listener(address: SocketAddr, settings: Settings) -> Arc<Listener> {
    let name: Arc<str> = "edge/http".into();
    Arc::new(Listener {
        id: LISTENER,
        name: Arc::clone(&name),
        load_balancer: "edge".into(),
        addresses: [address].into(),
        port: address.port(),
        service: Service::Http(Box::new(HttpService {
            router: router(settings.action),
            idle_timeout: settings.idle_timeout,
            client_keep_alive: settings.client_keep_alive,
            drop_invalid_header_fields: settings.drop_invalid_header_fields,
            preserve_host_header: settings.preserve_host_header,
            x_forwarded_for: settings.x_forwarded_for,
        })),
        live: Arc::new(live::Listener {
            name,
            counters: Shards::new(1),
        }),
    })
}

/// The one place that knows how a router without rules is made.
fn router(default: Action) -> Arc<Router> {
    Arc::new(Router {
        default,
        rules: Arc::default(),
    })
}

fn table(listener: Option<&Arc<Listener>>, group: &Arc<Group>) -> Arc<Table> {
    Arc::new(Table {
        revision: 1,
        listeners: vec![listener.cloned()],
        groups: vec![Some(Arc::clone(group))],
    })
}
