//! SIGTERM: accept nothing new, finish what is under way, end with 0.

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{documents, shop, wire};
use inlet_tests::origin::echo::Echo;
use inlet_tests::origin::{Gate, Reply};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, World};

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_agent_ends() {
    let mut world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let held = gate.clone();
    let origin = Origin::scripted("slow", move |seen| match seen.target.as_str() {
        "/slow" => Reply::text(200, "late").after(&held),
        _ => Reply::text(200, "soon"),
    })
    .await;
    let port = free_port();
    world.apply(&shop(port, &[origin.port])).await;
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

    world.agent("edge-1").process().terminate();
    assert!(
        idle.rest().await.unwrap().is_empty(),
        "an idle connection ends at once"
    );
    eventually("nothing new is accepted", seconds(10), async || {
        Connection::try_open(port).await.is_none().then_some(())
    })
    .await;
    gate.open();
    assert_eq!(busy.response().await.expect(200).text(), "late");
    assert_eq!(world.agent("edge-1").ended().await, Some(0));
}

#[tokio::test]
async fn draining_is_bounded_by_its_timeout() {
    let mut world = World::start(&[]).await;
    world.add_agent("edge-1", &["--drain-timeout", "1s"]);
    world.connected("edge-1").await;
    let echo = Echo::tcp("echo").await;
    let port = free_port();
    world.apply(&documents(&[wire(port, &[echo.port])])).await;
    let mut connection = Connection::open(port).await;
    connection.bytes(16).await;
    world.agent("edge-1").process().terminate();
    connection.send("still served while draining").await;
    assert_eq!(connection.bytes(27).await, b"still served while draining");
    assert_eq!(world.agent("edge-1").ended().await, Some(0));
    let _ = connection.rest().await;
}

#[tokio::test]
async fn an_agent_that_has_nothing_to_do_ends_at_once_with_0() {
    let mut world = World::start(&["edge-1"]).await;
    assert_eq!(world.agent("edge-1").stop().await, Some(0));
    eventually("the control plane knows", seconds(10), async || {
        (!world.fleet_agent("edge-1").await.unwrap().connected).then_some(())
    })
    .await;
    world
        .lbctl(&["agent", "list"])
        .await
        .exits(0)
        .says(&["edge-1"]);
}
