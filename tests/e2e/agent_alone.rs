//! An agent serves its last good snapshot whatever happens to its control plane.

use std::fs;
use std::path::{Path, PathBuf};

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, fixed, listener, shop};
use inlet_tests::ports::free_port;
use inlet_tests::{Origin, World, client};

#[tokio::test]
async fn an_agent_started_without_its_control_plane_serves_its_last_snapshot_and_catches_up_later()
{
    let mut world = World::start(&["edge-1"]).await;
    let origin = Origin::named("catalog").await;
    let port = free_port();
    world.apply(&shop(port, &[origin.port])).await;

    world.control_plane.kill().await;
    client::get(port, "/").await.expect(200).from("catalog");
    world.agent("edge-1").kill().await;
    world.agent("edge-1").restart();
    assert_eq!(
        world.agent("edge-1").ready().await,
        "ready: snapshot 1 in force\n"
    );
    client::get(port, "/").await.expect(200).from("catalog");

    world.control_plane.restart().await;
    world.connected("edge-1").await;
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, "caught up")),
        ]))
        .await;
    assert_eq!(client::get(port, "/").await.text(), "caught up");
}

#[tokio::test]
async fn a_damaged_snapshot_is_set_aside_and_a_complete_one_fetched() {
    let mut world = World::start(&["edge-1"]).await;
    let port = free_port();
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, "hello")),
        ]))
        .await;
    world.agent("edge-1").kill().await;

    let data = world.agent("edge-1").data();
    let snapshot = largest(&data);
    let mut bytes = fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&snapshot, &bytes).unwrap();

    world.agent("edge-1").restart();
    world.agent("edge-1").ready().await;
    eventually("the listener is served again", seconds(20), async || {
        client::try_get(port, "/").await
    })
    .await
    .expect(200);
    let kept: Vec<Vec<u8>> = files(&data)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(
        kept.contains(&bytes),
        "the damaged snapshot was not kept for inspection"
    );
    let said = world.agent("edge-1").process().stderr();
    assert!(
        said.contains("snapshot"),
        "nothing was said about the damage: {said}"
    );
}

#[tokio::test]
async fn a_damaged_snapshot_and_no_control_plane_serve_nothing_rather_than_something_wrong() {
    let mut world = World::start(&["edge-1"]).await;
    let port = free_port();
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, "hello")),
        ]))
        .await;
    world.control_plane.kill().await;
    world.agent("edge-1").kill().await;
    let snapshot = largest(&world.agent("edge-1").data());
    let bytes = fs::read(&snapshot).unwrap();
    fs::write(&snapshot, &bytes[..bytes.len() - 1]).unwrap();

    world.agent("edge-1").restart();
    let admin = world.agent("edge-1").admin;
    let ready = eventually("the agent answers", seconds(20), async || {
        client::try_get(admin, "/readyz").await
    })
    .await;
    assert_eq!(ready.status, 503, "{}", ready.text());
    assert_eq!(client::get(admin, "/healthz").await.status, 200);
    assert!(client::try_get(port, "/").await.is_none());
    world.control_plane.restart().await;
    eventually("the listener is served again", seconds(30), async || {
        client::try_get(port, "/").await
    })
    .await
    .expect(200);
}

#[tokio::test]
async fn a_control_plane_that_has_lost_its_data_takes_nothing_down_and_is_told_why() {
    let mut world = World::start(&["edge-1"]).await;
    let port = free_port();
    let page = |body| {
        documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, body)),
        ])
    };
    world.apply(&page("old")).await;
    world.apply(&page("good")).await;

    world.control_plane.stop().await;
    world.control_plane.move_data("empty");
    world.control_plane.restart().await;
    eventually("the agent refuses", seconds(30), async || {
        world.fleet_agent("edge-1").await?.last_refusal
    })
    .await;
    client::get(port, "/").await.expect(200);
    let why = ["refus", "revision 2 in force", "--data-dir"];
    for command in [&["agent", "list"][..], &["agent", "describe", "edge-1"]] {
        let output = world.lbctl(command).await.exits(0);
        let said = format!("{}{}", output.stdout, output.stderr);
        for text in why {
            assert!(
                said.contains(text),
                "{command:?}: '{text}' is not in {said}"
            );
        }
    }
    let (status, _) = world.agent("edge-1").page("/readyz").await;
    assert_eq!(status, 200);

    // Also after a restart of the agent.
    world.agent("edge-1").kill().await;
    world.agent("edge-1").restart();
    world.agent("edge-1").ready().await;
    assert_eq!(client::get(port, "/").await.text(), "good");

    // The right data again: nothing to do.
    world.control_plane.stop().await;
    world.control_plane.move_data("control-plane");
    world.control_plane.restart().await;
    world.in_force("edge-1", 2).await;
    assert_eq!(
        world.fleet_agent("edge-1").await.unwrap().last_refusal,
        None
    );

    // Or a new beginning, on purpose.
    world.control_plane.stop().await;
    world.control_plane.move_data("anew");
    world.control_plane.restart().await;
    world.connected("edge-1").await;
    world.apply(&page("new")).await;
    assert_eq!(world.revision().await, 1);
    assert_eq!(client::get(port, "/").await.text(), "new");
}

fn largest(folder: &Path) -> PathBuf {
    files(folder)
        .into_iter()
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .expect("a kept snapshot")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect()
}
