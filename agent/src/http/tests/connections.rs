//! Connections of clients: kept, closed, pipelined, drained, upgraded.

use super::*;

#[test]
fn requests_follow_each_other_on_both_connections() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = rig.exchange(GET).await;
        target.send(OK).await;
        client.expect(OK).await;
        for _ in 0..3 {
            client.send(GET).await;
            target.head().await;
            target.send(OK).await;
            client.expect(OK).await;
        }
        assert_eq!(rig.worker.upstreams().idle(), 1);
        assert_eq!(
            (
                rig.counters().requests.value(),
                rig.group_counters().requests.value()
            ),
            (4, 4)
        );
        assert_eq!(rig.counters().responses[1].value(), 4);
        assert_eq!(rig.group_counters().responses[1].value(), 4);
        assert_eq!(rig.counters().received_bytes.value(), 4 * GET.len() as u64);
        assert_eq!(rig.counters().sent_bytes.value(), 4 * OK.len() as u64);
        let times: u64 = rig
            .group_counters()
            .response_time
            .iter()
            .map(live::Counter::value)
            .sum();
        assert_eq!(times, 4);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let rig = Rig::start().await;
        let mut client = rig.client().await;
        let requests: String = (0..40)
            .map(|index| format!("GET /{index} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .collect();
        client.send(requests).await;
        let mut target = rig.target().await;
        for index in 0..40 {
            let head = target.head().await;
            assert!(
                head.starts_with(&format!("GET /{index} HTTP/1.1\r\n")),
                "{head}"
            );
            target.send(OK).await;
            client.expect(OK).await;
        }
    });
}

#[test]
fn requests_may_arrive_a_byte_at_a_time() {
    run(async {
        let rig = Rig::start().await;
        let mut client = rig.client().await;
        let request = "\r\nPOST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        for byte in request.bytes() {
            client.send([byte]).await;
        }
        let mut target = rig.target().await;
        let head = target.head().await;
        assert!(head.starts_with("POST /p HTTP/1.1\r\n"), "{head}");
        target.expect("hello").await;
        for byte in OK.bytes() {
            target.send([byte]).await;
        }
        client.expect(OK).await;
    });
}

#[test]
fn the_client_decides_whether_its_connection_goes_on() {
    run(async {
        let rig = Rig::start().await;
        let cases = [
            (
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                "Connection: close\r\n",
            ),
            ("GET / HTTP/1.0\r\n\r\n", "Connection: close\r\n"),
        ];
        for (request, line) in cases {
            let mut client = rig.client().await;
            client.send(request).await;
            let mut target = rig.target().await;
            let head = target.head().await;
            assert!(
                head.starts_with("GET / HTTP/1.1\r\n") && !head.contains("Connection"),
                "{head}"
            );
            target.send(OK).await;
            let response = client.rest().await;
            assert!(
                response.contains(line) && response.ends_with("ok"),
                "{response}"
            );
            // The target knows nothing of it.
            until(|| rig.worker.upstreams().idle() == 1).await;
            target.close();
            until(|| {
                rig.advance(0.0);
                rig.worker.upstreams().idle() == 0
            })
            .await;
        }
        let (mut client, mut target) = rig
            .exchange("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n")
            .await;
        target.send(OK).await;
        let head = client.head().await;
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
        client.expect("ok").await;
        client.send("GET / HTTP/1.0\r\n\r\n").await;
        let head = target.head().await;
        let host = format!("Host: {}\r\n", rig.address);
        assert!(head.contains(&host), "{head}");
    });
}

#[test]
fn an_upgrade_becomes_a_relay() {
    run(async {
        let rig = Rig::start().await;
        let mut client = rig.client().await;
        let handshake = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
        client.send(handshake).await;
        client.send("early").await;
        let mut target = rig.target().await;
        let head = target.head().await;
        assert!(
            head.contains("Upgrade: websocket\r\nConnection: Upgrade\r\n"),
            "{head}"
        );
        target
            .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nwelcome")
            .await;
        let head = client.head().await;
        assert!(head.starts_with(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        ));
        client.expect("welcome").await;
        target.expect("early").await;
        client.send("ping").await;
        target.expect("ping").await;
        target.send("pong").await;
        client.expect("pong").await;
        assert_eq!(
            rig.group.pool.members[0]
                .0
                .in_flight
                .load(std::sync::atomic::Ordering::Relaxed),
            1
        );
        client.close();
        target.expect_end().await;
        target.close();
        until(|| rig.worker.open_connections() == 0).await;
        assert_eq!(rig.counters().responses[0].value(), 1);
        let received = handshake.len() as u64 + 5 + 4;
        assert_eq!(rig.counters().received_bytes.value(), received);
        assert_eq!(rig.worker.upstreams().idle(), 0);
    });
}

