//! `--wait`: is a revision in force on every agent concerned?
//!
//! Every connected agent is sent every revision, if need be an empty one, so every agent that is connected when the
//! waiting begins is concerned. One that refuses has answered; one that goes away is waited for. [`Rollout`] decides,
//! [`follow`] is the shell around it.

mod follow;

use std::collections::BTreeMap;

use inlet_proto::v1;

use crate::error::count;
use crate::output::fleet;

pub(crate) use follow::follow;

/// A revision on its way to the agents.
#[derive(Debug)]
pub(crate) struct Rollout {
    revision: u64,
    /// Those concerned, by name, as they were last told.
    agents: BTreeMap<String, v1::Agent>,
    /// Names of those that were not connected.
    absent: Vec<String>,
}

/// How far an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    InForce,
    Refused,
    Behind,
}

impl Rollout {
    /// Begins with all agents that are known.
    pub(crate) fn new(revision: u64, agents: Vec<v1::Agent>) -> Self {
        let (connected, absent): (Vec<_>, Vec<_>) =
            agents.into_iter().partition(|agent| agent.connected);
        Self {
            revision,
            agents: connected
                .into_iter()
                .map(|agent| (agent.name.clone(), agent))
                .collect(),
            absent: absent.into_iter().map(|agent| agent.name).collect(),
        }
    }

    /// Agents have changed. Those that came later are not waited for: they begin with the newest revision.
    pub(crate) fn observe(&mut self, agents: Vec<v1::Agent>) {
        for agent in agents {
            if let Some(known) = self.agents.get_mut(&agent.name) {
                *known = agent;
            }
        }
    }

    /// Whether every agent concerned has answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.agents
            .values()
            .all(|agent| self.standing(agent) != Standing::Behind)
    }

    /// Whether it is in force on every agent concerned.
    pub(crate) fn is_in_force(&self) -> bool {
        self.in_force() == self.agents.len()
    }

    /// Names of those that were not connected when it began.
    pub(crate) fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Whether anybody is concerned.
    pub(crate) fn concerns_nobody(&self) -> bool {
        self.agents.is_empty()
    }

    /// `revision 7 is in force on 2 of 3 agents`.
    pub(crate) fn progress(&self) -> String {
        let (done, all) = (self.in_force(), self.agents.len());
        let agents = count(all, "agent");
        if done == all {
            return format!("revision {} is in force on {agents}", self.revision);
        }
        format!(
            "revision {} is in force on {done} of {agents}",
            self.revision
        )
    }

    /// What keeps it from being in force, a line for each agent and reason.
    pub(crate) fn troubles(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for agent in self.agents.values() {
            match (self.standing(agent), &agent.last_refusal) {
                (Standing::InForce, _) => {}
                (Standing::Refused, Some(refusal)) => lines.extend(self.refusals(agent, refusal)),
                _ => lines.push(self.behind(agent)),
            }
        }
        lines
    }

    fn refusals(&self, agent: &v1::Agent, refusal: &v1::Refusal) -> Vec<String> {
        let mut reasons = fleet::reasons(refusal);
        if reasons.is_empty() {
            reasons.push("without a reason".to_owned());
        }
        let line = |reason: String| {
            format!(
                "{}: refuses revision {}: {reason}",
                agent.name, refusal.revision
            )
        };
        reasons.into_iter().map(line).collect()
    }

    fn behind(&self, agent: &v1::Agent) -> String {
        let has = match agent.revision_in_force {
            0 => "nothing in force yet".to_owned(),
            revision => format!("still revision {revision}"),
        };
        let state = if agent.connected {
            "is behind"
        } else {
            "has gone away"
        };
        format!("{}: {state}: {has}", agent.name)
    }

    fn in_force(&self) -> usize {
        let standings = self.agents.values().map(|agent| self.standing(agent));
        standings
            .filter(|standing| *standing == Standing::InForce)
            .count()
    }

    fn standing(&self, agent: &v1::Agent) -> Standing {
        let refused = agent
            .last_refusal
            .as_ref()
            .is_some_and(|refusal| refusal.revision >= self.revision);
        if agent.revision_in_force >= self.revision {
            Standing::InForce
        } else if refused {
            Standing::Refused
        } else {
            Standing::Behind
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, connected: bool, in_force: u64) -> v1::Agent {
        v1::Agent {
            name: name.to_owned(),
            connected,
            revision_in_force: in_force,
            ..Default::default()
        }
    }

    fn refusing(name: &str, in_force: u64, refused: u64) -> v1::Agent {
        let reason = v1::refusal::Reason {
            key: Some(v1::ResourceKey {
                kind: "Listener".to_owned(),
                name: "shop/other".to_owned(),
            }),
            message: "cannot bind: Address in use".to_owned(),
        };
        let last_refusal = Some(v1::Refusal {
            revision: refused,
            reasons: vec![reason],
            time: None,
        });
        v1::Agent {
            last_refusal,
            ..agent(name, true, in_force)
        }
    }

    #[test]
    fn it_settles_when_every_connected_agent_has_answered() {
        let mut rollout = Rollout::new(
            5,
            vec![
                agent("a", true, 4),
                agent("b", true, 5),
                agent("c", false, 3),
            ],
        );
        assert!(!rollout.is_settled());
        assert_eq!(rollout.absent(), ["c"]);
        assert_eq!(
            rollout.progress(),
            "revision 5 is in force on 1 of 2 agents"
        );
        assert_eq!(rollout.troubles(), ["a: is behind: still revision 4"]);
        rollout.observe(vec![agent("a", true, 6), agent("new", true, 0)]);
        assert!(rollout.is_settled() && rollout.is_in_force());
        assert_eq!(rollout.progress(), "revision 5 is in force on 2 agents");
        assert!(rollout.troubles().is_empty());
    }

    #[test]
    fn a_refusal_is_an_answer_with_its_reasons() {
        let rollout = Rollout::new(5, vec![refusing("a", 4, 5)]);
        assert!(rollout.is_settled() && !rollout.is_in_force());
        assert_eq!(
            rollout.troubles(),
            ["a: refuses revision 5: Listener/shop/other: cannot bind: Address in use"]
        );
    }

    #[test]
    fn an_older_refusal_or_one_that_is_overcome_does_not_count() {
        assert!(!Rollout::new(5, vec![refusing("a", 3, 4)]).is_settled());
        let overtaken = Rollout::new(5, vec![refusing("a", 5, 6)]);
        assert!(overtaken.is_in_force());
    }

    #[test]
    fn an_agent_that_goes_away_is_waited_for() {
        let mut rollout = Rollout::new(5, vec![agent("a", true, 0)]);
        rollout.observe(vec![agent("a", false, 0)]);
        assert!(!rollout.is_settled());
        assert_eq!(
            rollout.troubles(),
            ["a: has gone away: nothing in force yet"]
        );
    }

    #[test]
    fn nobody_is_never_waited_for() {
        let rollout = Rollout::new(5, vec![agent("a", false, 4)]);
        assert!(rollout.concerns_nobody() && rollout.is_settled() && rollout.is_in_force());
    }
}
