//! WebSocket connections go through, and stay.

use futures_util::{SinkExt as _, StreamExt as _};
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{documents, fixed, listener, shop};
use inlet_tests::origin::echo::Echo;
use inlet_tests::ports::free_port;
use inlet_tests::{Origin, World, client};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// A WebSocket client that says something and expects the same back.
#[derive(Debug)]
pub(crate) struct Talk(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Talk {
    pub(crate) async fn open(port: u16) -> Self {
        let (socket, response) = connect_async(format!("ws://127.0.0.1:{port}/chat"))
            .await
            .unwrap();
        assert_eq!(response.status(), 101);
        Self(socket)
    }

    pub(crate) async fn echoes(&mut self, message: Message) {
        self.0.send(message.clone()).await.unwrap();
        let echo = timeout(seconds(20), self.0.next())
            .await
            .expect("an echo")
            .expect("no end")
            .unwrap();
        assert!(echo == message, "another message came back");
    }
}

#[tokio::test]
async fn messages_of_all_sizes_go_both_ways() {
    let world = World::start(&["edge-1"]).await;
    let echo = Echo::websocket().await;
    let port = free_port();
    world.apply(&shop(port, &[echo.port])).await;

    let mut talk = Talk::open(port).await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        talk.echoes(Message::text("x".repeat(size))).await;
        talk.echoes(Message::binary(vec![7; size])).await;
    }
    talk.0.close(None).await.unwrap();
    eventually("the target's side ends too", seconds(10), async || {
        (echo.open() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn open_connections_survive_unrelated_changes() {
    let world = World::start(&["edge-1"]).await;
    let echo = Echo::websocket().await;
    let [port, other] = [free_port(), free_port()];
    world.apply(&shop(port, &[echo.port])).await;
    let mut talks = [
        Talk::open(port).await,
        Talk::open(port).await,
        Talk::open(port).await,
    ];
    for round in 0..5 {
        let page = fixed(200, &format!("round-{round}"));
        world
            .apply(&documents(&[listener("shop/other", "HTTP", other, &page)]))
            .await;
        assert_eq!(
            client::get(other, "/").await.text(),
            format!("round-{round}")
        );
        for talk in &mut talks {
            talk.echoes(Message::text(format!("round {round}"))).await;
        }
    }
}

#[tokio::test]
async fn a_target_that_does_not_upgrade_answers_as_always() {
    let world = World::start(&["edge-1"]).await;
    let origin = Origin::named("plain").await;
    let port = free_port();
    world.apply(&shop(port, &[origin.port])).await;
    match connect_async(format!("ws://127.0.0.1:{port}/chat")).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 200),
        other => panic!("{other:?}"),
    }
    let seen = origin.only_seen();
    assert_eq!(
        seen.header("upgrade").map(str::to_lowercase),
        Some("websocket".into())
    );
    assert!(
        seen.header("connection")
            .is_some_and(|value| value.to_lowercase().contains("upgrade")),
        "{}",
        seen.head
    );
}
