//! What is counted, as Prometheus reads it: text format 0.0.4, made anew for each scrape.
//!
//! The number of series depends on what is configured (listeners, groups, targets), never on what clients send; every
//! series is there from the start, at zero. Labels have the manifest's words: `load_balancer`, `listener`,
//! `target_group`, `target`. Reads counters only; knows nothing of who writes them.

mod page;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::live::{
    Counter, Group, GroupCounters, Listener, ListenerCounters, MADE_STATUSES,
    RESPONSE_TIME_BOUNDS_US, Registry, STATUS_CLASSES, Target,
};

use page::{Form, Page};

/// Classes of statuses, as [`ListenerCounters::responses`] has them.
const CLASSES: [&str; STATUS_CLASSES] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Who reset, as [`ListenerCounters::resets`] has them.
const RESETTERS: [&str; 3] = ["client", "target", "agent"];

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
    /// Descriptors open now; `None` = the system does not say.
    pub open_files: Option<u64>,
    /// Lines of the access log that were dropped so far.
    pub access_log_dropped: u64,
}

/// Everything, as text.
pub fn render(registry: &Registry, agent: &AgentFacts) -> String {
    let mut page = Page::default();
    agent_facts(&mut page, agent);
    listeners(&mut page, &registry.listeners());
    groups(&mut page, &registry.groups());
    targets(&mut page, &registry.targets());
    page.text()
}

fn agent_facts(page: &mut Page, agent: &AgentFacts) {
    let gauges = [
        (
            "revision",
            "Revision in force; 0 = none",
            agent.revision.unwrap_or(0),
        ),
        (
            "ready",
            "A snapshot is in force",
            agent.revision.is_some().into(),
        ),
        ("resources", "Resources in force", agent.resources as u64),
        (
            "connected",
            "The stream to the control plane is open",
            agent.connected.into(),
        ),
        (
            "snapshot_keep_failed",
            "The snapshot in force could not be kept on disk",
            agent.keep_failed.into(),
        ),
        (
            "draining",
            "The agent ends: nothing new is accepted",
            agent.draining.into(),
        ),
        (
            "open_files",
            "Descriptors open now; 0 = the system does not say",
            agent.open_files.unwrap_or(0),
        ),
    ];
    let counters = [
        (
            "streams_total",
            "Streams to the control plane that were opened",
            agent.streams,
        ),
        (
            "snapshots_applied_total",
            "Snapshots put in force",
            agent.applied,
        ),
        (
            "snapshots_refused_total",
            "Snapshots refused",
            agent.refused,
        ),
        (
            "access_log_dropped_lines_total",
            "Lines of the access log that were dropped as they could not be written in time",
            agent.access_log_dropped,
        ),
    ];
    for (form, families) in [(Form::Gauge, &gauges[..]), (Form::Counter, &counters)] {
        for (name, help, value) in families {
            page.family(name, help, form);
            page.series(&[], *value);
        }
    }
}

type OfListener = fn(&ListenerCounters) -> &Counter;
type OfGroup = fn(&GroupCounters) -> &Counter;

/// Families of listeners with one series each.
const LISTENER_FAMILIES: [(&str, &str, Form, OfListener); 6] = [
    (
        "listener_connections_total",
        "Connections accepted",
        Form::Counter,
        |counters| &counters.connections,
    ),
    (
        "listener_active_connections",
        "Connections open now",
        Form::Gauge,
        |counters| &counters.active_connections,
    ),
    (
        "listener_rejected_connections_total",
        "Connections refused: over a limit, or no descriptor left",
        Form::Counter,
        |counters| &counters.rejected_connections,
    ),
    (
        "listener_requests_total",
        "Requests whose head was read",
        Form::Counter,
        |counters| &counters.requests,
    ),
    (
        "listener_received_bytes_total",
        "Bytes received from clients",
        Form::Counter,
        |counters| &counters.received_bytes,
    ),
    (
        "listener_sent_bytes_total",
        "Bytes sent to clients",
        Form::Counter,
        |counters| &counters.sent_bytes,
    ),
];

/// Families of target groups with one series each.
const GROUP_FAMILIES: [(&str, &str, OfGroup); 4] = [
    (
        "target_group_requests_total",
        "Requests or connections for which a target was chosen",
        |counters| &counters.requests,
    ),
    (
        "target_group_connection_errors_total",
        "Connections to targets that could not be opened or broke",
        |counters| &counters.connection_errors,
    ),
    (
        "target_group_fail_open_total",
        "Requests or connections sent to an unhealthy target because none was healthy",
        |counters| &counters.fail_open,
    ),
    (
        "target_group_no_target_total",
        "Requests or connections that found no target at all",
        |counters| &counters.no_target,
    ),
];