#[test]
fn a_relay_keeps_no_old_table_alive() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = rig
            .exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
            .await;
        target
            .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
            .await;
        client.head().await;
        let old = Arc::downgrade(&rig.worker.in_force().table);
        rig.worker.swap(table(Some(&rig.listener), &rig.group));
        assert!(
            old.upgrade().is_none(),
            "as long as it lasts, it would stay"
        );
        client.close();
        target.expect_end().await;
        target.close();
        until(|| rig.worker.open_connections() == 0).await;
        assert_eq!(
            (
                rig.counters().responses[0].value(),
                rig.group_counters().responses[0].value()
            ),
            (1, 1)
        );
    });
}

#[test]
fn an_upgrade_that_the_target_refuses_is_a_response() {
    run(async {
        let rig = Rig::start().await;
        let request =
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        let (mut client, mut target) = rig.exchange(request).await;
        target.send(OK).await;
        client.expect(OK).await;
        client.send(GET).await;
        let head = target.head().await;
        assert!(!head.contains("Upgrade"), "{head}");
    });
}

#[test]
fn plaintext_http2_and_upgrades_with_a_body_are_not_offered() {
    run(async {
        let rig = Rig::start().await;
        let requests = [
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        ];
        for request in requests {
            let mut client = rig.client().await;
            client.send(request).await;
            let mut target = rig.target().await;
            let head = target.head().await;
            assert!(
                !head.contains("pgrade") && !head.contains("ettings"),
                "{head}"
            );
            target
                .send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
                .await;
            client.expect_made(502).await;
        }
    });
}

#[test]
fn a_connection_that_is_drained_ends_after_its_response() {
    run(async {
        let rig = Rig::start().await;
        let (mut busy, mut target) = rig.exchange(GET).await;
        let mut idle = rig.client().await;
        until(|| rig.worker.open_connections() == 2).await;
        rig.worker.drain();
        idle.expect_end().await;
        target.send(OK).await;
        let response = busy.rest().await;
        assert!(
            response.contains("Connection: close\r\n") && response.ends_with("ok"),
            "{response}"
        );
        busy.close();
        until(|| rig.worker.open_connections() == 0).await;
    });
}

#[test]
fn a_listener_that_is_gone_finishes_what_is_under_way() {
    run(async {
        let rig = Rig::start().await;
        let (mut busy, mut target) = rig.exchange(GET).await;
        let mut idle = rig.client().await;
        until(|| rig.worker.open_connections() == 2).await;
        rig.worker.swap(table(None, &rig.group));
        idle.expect_end().await;
        target.send(OK).await;
        let response = busy.rest().await;
        assert!(
            response.contains("Connection: close\r\n") && response.ends_with("ok"),
            "{response}"
        );
    });
}

#[test]
fn a_request_that_was_on_its_way_to_a_listener_is_served() {
    run(async {
        let rig = Rig::start().await;
        let mut client = rig.client().await;
        until(|| rig.worker.open_connections() == 1).await;
        client.send(GET).await;
        rig.worker.swap(table(None, &rig.group));
        let mut target = rig.target().await;
        target.head().await;
        target.send(OK).await;
        let response = client.rest().await;
        assert!(
            response.contains("Connection: close\r\n") && response.ends_with("ok"),
            "{response}"
        );
    });
}

#[test]
fn a_request_that_is_refused_is_the_last_and_counted() {
    run(async {
        let rig = Rig::start().await;
        let cases = [
            (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
            (400, "\x16\x03\x01\x02".repeat(4)),
            (
                400,
                format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n",
                    "b".repeat(17_000)
                ),
            ),
            (405, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()),
            (
                414,
                format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(17_000)),
            ),
            (414, "a".repeat(17_000)),
            (
                463,
                format!(
                    "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {}\r\n\r\n",
                    "a,".repeat(31)
                ),
            ),
            (
                501,
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            ),
            (505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        ];
        for (status, request) in &cases {
            let before = rig.made(*status);
            let mut client = rig.client().await;
            // What follows it is not looked at.
            client.send(format!("{request}{GET}")).await;
            let head = client.expect_made(*status).await;
            assert!(head.contains("Connection: close\r\n"), "{head}");
            client.expect_end().await;
            client.close();
            until(|| rig.worker.open_connections() == 0).await;
            assert_eq!(rig.made(*status), before + 1);
        }
        assert_eq!(rig.counters().requests.value(), cases.len() as u64);
        assert_eq!(rig.group_counters().requests.value(), 0);
    });
}

