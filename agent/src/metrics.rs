//! What the agent tells Prometheus. The number of series is bounded by the configuration, never by what clients send.

use std::fmt::Write as _;

use crate::live::Registry;

/// What is known of the agent as a whole, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentFacts {
    /// What is forwarded by; `None` = no snapshot is in force yet.
    pub revision: Option<u64>,
    /// Resources in force.
    pub resources: usize,
    /// The stream to the control plane is open.
    pub connected: bool,
    /// Streams that were opened so far.
    pub streams: u64,
    /// Snapshots put in force so far, the kept one included.
    pub applied: u64,
    /// Snapshots refused so far, the kept one included.
    pub refused: u64,
    /// The last write of the snapshot to disk failed: what is kept is older than what is in force.
    pub keep_failed: bool,
    /// The agent ends: nothing new is accepted.
    pub draining: bool,
}

/// All metrics in Prometheus' text form.
pub fn render(_registry: &Registry, agent: &AgentFacts) -> String {
    let mut text = String::new();
    let gauges = [
        ("revision", agent.revision.unwrap_or(0)),
        ("ready", u64::from(agent.revision.is_some())),
        ("resources", agent.resources as u64),
        ("connected", u64::from(agent.connected)),
        ("snapshot_keep_failed", u64::from(agent.keep_failed)),
        ("draining", u64::from(agent.draining)),
    ];
    let counters = [
        ("streams_total", agent.streams),
        ("snapshots_applied_total", agent.applied),
        ("snapshots_refused_total", agent.refused),
    ];
    let kinds = [("gauge", &gauges[..]), ("counter", &counters[..])];
    for (kind, metrics) in kinds {
        for (name, value) in metrics {
            writeln!(
                text,
                "# TYPE inlet_agent_{name} {kind}\ninlet_agent_{name} {value}"
            )
            .expect("writing to a String cannot fail");
        }
    }
    text
}
