//! What the agents report about the health of targets.
//!
//! Each agent's verdicts are kept apart, so that a complete report replaces exactly its own; [`Told`] makes one
//! answer of them. Names and texts repeat a million times over a fleet and are kept once.
//!
//! Invariant: memory is bounded by [`MAX_VERDICTS_PER_AGENT`] for each agent of the (bounded) roster, and what an
//! agent that went away has said is dropped after [`KEEP_AFTER_GONE`].

mod merge;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use inlet_proto::name::is_name;
use inlet_proto::v1;
use v1::target_health::State as Health;

pub(crate) use merge::{Merged, Told};

/// Targets that one agent may report; what goes beyond is left out.
pub(crate) const MAX_VERDICTS_PER_AGENT: usize = 50_000;
/// How long the reports of an agent that went away count.
pub(crate) const KEEP_AFTER_GONE: Duration = Duration::from_secs(60);
/// Longest reason or description that is kept, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// One agent's verdict on one target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// The state.
    pub(crate) state: Health,
    /// Reason and description, both empty when healthy.
    pub(crate) words: Arc<Words>,
    /// When the agent came to it.
    pub(crate) since: SystemTime,
}

/// A reason code and its description.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Words {
    /// As `Target.Timeout`.
    pub(crate) reason: String,
    /// In words.
    pub(crate) description: String,
}

/// One agent and its verdict.
#[derive(Debug, Clone)]
pub(crate) struct AgentVerdict {
    /// Name of the agent.
    pub(crate) agent: Arc<str>,
    /// What it says.
    pub(crate) verdict: Verdict,
}

/// The reports of all agents.
#[derive(Default)]
pub(crate) struct Observed {
    agents: BTreeMap<Arc<str>, Reports>,
    names: HashSet<Arc<str>>,
    words: HashSet<Arc<Words>>,
}

/// What one agent says, by group and target.
#[derive(Default)]
struct Reports {
    groups: HashMap<Arc<str>, HashMap<Arc<str>, Verdict>>,
    count: usize,
    gone_since: Option<Instant>,
}

impl Reports {
    fn insert(&mut self, group: Arc<str>, target: Arc<str>, verdict: Verdict) {
        if verdict.state == Health::Unused {
            return self.forget(&group, &target);
        }
        let known = self.groups.get(&group);
        let is_known = known.is_some_and(|targets| targets.contains_key(&target));
        if !is_known && self.count >= MAX_VERDICTS_PER_AGENT {
            return;
        }
        let targets = self.groups.entry(group).or_default();
        if targets.insert(target, verdict).is_none() {
            self.count += 1;
        }
    }

    fn forget(&mut self, group: &str, target: &str) {
        let Some(targets) = self.groups.get_mut(group) else {
            return;
        };
        if targets.remove(target).is_some() {
            self.count -= 1;
        }
        if targets.is_empty() {
            self.groups.remove(group);
        }
    }
}

impl Observed {
    /// An agent has reported. A complete report replaces all that it said before, another one adds to it.
    ///
    /// UNUSED ends what the agent said of a target: it has nothing to do with it any more.
    /// Verdicts with an unknown state, or a name that none can have, are left out.
    pub(crate) fn report(&mut self, agent: &str, report: v1::HealthReport, now: SystemTime) {
        let agent = self.name(agent);
        let mut reports = self.agents.remove(&agent).unwrap_or_default();
        reports.gone_since = None;
        if report.complete {
            reports = Reports::default();
        }
        for verdict in report.verdicts {
            if is_sound(&verdict) {
                let group = self.name(&verdict.target_group);
                let target = self.name(&verdict.target);
                reports.insert(group, target, self.verdict(verdict, now));
            }
        }
        self.agents.insert(agent, reports);
    }

    /// The agent's stream is over.
    pub(crate) fn gone(&mut self, agent: &str, now: Instant) {
        if let Some(reports) = self.agents.get_mut(agent) {
            reports.gone_since = Some(now);
        }
    }

    /// The agent's stream is open (again).
    pub(crate) fn back(&mut self, agent: &str) {
        if let Some(reports) = self.agents.get_mut(agent) {
            reports.gone_since = None;
        }
    }