#[test]
fn a_request_is_decided_by_the_table_that_it_began_with() {
    run(async {
        let rig = Rig::start().await;
        let (mut client, mut target) = rig.exchange(GET).await;
        let settings = Settings {
            action: Action::FixedResponse(Box::new(FixedResponse {
                status: 418,
                content_type: "".into(),
                body: "new".into(),
            })),
            ..Settings::default()
        };
        let changed = listener(rig.address, settings);
        rig.worker.swap(table(Some(&changed), &rig.group));
        target.send(OK).await;
        client.expect(OK).await;
        client.send(GET).await;
        client.expect_made(418).await;
    });
}

#[test]
fn an_old_connection_has_one_more_request() {
    run(async {
        let settings = Settings {
            client_keep_alive: Duration::from_secs(1),
            ..Settings::default()
        };
        let rig = Rig::start_with(settings).await;
        let mut client = rig.client().await;
        until(|| rig.worker.open_connections() == 1).await;
        rig.advance(1.0);
        assert!(client.is_silent(), "age alone closes nothing");
        client.send(GET).await;
        let mut target = rig.target().await;
        target.head().await;
        target.send(OK).await;
        let response = client.rest().await;
        assert!(
            response.contains("Connection: close\r\n") && response.ends_with("ok"),
            "{response}"
        );
    });
}

#[test]
fn redirects_and_fixed_responses_need_no_target() {
    run(async {
        let redirect = Redirect {
            status: 302,
            protocol: [TemplatePart::Literal("HTTPS".into())].into(),
            host: [TemplatePart::Host].into(),
            port: [TemplatePart::Literal("443".into())].into(),
            path: [TemplatePart::Literal("/".into()), TemplatePart::Path].into(),
            query: [TemplatePart::Query].into(),
        };
        let rig = Rig::start_with(Settings {
            action: Action::Redirect(Box::new(redirect)),
            ..Settings::default()
        })
        .await;
        let mut client = rig.client().await;
        for _ in 0..2 {
            client
                .send(
                    "POST /p?q HTTP/1.1\r\nHost: shop.example:80\r\nContent-Length: 4\r\n\r\nbody",
                )
                .await;
            let head = client.expect_made(302).await;
            assert!(
                head.contains(
                    "Location: https://shop.example:443/p?q\r\nContent-Type: text/html\r\n"
                ),
                "{head}"
            );
        }
        client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 302 Found\r\n"), "{head}");
        client
            .send(format!(
                "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
                "x".repeat(8 * 1024)
            ))
            .await;
        client.expect_made(507).await;
        assert_eq!(rig.made(507), 1);
        assert_eq!(rig.counters().responses[2].value(), 3);
    });
}

#[test]
fn an_answer_before_the_end_of_the_request_is_the_last() {
    run(async {
        let response = FixedResponse {
            status: 200,
            content_type: "text/plain".into(),
            body: "hello".into(),
        };
        let action = Action::FixedResponse(Box::new(response));
        let rig = Rig::start_with(Settings {
            action,
            ..Settings::default()
        })
        .await;
        let mut client = rig.client().await;
        client
            .send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            .await;
        let head = client.head().await;
        assert!(head.contains("Connection: close\r\n"), "{head}");
        client.expect("hello").await;
        client.expect_end().await;
        // What the client goes on sending does not take the answer back.
        client.send(vec![b'x'; 100_000]).await;
        client.close();
        until(|| rig.worker.open_connections() == 0).await;
    });
}

#[test]
fn an_idle_connection_is_small() {
    let serving = size_of::<crate::http::connection::Serving>();
    assert!(serving <= 232, "{serving} bytes");
    let exchange = size_of::<crate::http::exchange::Exchange>();
    assert!(
        exchange <= 704,
        "{exchange} bytes while a request is under way"
    );
}
