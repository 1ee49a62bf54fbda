//! A store in memory.

use super::{Entry, Loaded, Store, StoreError};

/// Keeps everything until it is dropped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory;

impl Store for Memory {
    fn load(&mut self) -> Result<Loaded, StoreError> {
        unimplemented!()
    }
    fn append(&mut self, _batch: &[Entry], _oldest: u64) -> Result<(), StoreError> {
        unimplemented!()
    }
    fn wants_export(&self) -> bool {
        false
    }
    fn export(&mut self, _whole: &mut dyn FnMut() -> Loaded) -> Result<(), StoreError> {
        Ok(())
    }
}
