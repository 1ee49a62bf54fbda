//! Why a view cannot be compiled: collected while compiling goes on, so that all reasons are told at once.

use std::collections::BTreeSet;

use inlet_proto::check::Violation;
use inlet_proto::name::Key;
use inlet_proto::v1;

/// Most reasons that are told one by one: they travel in one message.
const REASONS: usize = 1_000;
/// How the checks end a sentence about something that the language has and this version does not serve.
const UNSUPPORTED: &str = "not supported yet";

/// Reasons without duplicates, in the order of the resources.
#[derive(Debug, Default)]
pub(super) struct Reasons(BTreeSet<(Key, String)>);

impl Reasons {
    /// A reason about one resource.
    pub(super) fn refuse(&mut self, key: &Key, message: impl Into<String>) {
        self.0.insert((key.clone(), message.into()));
    }

    /// What a check found.
    pub(super) fn violation(&mut self, key: &Key, violation: &Violation) {
        let message = match violation.message.strip_suffix(UNSUPPORTED) {
            Some(what) => format!("{what}not supported by this agent version yet"),
            None => violation.message.clone(),
        };
        let message = match violation.field.as_str() {
            "" => message,
            field => format!("{field}: {message}"),
        };
        self.refuse(key, message);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As the control plane is told.
    pub(super) fn into_messages(self) -> Vec<v1::refusal::Reason> {
        let untold = self.0.len().saturating_sub(REASONS);
        let told = self.0.into_iter().take(REASONS);
        let mut reasons: Vec<_> = told
            .map(|(key, message)| v1::refusal::Reason {
                key: Some((&key).into()),
                message,
            })
            .collect();
        if untold > 0 {
            reasons.push(v1::refusal::Reason {
                key: None,
                message: format!("and {untold} more reasons"),
            });
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inlet_proto::kind::Kind;

    #[test]
    fn reasons_are_bounded_and_told_once() {
        let mut reasons = Reasons::default();
        for number in 0..REASONS + 5 {
            let key = Key::child(Kind::TargetGroup, "", &format!("group-{number:05}"));
            reasons.refuse(&key, "no");
            reasons.refuse(&key, "no");
        }
        let messages = reasons.into_messages();
        assert_eq!(messages.len(), REASONS + 1);
        assert_eq!(messages[REASONS].message, "and 5 more reasons");
        assert_eq!(messages[1].key.as_ref().unwrap().name, "group-00001");
    }
}
