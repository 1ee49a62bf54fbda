//! The store on disk: a journal of our own, and sled beside it. Each has everything; either can be rebuilt from the other.
//!
//! Invariant: the journal is the commit point. A revision exists once its frame is synced there; sled follows, and is
//! synced too, before anybody is told. So sled is never ahead of a journal that is whole. At the start:
//! - sled is behind (a crash between the two): it catches up. It is broken, gone or of another opinion: it is moved
//!   to `broken/` and rebuilt from the journal.
//! - The journal ends in half a frame (a crash while appending): that is cut off, nobody was told of it. It is damaged
//!   elsewhere, ends too early or is gone: if sled has everything that can have been there, a fresh export is written
//!   from sled and the rest moved to `broken/`; else the start is refused with file, offset and remedy.
//!
//! While running, sled failing (a full disk, a panic, a call that never returns) is no reason to refuse changes: it is
//! given up and rebuilt with the next export. A journal that fails refuses the change, and what was half written is cut
//! off.
//!
//! Disk: an export replaces the journal when that has grown to [`EXPORT_AFTER_BYTES`] or twice the last export; the
//! history in it is what the writer keeps. sled takes 4 to 13 times what it holds.

mod database;
mod export;
mod folder;
mod follower;
mod frame;
mod image;
mod journal;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::{Entry, Loaded, Store, StoreError};
use database::DatabaseError;
use folder::Folder;
use follower::Follower;
use image::{Damage, Files, Image};
use journal::Journal;

/// Size of the journal at which an export is worthwhile, if twice the last export is less.
const EXPORT_AFTER_BYTES: u64 = 32 << 20;
/// What is appended before an export that failed, or a database that was given up, is tried again.
const RETRY_AFTER_BYTES: u64 = 1 << 20;
/// Failures of the database after which it is not built again while the program runs.
const MAX_LOST: u32 = 4;
/// Name of the database's folder.
const DATABASE: &str = "sled";

/// Journal, export and sled in a data directory.
pub(crate) struct Sled {
    folder: Folder,
    journal: Journal,
    /// `None`: given up until the next export.
    database: Option<Follower>,
    /// How often a database failed; each may have left a thread and memory behind.
    lost: u32,
    /// Size of the journal at which the next export is due.
    export_at: u64,
    /// What was found at the start, until it is asked for.
    loaded: Loaded,
}

/// The database as it was found.
enum Found {
    Absent,
    Whole(Follower, Image),
    Broken(DatabaseError),
}

impl Sled {
    /// Opens the data directory, which is made if it is not there, and mends what a crash has left.
    ///
    /// Errors: it is in use, not a directory, not writable or of a later version; or it is damaged, and sled cannot
    /// make up for it.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = Folder::take(path)?;
        let files = Files::read(&folder)?;
        let found = Found::open(&folder);
        match (&files.damage, found) {
            (None, Found::Whole(database, image)) if image.revision > files.image.revision => {
                Self::from_database(folder, files, database, image)
            }
            (Some(damage), Found::Whole(database, image)) if image.revision >= damage.at_least => {
                Self::from_database(folder, files, database, image)
            }
            (Some(damage), _) => Err(damage.into()),
            (None, Found::Broken(why)) if files.all.is_empty() => Err(StoreError::NoJournal {
                folder: path.to_owned(),
                why: why.to_string(),
            }),
            (None, found) => Self::from_files(folder, files, found),
        }
    }

    /// The journal is whole: sled is made to agree with it.
    fn from_files(folder: Folder, files: Files, found: Found) -> Result<Self, StoreError> {
        let image = files.image;
        if files.torn > 0 {
            let (bytes, revision) = (files.torn, image.revision);
            tracing::info!(
                bytes,
                revision,
                "cut off what a crash has left half written"
            );
        }
        let journal = match &files.journal {
            Some((file, whole)) => Journal::resume(file, *whole)?,
            None => Journal::create(&folder, image.revision)?,
        };
        folder.forget(&files.spare);
        let database = match found {
            Found::Whole(mut database, had) => match agree(&mut database, had, &image) {
                Ok(()) => Some(database),
                Err(why) => {
                    drop(database);
                    rebuild(&folder, &image, &why.to_string())
                }
            },
            Found::Absent if image.revision == 0 => build(&folder, &image),
            Found::Absent => rebuild(&folder, &image, "it is not there"),
            Found::Broken(why) => rebuild(&folder, &image, &why.to_string()),
        };
        let mut store = Self {
            folder,
            journal,
            export_at: export_at(files.export_bytes),
            lost: 0,
            loaded: Loaded::default(),
            database,
        };
        if store.database.is_none() {
            store.retry_soon();
        }
        store.loaded = image.into_loaded();
        Ok(store)
    }

    /// Sled has more than the journal: the journal begins anew, from an export of it.
    fn from_database(
        folder: Folder,
        files: Files,
        database: Follower,
        image: Image,
    ) -> Result<Self, StoreError> {
        let what = files
            .damage
            .as_ref()
            .map_or("it ends too early", |it| it.what);
        tracing::error!(
            file = ?files.damage.as_ref().map(|it| &it.file),
            offset = files.damage.as_ref().map(|it| it.offset),
            revision = image.revision,
            "the journal is damaged ({what}): it is rebuilt from the database, which has everything; \
             the damaged files are in {}",
            folder.at("broken").display()
        );
        let all: Vec<_> = files.all.into_iter().map(|file| file.path).collect();
        folder.set_aside(&all)?;
        let loaded = image.into_loaded();
        let bytes = export::write(&folder, &loaded)?;
        Ok(Self {
            journal: Journal::create(&folder, loaded.revision)?,
            folder,
            database: Some(database),
            export_at: export_at(bytes),
            lost: 0,
            loaded,
        })
    }

    /// The export first, then the new journal, then the end of the old ones: at every moment all is there.
    fn rotate(&mut self, whole: &Loaded) -> Result<u64, StoreError> {
        let mut old = self.folder.list(export::NAME)?;
        old.extend(self.folder.list(journal::NAME)?);
        let bytes = export::write(&self.folder, whole)?;
        self.journal = Journal::create(&self.folder, whole.revision)?;
        old.retain(|file| file.revision < whole.revision);
        self.folder.forget(&old);
        Ok(bytes)
    }

    fn lose_database(&mut self, why: &DatabaseError) {
        tracing::error!(
            error = %why,
            journal = %self.journal.path().display(),
            "the database failed and is given up until the next export; the journal goes on alone"
        );
        self.database = None;
        self.lost += 1;
        // It is behind from now on, and must not be taken for one that has everything; and its disk may be wanted.
        if let Err(error) = self.folder.remove_database() {
            tracing::error!(%error, "the failed database cannot be removed");
        }
        self.retry_soon();
    }

    /// After too many failures only a new start builds the database again.
    fn may_rebuild(&self) -> bool {
        self.database.is_none() && self.lost <= MAX_LOST
    }

    fn retry_soon(&mut self) {
        if self.may_rebuild() {
            self.export_at = self.export_at.min(self.journal.len() + RETRY_AFTER_BYTES);
        }
    }
}

