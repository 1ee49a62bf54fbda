//! What compiling one resource cannot see: whether what others refer to is still there and fits, and whether addresses
//! are unique.

use std::collections::HashMap;
use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;

use super::draft::Draft;
use crate::table::router::Rules;
use crate::table::{Action, Algorithm, Forward, Group, Listener, Service};

/// Checks all listeners, those that did not change included: what they refer to may have.
pub(super) fn check(draft: &mut Draft<'_>) {
    let mut listeners: Vec<_> = draft.listeners().cloned().collect();
    listeners.sort_by(|one, other| one.name.cmp(&other.name));
    unique_addresses(draft, &listeners);
    for listener in &listeners {
        let key = key_of(listener);
        match &listener.service {
            Service::Tcp(service) => forward(draft, &key, &service.forward, Layer::Tcp),
            Service::Http(service) => {
                default(draft, &key, &service.router.default);
                rules(draft, &key, &service.router.rules);
            }
        }
    }
}

/// Checks rules that may have been compiled for a table before.
pub(super) fn rules(draft: &mut Draft<'_>, listener: &Key, rules: &Rules) {
    // Without this, a change of one rule would cost a look at all.
    if !draft.groups_changed() {
        return;
    }
    for rule in rules.iter() {
        if let Action::Forward(given) = &rule.action {
            let key = Key::child(Kind::Rule, &listener.name, &rule.name);
            forward(draft, &key, given, Layer::Http);
        }
    }
}

/// Checks a default action that may have been compiled for a table before.
pub(super) fn default(draft: &mut Draft<'_>, listener: &Key, action: &Action) {
    if let Action::Forward(given) = action {
        forward(draft, listener, given, Layer::Http);
    }
}

fn forward(draft: &mut Draft<'_>, key: &Key, forward: &Forward, layer: Layer) {
    for (id, _) in &forward.groups {
        let message = match (draft.group(*id), draft.base.group(*id)) {
            (Some(group), _) => misfit(group, layer),
            (None, before) => Some(not_there(before.map_or("?", |group| &group.name))),
        };
        if let Some(message) = message {
            draft.reasons.refuse(key, message);
        }
    }
}

/// The same sentence for a reference that was never good and for one whose end is gone.
pub(super) fn not_there(group: &str) -> String {
    format!("TargetGroup {group} is not there")
}

/// Why a listener cannot forward to a group; None if it can.
pub(super) fn misfit(group: &Group, listener: Layer) -> Option<String> {
    let layer = match group.algorithm {
        Algorithm::FlowHash => Layer::Tcp,
        Algorithm::RoundRobin | Algorithm::LeastOutstandingRequests => Layer::Http,
    };
    (layer != listener).then(|| {
        let needed = match listener {
            Layer::Http => "HTTP",
            Layer::Tcp => "TCP",
        };
        format!(
            "TargetGroup {} does not fit: it must be {needed}",
            group.name
        )
    })
}

/// What a listener hands to targets, and a group takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Requests.
    Http,
    /// Connections.
    Tcp,
}

/// Two listeners on one address would take each other's connections without a word from the system.
fn unique_addresses(draft: &mut Draft<'_>, listeners: &[Arc<Listener>]) {
    let mut taken = HashMap::new();
    for listener in listeners {
        for address in &listener.addresses {
            if let Some(other) = taken.insert(*address, &listener.name) {
                let message = format!("{address} is also an address of Listener {other}");
                draft.reasons.refuse(&key_of(listener), message);
            }
        }
    }
}

fn key_of(listener: &Listener) -> Key {
    Key {
        kind: Kind::Listener,
        name: listener.name.to_string(),
    }
}
