//! Agents, and what they say about targets, as tables.

use std::collections::BTreeMap;
use std::time::SystemTime;

use inlet_proto::name::target_name;
use inlet_proto::v1;
use inlet_proto::v1::target_health::State;

use super::age::age;
use super::style::Tone;
use super::table::{Cell, Table};
use crate::error::count;

/// Agents named in one cell; the others are counted. The wide form and the forms for programs name all.
const MAX_NAMED: usize = 3;
/// Refusing agents whose reason stands below their table; the others are counted.
const MAX_REFUSING: usize = 5;

/// Agents as a table.
pub(crate) fn agents(agents: &[v1::Agent], is_wide: bool, now: SystemTime) -> Table {
    let mut headings = vec![
        "NAME",
        "STATUS",
        "#IN FORCE",
        "#WANTED",
        "~LABELS",
        "LAST SEEN",
    ];
    if is_wide {
        headings.extend(["VERSION", "#RESOURCES", "PEER"]);
    }
    let mut table = Table::new(&headings);
    for agent in agents {
        let mut cells = vec![
            agent.name.as_str().into(),
            status(agent),
            revision(agent.revision_in_force).into(),
            revision(agent.revision_wanted).into(),
            pairs(&agent.labels).into(),
            age(now, agent.last_seen.as_ref()).into(),
        ];
        if is_wide {
            cells.extend([
                agent.version.as_str().into(),
                agent.resources.to_string().into(),
                agent.peer.as_str().into(),
            ]);
        }
        table.row(cells);
    }
    table
}

/// How an agent is.
pub(crate) fn status(agent: &v1::Agent) -> Cell {
    let (word, tone) = if !agent.connected {
        ("gone", Tone::Bad)
    } else if agent.last_refusal.is_some() {
        ("refusing", Tone::Bad)
    } else if agent.revision_in_force < agent.revision_wanted {
        ("behind", Tone::Moving)
    } else {
        ("ready", Tone::Good)
    };
    Cell::toned(word, tone)
}

/// Why connected agents refuse, below their table: the first reason of each of the first ones, a line each.
pub(crate) fn refusals(agents: &[v1::Agent]) -> Vec<String> {
    let refusing = agents
        .iter()
        .filter(|agent| agent.connected)
        .filter_map(|agent| Some((agent.name.as_str(), agent.last_refusal.as_ref()?)));
    let line = |(name, refusal): (&str, &v1::Refusal)| {
        let reasons = reasons(refusal);
        let first = reasons.first().map_or("without a reason", String::as_str);
        let more = match reasons.len() {
            0 | 1 => String::new(),
            all => format!(" (and {} more: lbctl agent describe {name})", all - 1),
        };
        format!(
            "{name} refuses revision {}: {first}{more}",
            refusal.revision
        )
    };
    let mut lines: Vec<_> = refusing.clone().take(MAX_REFUSING).map(line).collect();
    let rest = refusing.count() - lines.len();
    if rest > 0 {
        lines.push(format!(
            "and {} more: lbctl agent describe NAME",
            count(rest, "agent")
        ));
    }
    lines
}

/// The reasons of a refusal, one a line: `Listener/shop/http: cannot bind ...`.
pub(crate) fn reasons(refusal: &v1::Refusal) -> Vec<String> {
    let reason = |reason: &v1::refusal::Reason| match &reason.key {
        Some(key) => format!("{}: {}", super::form::key(key), reason.message),
        None => reason.message.clone(),
    };
    refusal.reasons.iter().map(reason).collect()
}

/// The health of targets as a table.
pub(crate) fn health(targets: &[v1::TargetHealth], is_wide: bool) -> Table {
    let mut table = Table::new(&["TARGET", "STATE", "REASON", "~DESCRIPTION", "~AGENTS"]);
    for health in targets {
        let target = health.target.clone().unwrap_or_default();
        let (word, tone) = state(health.state());
        table.row(vec![
            target_name(&target.address, target.port).into(),
            Cell::toned(word, tone),
            health.reason.as_str().into(),
            health.description.as_str().into(),
            sayers(health, if is_wide { usize::MAX } else { MAX_NAMED }).into(),
        ]);
    }
    table
}

/// A state in a word.
pub(crate) fn state(state: State) -> (&'static str, Tone) {
    match state {
        State::Unspecified => ("unknown", Tone::Plain),
        State::Initial => ("initial", Tone::Moving),
        State::Healthy => ("healthy", Tone::Good),
        State::Unhealthy => ("unhealthy", Tone::Bad),
        State::Unused => ("unused", Tone::Faint),
        State::Draining => ("draining", Tone::Moving),
        State::Unavailable => ("unavailable", Tone::Faint),
    }
}