    /// Drops the reports of agents that are gone for [`KEEP_AFTER_GONE`], and names and texts that nobody uses.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.agents.retain(|_, reports| {
            let gone = reports.gone_since;
            gone.is_none_or(|since| now.saturating_duration_since(since) < KEEP_AFTER_GONE)
        });
        self.names.retain(|name| Arc::strong_count(name) > 1);
        self.words.retain(|words| Arc::strong_count(words) > 1);
    }

    /// What the agents say about the targets of a group, in the order of the targets; `most` views of each.
    pub(crate) fn group(&self, group: &str, most: usize) -> BTreeMap<Arc<str>, Told> {
        let mut targets: BTreeMap<Arc<str>, Told> = BTreeMap::new();
        for (agent, reports) in &self.agents {
            for (target, verdict) in reports.groups.get(group).into_iter().flatten() {
                match targets.get_mut(target) {
                    Some(told) => told.take(agent, verdict, most),
                    None => {
                        let told = targets.entry(Arc::clone(target)).or_default();
                        told.take(agent, verdict, most);
                    }
                }
            }
        }
        targets
    }

    /// What the agents say about one target, with `most` views.
    pub(crate) fn target(&self, group: &str, target: &str, most: usize) -> Told {
        let mut told = Told::default();
        for (agent, reports) in &self.agents {
            let targets = reports.groups.get(group);
            if let Some(verdict) = targets.and_then(|targets| targets.get(target)) {
                told.take(agent, verdict, most);
            }
        }
        told
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name = Arc::from(name);
        self.names.insert(Arc::clone(&name));
        name
    }

    fn verdict(&mut self, verdict: v1::TargetVerdict, now: SystemTime) -> Verdict {
        let state = verdict.state();
        let words = if state == Health::Healthy {
            Words::default()
        } else {
            Words {
                reason: shorten(verdict.reason),
                description: shorten(verdict.description),
            }
        };
        let words = match self.words.get(&words) {
            Some(known) => Arc::clone(known),
            None => {
                let words = Arc::new(words);
                self.words.insert(Arc::clone(&words));
                words
            }
        };
        let age = Duration::from_millis(verdict.age_ms);
        Verdict {
            state,
            words,
            since: now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

fn is_sound(verdict: &v1::TargetVerdict) -> bool {
    let known = Health::try_from(verdict.state).is_ok_and(|state| state != Health::Unspecified);
    known && is_name(&verdict.target_group) && verdict.target.parse::<SocketAddr>().is_ok()
}

fn shorten(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(complete: bool, verdicts: &[(&str, &str, Health)]) -> v1::HealthReport {
        let verdicts = verdicts
            .iter()
            .map(|(group, target, state)| v1::TargetVerdict {
                target_group: (*group).to_owned(),
                target: (*target).to_owned(),
                state: *state as i32,
                reason: "Target.Timeout".to_owned(),
                description: "Request timed out".to_owned(),
                age_ms: 1000,
            });
        v1::HealthReport {
            verdicts: verdicts.collect(),
            complete,
        }
    }

    fn states(observed: &Observed, group: &str) -> Vec<(String, String, Health)> {
        let targets = observed.group(group, usize::MAX);
        let rows = targets.iter().flat_map(|(target, told)| {
            told.views.iter().map(|view| {
                (
                    target.to_string(),
                    view.agent.to_string(),
                    view.verdict.state,
                )
            })
        });
        rows.collect()
    }

    fn row(target: &str, agent: &str, state: Health) -> (String, String, Health) {
        (target.to_owned(), agent.to_owned(), state)
    }

    #[test]
    fn transitions_add_and_complete_reports_replace() {
        let now = SystemTime::now();
        let mut observed = Observed::default();
        let [a, b] = ["127.0.0.1:1", "127.0.0.1:2"];
        observed.report("x", report(true, &[("g", a, Health::Initial)]), now);
        observed.report("x", report(false, &[("g", b, Health::Unhealthy)]), now);
        observed.report("y", report(false, &[("g", a, Health::Healthy)]), now);
        let expected = [
            row(a, "x", Health::Initial),
            row(a, "y", Health::Healthy),
            row(b, "x", Health::Unhealthy),
        ];
        assert_eq!(states(&observed, "g"), expected);
        observed.report("x", report(true, &[("g", a, Health::Healthy)]), now);
        let expected = [row(a, "x", Health::Healthy), row(a, "y", Health::Healthy)];
        assert_eq!(states(&observed, "g"), expected);
        let healthy = &observed.target("g", a, 1).views[0].verdict;
        assert_eq!(*healthy.words, Words::default());
        assert_eq!(healthy.since, now - Duration::from_secs(1));
    }

    #[test]
    fn a_target_that_its_agent_is_done_with_is_forgotten() {
        let now = SystemTime::now();
        let mut observed = Observed::default();
        let [a, b] = ["127.0.0.1:1", "127.0.0.1:2"];
        let both = [("g", a, Health::Draining), ("g", b, Health::Healthy)];
        observed.report("x", report(true, &both), now);
        let gone = [("g", a, Health::Unused), ("other", a, Health::Unused)];
        observed.report("x", report(false, &gone), now);
        observed.report("x", report(false, &gone), now);
        assert_eq!(states(&observed, "g"), [row(b, "x", Health::Healthy)]);
        assert_eq!(observed.agents["x"].count, 1);
    }

    #[test]
    fn reports_outlive_their_agent_for_a_while_only() {
        let start = Instant::now();
        let mut observed = Observed::default();
        for agent in ["x", "y"] {
            let report = report(true, &[("g", "127.0.0.1:1", Health::Healthy)]);
            observed.report(agent, report, SystemTime::now());
            observed.gone(agent, start);
        }
        observed.back("y");
        observed.expire(start + KEEP_AFTER_GONE / 2);
        assert_eq!(states(&observed, "g").len(), 2);
        observed.expire(start + KEEP_AFTER_GONE);
        assert_eq!(
            states(&observed, "g"),
            [row("127.0.0.1:1", "y", Health::Healthy)]
        );
        observed.gone("y", start);
        observed.expire(start + KEEP_AFTER_GONE);
        observed.expire(start + KEEP_AFTER_GONE);
        assert!(observed.names.is_empty() && observed.words.is_empty());
    }

    #[test]
    fn what_no_target_can_be_is_left_out_and_the_rest_is_bounded() {
        let mut observed = Observed::default();
        let odd = [
            ("g", "nonsense", Health::Healthy),
            ("not a name", "127.0.0.1:1", Health::Healthy),
            ("g", "127.0.0.1:1", Health::Unspecified),
        ];
        observed.report("x", report(false, &odd), SystemTime::now());
        assert!(observed.group("g", 1).is_empty());
        let names: Vec<String> = (0..=MAX_VERDICTS_PER_AGENT)
            .map(|number| {
                format!(
                    "10.{}.{}.{}:80",
                    number >> 16,
                    number >> 8 & 255,
                    number & 255
                )
            })
            .collect();
        let many: Vec<_> = names
            .iter()
            .map(|name| ("g", name.as_str(), Health::Healthy))
            .collect();
        observed.report("x", report(false, &many), SystemTime::now());
        assert_eq!(observed.group("g", 1).len(), MAX_VERDICTS_PER_AGENT);
    }
}
