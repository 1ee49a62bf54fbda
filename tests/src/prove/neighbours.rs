//! What difficult clients do to everybody else: latency of others before and during, memory and open files of the
//! agent before, during and after.
//!
//! The others are a few paced clients. Their p99 may double; below [`P99_FLOOR`] the machine's own jitter is larger
//! than what is measured. Connections of the difficult clients come in batches of the same size: memory that the
//! first batch leaves behind is what the allocator keeps, what a later one adds would be a leak.

use std::time::Duration;

use tokio::time::sleep;

use super::{Quantity, Report};
use crate::eventually::{eventually, seconds};
use crate::latencies::Latencies;
use crate::live::{AGENT, Stage};
use crate::load::{Clients, Load, Outcome};
use crate::memory::{open_files, resident};

/// How often the p99 of others may be what it was.
const P99_TIMES: u32 = 2;
/// A p99 below this is good in any case.
const P99_FLOOR: Duration = Duration::from_millis(2);
/// The others.
const CLIENTS: Clients = Clients {
    keeping: 8,
    fresh: 2,
};
/// Requests a second of all others.
const RATE: f64 = 400.0;
/// How long the others are measured alone.
const MEASURE: Duration = Duration::from_secs(5);
/// How long the others run before that, so that everything is warm.
const WARM_UP: Duration = Duration::from_secs(2);
/// Files that may be open beyond those before: connections to targets that are kept for the next request.
const SPARE_FILES: usize = 64;
/// How long the agent may take to let go of connections that are closed, and of those to targets that it keeps (50 s).
const LET_GO: Duration = seconds(75);
/// Memory may grow by this from the first batch to the last.
const LEAK_BYTES: u64 = 4 << 20;

/// A stage with others on it.
pub(super) struct Scene {
    /// Where everything happens.
    pub(super) stage: Stage,
    before: Latencies,
    memory: u64,
    files: usize,
    /// Memory at the height of each batch.
    heights: Vec<u64>,
}

impl Scene {
    /// Starts the stage and measures the others alone.
    pub(super) async fn start() -> Self {
        let mut stage = Stage::start().await;
        let load = Load::paced(stage.port, CLIENTS, RATE);
        sleep(WARM_UP).await;
        load.stop().await.no_failure();
        let load = Load::paced(stage.port, CLIENTS, RATE);
        sleep(MEASURE).await;
        let outcome = load.stop().await;
        let before = outcome.no_failure().latencies.clone();
        let agent = stage.world.agent(AGENT).process().id();
        Self {
            before,
            memory: resident(agent).expect("the agent runs"),
            files: open_files(agent).expect("the agent runs"),
            heights: Vec::new(),
            stage,
        }
    }

    /// Where the difficult clients connect.
    pub(super) fn port(&self) -> u16 {
        self.stage.port
    }

    /// The others, until they are stopped.
    pub(super) fn others(&self) -> Load {
        Load::paced(self.stage.port, CLIENTS, RATE)
    }

    /// The agent's memory.
    pub(super) fn memory(&mut self) -> u64 {
        resident(self.agent()).expect("the agent runs")
    }

    /// Notes the agent's memory at the height of a batch.
    pub(super) fn note_height(&mut self, memory: u64) {
        self.heights.push(memory);
    }

    /// Waits until the agent has let go of all connections of a batch.
    pub(super) async fn settled(&mut self) {
        let (agent, most) = (self.agent(), self.files + SPARE_FILES);
        eventually("the agent closes what was closed", LET_GO, async || {
            let files = open_files(agent).expect("the agent runs");
            (files <= most).then_some(())
        })
        .await;
    }

    /// The figures of the others.
    pub(super) fn tell_others(&self, report: &mut Report, during: &Outcome) {
        let before = self.before.percentile(99.0);
        report.stated("p99 of others before", Quantity::Time(before));
        report.at_most(
            "p99 of others meanwhile",
            Quantity::Time(during.latencies.percentile(99.0)),
            Quantity::Time(most(before)),
        );
        report.none(
            "failed requests of others",
            during.failed as usize,
            &during.examples,
        );
    }

    /// The figures of the agent's memory with batches of so many connections.
    pub(super) fn tell_memory(
        &mut self,
        report: &mut Report,
        connections: usize,
        most_each: Option<u64>,
    ) {
        let (first, last) = (
            self.heights.first().copied().unwrap_or_default(),
            self.heights.last().copied().unwrap_or_default(),
        );
        report.stated("memory of the agent before", Quantity::Bytes(self.memory));
        report.stated("memory of the agent, first batch", Quantity::Bytes(first));
        if let Some(most_each) = most_each {
            report.at_most(
                "memory for each connection",
                Quantity::Bytes(each(self.memory, first, connections)),
                Quantity::Bytes(most_each),
            );
        }
        report.at_most(
            "memory of the agent, last batch",
            Quantity::Bytes(last),
            Quantity::Bytes(first + LEAK_BYTES),
        );
        let after = self.memory();
        report.at_most(
            "memory of the agent after",
            Quantity::Bytes(after),
            Quantity::Bytes(first.max(self.memory) + LEAK_BYTES),
        );
    }

    fn agent(&mut self) -> u32 {
        self.stage.world.agent(AGENT).process().id()
    }
}

/// What the p99 of others may be.
fn most(before: Duration) -> Duration {
    (before * P99_TIMES).max(P99_FLOOR)
}

fn each(before: u64, with: u64, connections: usize) -> u64 {
    with.saturating_sub(before) / (connections.max(1) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p99_may_double_and_jitter_does_not_count() {
        let millis = Duration::from_millis;
        assert_eq!(most(millis(3)), millis(6));
        assert_eq!(most(Duration::from_micros(300)), P99_FLOOR);
    }

    #[test]
    fn memory_is_shared_out_among_the_connections() {
        assert_eq!(each(1000, 21_000, 10), 2000);
        assert_eq!(each(1000, 900, 10), 0);
        assert_eq!(each(0, 5, 0), 5);
    }
}
