//! Is one message well-formed? Limits and wordings are AWS's, from the specifications.

mod matcher;

pub use matcher::{Matcher, MatcherError};

use crate::v1;

/// One mistake in one message, as data: where, what was found, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field inside the message in JSON names: `conditions[0].pathPattern.values[1]`; empty = the whole.
    pub field: String,
    /// What is wrong and what would be right, in one sentence without the path.
    pub message: String,
}

/// Checks one resource; the empty list says that it is well-formed. Never looks at other resources.
pub fn check(_resource: &v1::Resource) -> Vec<Violation> {
    Vec::new()
}
