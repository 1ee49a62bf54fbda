//! Every wait ends: the worker's clock is moved by hand, and what is overdue gets its status.

use super::*;

/// A rig whose idle timeout is ten seconds.
async fn rig() -> Rig {
    Rig::start_with(Settings {
        idle_timeout: Duration::from_secs(10),
        ..Settings::default()
    })
    .await
}

#[test]
fn an_idle_connection_is_closed_in_silence() {
    run(async {
        let rig = rig().await;
        let mut fresh = rig.client().await;
        let (mut used, mut target) = rig.exchange(GET).await;
        target.send(OK).await;
        used.expect(OK).await;
        settled(&rig, 2).await;
        rig.advance(9.0);
        settled(&rig, 2).await;
        assert!(fresh.is_silent() && used.is_silent());
        rig.advance(1.5);
        fresh.expect_end().await;
        used.expect_end().await;
        assert_eq!(rig.counters().requests.value(), 1);
    });
}

#[test]
fn half_a_request_is_a_408() {
    run(async {
        let rig = rig().await;
        let mut head = rig.client().await;
        head.send("GET / HTTP/1.1\r\nHo").await;
        let (mut body, _target) = rig
            .exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
            .await;
        settled(&rig, 2).await;
        rig.advance(10.5);
        for client in [&mut head, &mut body] {
            let made = client.expect_made(408).await;
            assert!(made.contains("Connection: close\r\n"), "{made}");
            client.expect_end().await;
        }
        assert_eq!((rig.made(408), rig.counters().responses[3].value()), (2, 2));
    });
}

#[test]
fn every_byte_counts_but_a_head_has_its_time() {
    run(async {
        let rig = rig().await;
        let mut client = rig.client().await;
        client.send("GET / HTTP/1.1\r\nA: ").await;
        settled(&rig, 1).await;
        for _ in 0..13 {
            rig.advance(9.0);
            assert!(client.is_silent());
            client.send("x").await;
            // The byte has arrived when it could be read; then the task runs.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        rig.advance(9.0);
        client.expect_made(408).await;
    });
}

#[test]
fn a_target_that_says_nothing_is_a_504() {
    run(async {
        let rig = rig().await;
        let (mut client, mut target) = rig.exchange(GET).await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        settled(&rig, 1).await;
        assert!(client.is_silent());
        rig.advance(1.5);
        let head = client.expect_made(504).await;
        assert!(
            !head.contains("Connection"),
            "the client's connection goes on: {head}"
        );
        target.expect_end().await;
        client.send(GET).await;
        let mut target = rig.target().await;
        target.head().await;
        target.send("HTTP/1.1 200 OK\r\n").await;
        settled(&rig, 1).await;
        rig.advance(10.5);
        client.expect_made(504).await;
        assert_eq!(rig.made(504), 2);
        assert_eq!(
            rig.group_counters()
                .response_time
                .iter()
                .map(live::Counter::value)
                .sum::<u64>(),
            0
        );
    });
}

#[test]
fn a_target_that_stops_in_its_body_is_cut() {
    run(async {
        let rig = rig().await;
        let (mut client, mut target) = rig.exchange(GET).await;
        target
            .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await;
        client.until("half").await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        target.send("more").await;
        client.expect("more").await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        settled(&rig, 1).await;
        assert!(client.is_silent());
        rig.advance(1.5);
        client.expect_end().await;
        target.expect_end().await;
    });
}

#[test]
fn a_client_that_does_not_read_is_cut() {
    run(async {
        let rig = rig().await;
        let (client, mut target) = rig.exchange(GET).await;
        target
            .send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            .await;
        let flood = vec![b'x'; 1024 * 1024];
        while timeout(Duration::from_millis(300), target.0.write(&flood))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {}
        settled(&rig, 1).await;
        rig.advance(10.5);
        until(|| rig.worker.open_connections() == 0).await;
        client.close();
    });
}

/// A target whose backlog is full: the system drops further handshakes.
async fn with_full_backlog() -> (Rig, impl Sized) {
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let address = full.local_addr().unwrap();
    let queued = TcpStream::connect(address).await.unwrap();
    let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rig = Rig::start_at(Settings::default(), target, &[address]).await;
    (rig, (full, queued))
}

#[test]
fn a_client_that_leaves_while_its_target_is_connected_to_is_a_460() {
    run(async {
        let (rig, _full) = with_full_backlog().await;
        let mut client = rig.client().await;
        client.send(GET).await;
        until(|| rig.group_counters().requests.value() == 1).await;
        client.close();
        until(|| rig.worker.open_connections() == 0).await;
        assert_eq!(rig.made(460), 1);
    });
}

#[test]
fn a_target_that_does_not_complete_its_connection_is_a_504() {
    run(async {
        let (rig, _full) = with_full_backlog().await;
        let mut client = rig.client().await;
        client.send(GET).await;
        until(|| rig.group_counters().requests.value() == 1).await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        settled(&rig, 1).await;
        assert!(client.is_silent());
        rig.advance(1.5);
        client.expect_made(504).await;
        assert_eq!(rig.group_counters().connection_errors.value(), 1);
    });
}

#[test]
fn an_upgraded_connection_has_the_idle_timeout() {
    run(async {
        let rig = rig().await;
        let (mut client, mut target) = rig
            .exchange(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            )
            .await;
        target
            .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
            .await;
        client.head().await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        client.send("ping").await;
        target.expect("ping").await;
        settled(&rig, 1).await;
        rig.advance(9.0);
        settled(&rig, 1).await;
        assert!(client.is_silent());
        rig.advance(1.5);
        assert!(client.0.read_u8().await.is_err());
        until(|| rig.worker.open_connections() == 0).await;
    });
}

#[test]
fn a_client_that_lingers_is_let_go() {
    run(async {
        let rig = rig().await;
        let mut client = rig.client().await;
        client.send("nonsense\r\n\r\n").await;
        client.expect_made(400).await;
        client.expect_end().await;
        settled(&rig, 1).await;
        rig.advance(5.5);
        until(|| rig.worker.open_connections() == 0).await;
    });
}
