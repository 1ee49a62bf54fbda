//! `lbctl demo --check`: the same system on free ports, every path through it, and a table of what came back.
//!
//! What is checked, in order: the sample is in force and healthy; every path through both agents; a change, proven on
//! both agents; a rollback, proven too; the end. What goes wrong is a row of the table, never the end of it.

mod judge;
mod paths;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::error::DemoError;
use super::operator::{Operator, within};
use super::ports::Ports;
use super::sample::{self, AGENTS, GROUPS};
use super::screen::{self, StatusLine};
use super::signals::Signals;
use super::system::{SHUTDOWN, System};
use crate::output::Out;
use paths::Zone;
use table::{Row, Table};

/// How long all of it may take, but for the end.
const DEADLINE: Duration = Duration::from_secs(60);
/// How long agents may take to have a change in force.
const IN_FORCE: Duration = Duration::from_secs(20);
/// How long targets may take to be healthy: several intervals of their health checks.
const HEALTHY: Duration = Duration::from_secs(30);

/// Which groups answer the path that two share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sides {
    /// By weight.
    Both,
    /// The next release alone.
    Green,
}

/// What was found so far, and what is under way: shown on a terminal while it lasts.
pub(super) struct Report {
    table: Table,
    under_way: String,
    progress: StatusLine<std::io::Stderr>,
}

impl Report {
    fn new() -> Self {
        Self {
            table: Table::default(),
            under_way: "start".to_owned(),
            progress: StatusLine::stderr(),
        }
    }

    /// Something is looked at now.
    fn begin(&mut self, what: impl Into<String>) {
        self.under_way = what.into();
        if self.progress.is_terminal() {
            // Progress that nobody reads is no reason to end.
            let _ = self.progress.show(&self.under_way);
        }
    }

    fn add(&mut self, row: Row) {
        self.table.add(row);
    }
}

/// Checks everything and prints what came of it. Exit status: 0 if all is as expected, 1 if not.
///
/// Errors: the system does not start.
pub(super) async fn run(out: &Out) -> Result<ExitCode, DemoError> {
    let began = Instant::now();
    let mut signals = Signals::listen()?;
    let mut system = System::start(Ports::free()?).await?;
    let mut report = Report::new();
    let end = tokio::select! {
        () = signals.any() => Some("ended by a signal".to_owned()),
        checked = timeout(DEADLINE, steps(&mut system, &mut report)) => {
            checked.err().map(|_| format!("not done within {} s", DEADLINE.as_secs()))
        }
    };
    if let Some(why) = end {
        let what = std::mem::take(&mut report.under_way);
        report.table.step(what, "done", &Err::<(), _>(why));
    }
    report.begin("the end");
    let ended = match system.shutdown().await {
        true => Ok(()),
        false => Err(format!("not within {} s", SHUTDOWN.as_secs())),
    };
    report.table.step("the end", "all ended", &ended);
    Ok(conclude(report, began.elapsed(), out))
}

/// Prints the table and the last line.
fn conclude(mut report: Report, took: Duration, out: &Out) -> ExitCode {
    report.progress.clear();
    let Report { table, .. } = report;
    let verdict = table.verdict(took.as_secs_f64());
    // Whoever reads no table still gets the exit status.
    let _ = out.table(&table.printed());
    let _ = screen::print(&format!("\n{verdict}\n"));
    match table.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// All steps, unless the system ends by itself.
async fn steps(system: &mut System, report: &mut Report) {
    let plan = Plan {
        url: system.url(),
        sample: sample::sample(&system.ports, &system.backends.ports()),
        zones: Zone::both(&system.ports),
    };
    let why = tokio::select! {
        went = plan.run(report) => went.err(),
        why = system.failed() => Some(why),
    };
    if let Some(why) = why {
        let what = std::mem::take(&mut report.under_way);
        report.table.step(what, "done", &Err::<(), _>(why));
    }
}

/// What the steps need to know.
struct Plan {
    url: String,
    sample: String,
    zones: [Zone; 2],
}

impl Plan {
    /// Errors: a step on which the others build did not go well.
    async fn run(&self, report: &mut Report) -> Result<(), DemoError> {
        report.begin("connect to the control plane");
        let operator = Operator::connect(&self.url).await?;
        let first = apply(&operator, &self.sample, "apply the sample", report).await?;
        for (group, targets) in GROUPS {
            healthy(&operator, group, targets, report).await?;
        }
        for zone in &self.zones {
            paths::all(zone, report).await;
        }

        apply(&operator, &sample::change(), "apply a change", report).await?;
        for zone in &self.zones {
            paths::release(zone, Sides::Green, report).await;
        }

        report.begin("roll back");
        let revision = operator.rollback(first).await?;
        in_force(&operator, revision, "roll back", report).await?;
        for zone in &self.zones {
            paths::release(zone, Sides::Both, report).await;
        }
        history(&operator, revision, report).await
    }
}

/// Applies a manifest and proves it in force on both agents.
async fn apply(
    operator: &Operator,
    manifest: &str,
    what: &str,
    report: &mut Report,
) -> Result<u64, DemoError> {
    report.begin(what);
    let revision = operator.apply(manifest, what).await?;
    in_force(operator, revision, what, report).await?;
    Ok(revision)
}

async fn in_force(
    operator: &Operator,
    revision: u64,
    what: &str,
    report: &mut Report,
) -> Result<(), DemoError> {
    within(
        IN_FORCE,
        "in force on both agents",
        operator.in_force(revision),
    )
    .await?;
    let expected = format!("revision {revision} on {}", AGENTS.join(" and "));
    report.table.step(what, expected, &Ok::<_, DemoError>(()));
    Ok(())
}

async fn healthy(
    operator: &Operator,
    group: &str,
    targets: usize,
    report: &mut Report,
) -> Result<(), DemoError> {
    let what = format!("targets of group {group}");
    report.begin(&what);
    let waited = within(HEALTHY, "all healthy", operator.healthy(group, targets)).await;
    let (healthy, all) = operator.health(group).await?;
    report.add(Row {
        what,
        expected: format!("{targets} of {targets} healthy on both agents"),
        got: format!("{healthy} of {all} healthy on both agents"),
        ok: waited.is_ok(),
    });
    Ok(())
}

/// Every change of this check is a revision of its own, and kept.
async fn history(operator: &Operator, last: u64, report: &mut Report) -> Result<(), DemoError> {
    report.begin("history");
    let revisions = operator.history().await?;
    let expected: Vec<u64> = (1..=last).rev().collect();
    report.add(Row {
        what: "history".to_owned(),
        expected: describe(&expected),
        got: describe(&revisions),
        ok: revisions == expected,
    });
    Ok(())
}

fn describe(revisions: &[u64]) -> String {
    let numbers: Vec<_> = revisions.iter().map(u64::to_string).collect();
    format!("revisions {}", numbers.join(", "))
}
