//! `kill -9` of the control plane at any moment loses nothing that was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, fixed, listener};
use inlet_tests::ports::free_port;
use inlet_tests::{World, client};
use tonic::transport::{Channel, Endpoint};

#[tokio::test]
async fn an_acknowledged_change_is_there_after_kill_9_and_agents_go_on_with_it() {
    let mut world = World::start(&["edge-1"]).await;
    let port = free_port();
    let page = |body| {
        documents(&[
            application("shop"),
            listener("shop/http", "HTTP", port, &fixed(200, body)),
        ])
    };
    world.apply(&page("before")).await;
    world.try_apply(&page("after"), &[]).await.exits(0);
    world.control_plane.kill().await;
    client::get(port, "/").await.expect(200);

    world.control_plane.restart().await;
    assert_eq!(world.revision().await, 2);
    world
        .lbctl(&["get", "listener", "shop/http", "-o", "yaml"])
        .await
        .exits(0)
        .says(&["after"]);
    eventually(
        "the agent has the acknowledged change",
        seconds(20),
        async || (client::get(port, "/").await.text() == "after").then_some(()),
    )
    .await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_killed_amid_concurrent_changes() {
    const WRITERS: usize = 8;
    let mut world = World::start(&[]).await;
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                tokio::spawn(write(
                    world.control_plane.url(),
                    format!("g{round}-{writer}"),
                    Arc::clone(&stop),
                    Arc::clone(&count),
                ))
            })
            .collect();
        eventually("some changes are acknowledged", seconds(30), async || {
            (count.load(Ordering::Relaxed) >= 40 * (round + 1)).then_some(())
        })
        .await;
        world.control_plane.kill().await;
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        world.control_plane.restart().await;
        all_there(&world, &acknowledged).await;
    }
}

/// Creates one target group after the other; returns (revision, name) of those that were acknowledged.
async fn write(
    url: String,
    name: String,
    stop: Arc<AtomicBool>,
    count: Arc<std::sync::atomic::AtomicUsize>,
) -> Vec<(u64, String)> {
    let channel: Channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    let mut configuration = ConfigurationClient::new(channel);
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let name = format!("{name}-{number}");
        let group = v1::TargetGroup {
            name: name.clone(),
            protocol: v1::Protocol::Http.into(),
            port: 80,
            ..Default::default()
        };
        let upsert = v1::Upsert {
            resource: Some(group.into()),
            ..Default::default()
        };
        let request = v1::ApplyRequest {
            upserts: vec![upsert],
            ..Default::default()
        };
        match configuration.apply(request).await {
            Ok(response) => acknowledged.push((response.into_inner().revision, name)),
            Err(_) => break,
        }
        count.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

/// Every acknowledged group is there, was made by the revision that was told, and no revision was given out twice.
async fn all_there(world: &World, acknowledged: &[(u64, String)]) {
    let mut revisions: Vec<u64> = acknowledged.iter().map(|(revision, _)| *revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(
        revisions.len(),
        acknowledged.len(),
        "a revision was given out twice"
    );
    let mut there = std::collections::HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRequest {
            kind: "TargetGroup".to_owned(),
            page_size: 1000,
            page_token,
            ..Default::default()
        };
        let page = world
            .configuration()
            .list(request)
            .await
            .unwrap()
            .into_inner();
        there.extend(
            page.resources
                .iter()
                .map(|group| (group.key().unwrap().name, group.revision())),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    for (revision, name) in acknowledged {
        assert_eq!(
            there.get(name),
            Some(revision),
            "{name} of revision {revision} is lost"
        );
    }
}

#[tokio::test]
async fn sigterm_ends_the_control_plane_cleanly() {
    let mut world = World::start(&["edge-1"]).await;
    world.try_apply(&application("shop"), &[]).await.exits(0);
    assert_eq!(world.control_plane.stop().await, Some(0));
    world.control_plane.restart().await;
    assert_eq!(world.revision().await, 1);
}
