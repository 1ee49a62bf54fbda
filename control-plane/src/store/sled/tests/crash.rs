//! A writer that is killed in the middle of its appends: a process of its own, ended with SIGKILL.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;

use super::*;

/// Where the child writes; it does nothing without.
const FOLDER: &str = "INLET_CRASH_TEST_FOLDER";
/// Which round it is, for names that are new.
const ROUND: &str = "INLET_CRASH_TEST_ROUND";
const ROUNDS: usize = 6;
/// Acknowledgements after which the child is killed.
const ACKNOWLEDGED: usize = 60;
const WRITERS: usize = 8;

#[test]
fn nothing_acknowledged_is_lost_by_kill_9_and_nothing_is_half_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        acknowledged.extend(killed_child(&data, round));
        let mut store = Sled::open(&data).unwrap();
        let database = store.database.as_mut().expect("a database").image();
        let loaded = store.load().unwrap();
        let image = Image::of(loaded);
        assert_eq!(database.unwrap().resources, image.resources);
        assert!(image.is_sound(image.revision));
        assert_eq!(image.records[0].revision, 1, "revisions rise by one");
        for (revision, name) in &acknowledged {
            for half in ["a", "b"] {
                let name = format!("{name}.{half}");
                let key = Key::of(Kind::TargetGroup, &name).unwrap();
                let there = image.resources.get(&key).map(|group| group.revision());
                assert_eq!(there, Some(*revision), "{name}");
            }
        }
        let made = image.resources.len();
        assert_eq!(
            made as u64,
            2 * image.revision,
            "two groups by each revision"
        );
    }
}

/// Runs a child until it has acknowledged enough, and kills it; gives (revision, name) of what it acknowledged.
fn killed_child(data: &Path, round: usize) -> Vec<(u64, String)> {
    let test = "store::sled::tests::crash::the_child_that_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(FOLDER, data)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in &mut lines {
        acknowledged.extend(parsed(&line.unwrap()));
        if acknowledged.len() == ACKNOWLEDGED + round {
            child.kill().unwrap();
            break;
        }
    }
    // What it said before it was killed counts too; half a line does not.
    for line in lines.map_while(Result::ok) {
        acknowledged.extend(parsed(&line));
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= ACKNOWLEDGED, "the child ended early");
    acknowledged
}

/// `made REVISION NAME.`
fn parsed(line: &str) -> Option<(u64, String)> {
    let (revision, name) = line.strip_prefix("made ")?.split_once(' ')?;
    let name = name.strip_suffix('.')?;
    Some((revision.parse().ok()?, name.to_owned()))
}

#[test]
#[ignore = "the child of nothing_acknowledged_is_lost_by_kill_9_and_nothing_is_half_there"]
fn the_child_that_is_killed() {
    let (Ok(folder), Ok(round)) = (std::env::var(FOLDER), std::env::var(ROUND)) else {
        return;
    };
    let store = Sled::open(Path::new(&folder)).unwrap();
    let writer = Writer::open(Box::new(store), Settings::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    runtime.unwrap().block_on(async {
        let writers = (0..WRITERS).map(|number| {
            let name = format!("g{round}-{number}");
            tokio::spawn(write(writer.clone(), name))
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

/// Makes pairs of groups, one after the other, until the end.
async fn write(writer: Writer, name: String) {
    for number in 0.. {
        let name = format!("{name}-{number}");
        let upsert = |half: &str| Upsert {
            resource: v1::TargetGroup {
                name: format!("{name}.{half}"),
                protocol: v1::Protocol::Http.into(),
                port: 80,
                ..Default::default()
            }
            .into(),
            ..Upsert::default()
        };
        let change = Change {
            upserts: vec![upsert("a"), upsert("b")],
            ..Change::default()
        };
        let revision = writer.apply(change).await.unwrap().revision;
        println!("made {revision} {name}.");
    }
}
