//! Relays between real sockets on loopback: what one end sends is what the other receives, and so is how it ends.

use std::future::Future;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::access_log;
use crate::table::{ListenerId, testing};

use super::*;

const DEADLINE: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(350);
const BULK_BYTES: usize = 50 * 1024 * 1024;

/// A relay under way, and the far ends of its two connections.
struct Rig {
    worker: Rc<Worker>,
    parties: Parties,
    client: TcpStream,
    target: TcpStream,
    relay: JoinHandle<End>,
}

fn run(test: impl Future<Output = ()>) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build_local(LocalOptions::default())
        .unwrap();
    runtime.block_on(async { timeout(DEADLINE, test).await.expect("the test's deadline") });
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    (far, listener.accept().await.unwrap().0)
}

fn parties() -> Parties {
    let listener = live::Listener {
        name: "edge/tcp".into(),
        counters: live::Shards::new(1),
    };
    Parties {
        listener: Arc::new(listener),
        target: testing::healthy(0, ([127, 0, 0, 1], 1).into()),
    }
}

impl Rig {
    async fn start(idle: Duration) -> Self {
        Self::start_with(idle, Leftovers::default()).await
    }

    async fn start_with(idle: Duration, leftovers: Leftovers) -> Self {
        let ((client, near_client), (target, near_target)) = (pair().await, pair().await);
        let worker = Worker::new(0, Arc::default(), access_log::Writer::default());
        let ticking = Rc::clone(&worker);
        tokio::task::spawn_local(async move {
            let mut ticks = interval(crate::edge::slot::TICK);
            loop {
                ticks.tick().await;
                ticking.tick();
            }
        });
        let (parties, slot) = (parties(), worker.connection(ListenerId(0)));
        let shared = Parties {
            listener: Arc::clone(&parties.listener),
            target: Arc::clone(&parties.target),
        };
        let relay = Relay::new(
            Rc::clone(&worker),
            slot,
            shared,
            near_client,
            near_target,
            leftovers,
            idle,
        );
        Self {
            worker,
            parties,
            client,
            target,
            relay: tokio::task::spawn_local(relay),
        }
    }
}

/// Bytes that show where they are from: a block out of place is seen.
fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u64(..).to_ne_bytes())
        .flatten()
        .take(bytes)
        .collect()
}

async fn received(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn read_error(stream: &mut TcpStream) -> io::ErrorKind {
    loop {
        match stream.read(&mut [0; 4096]).await {
            Ok(0) => panic!("an orderly end instead of a reset"),
            Ok(_) => {}
            Err(error) => return error.kind(),
        }
    }
}

/// Writes until nothing more is taken.
async fn fill(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    let mut written = 0;
    while let Ok(more) = timeout(Duration::from_millis(500), stream.write(&bytes[written..])).await
    {
        written += more.unwrap();
    }
    written
}

#[test]
fn bytes_go_both_ways_and_are_counted() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        for round in 0..3u8 {
            rig.client.write_all(&[round; 64]).await.unwrap();
            let mut there = [0; 64];
            rig.target.read_exact(&mut there).await.unwrap();
            assert_eq!(there, [round; 64]);
            rig.target.write_all(&[round + 100; 32]).await.unwrap();
            let mut back = [0; 32];
            rig.client.read_exact(&mut back).await.unwrap();
            assert_eq!(back, [round + 100; 32]);
        }
        drop((rig.client, rig.target));
        let end = rig.relay.await.unwrap();
        assert_eq!(
            end,
            End {
                received_bytes: 192,
                sent_bytes: 96,
                cause: Cause::Done
            }
        );
        let counters = rig.parties.listener.counters.of(0);
        assert_eq!(
            (counters.received_bytes.value(), counters.sent_bytes.value()),
            (192, 96)
        );
    });
}

#[test]
fn bytes_that_were_read_before_go_first() {
    run(async {
        let leftovers = Leftovers {
            to_target: b"early ".to_vec(),
            to_client: b"101 ".to_vec(),
        };
        let mut rig = Rig::start_with(LONG, leftovers).await;
        rig.client.write_all(b"late").await.unwrap();
        rig.client.shutdown().await.unwrap();
        assert_eq!(received(&mut rig.target).await, b"early late");
        rig.target.write_all(b"answer").await.unwrap();
        rig.target.shutdown().await.unwrap();
        assert_eq!(received(&mut rig.client).await, b"101 answer");
        assert_eq!(
            rig.relay.await.unwrap(),
            End {
                received_bytes: 10,
                sent_bytes: 10,
                cause: Cause::Done
            }
        );
    });
}

#[test]
fn the_end_of_the_clients_stream_leaves_the_other_way_open() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        rig.client.write_all(b"question").await.unwrap();
        rig.client.shutdown().await.unwrap();
        assert_eq!(received(&mut rig.target).await, b"question");
        rig.target.write_all(b"answer").await.unwrap();
        drop(rig.target);
        assert_eq!(received(&mut rig.client).await, b"answer");
        assert_eq!(rig.relay.await.unwrap().cause, Cause::Done);
    });
}

