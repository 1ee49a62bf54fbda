//! Tables put in force on real workers, with clients and targets on loopback.

use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::live::{self, Shards};
use crate::table::{Algorithm, Forward, Group, GroupId, Service, TcpService, testing};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
const WORKERS: usize = 2;

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A target that sends back what it receives, and its name first.
async fn echo(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(name.as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

fn group(id: u32, targets: &[SocketAddr]) -> Arc<Group> {
    let targets: Vec<_> = (0..).zip(targets).collect();
    let targets: Vec<_> = targets
        .into_iter()
        .map(|(id, address)| testing::healthy(id, *address))
        .collect();
    let name: Arc<str> = format!("group-{id}").into();
    Arc::new(Group {
        name: Arc::clone(&name),
        algorithm: Algorithm::FlowHash,
        live: Arc::new(live::Group {
            name,
            counters: Shards::new(WORKERS),
            cursor: AtomicUsize::new(0),
        }),
        ..testing::scheduled(id, &targets)
    })
}

fn listener(id: u32, address: SocketAddr, group: u32) -> Arc<Listener> {
    let name: Arc<str> = format!("edge/listener-{id}").into();
    let forward = Forward {
        groups: [(GroupId(group), 1)].into(),
        total_weight: 1,
    };
    Arc::new(Listener {
        id: ListenerId(id),
        name: Arc::clone(&name),
        load_balancer: "edge".into(),
        addresses: [address].into(),
        port: address.port(),
        service: Service::Tcp(TcpService {
            forward,
            idle_timeout: Duration::from_secs(350),
        }),
        live: Arc::new(live::Listener {
            name,
            counters: Shards::new(WORKERS),
        }),
    })
}

fn table(revision: u64, listeners: &[&Arc<Listener>], groups: &[&Arc<Group>]) -> Arc<Table> {
    let mut table = Table {
        revision,
        listeners: vec![None; 8],
        groups: vec![None; 8],
    };
    for listener in listeners {
        table.listeners[listener.id.0 as usize] = Some(Arc::clone(listener));
    }
    for group in groups {
        table.groups[group.id.0 as usize] = Some(Arc::clone(group));
    }
    Arc::new(table)
}

fn start() -> Edge {
    Edge::start(WORKERS, |_| access_log::Writer::default()).unwrap()
}

async fn put_in_force(edge: &Edge, table: &Arc<Table>) {
    let prepared = edge.prepare(table).unwrap();
    edge.commit(Arc::clone(table), prepared).await;
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    timeout(DEADLINE, stream.read_exact(&mut read))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&read),
        String::from_utf8_lossy(bytes)
    );
}

/// A connection that has reached the target with this name.
async fn connect(address: SocketAddr, name: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    expect(&mut stream, name.as_bytes()).await;
    stream
}

async fn ping(stream: &mut TcpStream) {
    stream.write_all(b"ping").await.unwrap();
    expect(stream, b"ping").await;
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let read = timeout(DEADLINE, stream.read(&mut [0; 16])).await.unwrap();
    read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn a_table_in_force_serves_at_once_on_every_worker() {
    let (edge, address) = (start(), free_address());
    let (listener, group) = (listener(0, address, 0), group(0, &[echo("a").await]));
    put_in_force(&edge, &table(1, &[&listener], &[&group])).await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(connect(address, "a").await);
    }
    for stream in &mut streams {
        ping(stream).await;
    }
    for worker in 0..WORKERS {
        let counters = listener.live.counters.of(worker);
        assert!(
            counters.connections.value() > 0,
            "worker {worker} took none of 64 connections"
        );
        assert_eq!(
            counters.connections.value(),
            counters.active_connections.value()
        );
    }
    assert_eq!(group.live.counters.sum(|counters| &counters.requests), 64);
    drop(streams);
    assert!(edge.drain(DEADLINE).await);
    assert_eq!(
        listener
            .live
            .counters
            .sum(|counters| &counters.active_connections),
        0
    );
    assert_eq!(
        listener.live.counters.sum(|counters| &counters.sent_bytes),
        64 * 5
    );
}

