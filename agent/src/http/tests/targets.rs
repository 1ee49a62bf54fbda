//! Targets that fail, in every way that a test can think of: what the client gets, and that nobody else suffers.

use std::sync::atomic::Ordering;

use super::*;

/// A connection to the target that waits in the pool, and the client that was served by it.
async fn pooled(rig: &Rig) -> (Peer, Peer) {
    let (mut client, mut target) = rig.exchange(GET).await;
    target.send(OK).await;
    client.expect(OK).await;
    (client, target)
}

/// An address that refuses connections.
fn closed() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

#[test]
fn a_response_that_ends_with_the_connection_is_cut_by_a_reset_where_the_client_could_not_tell() {
    run(async {
        let rig = Rig::start().await;
        let endless = "HTTP/1.1 200 OK\r\n\r\nhello";
        let (mut client, mut target) = rig.exchange(GET).await;
        target.send(endless).await;
        client.until("5\r\nhello\r\n").await;
        target.reset();
        client.expect_end().await;
        let (mut client, mut target) = rig.exchange("GET / HTTP/1.0\r\n\r\n").await;
        target.send(endless).await;
        client.until("hello").await;
        target.reset();
        let error = client.0.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_dead_pooled_connection_is_not_noticed_by_the_client() {
    run(async {
        let rig = Rig::start().await;
        // Dead before it is taken.
        let (mut client, target) = pooled(&rig).await;
        target.close();
        client.send(GET).await;
        let mut target = rig.target().await;
        target.head().await;
        target.send(OK).await;
        client.expect(OK).await;
        // Dies while the request is on its way.
        client
            .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            .await;
        target.head().await;
        target.expect("body").await;
        target.close();
        let mut target = rig.target().await;
        let head = target.head().await;
        assert!(head.starts_with("PUT / "), "{head}");
        target.expect("body").await;
        target.send(OK).await;
        client.expect(OK).await;
        assert_eq!(
            (
                rig.counters().requests.value(),
                rig.group_counters().requests.value()
            ),
            (3, 3)
        );
        // Once is enough.
        client.send(GET).await;
        target.head().await;
        target.reset();
        let mut target = rig.target().await;
        target.head().await;
        target.reset();
        client.expect_made(502).await;
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}

#[test]
fn a_dead_pooled_connection_is_not_noticed_by_a_client_that_waits_for_100() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = pooled(&rig).await;
        client
            .send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            .await;
        target.head().await;
        target.close();
        // Nothing of the body was read yet: everything that was sent is at hand.
        let mut target = rig.target().await;
        let head = target.head().await;
        assert!(head.starts_with("PUT / "), "{head}");
        target.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.send("body").await;
        target.expect("body").await;
        target.send(OK).await;
        client.expect(OK).await;
    });
}

#[test]
fn what_may_count_twice_is_not_sent_twice() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = pooled(&rig).await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
            .await;
        target.head().await;
        target.close();
        client.expect_made(502).await;
        // Nor what is not at hand any more.
        let (mut client, mut target) = pooled(&rig).await;
        client
            .send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
            .await;
        target.head().await;
        client.send("half").await;
        target.expect("half").await;
        target.close();
        client.expect_made(502).await;
        // Nor what was answered in part.
        let (mut client, mut target) = pooled(&rig).await;
        client.send(GET).await;
        target.head().await;
        target.send("HTTP/1.1 2").await;
        target.close();
        client.expect_made(502).await;
    });
}

#[test]
fn a_target_that_refuses_is_passed_over() {
    run(async {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [closed(), target.local_addr().unwrap()];
        let rig = Rig::start_at(Settings::default(), target, &addresses).await;
        let mut client = rig.client().await;
        let mut upstream = None;
        for _ in 0..32 {
            client.send(GET).await;
            let upstream = match &mut upstream {
                Some(upstream) => upstream,
                none => none.insert(rig.target().await),
            };
            upstream.head().await;
            upstream.send(OK).await;
            client.expect(OK).await;
        }
        assert!(rig.group_counters().connection_errors.value() > 0);
        assert_eq!(rig.counters().responses[1].value(), 32);
    });
}

#[test]
fn a_target_that_went_away_is_passed_over_though_a_connection_to_it_was_kept() {
    run(async {
        let leaving = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let staying = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = [leaving.local_addr().unwrap(), staying.local_addr().unwrap()];
        let rig = Rig::start_at(Settings::default(), leaving, &addresses).await;
        let (mut client, mut target) = pooled(&rig).await;
        drop(rig.target);
        // The other one's turn.
        client.send(GET).await;
        let mut other = Peer(staying.accept().await.unwrap().0);
        other.head().await;
        other.send(OK).await;
        client.expect(OK).await;
        client.send(GET).await;
        target.head().await;
        target.reset();
        // Its port refuses; the other one has the answer.
        other.head().await;
        other.send(OK).await;
        client.expect(OK).await;
    });
}

