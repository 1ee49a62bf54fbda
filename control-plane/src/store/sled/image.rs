//! Everything at one revision, as it is read from files or from the database, and how revisions are applied to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use inlet_proto::name::Key;
use inlet_proto::v1;

use super::folder::{Folder, Numbered};
use super::frame::{FileKind, Frame, Kind};
use super::{export, journal};
use crate::model::Changed;
use crate::store::StoreError;
use crate::store::record::{RecordError, decode_resource, decode_revision};
use crate::store::{Entry, Loaded, Record};

/// Everything at one revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Image {
    /// The last revision.
    pub(super) revision: u64,
    /// Every resource.
    pub(super) resources: BTreeMap<Key, Arc<v1::Resource>>,
    /// Revisions without gaps, the oldest first, ending with the last.
    pub(super) records: Vec<Record>,
}

/// What the files say.
#[derive(Debug)]
pub(super) struct Files {
    /// What can be read.
    pub(super) image: Image,
    /// The journal to go on with, and how many bytes of it are whole.
    pub(super) journal: Option<(Numbered, u64)>,
    /// Bytes that a crash has left behind the end.
    pub(super) torn: u64,
    /// Size of the export; 0 = none.
    pub(super) export_bytes: u64,
    /// All of them.
    pub(super) all: Vec<Numbered>,
    /// Those whose content is in a later export.
    pub(super) spare: Vec<Numbered>,
    /// The first place from which they cannot be read.
    pub(super) damage: Option<Damage>,
}

/// A place that a crash cannot have made.
#[derive(Debug)]
pub(super) struct Damage {
    /// The file.
    pub(super) file: PathBuf,
    /// Where in it.
    pub(super) offset: usize,
    /// What is wrong.
    pub(super) what: &'static str,
    /// The highest revision that is known to have been there.
    pub(super) at_least: u64,
}

impl Files {
    /// Reads export and journals. Errors: the system refuses, or a later program wrote them.
    pub(super) fn read(folder: &Folder) -> Result<Self, StoreError> {
        let mut exports = folder.list(export::NAME)?;
        let mut journals = folder.list(journal::NAME)?;
        let all = [&exports[..], &journals[..]].concat();
        let mut files = Self {
            image: Image::default(),
            journal: None,
            torn: 0,
            export_bytes: 0,
            all,
            spare: Vec::new(),
            damage: None,
        };
        if let Some(export) = exports.pop() {
            files.spare = exports;
            files.read_export(&export)?;
            // A journal is spare if the next one begins at the export or before it.
            let needed = journals.partition_point(|it| it.revision <= export.revision);
            files
                .spare
                .extend(journals.drain(..needed.saturating_sub(1)));
        }
        for journal in &journals {
            files.read_journal(journal, Some(journal) == journals.last())?;
        }
        Ok(files)
    }

    fn read_export(&mut self, file: &Numbered) -> Result<(), StoreError> {
        let bytes = read(file)?;
        self.export_bytes = bytes.len() as u64;
        let scan = FileKind::Export.scan(&file.path, &bytes)?;
        let mut ended = None;
        for frame in &scan.frames {
            let read = match frame.kind {
                Kind::Resource => self.image.add(frame.payload),
                Kind::Revision => self.image.record(frame).map(drop),
                Kind::End => {
                    ended = Some(frame);
                    Ok(())
                }
            };
            if let Err(error) = read {
                return self.undecodable(file, frame, error);
            }
        }
        let count = (scan.frames.len() as u64).wrapping_sub(1).to_le_bytes();
        let is_whole = ended.is_some_and(|end| {
            end.number == file.revision && end.payload == count && scan.whole == bytes.len()
        });
        if is_whole && self.image.is_sound(file.revision) {
            self.image.revision = file.revision;
        } else {
            self.damaged(file, scan.whole, "the export is not whole", file.revision);
        }
        Ok(())
    }

    fn read_journal(&mut self, file: &Numbered, is_last: bool) -> Result<(), StoreError> {
        let bytes = read(file)?;
        let scan = FileKind::Journal.scan(&file.path, &bytes)?;
        for frame in &scan.frames {
            if frame.number <= self.image.revision && self.damage.is_none() {
                continue;
            }
            if frame.number != self.image.revision + 1 {
                let what = "the revision before it is missing";
                self.damaged(file, frame.offset, what, frame.number);
            }
            if let Some(damage) = &mut self.damage {
                damage.at_least = damage.at_least.max(frame.number);
            } else if let Err(error) = self.image.step(frame) {
                self.undecodable(file, frame, error)?;
            }
        }
        let left = bytes.len() - scan.whole;
        // A crash leaves a beginning of what was being appended, at the very end, behind a whole header.
        if scan.whole == 0 || scan.behind.is_some() || (left > 0 && !is_last) {
            let behind = scan.behind.unwrap_or_default();
            self.damaged(file, scan.whole, "what is there was never written", behind);
        }
        if is_last {
            self.torn = left as u64;
            self.journal = Some((file.clone(), scan.whole as u64));
        }
        Ok(())
    }

