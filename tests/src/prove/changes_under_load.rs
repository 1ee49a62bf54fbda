//! Changes under load: each is put in force while clients ask on and on, and connections that they do not concern
//! stay open.
//!
//! The load is a closed loop of keep-alive and fresh connections. Every change is waited for until the agent has it
//! in force, so that none is merged with the next; the burst without waiting is `e2e/live_change.rs`.

use std::time::{Duration, Instant};

use super::{Quantity, Report};
use crate::latencies::Latencies;
use crate::live::{AGENT, Bystanders, Stage};
use crate::load::{Clients, Load};

/// Every so many changes all bystanders are asked for a sign of life.
const ECHO_PERIOD: usize = 50;
/// Time for everything but the changes.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Longest time for one change, on average.
const PER_CHANGE: Duration = Duration::from_millis(500);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Changes to make; the full size is 1000
    #[arg(long, default_value_t = 300)]
    changes: usize,
    /// Clients that keep their connections
    #[arg(long, default_value_t = 16)]
    keeping: usize,
    /// Clients that open a connection for each request
    #[arg(long, default_value_t = 4)]
    fresh: usize,
    /// Connections of each sort (WebSocket on the changed listener, WebSocket on another, TCP) that must stay open
    #[arg(long, default_value_t = 20)]
    bystanders: usize,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        OVERHEAD + PER_CHANGE * u32::try_from(self.changes).unwrap_or(u32::MAX)
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let stage = Stage::start().await;
    let mut bystanders = Bystanders::open(&stage, flags.bystanders).await;
    let opened = bystanders.count();
    let clients = Clients {
        keeping: flags.keeping,
        fresh: flags.fresh,
    };
    let load = Load::closed(stage.port, clients);
    let mut in_force = Latencies::default();
    for change in 1..=flags.changes {
        let begun = Instant::now();
        let revision = stage.change(change).await;
        stage.world.in_force(AGENT, revision).await;
        in_force.record(begun.elapsed());
        if change % ECHO_PERIOD == 0 {
            bystanders.echo(&format!("change {change}")).await;
        }
    }
    stage.serves(flags.changes).await;
    let outcome = load.stop().await;
    bystanders.echo("the end").await;

    report.stated("changes in force", Quantity::count(flags.changes));
    report.stated(
        "change until known in force, p99 (seen by polls of 20 ms)",
        Quantity::Time(in_force.percentile(99.0)),
    );
    report.at_least(
        "requests answered",
        Quantity::Count(outcome.answered),
        Quantity::count(flags.changes),
    );
    report.stated("requests a second", Quantity::PerSecond(outcome.rate()));
    report.stated(
        "request p99",
        Quantity::Time(outcome.latencies.percentile(99.0)),
    );
    report.none(
        "failed requests",
        outcome.failed as usize,
        &outcome.examples,
    );
    report.stated("connections of others", Quantity::count(opened));
    report.none(
        "dropped connections of others",
        opened - bystanders.count(),
        &bystanders.dropped,
    );
}
