//! A control plane that a test plays by hand.

use std::net::SocketAddr;
use std::time::Duration;

use inlet_proto::digest::Digest;
use inlet_proto::v1;
use inlet_proto::v1::agent_discovery_server::{AgentDiscovery, AgentDiscoveryServer};
use inlet_proto::v1::agent_message::Kind as Said;
use inlet_proto::v1::control_message::Kind as Say;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// Serves on a port of loopback until dropped.
pub(super) struct Plane {
    pub(super) address: SocketAddr,
    streams: mpsc::Receiver<Session>,
    server: tokio::task::JoinHandle<()>,
}

/// One agent's stream.
pub(super) struct Session {
    said: Streaming<v1::AgentMessage>,
    say: mpsc::Sender<Result<v1::ControlMessage, Status>>,
}

struct Service(mpsc::Sender<Session>);

#[tonic::async_trait]
impl AgentDiscovery for Service {
    type StreamStream = ReceiverStream<Result<v1::ControlMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (say, stream) = mpsc::channel(16);
        let said = request.into_inner();
        self.0
            .send(Session { said, say })
            .await
            .map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Plane {
    pub(super) async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, streams) = mpsc::channel(16);
        let serving = tonic::transport::Server::builder()
            .add_service(AgentDiscoveryServer::new(Service(sender)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { serving.await.unwrap() });
        Self {
            address,
            streams,
            server,
        }
    }

    /// The next stream that the agent opens, and its Hello.
    pub(super) async fn greeted(&mut self) -> (Session, v1::Hello) {
        let next = timeout(DEADLINE, self.streams.recv());
        let mut session = next.await.expect("a stream in time").unwrap();
        let hello = session.hello().await;
        (session, hello)
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Session {
    /// The next message but health reports; `None` = the agent has ended the stream.
    pub(super) async fn answer(&mut self) -> Option<Said> {
        loop {
            let message = timeout(DEADLINE, self.said.message())
                .await
                .expect("an answer in time");
            match message.ok()??.kind.expect("a kind") {
                Said::HealthReport(_) => {}
                said => return Some(said),
            }
        }
    }

    /// The next health report.
    pub(super) async fn report(&mut self) -> v1::HealthReport {
        let message = timeout(DEADLINE, self.said.message())
            .await
            .expect("a report in time");
        match message.unwrap().unwrap().kind {
            Some(Said::HealthReport(report)) => report,
            said => panic!("{said:?}"),
        }
    }

    pub(super) async fn hello(&mut self) -> v1::Hello {
        match self.answer().await {
            Some(Said::Hello(hello)) => hello,
            said => panic!("{said:?}"),
        }
    }

    /// Sends a snapshot that the agent takes.
    pub(super) async fn apply(&mut self, snapshot: v1::Snapshot) {
        let revision = snapshot.revision;
        self.send(snapshot).await;
        assert_eq!(self.answer().await, Some(Said::Ack(v1::Ack { revision })));
    }

    pub(super) async fn send(&mut self, snapshot: v1::Snapshot) {
        let message = v1::ControlMessage {
            kind: Some(Say::Snapshot(snapshot)),
        };
        self.say.send(Ok(message)).await.unwrap();
    }

    pub(super) async fn end(self, status: Status) {
        self.say.send(Err(status)).await.unwrap();
    }
}

/// A snapshot that upserts these groups; `all` is what the view has then.
pub(super) fn snapshot(
    base: u64,
    revision: u64,
    upserts: &[(&str, u64)],
    all: &[(&str, u64)],
) -> v1::Snapshot {
    let mut digest = Digest::default();
    for (name, revision) in all {
        digest.add(&group(name, *revision).key().unwrap(), *revision);
    }
    v1::Snapshot {
        revision,
        base_revision: base,
        upserts: upserts
            .iter()
            .map(|(name, revision)| group(name, *revision))
            .collect(),
        removals: Vec::new(),
        digest: digest.to_bytes(),
        part: 1,
        parts: 1,
    }
}

fn group(name: &str, revision: u64) -> v1::Resource {
    v1::TargetGroup {
        name: name.to_owned(),
        revision,
        protocol: v1::Protocol::Http.into(),
        port: 80,
        ..Default::default()
    }
    .into()
}

/// Waits for a condition.
pub(super) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waited = timeout(DEADLINE, async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}
