//! Bodies, both ways: every framing, however it arrives, and large ones.

use super::*;

const BULK_BYTES: usize = 8 * 1024 * 1024;

fn pattern(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u64(..).to_ne_bytes())
        .flatten()
        .take(bytes)
        .collect()
}

/// Serves one exchange on a connection from the pool or a new one: the target reads `expected`, then says `response`.
async fn answer(target: &mut Peer, expected: &[u8], response: &str) {
    target.head().await;
    target.expect(expected).await;
    target.send(response).await;
}

#[test]
fn bodies_of_requests_arrive_as_they_were_framed() {
    run(async {
        let rig = Rig::start().await;
        let mut client = rig.client().await;
        let chunked = "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nDigest: x\r\n\r\n";
        let cases = [
            ("Content-Length: 6", "hello!"),
            ("Content-Length: 0", ""),
            ("Transfer-Encoding: chunked", chunked),
            ("Transfer-Encoding: chunked", "0\r\n\r\n"),
        ];
        let mut target = None;
        for (framing, body) in cases {
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
            // With the head, after it, and a byte at a time; another request right behind it.
            for pieces in [
                vec![format!("{head}{body}{GET}")],
                vec![head.clone(), format!("{body}{GET}")],
            ] {
                for piece in &pieces {
                    client.send(piece).await;
                }
                if target.is_none() {
                    target = Some(rig.target().await);
                }
                let target = target.as_mut().unwrap();
                answer(target, body.as_bytes(), OK).await;
                client.expect(OK).await;
                answer(target, b"", OK).await;
                client.expect(OK).await;
            }
            client.send(&head).await;
            let target = target.as_mut().unwrap();
            let read = target.head().await;
            assert!(read.contains(framing), "{read}");
            for byte in body.bytes() {
                client.send([byte]).await;
                target.expect([byte]).await;
            }
            target.send(OK).await;
            client.expect(OK).await;
        }
        assert_eq!(rig.worker.upstreams().idle(), 1);
    });
}

#[test]
fn a_chunk_that_could_be_read_in_two_ways_ends_it() {
    run(async {
        let rig = Rig::start().await;
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        // Together with the head nothing is sent at all.
        let mut client = rig.client().await;
        client.send(format!("{head}1 \r\na\r\n0\r\n\r\n")).await;
        client.expect_made(400).await;
        client.expect_end().await;
        // After the head the target loses its connection before it has a whole request.
        let (mut client, mut target) = rig.exchange(head).await;
        client.send("1\r\na\r\n").await;
        target.expect("1\r\na\r\n").await;
        client.send("1\na\r\n0\r\n\r\n").await;
        client.expect_made(400).await;
        client.expect_end().await;
        target.expect_end().await;
        assert_eq!((rig.made(400), rig.worker.upstreams().idle()), (2, 0));
    });
}

#[test]
fn bodies_of_responses_arrive_as_the_client_can_read_them() {
    run(async {
        let rig = Rig::start().await;
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n1\r\n!\r\n0\r\nDigest: x\r\n\r\n";
        let length =
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nKeep-Alive: timeout=5\r\nA:b\r\n\r\nhello!";
        let endless = "HTTP/1.0 200 OK\r\nA: b\r\n\r\nhello!";
        // Response of the target; to HTTP/1.1; to HTTP/1.0 with keep-alive; does the client's connection go on?
        let cases = [
            (
                chunked,
                chunked,
                "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello!",
                false,
            ),
            (
                length,
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nA: b\r\n\r\nhello!",
                "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nA: b\r\nConnection: keep-alive\r\n\r\nhello!",
                true,
            ),
            (
                endless,
                "HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n0\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nhello!",
                false,
            ),
        ];
        for (response, to_11, to_10, goes_on) in cases {
            for split in 0..response.len() {
                let ends = !response.contains("Length") && !response.contains("chunked");
                let (mut client, mut target) = rig.exchange(GET).await;
                target.send(&response[..split]).await;
                tokio::task::yield_now().await;
                target.send(&response[split..]).await;
                if ends {
                    // Chunks are as long as what came at once.
                    target.close();
                    let read = client.until("0\r\n\r\n").await;
                    let data: String = read
                        .split("\r\n\r\n")
                        .nth(1)
                        .unwrap()
                        .split("\r\n")
                        .skip(1)
                        .step_by(2)
                        .collect();
                    assert_eq!(data, "hello!", "{read}");
                    if split == 0 {
                        assert_eq!(read, to_11);
                    }
                } else {
                    client.expect(to_11).await;
                    client.send(GET).await;
                    target.head().await;
                    target.send(OK).await;
                    client.expect(OK).await;
                    rig.worker.upstreams().sweep(u32::MAX);
                }
                let (mut client, mut target) = rig
                    .exchange("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
                    .await;
                target.send(&response[..split]).await;
                tokio::task::yield_now().await;
                target.send(&response[split..]).await;
                if ends {
                    target.close();
                }
                client.expect(to_10).await;
                if !goes_on {
                    client.expect_end().await;
                }
                until(|| rig.worker.upstreams().idle() == usize::from(!ends)).await;
                // The next round begins with a new connection.
                rig.worker.upstreams().sweep(u32::MAX);
            }
        }
    });
}

#[test]
fn what_has_no_body_is_given_none() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = rig.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        target.send(with_length).await;
        client.expect(with_length).await;
        let cases = [
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
            ),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
            ),
            (
                "GET",
                "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n",
            ),
            (
                "GET",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            ),
        ];
        for (method, response, expected) in cases {
            client
                .send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"))
                .await;
            target.head().await;
            target.send(response).await;
            client.expect(expected).await;
        }
        assert_eq!(rig.worker.upstreams().idle(), 1);
        // A body all the same: it is not passed on, and nobody gets it as the next response.
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        target.head().await;
        target.send(format!("{with_length}hello")).await;
        client.expect(with_length).await;
        target.expect_end().await;
        assert_eq!(rig.worker.upstreams().idle(), 0);
        client.send(GET).await;
        rig.target().await.head().await;
        assert!(client.is_silent());
    });
}