impl Store for Sled {
    /// What was found at the start; given once.
    fn load(&mut self) -> Result<Loaded, StoreError> {
        Ok(std::mem::take(&mut self.loaded))
    }

    fn append(&mut self, batch: &[Entry], oldest: u64) -> Result<(), StoreError> {
        self.journal
            .append(batch.iter().map(|entry| &entry.record))?;
        // From here on it is committed.
        let followed = self.database.as_mut().map(|it| it.append(batch, oldest));
        if let Some(Err(why)) = followed {
            self.lose_database(&why);
        }
        Ok(())
    }

    fn wants_export(&self) -> bool {
        self.journal.len() >= self.export_at
    }

    fn export(&mut self, whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError> {
        let whole = whole();
        match self.rotate(&whole) {
            Ok(bytes) => self.export_at = export_at(bytes),
            Err(error) => {
                self.export_at = self.journal.len() + RETRY_AFTER_BYTES;
                return Err(error);
            }
        }
        if self.may_rebuild() {
            self.database = rebuild(&self.folder, &Image::of(whole), "it was given up");
            if self.database.is_none() {
                self.lost += 1;
                self.retry_soon();
            }
        }
        Ok(())
    }
}

impl Found {
    fn open(folder: &Folder) -> Self {
        let path = folder.at(DATABASE);
        if !path.exists() {
            return Self::Absent;
        }
        let read = Follower::open(&path).and_then(|mut database| {
            let image = database.image()?;
            Ok((database, image))
        });
        match read {
            Ok((database, image)) => Self::Whole(database, image),
            Err(why) => Self::Broken(why),
        }
    }
}

impl From<&Damage> for StoreError {
    fn from(damage: &Damage) -> Self {
        Self::Damaged {
            file: damage.file.clone(),
            offset: damage.offset as u64,
            what: damage.what,
        }
    }
}

/// Lets a database that is not ahead catch up, and compares. Errors: it cannot, or says something else.
fn agree(database: &mut Follower, had: Image, image: &Image) -> Result<(), DatabaseError> {
    let has = if had.revision == 0 && image.revision > 0 {
        return Err(DatabaseError::Unsound("it is empty"));
    } else if had.revision < image.revision {
        let missing = image.entries_after(had.revision);
        let missing = missing.ok_or(DatabaseError::Unsound("it is far behind"))?;
        let oldest = image.records.first().map_or(0, |record| record.revision);
        database.append(&missing, oldest)?;
        database.image()?
    } else {
        had
    };
    if has.resources != image.resources {
        return Err(DatabaseError::Unsound("it differs from the journal"));
    }
    Ok(())
}

/// Builds the database anew in the place of a broken one; `None` if not even that works.
fn rebuild(folder: &Folder, image: &Image, why: &str) -> Option<Follower> {
    let revision = image.revision;
    tracing::warn!(revision, "rebuilding the database from the journal: {why}");
    let path = folder.at(DATABASE);
    if path.exists()
        && let Err(error) = folder.set_aside(&[path])
    {
        tracing::error!(%error, "the broken database cannot be moved away; the journal goes on alone");
        return None;
    }
    build(folder, image)
}

fn build(folder: &Folder, image: &Image) -> Option<Follower> {
    let built = Follower::open(&folder.at(DATABASE)).and_then(|mut database| {
        database.fill(image.clone())?;
        Ok(database)
    });
    built
        .inspect_err(|error| {
            tracing::error!(%error, "the database cannot be built; the journal goes on alone");
        })
        .ok()
}

fn export_at(export_bytes: u64) -> u64 {
    EXPORT_AFTER_BYTES.max(export_bytes.saturating_mul(2))
}
