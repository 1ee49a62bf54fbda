//! Crashes at every byte, and damage at every place.

use super::*;

/// A disk with three revisions, the store closed.
fn three() -> Disk {
    let mut disk = Disk::new();
    let mut store = disk.open();
    disk.put(&mut store, &["a", "b"]);
    disk.put(&mut store, &["a"]);
    drop(store);
    disk
}

/// The same without its database.
fn without_database(disk: &Disk) {
    fs::remove_dir_all(disk.path().join(DATABASE)).unwrap();
}

/// The first revisions only.
fn first(disk: &Disk, revisions: usize) -> Image {
    let mut image = Image::default();
    for record in &disk.expected.records[..revisions] {
        let alone = Image {
            records: vec![record.clone()],
            ..Image::default()
        };
        let entries = alone.entries_after(image.revision).unwrap();
        for changed in &entries[0].changes {
            let after = Arc::clone(changed.after.as_ref().unwrap());
            image.resources.insert(changed.key.clone(), after);
        }
        image.revision = record.revision;
        image.records.push(record.clone());
    }
    image
}

#[test]
fn a_crash_at_any_byte_of_an_append_keeps_what_was_whole() {
    let mut disk = three();
    let journal = disk.journal();
    let bytes = fs::read(&journal).unwrap();
    let whole = disk.expected.clone();
    let frames: Vec<_> = {
        let scan = frame::FileKind::Journal.scan(&journal, &bytes).unwrap();
        scan.frames.iter().map(|frame| frame.offset).collect()
    };
    for cut in (frames[0]..bytes.len()).chain([bytes.len()]) {
        without_database(&disk);
        fs::write(&journal, &bytes[..cut]).unwrap();
        let whole_frames = frames.iter().skip(1).filter(|at| **at <= cut).count();
        let count = whole_frames + usize::from(cut == bytes.len());
        disk.expected = first(&disk_of(&whole), count);
        let mut store = disk.open();
        assert_eq!(
            fs::metadata(&journal).unwrap().len() as usize,
            frames.get(count).copied().unwrap_or(bytes.len()),
            "cut at {cut}"
        );
        // And it goes on from there.
        if cut % 16 == 0 {
            disk.put(&mut store, &["after"]);
            drop(store);
            disk.open();
        }
    }
}

fn disk_of(image: &Image) -> Disk {
    Disk {
        expected: image.clone(),
        ..Disk::new()
    }
}

#[test]
fn a_journal_that_lost_its_end_or_middle_is_rebuilt_from_the_database() {
    let disk = three();
    let path = disk.journal();
    let bytes = fs::read(&path).unwrap();
    let mut flipped: Vec<_> = (0..bytes.len()).step_by(7).collect();
    flipped.push(bytes.len() - 1);
    for at in flipped {
        // The version: that of a later program, which is not damage.
        if (14..16).contains(&at) {
            continue;
        }
        let disk = three();
        let path = disk.journal();
        let mut broken = fs::read(&path).unwrap();
        broken[at] ^= 1;
        fs::write(&path, broken).unwrap();
        disk.open();
        assert!(
            disk.path()
                .join("broken")
                .join(path.file_name().unwrap())
                .exists()
        );
        disk.open();
    }
    for cut in [0, 5, 16, bytes.len() / 2, bytes.len() - 1] {
        let disk = three();
        fs::write(disk.journal(), &bytes[..cut]).unwrap();
        disk.open();
        disk.open();
    }
    let disk = three();
    fs::remove_file(disk.journal()).unwrap();
    let mut disk = disk;
    let mut store = disk.open();
    disk.put(&mut store, &["z"]);
    drop(store);
    disk.open();
}

#[test]
fn a_damaged_journal_without_a_database_that_has_everything_is_refused_by_file_and_offset() {
    let mut disk = three();
    without_database(&disk);
    let path = disk.journal();
    let bytes = fs::read(&path).unwrap();
    let second = {
        let scan = frame::FileKind::Journal.scan(&path, &bytes).unwrap();
        scan.frames[1].offset
    };
    let mut broken = bytes.clone();
    broken[second + 60] ^= 1;
    fs::write(&path, &broken).unwrap();
    let refused = |disk: &Disk| {
        let said = Sled::open(&disk.path()).err().unwrap().to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        assert!(
            said.contains(&format!("damaged at byte {second} ")),
            "{said}"
        );
        assert!(said.contains("lbctl restore"), "{said}");
    };
    refused(&disk);
    // Neither does one that is behind.
    fs::write(&path, &bytes).unwrap();
    let behind = disk.folder.path().join("behind");
    drop(disk.open());
    copy(&disk.path().join(DATABASE), &behind);
    let mut store = disk.open();
    disk.put(&mut store, &["d"]);
    drop(store);
    let mut broken = fs::read(&path).unwrap();
    broken[second + 60] ^= 1;
    without_database(&disk);
    copy(&behind, &disk.path().join(DATABASE));
    fs::write(&path, &broken).unwrap();
    refused(&disk);
    assert_eq!(fs::read(&path).unwrap(), broken, "it is left as it is");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).unwrap();
        }
    }
}

