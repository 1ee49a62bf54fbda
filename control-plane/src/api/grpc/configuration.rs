//! `Configuration`: reads and changes the configuration.

use std::sync::Arc;
use std::time::Instant;

use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::configuration_server::Configuration as Service;
use tonic::{Request, Response, Status};

use crate::api::Shared;
use crate::api::auth::author;
use crate::api::grpc::{fit, list, watch};
use crate::api::outlet::Outflow;
use crate::api::page::{self, Page};
use crate::api::status::Problem;
use crate::model::{Change, State, redact, redact_change, with_targets};
use crate::writer::{Outcome, Refused, Rollback};

/// Longest message of a change, in bytes.
const MAX_NOTE_BYTES: usize = 1024;
/// Revisions of a page of the history if the client does not say.
const HISTORY_PAGE_SIZE: u32 = 50;

/// The service.
pub(crate) struct Configuration(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl Service for Configuration {
    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let author = author(&request);
        let change = change(request.into_inner(), author)?;
        let outcome = self.measured(self.0.writer.apply(change)).await?;
        Ok(Response::new(answer(outcome)))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<v1::GetResponse>, Status> {
        let key = key_of(request.into_inner().key)?;
        let state = self.0.writer.state();
        let resource = state
            .get(&key)
            .ok_or_else(|| Problem::NoResource(key.clone()))?;
        Ok(Response::new(v1::GetResponse {
            resource: Some(shown(&state, resource)),
            revision: state.revision(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<v1::ListResponse>, Status> {
        let state = self.0.writer.state();
        let request = request.into_inner();
        // A filter looks at the JSON form of every resource: too long for the threads that serve streams.
        let page = tokio::task::spawn_blocking(move || list::list(&state, &request));
        let page = page.await.map_err(|_| Problem::ShuttingDown)?;
        Ok(Response::new(page?))
    }

    type WatchStream = Outflow<v1::Revision>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(watch::open(&self.0, request.into_inner())?))
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        let shared = Arc::clone(&self.0);
        let request = request.into_inner();
        let answer = tokio::task::spawn_blocking(move || history(&shared, &request));
        let answer = answer.await.map_err(|_| Problem::ShuttingDown)?;
        Ok(Response::new(answer?))
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let author = author(&request);
        let request = request.into_inner();
        check_note(&request.message)?;
        let rollback = Rollback {
            to: request.revision,
            expected_revision: request.expected_revision,
            validate_only: request.validate_only,
            author,
            message: request.message,
        };
        let outcome = self.measured(self.0.writer.rollback(rollback)).await?;
        Ok(Response::new(answer(outcome)))
    }
}

impl Configuration {
    async fn measured(
        &self,
        change: impl Future<Output = Result<Outcome, Refused>>,
    ) -> Result<Outcome, Refused> {
        let begun = Instant::now();
        let result = change.await;
        self.0.metrics.change_done(&result, begun.elapsed());
        result
    }
}

fn change(request: v1::ApplyRequest, author: String) -> Result<Change, Problem> {
    check_note(&request.message)?;
    let deletions = deletions(&request.deletions)?;
    Ok(Change {
        upserts: request.upserts.into_iter().map(Into::into).collect(),
        deletions,
        prune: request.prune,
        validate_only: request.validate_only,
        expected_revision: request.expected_revision,
        author,
        message: request.message,
    })
}

/// The keys to delete. Errors: all that no resource can have.
fn deletions(keys: &[v1::ResourceKey]) -> Result<Vec<Key>, Problem> {
    let mut deletions = Vec::with_capacity(keys.len());
    let mut errors = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        match Key::try_from(key) {
            Ok(key) => deletions.push(key),
            Err(error) => errors.push((at, error)),
        }
    }
    if errors.is_empty() {
        return Ok(deletions);
    }
    Err(Problem::Deletions(errors))
}

fn check_note(message: &str) -> Result<(), Problem> {
    if message.len() > MAX_NOTE_BYTES {
        return Err(Problem::Argument {
            field: "message",
            message: format!("must be at most {MAX_NOTE_BYTES} bytes"),
        });
    }
    Ok(())
}

fn answer(outcome: Outcome) -> v1::ApplyResponse {
    let mut changes = outcome.changes;
    fit::fit(&mut changes, outcome.committed);
    v1::ApplyResponse {
        revision: outcome.revision,
        changes,
        committed: outcome.committed,
    }
}

/// The key in a request. Errors: absent, or none that a resource can have.
fn key_of(key: Option<v1::ResourceKey>) -> Result<Key, Problem> {
    let key = key.ok_or_else(|| Problem::Argument {
        field: "key",
        message: "is required".to_owned(),
    })?;
    Ok(Key::try_from(&key)?)
}

/// A resource as it is answered: with its targets, without secrets.
pub(crate) fn shown(state: &State, resource: &v1::Resource) -> v1::Resource {
    let mut resource = if resource.kind_of() == Some(Kind::TargetGroup) {
        with_targets(state, resource)
    } else {
        resource.clone()
    };
    redact(&mut resource);
    resource
}

/// A revision as it is answered.
pub(crate) fn shown_revision(revision: &v1::Revision, summary: bool) -> v1::Revision {
    let mut revision = revision.clone();
    for change in &mut revision.changes {
        if summary {
            change.before = None;
            change.after = None;
        }
        redact_change(change);
    }
    revision
}

fn history(shared: &Shared, request: &v1::HistoryRequest) -> Result<v1::HistoryResponse, Status> {
    let mut response = v1::HistoryResponse {
        current_revision: shared.writer.state().revision(),
        oldest_revision: shared.writer.oldest_revision(),
        ..Default::default()
    };
    if let Some(revision) = request.revision {
        if revision > response.current_revision {
            let current = response.current_revision;
            return Err(Problem::Ahead { revision, current }.into());
        }
        let record = shared.writer.revision_record(revision)?;
        response.revisions = vec![shown_revision(&record, request.summary)];
        return Ok(response);
    }
    let size = page::size(request.page_size, HISTORY_PAGE_SIZE)?;
    let before = before(&request.page_token)?;
    let mut page = Page::new(size);
    let mut is_cut = false;
    // One more than asked for tells whether there is a next page.
    for record in shared.writer.history(before, size + 1) {
        if page.push(shown_revision(&record, request.summary)).is_err() {
            is_cut = true;
            break;
        }
    }
    response.revisions = page.elements;
    if let Some(last) = response.revisions.last().filter(|_| is_cut) {
        response.next_page_token = page::seal(&["history"], &last.revision.to_string());
    }
    Ok(response)
}

fn before(token: &str) -> Result<Option<u64>, Problem> {
    if token.is_empty() {
        return Ok(None);
    }
    let position = page::open(&["history"], token)?;
    let revision = position.parse().map_err(|_| Problem::Argument {
        field: "pageToken",
        message: "is not a token of the history".to_owned(),
    })?;
    Ok(Some(revision))
}
