//! The whole snapshot, the deltas behind it, and every moment at which a crash may leave them.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use inlet_proto::digest::Digest;
use inlet_proto::name::Key;

use super::*;
use crate::compile::View;

fn snapshot(revision: u64, groups: usize) -> CompleteSnapshot {
    let group = |number| {
        v1::TargetGroup {
            name: format!("g{number}"),
            revision,
            ..Default::default()
        }
        .into()
    };
    let mut digest = Digest::default();
    let resources: Vec<Arc<v1::Resource>> =
        (0..groups).map(|number| Arc::new(group(number))).collect();
    for resource in &resources {
        digest.add(&resource.key().unwrap(), revision);
    }
    CompleteSnapshot {
        revision,
        digest,
        resources,
    }
}

fn revision(disk: &Disk) -> u64 {
    disk.load().unwrap().unwrap().snapshot.revision
}

fn kept(groups: usize) -> (tempfile::TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    disk.store(&snapshot(7, groups)).unwrap();
    (folder, disk)
}

#[test]
fn what_was_stored_last_is_loaded() {
    let (_folder, disk) = kept(3);
    disk.store(&snapshot(8, 2)).unwrap();
    let loaded = disk.load().unwrap().unwrap().snapshot;
    let expected = snapshot(8, 2);
    assert_eq!((loaded.revision, loaded.base_revision), (8, 0));
    assert_eq!((loaded.part, loaded.parts), (1, 1));
    assert_eq!(loaded.digest, expected.digest.to_bytes());
    let resources: Vec<_> = loaded.upserts.into_iter().map(Arc::new).collect();
    assert_eq!(resources, expected.resources);
}

#[test]
fn nothing_kept_is_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Disk::new(folder.path()).load().unwrap().is_none());
}

#[test]
fn only_the_owner_may_read_private_keys() {
    let (_folder, disk) = kept(1);
    let mode = fs::metadata(disk.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, FILE_MODE);
}

#[test]
fn a_file_that_was_cut_off_or_changed_anywhere_is_noticed() {
    let (_folder, disk) = kept(2);
    let whole = fs::read(disk.path(FILE)).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        for bad in [&whole[..at], &changed[..]] {
            fs::write(disk.path(FILE), bad).unwrap();
            assert!(disk.load().is_err(), "byte {at}");
        }
    }
    let longer = [&whole[..], b"x"].concat();
    fs::write(disk.path(FILE), longer).unwrap();
    assert!(matches!(disk.load(), Err(LoadError::Length { .. })));
}

#[test]
fn what_cannot_be_used_is_said_and_kept_once() {
    let content = |version: u32, content: &[u8]| {
        let mut header = whole::header(content);
        header[8..12].copy_from_slice(&version.to_le_bytes());
        [header, content.to_vec()].concat()
    };
    let (_folder, disk) = kept(1);
    for (bytes, expected) in [
        (b"hello".to_vec(), "it is not a kept snapshot"),
        (
            content(2, b"x"),
            "it has the form 2, and this agent knows form 1",
        ),
        (content(1, b"\xff"), "its content cannot be read"),
    ] {
        fs::write(disk.path(FILE), &bytes).unwrap();
        let error = disk.load().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        let broken = disk.set_aside().unwrap();
        assert_eq!(fs::read(broken).unwrap(), bytes);
        assert!(disk.load().unwrap().is_none());
    }
    let files = fs::read_dir(&disk.folder).unwrap().count();
    assert_eq!(files, 1, "broken ones do not pile up");
}

#[test]
fn a_failed_store_leaves_the_old_one_and_a_crashed_one_is_no_obstacle() {
    let (folder, disk) = kept(1);
    fs::write(disk.path(ASIDE), b"half").unwrap();
    disk.store(&snapshot(8, 1)).unwrap();
    // A folder in its place cannot be replaced by a file.
    fs::create_dir(folder.path().join(ASIDE)).unwrap();
    assert!(disk.store(&snapshot(9, 1)).is_err());
    assert_eq!(revision(&disk), 8);
}

fn group(name: &str, revision: u64) -> Arc<v1::Resource> {
    let group = v1::TargetGroup {
        name: name.to_owned(),
        revision,
        ..Default::default()
    };
    Arc::new(group.into())
}

