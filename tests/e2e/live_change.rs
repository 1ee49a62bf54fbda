//! A change under load hurts nobody: no request fails, no connection of others ends, nobody sees a mixture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{
    application, documents, fixed, forward, group, listener, rule, tcp_group, wire,
};
use inlet_tests::origin::echo::Echo;
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, World};
use tokio_tungstenite::tungstenite::Message;

use crate::websocket::Talk;

const CHANGES: usize = 200;

#[tokio::test]
async fn two_hundred_changes_under_load_fail_no_request_and_end_no_connection() {
    let world = World::start(&["edge-1"]).await;
    let [one, two] = [Origin::named("one").await, Origin::named("two").await];
    let [chat, echo] = [Echo::websocket().await, Echo::tcp("echo").await];
    let [port, tcp, other] = [free_port(), free_port(), free_port()];
    let chat_group = tcp_group("chat", &[chat.port]).replace("TCP", "HTTP");
    world
        .apply(&documents(&[
            application("shop"),
            group("catalog", &[one.port]),
            chat_group,
            listener("shop/http", "HTTP", port, &forward("catalog")),
            rule(
                "shop/http/chat",
                1,
                "{pathPattern: {values: [/chat]}}",
                &forward("chat"),
            ),
            rule(
                "shop/http/page",
                2,
                "{pathPattern: {values: [/page]}}",
                &fixed(200, "\"0\""),
            ),
            wire(tcp, &[echo.port]),
        ]))
        .await;
    let mut talk = Talk::open(port).await;
    let mut relay = Connection::open(tcp).await;
    relay.bytes(16).await;

    let load = Load::start(port);
    for change in 1..=CHANGES {
        let targets = if change % 2 == 0 {
            vec![one.port]
        } else {
            vec![one.port, two.port]
        };
        let mut changed = vec![
            group("catalog", &targets),
            rule(
                "shop/http/page",
                2,
                "{pathPattern: {values: [/page]}}",
                &fixed(200, &format!("\"{change}\"")),
            ),
        ];
        if change % 20 == 0 {
            changed.push(listener(
                "shop/other",
                "HTTP",
                other,
                &fixed(200, &format!("\"{change}\"")),
            ));
        }
        world.apply_directly(&documents(&changed)).await;
        if change % 20 == 10 && change > 20 {
            world.delete_directly("Listener", "shop/other").await;
        }
        if change % 50 == 0 {
            talk.echoes(Message::text(format!("change {change}"))).await;
            relay.send("ping").await;
            assert_eq!(relay.bytes(4).await, b"ping");
        }
    }
    eventually("the last change is in force", seconds(30), async || {
        let page = Connection::open(port)
            .await
            .get("/page")
            .await
            .expect(200)
            .text();
        (page == CHANGES.to_string()).then_some(())
    })
    .await;
    let requests = load.stop().await;
    assert!(requests > CHANGES, "only {requests} requests");
    talk.echoes(Message::text("still here")).await;
    relay.send("ping").await;
    assert_eq!(relay.bytes(4).await, b"ping");
}

/// Clients that ask on and on; the first answer that is not as it should be fails the test.
struct Load {
    stop: Arc<AtomicBool>,
    requests: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            requests: Arc::default(),
            clients: Vec::new(),
        };
        for number in 0..6 {
            let (stop, requests) = (Arc::clone(&load.stop), Arc::clone(&load.requests));
            load.clients.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    requests.fetch_add(
                        if number < 4 {
                            keeping(port, &stop).await
                        } else {
                            fresh(port).await
                        },
                        Ordering::Relaxed,
                    );
                }
            }));
        }
        load
    }

    /// Stops, and says how many requests were answered well.
    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("no request failed");
        }
        self.requests.load(Ordering::Relaxed)
    }
}

/// One connection for many requests: what it sees never goes back to an older revision.
async fn keeping(port: u16, stop: &AtomicBool) -> usize {
    let mut connection = Connection::open(port).await;
    let (mut newest, mut count) = (0, 0);
    while count < 500 && !stop.load(Ordering::Relaxed) {
        connection.get("/").await.expect(200);
        let page: usize = connection
            .get("/page")
            .await
            .expect(200)
            .text()
            .parse()
            .unwrap();
        assert!(page >= newest, "page {page} after page {newest}");
        (newest, count) = (page, count + 2);
    }
    count
}

/// A connection for each request.
async fn fresh(port: u16) -> usize {
    inlet_tests::client::get(port, "/").await.expect(200);
    1
}
