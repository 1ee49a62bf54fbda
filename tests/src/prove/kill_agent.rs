//! `kill -9` of the agent while changes reach it one after the other and it keeps snapshots; then it starts without
//! its control plane.
//!
//! Change `n` makes three answers of one listener say `n`: two rules and the default. Whatever the agent comes back
//! with must be one change whole: the three agree, the ready line names the revision that had this number, and it is
//! no older than what the agent had acknowledged. In one round of so many the agent begins with an empty folder and
//! is killed early: only then it may come back with nothing.

use std::fs;
use std::time::Duration;

use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use tokio::time::{Instant, timeout};
use tonic::transport::{Channel, Endpoint};

use super::seed::Seed;
use super::{Quantity, Report};
use crate::eventually::{eventually, seconds};
use crate::manifest::{application, documents, fixed, listener, rule};
use crate::ports::free_port;
use crate::process::PATIENCE;
use crate::{World, client};

/// The agent that is killed.
const AGENT: &str = "edge-1";
/// What answers with the number of the change: two rules, and the default.
const PATHS: [&str; 3] = ["/left", "/right", "/"];
/// New connections on which each is asked, so that every worker is.
const ASKED: usize = 4;
/// The latest moment of a kill, after the changes have begun.
const LATEST_KILL_MS: u64 = 400;
/// The latest moment of a kill, after an agent with an empty folder has begun.
const LATEST_FRESH_KILL_MS: u64 = 150;
/// One round in so many begins with an empty folder.
const FRESH_ONE_IN: usize = 4;
/// How long an agent that had nothing yet may take to show that it has something.
const GRACE: Duration = seconds(2);
/// Time for everything but the rounds.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Longest time for a round, on average.
const PER_ROUND: Duration = Duration::from_secs(8);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Kills; the full size is 200
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Rules beside those that say their number, so that a snapshot takes its time
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(..=10_000))]
    rules: u32,
    #[command(flatten)]
    seed: Seed,
}

/// One world in which it happens.
struct Trial {
    world: World,
    port: u16,
    /// The number of the last change that was tried.
    number: u64,
}

/// What the rounds add up to.
#[derive(Debug, Default)]
struct Sums {
    whole: usize,
    nothing: usize,
    changes: u64,
    problems: Vec<String>,
}

/// What an agent has come back with.
#[derive(Debug)]
struct Back {
    revision: u64,
    number: u64,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        OVERHEAD + PER_ROUND * u32::try_from(self.rounds).unwrap_or(u32::MAX)
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut rng = flags.seed.generator();
    let mut trial = Trial::start(flags.rules).await;
    let mut sums = Sums::default();
    for round in 1..=flags.rounds {
        let fresh = round % FRESH_ONE_IN == 0;
        let latest = if fresh {
            LATEST_FRESH_KILL_MS
        } else {
            LATEST_KILL_MS
        };
        let moment = Duration::from_millis(rng.u64(0..=latest));
        if fresh {
            trial.empty().await;
        }
        if let Err(problem) = trial.round(moment, fresh, &mut sums).await {
            let problem = format!("round {round}, killed after {moment:?}: {problem}");
            sums.problems.push(problem);
        }
    }
    sums.changes = trial.number;
    tell(report, flags, &sums);
}

fn tell(report: &mut Report, flags: &Flags, sums: &Sums) {
    report.stated("kills", Quantity::count(flags.rounds));
    report.stated("changes", Quantity::Count(sums.changes));
    report.at_least(
        "came back with a whole snapshot",
        Quantity::count(sums.whole),
        Quantity::count(flags.rounds - flags.rounds / FRESH_ONE_IN),
    );
    report.stated(
        "came back with nothing, none having been kept",
        Quantity::count(sums.nothing),
    );
    report.none(
        "came back with anything else",
        sums.problems.len(),
        &sums.problems,
    );
}

impl Trial {
    async fn start(rules: u32) -> Self {
        let (world, port) = (World::start(&[AGENT]).await, free_port());
        let fillers = (1..=rules).map(|number| filler(100 + number));
        let base = [application("shop"), numbered(port, 0)];
        let all: Vec<String> = base.into_iter().chain(fillers).collect();
        let revision = world.apply_directly(&documents(&all)).await;
        world.in_force(AGENT, revision).await;
        Self {
            world,
            port,
            number: 0,
        }
    }

    /// Changes until the moment, kills the agent, and looks at what it comes back with.
    async fn round(
        &mut self,
        moment: Duration,
        fresh: bool,
        sums: &mut Sums,
    ) -> Result<(), String> {
        self.change_for(moment).await;
        self.world.agent(AGENT).kill().await;
        let known = self.world.fleet_agent(AGENT).await;
        let acknowledged = known.map_or(0, |agent| agent.revision_in_force);
        self.world.control_plane.kill().await;

        self.world.agent(AGENT).restart();
        let found = self.back(fresh).await;
        self.world.control_plane.restart().await;
        self.world.connected(AGENT).await;
        match found? {
            Some(back) => {
                self.existed(&back).await?;
                // With an empty folder, what is known is of the agent's life before.
                if !fresh && back.revision < acknowledged {
                    let revision = back.revision;
                    return Err(format!("{revision} after {acknowledged} was acknowledged"));
                }
                sums.whole += 1;
            }
            None => sums.nothing += 1,
        }
        Ok(())
    }

