//! A store in memory: for tests and `lbctl demo`. Clones share what is kept, so a test can open it again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use inlet_proto::name::Key;
use inlet_proto::v1;

use super::{Entry, Loaded, Record, Store, StoreError};

/// Keeps everything until its last clone is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    kept: Arc<Mutex<Kept>>,
}

/// What a [`Memory`] keeps.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    revision: u64,
    resources: BTreeMap<Key, Arc<v1::Resource>>,
    records: VecDeque<Record>,
    /// The numbers of revisions of each append that worked.
    #[cfg(test)]
    pub(crate) batches: Vec<usize>,
    /// Appends fail, like those on a full disk.
    #[cfg(test)]
    pub(crate) is_full: bool,
}

impl Memory {
    /// What is kept. While it is locked, appends wait.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        let kept = self.lock();
        Ok(Loaded {
            revision: kept.revision,
            resources: kept.resources.values().map(|r| (**r).clone()).collect(),
            records: kept.records.iter().cloned().collect(),
        })
    }

    fn append(&mut self, batch: &[Entry], oldest: u64) -> Result<(), StoreError> {
        let mut kept = self.lock();
        #[cfg(test)]
        if kept.is_full {
            return Err(StoreError::Io {
                action: "write",
                path: "memory".into(),
                error: std::io::ErrorKind::StorageFull.into(),
            });
        }
        for entry in batch {
            for changed in &entry.changes {
                match &changed.after {
                    Some(after) => kept
                        .resources
                        .insert(changed.key.clone(), Arc::clone(after)),
                    None => kept.resources.remove(&changed.key),
                };
            }
            kept.revision = entry.record.revision;
            kept.records.push_back(entry.record.clone());
        }
        while kept.records.front().is_some_and(|r| r.revision < oldest) {
            kept.records.pop_front();
        }
        #[cfg(test)]
        kept.batches.push(batch.len());
        Ok(())
    }

    fn wants_export(&self) -> bool {
        false
    }

    fn export(&mut self, _whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError> {
        Ok(())
    }
}
