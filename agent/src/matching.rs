//! Request x rules -> the action and the rule. Pure; used by requests and, later, by Explain alike.
//!
//! Cost: independent of the number of rules for what is keyed by host and path; the other conditions are looked at
//! only for the rules that host and path leave. No allocation, but for absurdly long hosts and paths that are not in
//! normal form.
//! Source: application load balancer, 7.

mod condition;
mod path;
mod subject;

use std::net::IpAddr;

use crate::table::{Action, Router};
use subject::{Room, Subject};

/// What rules can look at, lent from the request's head.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a, H> {
    /// As sent: case matters.
    pub method: &'a [u8],
    /// Host without its port, as sent; matching ignores case. Empty = none.
    pub host: &'a [u8],
    /// Path as sent, without query: case matters. Rules look at its normal form.
    pub path: &'a [u8],
    /// What follows the first `?`; None = there is none.
    pub query: Option<&'a [u8]>,
    /// The client's address.
    pub source: IpAddr,
    /// The headers.
    pub headers: H,
}

/// Headers of a request, however they are kept.
pub trait Headers {
    /// Calls `look` with the value of each header of this name (given in lower case; compared without case) until it
    /// returns true; says whether it did.
    fn any(&self, name: &[u8], look: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t> {
    /// What to do.
    pub action: &'t Action,
    /// Priority of the rule; 0 = the default action.
    pub priority: u32,
}

/// Finds the first rule, by priority, whose conditions all hold; the default action if there is none.
pub fn find<'t, H: Headers>(router: &'t Router, request: &Request<'_, H>) -> Found<'t> {
    let default = Found {
        action: &router.default,
        priority: 0,
    };
    if router.rules.is_empty() {
        return default;
    }
    let mut room = Room::default();
    let subject = Subject::new(request, &mut room);
    let first = router
        .rules
        .first(subject.host(), subject.path(), |condition| {
            condition::holds(condition, &subject)
        });
    match first {
        Some(rule) => Found {
            action: &rule.action,
            priority: rule.priority,
        },
        None => default,
    }
}

#[cfg(test)]
mod tests;
