//! What is counted, in Prometheus form: counters as things happen, gauges read when they are asked for.
//!
//! The number of series is fixed: labels are kinds and outcomes, never names of resources or agents.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use inlet_proto::kind::Kind;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::fleet::roster::Census;
use crate::model::State;
use crate::writer::{Outcome, Refused};

/// Upper bounds of the time that a change takes, in seconds.
const CHANGE_SECONDS: [f64; 11] = [
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

type Labels = [(&'static str, &'static str); 1];

/// The metrics of the control plane.
pub(crate) struct Metrics {
    registry: Registry,
    revision: Gauge,
    resources: Family<Labels, Gauge>,
    agents: Family<Labels, Gauge>,
    changes: Family<Labels, Counter>,
    change_seconds: Histogram,
    streams: Gauge,
    snapshots: Counter,
    snapshot_bytes: Counter<u64, AtomicU64>,
    refusals: Counter,
}

/// Counts a stream until it is dropped.
pub(crate) struct OpenStream(Gauge);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("inlet_control_plane"),
            revision: Gauge::default(),
            resources: Family::default(),
            agents: Family::default(),
            changes: Family::default(),
            change_seconds: Histogram::new(CHANGE_SECONDS),
            streams: Gauge::default(),
            snapshots: Counter::default(),
            snapshot_bytes: Counter::default(),
            refusals: Counter::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let Self { registry, .. } = self;
        registry.register("revision", "The current revision", self.revision.clone());
        registry.register("resources", "Resources by kind", self.resources.clone());
        registry.register(
            "agents",
            "Agents by condition; behind and refusing ones are connected too",
            self.agents.clone(),
        );
        registry.register("changes", "Changes by outcome", self.changes.clone());
        registry.register(
            "change_seconds",
            "Time from a change's arrival to its durable revision or its refusal",
            self.change_seconds.clone(),
        );
        registry.register(
            "discovery_streams",
            "Open streams of agents",
            self.streams.clone(),
        );
        registry.register(
            "snapshots_sent",
            "Snapshots sent to agents",
            self.snapshots.clone(),
        );
        registry.register(
            "snapshot_sent_bytes",
            "Bytes of snapshots sent to agents",
            self.snapshot_bytes.clone(),
        );
        registry.register(
            "snapshots_refused",
            "Snapshots that agents refused",
            self.refusals.clone(),
        );
    }

    /// A change was made or refused.
    pub(crate) fn change_done(&self, result: &Result<Outcome, Refused>, took: Duration) {
        let outcome = match result {
            Ok(outcome) if outcome.committed => "committed",
            Ok(_) => "nothing_kept",
            Err(Refused::Invalid(_)) => "invalid",
            Err(Refused::Conflict { .. }) => "conflict",
            Err(_) => "failed",
        };
        self.changes.get_or_create(&[("outcome", outcome)]).inc();
        self.change_seconds.observe(took.as_secs_f64());
    }

    /// An agent's stream is open until the result is dropped.
    pub(crate) fn stream_opened(&self) -> OpenStream {
        self.streams.inc();
        OpenStream(self.streams.clone())
    }

    /// A snapshot begins to go out.
    pub(crate) fn snapshot_sent(&self) {
        self.snapshots.inc();
    }

    /// A part of a snapshot was handed to the transport.
    pub(crate) fn part_sent(&self, bytes: usize) {
        self.snapshot_bytes.inc_by(bytes as u64);
    }

    /// An agent refused a snapshot.
    pub(crate) fn refused(&self) {
        self.refusals.inc();
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn text(&self, state: &State, census: Census) -> String {
        self.revision.set(number(state.revision()));
        for kind in Kind::ALL {
            let count = state.of_kind(*kind).count();
            let gauge = self.resources.get_or_create(&[("kind", kind.name())]);
            gauge.set(number(count as u64));
        }
        for (condition, count) in [
            ("connected", census.connected),
            ("behind", census.behind),
            ("refusing", census.refusing),
            ("gone", census.gone),
        ] {
            let gauge = self.agents.get_or_create(&[("condition", condition)]);
            gauge.set(number(count as u64));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a String cannot fail");
        text
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
