//! What an agent cannot put in force it refuses with reasons, and goes on with what it has.

use std::net::TcpListener;

use inlet_tests::manifest::{application, documents, fixed, listener};
use inlet_tests::ports::free_port;
use inlet_tests::{World, client};

#[tokio::test]
async fn a_port_taken_on_the_agents_host_is_told_to_the_waiting_user_and_the_old_table_serves_on() {
    let world = World::start(&["edge-1"]).await;
    let [port, taken] = [free_port(), free_port()];
    let page = |body| {
        documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, body)),
        ])
    };
    world.apply(&page("old")).await;

    let somebody = TcpListener::bind(("127.0.0.1", taken)).unwrap();
    let wanted = documents(&[
        page("new"),
        listener("shop/other", "HTTP", taken, &fixed(200, "other")),
    ]);
    let output = world.try_apply(&wanted, &["--wait=20s"]).await.exits(1);
    for text in ["edge-1", "shop/other", "in use"] {
        assert!(
            output.stderr.contains(text),
            "'{text}' is not in {}",
            output.stderr
        );
    }
    // All of the revision or nothing of it: the page that could have been changed was not.
    assert_eq!(client::get(port, "/").await.text(), "old");
    let agent = world.fleet_agent("edge-1").await.unwrap();
    assert_eq!((agent.revision_in_force, agent.revision_wanted), (1, 2));
    assert_eq!(agent.last_refusal.unwrap().revision, 2);
    world
        .lbctl(&["agent", "describe", "edge-1"])
        .await
        .exits(0)
        .says(&["shop/other", "in use"]);

    drop(somebody);
    world
        .apply(&documents(&[
            page("newer"),
            listener("shop/other", "HTTP", taken, &fixed(200, "other")),
        ]))
        .await;
    assert_eq!(client::get(port, "/").await.text(), "newer");
    assert_eq!(client::get(taken, "/").await.text(), "other");
    assert_eq!(
        world.fleet_agent("edge-1").await.unwrap().last_refusal,
        None
    );
}

#[tokio::test]
async fn two_agents_on_one_host_do_not_share_a_port_silently() {
    let mut world = World::start(&["edge-1"]).await;
    let port = free_port();
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, "hello")),
        ]))
        .await;
    world.add_agent("edge-2", &[]);
    world.connected("edge-2").await;
    let output = world
        .try_apply(
            &documents(&[
                application("shop"),
                listener("shop/http", "HTTP", port, &fixed(200, "again")),
            ]),
            &["--wait=20s"],
        )
        .await;
    output.exits(1).complains(&["edge-2", "in use"]);
    assert_eq!(client::get(port, "/").await.text(), "again");
}

#[tokio::test]
async fn a_load_balancer_that_no_agent_serves_is_told_to_the_waiting_user() {
    let world = World::start(&["edge-1 zone=a"]).await;
    let placed = |zone| format!("{}placement: {{zone: {zone}}}\n", application("shop"));
    let output = world.apply(&placed("z")).await;
    output.complains(&["LoadBalancer/shop", "no connected agent", "placement"]);
    let output = world.apply(&placed("a")).await;
    assert_eq!(output.stderr, "");
}