#[tokio::test]
async fn every_address_that_cannot_be_bound_is_reported_and_nothing_changes() {
    let (edge, kept, new) = (start(), free_address(), free_address());
    let group = group(0, &[echo("a").await]);
    let serving = listener(0, kept, 0);
    put_in_force(&edge, &table(1, &[&serving], &[&group])).await;
    let others = [
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let taken = [&others[0], &others[1]].map(|other| other.local_addr().unwrap());
    let bad = [
        listener(1, taken[0], 0),
        listener(2, new, 0),
        listener(3, taken[1], 0),
    ];
    let problems = edge
        .prepare(&table(2, &[&bad[0], &bad[1], &bad[2]], &[&group]))
        .unwrap_err();
    let names: Vec<_> = problems.iter().map(|problem| &*problem.listener).collect();
    assert_eq!(names, ["edge/listener-1", "edge/listener-3"]);
    assert!(
        problems[0].message.contains("address in use"),
        "{}",
        problems[0].message
    );
    assert!(
        TcpStream::connect(new).await.is_err(),
        "the good address of a refused table is not opened"
    );
    ping(&mut connect(kept, "a").await).await;
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn a_removed_listener_leaves_all_connections_untouched() {
    let (edge, kept, removed) = (start(), free_address(), free_address());
    let group = group(0, &[echo("a").await]);
    let (first, second) = (listener(0, kept, 0), listener(1, removed, 0));
    put_in_force(&edge, &table(1, &[&first, &second], &[&group])).await;
    let (mut on_kept, mut on_removed) = (connect(kept, "a").await, connect(removed, "a").await);
    put_in_force(&edge, &table(2, &[&first], &[&group])).await;
    assert!(
        TcpStream::connect(removed).await.is_err(),
        "nobody listens there any more"
    );
    ping(&mut on_kept).await;
    ping(&mut on_removed).await;
    ping(&mut connect(kept, "a").await).await;
    // And back again, while a relay of the old listener still holds the port.
    put_in_force(&edge, &table(3, &[&first, &second], &[&group])).await;
    ping(&mut connect(removed, "a").await).await;
    drop((on_kept, on_removed));
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn an_address_can_pass_from_one_listener_to_another() {
    let (edge, address) = (start(), free_address());
    let (a, b) = (group(0, &[echo("a").await]), group(1, &[echo("b").await]));
    put_in_force(&edge, &table(1, &[&listener(0, address, 0)], &[&a, &b])).await;
    let mut before = connect(address, "a").await;
    put_in_force(&edge, &table(2, &[&listener(1, address, 1)], &[&a, &b])).await;
    for _ in 0..16 {
        connect(address, "b").await;
    }
    ping(&mut before).await;
    drop(before);
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn a_single_address_may_follow_a_wildcard_on_the_same_port() {
    let (edge, single) = (start(), free_address());
    let wildcard = SocketAddr::from(([0, 0, 0, 0], single.port()));
    let group = group(0, &[echo("a").await]);
    put_in_force(&edge, &table(1, &[&listener(0, wildcard, 0)], &[&group])).await;
    connect(single, "a").await;
    put_in_force(&edge, &table(2, &[&listener(0, single, 0)], &[&group])).await;
    connect(single, "a").await;
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn a_target_that_refuses_is_passed_over() {
    let (edge, address) = (start(), free_address());
    let group = group(0, &[free_address(), echo("a").await]);
    put_in_force(&edge, &table(1, &[&listener(0, address, 0)], &[&group])).await;
    for _ in 0..32 {
        ping(&mut connect(address, "a").await).await;
    }
    assert!(
        group
            .live
            .counters
            .sum(|counters| &counters.connection_errors)
            > 0
    );
    assert!(edge.drain(DEADLINE).await);
}

#[tokio::test]
async fn a_client_that_no_target_answers_is_reset() {
    let (edge, addresses) = (start(), [free_address(), free_address()]);
    let listeners = [listener(0, addresses[0], 0), listener(1, addresses[1], 1)];
    let (refusing, empty) = (group(0, &[free_address()]), group(1, &[]));
    put_in_force(
        &edge,
        &table(1, &[&listeners[0], &listeners[1]], &[&refusing, &empty]),
    )
    .await;
    for address in addresses {
        // The reset may be there before the connection is looked at.
        match TcpStream::connect(address).await {
            Ok(mut stream) => assert!(is_reset(&mut stream).await),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
        }
    }
    assert_eq!(
        refusing
            .live
            .counters
            .sum(|counters| &counters.connection_errors),
        1
    );
    assert_eq!(empty.live.counters.sum(|counters| &counters.no_target), 1);
    assert!(edge.drain(DEADLINE).await);
    for listener in listeners {
        assert_eq!(
            listener.live.counters.sum(|counters| &counters.resets[2]),
            1
        );
    }
}

#[tokio::test]
async fn a_cut_target_loses_its_connections_and_no_other_does() {
    let (edge, addresses) = (start(), [free_address(), free_address()]);
    let (a, b) = (group(0, &[echo("a").await]), group(1, &[echo("b").await]));
    let listeners = [listener(0, addresses[0], 0), listener(1, addresses[1], 1)];
    put_in_force(&edge, &table(1, &[&listeners[0], &listeners[1]], &[&a, &b])).await;
    let (mut on_a, mut on_b) = (
        connect(addresses[0], "a").await,
        connect(addresses[1], "b").await,
    );
    assert_eq!(a.pool.members[0].0.in_flight.load(Ordering::Relaxed), 1);
    a.pool.members[0].0.cut.store(true, Ordering::Relaxed);
    edge.wake_all();
    assert!(is_reset(&mut on_a).await);
    ping(&mut on_b).await;
    drop(on_b);
    assert!(edge.drain(DEADLINE).await);
    assert_eq!(a.pool.members[0].0.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn draining_waits_for_connections_and_takes_no_new_ones() {
    let (edge, address) = (Arc::new(start()), free_address());
    let group = group(0, &[echo("a").await]);
    put_in_force(&edge, &table(1, &[&listener(0, address, 0)], &[&group])).await;
    let mut open = connect(address, "a").await;
    let draining = tokio::spawn({
        let edge = Arc::clone(&edge);
        async move { edge.drain(DEADLINE).await }
    });
    timeout(DEADLINE, async {
        while TcpStream::connect(address).await.is_ok() {}
    })
    .await
    .unwrap();
    ping(&mut open).await;
    assert!(!draining.is_finished());
    drop(open);
    assert!(timeout(DEADLINE, draining).await.unwrap().unwrap());
}

#[tokio::test]
async fn draining_ends_connections_that_take_too_long() {
    let (edge, address) = (start(), free_address());
    let group = group(0, &[echo("a").await]);
    put_in_force(&edge, &table(1, &[&listener(0, address, 0)], &[&group])).await;
    let mut open = connect(address, "a").await;
    assert!(!edge.drain(Duration::from_millis(50)).await);
    let read = timeout(DEADLINE, open.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "it is closed");
}

#[test]
fn a_connection_that_relays_is_small() {
    fn size<F>(_: impl Fn(std::rc::Rc<Worker>, std::rc::Rc<InForce>, Accepted) -> F) -> usize {
        size_of::<F>()
    }
    assert!(
        size(crate::l4::serve) <= 640,
        "{} bytes",
        size(crate::l4::serve)
    );
}

#[tokio::test]
async fn connections_are_shed_before_the_last_descriptor_is_taken() {
    let (address, group) = (free_address(), group(0, &[echo("a").await]));
    let listener = listener(0, address, 0);
    let table = table(1, &[&listener], &[&group]);
    let worker_table = Arc::clone(&table);
    let (stop, stopped) = oneshot::channel();
    let serving = std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder
            .enable_all()
            .build_local(Default::default())
            .unwrap();
        runtime.block_on(async {
            let worker = Worker::new(0, worker_table, access_log::Writer::default());
            let socket = std::net::TcpListener::bind(address).unwrap();
            socket.set_nonblocking(true).unwrap();
            let acceptor = accept::Acceptor::try_new(worker, socket, address, ListenerId(0), 0);
            let acceptor = acceptor.unwrap();
            tokio::select! {
                () = acceptor.run() => unreachable!("it accepts until it is told to stop"),
                _ = stopped => {}
            }
        });
    });
    let shed = timeout(DEADLINE, async {
        loop {
            if let Ok(mut stream) = TcpStream::connect(address).await {
                return stream.read(&mut [0; 16]).await;
            }
        }
    });
    assert!(
        matches!(shed.await.unwrap(), Ok(0) | Err(_)),
        "it is closed"
    );
    stop.send(()).unwrap();
    serving.join().unwrap();
    let counters = listener.live.counters.of(0);
    assert_eq!(
        (
            counters.rejected_connections.value(),
            counters.connections.value()
        ),
        (1, 0)
    );
}