#[test]
fn a_database_that_is_broken_or_behind_or_of_another_opinion_agrees_again() {
    let nothing: fn(&Path, &Path) = |_, _| {};
    let breaks: [fn(&Path, &Path); 7] = [
        nothing,
        |database, _| fs::remove_dir_all(database).unwrap(),
        |database, _| fs::write(database.join("db"), b"this is no database").unwrap(),
        |database, _| fs::write(database.join("db"), [0; 4096]).unwrap(),
        |database, _| {
            let path = database.join("db");
            let mut bytes = fs::read(&path).unwrap();
            bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 0x55);
            fs::write(path, bytes).unwrap();
        },
        |database, _| {
            fs::remove_dir_all(database).unwrap();
            fs::write(database, "a file in its place").unwrap();
        },
        |database, behind| {
            fs::remove_dir_all(database).unwrap();
            copy(behind, database);
        },
    ];
    for (number, change) in breaks.into_iter().enumerate() {
        println!("case {number}");
        let mut disk = three();
        let behind = disk.folder.path().join("behind");
        copy(&disk.path().join(DATABASE), &behind);
        let mut store = disk.open();
        disk.put(&mut store, &["d", "a"]);
        drop(store);
        change(&disk.path().join(DATABASE), &behind);
        let mut store = disk.open();
        disk.put(&mut store, &["e"]);
        drop(store);
        disk.open();
    }
    // As many revisions, but others.
    let mut disk = three();
    let mut other = Disk::new();
    let mut store = other.open();
    other.put(&mut store, &["x", "y", "z"]);
    drop(store);
    without_database(&disk);
    copy(&other.path().join(DATABASE), &disk.path().join(DATABASE));
    let mut store = disk.open();
    disk.put(&mut store, &["e"]);
    drop(store);
    disk.open();
}

#[test]
fn a_crash_at_any_step_of_an_export_leaves_everything() {
    let mut disk = three();
    let old = disk.journal();
    let bytes = fs::read(&old).unwrap();
    let mut store = disk.open();
    let whole = disk.expected.clone();
    store.export(&mut || whole.clone().into_loaded()).unwrap();
    let new = disk.journal();
    // Both journals are there.
    drop(store);
    fs::write(&old, &bytes).unwrap();
    let mut store = disk.open();
    assert_eq!(disk.journal(), new, "the old one is removed");
    disk.put(&mut store, &["e"]);
    drop(store);
    disk.open();
    // The export is there, the new journal is not: the old one goes on.
    let mut disk = three();
    let mut store = disk.open();
    let whole = disk.expected.clone();
    store.export(&mut || whole.clone().into_loaded()).unwrap();
    drop(store);
    fs::rename(disk.journal(), disk.path().join(old.file_name().unwrap())).unwrap();
    fs::write(disk.journal(), &bytes).unwrap();
    let mut store = disk.open();
    disk.put(&mut store, &["e"]);
    drop(store);
    disk.open();
    // A rest of an export that was being written.
    fs::write(disk.path().join("unfinished"), "half").unwrap();
    disk.open();
}

#[test]
fn a_damaged_export_is_made_up_for_by_the_database_or_refused() {
    let mut disk = three();
    let mut store = disk.open();
    let whole = disk.expected.clone();
    store.export(&mut || whole.clone().into_loaded()).unwrap();
    disk.put(&mut store, &["e"]);
    drop(store);
    let export = disk.files("export-").remove(0);
    let bytes = fs::read(&export).unwrap();
    let mut damages: Vec<Vec<u8>> = vec![Vec::new(), bytes[..bytes.len() / 2].to_vec()];
    damages.push(bytes[..bytes.len() - 1].to_vec());
    damages.push([&bytes[..], b"x"].concat());
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    damages.push(flipped);
    let kept = disk.folder.path().join("kept");
    copy(&disk.path(), &kept);
    for (number, damage) in damages.into_iter().enumerate() {
        println!("case {number}");
        fs::remove_dir_all(disk.path()).unwrap();
        copy(&kept, &disk.path());
        fs::write(&export, &damage).unwrap();
        let database = disk.path().join(DATABASE);
        let aside = disk.folder.path().join("aside");
        fs::rename(&database, &aside).unwrap();
        let said = Sled::open(&disk.path()).err().unwrap().to_string();
        assert!(said.contains("the export is not whole"), "{said}");
        assert!(said.contains(export.to_str().unwrap()), "{said}");
        fs::rename(&aside, &database).unwrap();
        disk.open();
        disk.open();
    }
}

#[test]
fn without_a_journal_a_broken_database_is_not_taken_for_an_empty_one() {
    let disk = three();
    fs::remove_file(disk.journal()).unwrap();
    let database = disk.path().join(DATABASE);
    fs::remove_dir_all(&database).unwrap();
    fs::write(&database, "no folder").unwrap();
    let said = Sled::open(&disk.path()).err().unwrap().to_string();
    assert!(said.contains("has no journal"), "{said}");
    assert!(said.contains(disk.path().to_str().unwrap()), "{said}");
}
