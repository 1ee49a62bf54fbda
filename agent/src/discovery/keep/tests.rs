//! Keepers with a real folder; how long the disk takes is played where it matters.

use std::fs;
use std::path::Path;

use inlet_proto::digest::Digest;
use tokio::sync::oneshot;

use super::*;
use crate::compile::View;
use crate::discovery::disk::encode_delta;

/// Patience that is used up at once.
const SHORT: Duration = Duration::from_millis(20);
/// Nothing here takes as long.
const DEADLINE: Duration = Duration::from_secs(30);

fn snapshot(revision: u64) -> CompleteSnapshot {
    CompleteSnapshot {
        revision,
        digest: Digest::default(),
        resources: Vec::new(),
    }
}

/// What leads to a revision from the one before.
fn delta(revision: u64) -> Due {
    let in_force = (revision, Digest::default());
    let (view, changed) = (View::new(), [].into());
    Due::Delta(encode_delta(revision - 1, in_force, &view, &changed))
}

fn keeper(folder: &Path) -> Keeper {
    Keeper::new(Arc::new(Disk::new(folder)))
}

/// A keeper that has revision 1 on disk.
async fn settled(folder: &Path) -> Keeper {
    let mut keeper = keeper(folder);
    keeper.note(Due::Whole);
    keeper.settle(|| snapshot(1)).await;
    assert_eq!(on_disk(&keeper), 1);
    keeper
}

fn on_disk(keeper: &Keeper) -> u64 {
    let loaded = keeper.disk.load().unwrap();
    loaded.map_or(0, |loaded| loaded.snapshot.revision)
}

fn not_whole() -> CompleteSnapshot {
    panic!("a delta is enough")
}

/// Puts a write under way that ends when told to, in place of one that hangs.
fn hang(keeper: &mut Keeper) -> oneshot::Sender<io::Result<Log>> {
    let (tell, told) = oneshot::channel();
    keeper.writing = Some(Writing {
        task: tokio::spawn(async { told.await.expect("it is told") }),
        is_late: false,
    });
    tell
}

#[tokio::test]
async fn every_change_is_on_disk_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = settled(folder.path()).await;
    for revision in 2..50 {
        keeper.note(delta(revision));
        keeper.settle(not_whole).await;
        assert_eq!(on_disk(&keeper), revision);
    }
    assert!(!keeper.is_due() && !keeper.has_failed());
}

#[tokio::test]
async fn a_delta_without_a_snapshot_before_it_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path());
    keeper.note(delta(7));
    keeper.settle(|| snapshot(7)).await;
    assert_eq!(on_disk(&keeper), 7);
}

#[tokio::test]
async fn what_was_loaded_with_deltas_is_written_whole_in_the_background() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = settled(folder.path()).await;
    keeper.note(delta(2));
    keeper.settle(not_whole).await;
    let mut next = Keeper::new(Arc::clone(&keeper.disk));
    next.follow(next.disk.load().unwrap().unwrap().log);
    next.turn().await;
    next.begin(|| snapshot(2));
    next.turn().await;
    let loaded = next.disk.load().unwrap().unwrap();
    assert!(loaded.log.is_some(), "it is whole");
    next.note(delta(3));
    next.settle(not_whole).await;
    assert_eq!(on_disk(&next), 3);
}

#[tokio::test]
async fn long_deltas_make_a_whole_snapshot_due_that_no_answer_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = settled(folder.path()).await;
    let mut revision = 1;
    while !keeper.is_due() {
        revision += 1;
        keeper.note(delta(revision));
        keeper.settle(not_whole).await;
        assert!(revision < 10_000, "never full");
    }
    assert!(keeper.writing.is_none());
    keeper.turn().await;
    keeper.begin(|| snapshot(revision));
    // A change that comes meanwhile goes behind it.
    keeper.note(delta(revision + 1));
    keeper.settle(not_whole).await;
    assert_eq!(on_disk(&keeper), revision + 1);
    assert!(!keeper.is_due());
}

#[tokio::test]
async fn the_end_writes_what_is_left_without_a_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path());
    keeper.rested_at = Instant::now() + Duration::from_secs(3600);
    keeper.note(Due::Whole);
    keeper.flush(|| snapshot(3)).await;
    assert_eq!(on_disk(&keeper), 3);
    keeper
        .flush(|| panic!("nothing is left to be written"))
        .await;
}

#[tokio::test]
async fn a_write_that_fails_is_tried_again_whole_and_the_latest_wins() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut keeper = keeper(&data);
    keeper.note(Due::Whole);
    keeper.settle(|| snapshot(1)).await;
    assert!(keeper.has_failed() && keeper.is_due());
    // While it rests, nobody waits.
    keeper.note(delta(2));
    keeper.settle(|| panic!("the disk rests")).await;
    fs::create_dir(&data).unwrap();
    keeper.rested_at = Instant::now();
    keeper.turn().await;
    keeper.begin(|| snapshot(2));
    keeper.turn().await;
    assert!(!keeper.has_failed() && !keeper.is_due());
    assert_eq!(on_disk(&keeper), 2);
}

#[tokio::test]
async fn a_delta_that_fails_is_made_good_by_a_whole_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = settled(folder.path()).await;
    let in_the_way = folder.path().join("snapshot.deltas");
    fs::create_dir(&in_the_way).unwrap();
    keeper.note(delta(2));
    keeper.settle(not_whole).await;
    assert!(keeper.has_failed());
    fs::remove_dir(&in_the_way).unwrap();
    keeper.rested_at = Instant::now();
    keeper.note(delta(3));
    keeper.settle(|| snapshot(3)).await;
    assert!(!keeper.has_failed());
    assert_eq!(on_disk(&keeper), 3);
}

#[tokio::test]
async fn a_disk_that_hangs_holds_one_answer_up_for_as_long_as_was_promised_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path());
    let tell = hang(&mut keeper);
    let begun = Instant::now();
    keeper.note(delta(2));
    keeper
        .settle_within(SHORT, || panic!("one write at a time"))
        .await;
    assert!(keeper.has_failed() && begun.elapsed() >= SHORT);
    keeper.note(delta(3));
    let next = keeper.settle_within(DEADLINE * 2, || panic!("one write at a time"));
    timeout(DEADLINE, next).await.expect("nobody waits");
    // What hung has ended, but is not what is in force by now.
    let log = keeper.disk.store(&snapshot(1)).unwrap();
    tell.send(Ok(log)).unwrap();
    keeper.turn().await;
    assert!(keeper.has_failed() && keeper.is_due());
    keeper.flush(|| snapshot(3)).await;
    assert!(!keeper.has_failed());
    assert_eq!(on_disk(&keeper), 3);
}

#[tokio::test]
async fn what_hung_and_is_still_in_force_needs_no_second_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut keeper = keeper(folder.path());
    let tell = hang(&mut keeper);
    keeper
        .settle_within(SHORT, || panic!("nothing is due"))
        .await;
    assert!(keeper.has_failed());
    tell.send(Ok(keeper.disk.store(&snapshot(1)).unwrap()))
        .unwrap();
    keeper.turn().await;
    assert!(!keeper.has_failed() && !keeper.is_due());
}
