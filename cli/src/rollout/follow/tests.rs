//! Watching a fleet that answers as it is told.

use std::collections::VecDeque;
use std::sync::Mutex;

use inlet_proto::v1;
use inlet_proto::v1::fleet_server::{Fleet, FleetServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::*;
use crate::config::{Config, Server};
use crate::output::progress::Progress;

type Answers = Vec<Result<v1::WatchAgentsResponse, Status>>;

/// Each watch gets the next answers, then the stream ends.
struct Scripted(Mutex<VecDeque<Answers>>);

#[tonic::async_trait]
impl Fleet for Scripted {
    type WatchAgentsStream =
        tokio_stream::Iter<std::vec::IntoIter<Result<v1::WatchAgentsResponse, Status>>>;

    async fn list_agents(
        &self,
        _: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn get_agent(
        &self,
        _: Request<v1::GetAgentRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn watch_agents(
        &self,
        _: Request<v1::WatchAgentsRequest>,
    ) -> Result<Response<Self::WatchAgentsStream>, Status> {
        let answers = self.0.lock().unwrap().pop_front();
        let answers = answers.ok_or_else(|| Status::permission_denied("the script is over"))?;
        Ok(Response::new(tokio_stream::iter(answers)))
    }
}

fn told(revisions: &[(&str, u64)]) -> Result<v1::WatchAgentsResponse, Status> {
    let agent = |(name, revision): &(&str, u64)| v1::Agent {
        name: (*name).to_owned(),
        connected: true,
        revision_in_force: *revision,
        ..Default::default()
    };
    Ok(v1::WatchAgentsResponse {
        agents: revisions.iter().map(agent).collect(),
        current_revision: 5,
    })
}

async fn watched(script: Vec<Answers>) -> (Result<(), Error>, Option<Rollout>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = FleetServer::new(Scripted(Mutex::new(script.into())));
    let serving = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    let config = Config {
        server: Server::parse(&url).unwrap(),
        token: None,
        author: None,
    };
    let connected = Client::connect(&config, Progress::new(false)).await;
    let client = connected.unwrap_or_else(|error| panic!("{error:?}"));
    let rollout = RefCell::new(None);
    let ended = watch(&client, 5, &rollout).await;
    (ended, rollout.into_inner())
}

#[tokio::test]
async fn it_ends_when_the_last_agent_has_the_revision() {
    let (ended, rollout) = watched(vec![vec![
        told(&[("a", 4), ("b", 5)]),
        told(&[("a", 5)]),
        told(&[("a", 6)]),
    ]])
    .await;
    ended.unwrap();
    assert!(rollout.unwrap().is_in_force());
}

#[tokio::test]
async fn a_stream_that_breaks_is_opened_anew_and_the_agents_stay_those_of_the_beginning() {
    let (ended, rollout) = watched(vec![
        vec![told(&[("a", 4), ("b", 5)])],
        vec![
            told(&[("b", 5), ("late", 0)]),
            Err(Status::unavailable("restarting")),
        ],
        vec![told(&[("a", 5), ("late", 0)])],
    ])
    .await;
    ended.unwrap();
    assert_eq!(
        rollout.unwrap().progress(),
        "revision 5 is in force on 2 agents"
    );
}

#[tokio::test]
async fn an_error_that_stays_ends_it() {
    let (ended, rollout) = watched(vec![vec![told(&[("a", 4)])]]).await;
    assert_eq!(ended.unwrap_err().lines(), ["error: the script is over"]);
    assert!(!rollout.unwrap().is_settled());
}