    fn undecodable(
        &mut self,
        file: &Numbered,
        frame: &Frame<'_>,
        error: RecordError,
    ) -> Result<(), StoreError> {
        if let RecordError::Newer(version) = error {
            return Err(StoreError::Newer {
                path: file.path.clone(),
                version: version.into(),
            });
        }
        self.damaged(file, frame.offset, "it cannot be decoded", frame.number);
        Ok(())
    }

    fn damaged(&mut self, file: &Numbered, offset: usize, what: &'static str, at_least: u64) {
        let at_least = at_least.max(self.image.revision);
        let damage = self.damage.get_or_insert_with(|| Damage {
            file: file.path.clone(),
            offset,
            what,
            at_least,
        });
        damage.at_least = damage.at_least.max(at_least);
    }
}

impl Image {
    /// Adds a stored resource.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), RecordError> {
        let resource = decode_resource(bytes)?;
        let key = resource.key().ok_or(RecordError::Broken)?;
        self.resources.insert(key, Arc::new(resource));
        Ok(())
    }

    /// Adds a stored revision to the history.
    fn record(&mut self, frame: &Frame<'_>) -> Result<v1::Revision, RecordError> {
        let revision = decode_revision(frame.payload)?;
        if revision.revision != frame.number {
            return Err(RecordError::Broken);
        }
        self.records.push(Record {
            revision: frame.number,
            bytes: frame.payload.into(),
        });
        Ok(revision)
    }

    /// Takes the next revision.
    fn step(&mut self, frame: &Frame<'_>) -> Result<(), RecordError> {
        let revision = self.record(frame)?;
        for changed in changes(revision)? {
            match changed.after {
                Some(after) => drop(self.resources.insert(changed.key, after)),
                None => drop(self.resources.remove(&changed.key)),
            }
        }
        self.revision = frame.number;
        Ok(())
    }

    /// Whether the records lead to this revision without gaps.
    pub(super) fn is_sound(&self, revision: u64) -> bool {
        let last = self.records.last().map(|record| record.revision);
        let rises = |pair: &[Record]| pair[0].revision.checked_add(1) == Some(pair[1].revision);
        last.unwrap_or_default() == revision && self.records.windows(2).all(rises)
    }

    /// The entries after a revision; `None` if not all of them are kept.
    pub(super) fn entries_after(&self, revision: u64) -> Option<Vec<Entry>> {
        let first = self.records.first()?.revision;
        let skip = usize::try_from(revision.checked_add(1)?.checked_sub(first)?).ok()?;
        let records = self.records.get(skip..)?;
        let entry = |record: &Record| {
            let revision = decode_revision(&record.bytes).ok()?;
            Some(Entry {
                record: record.clone(),
                changes: changes(revision).ok()?,
            })
        };
        records.iter().map(entry).collect()
    }

    /// In the form of the trait.
    pub(super) fn into_loaded(self) -> Loaded {
        let resources = self.resources.into_values();
        Loaded {
            revision: self.revision,
            resources: resources.map(Arc::unwrap_or_clone).collect(),
            records: self.records,
        }
    }

    /// From the form of the trait.
    pub(super) fn of(loaded: Loaded) -> Self {
        let resources = loaded.resources.into_iter();
        Self {
            revision: loaded.revision,
            resources: resources
                .filter_map(|resource| Some((resource.key()?, Arc::new(resource))))
                .collect(),
            records: loaded.records,
        }
    }
}

/// What a revision does. Errors: a kind that this program does not know.
fn changes(revision: v1::Revision) -> Result<Vec<Changed>, RecordError> {
    let changed = |change: v1::ResourceChange| {
        let key = change.key.as_ref().ok_or(RecordError::Broken)?;
        Ok(Changed {
            key: Key::try_from(key).map_err(|_| RecordError::Broken)?,
            before: change.before.map(Arc::new),
            after: change.after.map(Arc::new),
        })
    };
    revision.changes.into_iter().map(changed).collect()
}

fn read(file: &Numbered) -> Result<Vec<u8>, StoreError> {
    std::fs::read(&file.path).map_err(StoreError::io("read", &file.path))
}
