//! What is counted, as Prometheus reads it: text format 0.0.4, made anew for each scrape.
//!
//! The number of series depends on what is configured (listeners, groups, targets), never on what clients send; every
//! series is there from the start, at zero. Labels have the manifest's words: `load_balancer`, `listener`,
//! `target_group`, `target`. Reads counters only; knows nothing of who writes them.

mod page;

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

/// What there is to say about the agent as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentFacts {
    /// Revision in force; 0 = none.
    pub revision: u64,
    /// The discovery stream is open.
    pub connected: bool,
    /// Snapshots put in force.
    pub acks: u64,
    /// Snapshots refused.
    pub nacks: u64,
    /// The last snapshot could not be kept on disk.
    pub disk_failed: bool,
    /// Descriptors open now.
    pub open_files: u64,
    /// Lines of the access log that were dropped.
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
    page.family("revision", "Revision in force; 0 = none", Form::Gauge);
    page.series(&[], agent.revision);
    page.family(
        "connected",
        "The stream to the control plane is open",
        Form::Gauge,
    );
    page.series(&[], agent.connected.into());
    page.family("snapshots_total", "Snapshots by answer", Form::Counter);
    page.series(&[("answer", "ack")], agent.acks);
    page.series(&[("answer", "nack")], agent.nacks);
    page.family(
        "snapshot_disk_failed",
        "The last snapshot could not be kept on disk",
        Form::Gauge,
    );
    page.series(&[], agent.disk_failed.into());
    page.family("open_files", "Descriptors open now", Form::Gauge);
    page.series(&[], agent.open_files);
    page.family(
        "access_log_dropped_lines_total",
        "Lines of the access log that were dropped as they could not be written in time",
        Form::Counter,
    );
    page.series(&[], agent.access_log_dropped);
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

fn targets(page: &mut Page, targets: &[Arc<Target>]) {
    let addresses: Vec<_> = targets
        .iter()
        .map(|target| target.address.to_string())
        .collect();
    let mut family = |name, help, value: fn(&Target) -> u64| {
        page.family(name, help, Form::Gauge);
        for (target, address) in targets.iter().zip(&addresses) {
            let labels = [("target_group", &*target.group), ("target", address)];
            page.series(&labels, value(target));
        }
    };
    family(
        "target_healthy",
        "The target passes its health checks",
        |target| target.healthy.load(Ordering::Relaxed).into(),
    );
    family(
        "target_in_flight",
        "Requests or connections under way to the target",
        |target| target.in_flight.load(Ordering::Relaxed).into(),
    );
}

#[cfg(test)]
mod tests;
