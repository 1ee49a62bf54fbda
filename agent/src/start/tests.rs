//! A whole agent against a control plane that the test plays.

mod plane;

use std::fs;

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Said;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;

use super::*;
use crate::discovery::CompleteSnapshot;
use plane::{DEADLINE, Plane, eventually, snapshot};

fn config(plane: SocketAddr, folder: &Path) -> Config {
    Config {
        control_plane: format!("http://{plane}"),
        name: "edge-1".to_owned(),
        labels: [("zone".to_owned(), "a".to_owned())].into(),
        data_dir: folder.to_owned(),
        admin: "127.0.0.1:0".parse().unwrap(),
        workers: 1,
        drain_timeout: DEADLINE,
        access_log: None,
    }
}

async fn agent(plane: SocketAddr, folder: &Path) -> Running {
    start(config(plane, folder)).await.unwrap()
}

/// Status and body of a page.
async fn page(agent: &Running, path: &str) -> (u16, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(agent.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = timeout(DEADLINE, exchange).await.expect("a page in time");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// Waits for the first snapshot in force; returns its revision.
async fn ready(agent: &mut Running) -> u64 {
    let changed = timeout(DEADLINE, agent.revision.changed()).await;
    changed.expect("ready in time").unwrap();
    *agent.revision.borrow_and_update()
}

/// An address of loopback where nobody listens.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_introduces_itself_takes_snapshots_and_asks_again_when_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let mut agent = agent(plane.address, folder.path()).await;
    let (mut session, hello) = plane.greeted().await;
    assert_eq!((hello.name.as_str(), hello.revision), ("edge-1", 0));
    assert_eq!(hello.labels["zone"], "a");
    assert_eq!(hello.version, env!("CARGO_PKG_VERSION"));
    assert!(session.report().await.complete);
    assert_eq!(page(&agent, "/readyz").await.0, 503);

    session
        .apply(snapshot(0, 1, &[("a", 1)], &[("a", 1)]))
        .await;
    assert_eq!(ready(&mut agent).await, 1);
    assert_eq!(page(&agent, "/readyz").await.0, 200);
    session
        .apply(snapshot(1, 2, &[("b", 2)], &[("a", 1), ("b", 2)]))
        .await;

    // Another base than what is in force.
    session.send(snapshot(7, 8, &[], &[])).await;
    assert_eq!(session.hello().await.revision, 2);
    session
        .apply(snapshot(0, 8, &[("c", 8)], &[("c", 8)]))
        .await;
    let (status, text) = page(&agent, "/config").await;
    assert_eq!(status, 200);
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["revision"], 8);
    assert_eq!(shown["resources"].as_array().unwrap().len(), 1);
    assert_eq!(shown["resources"][0]["name"], "c");
    agent.shutdown().await;
    assert_eq!(session.answer().await, None, "the stream has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_told_with_the_reason_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let agent = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    session
        .apply(snapshot(0, 1, &[("a", 1)], &[("a", 1)]))
        .await;
    let mut unknown = snapshot(1, 2, &[], &[]);
    unknown.upserts.push(v1::Resource { kind: None });
    session.send(unknown).await;
    let Some(Said::Nack(nack)) = session.answer().await else {
        panic!("not refused");
    };
    assert_eq!(nack.revision, 2);
    assert!(nack.reasons[0].message.contains("upgrade the agent"));
    assert!(page(&agent, "/config").await.1.contains("\"revision\":1"));
    let metrics = page(&agent, "/metrics").await.1;
    assert!(metrics.contains("inlet_agent_revision 1\n"), "{metrics}");
    assert!(
        metrics.contains("inlet_agent_snapshots_refused_total 1\n"),
        "{metrics}"
    );
    // The base stays.
    session
        .apply(snapshot(1, 3, &[("b", 3)], &[("a", 1), ("b", 3)]))
        .await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_stream_is_opened_again_with_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let agent = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    let one = snapshot(0, 1, &[("a", 1)], &[("a", 1)]);
    session.apply(one.clone()).await;
    for status in [
        Status::unavailable("shutting down"),
        Status::aborted("name taken"),
    ] {
        session.end(status).await;
        let hello;
        (session, hello) = plane.greeted().await;
        assert_eq!((hello.revision, &hello.digest), (1, &one.digest));
        assert!(session.report().await.complete, "the whole picture");
    }
    // A control plane that speaks out of turn is left, and tried again.
    session
        .send(v1::Snapshot {
            part: 2,
            parts: 2,
            ..one.clone()
        })
        .await;
    let (mut session, _) = plane.greeted().await;
    session.apply(snapshot(1, 2, &[], &[("a", 1)])).await;
    let address = plane.address;
    drop((session, plane));
    eventually("the agent notices", async || {
        page(&agent, "/metrics")
            .await
            .1
            .contains("inlet_agent_connected 0\n")
    })
    .await;
    assert_eq!(page(&agent, "/readyz").await.0, 200, "it serves on");
    let mut plane = Plane::start_on(address).await;
    assert_eq!(plane.greeted().await.1.revision, 2);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_starts_from_its_kept_snapshot_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let first = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    let mut all = Vec::new();
    let names: Vec<String> = (1..=20).map(|number| format!("g{number}")).collect();
    for (revision, name) in (1..).zip(&names) {
        all.push((name.as_str(), revision));
        session
            .apply(snapshot(revision - 1, revision, &[(name, revision)], &all))
            .await;
    }
    let kept = Disk::new(folder.path()).load().unwrap().unwrap();
    assert_eq!(kept.snapshot.revision, 20, "all that was acknowledged");
    first.shutdown().await;
    let address = plane.address;
    drop((session, plane));

    let mut second = agent(nobody(), folder.path()).await;
    assert_eq!(ready(&mut second).await, 20);
    let (_, text) = page(&second, "/config").await;
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(shown["resources"].as_array().unwrap().len(), 20);
    second.shutdown().await;

    let mut plane = Plane::start_on(address).await;
    let third = agent(address, folder.path()).await;
    let (mut session, hello) = plane.greeted().await;
    assert_eq!(hello.revision, 20);
    session.apply(snapshot(20, 21, &[], &all)).await;
    third.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_change_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let agent = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    // The empty configuration of a new control plane is not worth a file.
    session.apply(snapshot(0, 0, &[], &[])).await;
    assert!(!folder.path().join("snapshot").exists());
    session
        .apply(snapshot(0, 1, &[("a", 1)], &[("a", 1)]))
        .await;
    let kept = || Disk::new(folder.path()).load().unwrap().unwrap().snapshot;
    assert_eq!(kept().revision, 1);
    session
        .apply(snapshot(1, 2, &[("b", 2)], &[("a", 1), ("b", 2)]))
        .await;
    assert_eq!(kept().revision, 2);
    assert!(folder.path().join("snapshot.deltas").exists());
    // A complete one replaces both.
    session
        .apply(snapshot(0, 3, &[("c", 3)], &[("c", 3)]))
        .await;
    assert_eq!(kept().upserts.len(), 1);
    assert!(!folder.path().join("snapshot.deltas").exists());
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_kept_snapshot_is_set_aside_and_a_complete_one_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("snapshot"), "scrambled").unwrap();
    let mut plane = Plane::start().await;
    let mut agent = agent(plane.address, folder.path()).await;
    let (mut session, hello) = plane.greeted().await;
    assert_eq!(hello.revision, 0);
    let (status, text) = page(&agent, "/readyz").await;
    assert_eq!(status, 503, "{text}");
    assert_eq!(page(&agent, "/healthz").await.0, 200);
    let broken = fs::read(folder.path().join("snapshot.broken")).unwrap();
    assert_eq!(broken, b"scrambled");
    session
        .apply(snapshot(0, 5, &[("a", 5)], &[("a", 5)]))
        .await;
    assert_eq!(ready(&mut agent).await, 5);
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_deltas_are_saved_and_the_agent_goes_on_from_before_the_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = Plane::start().await;
    let first = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    let all = [("a", 1), ("b", 2), ("c", 3)];
    for (revision, own) in (1..).zip(all) {
        let so_far = &all[..revision as usize];
        session
            .apply(snapshot(revision - 1, revision, &[own], so_far))
            .await;
    }
    first.shutdown().await;
    let path = folder.path().join("snapshot.deltas");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();

    let mut second = agent(plane.address, folder.path()).await;
    assert_eq!(ready(&mut second).await, 2);
    let broken = folder.path().join("snapshot.deltas.broken");
    assert_eq!(fs::read(broken).unwrap(), bytes);
    let (mut session, hello) = plane.greeted().await;
    assert_eq!(hello.revision, 2);
    session.apply(snapshot(2, 3, &[all[2]], &all)).await;
    let kept = Disk::new(folder.path()).load().unwrap().unwrap();
    assert_eq!((kept.snapshot.revision, kept.damage), (3, None));
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_snapshot_that_cannot_be_had_now_stays_on_disk() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listener = v1::Listener {
        name: "shop/http".to_owned(),
        revision: 7,
        protocol: v1::Protocol::Http.into(),
        port: taken.local_addr().unwrap().port().into(),
        ..Default::default()
    };
    let listener: v1::Resource = listener.into();
    let mut digest = Digest::default();
    digest.add(&listener.key().unwrap(), 7);
    let folder = tempfile::tempdir().unwrap();
    let kept = CompleteSnapshot {
        revision: 7,
        digest,
        resources: vec![Arc::new(listener.clone())],
    };
    Disk::new(folder.path()).store(&kept).unwrap();

    let mut plane = Plane::start().await;
    let agent = agent(plane.address, folder.path()).await;
    let (mut session, hello) = plane.greeted().await;
    assert_eq!(hello.revision, 0);
    session
        .send(v1::Snapshot {
            revision: 7,
            upserts: vec![listener],
            digest: digest.to_bytes(),
            part: 1,
            parts: 1,
            ..Default::default()
        })
        .await;
    assert!(matches!(session.answer().await, Some(Said::Nack(_))));
    agent.shutdown().await;
    let kept = Disk::new(folder.path()).load().unwrap().unwrap();
    assert_eq!(kept.snapshot.revision, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_does_not_stop_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the place of the file that is written.
    fs::create_dir(folder.path().join("snapshot.new")).unwrap();
    let mut plane = Plane::start().await;
    let agent = agent(plane.address, folder.path()).await;
    let (mut session, _) = plane.greeted().await;
    session
        .apply(snapshot(0, 1, &[("a", 1)], &[("a", 1)]))
        .await;
    eventually("a metric says so", async || {
        let metrics = page(&agent, "/metrics").await.1;
        metrics.contains("inlet_agent_snapshot_keep_failed 1\n")
    })
    .await;
    session
        .apply(snapshot(1, 2, &[("b", 2)], &[("a", 1), ("b", 2)]))
        .await;
    agent.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_had_at_the_start_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = folder.path().join("data");
    let good = config(nobody(), &data);
    let running = start(good.clone()).await.unwrap();
    let elsewhere = folder.path().join("elsewhere");
    let cases = [
        (
            good.clone(),
            ["data", "in use by another agent", "--data-dir"],
        ),
        (
            Config {
                data_dir: file,
                ..good.clone()
            },
            ["file", "cannot use data folder", "--data-dir"],
        ),
        (
            Config {
                data_dir: elsewhere.clone(),
                admin: taken.local_addr().unwrap(),
                ..good.clone()
            },
            ["127.0.0.1:", "in use", "--admin"],
        ),
        (
            Config {
                data_dir: elsewhere,
                control_plane: "http://no|host:1".to_owned(),
                ..good.clone()
            },
            ["no|host", "--control-plane", "http://127.0.0.1:7400"],
        ),
    ];
    for (config, expected) in cases {
        let error = start(config).await.unwrap_err().to_string();
        for text in expected {
            assert!(error.contains(text), "'{text}' is not in: {error}");
        }
    }
    running.shutdown().await;
    let again = start(good).await.unwrap();
    again.shutdown().await;
}

#[tokio::test]
async fn the_data_folder_is_the_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let agent = agent(nobody(), &data).await;
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, FOLDER_MODE);
    agent.shutdown().await;
}
