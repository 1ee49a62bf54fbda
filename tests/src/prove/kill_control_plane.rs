//! `kill -9` of the control plane amid concurrent writes, again and again on the same data.
//!
//! Every change replaces several resources at once and says its number in all of them and in its message; the
//! [`ledger`] knows which were acknowledged. After each restart nothing else writes, and all that is stored must be
//! explained by it. Some restarts are killed too, before they are ready: reading the store back must not harm it.

mod ledger;
mod writer;

use std::time::{Duration, Instant};

use fastrand::Rng;
use inlet_proto::v1;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::seed::Seed;
use super::{Quantity, Report};
use crate::World;
use crate::manifest::{application, documents, fixed, listener};
use ledger::{Found, Group, LISTENER, Ledger, writer_of_rule};
use writer::{Written, write};

/// The latest moment of a kill, after the writers have begun.
const LATEST_KILL_MS: u64 = 400;
/// The latest moment of a kill while the control plane starts.
const LATEST_START_KILL_MS: u64 = 60;
/// One start in so many is killed.
const START_KILL_ONE_IN: usize = 4;
/// Time for everything but the rounds.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Longest time for a round, on average.
const PER_ROUND: Duration = Duration::from_secs(5);
/// Resources or revisions of one page.
const PAGE: u32 = 1000;

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Kills; the full size is 200
    #[arg(long, default_value_t = 30)]
    rounds: usize,
    /// Concurrent writers
    #[arg(long, default_value_t = 8)]
    writers: usize,
    #[command(flatten)]
    seed: Seed,
}

/// What the rounds add up to.
#[derive(Debug, Default)]
struct Sums {
    interrupted_starts: usize,
    longest_start: Duration,
    problems: Vec<String>,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        OVERHEAD + PER_ROUND * u32::try_from(self.rounds).unwrap_or(u32::MAX)
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut rng = flags.seed.generator();
    let mut world = World::start(&[]).await;
    let page = fixed(404, "none");
    let base = documents(&[application("shop"), listener(LISTENER, "HTTP", 8080, &page)]);
    let mut ledger = Ledger::new(flags.writers, world.apply_directly(&base).await);
    let mut sums = Sums::default();
    for round in 1..=flags.rounds {
        let moment = Duration::from_millis(rng.u64(1..=LATEST_KILL_MS));
        write_until_killed(&mut world, &mut ledger, moment, &mut sums).await;
        restart(&mut world, &mut rng, &mut sums).await;
        let problems = ledger.judge(&found(&world, ledger.verified()).await);
        let named = problems
            .into_iter()
            .map(|problem| format!("round {round}, killed after {moment:?}: {problem}"));
        sums.problems.extend(named);
    }
    let kept = ledger.judge_kept(&history(&world, 0).await.1);
    sums.problems.extend(kept);
    tell(report, flags, &ledger, &sums);
}

/// Lets all writers write, kills the control plane at the moment, and notes what was acknowledged.
async fn write_until_killed(
    world: &mut World,
    ledger: &mut Ledger,
    moment: Duration,
    sums: &mut Sums,
) {
    let mut writers = JoinSet::new();
    for (writer, state) in ledger.writers() {
        writers.spawn(write(world.control_plane.url(), writer, state));
    }
    sleep(moment).await;
    world.control_plane.kill().await;
    for Written {
        writer,
        acknowledged,
        attempted,
        refused,
    } in writers.join_all().await
    {
        sums.problems.extend(refused);
        let noted = ledger.note(writer, attempted, &acknowledged);
        sums.problems.extend(noted);
    }
}

async fn restart(world: &mut World, rng: &mut Rng, sums: &mut Sums) {
    while rng.usize(..START_KILL_ONE_IN) == 0 {
        let moment = Duration::from_millis(rng.u64(0..=LATEST_START_KILL_MS));
        world.control_plane.restart_and_kill(moment).await;
        sums.interrupted_starts += 1;
    }
    let begun = Instant::now();
    world.control_plane.restart().await;
    sums.longest_start = sums.longest_start.max(begun.elapsed());
}

fn tell(report: &mut Report, flags: &Flags, ledger: &Ledger, sums: &Sums) {
    report.stated(
        "kills amid writes, the store opened after each",
        Quantity::count(flags.rounds),
    );
    report.stated(
        "kills while starting",
        Quantity::count(sums.interrupted_starts),
    );
    report.stated("longest start", Quantity::Time(sums.longest_start));
    report.at_least(
        "acknowledged changes",
        Quantity::count(ledger.acknowledged()),
        Quantity::count(flags.rounds),
    );
    report.stated(
        "changes there without having been acknowledged",
        Quantity::count(ledger.unacknowledged()),
    );
    report.none(
        "lost, half, doubled or unexplained",
        sums.problems.len(),
        &sums.problems,
    );
}

/// Everything that is stored: the revisions after `after`, and the writers' resources.
async fn found(world: &World, after: u64) -> Found {
    let (oldest, revisions) = history(world, after).await;
    let mut found = Found {
        current: world.revision().await,
        oldest,
        revisions,
        ..Found::default()
    };
    for resource in list(world, "Rule").await {
        if let Some(v1::resource::Kind::Rule(rule)) = resource.kind
            && let Some(writer) = writer_of_rule(&rule.name)
        {
            found.rules.insert(writer, (body(&rule), rule.revision));
        }
    }
    for resource in list(world, "TargetGroup").await {
        if let Some(v1::resource::Kind::TargetGroup(group)) = resource.kind {
            found.groups.push(Group::of(&group));
        }
    }
    found
}

/// The text of a rule's fixed response.
fn body(rule: &v1::Rule) -> String {
    let kind = rule.actions.first().and_then(|action| action.kind.as_ref());
    match kind {
        Some(v1::action::Kind::FixedResponse(response)) => response.body.clone(),
        _ => String::new(),
    }
}

/// The oldest revision that is kept, and (revision, message) of those after `after`, the newest first.
async fn history(world: &World, after: u64) -> (u64, Vec<(u64, String)>) {
    let mut revisions = Vec::new();
    let mut request = v1::HistoryRequest {
        page_size: PAGE,
        summary: true,
        ..Default::default()
    };
    loop {
        let answer = world.configuration().history(request.clone()).await;
        let page = answer.expect("the history").into_inner();
        let numbers = page.revisions.into_iter();
        revisions.extend(numbers.map(|revision| (revision.revision, revision.message)));
        let reached = revisions.last().is_none_or(|(last, _)| *last <= after);
        if reached || page.next_page_token.is_empty() {
            revisions.retain(|(revision, _)| *revision > after);
            return (page.oldest_revision, revisions);
        }
        request.page_token = page.next_page_token;
    }
}

async fn list(world: &World, kind: &str) -> Vec<v1::Resource> {
    let mut resources = Vec::new();
    let mut request = v1::ListRequest {
        kind: kind.to_owned(),
        page_size: PAGE,
        ..Default::default()
    };
    loop {
        let answer = world.configuration().list(request.clone()).await;
        let page = answer.expect("the resources").into_inner();
        resources.extend(page.resources);
        if page.next_page_token.is_empty() {
            return resources;
        }
        request.page_token = page.next_page_token;
    }
}
