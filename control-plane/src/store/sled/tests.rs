//! The store on disk under crashes, damage and full disks: what was appended is there again, or the start is refused.

mod crash;
mod damage;
mod disk;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use inlet_proto::v1;
use tempfile::TempDir;

use super::*;
use crate::model::{Change, Changed, Upsert};
use crate::store::{Record, encode_revision};
use crate::writer::{Settings, Writer};

/// A data directory, and what its store must have.
struct Disk {
    folder: TempDir,
    expected: Image,
}

impl Disk {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            expected: Image::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The only journal.
    fn journal(&self) -> PathBuf {
        let [only] = &self.files("journal-")[..] else {
            panic!("{:?}", self.files(""));
        };
        only.clone()
    }

    fn files(&self, prefix: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_wanted = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(prefix)
        };
        paths.filter(is_wanted).collect()
    }

    /// Opens it, and looks whether everything is there.
    #[track_caller]
    fn open(&self) -> Sled {
        let mut store = Sled::open(&self.path()).unwrap();
        assert_eq!(Image::of(store.load().unwrap()), self.expected);
        let database = store.database.as_mut().expect("a database");
        let image = database.image().unwrap();
        assert_eq!(image.resources, self.expected.resources);
        assert_eq!(image.revision, self.expected.revision);
        store
    }

    /// Appends revisions that each put one target group; expects them to be there.
    #[track_caller]
    fn put(&mut self, store: &mut Sled, names: &[&str]) {
        let batch = self.expect(names);
        store.append(&batch, 1).unwrap();
    }

    /// The entries that put these groups, expected from now on.
    fn expect(&mut self, names: &[&str]) -> Vec<Entry> {
        let batch = entries(&self.expected, names);
        for entry in &batch {
            self.expected.revision = entry.record.revision;
            self.expected.records.push(entry.record.clone());
            for changed in &entry.changes {
                let resource = Arc::clone(changed.after.as_ref().unwrap());
                let resources = &mut self.expected.resources;
                resources.insert(changed.key.clone(), resource);
            }
        }
        batch
    }
}

fn entries(on: &Image, names: &[&str]) -> Vec<Entry> {
    let mut image = on.clone();
    let mut batch = Vec::new();
    for name in names {
        let revision = image.revision + 1;
        let group = v1::TargetGroup {
            name: (*name).to_owned(),
            revision,
            port: 80,
            ..Default::default()
        };
        let after = Arc::new(v1::Resource::from(group));
        let key = after.key().unwrap();
        let before = image.resources.insert(key.clone(), Arc::clone(&after));
        let changed = Changed {
            key,
            before,
            after: Some(after),
        };
        image.revision = revision;
        batch.push(entry(revision, vec![changed]));
    }
    batch
}

fn entry(revision: u64, changes: Vec<Changed>) -> Entry {
    let message = v1::Revision {
        revision,
        changes: changes.iter().map(Changed::to_message).collect(),
        ..Default::default()
    };
    let record = Record {
        revision,
        bytes: encode_revision(&message),
    };
    Entry { record, changes }
}

#[test]
fn what_was_appended_is_there_again() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b", "c"]);
    disk.put(&mut store, &["a"]);
    drop(store);
    let mut store = disk.open();
    let gone = disk.expected.resources.pop_first().unwrap();
    let changed = Changed {
        key: gone.0,
        before: Some(gone.1),
        after: None,
    };
    let batch = [entry(5, vec![changed])];
    disk.expected.revision = 5;
    disk.expected.records.push(batch[0].record.clone());
    store.append(&batch, 1).unwrap();
    drop(store);
    disk.open();
}

#[test]
fn an_export_takes_the_place_of_the_journal_and_of_the_forgotten_history() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b", "c", "d"]);
    disk.expected.records.drain(..2);
    for _ in 0..2 {
        let whole = disk.expected.clone();
        store.export(&mut || whole.clone().into_loaded()).unwrap();
        assert_eq!(disk.files("journal-").len(), 1);
        assert_eq!(disk.files("export-").len(), 1);
        let batch = disk.expect(&["e", "a"]);
        store.append(&batch, 3).unwrap();
    }
    drop(store);
    let mut store = disk.open();
    let image = store.database.as_mut().unwrap().image().unwrap();
    assert_eq!(image.records, disk.expected.records, "sled forgets too");
}