/// What is in force at a revision: `a` is new in each, `odd` is there in every other one.
fn at(revision: u64) -> CompleteSnapshot {
    let mut digest = Digest::default();
    let mut resources = vec![group("a", revision), group("b", 1)];
    if revision % 2 == 1 {
        resources.push(group("odd", revision));
    }
    for resource in &resources {
        digest.add(&resource.key().unwrap(), resource.revision());
    }
    CompleteSnapshot {
        revision,
        digest,
        resources,
    }
}

/// What leads to a revision from the one before.
fn delta(revision: u64) -> Vec<u8> {
    let after = at(revision);
    let view: View = after
        .resources
        .iter()
        .map(|resource| (resource.key().unwrap(), Arc::clone(resource)))
        .collect();
    let changed: BTreeSet<Key> = [group("a", 1), group("odd", 1)]
        .iter()
        .map(|resource| resource.key().unwrap())
        .collect();
    encode_delta(revision - 1, (revision, after.digest), &view, &changed)
}

/// The revision that is loaded, after a look at whether it is exactly what was in force then.
fn whole_revision(disk: &Disk) -> u64 {
    let loaded = disk.load().unwrap().unwrap().snapshot;
    let expected = at(loaded.revision);
    assert_eq!(loaded.digest, expected.digest.to_bytes());
    let resources: Vec<_> = loaded.upserts.into_iter().map(Arc::new).collect();
    assert_eq!(resources, expected.resources);
    loaded.revision
}

/// A folder with revision 1 whole and deltas up to a revision; the lengths of the file of deltas on the way.
fn with_deltas(last: u64) -> (tempfile::TempDir, Disk, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    let mut log = disk.store(&at(1)).unwrap();
    let mut ends = Vec::new();
    for revision in 2..=last {
        log = log.append(&delta(revision)).unwrap();
        ends.push(fs::read(disk.path(DELTAS)).unwrap().len());
    }
    (folder, disk, ends)
}

#[test]
fn deltas_are_folded_into_one_whole_snapshot() {
    for last in 1..6 {
        let (_folder, disk, _) = with_deltas(last);
        assert_eq!(whole_revision(&disk), last);
        let loaded = disk.load().unwrap().unwrap();
        assert_eq!(loaded.damage, None);
        assert_eq!(
            loaded.log.is_some(),
            last == 1,
            "what is behind deltas is not known"
        );
        assert_eq!((loaded.snapshot.part, loaded.snapshot.parts), (1, 1));
    }
}

#[test]
fn deltas_go_on_after_a_start_without_any() {
    let (_folder, disk, _) = with_deltas(1);
    let log = disk.load().unwrap().unwrap().log.unwrap();
    let log = log.append(&delta(2)).unwrap();
    log.append(&delta(3)).unwrap();
    assert_eq!(whole_revision(&disk), 3);
}

#[test]
fn only_the_owner_may_read_private_keys_in_deltas() {
    let (_folder, disk, _) = with_deltas(2);
    let mode = fs::metadata(disk.path(DELTAS))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, FILE_MODE);
}

#[test]
fn deltas_that_were_cut_off_anywhere_leave_what_was_whole() {
    let (_folder, disk, ends) = with_deltas(4);
    let whole = fs::read(disk.path(DELTAS)).unwrap();
    for at in 0..whole.len() {
        fs::write(disk.path(DELTAS), &whole[..at]).unwrap();
        let before = ends.iter().filter(|end| **end <= at).count() as u64;
        assert_eq!(whole_revision(&disk), 1 + before, "byte {at}");
        let loaded = disk.load().unwrap().unwrap();
        assert_eq!(loaded.damage, None, "byte {at}");
        assert_eq!(loaded.log.is_some(), before == 0, "byte {at}");
    }
}

#[test]
fn deltas_that_were_changed_anywhere_leave_what_was_before_and_are_saved() {
    let (_folder, disk, ends) = with_deltas(4);
    let whole = fs::read(disk.path(DELTAS)).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(disk.path(DELTAS), &changed).unwrap();
        let before = ends.iter().filter(|end| **end <= at).count() as u64;
        assert_eq!(whole_revision(&disk), 1 + before, "byte {at}");
        let loaded = disk.load().unwrap().unwrap();
        assert!(loaded.damage.is_some() && loaded.log.is_none(), "byte {at}");
    }
    let bytes = fs::read(disk.path(DELTAS)).unwrap();
    for _ in 0..2 {
        let broken = disk.save_damaged_deltas().unwrap();
        assert_eq!(fs::read(broken).unwrap(), bytes);
        assert_eq!(whole_revision(&disk), 4 - 1, "until a whole one is stored");
    }
    disk.store(&at(3)).unwrap();
    assert_eq!(disk.load().unwrap().unwrap().damage, None);
    assert_eq!(fs::read(disk.path(BROKEN_DELTAS)).unwrap(), bytes);
}

