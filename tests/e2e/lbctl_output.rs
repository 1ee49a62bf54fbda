//! `lbctl` prints tables for people and stable forms for scripts.

use inlet_tests::manifest::{
    application, documents, fixed, forward, group, listener, network, rule, tcp_group,
};
use inlet_tests::ports::free_port;
use inlet_tests::{Output, Process, World};
use serde_json::Value;
use tokio::process::Command;

/// A configuration with every kind that is served.
fn everything(http: u16, tcp: u16) -> String {
    documents(&[
        application("shop") + "tags: {team: storefront}\n",
        group("catalog", &[9001, 9002]),
        listener("shop/http", "HTTP", http, &fixed(404, "no such page")),
        rule(
            "shop/http/catalog",
            10,
            "{pathPattern: {values: [\"/catalog/*\"]}}",
            &forward("catalog"),
        ),
        network("wire"),
        tcp_group("redis", &[6379]),
        listener("wire/redis", "TCP", tcp, &forward("redis")),
    ])
}

#[tokio::test]
async fn what_get_prints_as_yaml_or_json_applies_as_unchanged() {
    let world = World::start(&[]).await;
    world.try_apply(&everything(8080, 8081), &[]).await.exits(0);
    for form in ["yaml", "json"] {
        let mut all = Vec::new();
        for kind in ["load-balancers", "target-groups", "listeners", "rules"] {
            all.push(
                world
                    .lbctl(&["get", kind, "-o", form])
                    .await
                    .exits(0)
                    .stdout,
            );
        }
        for text in &all {
            let output = world.try_apply(text, &[]).await.exits(0);
            assert!(output.stdout.contains("unchanged "), "{}", output.stdout);
            assert!(
                !output.stdout.contains("changed ")
                    || !output
                        .stdout
                        .lines()
                        .any(|line| line.starts_with("changed ")),
                "{}",
                output.stdout
            );
        }
    }
    assert_eq!(world.revision().await, 1);
}

