//! The revisions that are kept.

/// A revision that cannot be shown or gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotKept {
    /// As asked for.
    pub(crate) revision: u64,
    /// The oldest that is kept.
    pub(crate) oldest: u64,
    /// The current one.
    pub(crate) current: u64,
}

impl std::fmt::Display for NotKept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            revision,
            oldest,
            current,
        } = self;
        if revision > current {
            write!(
                f,
                "revision {revision} does not exist yet; the current one is {current}"
            )
        } else {
            write!(
                f,
                "revision {revision} is not kept; the oldest that is kept is {oldest}"
            )
        }
    }
}

impl std::error::Error for NotKept {}
