//! Many agents on one control plane with a large configuration: one target's change reaches all of them soon, as one
//! small message each.
//!
//! The agents are simulated in this process: each speaks the discovery protocol on a connection of its own (or
//! several on one, by flag), keeps nothing and puts everything in force at once. So the figures are the control
//! plane's, plus reading the messages here; both share the machine's cores.

mod agent;

use std::sync::Arc;
use std::time::{Duration, Instant};

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_proto::v1::targets_client::TargetsClient;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::{Quantity, Report};
use crate::World;
use crate::eventually::{eventually, seconds};
use crate::latencies::Latencies;
use crate::manifest::{application, documents, forward, group, listener};
use crate::memory::{open_files, resident};
use agent::{Agent, Reached};

/// Longest time until a change has reached an agent, at the 99th percentile.
const MOST_P99: Duration = Duration::from_secs(1);
/// What one target's change may cost each agent.
const MOST_BYTES: usize = 1024;
/// Agents that fetch their first snapshot at a time.
const JOINING: usize = 32;
/// Resources of one change while the configuration is made.
const PER_APPLY: u32 = 2000;
/// Targets of one registration.
const PER_REGISTER: u32 = 1000;
/// The group whose targets change.
const GROUP: &str = "web";
/// How long one change may take to reach everybody before the run is given up.
const PATIENCE: Duration = seconds(60);
/// Time for everything but the agents and changes.
const OVERHEAD: Duration = Duration::from_secs(180);
/// Longest time for an agent's first snapshot, on average.
const PER_AGENT: Duration = Duration::from_millis(400);
/// Longest time for a change, on average.
const PER_CHANGE: Duration = Duration::from_secs(5);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Agents; the full size is 1000
    #[arg(long, default_value_t = 300)]
    agents: usize,
    /// Rules; the full size is 10000
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rules: u32,
    /// Targets; the full size is 10000
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    targets: u32,
    /// Changes of one target, one after the other
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// Agents that share a connection
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    per_connection: u32,
}

/// What the changes add up to.
#[derive(Debug, Default)]
struct Sums {
    reached: Latencies,
    /// Until the last agent had it, for each change.
    all: Latencies,
    /// Until the control plane knew that all have it.
    known: Latencies,
    largest: usize,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        let agents = PER_AGENT * u32::try_from(self.agents).unwrap_or(u32::MAX);
        OVERHEAD + agents + PER_CHANGE * self.changes
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut world = World::start(&[]).await;
    let control_plane = world.control_plane.process().id();
    let memory = || Quantity::Bytes(resident(control_plane).expect("the control plane runs"));
    report.stated("memory of the control plane, empty", memory());
    configure(&world, flags).await;
    report.stated("rules", Quantity::Count(flags.rules.into()));
    report.stated("targets", Quantity::Count(flags.targets.into()));
    report.stated("memory with the configuration", memory());

    let begun = Instant::now();
    let revision = world.revision().await;
    let (mut agents, mut reached) = connect(&world, flags, revision).await;
    report.stated("agents", Quantity::count(flags.agents));
    report.stated(
        "agents to a connection",
        Quantity::Count(flags.per_connection.into()),
    );
    report.stated(
        "time until all had the first snapshot",
        Quantity::Time(begun.elapsed()),
    );
    report.stated("memory with all agents", memory());

    let mut sums = Sums::default();
    for change in 1..=flags.changes {
        one_change(&world, flags, change, &mut reached, &mut sums).await;
    }
    report.stated("memory after the changes", memory());
    let files = open_files(control_plane).expect("the control plane runs");
    report.stated("open files of the control plane", Quantity::count(files));
    tell(report, flags, &sums);
    let ended = ended(&mut agents);
    report.none("streams that ended", ended.len(), &ended);
}

/// The streams that have ended meanwhile, and why.
fn ended(agents: &mut JoinSet<String>) -> Vec<String> {
    let mut ended = Vec::new();
    while let Some(end) = agents.try_join_next() {
        ended.push(end.expect("an agent does not panic"));
    }
    ended
}

fn tell(report: &mut Report, flags: &Flags, sums: &Sums) {
    report.stated(
        "changes of one target",
        Quantity::Count(flags.changes.into()),
    );
    report.at_most(
        "from the call until an agent has it, p99",
        Quantity::Time(sums.reached.percentile(99.0)),
        Quantity::Time(MOST_P99),
    );
    report.stated("... p50", Quantity::Time(sums.reached.percentile(50.0)));
    report.stated(
        "until the last agent has it, slowest",
        Quantity::Time(sums.all.longest()),
    );
    report.stated(
        "until it is known in force, slowest",
        Quantity::Time(sums.known.longest()),
    );
    report.at_most(
        "largest message of a change",
        Quantity::Bytes(sums.largest as u64),
        Quantity::Bytes(MOST_BYTES as u64),
    );
}

