//! What is wrong with a change, as data for the edge to print.

use inlet_proto::name::Key;

/// One reason to refuse a change. All reasons are reported at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The resource that it is about; `None` if it has no kind.
    pub(crate) key: Option<Key>,
    /// Where it was written, as given with the upsert: `shop.yaml:12`.
    pub(crate) origin: Option<String>,
    /// Path of the field inside the resource in JSON names; empty = the whole.
    pub(crate) field: String,
    /// What is wrong and what would be right, without the path. Names the other end where there is one.
    pub(crate) message: String,
    /// Its class.
    pub(crate) kind: ViolationKind,
}

/// Classes of violations, one per status code or reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ViolationKind {
    /// A resource is not well-formed, or is twice in the change.
    Malformed,
    /// What is to be deleted is not there.
    NotFound,
    /// A reference to something missing, or the deletion of something referred to.
    Reference,
    /// Deletion protection, or a field that cannot change.
    Protected,
    /// Two resources that cannot be together.
    Clash,
    /// Too many.
    Quota,
}
