//! Targets come and go one by one, without disturbing the others.

use inlet_proto::v1::target_health::State;
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::shop;
use inlet_tests::origin::{Gate, Reply};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, World};

#[tokio::test]
async fn an_added_target_gets_traffic_and_a_removed_one_drains() {
    let world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let held = gate.clone();
    let one = Origin::named("one").await;
    let two = Origin::scripted("two", move |seen| match seen.target.as_str() {
        "/slow" => Reply::text(200, "late").after(&held),
        _ => Reply::text(200, "two"),
    })
    .await;
    let port = free_port();
    world.apply(&shop(port, &[one.port])).await;
    let mut steady = Connection::open(port).await;
    steady.get("/").await.expect(200).from("one");

    let address = format!("127.0.0.1:{}", two.port);
    world
        .lbctl(&["target", "add", "catalog", &address])
        .await
        .exits(0)
        .says(&["revision 2"]);
    eventually("the added target gets requests", seconds(20), async || {
        (steady.get("/").await.expect(200).header("x-origin") == Some("two")).then_some(())
    })
    .await;

    // Two requests at once, so that one of them waits at the second target.
    let mut waiting = [Connection::open(port).await, Connection::open(port).await];
    for connection in &mut waiting {
        connection
            .send("GET /slow HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n")
            .await;
    }
    eventually(
        "a request waits at the second target",
        seconds(10),
        async || {
            two.seen()
                .iter()
                .any(|seen| seen.target == "/slow")
                .then_some(())
        },
    )
    .await;
    world
        .lbctl(&["target", "remove", "catalog", &address])
        .await
        .exits(0)
        .says(&["revision 3"]);
    eventually("the removed target is draining", seconds(10), async || {
        world
            .health("catalog")
            .await
            .into_iter()
            .find(|(target, state, _)| *target == address && *state == State::Draining)
    })
    .await;
    world
        .lbctl(&["target", "health", "catalog"])
        .await
        .exits(0)
        .says(&["draining", "Target.DeregistrationInProgress"]);
    eventually(
        "nothing new goes to the removed target",
        seconds(10),
        async || {
            (steady.get("/").await.expect(200).header("x-origin") == Some("one")).then_some(())
        },
    )
    .await;
    for _ in 0..10 {
        steady.get("/").await.expect(200).from("one");
    }
    gate.open();
    for connection in &mut waiting {
        connection.response().await.expect(200);
    }
}

#[tokio::test]
async fn a_busy_target_is_left_alone_under_least_outstanding_requests() {
    let world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let origin = |name: &'static str| {
        let held = gate.clone();
        Origin::scripted(name, move |seen| match seen.target.as_str() {
            "/held" => Reply::text(200, name).after(&held),
            _ => Reply::text(200, name),
        })
    };
    let [one, two] = [origin("one").await, origin("two").await];
    let port = free_port();
    let algorithm = "protocol: HTTP\nalgorithm: LEAST_OUTSTANDING_REQUESTS\n";
    let manifest = shop(port, &[one.port, two.port]);
    world
        .apply(&manifest.replacen("protocol: HTTP\n", algorithm, 1))
        .await;
    world.healthy("catalog").await;
    let mut busy = Connection::open(port).await;
    busy.send("GET /held HTTP/1.1\r\nHost: a.b\r\n\r\n").await;
    eventually("the request waits at a target", seconds(10), async || {
        (one.seen().len() + two.seen().len() == 1).then_some(())
    })
    .await;
    let mut idle = Connection::open(port).await;
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(idle.get("/").await.expect(200).text());
    }
    gate.open();
    let held = busy.response().await.expect(200).text();
    assert!(
        others.iter().all(|other| *other != held),
        "{held}: {others:?}"
    );
}

#[tokio::test]
async fn a_request_at_a_removed_target_ends_with_502_when_the_delay_is_over() {
    let world = World::start(&["edge-1"]).await;
    let gate = Gate::closed();
    let held = gate.clone();
    let slow = Origin::scripted("slow", move |_| Reply::text(200, "late").after(&held)).await;
    let port = free_port();
    let quick = "protocol: HTTP\nderegistrationDelay: 1s\n";
    world
        .apply(&shop(port, &[slow.port]).replacen("protocol: HTTP\n", quick, 1))
        .await;
    let mut connection = Connection::open(port).await;
    connection.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").await;
    eventually("the request waits at the target", seconds(10), async || {
        (!slow.seen().is_empty()).then_some(())
    })
    .await;
    world
        .lbctl(&[
            "target",
            "remove",
            "catalog",
            &format!("127.0.0.1:{}", slow.port),
        ])
        .await
        .exits(0);
    connection.response().await.expect(502);
    eventually("the target is gone", seconds(10), async || {
        world.health("catalog").await.is_empty().then_some(())
    })
    .await;
    Connection::open(port).await.get("/").await.expect(503);
}

#[tokio::test]
async fn registrations_survive_an_apply_without_targets_and_end_with_one_that_gives_the_whole_set()
{
    let world = World::start(&[]).await;
    let group = "kind: TargetGroup\nname: catalog\nprotocol: HTTP\nport: 9001\n";
    let names = async || {
        let listed = world
            .lbctl(&["get", "targets", "-o", "name"])
            .await
            .exits(0);
        listed
            .stdout
            .lines()
            .map(|line| line.rsplit('/').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    world.try_apply(group, &[]).await.exits(0);
    world
        .lbctl(&["target", "add", "catalog", "127.0.0.1"])
        .await
        .exits(0);
    world
        .lbctl(&["target", "add", "catalog", "127.0.0.2:81"])
        .await
        .exits(0);
    world
        .try_apply(&format!("{group}deregistrationDelay: 5s\n"), &[])
        .await
        .exits(0);
    assert_eq!(names().await, ["127.0.0.1:9001", "127.0.0.2:81"]);
    world
        .try_apply(&format!("{group}targets: [{{address: 127.0.0.3}}]\n"), &[])
        .await
        .exits(0);
    assert_eq!(names().await, ["127.0.0.3:9001"]);
    world
        .try_apply(&format!("{group}targets: []\n"), &[])
        .await
        .exits(0);
    assert!(names().await.is_empty());
    world
        .lbctl(&["target", "remove", "catalog", "127.0.0.9"])
        .await
        .exits(1)
        .complains(&["127.0.0.9:9001"]);
}
