//! Who refers to whom by name: the one place that knows which fields are references.

use std::collections::BTreeSet;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

/// A reference in a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Path of the field.
    pub(super) field: String,
    /// What it names.
    pub(super) to: Key,
}

/// Every reference of a resource except that to its parent, in the order of its fields.
pub(super) fn references(resource: &v1::Resource) -> Vec<Reference> {
    match &resource.kind {
        Some(Body::Listener(listener)) => {
            let mut found = forwards("defaultActions", &listener.default_actions);
            let certificates = listener.certificates.iter().enumerate();
            found.extend(certificates.map(|(at, name)| Reference {
                field: format!("certificates[{at}]"),
                to: Key::child(Kind::Certificate, "", name),
            }));
            found
        }
        Some(Body::Rule(rule)) => forwards("actions", &rule.actions),
        _ => Vec::new(),
    }
}

/// What a resource refers to, each once.
pub(super) fn referred(resource: &v1::Resource) -> BTreeSet<Key> {
    let found = references(resource).into_iter();
    found.map(|reference| reference.to).collect()
}

fn forwards(list: &str, actions: &[v1::Action]) -> Vec<Reference> {
    let mut found = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        let Some(v1::action::Kind::Forward(forward)) = &action.kind else {
            continue;
        };
        for (index, group) in forward.target_groups.iter().enumerate() {
            found.push(Reference {
                field: format!("{list}[{at}].forward.targetGroups[{index}].name"),
                to: Key::child(Kind::TargetGroup, "", &group.name),
            });
        }
    }
    found
}
