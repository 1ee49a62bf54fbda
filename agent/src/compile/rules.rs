//! The Rules of one listener -> [`Rules`]; rules that did not change are taken over as they are.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;

use super::draft::Draft;
use super::references::Layer;
use super::{action, condition};
use crate::table::router::{Rule, Rules};

/// All rules of a listener. `before`: those of the table in force, if it has the listener.
pub(super) fn compile(draft: &mut Draft<'_>, listener: &Key, before: Option<&Rules>) -> Rules {
    let before = before.into_iter().flat_map(Rules::iter);
    let known: HashMap<&str, &Arc<Rule>, FixedState> =
        before.map(|rule| (&*rule.name, rule)).collect();
    let given: Vec<_> = draft.children(Kind::Rule, &listener.name).collect();
    let mut rules = Vec::with_capacity(given.len());
    let mut priorities = Vec::with_capacity(given.len());
    for (key, resource) in given {
        let Some(Body::Rule(message)) = &resource.kind else {
            continue;
        };
        priorities.push((message.priority, key));
        match known.get(key.own_name()) {
            Some(rule) if !draft.changed.contains(key) => rules.push(Arc::clone(rule)),
            _ => rules.extend(one(draft, key, message).map(Arc::new)),
        }
    }
    unique(draft, priorities);
    Rules::new(rules)
}

fn one(draft: &mut Draft<'_>, key: &Key, message: &v1::Rule) -> Option<Rule> {
    let conditions = message.conditions.iter().map(condition::compile);
    let conditions = conditions.collect::<Option<_>>();
    if conditions.is_none() {
        draft
            .reasons
            .refuse(key, "it has a condition of an unknown kind");
    }
    let action = action::compile(draft, key, &message.actions, Layer::Http);
    Some(Rule {
        name: key.own_name().into(),
        priority: message.priority,
        conditions: conditions?,
        action: action?,
    })
}

fn unique(draft: &mut Draft<'_>, mut priorities: Vec<(u32, &Key)>) {
    priorities.sort_unstable();
    for pair in priorities.windows(2) {
        if let [(one, first), (other, key)] = pair
            && one == other
        {
            let message = format!("priority {one} is also that of rule {}", first.own_name());
            draft.reasons.refuse(key, message);
        }
    }
}
