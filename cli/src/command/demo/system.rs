//! The whole system of the demo: control plane, agents, backends, all in this process, all on loopback.

use std::path::Path;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use inlet_agent::config::Config as AgentConfig;
use inlet_agent::start::Running as Agent;
use inlet_control_plane::config::{Config, StoreConfig};
use inlet_control_plane::start::Running as ControlPlane;
use tokio::time::timeout;

use super::backend::Backend;
use super::error::DemoError;
use super::folder::Folder;
use super::ports::{Ports, loopback};
use super::sample::{AGENTS, BackendPorts, ZONE_NAMES};

/// How long connections may go on when the demo ends.
const DRAIN: Duration = Duration::from_secs(1);
/// How long all may take to end.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(15);

/// What runs.
pub(super) struct System {
    /// Who listens where.
    pub(super) ports: Ports,
    /// The sample backends.
    pub(super) backends: Backends,
    /// The agents' data, and the manifests to try. Removed at the end.
    pub(super) folder: Folder,
    /// The agents, in the order of the zones.
    pub(super) agents: Vec<Agent>,
    control_plane: ControlPlane,
}

/// The sample backends.
#[derive(Debug)]
pub(super) struct Backends {
    /// First target of group blue.
    pub(super) blue_1: Backend,
    /// Second target of group blue.
    pub(super) blue_2: Backend,
    /// The target of group green.
    pub(super) green: Backend,
    /// The target of group echo.
    pub(super) echo: Backend,
}

impl System {
    /// Starts everything; nothing is configured yet. What was started is ended again if something does not start.
    pub(super) async fn start(ports: Ports) -> Result<Self, DemoError> {
        let folder = Folder::try_new()?;
        let backends = Backends::start().await?;
        let control_plane = inlet_control_plane::start::start(Config {
            listen: loopback(ports.control_plane),
            store: StoreConfig::Memory,
        })
        .await?;
        let mut system = Self {
            ports,
            backends,
            folder,
            agents: Vec::new(),
            control_plane,
        };
        match system.start_agents().await {
            Ok(()) => Ok(system),
            Err(error) => {
                system.shutdown().await;
                Err(error)
            }
        }
    }

    /// `http://127.0.0.1:7400`.
    pub(super) fn url(&self) -> String {
        self.control_plane.url()
    }

    /// Waits until a part ends by itself, which none should, and says why.
    pub(super) async fn failed(&mut self) -> DemoError {
        let agents = self.agents.iter_mut().map(|agent| Box::pin(agent.failed()));
        let why = tokio::select! {
            why = self.control_plane.failed() => format!("control plane: {why}"),
            (why, index, _) = select_all(agents) => format!("agent {}: {why}", AGENTS[index]),
        };
        DemoError::Ended(why)
    }

    /// Ends everything, the agents first. Says whether all had ended in time.
    pub(super) async fn shutdown(self) -> bool {
        let ended = async {
            join_all(self.agents.into_iter().map(Agent::shutdown)).await;
            self.control_plane.shutdown().await;
        };
        timeout(SHUTDOWN, ended).await.is_ok()
    }

    async fn start_agents(&mut self) -> Result<(), DemoError> {
        for (index, name) in AGENTS.into_iter().enumerate() {
            let config = agent(index, &self.url(), &self.ports, self.folder.path());
            let started = inlet_agent::start::start(config).await;
            let agent = started.map_err(|error| DemoError::Agent { name, error })?;
            self.agents.push(agent);
        }
        Ok(())
    }
}

fn agent(index: usize, url: &str, ports: &Ports, folder: &Path) -> AgentConfig {
    let name = AGENTS[index];
    AgentConfig {
        control_plane: url.to_owned(),
        name: name.to_owned(),
        labels: [("zone".to_owned(), ZONE_NAMES[index].to_owned())].into(),
        data_dir: folder.join(name),
        admin: loopback(ports.admin[index]),
        workers: 1,
        drain_timeout: DRAIN,
        access_log: None,
    }
}

impl Backends {
    async fn start() -> Result<Self, DemoError> {
        Ok(Self {
            blue_1: Backend::http("blue-1").await?,
            blue_2: Backend::http("blue-2").await?,
            green: Backend::http("green").await?,
            echo: Backend::echo("echo").await?,
        })
    }

    /// Where they listen.
    pub(super) fn ports(&self) -> BackendPorts {
        BackendPorts {
            blue_1: self.blue_1.address.port(),
            blue_2: self.blue_2.address.port(),
            green: self.green.address.port(),
            echo: self.echo.address.port(),
        }
    }
}
