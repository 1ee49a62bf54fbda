//! `Fleet`: which agents there are and what they have in force.

use std::sync::Arc;
use std::time::Duration;

use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::v1;
use inlet_proto::v1::fleet_server::Fleet as Service;
use prost::Message as _;
use tonic::{Request, Response, Status};

use crate::api::outlet::{Outflow, Outlet, outlet};
use crate::api::status::Problem;
use crate::api::{MAX_WATCHERS, READER_PATIENCE, Shared};
use crate::fleet::introduce::keep_first;

/// Answers that wait in a stream of `WatchAgents`.
const STREAM_ANSWERS: usize = 1;
/// Changes that come within this are told together: a revision moves every agent twice.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes of the agents in one answer up to which their refusals are told whole.
const MAX_AGENTS_BYTES: usize = MAX_MESSAGE_BYTES / 2;

/// The service.
pub(crate) struct FleetService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Service for FleetService {
    async fn list_agents(
        &self,
        _request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let (mut agents, _) = self.0.fleet.changed_after(0);
        fit(&mut agents, MAX_AGENTS_BYTES);
        Ok(Response::new(v1::ListAgentsResponse { agents }))
    }

    async fn get_agent(
        &self,
        request: Request<v1::GetAgentRequest>,
    ) -> Result<Response<v1::Agent>, Status> {
        let name = request.into_inner().name;
        let agent = self.0.fleet.agent(&name);
        Ok(Response::new(agent.ok_or(Problem::NoAgent(name))?))
    }

    type WatchAgentsStream = Outflow<v1::WatchAgentsResponse>;

    async fn watch_agents(
        &self,
        _request: Request<v1::WatchAgentsRequest>,
    ) -> Result<Response<Self::WatchAgentsStream>, Status> {
        let permit = Arc::clone(&self.0.watchers).try_acquire_owned();
        let permit = permit.map_err(|_| Problem::TooManyStreams {
            limit: MAX_WATCHERS,
        })?;
        let (outlet, outflow) = outlet(STREAM_ANSWERS, READER_PATIENCE);
        let shared = Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            let _permit = permit;
            let end = shared.shutdown.clone();
            tokio::select! {
                () = watch(&shared, &outlet) => {}
                () = end.cancelled() => outlet.end(Problem::ShuttingDown.into()),
            }
        });
        Ok(Response::new(outflow))
    }
}

/// Tells all agents, then those that change, until the reader is gone. A burst is told as its last state.
async fn watch(shared: &Shared, outlet: &Outlet<v1::WatchAgentsResponse>) {
    let mut changes = shared.fleet.subscribe();
    let mut told = None;
    loop {
        changes.mark_unchanged();
        let (mut agents, last) = shared.fleet.changed_after(told.unwrap_or(0));
        fit(&mut agents, MAX_AGENTS_BYTES);
        if told.is_none() || !agents.is_empty() {
            let answer = v1::WatchAgentsResponse {
                agents,
                current_revision: shared.writer.state().revision(),
            };
            if outlet.send(answer).await.is_err() {
                return;
            }
        }
        told = Some(last);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = outlet.closed() => return,
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Leaves of each refusal the first reason, if there is too much for one answer: when a whole fleet refuses a
/// snapshot, its reasons are the same.
fn fit(agents: &mut [v1::Agent], bytes: usize) {
    let size = agents.iter().map(v1::Agent::encoded_len).sum::<usize>();
    if size <= bytes {
        return;
    }
    for refusal in agents.iter_mut().filter_map(|a| a.last_refusal.as_mut()) {
        keep_first(&mut refusal.reasons, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_many_agents_are_told_in_short() {
        let reason = v1::refusal::Reason {
            key: None,
            message: "port 80 is taken".to_owned(),
        };
        let agent = v1::Agent {
            last_refusal: Some(v1::Refusal {
                reasons: vec![reason; 3],
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut agents = vec![agent; 10];
        fit(&mut agents, 10_000);
        let reasons = |agents: &[v1::Agent]| agents[9].last_refusal.clone().unwrap().reasons;
        assert_eq!(reasons(&agents).len(), 3);
        fit(&mut agents, 100);
        assert_eq!(reasons(&agents).len(), 2);
        assert_eq!(reasons(&agents)[1].message, "and 2 more");
    }
}