    /// Begins the agent's life anew.
    async fn empty(&mut self) {
        let agent = self.world.agent(AGENT);
        agent.kill().await;
        fs::remove_dir_all(agent.data()).expect("the agent's folder");
        agent.restart();
    }

    /// Makes change after change for this long.
    async fn change_for(&mut self, moment: Duration) {
        let url = self.world.control_plane.url();
        let channel: Channel = Endpoint::from_shared(url).expect("a URL").connect_lazy();
        let mut configuration = ConfigurationClient::new(channel);
        let changes = async {
            loop {
                self.number += 1;
                let request = v1::ApplyRequest {
                    upserts: World::upserts(&numbered(self.port, self.number)),
                    message: self.number.to_string(),
                    ..Default::default()
                };
                configuration.apply(request).await.expect("a good change");
            }
        };
        // Whatever is under way at the moment stays so: it may be stored, and reach the agent, or not.
        let _: Result<(), _> = timeout(moment, changes).await;
    }

    /// What the agent has come back with; `None` = nothing, which only a fresh one may.
    async fn back(&mut self, fresh: bool) -> Result<Option<Back>, String> {
        let admin = self.world.agent(AGENT).admin;
        let begun = Instant::now();
        let ready = eventually("the agent is back", PATIENCE, async || {
            let page = client::try_get(admin, "/readyz").await?;
            let waited = fresh && begun.elapsed() > GRACE;
            (page.status == 200 || waited).then_some(page.status == 200)
        })
        .await;
        if !ready {
            return match client::try_get(self.port, PATHS[0]).await {
                Some(page) => Err(format!("not ready, but it answers {}", page.text())),
                None => Ok(None),
            };
        }
        let line = self.world.agent(AGENT).ready().await;
        let revision = revision_of(&line).ok_or_else(|| format!("'{line}'"))?;
        let number = agreed(&self.answers().await?)?;
        Ok(Some(Back { revision, number }))
    }

    /// All answers of the agent, each on a connection of its own.
    async fn answers(&self) -> Result<Vec<String>, String> {
        let mut answers = Vec::new();
        for path in PATHS.repeat(ASKED) {
            let answer = client::fetch(self.port, path).await;
            let answer = answer.map_err(|error| format!("{path}: {error}"))?;
            answers.push(answer.text());
        }
        Ok(answers)
    }

    /// Whether the revision had this number.
    async fn existed(&self, back: &Back) -> Result<(), String> {
        let request = v1::HistoryRequest {
            revision: Some(back.revision),
            summary: true,
            ..Default::default()
        };
        let answer = self.world.configuration().history(request).await;
        let history = answer.map_err(|status| format!("revision {}: {status}", back.revision))?;
        let revisions = history.into_inner().revisions;
        let message = revisions.first().map(|revision| revision.message.clone());
        let number = message.unwrap_or_default();
        // The first configuration has no message.
        if number == back.number.to_string() || number.is_empty() && back.number == 0 {
            return Ok(());
        }
        Err(format!(
            "revision {} was '{number}', not {}",
            back.revision, back.number
        ))
    }
}

/// The listener and the rules that say `number`.
fn numbered(port: u16, number: u64) -> String {
    let body = fixed(200, &format!("\"{number}\""));
    let path = |path: &str| format!("{{pathPattern: {{values: [{path}]}}}}");
    documents(&[
        listener("shop/http", "HTTP", port, &body),
        rule("shop/http/left", 1, &path(PATHS[0]), &body),
        rule("shop/http/right", 2, &path(PATHS[1]), &body),
    ])
}

fn filler(priority: u32) -> String {
    let path = format!("{{pathPattern: {{values: [/filler/{priority}/*]}}}}");
    let body = fixed(404, &format!("\"{}\"", "filler ".repeat(10)));
    rule(
        &format!("shop/http/filler-{priority}"),
        priority,
        &path,
        &body,
    )
}

/// The revision in `ready: snapshot 7 in force`.
fn revision_of(ready: &str) -> Option<u64> {
    let rest = ready.trim().strip_prefix("ready: snapshot ")?;
    rest.strip_suffix(" in force")?.parse().ok()
}

/// The number on which all answers agree.
fn agreed(answers: &[String]) -> Result<u64, String> {
    let first = answers.first().ok_or("no answer")?;
    if answers.iter().any(|answer| answer != first) {
        return Err(format!("a mixture: {answers:?}"));
    }
    first.parse().map_err(|_| format!("'{first}' is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_its_revision() {
        for (line, expected) in [
            ("ready: snapshot 7 in force\n", Some(7)),
            ("ready: snapshot 7\n", None),
            ("ready: snapshot x in force\n", None),
            ("", None),
        ] {
            assert_eq!(revision_of(line), expected, "{line}");
        }
    }

    #[test]
    fn answers_agree_on_one_number_or_are_a_mixture() {
        let answers = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(agreed(&answers(&["7", "7", "7"])), Ok(7));
        for mixture in [&["7", "7", "8"][..], &["7", ""], &["", ""], &[]] {
            assert!(agreed(&answers(mixture)).is_err(), "{mixture:?}");
        }
    }

    #[test]
    fn a_numbered_configuration_says_its_number_three_times() {
        let text = documents(&[application("shop"), numbered(8080, 1234), filler(101)]);
        assert_eq!(text.matches("1234").count(), PATHS.len());
        assert_eq!(World::upserts(&text).len(), 5);
    }
}