fn listeners(page: &mut Page, listeners: &[Arc<Listener>]) {
    for (name, help, form, pick) in LISTENER_FAMILIES {
        page.family(name, help, form);
        for listener in listeners {
            page.series(&labels(listener), listener.counters.sum(pick));
        }
    }
    page.family(
        "listener_responses_total",
        "Responses by class, whoever made them",
        Form::Counter,
    );
    each(page, listeners, "class", &CLASSES, |counters, place| {
        &counters.responses[place]
    });
    page.family(
        "listener_made_responses_total",
        "Responses that the agent made itself after a failure, by status",
        Form::Counter,
    );
    let statuses = MADE_STATUSES.map(|status| status.to_string());
    let statuses: Vec<_> = statuses
        .iter()
        .map(String::as_str)
        .chain(["other"])
        .collect();
    each(page, listeners, "status", &statuses, |counters, place| {
        &counters.made[place]
    });
    page.family(
        "listener_resets_total",
        "Connections below HTTP that were reset, by who did it",
        Form::Counter,
    );
    each(page, listeners, "by", &RESETTERS, |counters, place| {
        &counters.resets[place]
    });
}

/// One series for each of `values`, whose place `pick` gets.
fn each(
    page: &mut Page,
    listeners: &[Arc<Listener>],
    label: &str,
    values: &[&str],
    pick: impl Fn(&ListenerCounters, usize) -> &Counter,
) {
    for listener in listeners {
        let [load_balancer, name] = labels(listener);
        for (place, value) in values.iter().enumerate() {
            let count = listener.counters.sum(|counters| pick(counters, place));
            page.series(&[load_balancer, name, (label, value)], count);
        }
    }
}

fn labels(listener: &Listener) -> [(&'static str, &str); 2] {
    let (load_balancer, name) = listener
        .name
        .split_once('/')
        .unwrap_or(("", &listener.name));
    [("load_balancer", load_balancer), ("listener", name)]
}

fn groups(page: &mut Page, groups: &[Arc<Group>]) {
    for (name, help, pick) in GROUP_FAMILIES {
        page.family(name, help, Form::Counter);
        for group in groups {
            page.series(&[("target_group", &group.name)], group.counters.sum(pick));
        }
    }
    page.family(
        "target_group_responses_total",
        "Responses of targets by class",
        Form::Counter,
    );
    for group in groups {
        for (place, class) in CLASSES.iter().enumerate() {
            let count = group.counters.sum(|counters| &counters.responses[place]);
            page.series(&[("target_group", &group.name), ("class", class)], count);
        }
    }
    page.family(
        "target_group_response_seconds",
        "Time from a request sent to a target to the head of its response",
        Form::Histogram,
    );
    for group in groups {
        response_seconds(page, group);
    }
}

fn response_seconds(page: &mut Page, group: &Group) {
    let label = ("target_group", &*group.name);
    let mut count = 0;
    for place in 0..=RESPONSE_TIME_BOUNDS_US.len() {
        count += group
            .counters
            .sum(|counters| &counters.response_time[place]);
        let bound = match RESPONSE_TIME_BOUNDS_US.get(place) {
            Some(us) => (f64::from(*us) / 1e6).to_string(),
            None => "+Inf".to_owned(),
        };
        page.part("_bucket", &[label, ("le", &bound)], count);
    }
    let sum_us = group
        .counters
        .sum(|counters| &counters.response_time_sum_us);
    page.seconds("_sum", &[label], sum_us);
    page.part("_count", &[label], count);
}

/// What is shown of one address of one group: of a target that drains and its successor together.
#[derive(Default)]
struct Shown {
    healthy: bool,
    in_flight: u64,
}

fn targets(page: &mut Page, targets: &[Arc<Target>]) {
    let mut shown: BTreeMap<(&str, SocketAddr), Shown> = BTreeMap::new();
    for target in targets {
        let one = shown.entry((&target.group, target.address)).or_default();
        let registered = !target.deregistered.load(Ordering::Relaxed);
        one.healthy |= registered && target.healthy.load(Ordering::Relaxed);
        one.in_flight += u64::from(target.in_flight.load(Ordering::Relaxed));
    }
    let mut family = |name, help, value: fn(&Shown) -> u64| {
        page.family(name, help, Form::Gauge);
        for ((group, address), one) in &shown {
            let address = address.to_string();
            page.series(
                &[("target_group", *group), ("target", &address)],
                value(one),
            );
        }
    };
    family(
        "target_healthy",
        "The target passes its health checks",
        |one| one.healthy.into(),
    );
    family(
        "target_in_flight",
        "Requests or connections under way to the target, since before it was deregistered too",
        |one| one.in_flight,
    );
}

#[cfg(test)]
mod tests;
