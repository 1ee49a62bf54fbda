//! Configures the demo's control plane over gRPC, like any user, and waits for what comes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use inlet_proto::v1;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_proto::v1::target_health::State;
use inlet_proto::v1::targets_client::TargetsClient;
use tokio::time::{sleep, timeout};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::error::DemoError;
use super::sample::{self, AGENTS};

/// Metadata key under which an unauthenticated client says who it is.
const AUTHOR_METADATA: &str = "inlet-author";
/// Who makes the demo's changes.
const AUTHOR: &str = "demo";
/// Time between two looks at what cannot be watched.
const POLL: Duration = Duration::from_millis(100);

/// A connection to the control plane.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    channel: Channel,
}

impl Operator {
    /// Connects. Errors: [`DemoError::Connect`].
    pub(super) async fn connect(url: &str) -> Result<Self, DemoError> {
        let channel = Endpoint::from_shared(url.to_owned())?.connect().await?;
        Ok(Self { channel })
    }

    /// Applies a manifest as one change and returns its revision.
    pub(super) async fn apply(&self, manifest: &str, message: &str) -> Result<u64, DemoError> {
        let upserts = sample::parse(manifest)?
            .into_iter()
            .map(|document| v1::Upsert {
                resource: Some(document.resource),
                all_targets: document.all_targets,
                origin: format!("sample:{}", document.line),
            });
        let request = v1::ApplyRequest {
            upserts: upserts.collect(),
            message: message.to_owned(),
            ..Default::default()
        };
        let mut client = ConfigurationClient::new(self.channel.clone());
        let response = client.apply(signed(request)).await;
        Ok(response.map_err(refused("Apply"))?.into_inner().revision)
    }

    /// Makes the configuration of an earlier revision the next one, and returns that.
    pub(super) async fn rollback(&self, revision: u64) -> Result<u64, DemoError> {
        let request = v1::RollbackRequest {
            revision,
            ..Default::default()
        };
        let mut client = ConfigurationClient::new(self.channel.clone());
        let response = client.rollback(signed(request)).await;
        Ok(response.map_err(refused("Rollback"))?.into_inner().revision)
    }

    /// The numbers of the revisions that are kept, the newest first.
    pub(super) async fn history(&self) -> Result<Vec<u64>, DemoError> {
        let request = v1::HistoryRequest {
            summary: true,
            ..Default::default()
        };
        let mut client = ConfigurationClient::new(self.channel.clone());
        let response = client.history(signed(request)).await;
        let revisions = response
            .map_err(refused("History"))?
            .into_inner()
            .revisions
            .into_iter();
        Ok(revisions.map(|revision| revision.revision).collect())
    }

    /// Waits until every agent has a revision in force. The caller bounds the wait.
    ///
    /// Errors: [`DemoError::Refused`] as soon as an agent has refused it.
    pub(super) async fn in_force(&self, revision: u64) -> Result<(), DemoError> {
        let mut client = FleetClient::new(self.channel.clone());
        let watched = client
            .watch_agents(signed(v1::WatchAgentsRequest::default()))
            .await;
        let mut updates = watched.map_err(refused("WatchAgents"))?.into_inner();
        let mut fleet = BTreeMap::new();
        while let Some(update) = updates.message().await.map_err(refused("WatchAgents"))? {
            fleet.extend(
                update
                    .agents
                    .into_iter()
                    .map(|agent| (agent.name.clone(), agent)),
            );
            match progress(&fleet, revision) {
                Progress::Waiting => {}
                Progress::InForce => return Ok(()),
                Progress::Refused(error) => return Err(error),
            }
        }
        Err(DemoError::Ended(
            "the control plane has ended its stream of agents".to_owned(),
        ))
    }

    /// Waits until every agent says that all `targets` of a group are healthy. The caller bounds the wait.
    pub(super) async fn healthy(&self, group: &str, targets: usize) -> Result<(), DemoError> {
        loop {
            let (healthy, all) = self.health(group).await?;
            if healthy == all && all == targets {
                return Ok(());
            }
            sleep(POLL).await;
        }
    }

    /// How many targets of a group every agent calls healthy, and how many it has.
    pub(super) async fn health(&self, group: &str) -> Result<(usize, usize), DemoError> {
        let request = v1::HealthRequest {
            target_group: group.to_owned(),
            targets: Vec::new(),
        };
        let mut client = TargetsClient::new(self.channel.clone());
        let response = client.health(signed(request)).await;
        let targets = response.map_err(refused("Health"))?.into_inner().targets;
        let healthy = targets
            .iter()
            .filter(|target| is_healthy_everywhere(target));
        Ok((healthy.count(), targets.len()))
    }
}

