//! What is wrong with a change, as data for the edge to print.

use std::collections::HashSet;

use inlet_proto::name::Key;

/// One reason to refuse a change. All reasons are reported at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Collects violations, to be reported in the order of the change.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// (place in the change, violation).
    found: Vec<(usize, Violation)>,
}

/// What a violation is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Place in the change; what comes from no upsert comes last.
    pub(super) place: usize,
    /// The resource.
    pub(super) key: Option<&'a Key>,
    /// Where it was written; may be empty.
    pub(super) origin: &'a str,
}

/// The place of what comes from no upsert.
pub(super) const LAST: usize = usize::MAX;

impl<'a> Subject<'a> {
    /// A resource that is not among the upserts.
    pub(super) fn stored(key: &'a Key) -> Self {
        Self {
            place: LAST,
            key: Some(key),
            origin: "",
        }
    }
}

impl Findings {
    /// Reports a violation.
    pub(super) fn refuse(
        &mut self,
        subject: Subject<'_>,
        kind: ViolationKind,
        field: impl Into<String>,
        message: impl Into<String>,
    ) {
        let violation = Violation {
            key: subject.key.cloned(),
            origin: (!subject.origin.is_empty()).then(|| subject.origin.to_owned()),
            field: field.into(),
            message: message.into(),
            kind,
        };
        self.found.push((subject.place, violation));
    }

    /// All of them in the order of the change, each once, or nothing.
    pub(super) fn into_result(mut self) -> Result<(), Vec<Violation>> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(place, _)| *place);
        // A listener is looked at for its own sake and for its load balancer's.
        let mut seen = HashSet::new();
        let found = self.found.into_iter().map(|(_, violation)| violation);
        Err(found.filter(|it| seen.insert(it.clone())).collect())
    }
}
