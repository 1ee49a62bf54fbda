//! Which load balancers an agent serves: those whose placement labels it carries, all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::v1::resource::Kind as Body;

use crate::model::State;

/// The labels of an agent, or those that a placement asks for.
pub(crate) type Labels = BTreeMap<String, String>;

/// Names of load balancers, in order. Agents with an equal selection share their views.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Selection(Arc<[String]>);

impl Selection {
    /// The load balancers that an agent with these labels serves.
    pub(crate) fn of(state: &State, labels: &Labels) -> Self {
        let names = state
            .of_kind(Kind::LoadBalancer)
            .filter(|(_, resource)| match &resource.kind {
                Some(Body::LoadBalancer(balancer)) => carries(labels, &balancer.placement),
                _ => false,
            })
            .map(|(key, _)| key.name.clone());
        Self(names.collect())
    }

    /// Whether the load balancer is selected.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0
            .binary_search_by(|have| have.as_str().cmp(name))
            .is_ok()
    }
}

/// Whether `labels` has every label of `placement`; an empty placement asks for nothing.
fn carries(labels: &Labels, placement: &Labels) -> bool {
    placement
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn an_agent_serves_what_asks_only_for_labels_that_it_carries() {
        let agent = labels(&[("zone", "a"), ("tier", "edge")]);
        for (placement, serves) in [
            (&[][..], true),
            (&[("zone", "a")], true),
            (&[("zone", "a"), ("tier", "edge")], true),
            (&[("zone", "b")], false),
            (&[("zone", "a"), ("rack", "1")], false),
            (&[("zone", "")], false),
        ] {
            assert_eq!(carries(&agent, &labels(placement)), serves, "{placement:?}");
        }
        assert!(!carries(&Labels::new(), &labels(&[("zone", "a")])));
    }
}
