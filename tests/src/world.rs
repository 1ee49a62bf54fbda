//! A whole Inlet of processes: one control plane, its agents, and the ways to talk to them.

mod agent;
mod control_plane;

use std::fs;
use std::path::{Path, PathBuf};

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_proto::v1::targets_client::TargetsClient;
use inlet_proto::{manifest, v1};
use tempfile::TempDir;
use tokio::process::Command;
use tonic::transport::{Channel, Endpoint};

pub use agent::Agent;
pub use control_plane::ControlPlane;

use crate::eventually::{eventually, seconds};
use crate::process::Output;
use crate::programs::program;

/// One control plane and its agents, in a folder of their own that ends with them.
#[derive(Debug)]
pub struct World {
    /// The control plane.
    pub control_plane: ControlPlane,
    agents: Vec<Agent>,
    folder: TempDir,
}

impl World {
    /// Starts a control plane and one agent for each of `agents`: `edge-1`, or with labels `edge-1 zone=a`.
    /// Returns when the control plane is ready and knows them all.
    pub async fn start(agents: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let control_plane = ControlPlane::start(folder.path()).await;
        let mut world = Self {
            control_plane,
            agents: Vec::new(),
            folder,
        };
        for agent in agents {
            world.add_agent(agent, &[]);
        }
        for agent in agents {
            world
                .connected(agent.split(' ').next().unwrap_or_default())
                .await;
        }
        world
    }

    /// Starts one more agent with these further flags.
    pub fn add_agent(&mut self, agent: &str, flags: &[&str]) -> &mut Agent {
        let agent = Agent::start(agent, flags, &self.control_plane.url(), self.folder.path());
        self.agents.push(agent);
        self.agents.last_mut().expect("the one just added")
    }

    /// The agent with this name. Panics if there is none.
    pub fn agent(&mut self, name: &str) -> &mut Agent {
        self.agents
            .iter_mut()
            .find(|agent| agent.name == name)
            .unwrap_or_else(|| panic!("no agent {name}"))
    }

    /// Waits until the control plane says that this agent is connected.
    pub async fn connected(&self, name: &str) {
        eventually(
            &format!("agent {name} is connected"),
            seconds(30),
            async || self.fleet_agent(name).await.filter(|agent| agent.connected),
        )
        .await;
    }

    /// What the control plane knows about an agent; `None` if it never saw it.
    pub async fn fleet_agent(&self, name: &str) -> Option<v1::Agent> {
        let request = v1::GetAgentRequest {
            name: name.to_owned(),
        };
        FleetClient::new(self.channel())
            .get_agent(request)
            .await
            .ok()
            .map(tonic::Response::into_inner)
    }

    /// Waits until an agent has this revision, or a later one, in force.
    pub async fn in_force(&self, name: &str, revision: u64) {
        eventually(
            &format!("agent {name} has revision {revision} in force"),
            seconds(30),
            async || {
                let agent = self.fleet_agent(name).await?;
                (agent.revision_in_force >= revision).then_some(())
            },
        )
        .await;
    }

    /// The configuration service.
    pub fn configuration(&self) -> ConfigurationClient<Channel> {
        ConfigurationClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The health of a group's targets as `lbctl target health` gets it: (`address:port`, state, reason).
    pub async fn health(&self, group: &str) -> Vec<(String, v1::target_health::State, String)> {
        let request = v1::HealthRequest {
            target_group: group.to_owned(),
            targets: Vec::new(),
        };
        let response = TargetsClient::new(self.channel())
            .health(request)
            .await
            .expect("the health")
            .into_inner();
        let facts = |health: v1::TargetHealth| {
            let state = health.state();
            (
                health
                    .target
                    .map(|target| format!("{}:{}", target.address, target.port))
                    .unwrap_or_default(),
                state,
                health.reason,
            )
        };
        response.targets.into_iter().map(facts).collect()
    }

    /// Waits until every target of a group is healthy.
    pub async fn healthy(&self, group: &str) {
        eventually(
            &format!("all targets of {group} are healthy"),
            seconds(30),
            async || {
                let targets = self.health(group).await;
                let healthy = |(_, state, _): &(_, v1::target_health::State, _)| {
                    *state == v1::target_health::State::Healthy
                };
                (!targets.is_empty() && targets.iter().all(healthy)).then_some(())
            },
        )
        .await;
    }

    /// The current revision.
    pub async fn revision(&self) -> u64 {
        let request = v1::HistoryRequest {
            page_size: 1,
            summary: true,
            ..Default::default()
        };
        self.configuration()
            .history(request)
            .await
            .expect("the history")
            .into_inner()
            .current_revision
    }

    /// Applies documents and waits until they are in force on every agent concerned. Panics if that fails.
    pub async fn apply(&self, documents: &str) -> Output {
        self.try_apply(documents, &["--wait=30s"]).await.exits(0)
    }

    /// Applies documents, written to `shop.yaml`, with these flags.
    pub async fn try_apply(&self, documents: &str, flags: &[&str]) -> Output {
        self.file("shop.yaml", documents);
        self.lbctl(&[&["apply", "-f", "shop.yaml"], flags].concat())
            .await
    }

    /// Applies documents through the API, without a program in between; returns the new revision. Panics if refused.
    pub async fn apply_directly(&self, documents: &str) -> u64 {
        let request = v1::ApplyRequest {
            upserts: Self::upserts(documents),
            ..Default::default()
        };
        self.configuration()
            .apply(request)
            .await
            .expect("an admitted change")
            .into_inner()
            .revision
    }

    /// Documents as a change has them. Panics if they are not a good manifest.
    pub fn upserts(documents: &str) -> Vec<v1::Upsert> {
        let parsed = manifest::parse(documents, &mut |_| Err("no files here".to_owned()))
            .expect("a good manifest");
        let upsert = |document: manifest::Document| v1::Upsert {
            resource: Some(document.resource),
            all_targets: document.all_targets,
            origin: String::new(),
        };
        parsed.into_iter().map(upsert).collect()
    }

    /// Deletes a resource through the API; returns the new revision. Panics if refused.
    pub async fn delete_directly(&self, kind: &str, name: &str) -> u64 {
        let deletions = vec![v1::ResourceKey {
            kind: kind.to_owned(),
            name: name.to_owned(),
        }];
        let request = v1::ApplyRequest {
            deletions,
            ..Default::default()
        };
        self.configuration()
            .apply(request)
            .await
            .expect("an admitted change")
            .into_inner()
            .revision
    }

    /// Runs `lbctl` in the world's folder.
    pub async fn lbctl(&self, arguments: &[&str]) -> Output {
        let mut command = self.lbctl_command();
        command.args(arguments);
        Output::of(command).await
    }

    /// `lbctl` with the server's address and without the user's own settings.
    pub fn lbctl_command(&self) -> Command {
        let mut command = Command::new(program("lbctl"));
        command
            .current_dir(self.folder())
            .env("INLET_SERVER", self.control_plane.url())
            .env("HOME", self.folder());
        command
            .env_remove("INLET_TOKEN")
            .env_remove("NO_COLOR")
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Writes a file into the world's folder.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder().join(name);
        fs::write(&path, content).expect("a file in a temporary folder");
        path
    }

    /// The world's folder: where `lbctl` runs and everybody's data and logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A gRPC channel to the control plane.
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(self.control_plane.url())
            .expect("a URL")
            .connect_lazy()
    }
}
