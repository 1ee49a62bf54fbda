//! Wrong use of each program gets a clear message and the right exit status.

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::application;
use inlet_tests::ports::free_port;
use inlet_tests::programs::program;
use inlet_tests::{Output, Process, World};
use tokio::process::Command;

async fn run(name: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program(name));
    command
        .args(arguments)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env_remove("INLET_SERVER");
    Output::of(command).await
}

#[tokio::test]
async fn a_wrong_flag_exits_with_2_and_names_it() {
    for name in ["inlet-control-plane", "inlet-agent", "lbctl"] {
        run(name, &["--no-such-flag"])
            .await
            .exits(2)
            .complains(&["--no-such-flag"]);
    }
    run("lbctl", &["get", "no-such-kind"])
        .await
        .exits(2)
        .complains(&["no-such-kind"]);
    run("lbctl", &["get", "target-grups"])
        .await
        .exits(2)
        .complains(&["target-group"]);
    run("lbctl", &["aply", "-f", "shop.yaml"])
        .await
        .exits(2)
        .complains(&["apply"]);
    run(
        "inlet-agent",
        &[
            "--control-plane",
            "http://127.0.0.1:7400",
            "--name",
            "Not A Name",
        ],
    )
    .await
    .exits(2)
    .complains(&["Not A Name"]);
    run(
        "inlet-agent",
        &[
            "--control-plane",
            "http://127.0.0.1:7400",
            "--name",
            "a",
            "--label",
            "zone",
        ],
    )
    .await
    .exits(2)
    .complains(&["zone"]);
}

#[tokio::test]
async fn help_and_version_exit_with_0() {
    for name in ["inlet-control-plane", "inlet-agent", "lbctl"] {
        run(name, &["--version"]).await.exits(0).says(&[name]);
        run(name, &["--help"]).await.exits(0).says(&["Usage"]);
    }
}

#[tokio::test]
async fn plaintext_is_refused_on_an_address_that_is_not_loopback() {
    let address = format!("0.0.0.0:{}", free_port());
    run("inlet-control-plane", &["--insecure", "--listen", &address])
        .await
        .exits(2)
        .complains(&["--insecure", "loopback"]);
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let world = World::start(&[]).await;
    let address = format!("127.0.0.1:{}", world.control_plane.port());
    let output = run("inlet-control-plane", &["--insecure", "--listen", &address]).await;
    output.exits(1).complains(&[&address, "in use"]);
    let output = run(
        "inlet-agent",
        &[
            "--control-plane",
            &world.control_plane.url(),
            "--name",
            "edge-9",
            "--admin",
            &address,
        ],
    )
    .await;
    output.exits(1).complains(&[&address, "in use"]);
}

#[tokio::test]
async fn what_is_typed_wrong_says_what_would_be_right() {
    for (arguments, said) in [
        (&["rollback", "one"][..], "'lbctl history'"),
        (&["diff"], "lbctl diff [OPTIONS] <REV> [REV]"),
        (&["apply", "-f", "."], ".yaml, .yml or .json"),
    ] {
        let output = run("lbctl", arguments).await;
        assert!(output.stderr.contains(said), "{arguments:?}: {output:?}");
    }
    for (name, flag) in [
        ("inlet-control-plane", "--listen"),
        ("inlet-agent", "--admin"),
    ] {
        let url = "http://127.0.0.1:7400";
        let arguments: &[&str] = match name {
            "inlet-agent" => &["--control-plane", url, "--name", "a", flag, "localhost:1"],
            _ => &["--insecure", flag, "localhost:1"],
        };
        run(name, arguments)
            .await
            .exits(2)
            .complains(&["localhost:1", "IP address and a port"]);
    }
}

#[tokio::test]
async fn logs_that_go_to_a_file_have_no_colours() {
    let mut world = World::start(&["edge-1"]).await;
    world.control_plane.stop().await;
    let said = world.agent("edge-1").process().stderr();
    assert!(
        said.contains("connected") && !said.contains('\u{1b}'),
        "{said}"
    );
}

#[tokio::test]
async fn something_else_than_a_control_plane_is_named() {
    let mut world = World::start(&["edge-1"]).await;
    let admin = format!("http://127.0.0.1:{}", world.agent("edge-1").admin);
    run("lbctl", &["--server", &admin, "get", "rules"])
        .await
        .exits(1)
        .complains(&[&admin, "not answer as a control plane", "port of an agent"]);
    let mut command = Command::new(program("inlet-agent"));
    command
        .args(["--control-plane", &admin, "--name", "edge-2"])
        .args(["--admin", "127.0.0.1:0", "--data-dir"])
        .arg(world.folder().join("edge-2"));
    let agent = Process::start("edge-2", command, world.folder());
    eventually("the agent doubts", seconds(20), async || {
        agent
            .stderr()
            .contains("is it a control plane that answers there?")
            .then_some(())
    })
    .await;
    agent.kill().await;
}

#[tokio::test]
async fn a_filter_with_an_unknown_field_is_no_empty_answer() {
    let world = World::start(&[]).await;
    world
        .lbctl(&["get", "listeners", "--filter", "prot = 80"])
        .await
        .exits(1)
        .complains(&["filter", "unknown field 'prot'", "'port'"]);
}

#[tokio::test]
async fn an_unreachable_control_plane_is_named() {
    let server = format!("http://127.0.0.1:{}", free_port());
    run("lbctl", &["--server", &server, "get", "rules"])
        .await
        .exits(1)
        .complains(&[&server]);
    run("lbctl", &["--server", "nonsense://", "get", "rules"])
        .await
        .exits(2)
        .complains(&["nonsense://"]);
}

#[tokio::test]
async fn a_missing_or_unreadable_manifest_is_named() {
    let world = World::start(&[]).await;
    world
        .lbctl(&["apply", "-f", "missing.yaml"])
        .await
        .exits(1)
        .complains(&["missing.yaml", "No such file"]);
    world
        .try_apply("kind: [unclosed\n", &[])
        .await
        .exits(1)
        .complains(&["shop.yaml:"]);
    world
        .try_apply("", &[])
        .await
        .exits(1)
        .complains(&["shop.yaml"]);
    world
        .try_apply("just text\n", &[])
        .await
        .exits(1)
        .complains(&["shop.yaml:1"]);
    assert_eq!(world.revision().await, 0);
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_missing() {
    let world = World::start(&[]).await;
    world
        .lbctl(&["get", "rule", "shop/http/none"])
        .await
        .exits(1)
        .complains(&["shop/http/none"]);
    world
        .lbctl(&["describe", "load-balancer", "none"])
        .await
        .exits(1)
        .complains(&["none"]);
    world
        .lbctl(&["delete", "listener", "shop/none"])
        .await
        .exits(1)
        .complains(&["shop/none"]);
    world
        .lbctl(&["target", "add", "none", "127.0.0.1:80"])
        .await
        .exits(1)
        .complains(&["none"]);
    world
        .lbctl(&["agent", "describe", "none"])
        .await
        .exits(1)
        .complains(&["none"]);
    world.try_apply(&application("shop"), &[]).await.exits(0);
    world
        .lbctl(&["get", "listener", "shop"])
        .await
        .exits(2)
        .complains(&["loadBalancer/listener"]);
}
