//! The demo to look at: says where everything is, sends a little traffic, ends at Ctrl-C.

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::interval;

use super::error::DemoError;
use super::operator::{Operator, within};
use super::ports::Ports;
use super::sample::{self, AGENTS};
use super::screen::{self, StatusLine};
use super::signals::Signals;
use super::system::System;
use super::traffic::{Counts, Traffic};
use super::welcome::{self, Facts};

/// How long the sample may take to be in force.
const SETUP: Duration = Duration::from_secs(30);
/// Time between two status lines.
const STATUS: Duration = Duration::from_secs(5);

/// Runs until Ctrl-C. Errors: something does not start, or ends by itself.
pub(super) async fn run() -> Result<ExitCode, DemoError> {
    let mut signals = Signals::listen()?;
    let mut system = System::start(Ports::usual()?).await?;
    let shown = tokio::select! {
        () = signals.any() => Ok(()),
        shown = show(&mut system) => shown,
    };
    if !system.shutdown().await {
        eprintln!("lbctl: demo: something was still under way at the end");
    }
    shown.map(|()| ExitCode::SUCCESS)
}

/// Configures the system, says where everything is, and goes on until nobody reads any more.
async fn show(system: &mut System) -> Result<(), DemoError> {
    let sample = sample::sample(&system.ports, &system.backends.ports());
    let facts = Facts {
        server: system.url(),
        ports: system.ports,
        backends: system.backends.ports(),
        sample: system.folder.write("sample.yaml", &sample)?,
        change: system.folder.write("change.yaml", &sample::change())?,
        lbctl: welcome::lbctl(),
    };
    within(SETUP, "the sample in force on both agents", async {
        let operator = Operator::connect(&system.url()).await?;
        let revision = operator.apply(&sample, "the sample of lbctl demo").await?;
        operator.in_force(revision).await
    })
    .await?;
    if screen::print(&welcome::text(&facts)).is_err() {
        return Ok(());
    }
    watch(system).await
}

/// Shows what the traffic is like until nobody reads any more.
async fn watch(system: &mut System) -> Result<(), DemoError> {
    let traffic = Traffic::start(&system.ports);
    let revisions: Vec<_> = system
        .agents
        .iter()
        .map(|agent| agent.revision.clone())
        .collect();
    let mut line = StatusLine::stdout();
    let mut interval = interval(STATUS);
    interval.tick().await;
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            why = system.failed() => return Err(why),
        }
        let in_force = revisions.iter().map(|revision| *revision.borrow());
        let status = status(&traffic.take(), &in_force.collect::<Vec<_>>());
        if line.show(&status).is_err() {
            return Ok(());
        }
    }
}

/// The status line: what the traffic of the last seconds was like, and which revision each agent has in force.
fn status(counts: &Counts, in_force: &[u64]) -> String {
    let Counts {
        answered,
        failed,
        blue,
        green,
    } = counts;
    format!(
        "last {} s: {answered} answered, {failed} failed; /release: {blue} blue, {green} green; {}",
        STATUS.as_secs(),
        revisions(in_force)
    )
}

fn revisions(in_force: &[u64]) -> String {
    match in_force {
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            format!("revision {first}")
        }
        _ => {
            let each = AGENTS.iter().zip(in_force);
            let each = each.map(|(name, revision)| format!("{name} has revision {revision}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_came_of_the_traffic_and_what_is_in_force() {
        let counts = Counts {
            answered: 20,
            failed: 0,
            blue: 7,
            green: 3,
        };
        assert_eq!(
            status(&counts, &[1, 1]),
            "last 5 s: 20 answered, 0 failed; /release: 7 blue, 3 green; revision 1"
        );
        assert!(status(&counts, &[2, 1]).ends_with("edge-a has revision 2, edge-b has revision 1"));
    }
}
