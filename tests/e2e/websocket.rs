//! WebSocket connections go through, and stay.

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{documents, fixed, listener, shop};
use inlet_tests::origin::echo::Echo;
use inlet_tests::ports::free_port;
use inlet_tests::{Origin, Talk, World};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{self, Message};

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
    talk.close().await;
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
            inlet_tests::client::get(other, "/").await.text(),
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
