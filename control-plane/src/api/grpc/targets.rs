//! `Targets`: registration, and health as the agents see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;
use inlet_proto::v1::targets_server::Targets as Service;
use tonic::{Request, Response, Status};

use crate::api::Shared;
use crate::api::auth::author;
use crate::api::status::Problem;
use crate::model::{Change, State, Upsert};
use crate::observed::{AgentVerdict, Merged, Told};
use crate::writer::{Outcome, Refused};

/// Targets of one request.
const MAX_TARGETS: usize = 1000;
/// Agents' views in one answer, over all targets; beyond, each target keeps its share, the unhealthy ones first.
const MAX_AGENT_VIEWS: usize = 20_000;
/// Targets in one answer that are not registered any more, but that agents still report.
const MAX_DRAINING: usize = 1000;

/// The service.
pub(crate) struct Targets(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Service for Targets {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let author = author(&request);
        let request = request.into_inner();
        check(&request.target_group, &request.targets)?;
        group(&self.0.writer.state(), &request.target_group)?;
        let upserts = request.targets.into_iter().enumerate();
        let upserts = upserts.map(|(at, target)| Upsert {
            resource: v1::Target {
                target_group: request.target_group.clone(),
                ..target
            }
            .into(),
            all_targets: false,
            origin: format!("targets[{at}]"),
        });
        let change = Change {
            upserts: upserts.collect(),
            author,
            ..Change::default()
        };
        let revision = self.change(change).await?.revision;
        Ok(Response::new(v1::RegisterResponse { revision }))
    }

    async fn deregister(
        &self,
        request: Request<v1::DeregisterRequest>,
    ) -> Result<Response<v1::DeregisterResponse>, Status> {
        let author = author(&request);
        let request = request.into_inner();
        check(&request.target_group, &request.targets)?;
        let group = group(&self.0.writer.state(), &request.target_group)?;
        let deletions = request.targets.iter().map(|target| key(&group, target));
        let change = Change {
            deletions: deletions.collect(),
            author,
            ..Change::default()
        };
        let revision = self.change(change).await?.revision;
        Ok(Response::new(v1::DeregisterResponse { revision }))
    }

    async fn health(
        &self,
        request: Request<v1::HealthRequest>,
    ) -> Result<Response<v1::HealthResponse>, Status> {
        let request = request.into_inner();
        let state = self.0.writer.state();
        let group = group(&state, &request.target_group)?;
        if !request.targets.is_empty() {
            check(&request.target_group, &request.targets)?;
        }
        let targets = health(&self.0, &state, &group, &request.targets);
        Ok(Response::new(v1::HealthResponse { targets }))
    }
}

impl Targets {
    async fn change(&self, change: Change) -> Result<Outcome, Refused> {
        let begun = Instant::now();
        let result = self.0.writer.apply(change).await;
        self.0.metrics.change_done(&result, begun.elapsed());
        result
    }
}

/// The targets of a request: how many, and all of the group that it names.
fn check(group: &str, targets: &[v1::Target]) -> Result<(), Problem> {
    let argument = |message: String| Problem::Argument {
        field: "targets",
        message,
    };
    if !(1..=MAX_TARGETS).contains(&targets.len()) {
        return Err(argument(format!("must be 1 to {MAX_TARGETS} targets")));
    }
    let mut others = targets
        .iter()
        .enumerate()
        .filter(|(_, target)| !target.target_group.is_empty() && target.target_group != group);
    others.next().map_or(Ok(()), |(at, other)| {
        let other = &other.target_group;
        Err(argument(format!(
            "number {at} is of the group '{other}', the request of '{group}': leave targetGroup out"
        )))
    })
}

fn group(state: &State, name: &str) -> Result<v1::TargetGroup, Problem> {
    let key = Key::of(Kind::TargetGroup, name).map_err(|error| Problem::Argument {
        field: "targetGroup",
        message: error.to_string(),
    })?;
    match state.get(&key).and_then(|resource| resource.kind.as_ref()) {
        Some(Body::TargetGroup(group)) => Ok(group.clone()),
        _ => Err(Problem::NoResource(key)),
    }
}

