//! Listeners are added, moved and removed without touching the connections of the others.

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, fixed, forward, group, listener};
use inlet_tests::origin::{Gate, Reply};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, World, client};

#[tokio::test]
async fn a_listener_is_added_moved_and_removed_while_the_other_keeps_its_connections() {
    let world = World::start(&["edge-1"]).await;
    let [steady, first, second] = [free_port(), free_port(), free_port()];
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/steady", "HTTP", steady, &fixed(200, "steady")),
        ]))
        .await;
    let mut connection = Connection::open(steady).await;
    connection.get("/").await.expect(200);

    world
        .apply(&listener("shop/moving", "HTTP", first, &fixed(200, "here")))
        .await;
    assert_eq!(client::get(first, "/").await.text(), "here");
    assert_eq!(connection.get("/").await.text(), "steady");

    world
        .apply(&listener(
            "shop/moving",
            "HTTP",
            second,
            &fixed(200, "there"),
        ))
        .await;
    assert_eq!(client::get(second, "/").await.text(), "there");
    closed(first).await;
    assert_eq!(connection.get("/").await.text(), "steady");

    world
        .lbctl(&["delete", "listener", "shop/moving"])
        .await
        .exits(0)
        .says(&["deleted Listener/shop/moving"]);
    closed(second).await;
    assert_eq!(connection.get("/").await.text(), "steady");
    assert!(connection.is_open());
}

/// Waits until nobody listens on a port.
async fn closed(port: u16) {
    eventually(&format!("port {port} is closed"), seconds(10), async || {
        Connection::try_open(port).await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_on_a_removed_listener_is_finished_and_idle_connections_end() {
    let world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::scripted("slow", move |seen| match seen.target.as_str() {
        "/slow" => Reply::text(200, "late").after(&held),
        _ => Reply::text(200, "soon"),
    })
    .await;
    let port = free_port();
    world
        .apply(&documents(&[
            application("shop"),
            group("slow", &[origin.port]),
            listener("shop/http", "HTTP", port, &forward("slow")),
        ]))
        .await;
    let mut idle = Connection::open(port).await;
    idle.get("/").await.expect(200);
    let mut busy = Connection::open(port).await;
    busy.send("GET /slow HTTP/1.1\r\nHost: a.b\r\n\r\n").await;
    eventually("the request waits at the target", seconds(10), async || {
        origin
            .seen()
            .iter()
            .any(|seen| seen.target == "/slow")
            .then_some(())
    })
    .await;

    world
        .lbctl(&["delete", "load-balancer", "shop"])
        .await
        .exits(0)
        .says(&["deleted LoadBalancer/shop", "deleted Listener/shop/http"]);
    assert!(idle.rest().await.unwrap().is_empty());
    closed(port).await;
    gate.open();
    let response = busy.response().await.expect(200);
    assert_eq!(
        (response.text().as_str(), response.header("connection")),
        ("late", Some("close"))
    );
    assert!(busy.rest().await.unwrap().is_empty());
}
