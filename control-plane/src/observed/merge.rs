//! One answer about a target from what the agents say: healthy if any of them says so, otherwise the state that
//! tells most, with the reason and description of the latest verdict of that state.
//!
//! Source: application load balancer, 9.7 (states, reasons and texts).

use std::sync::Arc;

use inlet_proto::v1;
use v1::target_health::State as Health;

use crate::observed::{AgentVerdict, Verdict, Words};

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

/// What the agents say about one target: merged as they are told, so that a large fleet takes no room for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// A bounded number of agents; beyond, those that do not say HEALTHY come before the others.
    pub(crate) views: Vec<AgentVerdict>,
    telling: Option<Verdict>,
}

impl Told {
    /// Takes in what one agent says, and keeps at most `most` views.
    pub(super) fn take(&mut self, agent: &Arc<str>, verdict: &Verdict, most: usize) {
        let weight_of = |verdict: &Verdict| (weight(verdict.state), verdict.since);
        let telling = self.telling.as_ref();
        if telling.is_none_or(|telling| weight_of(telling) <= weight_of(verdict)) {
            self.telling = Some(verdict.clone());
        }
        let view = || AgentVerdict {
            agent: Arc::clone(agent),
            verdict: verdict.clone(),
        };
        if self.views.len() < most {
            self.views.push(view());
        } else if verdict.state != Health::Healthy {
            let is_healthy = |view: &AgentVerdict| view.verdict.state == Health::Healthy;
            if let Some(at) = self.views.iter().rposition(is_healthy) {
                self.views.remove(at);
                self.views.push(view());
            }
        }
    }

    /// What they say, as one; `None` if no agent says anything.
    pub(crate) fn merged(&self) -> Option<Merged> {
        let telling = self.telling.as_ref()?;
        Some(Merged {
            state: telling.state,
            words: (*telling.words).clone(),
        })
    }
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
    use std::time::{Duration, SystemTime};

    use super::*;

    fn verdict(state: Health, reason: &str, at: u64) -> Verdict {
        Verdict {
            state,
            words: Arc::new(Words {
                reason: reason.to_owned(),
                description: String::new(),
            }),
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
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
            let mut told = Told::default();
            for (state, reason, at) in views {
                told.take(&Arc::from("edge-1"), &verdict(*state, reason, *at), 1);
            }
            let merged = told.merged().unwrap();
            assert_eq!(
                (merged.state, merged.words.reason.as_str()),
                (state, reason)
            );
        }
        assert_eq!(Told::default().merged(), None);
    }

    #[test]
    fn views_are_bounded_and_the_unhealthy_ones_stay() {
        use Health::{Healthy, Unhealthy};
        let mut told = Told::default();
        for (at, state) in [Healthy, Healthy, Unhealthy, Healthy, Unhealthy, Unhealthy]
            .into_iter()
            .enumerate()
        {
            let agent = Arc::from(format!("edge-{at}"));
            told.take(&agent, &verdict(state, "", 0), 2);
        }
        let agents: Vec<_> = told.views.iter().map(|view| &*view.agent).collect();
        assert_eq!(agents, ["edge-2", "edge-4"]);
        assert_eq!(told.merged().unwrap().state, Healthy);
    }
}
