//! TCP listeners: bytes go through as they are, and so do the ends of connections.

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{documents, forward, listener, wire};
use inlet_tests::origin::echo::Echo;
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Output, Process, World, need};
use tokio::process::Command;

/// A world with one agent that sends everything on the returned port to `targets`.
async fn serving(targets: &[u16]) -> (World, u16) {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    world.apply(&wire(port, targets)).await;
    (world, port)
}

#[tokio::test]
async fn bytes_go_both_ways_and_a_half_close_leaves_the_other_half_open() {
    let echo = Echo::tcp("one").await;
    let (_world, port) = serving(&[echo.port]).await;
    let mut connection = Connection::open(port).await;
    assert_eq!(connection.bytes(15).await, b"hello from one\n");
    connection.send("ping").await;
    assert_eq!(connection.bytes(4).await, b"ping");
    connection.finish().await;
    assert_eq!(connection.rest().await.unwrap(), b"bye");
    eventually("the target's side ends", seconds(10), async || {
        (echo.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_big_transfer_arrives_unchanged() {
    let echo = Echo::tcp("one").await;
    let (_world, port) = serving(&[echo.port]).await;
    let mut connection = Connection::open(port).await;
    connection.bytes(15).await;
    let mut piece = vec![0; 1 << 20];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..30 {
        random.fill(&mut piece);
        // Begins unlike a command to the echo.
        piece[0] = b'-';
        connection.send(&piece).await;
        assert!(connection.bytes(piece.len()).await == piece);
    }
}

#[tokio::test]
async fn a_reset_on_one_side_is_a_reset_on_the_other() {
    let echo = Echo::tcp("one").await;
    let (_world, port) = serving(&[echo.port]).await;
    let mut connection = Connection::open(port).await;
    connection.bytes(15).await;
    connection.send("reset").await;
    let error = connection.rest().await.expect_err("the target's reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let mut connection = Connection::open(port).await;
    connection.bytes(15).await;
    socket2::SockRef::from(connection.stream())
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(connection);
    eventually("the target's side ends", seconds(10), async || {
        (echo.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_target_that_refuses_is_passed_on_as_a_closed_connection() {
    let (_world, port) = serving(&[free_port()]).await;
    // The reset may come before the client has seen that it was connected.
    let end = match Connection::try_open(port).await {
        Some(mut connection) => connection.rest().await,
        None => Ok(Vec::new()),
    };
    assert!(end.as_ref().map_or(true, Vec::is_empty), "{end:?}");
}

#[tokio::test]
async fn new_connections_are_spread_and_each_stays_with_its_target() {
    let [one, two] = [Echo::tcp("one").await, Echo::tcp("two").await];
    let (world, port) = serving(&[one.port, two.port]).await;
    world.healthy("echo").await;
    let mut connections = Vec::new();
    for _ in 0..64 {
        let mut connection = Connection::open(port).await;
        connection.bytes(15).await;
        connections.push(connection);
    }
    // Health checks come and go beside these.
    assert!(
        one.open() >= 10 && two.open() >= 10,
        "{} and {}",
        one.open(),
        two.open()
    );
    for connection in &mut connections {
        connection.send("still here").await;
        assert_eq!(connection.bytes(10).await, b"still here");
    }
}

#[tokio::test]
async fn redis_works_through_a_tcp_listener() {
    if !need(&["redis-server", "redis-cli"]) {
        return;
    }
    let world = World::start(&["edge-1"]).await;
    let [port, redis] = [free_port(), free_port()];
    let mut server = Command::new("redis-server");
    server
        .args([
            "--port",
            &redis.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .current_dir(world.folder());
    let _server = Process::start("redis", server, world.folder());
    world
        .apply(&documents(&[
            wire(port, &[redis]),
            listener("wire/again", "TCP", free_port(), &forward("echo")),
        ]))
        .await;
    world.healthy("echo").await;

    let cli = async |arguments: &[&str]| {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &port.to_string()]).args(arguments);
        Output::of(command).await.exits(0).stdout
    };
    assert_eq!(cli(&["set", "greeting", "hello"]).await, "OK\n");
    assert_eq!(cli(&["get", "greeting"]).await, "hello\n");
    let value = "v".repeat(100_000);
    cli(&["set", "big", &value]).await;
    assert_eq!(cli(&["get", "big"]).await.trim_end(), value);
    let script =
        "for i = 1, 1000 do redis.call('rpush', 'list', i) end return redis.call('llen', 'list')";
    assert_eq!(cli(&["eval", script, "0"]).await, "1000\n");
}
