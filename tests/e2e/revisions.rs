//! Every accepted change is a revision that can be shown, compared, watched and gone back to.

use inlet_proto::v1;
use inlet_tests::eventually::seconds;
use inlet_tests::manifest::{application, documents, fixed, listener};
use inlet_tests::ports::free_port;
use inlet_tests::{World, client};
use tokio::time::timeout;
use tonic::Code;

fn page(port: u16, body: &str) -> String {
    documents(&[
        application("shop"),
        listener("shop/http", "HTTP", port, &fixed(200, body)),
    ])
}

#[tokio::test]
async fn history_tells_who_changed_what_and_rollback_brings_it_back_to_the_agents() {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    world
        .apply(&page(port, "first"))
        .await
        .says(&["revision 1"]);
    world.apply(&page(port, "second")).await.says(&[
        "changed Listener/shop/http",
        "unchanged LoadBalancer/shop",
        "revision 2",
    ]);
    assert_eq!(client::get(port, "/").await.text(), "second");

    world.lbctl(&["history"]).await.exits(0).says(&["1", "2"]);
    world
        .lbctl(&["history", "show", "2"])
        .await
        .exits(0)
        .says(&["Listener/shop/http", "first", "second"]);
    world
        .lbctl(&["diff", "1", "2"])
        .await
        .exits(0)
        .says(&["-", "first", "+", "second"]);

    world
        .lbctl(&["rollback", "1"])
        .await
        .exits(0)
        .says(&["changed Listener/shop/http", "revision 3"]);
    inlet_tests::eventually("the first page is served again", seconds(10), async || {
        (client::get(port, "/").await.text() == "first").then_some(())
    })
    .await;
    let history = world
        .configuration()
        .history(v1::HistoryRequest::default())
        .await
        .unwrap()
        .into_inner();
    let numbers: Vec<u64> = history
        .revisions
        .iter()
        .map(|revision| revision.revision)
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert_eq!(history.revisions[0].message, "rollback to 1");
    assert!(
        history
            .revisions
            .iter()
            .all(|revision| !revision.author.is_empty() && revision.time.is_some())
    );
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_revision() {
    let world = World::start(&[]).await;
    world.try_apply(&page(8080, "hello"), &[]).await.exits(0);
    world
        .try_apply(&page(8080, "hello"), &[])
        .await
        .exits(0)
        .says(&["unchanged Listener/shop/http"]);
    assert_eq!(world.revision().await, 1);
}

#[tokio::test]
async fn a_revision_that_is_not_kept_cannot_be_gone_back_to() {
    let world = World::start(&[]).await;
    world
        .lbctl(&["rollback", "99"])
        .await
        .exits(1)
        .complains(&["99"]);
}

#[tokio::test]
async fn a_watch_resumes_where_it_ended() {
    let mut world = World::start(&[]).await;
    for body in ["one", "two", "three"] {
        world.try_apply(&page(8080, body), &[]).await.exits(0);
    }
    assert_eq!(watched(&world, 1, 2).await, [2, 3]);
    world.control_plane.kill().await;
    world.control_plane.restart().await;
    world.try_apply(&page(8080, "four"), &[]).await.exits(0);
    assert_eq!(watched(&world, 2, 2).await, [3, 4]);
}

/// The numbers of the first `count` revisions that a watch gives after `after`.
async fn watched(world: &World, after: u64, count: usize) -> Vec<u64> {
    let request = v1::WatchRequest {
        after_revision: Some(after),
        kinds: Vec::new(),
    };
    let mut stream = world
        .configuration()
        .watch(request)
        .await
        .unwrap()
        .into_inner();
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let revision = timeout(seconds(10), stream.message())
            .await
            .expect("a revision")
            .unwrap()
            .expect("no end");
        numbers.push(revision.revision);
    }
    numbers
}

#[tokio::test]
async fn a_change_that_expects_another_revision_is_aborted() {
    let world = World::start(&[]).await;
    world.try_apply(&page(8080, "one"), &[]).await.exits(0);
    let group = v1::TargetGroup {
        name: "catalog".to_owned(),
        protocol: v1::Protocol::Http.into(),
        port: 9001,
        ..Default::default()
    };
    let upsert = v1::Upsert {
        resource: Some(group.into()),
        ..Default::default()
    };
    let request = |expected| v1::ApplyRequest {
        upserts: vec![upsert.clone()],
        expected_revision: Some(expected),
        ..Default::default()
    };

    let refused = world
        .configuration()
        .apply(request(7))
        .await
        .expect_err("another revision was expected");
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    let applied = world
        .configuration()
        .apply(request(1))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((applied.revision, applied.committed), (2, true));
}
