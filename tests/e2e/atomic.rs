//! A change is admitted whole or refused whole, with every reason at once.

use inlet_tests::manifest::{
    application, documents, fixed, forward, group, listener, network, rule, shop, tcp_group,
};
use inlet_tests::ports::free_port;
use inlet_tests::{World, client};

/// Applies a bad manifest: it must be refused with all of `reasons`, and store nothing.
async fn refused(world: &World, manifest: &str, reasons: &[&str]) {
    let before = world.revision().await;
    world
        .try_apply(manifest, &[])
        .await
        .exits(1)
        .complains(reasons);
    assert_eq!(
        world.revision().await,
        before,
        "a refused change made a revision"
    );
}

#[tokio::test]
async fn a_bad_document_among_good_ones_stores_nothing() {
    let world = World::start(&[]).await;
    let good = documents(&[
        application("shop"),
        listener("shop/http", "HTTP", 8080, &fixed(200, "hello")),
    ]);
    let bad = rule(
        "shop/http/catalog",
        50_001,
        "{pathPattern: {values: [\"/a\"]}}",
        &fixed(200, "a"),
    );
    refused(
        &world,
        &documents(&[good, bad]),
        &["shop.yaml:", "Rule shop/http/catalog", "priority"],
    )
    .await;
    world
        .lbctl(&["get", "load-balancer", "shop"])
        .await
        .exits(1);
}

#[tokio::test]
async fn mistakes_are_reported_all_at_once_with_file_line_and_near_miss() {
    let world = World::start(&[]).await;
    let manifest = "\
kind: LoadBalancer
name: shop
type: APPLICATION
adresses: [127.0.0.1]
---
kind: TargetGrup
name: catalog
---
kind: Listener
name: http
loadBalancer: shop
protocol: HTTP
port: 70000
defaultActions: [{fixedResponse: {statusCode: 300}}]
";
    let reasons = [
        "shop.yaml:4: LoadBalancer shop: ",
        "'adresses'",
        "'addresses'",
        "shop.yaml:6: ",
        "'TargetGrup'",
        "'TargetGroup'",
        "shop.yaml:13: Listener shop/http: port",
        "shop.yaml:14: Listener shop/http: defaultActions[0].fixedResponse.statusCode",
    ];
    refused(&world, manifest, &reasons).await;
}

#[tokio::test]
async fn a_reference_to_something_missing_names_both_ends() {
    let world = World::start(&[]).await;
    let manifest = documents(&[
        application("shop"),
        listener("shop/http", "HTTP", 8080, &forward("nowhere")),
        rule(
            "shop/https/lost",
            1,
            "{pathPattern: {values: [\"/a\"]}}",
            &fixed(200, "a"),
        ),
    ]);
    refused(
        &world,
        &manifest,
        &["shop/http", "nowhere", "shop/https/lost", "shop/https"],
    )
    .await;
}

#[tokio::test]
async fn two_listeners_on_one_port_of_one_agent_are_refused_and_apart_they_are_not() {
    let world = World::start(&[]).await;
    let clash = documents(&[
        application("shop"),
        network("wire"),
        tcp_group("echo", &[9]),
        listener("shop/http", "HTTP", 8080, &fixed(200, "a")),
        listener("wire/tcp", "TCP", 8080, &forward("echo")),
    ]);
    refused(&world, &clash, &["8080", "shop/http", "wire/tcp"]).await;

    let apart = clash.replacen("name: shop\n", "name: shop\nplacement: {zone: a}\n", 1);
    let apart = apart.replacen(
        "name: wire\ntype: NETWORK\naddresses: [127.0.0.1]",
        "name: wire\ntype: NETWORK\naddresses: [127.0.0.2]",
        1,
    );
    world.try_apply(&apart, &[]).await.exits(0);
}

#[tokio::test]
async fn a_priority_is_given_once_per_listener() {
    let world = World::start(&[]).await;
    let path = "{pathPattern: {values: [\"/a\"]}}";
    let manifest = documents(&[
        application("shop"),
        listener("shop/http", "HTTP", 8080, &fixed(200, "a")),
        rule("shop/http/one", 7, path, &fixed(200, "one")),
        rule("shop/http/two", 7, path, &fixed(200, "two")),
    ]);
    refused(&world, &manifest, &["shop/http/one", "shop/http/two", "7"]).await;
}

#[tokio::test]
async fn what_is_referred_to_cannot_be_deleted() {
    let world = World::start(&[]).await;
    world.try_apply(&shop(8080, &[9001]), &[]).await.exits(0);
    let output = world.lbctl(&["delete", "target-group", "catalog"]).await;
    output.exits(1).complains(&["catalog", "shop/http"]);
    world
        .lbctl(&["get", "target-group", "catalog"])
        .await
        .exits(0);
}

#[tokio::test]
async fn what_is_protected_cannot_be_deleted() {
    let world = World::start(&[]).await;
    world
        .try_apply(
            &format!("{}deletionProtection: true\n", application("shop")),
            &[],
        )
        .await
        .exits(0);
    world
        .lbctl(&["delete", "load-balancer", "shop"])
        .await
        .exits(1)
        .complains(&["shop", "protect"]);
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen_and_keeps_nothing() {
    let world = World::start(&[]).await;
    let output = world.try_apply(&shop(8080, &[9001]), &["--dry-run"]).await;
    output
        .exits(0)
        .says(&["created LoadBalancer/shop", "created Listener/shop/http"]);
    assert_eq!(world.revision().await, 0);
}

#[tokio::test]
async fn prune_deletes_what_the_manifest_does_not_have() {
    let world = World::start(&["edge-1"]).await;
    let port = free_port();
    let shop = documents(&[
        application("shop"),
        listener("shop/http", "HTTP", port, &fixed(200, "hello")),
    ]);
    world
        .apply(&documents(&[shop.clone(), group("catalog", &[9001])]))
        .await;
    let output = world.try_apply(&shop, &["--prune", "--wait"]).await;
    output
        .exits(0)
        .says(&["unchanged LoadBalancer/shop", "deleted TargetGroup/catalog"]);
    client::get(port, "/").await.expect(200);
    world
        .lbctl(&["get", "target-group", "catalog"])
        .await
        .exits(1);
}

#[tokio::test]
async fn what_is_not_served_yet_is_refused_and_not_ignored() {
    let world = World::start(&[]).await;
    let manifest = documents(&[
        application("shop"),
        listener("shop/https", "HTTPS", 8443, &fixed(200, "a")),
    ]);
    refused(
        &world,
        &manifest,
        &["shop.yaml:", "Listener shop/https", "not supported yet"],
    )
    .await;
}
