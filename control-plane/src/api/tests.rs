//! The API as clients use it: a control plane in this process, over loopback.

mod agents;
mod configuration;
mod errors;
mod scale;
mod targets;
mod tools;

use std::time::Duration;

use inlet_proto::details::{Details, MAX_MESSAGE_BYTES};
use inlet_proto::v1;
use inlet_proto::v1::agent_discovery_client::AgentDiscoveryClient;
use inlet_proto::v1::configuration_client::ConfigurationClient;
use inlet_proto::v1::fleet_client::FleetClient;
use inlet_proto::v1::targets_client::TargetsClient;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::config::{Config, StoreConfig};
use crate::start::{Running, start};
use crate::testing::upserts;

/// Nothing here takes this long unless it hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running control plane and a connection to it.
struct Server {
    running: Running,
    channel: Channel,
}

impl Server {
    async fn start() -> Self {
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            store: StoreConfig::Memory,
        };
        let running = start(config).await.unwrap();
        let channel = Endpoint::from_shared(running.url()).unwrap();
        let channel = channel.connect().await.unwrap();
        Self { running, channel }
    }

    fn configuration(&self) -> ConfigurationClient<Channel> {
        ConfigurationClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    fn targets(&self) -> TargetsClient<Channel> {
        TargetsClient::new(self.channel.clone())
    }

    fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel.clone())
    }

    async fn try_apply(&self, text: &str) -> Result<v1::ApplyResponse, Status> {
        let request = v1::ApplyRequest {
            upserts: upserts(text),
            ..Default::default()
        };
        let answer = self.configuration().apply(request).await;
        answer.map(tonic::Response::into_inner)
    }

    /// Applies a manifest; returns the revision.
    async fn apply(&self, text: &str) -> u64 {
        self.try_apply(text).await.unwrap().revision
    }

    async fn agent(&self, name: &str) -> Agent {
        Agent::open(&self.channel, name, 0, Vec::new()).await
    }
}

/// An agent's stream, by hand.
struct Agent {
    say: mpsc::Sender<v1::AgentMessage>,
    hear: Streaming<v1::ControlMessage>,
}

impl Agent {
    /// Opens the stream and says Hello.
    async fn open(channel: &Channel, name: &str, revision: u64, digest: Vec<u8>) -> Self {
        let agent = Self::silent(channel).await;
        agent.hello(name, revision, digest).await;
        agent
    }

    /// Opens the stream and says nothing.
    async fn silent(channel: &Channel) -> Self {
        let (say, messages) = mpsc::channel(16);
        let mut client = AgentDiscoveryClient::new(channel.clone());
        let hear = client.stream(ReceiverStream::new(messages)).await.unwrap();
        Self {
            say,
            hear: hear.into_inner(),
        }
    }

    async fn hello(&self, name: &str, revision: u64, digest: Vec<u8>) {
        self.say(v1::agent_message::Kind::Hello(v1::Hello {
            name: name.to_owned(),
            version: "test".to_owned(),
            revision,
            digest,
            ..Default::default()
        }))
        .await;
    }

    async fn say(&self, kind: v1::agent_message::Kind) {
        let message = v1::AgentMessage { kind: Some(kind) };
        self.say.send(message).await.unwrap();
    }

    async fn ack(&self, revision: u64) {
        self.say(v1::agent_message::Kind::Ack(v1::Ack { revision }))
            .await;
    }

    /// The next part of a snapshot.
    async fn part(&mut self) -> v1::Snapshot {
        let message = timeout(DEADLINE, self.hear.message()).await.unwrap();
        match message.unwrap().unwrap().kind {
            Some(v1::control_message::Kind::Snapshot(snapshot)) => snapshot,
            None => panic!("an empty message"),
        }
    }

    /// Acks snapshots until this revision is in force.
    async fn follow(&mut self, revision: u64) {
        loop {
            let part = self.part().await;
            if part.part == part.parts {
                self.ack(part.revision).await;
                if part.revision >= revision {
                    return;
                }
            }
        }
    }

    /// Why the stream ends.
    async fn end(&mut self) -> Status {
        let ended = async {
            loop {
                match self.hear.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok("closed"),
                    Err(status) => return status,
                }
            }
        };
        timeout(DEADLINE, ended).await.unwrap()
    }
}

/// Waits until a look at the world gives something.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looked = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    let looked = timeout(DEADLINE, looked).await;
    looked.unwrap_or_else(|_| panic!("not in time: {what}"))
}

fn details(status: &Status) -> Details {
    Details::decode(status.details())
}

fn key(kind: &str, name: &str) -> v1::ResourceKey {
    v1::ResourceKey {
        kind: kind.to_owned(),
        name: name.to_owned(),
    }
}

/// A load balancer with a listener, and a group with targets that it forwards to.
const SHOP: &str = "
{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1], tags: {team: storefront}}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001,
 targets: [{address: 127.0.0.1}, {address: 127.0.0.2}]}
---
kind: Listener
name: http
loadBalancer: shop
protocol: HTTP
port: 8080
defaultActions: [{forward: {targetGroups: [{name: web}]}}]
";
