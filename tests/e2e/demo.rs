//! The first command of the README.

use inlet_tests::Output;
use inlet_tests::programs::program;
use tokio::process::Command;

#[tokio::test]
async fn the_demo_checks_itself_and_exits_with_0() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program("lbctl"));
    command
        .args(["demo", "--check"])
        .current_dir(folder.path())
        .env("HOME", folder.path());
    let output = Output::of(command).await.exits(0);
    assert!(!output.stdout.is_empty());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "the demo leaves files behind: {left:?}");
}