#[test]
fn large_bodies_arrive_as_they_were_sent() {
    run(async {
        let rig = Rig::start().await;
        let body = pattern(BULK_BYTES);
        let chunk_head = format!("{BULK_BYTES:x}\r\n");
        let framings = [
            (format!("Content-Length: {BULK_BYTES}"), String::new(), ""),
            (
                "Transfer-Encoding: chunked".to_owned(),
                chunk_head,
                "\r\n0\r\n\r\n",
            ),
        ];
        for (framing, before, after) in framings {
            let (mut client, mut target) = rig
                .exchange(&format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"))
                .await;
            let mut whole = before.into_bytes();
            whole.extend_from_slice(&body);
            whole.extend_from_slice(after.as_bytes());
            let response_head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
            let mut read = vec![0; whole.len()];
            let (_, received) =
                tokio::join!(client.0.write_all(&whole), target.0.read_exact(&mut read));
            received.unwrap();
            assert!(read == whole, "the request changed on its way");
            let sending = async {
                target.send(&response_head).await;
                target.send(&whole).await;
            };
            let receiving = async {
                client.expect(&response_head).await;
                client.0.read_exact(&mut read).await.unwrap();
            };
            tokio::join!(sending, receiving);
            assert!(read == whole, "the response changed on its way");
            assert!(
                rig.worker.pipes().kept() > 0,
                "large bodies go through pipes, and they come back"
            );
            until(|| rig.worker.upstreams().idle() == 1).await;
            rig.worker.upstreams().sweep(u32::MAX);
        }
        let bytes = 2 * BULK_BYTES as u64;
        assert!(
            rig.counters().received_bytes.value() > bytes
                && rig.counters().sent_bytes.value() > bytes
        );
    });
}

#[test]
fn both_directions_may_flow_at_once() {
    run(async {
        let rig = Rig::start().await;
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {BULK_BYTES}\r\n\r\n");
        let (client, mut target) = rig.exchange(&request).await;
        target
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {BULK_BYTES}\r\n\r\n"
            ))
            .await;
        let body = pattern(BULK_BYTES);
        let (mut client_read, mut client_write) = client.0.into_split();
        let (mut target_read, mut target_write) = target.0.into_split();
        let echo = tokio::io::copy(&mut target_read, &mut target_write);
        let mut read = Vec::new();
        let receiving = async { client_read.read_to_end(&mut read).await.unwrap() };
        let sending = async { client_write.write_all(&body).await.unwrap() };
        // The echo ends because the target's connection is not used again.
        let _ = tokio::join!(echo, sending, receiving);
        let head_end = read.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
        assert!(String::from_utf8_lossy(&read[..head_end]).contains("Connection: close"));
        assert!(read[head_end..] == body, "the body changed on its way");
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}

#[test]
fn a_slow_client_slows_the_target() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = rig.exchange(GET).await;
        let body = pattern(4 * BULK_BYTES);
        target
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                body.len()
            ))
            .await;
        let mut sent = 0;
        while let Ok(more) =
            timeout(Duration::from_millis(500), target.0.write(&body[sent..])).await
        {
            sent += more.unwrap();
        }
        assert!(
            sent < body.len(),
            "everything was taken from a target whose client does not read"
        );
        client.head().await;
        let mut read = vec![0; body.len()];
        let (_, received) =
            tokio::join!(target.send(&body[sent..]), client.0.read_exact(&mut read));
        received.unwrap();
        assert!(read == body, "the body changed on its way");
    });
}

#[test]
fn the_client_waits_for_the_targets_100() {
    run(async {
        let rig = Rig::start().await;
        let request =
            "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        let (mut client, mut target) = rig.exchange(request).await;
        target.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.expect("HTTP/1.1 100 Continue\r\n\r\n").await;
        client.send("body").await;
        target.expect("body").await;
        // Others too, and all at once.
        target
            .send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            .await;
        client
            .expect("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
            .await;
        target
            .send(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"))
            .await;
        client
            .expect(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"))
            .await;
        client.send(GET).await;
        target.head().await;
        // HTTP/1.0 has none of it.
        let (mut client, mut target) = rig.exchange("GET / HTTP/1.0\r\n\r\n").await;
        target
            .send(format!("HTTP/1.1 103 Early Hints\r\n\r\n{OK}"))
            .await;
        assert!(client.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));
    });
}

#[test]
fn a_refusal_instead_of_100_is_the_last() {
    run(async {
        let rig = Rig::start().await;
        let request =
            "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        let (mut client, mut target) = rig.exchange(request).await;
        target
            .send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
            .await;
        let head = client.head().await;
        assert!(
            head.starts_with("HTTP/1.1 417 ") && head.contains("Connection: close\r\n"),
            "{head}"
        );
        client.expect("no").await;
        client.expect_end().await;
        target.expect_end().await;
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}
