//! What is asked for ([`Change`]), and what it does to one resource ([`Changed`]).

use std::sync::Arc;

use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource_change::Operation;

/// One atomic change: all of it becomes one new revision, or none of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    /// Created, or replaced where they exist.
    pub(crate) upserts: Vec<Upsert>,
    /// Deleted together with their children.
    pub(crate) deletions: Vec<Key>,
    /// The upserts are the whole configuration: every other resource is deleted.
    pub(crate) prune: bool,
    /// Says what would happen and keeps nothing.
    pub(crate) validate_only: bool,
    /// Refused unless this is the current revision.
    pub(crate) expected_revision: Option<u64>,
    /// Who asks.
    pub(crate) author: String,
    /// Kept with the revision.
    pub(crate) message: String,
}

/// A resource to create or replace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Upsert {
    /// The whole resource as it was given; an empty envelope is refused by `admit`.
    pub(crate) resource: v1::Resource,
    /// It is a TargetGroup and its `targets` are the whole set, even if empty.
    pub(crate) all_targets: bool,
    /// Where it was written, for errors; may be empty.
    pub(crate) origin: String,
}

impl From<v1::Upsert> for Upsert {
    fn from(upsert: v1::Upsert) -> Self {
        Self {
            resource: upsert.resource.unwrap_or_default(),
            all_targets: upsert.all_targets,
            origin: upsert.origin,
        }
    }
}

/// What a change does to one resource.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    /// Its address.
    pub(crate) key: Key,
    /// As it was; `None` if it is new.
    pub(crate) before: Option<Arc<v1::Resource>>,
    /// As it is now; `None` if it is gone.
    pub(crate) after: Option<Arc<v1::Resource>>,
}

impl Changed {
    /// What was done. The same resource on both sides is one that stays as it is.
    pub(crate) fn operation(&self) -> Operation {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if Arc::ptr_eq(before, after) => Operation::Unchanged,
            (Some(_), Some(_)) => Operation::Changed,
            (None, _) => Operation::Created,
            (Some(_), None) => Operation::Deleted,
        }
    }

    /// Whether anything is different.
    pub(crate) fn is_effective(&self) -> bool {
        self.operation() != Operation::Unchanged
    }

    /// The form for the API and the store, secrets included.
    pub(crate) fn to_message(&self) -> v1::ResourceChange {
        let whole = |resource: &Arc<v1::Resource>| v1::Resource::clone(resource);
        v1::ResourceChange {
            key: Some((&self.key).into()),
            operation: self.operation().into(),
            before: self.before.as_ref().map(whole),
            after: self.after.as_ref().map(whole),
        }
    }
}