#[tokio::test]
async fn tables_names_and_descriptions_show_what_is_there() {
    let world = World::start(&["edge-1 zone=a"]).await;
    world.apply(&everything(free_port(), free_port())).await;
    let table = world.lbctl(&["get", "listeners"]).await.exits(0).says(&[
        "NAME",
        "shop/http",
        "wire/redis",
        "HTTP",
        "TCP",
    ]);
    assert!(
        !table.stdout.contains('\u{1b}'),
        "colours without a terminal: {:?}",
        table.stdout
    );
    let names = world
        .lbctl(&["get", "target-groups", "-o", "name"])
        .await
        .exits(0)
        .stdout;
    assert_eq!(names, "TargetGroup/catalog\nTargetGroup/redis\n");
    world
        .lbctl(&["get", "rule", "shop/http/catalog"])
        .await
        .exits(0)
        .says(&["shop/http/catalog", "10"]);
    world
        .lbctl(&["describe", "target-group", "catalog"])
        .await
        .exits(0)
        .says(&["catalog", "127.0.0.1:9001", "shop/http/catalog"]);
    world
        .lbctl(&["describe", "load-balancer", "shop"])
        .await
        .exits(0)
        .says(&["shop", "storefront"]);
    world
        .lbctl(&["agent", "list"])
        .await
        .exits(0)
        .says(&["edge-1", "zone=a"]);
    world
        .lbctl(&["agent", "describe", "edge-1"])
        .await
        .exits(0)
        .says(&["edge-1", "zone=a"]);
    world.lbctl(&["get", "certificates"]).await.exits(0);
    for arguments in [
        &["get", "rules", "-o", "json"][..],
        &["agent", "list", "-o", "json"],
        &["history", "-o", "json"],
        &["target", "health", "catalog", "-o", "json"],
    ] {
        let output = world.lbctl(arguments).await.exits(0);
        serde_json::from_str::<Value>(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", output.stdout));
    }
}

#[tokio::test]
async fn diff_shows_what_apply_would_change_and_changes_nothing() {
    let world = World::start(&[]).await;
    let manifest = everything(8080, 8081);
    world.try_apply(&manifest, &[]).await.exits(0);
    world.file("new.yaml", &manifest.replace("no such page", "not here"));
    world
        .lbctl(&["diff", "-f", "new.yaml"])
        .await
        .exits(0)
        .says(&["Listener/shop/http", "no such page", "not here"]);
    assert_eq!(world.revision().await, 1);
}

#[tokio::test]
async fn a_backup_restores_everything_elsewhere() {
    let [world, other] = [World::start(&[]).await, World::start(&[]).await];
    world.try_apply(&everything(8080, 8081), &[]).await.exits(0);
    let file = world.folder().join("backup");
    let file = file.to_str().unwrap();
    world.lbctl(&["backup", file]).await.exits(0);
    other.try_apply(&application("gone"), &[]).await.exits(0);
    other.lbctl(&["restore", file]).await.exits(0);
    for kind in [
        "load-balancers",
        "target-groups",
        "targets",
        "listeners",
        "rules",
    ] {
        let [ours, theirs] = [&world, &other].map(|world| async {
            world
                .lbctl(&["get", kind, "-o", "yaml"])
                .await
                .exits(0)
                .stdout
        });
        assert_eq!(ours.await, theirs.await);
    }
}

#[tokio::test]
async fn directories_and_standard_input_are_manifests_too() {
    let world = World::start(&[]).await;
    std::fs::create_dir(world.folder().join("all")).unwrap();
    world.file("all/1.yaml", &application("shop"));
    world.file("all/2.yml", &network("wire"));
    world.file(
        "all/3.json",
        r#"{"kind": "TargetGroup", "name": "catalog", "protocol": "HTTP", "port": 80}"#,
    );
    world.file("all/notes.txt", "not a manifest");
    let output = world.lbctl(&["apply", "-f", "all"]).await.exits(0);
    output.says(&[
        "created LoadBalancer/shop",
        "created LoadBalancer/wire",
        "created TargetGroup/catalog",
        "revision 1",
    ]);

    let mut command = Command::new("sh");
    command
        .args(["-c", "echo \"$1\" | \"$0\" apply -f -"])
        .arg(inlet_tests::programs::program("lbctl"))
        .arg(application("piped"));
    command
        .env("INLET_SERVER", world.control_plane.url())
        .env("HOME", world.folder());
    Output::of(command)
        .await
        .exits(0)
        .says(&["created LoadBalancer/piped"]);
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    let mut command = Command::new("bash");
    let script =
        "set -o pipefail; \"$0\" completion bash | head -n 1 >/dev/null; echo ${PIPESTATUS[0]}";
    command
        .args(["-c", script])
        .arg(inlet_tests::programs::program("lbctl"));
    let output = Output::of(command).await;
    assert_eq!(output.stderr, "");
    assert!(
        ["0\n", "141\n"].contains(&output.stdout.as_str()),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn completions_are_there_for_the_usual_shells() {
    let world = World::start(&[]).await;
    for shell in ["bash", "zsh", "fish"] {
        world
            .lbctl(&["completion", shell])
            .await
            .exits(0)
            .says(&["lbctl", "rollback"]);
    }
}

#[tokio::test]
async fn watch_prints_changes_as_they_come() {
    let world = World::start(&[]).await;
    let mut command = world.lbctl_command();
    command.arg("watch");
    let process = Process::start("watch", command, world.folder());
    // Whether the watch has begun cannot be seen from outside: each look makes another change.
    let mut number = 0;
    inlet_tests::eventually(
        "a change is printed",
        inlet_tests::eventually::seconds(20),
        async || {
            number += 1;
            world
                .try_apply(&application(&format!("shop-{number}")), &[])
                .await
                .exits(0);
            process
                .stdout()
                .contains("LoadBalancer/shop-")
                .then_some(())
        },
    )
    .await;
    process.terminate();
}