#[test]
fn a_delta_that_does_not_follow_ends_it_there() {
    let mut wrong_digest = v1::Snapshot::decode(&*delta(3)).unwrap();
    wrong_digest.digest = vec![7; 16];
    let mut half = v1::Snapshot::decode(&*delta(3)).unwrap();
    half.parts = 2;
    for (name, third) in [
        ("a gap", delta(4)),
        ("a repetition", delta(2)),
        ("a wrong digest", wrong_digest.encode_to_vec()),
        ("half of it", half.encode_to_vec()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(folder.path());
        let log = disk.store(&at(1)).unwrap().append(&delta(2)).unwrap();
        log.append(&third).unwrap();
        assert_eq!(whole_revision(&disk), 2, "{name}");
        let damage = disk.load().unwrap().unwrap().damage;
        assert_eq!(damage, Some(Damage::Misfit(2)), "{name}");
    }
}

#[test]
fn a_base_that_is_no_complete_snapshot_is_refused_with_its_deltas() {
    let wrong = CompleteSnapshot {
        digest: Digest::default(),
        ..at(1)
    };
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path());
    disk.store(&wrong).unwrap().append(&delta(2)).unwrap();
    assert!(matches!(disk.load(), Err(LoadError::Refused(_))));
    disk.set_aside().unwrap();
    assert!(disk.load().unwrap().is_none());
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, [BROKEN, BROKEN_DELTAS]);
}

#[test]
fn a_crash_at_any_step_of_a_new_whole_snapshot_loses_nothing() {
    // What the folder has in the end, made elsewhere: revision 4 whole, 5 as the first delta behind it.
    let after = tempfile::tempdir().unwrap();
    let disk = Disk::new(after.path());
    let log = disk.store(&at(4)).unwrap();
    let whole = fs::read(disk.path(FILE)).unwrap();
    log.append(&delta(5)).unwrap();
    let deltas = fs::read(disk.path(DELTAS)).unwrap();

    let (_folder, disk, _) = with_deltas(4);
    for end in 0..=whole.len() {
        fs::write(disk.path(ASIDE), &whole[..end]).unwrap();
        assert_eq!(whole_revision(&disk), 4, "{end} bytes are written aside");
    }
    fs::rename(disk.path(ASIDE), disk.path(FILE)).unwrap();
    assert_eq!(
        whole_revision(&disk),
        4,
        "renamed, the deltas are of the old one"
    );
    let loaded = disk.load().unwrap().unwrap();
    assert!(loaded.damage.is_none() && loaded.log.is_some());
    fs::remove_file(disk.path(DELTAS)).unwrap();
    assert_eq!(whole_revision(&disk), 4, "the old deltas are dropped");
    for end in 0..=deltas.len() {
        fs::write(disk.path(DELTAS), &deltas[..end]).unwrap();
        let expected = if end == deltas.len() { 5 } else { 4 };
        assert_eq!(
            whole_revision(&disk),
            expected,
            "{end} bytes of the first delta"
        );
        assert_eq!(disk.load().unwrap().unwrap().damage, None);
    }
}

#[test]
fn deltas_that_could_not_be_dropped_are_replaced_by_the_next_one() {
    let (_folder, disk, _) = with_deltas(3);
    let old = fs::read(disk.path(DELTAS)).unwrap();
    let log = disk.store(&at(3)).unwrap();
    fs::write(disk.path(DELTAS), old).unwrap();
    assert_eq!(whole_revision(&disk), 3);
    log.append(&delta(4)).unwrap();
    assert_eq!(whole_revision(&disk), 4);
}

#[test]
fn a_log_takes_deltas_until_it_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Disk::new(folder.path()).store(&at(1)).unwrap();
    let big = vec![0; 100 * 1024];
    assert!(!log.takes(1024 * 1024), "more than all of them may be");
    let mut taken = 0;
    while log.takes(big.len()) {
        log = log.append(&big).unwrap();
        taken += 1;
    }
    assert_eq!(taken, 3);
    assert!(log.is_full() && !log.takes(1));
}