#[test]
fn the_end_of_the_targets_stream_leaves_the_other_way_open() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        rig.target.write_all(b"greeting").await.unwrap();
        rig.target.shutdown().await.unwrap();
        assert_eq!(received(&mut rig.client).await, b"greeting");
        rig.client.write_all(b"upload").await.unwrap();
        drop(rig.client);
        assert_eq!(received(&mut rig.target).await, b"upload");
        assert_eq!(rig.relay.await.unwrap().cause, Cause::Done);
    });
}

#[test]
fn a_reset_by_the_client_resets_the_target() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        rig.client.set_zero_linger().unwrap();
        drop(rig.client);
        assert_eq!(
            read_error(&mut rig.target).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(rig.relay.await.unwrap().cause, Cause::ClientReset);
    });
}

#[test]
fn a_reset_by_the_target_resets_the_client() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        rig.client.write_all(b"x").await.unwrap();
        rig.target.readable().await.unwrap();
        rig.target.set_zero_linger().unwrap();
        drop(rig.target);
        assert_eq!(
            read_error(&mut rig.client).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(rig.relay.await.unwrap().cause, Cause::TargetReset);
    });
}

#[test]
fn silence_for_the_idle_timeout_resets_both() {
    run(async {
        let mut rig = Rig::start(Duration::from_secs(1)).await;
        assert_eq!(
            read_error(&mut rig.client).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            read_error(&mut rig.target).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(rig.relay.await.unwrap().cause, Cause::IdleTimeout);
    });
}

#[test]
fn a_cut_target_resets_both() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        rig.client.write_all(b"x").await.unwrap();
        rig.target.readable().await.unwrap();
        rig.parties.target.cut.store(true, Ordering::Relaxed);
        rig.worker.wake_all();
        assert_eq!(
            read_error(&mut rig.client).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(
            read_error(&mut rig.target).await,
            io::ErrorKind::ConnectionReset
        );
        assert_eq!(rig.relay.await.unwrap().cause, Cause::Cut);
    });
}

#[test]
fn bulk_both_ways_at_once_arrives_as_it_was_sent() {
    run(async {
        let rig = Rig::start(LONG).await;
        let (up, down) = (pattern(1, BULK_BYTES), pattern(2, BULK_BYTES));
        let (mut client_read, mut client_write) = rig.client.into_split();
        let (mut target_read, mut target_write) = rig.target.into_split();
        let (mut up_received, mut down_received) = (Vec::new(), Vec::new());
        let sending_up = async {
            client_write.write_all(&up).await.unwrap();
            client_write.shutdown().await.unwrap();
        };
        let sending_down = async {
            target_write.write_all(&down).await.unwrap();
            target_write.shutdown().await.unwrap();
        };
        let (there, back) = (
            target_read.read_to_end(&mut up_received),
            client_read.read_to_end(&mut down_received),
        );
        let (_, _, there, back) = tokio::join!(sending_up, sending_down, there, back);
        assert_eq!((there.unwrap(), back.unwrap()), (BULK_BYTES, BULK_BYTES));
        assert!(
            up_received == up && down_received == down,
            "bytes changed on the way"
        );
        let end = rig.relay.await.unwrap();
        let bytes = BULK_BYTES as u64;
        assert_eq!(
            end,
            End {
                received_bytes: bytes,
                sent_bytes: bytes,
                cause: Cause::Done
            }
        );
        assert!(
            rig.worker.pipes().kept() > 0,
            "bulk goes through pipes, and they come back"
        );
    });
}

#[test]
fn a_slow_reader_slows_its_sender_and_loses_nothing() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        let sent = pattern(3, BULK_BYTES);
        let written = fill(&mut rig.client, &sent).await;
        assert!(
            written < BULK_BYTES,
            "the relay took everything from a client whose target does not read"
        );
        let rest = async {
            rig.client.write_all(&sent[written..]).await.unwrap();
            rig.client.shutdown().await.unwrap();
        };
        let (_, arrived) = tokio::join!(rest, received(&mut rig.target));
        assert!(arrived == sent, "bytes changed on the way");
        drop((rig.client, rig.target));
        assert_eq!(rig.relay.await.unwrap().cause, Cause::Done);
    });
}

#[test]
fn a_reset_behind_bytes_that_nobody_takes_is_passed_on() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        fill(&mut rig.client, &pattern(4, BULK_BYTES)).await;
        rig.client.set_zero_linger().unwrap();
        drop(rig.client);
        assert_eq!(rig.relay.await.unwrap().cause, Cause::ClientReset);
        assert_eq!(
            read_error(&mut rig.target).await,
            io::ErrorKind::ConnectionReset
        );
    });
}

#[test]
fn a_pipe_with_bytes_in_it_is_never_used_again() {
    run(async {
        let mut rig = Rig::start(LONG).await;
        fill(&mut rig.client, &pattern(5, BULK_BYTES)).await;
        rig.relay.abort();
        assert!(rig.relay.await.unwrap_err().is_cancelled());
        assert_eq!(rig.worker.pipes().kept(), 0);
    });
}
