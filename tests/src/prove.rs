//! The long runs: what cannot be shown in the minutes of a test. `prove SUBCOMMAND` runs one of them.
//!
//! A run starts the programs itself, in a folder of its own, measures, and holds every figure against a bound: one
//! line each in a [`Report`]. Its size is given by flags, whose defaults fit CI; its time is bounded by [`run`].
//! Whatever is random comes from a seed that is printed, and `--seed` repeats it.

mod abandoned;
mod changes_under_load;
mod fleet;
mod fuzz;
mod idle;
mod kill_agent;
mod kill_control_plane;
mod neighbours;
mod report;
mod seed;
mod slow_clients;
mod soak;

use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::time::timeout;

use crate::memory::raise_open_files;
use crate::programs::program;
pub use report::{Durations, Quantity, Report};

/// The command line.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "prove",
    about = "The long runs that show that Inlet holds: one line per figure, exit status 0 or 1"
)]
pub struct Prove {
    /// The machine does other work meanwhile: durations are stated, not judged
    #[arg(long, global = true)]
    pub busy: bool,
    /// Which run.
    #[command(subcommand)]
    pub run: Run,
}

/// The runs, with their sizes.
#[derive(Debug, Clone, Subcommand)]
pub enum Run {
    /// kill -9 of the control plane amid concurrent writes: nothing acknowledged is lost, nothing is half there
    KillControlPlane(kill_control_plane::Flags),
    /// kill -9 of the agent while it keeps snapshots: it comes back alone with a whole one
    KillAgent(kill_agent::Flags),
    /// Changes under load: no request fails, no connection of others ends
    ChangesUnderLoad(changes_under_load::Flags),
    /// A change a second under steady load: no request fails, memory stays flat
    Soak(soak::Flags),
    /// Idle keep-alive connections: memory of each, and service to others
    Idle(idle::Flags),
    /// Clients that send a byte at a time: memory of each, and service to others
    SlowClients(slow_clients::Flags),
    /// Connections opened and dropped: nothing stays behind, and service to others
    Abandoned(abandoned::Flags),
    /// Many agents and a large configuration: how soon and how small one target's change is
    Fleet(fleet::Flags),
    /// Bytes that nobody sane would send, at every parser: no panic, and nothing is read in two ways
    Fuzz(fuzz::Flags),
}

/// Runs one; prints its figures, and says whether all are within their bounds.
///
/// Panics if the programs do something that no figure allows for, or do not end within the run's limit.
pub async fn run(prove: &Prove) -> bool {
    let run = &prove.run;
    raise_open_files();
    if !matches!(run, Run::Fuzz(_)) {
        // Builds what is not built, so that no figure pays for it.
        program("inlet-control-plane");
    }
    let mut report = Report::new(if prove.busy {
        Durations::Stated
    } else {
        Durations::Judged
    });
    let limit = run.limit();
    timeout(limit, run.go(&mut report))
        .await
        .unwrap_or_else(|_| panic!("the run does not end within {limit:?}"));
    report.is_good()
}

impl Run {
    async fn go(&self, report: &mut Report) {
        // Boxed: each is a large future, and only one of them is needed.
        match self {
            Self::KillControlPlane(flags) => Box::pin(kill_control_plane::run(flags, report)).await,
            Self::KillAgent(flags) => Box::pin(kill_agent::run(flags, report)).await,
            Self::ChangesUnderLoad(flags) => Box::pin(changes_under_load::run(flags, report)).await,
            Self::Soak(flags) => Box::pin(soak::run(flags, report)).await,
            Self::Idle(flags) => Box::pin(idle::run(flags, report)).await,
            Self::SlowClients(flags) => Box::pin(slow_clients::run(flags, report)).await,
            Self::Abandoned(flags) => Box::pin(abandoned::run(flags, report)).await,
            Self::Fleet(flags) => Box::pin(fleet::run(flags, report)).await,
            Self::Fuzz(flags) => fuzz::run(flags, report),
        }
    }

    /// Longest time that a run of this size may take.
    fn limit(&self) -> Duration {
        match self {
            Self::KillControlPlane(flags) => flags.limit(),
            Self::KillAgent(flags) => flags.limit(),
            Self::ChangesUnderLoad(flags) => flags.limit(),
            Self::Soak(flags) => flags.limit(),
            Self::Idle(flags) => flags.limit(),
            Self::SlowClients(flags) => flags.limit(),
            Self::Abandoned(flags) => flags.limit(),
            Self::Fleet(flags) => flags.limit(),
            Self::Fuzz(flags) => flags.limit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed_and_every_run_has_a_limit_within_the_hour() {
        Prove::command().debug_assert();
        for name in [
            "kill-control-plane",
            "kill-agent",
            "changes-under-load",
            "soak",
            "idle",
            "slow-clients",
            "abandoned",
            "fleet",
            "fuzz",
        ] {
            let prove = Prove::try_parse_from(["prove", name]).expect("defaults for everything");
            let limit = prove.run.limit();
            let bounds = Duration::from_secs(30)..Duration::from_secs(3600);
            assert!(bounds.contains(&limit), "{name}: {limit:?}");
        }
    }
}