/// Makes the configuration, in changes of bounded size.
async fn configure(world: &World, flags: &Flags) {
    let base = documents(&[
        application("shop"),
        group(GROUP, &[9001]),
        listener("shop/http", "HTTP", 8080, &forward(GROUP)),
    ]);
    world.apply_directly(&base).await;
    let mut configuration = ConfigurationClient::new(world.channel())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    for first in (1..=flags.rules).step_by(PER_APPLY as usize) {
        let numbers = first..=flags.rules.min(first + PER_APPLY - 1);
        let upserts = numbers.map(|number| v1::Upsert {
            resource: Some(rule(number).into()),
            ..Default::default()
        });
        let request = v1::ApplyRequest {
            upserts: upserts.collect(),
            ..Default::default()
        };
        configuration.apply(request).await.expect("a good change");
    }
    for first in (1..=flags.targets).step_by(PER_REGISTER as usize) {
        let numbers = first..=flags.targets.min(first + PER_REGISTER - 1);
        register(world, numbers.map(|number| target(number, 1)).collect()).await;
    }
}

fn rule(number: u32) -> v1::Rule {
    let path = v1::condition::Kind::PathPattern(v1::ValuesCondition {
        values: vec![format!("/{number}")],
        ..Default::default()
    });
    let to = v1::forward::WeightedTargetGroup {
        name: GROUP.to_owned(),
        weight: None,
    };
    let action = v1::action::Kind::Forward(v1::Forward {
        target_groups: vec![to],
        stickiness: None,
    });
    v1::Rule {
        name: format!("r{number}"),
        listener: "shop/http".to_owned(),
        priority: number,
        conditions: vec![v1::Condition { kind: Some(path) }],
        actions: vec![v1::Action { kind: Some(action) }],
        ..Default::default()
    }
}

fn target(number: u32, weight: u32) -> v1::Target {
    let [_, _, high, low] = number.to_be_bytes();
    v1::Target {
        address: format!("10.0.{high}.{low}"),
        port: 9001,
        weight: Some(weight),
        ..Default::default()
    }
}

/// Registers targets, or replaces their weight; returns the revision.
async fn register(world: &World, targets: Vec<v1::Target>) -> u64 {
    let request = v1::RegisterRequest {
        target_group: GROUP.to_owned(),
        targets,
    };
    let answer = TargetsClient::new(world.channel()).register(request).await;
    answer.expect("a good change").into_inner().revision
}

/// Connects all agents and waits until each has `revision`; what they get afterwards comes out of the channel.
async fn connect(
    world: &World,
    flags: &Flags,
    revision: u64,
) -> (JoinSet<String>, mpsc::Receiver<Reached>) {
    let (report, mut reached) = mpsc::channel(flags.agents.max(1));
    let joining = Arc::new(Semaphore::new(JOINING));
    let mut agents = JoinSet::new();
    let mut channel = channel(world);
    for number in 0..flags.agents {
        if number.is_multiple_of(flags.per_connection as usize) {
            channel = self::channel(world);
        }
        let agent = Agent::new(number, channel.clone(), report.clone());
        agents.spawn(agent.run(Arc::clone(&joining)));
    }
    let first = async {
        let mut waiting = flags.agents;
        while waiting > 0 {
            let agent = reached.recv().await.expect("agents that run");
            waiting -= usize::from(agent.revision == revision);
        }
    };
    let patience = PATIENCE + PER_AGENT * u32::try_from(flags.agents).unwrap_or(u32::MAX);
    let joined = timeout(patience, first).await;
    assert!(
        joined.is_ok(),
        "not all agents joined: {:?}",
        ended(&mut agents)
    );
    (agents, reached)
}

fn channel(world: &World) -> Channel {
    let url = world.control_plane.url();
    Endpoint::from_shared(url).expect("a URL").connect_lazy()
}

/// Changes one target and waits until every agent has it and the control plane knows.
async fn one_change(
    world: &World,
    flags: &Flags,
    change: u32,
    reached: &mut mpsc::Receiver<Reached>,
    sums: &mut Sums,
) {
    let changed = target(1 + change % flags.targets, 1 + change % 999 + 1);
    let begun = Instant::now();
    let revision = register(world, vec![changed]).await;
    for arrived in 0..flags.agents {
        let agent = timeout(PATIENCE, reached.recv()).await;
        let agent = agent
            .unwrap_or_else(|_| panic!("only {arrived} agents have revision {revision}"))
            .expect("agents that run");
        assert_eq!(agent.revision, revision, "another revision arrived");
        sums.reached.record(agent.at.duration_since(begun));
        sums.largest = sums.largest.max(agent.bytes);
    }
    sums.all.record(begun.elapsed());
    eventually("it is known in force everywhere", PATIENCE, async || {
        let agents = FleetClient::new(world.channel())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .list_agents(v1::ListAgentsRequest {})
            .await
            .expect("the agents")
            .into_inner()
            .agents;
        let all = agents
            .iter()
            .all(|agent| agent.revision_in_force >= revision);
        (agents.len() == flags.agents && all).then_some(())
    })
    .await;
    sums.known.record(begun.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_an_address_of_its_own() {
        let addresses: std::collections::HashSet<String> = (1..=20_000)
            .map(|number| target(number, 1).address)
            .collect();
        assert_eq!(addresses.len(), 20_000);
        assert_eq!(target(258, 1).address, "10.0.1.2");
    }
}