fn key(group: &v1::TargetGroup, target: &v1::Target) -> Key {
    let port = if target.port == 0 {
        group.port
    } else {
        target.port
    };
    Key::target(&group.name, &target.address, port)
}

/// The health of the registered targets in the order of their names, then of the draining ones; or of those asked for.
fn health(
    shared: &Shared,
    state: &State,
    group: &v1::TargetGroup,
    asked: &[v1::Target],
) -> Vec<v1::TargetHealth> {
    let group_key = Key::child(Kind::TargetGroup, "", &group.name);
    let silent = if shared.fleet.is_in_view(&group_key) {
        Merged::registering()
    } else {
        Merged::not_in_use()
    };
    if !asked.is_empty() {
        let most = MAX_AGENT_VIEWS / asked.len();
        let one = |target: &v1::Target| {
            let key = key(group, target);
            let told = shared.observed().target(&group.name, key.own_name(), most);
            match state.get(&key).map(|resource| &resource.kind) {
                Some(Some(Body::Target(target))) => judged(target, told, &silent),
                _ => unregistered(&group.name, key.own_name(), told),
            }
        };
        return asked.iter().map(one).collect();
    }
    let mut registered = BTreeMap::new();
    for (key, resource) in state.children(&group_key, Kind::Target) {
        if let Some(Body::Target(target)) = &resource.kind {
            registered.insert(key.own_name(), target);
        }
    }
    let most = (MAX_AGENT_VIEWS / (registered.len() + MAX_DRAINING)).max(1);
    let mut reported = shared.observed().group(&group.name, most);
    let mut all = Vec::with_capacity(registered.len());
    for (name, target) in registered {
        let told = reported.remove(name).unwrap_or_default();
        all.push(judged(target, told, &silent));
    }
    let draining = reported.into_iter().take(MAX_DRAINING);
    all.extend(draining.map(|(name, told)| unregistered(&group.name, &name, told)));
    all
}

fn judged(target: &v1::Target, told: Told, silent: &Merged) -> v1::TargetHealth {
    let merged = told.merged().unwrap_or_else(|| silent.clone());
    answer(target.clone(), merged, told.views)
}

fn unregistered(group: &str, name: &str, told: Told) -> v1::TargetHealth {
    let merged = match told.merged() {
        Some(_) => Merged::deregistering(),
        None => Merged::not_registered(),
    };
    answer(named(group, name), merged, told.views)
}

/// A target that is not registered (any more), from its own name.
fn named(group: &str, name: &str) -> v1::Target {
    let address = name.parse::<std::net::SocketAddr>().ok();
    v1::Target {
        name: name.to_owned(),
        target_group: group.to_owned(),
        address: address.map_or_else(|| name.to_owned(), |address| address.ip().to_string()),
        port: address.map_or(0, |address| address.port().into()),
        ..Default::default()
    }
}

fn answer(target: v1::Target, merged: Merged, views: Vec<AgentVerdict>) -> v1::TargetHealth {
    let agents = views.into_iter().map(|view| v1::target_health::AgentView {
        agent: view.agent.to_string(),
        state: view.verdict.state as i32,
        reason: view.verdict.words.reason.clone(),
        description: view.verdict.words.description.clone(),
        since: Some(view.verdict.since.into()),
    });
    v1::TargetHealth {
        target: Some(target),
        state: merged.state as i32,
        reason: merged.words.reason,
        description: merged.words.description,
        agents: agents.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_of_the_group_that_the_request_names() {
        let of = |group: &str| v1::Target {
            target_group: group.to_owned(),
            ..Default::default()
        };
        assert!(check("web", &[of(""), of("web")]).is_ok());
        let error = check("web", &[of("web"), of("other")]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("number 1 is of the group 'other'")
        );
        assert!(check("web", &[]).is_err());
        assert!(check("web", &vec![of(""); MAX_TARGETS + 1]).is_err());
    }
}
