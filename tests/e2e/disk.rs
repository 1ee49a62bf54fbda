//! Disks that are full, broken or taken: a clear message, the right exit status, and nothing half-applied.

use std::fs;

use inlet_tests::eventually::{eventually, seconds};
use inlet_tests::manifest::{application, documents, group};
use inlet_tests::need::{need, skip};
use inlet_tests::ports::free_port;
use inlet_tests::programs::program;
use inlet_tests::{Output, Process, World};
use tokio::process::Command;

/// A manifest of about 100 KiB.
fn bulky(round: usize) -> String {
    let groups: Vec<String> = (0..200)
        .map(|number| {
            format!(
                "{}tags: {{filler: \"{}\"}}\n",
                group(&format!("g{round}-{number}"), &[9001]),
                "x".repeat(256)
            )
        })
        .collect();
    documents(&groups)
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_loses_none() {
    if !need(&["unshare"]) || !can_mount().await {
        return;
    }
    let mut world = World::start(&[]).await;
    world.try_apply(&application("kept"), &[]).await.exits(0);
    world.control_plane.kill().await;

    // The same data on a small disk of its own, in a mount namespace that ends with the process.
    let data = world.control_plane.data();
    let plain = world.control_plane.command();
    let mut command = Command::new("unshare");
    let script = "cp -a \"$0\" \"$0.copy\" && mount -t tmpfs -o size=6m small \"$0\" && cp -a \"$0.copy/.\" \"$0\" && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", script])
        .arg(&data)
        .arg(plain.as_std().get_program())
        .args(plain.as_std().get_args());
    let mut process = Process::start("small-disk", command, world.folder());
    process.line("ready: ").await;

    let mut stored = 0;
    let refused = loop {
        let output = world.try_apply(&bulky(stored), &[]).await;
        if output.code != Some(0) {
            break output;
        }
        stored += 1;
        assert!(stored < 100, "10 MB fit on a disk of 6 MB");
    };
    refused.exits(1).complains(&["No space left on device"]);
    let listed = world
        .lbctl(&["get", "target-groups", "-o", "name"])
        .await
        .exits(0);
    assert_eq!(
        listed.stdout.lines().count(),
        stored * 200,
        "a refused change is half there"
    );
    world
        .lbctl(&["get", "load-balancer", "kept"])
        .await
        .exits(0);
}

/// Whether this test may mount a file system in a namespace of its own.
async fn can_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", "mount -t tmpfs small /mnt"]);
    Output::of(command).await.code == Some(0)
        || skip("a mount in a namespace of its own is not allowed (run as root)")
}

#[tokio::test]
async fn a_data_directory_that_is_in_use_is_refused() {
    let world = World::start(&[]).await;
    let mut command = Command::new(program("inlet-control-plane"));
    command
        .args([
            "--insecure",
            "--listen",
            &format!("127.0.0.1:{}", free_port()),
            "--data-dir",
        ])
        .arg(world.control_plane.data());
    let data = world.control_plane.data();
    Output::of(command)
        .await
        .exits(1)
        .complains(&[data.to_str().unwrap(), "in use"]);
    world.try_apply(&application("shop"), &[]).await.exits(0);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_used_is_named() {
    let world = World::start(&[]).await;
    let file = world.file("not-a-folder", "");
    let mut command = Command::new(program("inlet-control-plane"));
    command
        .args([
            "--insecure",
            "--listen",
            &format!("127.0.0.1:{}", free_port()),
            "--data-dir",
        ])
        .arg(&file);
    Output::of(command)
        .await
        .exits(1)
        .complains(&[file.to_str().unwrap()]);
}

#[tokio::test]
async fn a_broken_database_is_rebuilt_without_losing_a_change_or_refused_but_never_served_half() {
    let mut world = World::start(&[]).await;
    for name in ["one", "two", "three"] {
        world.try_apply(&application(name), &[]).await.exits(0);
    }
    world.control_plane.kill().await;
    let database = files(&world.control_plane.data())
        .into_iter()
        .find(|path| path.ends_with("db"))
        .expect("sled's file");
    fs::write(&database, b"this is no database").unwrap();

    world.control_plane.restart().await;
    assert_eq!(world.revision().await, 3);
    let listed = world
        .lbctl(&["get", "load-balancers", "-o", "name"])
        .await
        .exits(0);
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stdout);
    let said = world.control_plane.process().stderr();
    eventually("the log says what happened", seconds(5), async || {
        said.contains("rebuil").then_some(())
    })
    .await;
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found
}
