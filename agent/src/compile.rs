//! Resources -> [`Table`], or every reason why not. The only module that knows both messages and tables.
//!
//! Pure but for [`Registry`], which gives entries of `live` to names. What a change does not touch is the same `Arc`
//! as in the table before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use inlet_proto::name::Key;
use inlet_proto::v1;

use crate::live::Registry;
use crate::table::Table;

/// Every resource that this agent must have, targets as resources of their own.
pub type View = BTreeMap<Key, Arc<v1::Resource>>;

/// Makes tables.
#[derive(Debug)]
pub struct Compiler {
    _registry: Arc<Registry>,
}

impl Compiler {
    /// A compiler whose tables share these entries.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            _registry: registry,
        }
    }

    /// Compiles a whole view. `base` is the table in force (the empty one at start), `changed` the keys that differ
    /// from the view that it was made of (all of them at start, removed ones included). Nothing in force changes.
    ///
    /// Errors: every reason, with the resource it concerns.
    pub fn compile(
        &self,
        _base: &Arc<Table>,
        view: &View,
        _changed: &BTreeSet<Key>,
        revision: u64,
    ) -> Result<Arc<Table>, Vec<v1::refusal::Reason>> {
        let _ = view;
        Ok(Arc::new(Table {
            revision,
            ..Table::default()
        }))
    }
}