#[test]
fn an_export_is_due_when_the_journal_has_grown() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a"]);
    assert!(!store.wants_export());
    store.export_at = store.journal.len() + 1;
    assert!(!store.wants_export());
    disk.put(&mut store, &["a"]);
    assert!(store.wants_export());
    let whole = disk.expected.clone();
    store.export(&mut || whole.clone().into_loaded()).unwrap();
    assert!(!store.wants_export());
    assert_eq!(export_at(1), EXPORT_AFTER_BYTES);
    assert_eq!(export_at(EXPORT_AFTER_BYTES), 2 * EXPORT_AFTER_BYTES);
}

#[test]
fn a_database_that_failed_is_given_up_and_rebuilt_with_the_next_export() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b"]);
    let hangs = store.database.as_mut().unwrap().hang().unwrap_err();
    store.lose_database(&hangs);
    assert!(
        !disk.path().join("sled").exists(),
        "not to be trusted later"
    );
    disk.put(&mut store, &["c"]);
    // As after a crash in this state.
    let copy = Disk {
        folder: tempfile::tempdir().unwrap(),
        expected: disk.expected.clone(),
    };
    fs::create_dir(copy.path()).unwrap();
    let journal = disk.journal();
    fs::copy(&journal, copy.path().join(journal.file_name().unwrap())).unwrap();
    copy.open();

    store.journal.room = None;
    store.export_at = 0;
    assert!(store.wants_export());
    let whole = disk.expected.clone();
    store.export(&mut || whole.clone().into_loaded()).unwrap();
    disk.put(&mut store, &["d"]);
    drop(store);
    disk.open();
}

#[tokio::test]
async fn a_writer_goes_on_over_exports_and_restarts() {
    let disk = Disk::new();
    let settings = Settings {
        kept_revisions: 5,
        ..Settings::default()
    };
    let mut before = Image::default();
    for round in 0..4 {
        let mut store = Sled::open(&disk.path()).unwrap();
        store.export_at = 0;
        let writer = Writer::open(Box::new(store), settings.clone()).unwrap();
        let shown: Vec<_> = writer.state().all().map(|(_, it)| Arc::clone(it)).collect();
        assert!(shown.iter().eq(before.resources.values()));
        for number in 0..4 {
            let group = v1::TargetGroup {
                name: format!("g{}", (round * 3 + number) % 7),
                protocol: v1::Protocol::Http.into(),
                port: 80,
                tags: [("round".to_owned(), round.to_string())].into(),
                ..Default::default()
            };
            let upsert = Upsert {
                resource: group.into(),
                ..Upsert::default()
            };
            let change = Change {
                upserts: vec![upsert],
                ..Change::default()
            };
            let revision = writer.apply(change).await.unwrap().revision;
            assert_eq!(revision, round * 4 + number + 1);
        }
        let state = writer.state();
        let resources = state.all().map(|(key, it)| (key.clone(), Arc::clone(it)));
        before.resources = resources.collect();
        assert_eq!(
            writer.history(None, 99).len() as u64,
            5.min(state.revision())
        );
        writer.close().await;
        assert_eq!(disk.files("export-").len(), 1);
        assert_eq!(disk.files("journal-").len(), 1);
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(disk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "secrets are in it");
}

#[test]
fn a_database_that_fails_again_and_again_is_left_to_the_next_start() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    for round in 0..=MAX_LOST {
        let hangs = store.database.as_mut().expect("rebuilt").hang();
        store.lose_database(&hangs.unwrap_err());
        let soon = store.export_at <= store.journal.len() + RETRY_AFTER_BYTES;
        assert_eq!(soon, round < MAX_LOST, "{round}");
        disk.put(&mut store, &["a"]);
        let whole = disk.expected.clone();
        store.export(&mut || whole.clone().into_loaded()).unwrap();
    }
    assert!(store.database.is_none());
    disk.put(&mut store, &["b"]);
    drop(store);
    disk.open();
}
