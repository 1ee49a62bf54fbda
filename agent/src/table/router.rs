//! The compiled rules of one HTTP listener. Built by `compile`, read by `matching`, opaque to all others.

use crate::table::Action;

/// Rules in the order of their priorities, and the default action.
#[derive(Debug)]
pub struct Router {
    /// What happens when no rule matches.
    pub default: Action,
}