#[test]
fn no_target_is_a_503_and_refusal_by_all_is_a_502() {
    run(async {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = Rig::start_at(Settings::default(), target, &[closed(), closed()]).await;
        let mut client = refusing.client().await;
        for _ in 0..2 {
            client
                .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
                .await;
            client.expect_made(502).await;
        }
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let empty = Rig::start_at(Settings::default(), target, &[]).await;
        let mut client = empty.client().await;
        for _ in 0..2 {
            client.send(GET).await;
            client.expect_made(503).await;
        }
        assert_eq!(
            (empty.made(503), empty.group_counters().no_target.value()),
            (2, 2)
        );
        assert_eq!(empty.group_counters().requests.value(), 0);
    });
}

#[test]
fn a_new_connection_tells_a_target_that_left_from_one_that_speaks_first() {
    use crate::http::failure::Failure;
    use crate::http::pool::check_silent;
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for by in ["nothing", "bytes", "end", "reset"] {
            let ours = TcpStream::connect(address).await.unwrap();
            let mut peer = Peer(listener.accept().await.unwrap().0);
            let expected = match by {
                "nothing" => Ok(()),
                "bytes" => Err(Failure::SpokeFirst),
                _ => Err(Failure::TargetClosed),
            };
            match by {
                "nothing" => {}
                "bytes" => peer.send("220 mail").await,
                "end" => rustix::net::shutdown(&peer.0, rustix::net::Shutdown::Write).unwrap(),
                _ => peer.0.set_zero_linger().unwrap(),
            }
            if by == "reset" {
                peer.close();
            }
            if by != "nothing" {
                ours.readable().await.unwrap();
            }
            assert_eq!(check_silent(&ours), expected, "{by}");
        }
    });
}

#[test]
fn a_target_that_speaks_first_is_not_listened_to() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = pooled(&rig).await;
        // A second response to one request: the pooled connection is not used again.
        target.send(OK).await;
        until(|| {
            rig.advance(0.0);
            rig.worker.upstreams().idle() == 0
        })
        .await;
        target.expect_closed().await;
        client.send(GET).await;
        let mut target = rig.target().await;
        target.head().await;
        target.send(format!("{OK}{OK}")).await;
        client.expect(OK).await;
        target.expect_closed().await;
        client.send(GET).await;
        rig.target().await.head().await;
        assert!(client.is_silent(), "the surplus is nobody's response");
    });
}

#[test]
fn an_answer_before_the_whole_request_is_passed_on() {
    run(async {
        let rig = Rig::start().await;
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        let (mut client, mut target) = rig.exchange(post).await;
        target
            .send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
            .await;
        target.close();
        let head = client.head().await;
        assert!(
            head.starts_with("HTTP/1.1 413 ") && head.contains("Connection: close\r\n"),
            "{head}"
        );
        client.expect("no").await;
        client.expect_end().await;
    });
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    run(async {
        let rig = Rig::start().await;
        for by_reset in [false, true] {
            let (client, mut target) = rig.exchange(GET).await;
            if by_reset {
                client.reset()
            } else {
                client.close()
            }
            target.expect_end().await;
        }
        assert_eq!(rig.made(460), 2);
        assert_eq!(
            rig.counters()
                .responses
                .iter()
                .map(live::Counter::value)
                .sum::<u64>(),
            0
        );
        // In the middle of its body.
        let (client, mut target) = rig
            .exchange("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            .await;
        client.close();
        target.expect_end().await;
        until(|| rig.made(400) == 1).await;
        // In the middle of the response.
        let (mut client, mut target) = rig.exchange(GET).await;
        target
            .send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
            .await;
        client.until("half").await;
        client.close();
        target.expect_end().await;
        until(|| rig.worker.open_connections() == 0).await;
        assert_eq!((rig.made(460), rig.worker.upstreams().idle()), (2, 0));
        assert_eq!(
            rig.group.pool.members[0]
                .0
                .in_flight
                .load(Ordering::Relaxed),
            0
        );
    });
}

#[test]
fn a_target_that_is_cut_loses_what_is_under_way() {
    run(async {
        let rig = Rig::start().await;
        let (mut waiting, _target) = rig.exchange(GET).await;
        let (mut reading, mut target) = rig.exchange(GET).await;
        target
            .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await;
        reading.until("half").await;
        rig.group.pool.members[0]
            .0
            .cut
            .store(true, Ordering::Relaxed);
        rig.worker.wake_all();
        waiting.expect_made(502).await;
        reading.expect_end().await;
    });
}

#[test]
fn a_target_that_is_deregistered_keeps_no_idle_connection() {
    run(async {
        let rig = Rig::start().await;
        let (mut idle, mut pooled) = pooled(&rig).await;
        let mut busy = rig.client().await;
        busy.send(GET).await;
        pooled.head().await;
        idle.send(GET).await;
        let mut other = rig.target().await;
        other.head().await;
        other.send(OK).await;
        idle.expect(OK).await;
        rig.group.pool.members[0]
            .0
            .deregistered
            .store(true, Ordering::Relaxed);
        rig.advance(0.5);
        other.expect_end().await;
        // What is under way is finished.
        pooled.send(OK).await;
        busy.expect(OK).await;
        pooled.expect_end().await;
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}

#[test]
fn idle_connections_to_targets_are_closed_in_time() {
    run(async {
        let rig = Rig::start().await;
        let (_client, mut target) = pooled(&rig).await;
        rig.advance(49.0);
        assert_eq!(rig.worker.upstreams().idle(), 1);
        rig.advance(1.5);
        target.expect_end().await;
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}
