//! One answer about a target from what the agents say: healthy if any of them says so, otherwise the state that
//! tells most, with the reason and description of the latest verdict of that state.
//!
//! Source: application load balancer, 9.7 (states, reasons and texts).

use inlet_proto::v1;
use v1::target_health::State as Health;

use crate::observed::{AgentVerdict, Words};

/// A state with its reason and description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The state.
    pub(crate) state: Health,
    /// Both empty when healthy.
    pub(crate) words: Words,
}

impl Merged {
    fn new(state: Health, reason: &str, description: &str) -> Self {
        Self {
            state,
            words: Words {
                reason: reason.to_owned(),
                description: description.to_owned(),
            },
        }
    }

    /// Registered, in an agent's view, but not reported yet.
    pub(crate) fn registering() -> Self {
        Self::new(
            Health::Initial,
            "Elb.RegistrationInProgress",
            "Target registration is in progress",
        )
    }

    /// Registered, but no connected agent has the group in its view.
    pub(crate) fn not_in_use() -> Self {
        Self::new(
            Health::Unused,
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        )
    }

    /// Asked for, but not registered.
    pub(crate) fn not_registered() -> Self {
        Self::new(
            Health::Unused,
            "Target.NotRegistered",
            "Target is not registered to the target group",
        )
    }

    /// Deregistered, but agents still report it.
    pub(crate) fn deregistering() -> Self {
        Self::new(
            Health::Draining,
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )
    }
}

/// What the agents say, as one; `None` if no agent says anything.
pub(crate) fn merge(views: &[AgentVerdict]) -> Option<Merged> {
    let telling = views
        .iter()
        .max_by_key(|view| (weight(view.verdict.state), view.verdict.since))?;
    Some(Merged {
        state: telling.verdict.state,
        words: (*telling.verdict.words).clone(),
    })
}

/// How much a state tells beside the others.
fn weight(state: Health) -> u8 {
    match state {
        Health::Healthy => 6,
        Health::Unhealthy => 5,
        Health::Initial => 4,
        Health::Unavailable => 3,
        Health::Draining => 2,
        Health::Unused => 1,
        Health::Unspecified => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::observed::Verdict;

    fn view(state: Health, reason: &str, at: u64) -> AgentVerdict {
        AgentVerdict {
            agent: Arc::from("edge-1"),
            verdict: Verdict {
                state,
                words: Arc::new(Words {
                    reason: reason.to_owned(),
                    description: String::new(),
                }),
                since: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
            },
        }
    }

    #[test]
    fn one_healthy_agent_is_enough_and_else_the_most_telling_state_counts() {
        use Health::{Draining, Healthy, Initial, Unavailable, Unhealthy, Unused};
        /// What agents say, and the state and reason that come of it.
        type Case<'a> = (&'a [(Health, &'a str, u64)], Health, &'a str);
        let cases: [Case<'_>; 6] = [
            (&[(Unhealthy, "late", 9), (Healthy, "", 1)], Healthy, ""),
            (
                &[(Initial, "new", 9), (Unhealthy, "bad", 1)],
                Unhealthy,
                "bad",
            ),
            (
                &[(Unhealthy, "old", 1), (Unhealthy, "new", 2)],
                Unhealthy,
                "new",
            ),
            (
                &[(Unavailable, "off", 9), (Initial, "new", 1)],
                Initial,
                "new",
            ),
            (
                &[(Unused, "", 9), (Draining, "leaving", 1)],
                Draining,
                "leaving",
            ),
            (&[(Unused, "idle", 1)], Unused, "idle"),
        ];
        for (views, state, reason) in cases {
            let views: Vec<_> = views
                .iter()
                .map(|(state, reason, at)| view(*state, reason, *at))
                .collect();
            let merged = merge(&views).unwrap();
            assert_eq!(
                (merged.state, merged.words.reason.as_str()),
                (state, reason)
            );
        }
        assert_eq!(merge(&[]), None);
    }
}
