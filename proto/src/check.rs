//! Is one message well-formed? Limits and wordings are AWS's, from the specifications.
//!
//! One file per family of kinds; `field` has what many kinds share, `limits` every number. Nothing here sees more
//! than one message: references, uniqueness and quotas are the control plane's. What the language has and no program
//! serves so far is refused as "not supported yet", so that nothing is silently ignored.

mod action;
mod certificate;
mod condition;
mod field;
mod findings;
mod health_check;
pub mod limits;
mod listener;
mod load_balancer;
mod matcher;
mod redirect;
mod rule;
mod target;
mod target_group;
#[cfg(test)]
mod tests;

pub use matcher::{Matcher, MatcherError};

use crate::v1;
use crate::v1::resource::Kind as Body;
use findings::Findings;

/// One mistake in one message, as data: where, what was found, what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field inside the message in JSON names: `conditions[0].pathPattern.values[1]`; empty = the whole.
    pub field: String,
    /// What is wrong and what would be right, in one sentence without the path.
    pub message: String,
}

/// Checks one resource; the empty list says that it is well-formed. Never looks at other resources.
pub fn check(resource: &v1::Resource) -> Vec<Violation> {
    let mut findings = Findings::default();
    match &resource.kind {
        Some(Body::LoadBalancer(message)) => load_balancer::check(&mut findings, message),
        Some(Body::Listener(message)) => listener::check(&mut findings, message),
        Some(Body::Rule(message)) => rule::check(&mut findings, message),
        Some(Body::TargetGroup(message)) => target_group::check(&mut findings, message),
        Some(Body::Target(message)) => target::check(&mut findings, message),
        Some(Body::Certificate(message)) => certificate::check(&mut findings, message),
        None => findings.refuse("", "the resource has no kind, or one of a newer version"),
    }
    findings.into_violations()
}
