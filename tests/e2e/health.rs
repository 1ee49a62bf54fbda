//! Health: what a target answers decides whether it gets traffic, and anyone can see why.

use inlet_proto::v1::target_health::State;
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, forward, group, listener, shop, wire};
use inlet_tests::origin::echo::Echo;
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, Response, World, client};

/// Waits until a group's target on this port has this state, and returns the reason.
async fn becomes(world: &World, group: &str, port: u16, wanted: State) -> String {
    eventually(
        &format!("{port} of {group} becomes {wanted:?}"),
        seconds(40),
        async || {
            let name = format!("127.0.0.1:{port}");
            world
                .health(group)
                .await
                .into_iter()
                .find(|(target, state, _)| *target == name && *state == wanted)
                .map(|(_, _, reason)| reason)
        },
    )
    .await
}

/// Which of the origins answer twenty requests.
async fn answering<const N: usize>(port: u16, origins: [&str; N]) -> [usize; N] {
    let mut connection = Connection::open(port).await;
    let mut responses = Vec::new();
    for _ in 0..20 {
        responses.push(connection.get("/").await.expect(200));
    }
    Response::counts(&responses, origins)
}

#[tokio::test]
async fn traffic_leaves_an_unhealthy_target_with_its_reason_shown_and_comes_back() {
    let world = World::start(&["edge-1"]).await;
    let [one, two] = [Origin::named("one").await, Origin::named("two").await];
    let port = free_port();
    world.apply(&shop(port, &[one.port, two.port])).await;
    world.healthy("catalog").await;

    one.set_health(503);
    let reason = becomes(&world, "catalog", one.port, State::Unhealthy).await;
    assert_eq!(reason, "Target.ResponseCodeMismatch");
    let told = world.lbctl(&["target", "health", "catalog"]).await.exits(0);
    told.says(&[
        "unhealthy",
        "Target.ResponseCodeMismatch",
        "Health checks failed with these codes: [503]",
        "edge-1",
    ]);
    assert_eq!(answering(port, ["one", "two"]).await, [0, 20]);

    // Nobody healthy: everybody gets traffic again.
    two.set_health(500);
    becomes(&world, "catalog", two.port, State::Unhealthy).await;
    assert_eq!(answering(port, ["one", "two"]).await, [10, 10]);

    one.set_health(200);
    becomes(&world, "catalog", one.port, State::Healthy).await;
    assert_eq!(answering(port, ["one", "two"]).await, [20, 0]);
}

#[tokio::test]
async fn a_target_that_refuses_connections_fails_its_checks_and_traffic_moves() {
    let world = World::start(&["edge-1"]).await;
    let mut one = Origin::named("one").await;
    let two = Origin::named("two").await;
    let [port, tcp] = [free_port(), free_port()];
    let echo = Echo::tcp("echo").await;
    let nobody = free_port();
    world
        .apply(&documents(&[
            shop(port, &[one.port, two.port]),
            wire(tcp, &[echo.port, nobody]),
        ]))
        .await;
    world.healthy("catalog").await;

    one.stop().await;
    let reason = becomes(&world, "catalog", one.port, State::Unhealthy).await;
    assert_eq!(reason, "Target.FailedHealthChecks");
    assert_eq!(answering(port, ["one", "two"]).await, [0, 20]);
    // The same for a TCP group, found out by connecting.
    becomes(&world, "echo", nobody, State::Unhealthy).await;
    for _ in 0..10 {
        assert_eq!(
            Connection::open(tcp).await.bytes(15).await,
            b"hello from echo"
        );
    }
    one.restart().await;
    becomes(&world, "catalog", one.port, State::Healthy).await;
    assert_eq!(answering(port, ["one", "two"]).await, [10, 10]);
}

#[tokio::test]
async fn a_group_that_nobody_uses_is_unused_and_not_probed() {
    let world = World::start(&["edge-1"]).await;
    let (used, unused) = (Origin::named("used").await, free_port());
    let port = free_port();
    let manifest = [
        application("shop"),
        group("used", &[used.port]),
        group("unused", &[unused]),
        listener("shop/http", "HTTP", port, &forward("used")),
    ];
    world.apply(&documents(&manifest)).await;
    world.healthy("used").await;
    let health = world.health("unused").await;
    assert_eq!(
        health,
        [(
            format!("127.0.0.1:{unused}"),
            State::Unused,
            "Target.NotInUse".to_owned()
        )]
    );
    client::get(port, "/").await.expect(200).from("used");
}
