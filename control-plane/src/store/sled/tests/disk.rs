//! Disks that are full, taken or not what they should be.

use super::frame::FileKind;
use super::*;

#[test]
fn a_full_disk_refuses_an_append_whole_and_the_next_one_works() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b"]);
    let size = |disk: &Disk| fs::metadata(disk.journal()).unwrap().len();
    let before = size(&disk);
    for room in [0, 1, 40, 90, 150] {
        store.journal.room = Some(room);
        let batch = entries(&disk.expected, &["c", "d", "e"]);
        let error = store.append(&batch, 1).unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert!(error.contains("journal-"), "{error}");
        assert_eq!(size(&disk), before, "nothing is half there");
    }
    store.journal.room = None;
    disk.put(&mut store, &["f"]);
    drop(store);
    disk.open();
}

#[test]
fn a_full_disk_fails_an_export_and_nothing_is_lost() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b"]);
    // The name is taken by something that cannot be replaced.
    let blocked = store.folder.numbered(export::NAME, 2);
    fs::create_dir_all(blocked.join("x")).unwrap();
    let whole = disk.expected.clone();
    let mut whole = || whole.clone().into_loaded();
    store.export_at = 0;
    store.export(&mut whole).unwrap_err();
    assert!(!store.wants_export(), "not with every change again");
    assert!(disk.files("unfinished").is_empty());
    disk.put(&mut store, &["c"]);
    drop(store);
    fs::remove_dir_all(blocked).unwrap();
    disk.open();
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let disk = Disk::new();
    let refused = |path: &Path| match Sled::open(path) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{} was opened", path.display()),
    };
    let store = disk.open();
    let path = disk.path();
    let said = refused(&path);
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert!(said.contains("in use by another control plane"), "{said}");
    drop(store);
    disk.open();

    let file = disk.folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = refused(&file);
    assert!(said.contains("is not a directory"), "{said}");

    for nowhere in [file.join("below"), PathBuf::from("/proc/inlet-data")] {
        let said = refused(&nowhere);
        let beginning = format!("cannot use the data directory {}: ", nowhere.display());
        assert!(said.starts_with(&beginning), "{said}");
        assert!(said.contains("--data-dir"), "{said}");
    }
}

#[test]
fn what_a_later_program_wrote_is_left_alone() {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a"]);
    drop(store);
    let journal = disk.journal();
    let bytes = fs::read(&journal).unwrap();
    let mut later_file = bytes.clone();
    later_file[14] = 9;
    let mut later_record = FileKind::Journal.header();
    frame::write(&mut later_record, frame::Kind::Revision, 1, &[9, 1, 2]);
    for written in [later_file, later_record] {
        fs::write(&journal, &written).unwrap();
        let error = Sled::open(&disk.path()).err().unwrap();
        let said = error.to_string();
        assert!(said.contains("a newer control plane (version 9)"), "{said}");
        assert!(said.contains(journal.to_str().unwrap()), "{said}");
        assert_eq!(fs::read(&journal).unwrap(), written);
    }
    fs::write(&journal, bytes).unwrap();
    disk.open();
}

/// Where the small disk is mounted, for the child.
const SMALL_DISK: &str = "INLET_SMALL_DISK_TEST_FOLDER";

/// A real one: a file system of 6 MiB in a mount namespace of a process of its own.
#[test]
fn a_small_disk_fills_up_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let in_namespace = |script: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]);
        command.arg(folder.path()).args(arguments);
        command.env(SMALL_DISK, folder.path()).output()
    };
    let mount = "mount -t tmpfs -o size=6m small \"$0\"";
    if !in_namespace(mount, &[]).is_ok_and(|done| done.status.success()) {
        eprintln!("SKIPPED: a mount in a namespace of its own is not allowed (run as root)");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let test = "store::sled::tests::disk::the_child_on_a_small_disk";
    let arguments = [program.to_str().unwrap(), "--exact", test, "--ignored"];
    let script = format!("{mount} && exec \"$@\"");
    let done = in_namespace(&script, &arguments).unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "the child of a_small_disk_fills_up_and_goes_on_when_there_is_room"]
async fn the_child_on_a_small_disk() {
    let Ok(folder) = std::env::var(SMALL_DISK) else {
        return;
    };
    let data = Path::new(&folder).join("data");
    let filler = Path::new(&folder).join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let open = || {
        let store = Sled::open(&data).unwrap();
        Writer::open(Box::new(store), Settings::default()).unwrap()
    };
    let writer = open();
    let mut made = 0;
    let refused = loop {
        match writer.apply(bulky(made)).await {
            Ok(outcome) => made = outcome.revision,
            Err(refused) => break refused,
        }
        assert!(made < 200, "20 MB fit on a disk of 6 MB");
    };
    let said = refused.to_string();
    assert!(said.contains("No space left on device"), "{said}");
    for _ in 0..3 {
        assert!(writer.apply(bulky(made)).await.is_err());
    }
    assert_eq!(writer.state().revision(), made);
    fs::remove_file(&filler).unwrap();
    made = writer.apply(bulky(made)).await.unwrap().revision;
    let before = writer.state();
    writer.close().await;
    let writer = open();
    assert_eq!(writer.state().revision(), made);
    assert!(writer.state().all().eq(before.all()));
    assert_eq!(writer.history(None, usize::MAX).len() as u64, made);
}

/// About 100 KiB.
fn bulky(round: u64) -> Change {
    let group = |number: u32| v1::TargetGroup {
        name: format!("g{round}-{number}"),
        protocol: v1::Protocol::Http.into(),
        port: 80,
        tags: [("filler".to_owned(), "x".repeat(250))].into(),
        ..Default::default()
    };
    let upsert = |number| Upsert {
        resource: group(number).into(),
        ..Upsert::default()
    };
    Change {
        upserts: (0..300).map(upsert).collect(),
        ..Change::default()
    }
}
