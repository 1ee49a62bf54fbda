//! `Configuration.Watch`: the revisions as they become visible.
//!
//! A watcher pulls: it keeps a number and reads what comes after it from the history, as fast as its reader takes
//! it. So a slow reader costs one revision of memory, and one that stops reading is dropped.

use std::collections::HashSet;
use std::sync::Arc;

use inlet_proto::kind::Kind;
use inlet_proto::v1;
use tokio::sync::watch;
use tonic::Status;

use crate::api::grpc::configuration::shown_revision;
use crate::api::grpc::list::kind;
use crate::api::outlet::{Outflow, Outlet, outlet};
use crate::api::status::Problem;
use crate::api::{MAX_WATCHERS, READER_PATIENCE, Shared};
use crate::model::State;

/// Revisions that wait in a stream. One may be as large as the largest change.
const STREAM_REVISIONS: usize = 1;

/// Opens a watch. Errors: a revision that is not kept or does not exist yet, an unknown kind, too many watchers.
pub(crate) fn open(
    shared: &Arc<Shared>,
    request: v1::WatchRequest,
) -> Result<Outflow<v1::Revision>, Status> {
    let permit = Arc::clone(&shared.watchers).try_acquire_owned();
    let permit = permit.map_err(|_| Problem::TooManyStreams {
        limit: MAX_WATCHERS,
    })?;
    let states = shared.writer.subscribe();
    let current = states.borrow().revision();
    let after = request.after_revision.unwrap_or(current);
    if after > current {
        let revision = after;
        return Err(Problem::Ahead { revision, current }.into());
    }
    shared.writer.revisions_after(after)?;
    let kinds = request.kinds.iter().map(|name| kind("kinds", name));
    let watcher = Watcher {
        shared: Arc::clone(shared),
        states,
        after,
        kinds: kinds.collect::<Result<_, _>>()?,
    };
    let (outlet, outflow) = outlet(STREAM_REVISIONS, READER_PATIENCE);
    shared.tasks.spawn(async move {
        let _permit = permit;
        if let Some(reason) = watcher.run(&outlet).await {
            outlet.end(reason);
        }
    });
    Ok(outflow)
}

struct Watcher {
    shared: Arc<Shared>,
    states: watch::Receiver<Arc<State>>,
    after: u64,
    /// Empty = all.
    kinds: HashSet<Kind>,
}

impl Watcher {
    /// Runs until the reader is gone (`None`), or there is a reason to end.
    async fn run(mut self, outlet: &Outlet<v1::Revision>) -> Option<Status> {
        loop {
            let current = self.states.borrow_and_update().revision();
            while self.after < current {
                if let Err(ended) = self.catch_up(outlet).await {
                    return ended;
                }
            }
            tokio::select! {
                changed = self.states.changed() => if changed.is_err() {
                    return Some(Problem::ShuttingDown.into());
                },
                () = self.shared.shutdown.cancelled() => return Some(Problem::ShuttingDown.into()),
                () = outlet.closed() => return None,
            }
        }
    }

    /// Sends the next revisions.
    async fn catch_up(&mut self, outlet: &Outlet<v1::Revision>) -> Result<(), Option<Status>> {
        let (shared, after) = (Arc::clone(&self.shared), self.after);
        let read = tokio::task::spawn_blocking(move || shared.writer.revisions_after(after));
        let records = read.await.map_err(|_| Problem::ShuttingDown.into());
        let records = records.and_then(|records| records.map_err(Status::from))?;
        for record in records {
            self.after = record.revision;
            let Some(revision) = self.selected(&record) else {
                continue;
            };
            tokio::select! {
                sent = outlet.send(revision) => sent.map_err(|_| None)?,
                () = self.shared.shutdown.cancelled() => {
                    return Err(Some(Problem::ShuttingDown.into()));
                }
            }
        }
        Ok(())
    }

    /// The part of a revision that was asked for; `None` if there is none.
    fn selected(&self, record: &v1::Revision) -> Option<v1::Revision> {
        let mut revision = shown_revision(record, false);
        if self.kinds.is_empty() {
            return Some(revision);
        }
        revision.changes.retain(|change| {
            let kind = change
                .key
                .as_ref()
                .and_then(|key| Kind::from_name(&key.kind));
            kind.is_some_and(|kind| self.kinds.contains(&kind))
        });
        (!revision.changes.is_empty()).then_some(revision)
    }
}