/// Which agents say so; where they do not agree, who says what.
fn sayers(health: &v1::TargetHealth, most: usize) -> String {
    let mut by_state: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for view in &health.agents {
        by_state.entry(view.state).or_default().push(&view.agent);
    }
    let names = |names: &Vec<&str>| {
        let named: Vec<_> = names.iter().take(most).copied().collect();
        let rest = names.len() - named.len();
        let more = if rest > 0 {
            format!(" +{rest} more")
        } else {
            String::new()
        };
        format!("{}{more}", named.join(", "))
    };
    if by_state.len() == 1 && by_state.contains_key(&health.state) {
        return by_state.values().map(names).collect();
    }
    let said = |(number, agents): (&i32, &Vec<&str>)| {
        let (word, _) = state(State::try_from(*number).unwrap_or_default());
        format!("{word}: {}", names(agents))
    };
    by_state.iter().map(said).collect::<Vec<_>>().join("; ")
}

/// `a=b,c=d` in the order of the names.
pub(crate) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    let mut pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.sort();
    pairs.join(",")
}

/// A revision; empty if there is none yet.
fn revision(number: u64) -> String {
    if number == 0 {
        String::new()
    } else {
        number.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Style;

    fn health(state: State, agents: &[(&str, State)]) -> v1::TargetHealth {
        let view = |(agent, state): &(&str, State)| v1::target_health::AgentView {
            agent: (*agent).to_owned(),
            state: (*state).into(),
            ..Default::default()
        };
        v1::TargetHealth {
            target: Some(v1::Target {
                address: "::1".to_owned(),
                port: 80,
                ..Default::default()
            }),
            state: state.into(),
            agents: agents.iter().map(view).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn health_names_the_agents_and_where_they_differ() {
        use State::{Healthy, Unhealthy};
        for (state, agents, said) in [
            (Healthy, &[][..], ""),
            (Healthy, &[("a", Healthy), ("b", Healthy)], "a, b"),
            (
                Healthy,
                &[("a", Healthy), ("b", Unhealthy)],
                "healthy: a; unhealthy: b",
            ),
            (Healthy, &[("a", Unhealthy)], "unhealthy: a"),
            (
                Unhealthy,
                &[
                    ("a", Unhealthy),
                    ("b", Unhealthy),
                    ("c", Unhealthy),
                    ("d", Unhealthy),
                    ("e", Unhealthy),
                ],
                "a, b, c +2 more",
            ),
        ] {
            assert_eq!(sayers(&health(state, agents), MAX_NAMED), said);
        }
        let text = super::health(&[health(Healthy, &[])], false).render(None, Style::new(false));
        assert!(text.contains("[::1]:80   healthy"), "{text}");
    }

    #[test]
    fn agents_say_how_they_are() {
        let ready = v1::Agent {
            connected: true,
            revision_in_force: 2,
            revision_wanted: 2,
            ..Default::default()
        };
        for (agent, word) in [
            (ready.clone(), "ready"),
            (
                v1::Agent {
                    connected: false,
                    ..ready.clone()
                },
                "gone",
            ),
            (
                v1::Agent {
                    revision_wanted: 3,
                    ..ready.clone()
                },
                "behind",
            ),
            (
                v1::Agent {
                    last_refusal: Some(v1::Refusal::default()),
                    ..ready.clone()
                },
                "refusing",
            ),
        ] {
            let text =
                agents(&[agent], false, SystemTime::UNIX_EPOCH).render(None, Style::new(false));
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn refusing_agents_are_named_with_their_first_reason() {
        let reason = |message: &str| v1::refusal::Reason {
            key: None,
            message: message.to_owned(),
        };
        let agent = |name: &str, reasons: &[&str]| v1::Agent {
            name: name.to_owned(),
            connected: true,
            last_refusal: Some(v1::Refusal {
                revision: 3,
                reasons: reasons.iter().copied().map(reason).collect(),
                time: None,
            }),
            ..Default::default()
        };
        let gone = v1::Agent {
            connected: false,
            ..agent("gone", &["no"])
        };
        assert!(refusals(&[v1::Agent::default(), gone]).is_empty());
        let [one, two] = [agent("a", &["no"]), agent("b", &["no", "never", "not"])];
        assert_eq!(
            refusals(&[one.clone(), two]),
            [
                "a refuses revision 3: no",
                "b refuses revision 3: no (and 2 more: lbctl agent describe b)",
            ]
        );
        let lines = refusals(&vec![one; MAX_REFUSING + 2]);
        assert_eq!(lines.len(), MAX_REFUSING + 1);
        assert_eq!(
            lines[MAX_REFUSING],
            "and 2 agents more: lbctl agent describe NAME"
        );
    }
}
