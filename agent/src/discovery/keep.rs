//! When what is in force is written to disk: at once, and the answer to the control plane waits for it.
//!
//! A change is appended as a delta, which costs what it changes. What cannot be - the first snapshot, a complete one,
//! one after a failure, and one when the deltas have become too long - is written whole; the last of these in the
//! background, and only a change that comes meanwhile waits for it. One write at a time: behind a slow disk changes
//! gather at the control plane, which sends the next one when the last one was answered.
//!
//! A disk that is full, broken or hangs does not stop the agent from following: then answers go out without it, which
//! a metric and the log say, until a whole snapshot or what hung is on disk.
//!
//! ```text
//! Kept --note--> Due --begin--> Writing --ok--> Kept, or Due (whole) in the background if the deltas are too long
//!                 ^                |---failed--> Due (whole), resting for RETRY_REST
//!                 |----note--------|---not ok within ANSWER_PATIENCE--> Late: nobody waits for it; ends as Writing
//! ```
//!
//! Invariant: a delta is appended only behind exactly the state that it builds on.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::CompleteSnapshot;
use super::disk::{Disk, Log};

/// Rest after a write that failed.
const RETRY_REST: Duration = Duration::from_secs(10);
/// How long the answer to the control plane waits for the disk.
const ANSWER_PATIENCE: Duration = Duration::from_secs(3);
/// How long the end of the agent waits for the disk.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Keeps what is in force on disk.
#[derive(Debug)]
pub struct Keeper {
    disk: Arc<Disk>,
    due: Due,
    /// Where deltas go; `None` = it is being written to, or the next write must be whole.
    log: Option<Log>,
    writing: Option<Writing>,
    /// No write begins before.
    rested_at: Instant,
    has_failed: bool,
}

/// How what is in force differs from what was written, or is being written.
#[derive(Debug, Default, PartialEq)]
pub enum Due {
    /// Not at all.
    #[default]
    Nothing,
    /// By this encoded delta.
    Delta(Vec<u8>),
    /// By more, or nobody knows: it is to be written whole.
    Whole,
}

#[derive(Debug)]
struct Writing {
    /// Gives the log back if all went well.
    task: JoinHandle<io::Result<Log>>,
    /// It has used up the patience of an answer.
    is_late: bool,
}

impl Keeper {
    /// Nothing is due yet, and nothing is on disk.
    pub fn new(disk: Arc<Disk>) -> Self {
        Self {
            disk,
            due: Due::Nothing,
            log: None,
            writing: None,
            rested_at: Instant::now(),
            has_failed: false,
        }
    }

    /// What was loaded is in force, and deltas go to `log`; `None` = it is to be written whole, without haste.
    pub fn follow(&mut self, log: Option<Log>) {
        if log.is_none() {
            self.due = Due::Whole;
        }
        self.log = log;
    }

    /// Something else is in force than before.
    pub fn note(&mut self, change: Due) {
        self.due = match self.due {
            Due::Nothing => change,
            Due::Delta(_) | Due::Whole => Due::Whole,
        };
    }

    /// What is on disk is older than what is in force, and the disk is the reason.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Waits until a write has ended, or one may begin: see [`Keeper::begin`]. Pending while there is nothing to do.
    pub async fn turn(&mut self) {
        if self.writing.is_some() {
            return self.end().await;
        }
        match self.is_due() {
            true => tokio::time::sleep_until(self.rested_at).await,
            false => std::future::pending().await,
        }
    }

    /// Begins to write, if something is due and a write may begin.
    pub fn begin(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        if self.is_due() && self.writing.is_none() && self.has_rested() {
            self.start(snapshot);
        }
    }

    /// Writes what was noted and waits until it is on disk, unless the disk is known to be in trouble or takes longer
    /// than `ANSWER_PATIENCE`.
    pub async fn settle(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        self.settle_within(ANSWER_PATIENCE, snapshot).await;
    }

    async fn settle_within(
        &mut self,
        patience: Duration,
        snapshot: impl FnOnce() -> CompleteSnapshot,
    ) {
        let is_late = self.writing.as_ref().is_some_and(|writing| writing.is_late);
        if is_late || !self.has_rested() {
            return;
        }
        let written = async {
            self.end().await;
            self.begin(snapshot);
            self.end().await;
        };
        if timeout(patience, written).await.is_err() {
            self.lose_patience(patience);
        }
    }

    /// Writes what is not written yet, within `FLUSH_PATIENCE`; the disk need not have rested.
    pub async fn flush(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        let all = async {
            self.end().await;
            if self.is_due() {
                self.start(snapshot);
                self.end().await;
            }
        };
        if timeout(FLUSH_PATIENCE, all).await.is_err() {
            tracing::warn!("the disk is too slow: the newest snapshot may not be kept");
        }
    }

    fn is_due(&self) -> bool {
        self.due != Due::Nothing
    }

    fn has_rested(&self) -> bool {
        self.rested_at <= Instant::now()
    }

    fn start(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        let task = match (std::mem::take(&mut self.due), self.log.take()) {
            (Due::Delta(delta), Some(log)) if log.takes(delta.len()) => {
                tokio::task::spawn_blocking(move || log.append(&delta))
            }
            _ => {
                let (disk, snapshot) = (Arc::clone(&self.disk), snapshot());
                tokio::task::spawn_blocking(move || disk.store(&snapshot))
            }
        };
        let is_late = false;
        self.writing = Some(Writing { task, is_late });
    }

    /// Waits for the write under way, if there is one. Can be dropped at any time.
    async fn end(&mut self) {
        let Some(writing) = &mut self.writing else {
            return;
        };
        let ended = (&mut writing.task).await;
        self.writing = None;
        match ended.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(log) => self.succeed(log),
            Err(error) => {
                self.due = Due::Whole;
                self.rested_at = Instant::now() + RETRY_REST;
                self.fail(&error);
            }
        }
    }

    fn succeed(&mut self, log: Log) {
        if self.has_failed && !self.is_due() {
            self.has_failed = false;
            tracing::info!("the snapshot in force is kept on disk again");
        }
        if log.is_full() {
            self.due = Due::Whole;
        }
        self.log = Some(log);
    }

    fn lose_patience(&mut self, patience: Duration) {
        if let Some(writing) = &mut self.writing {
            writing.is_late = true;
        }
        let why = format!("a write has not ended within {patience:?}");
        self.fail(&io::Error::new(ErrorKind::TimedOut, why));
    }

    fn fail(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::error!(
                %error,
                "cannot keep the snapshot in force on disk: serving goes on, but a restart without the control plane \
                 would come up with an older one"
            );
        }
    }
}

#[cfg(test)]
mod tests;
