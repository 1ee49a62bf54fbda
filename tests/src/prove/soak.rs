//! A soak: steady load at a share of the most that this machine can do, a change a second, memory flat.
//!
//! The most is measured first, in a closed loop; what follows is paced, so that a stall shows as latency. Memory is
//! flat if the median of the last third of the samples is not above that of the first third by more than
//! [`GROWTH_PERCENT`] or [`GROWTH_BYTES`], whichever is more: caches and the kept history fill at first.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Quantity, Report};
use crate::live::{AGENT, Stage};
use crate::load::{Clients, Load, Outcome};
use crate::memory::resident;

/// Memory may grow by this share from the first to the last third.
const GROWTH_PERCENT: u64 = 10;
/// Memory may grow by this in any case.
const GROWTH_BYTES: u64 = 8 << 20;
/// How long the most is measured.
const MEASURE: Duration = Duration::from_secs(5);
/// From one change and sample to the next.
const PERIOD: Duration = Duration::from_secs(1);
/// Share of the intended rate that must have been reached, so that the load was what it claims to be.
const REACHED_PERCENT: f64 = 90.0;
/// Time for everything but the soak itself.
const OVERHEAD: Duration = Duration::from_secs(180);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// How long the load lasts; the full size is 10
    #[arg(long, default_value_t = 2)]
    minutes: u32,
    /// Load in percent of the most that was measured
    #[arg(long, default_value_t = 70, value_parser = clap::value_parser!(u32).range(1..=100))]
    load: u32,
    /// Clients that keep their connections
    #[arg(long, default_value_t = 60)]
    keeping: usize,
    /// Clients that open a connection for each request
    #[arg(long, default_value_t = 4)]
    fresh: usize,
}

/// Memory of both programs over time.
#[derive(Debug, Default)]
struct Samples {
    agent: Vec<u64>,
    control_plane: Vec<u64>,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        OVERHEAD + Duration::from_secs(60) * self.minutes
    }

    fn clients(&self) -> Clients {
        Clients {
            keeping: self.keeping,
            fresh: self.fresh,
        }
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut stage = Stage::start().await;
    let most = most(&stage, flags.clients()).await;
    report.stated("the most: requests a second", Quantity::PerSecond(most));
    let rate = most * f64::from(flags.load) / 100.0;
    let load = Load::paced(stage.port, flags.clients(), rate);
    let mut samples = Samples::default();
    let begun = Instant::now();
    let mut changes = 0;
    while begun.elapsed() < Duration::from_secs(60) * flags.minutes {
        changes += 1;
        stage.change(changes).await;
        samples.take(&mut stage).expect("both programs run");
        sleep_until(begun + PERIOD * u32::try_from(changes).unwrap_or(u32::MAX)).await;
    }
    stage.serves(changes).await;
    let outcome = load.stop().await;
    report.stated("changes", Quantity::count(changes));
    tell_requests(report, &outcome, rate);
    tell_memory(report, "agent", &samples.agent);
    tell_memory(report, "control plane", &samples.control_plane);
}

/// Requests a second in a closed loop.
async fn most(stage: &Stage, clients: Clients) -> f64 {
    let load = Load::closed(stage.port, clients);
    sleep(MEASURE).await;
    let outcome = load.stop().await;
    outcome.no_failure().rate()
}

fn tell_requests(report: &mut Report, outcome: &Outcome, rate: f64) {
    report.stated("requests", Quantity::Count(outcome.answered));
    report.at_least(
        "requests a second",
        Quantity::PerSecond(outcome.rate()),
        Quantity::PerSecond(rate * REACHED_PERCENT / 100.0),
    );
    for percent in [50.0, 99.0] {
        report.stated(
            &format!("request p{percent} since it was due"),
            Quantity::Time(outcome.latencies.percentile(percent)),
        );
    }
    report.none(
        "failed requests",
        outcome.failed as usize,
        &outcome.examples,
    );
}

fn tell_memory(report: &mut Report, who: &str, samples: &[u64]) {
    let (first, last) = thirds(samples);
    report.stated(
        &format!("memory of the {who}, first third"),
        Quantity::Bytes(first),
    );
    report.at_most(
        &format!("memory of the {who}, last third"),
        Quantity::Bytes(last),
        Quantity::Bytes(allowed(first)),
    );
}

/// The medians of the first and of the last third; zero without samples.
fn thirds(samples: &[u64]) -> (u64, u64) {
    let third = samples.len().div_ceil(3);
    (
        median(&samples[..third]),
        median(&samples[samples.len() - third..]),
    )
}

fn median(samples: &[u64]) -> u64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// What memory may have grown to.
fn allowed(first: u64) -> u64 {
    first + (first * GROWTH_PERCENT / 100).max(GROWTH_BYTES)
}

impl Samples {
    fn take(&mut self, stage: &mut Stage) -> io::Result<()> {
        let agent = stage.world.agent(AGENT).process().id();
        let control_plane = stage.world.control_plane.process().id();
        self.agent.push(resident(agent)?);
        self.control_plane.push(resident(control_plane)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_third_are_compared_by_their_medians() {
        for (samples, expected) in [
            (&[][..], (0, 0)),
            (&[5], (5, 5)),
            (&[1, 2], (1, 2)),
            // One outlier in each third does not count.
            (&[10, 99, 10, 50, 50, 50, 20, 1, 20], (10, 20)),
            (&[1, 2, 3, 4, 5, 6, 7, 8], (2, 7)),
        ] {
            assert_eq!(thirds(samples), expected, "{samples:?}");
        }
    }

    #[test]
    fn growth_is_allowed_by_a_share_or_by_a_floor() {
        assert_eq!(allowed(1 << 20), 9 << 20);
        assert_eq!(allowed(1000 << 20), 1100 << 20);
    }
}