/// Bounds a wait. Errors: [`DemoError::TooLate`], naming what was waited for.
pub(super) async fn within<T>(
    bound: Duration,
    what: &str,
    wait: impl Future<Output = Result<T, DemoError>>,
) -> Result<T, DemoError> {
    let late = || DemoError::TooLate {
        what: what.to_owned(),
        seconds: bound.as_secs(),
    };
    timeout(bound, wait).await.unwrap_or_else(|_| Err(late()))
}

/// How far the agents are with a revision.
enum Progress {
    Waiting,
    InForce,
    Refused(DemoError),
}

fn progress(fleet: &BTreeMap<String, v1::Agent>, revision: u64) -> Progress {
    let refusals = fleet.values().filter_map(|agent| {
        let refusal = agent.last_refusal.as_ref()?;
        (refusal.revision >= revision).then_some((agent, refusal))
    });
    if let Some((agent, refusal)) = refusals.into_iter().next() {
        return Progress::Refused(DemoError::Refused {
            agent: agent.name.clone(),
            revision: refusal.revision,
            reasons: reasons(refusal),
        });
    }
    let has_it = |name: &&str| {
        let agent = fleet.get(*name);
        agent.is_some_and(|agent| agent.connected && agent.revision_in_force >= revision)
    };
    if AGENTS.iter().all(has_it) {
        Progress::InForce
    } else {
        Progress::Waiting
    }
}

fn reasons(refusal: &v1::Refusal) -> String {
    let reasons = refusal.reasons.iter().map(|reason| match &reason.key {
        Some(key) => format!("{} {}: {}", key.kind, key.name, reason.message),
        None => reason.message.clone(),
    });
    reasons.collect::<Vec<_>>().join("; ")
}

fn is_healthy_everywhere(target: &v1::TargetHealth) -> bool {
    let says_healthy = |name: &&str| {
        let mut views = target.agents.iter();
        views.any(|view| view.agent == *name && view.state() == State::Healthy)
    };
    AGENTS.iter().all(says_healthy)
}

fn signed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let author = MetadataValue::from_static(AUTHOR);
    request.metadata_mut().insert(AUTHOR_METADATA, author);
    request
}

fn refused(call: &'static str) -> impl Fn(Status) -> DemoError {
    move |status| DemoError::Call {
        call,
        status: Box::new(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(agents: &[(&str, bool, u64, Option<u64>)]) -> BTreeMap<String, v1::Agent> {
        let agent = |&(name, connected, revision_in_force, refused): &(&str, bool, u64, _)| {
            let agent = v1::Agent {
                name: name.to_owned(),
                connected,
                revision_in_force,
                last_refusal: Option::<u64>::map(refused, |revision| v1::Refusal {
                    revision,
                    reasons: vec![v1::refusal::Reason {
                        key: None,
                        message: "no".to_owned(),
                    }],
                    time: None,
                }),
                ..Default::default()
            };
            (name.to_owned(), agent)
        };
        agents.iter().map(agent).collect()
    }

    #[test]
    fn a_revision_is_in_force_when_every_agent_has_it() {
        let cases = [
            (fleet(&[]), "waiting"),
            (fleet(&[("edge-a", true, 2, None)]), "waiting"),
            (
                fleet(&[("edge-a", true, 2, None), ("edge-b", true, 1, None)]),
                "waiting",
            ),
            (
                fleet(&[("edge-a", true, 2, None), ("edge-b", false, 2, None)]),
                "waiting",
            ),
            (
                fleet(&[("edge-a", true, 2, None), ("edge-b", true, 3, None)]),
                "in force",
            ),
            (
                fleet(&[("edge-a", true, 2, None), ("edge-b", true, 1, Some(2))]),
                "agent edge-b refused revision 2: no",
            ),
            // A refusal of what came before says nothing about this one.
            (
                fleet(&[("edge-a", true, 2, Some(1)), ("edge-b", true, 2, None)]),
                "in force",
            ),
        ];
        for (fleet, expected) in cases {
            let told = match progress(&fleet, 2) {
                Progress::Waiting => "waiting".to_owned(),
                Progress::InForce => "in force".to_owned(),
                Progress::Refused(error) => error.to_string(),
            };
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_target_is_healthy_when_both_agents_say_so() {
        let target = |views: &[(&str, State)]| v1::TargetHealth {
            agents: views
                .iter()
                .map(|(agent, state)| v1::target_health::AgentView {
                    agent: (*agent).to_owned(),
                    state: (*state).into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        };
        for (views, expected) in [
            (&[][..], false),
            (&[("edge-a", State::Healthy)], false),
            (
                &[("edge-a", State::Healthy), ("edge-b", State::Initial)],
                false,
            ),
            (
                &[("edge-a", State::Healthy), ("edge-b", State::Healthy)],
                true,
            ),
        ] {
            assert_eq!(is_healthy_everywhere(&target(views)), expected, "{views:?}");
        }
    }
}
