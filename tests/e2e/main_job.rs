//! The main job: a change travels from `lbctl` to the agents, and traffic flows.

use inlet_tests::manifest::{application, documents, fixed, forward, group, listener, rule, shop};
use inlet_tests::ports::free_port;
use inlet_tests::{Connection, Origin, Response, World, client};

#[tokio::test]
async fn a_change_travels_to_two_agents_by_zone_and_traffic_flows() {
    let mut world = World::start(&["edge-1 zone=a", "edge-2 zone=b"]).await;
    let [north, south] = [Origin::named("north").await, Origin::named("south").await];
    let port = free_port();
    let zone = |name: &str, zone: &str, address: &str| {
        format!(
            "kind: LoadBalancer\nname: {name}\ntype: APPLICATION\nplacement: {{zone: {zone}}}\naddresses: [{address}]\n"
        )
    };
    let output = world
        .apply(&documents(&[
            zone("north", "a", "127.0.0.1"),
            zone("south", "b", "127.0.0.2"),
            group("north", &[north.port]),
            group("south", &[south.port]),
            listener("north/http", "HTTP", port, &forward("north")),
            listener("south/http", "HTTP", port, &forward("south")),
        ]))
        .await;
    output.says(&[
        "created LoadBalancer/north",
        "created TargetGroup/south",
        "created Listener/south/http",
    ]);

    // `--wait` came back: no further waiting.
    for (address, name) in [("127.0.0.1", "north"), ("127.0.0.2", "south")] {
        Connection::open_at(address, port)
            .await
            .get("/")
            .await
            .expect(200)
            .from(name);
    }
    assert!(world.agent("edge-1").ready().await.ends_with("in force\n"));
    for (name, other) in [("edge-1", "south/http"), ("edge-2", "north/http")] {
        let (status, config) = world.agent(name).page("/config").await;
        assert_eq!(status, 200);
        assert!(
            !config.contains(other),
            "{name} has what is placed elsewhere: {config}"
        );
    }
}

#[tokio::test]
async fn redirects_and_fixed_responses_answer_as_configured() {
    let world = World::start(&["edge-1"]).await;
    let [first, second] = [free_port(), free_port()];
    let redirect =
        r##"{redirect: {protocol: HTTPS, port: "8443", path: "/moved/#{path}", statusCode: 301}}"##;
    world
        .apply(&documents(&[
            application("shop"),
            listener("shop/moved", "HTTP", first, redirect),
            listener("shop/fixed", "HTTP", second, &fixed(418, "short and stout")),
        ]))
        .await;

    let moved = client::get(first, "/a?b=c").await.expect(301);
    assert_eq!(
        moved.header("location"),
        Some("https://shop.example.com:8443/moved/a?b=c")
    );
    let fixed = client::get(second, "/").await.expect(418);
    assert_eq!(fixed.header("content-type"), Some("text/plain"));
    assert_eq!(fixed.text(), "short and stout");
}

#[tokio::test]
async fn a_weighted_forward_shares_requests_by_weight() {
    let world = World::start(&["edge-1"]).await;
    let [blue, green] = [Origin::named("blue").await, Origin::named("green").await];
    let port = free_port();
    let weighted = "{forward: {targetGroups: [{name: blue, weight: 3}, {name: green, weight: 1}, {name: off, weight: 0}]}}";
    world
        .apply(&documents(&[
            application("shop"),
            group("blue", &[blue.port]),
            group("green", &[green.port]),
            group("off", &[]),
            listener("shop/http", "HTTP", port, weighted),
        ]))
        .await;

    let mut connection = Connection::open(port).await;
    let mut responses = Vec::new();
    for _ in 0..400 {
        responses.push(connection.get("/").await.expect(200));
    }
    let [blue, green] = Response::counts(&responses, ["blue", "green"]);
    assert_eq!(blue + green, 400);
    // 300 expected, standard deviation 8.7: six of them.
    assert!((248..=352).contains(&blue), "blue {blue}, green {green}");
}

#[tokio::test]
async fn targets_of_a_group_take_turns() {
    let world = World::start(&["edge-1"]).await;
    let [one, two] = [Origin::named("one").await, Origin::named("two").await];
    let port = free_port();
    world.apply(&shop(port, &[one.port, two.port])).await;
    world.healthy("catalog").await;

    let mut connection = Connection::open(port).await;
    let mut responses = Vec::new();
    for _ in 0..40 {
        responses.push(connection.get("/").await.expect(200));
    }
    assert_eq!(Response::counts(&responses, ["one", "two"]), [20, 20]);
}

#[tokio::test]
async fn the_first_matching_rule_decides_and_the_default_takes_the_rest() {
    let world = World::start(&["edge-1"]).await;
    let catalog = Origin::named("catalog").await;
    let port = free_port();
    world
        .apply(&documents(&[
            application("shop"),
            group("catalog", &[catalog.port]),
            listener("shop/http", "HTTP", port, &fixed(404, "no such page")),
            rule(
                "shop/http/catalog",
                10,
                "{pathPattern: {values: [\"/catalog/*\"]}}",
                &forward("catalog"),
            ),
        ]))
        .await;

    client::get(port, "/catalog/1")
        .await
        .expect(200)
        .from("catalog");
    assert_eq!(
        client::get(port, "/other").await.expect(404).text(),
        "no such page"
    );
    assert_eq!(catalog.only_seen().target, "/catalog/1");
}
