//! The database on a thread of its own: sled may never return.
//!
//! Seen on a full disk: after a write that failed, `flush` and even the end of a database wait forever. So every call
//! has a deadline, and a database that failed is not closed but left: its thread, memory and file stay until the
//! program ends. Who uses it bounds how often that happens.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::database::{Database, DatabaseError};
use super::image::Image;
use crate::store::Entry;

/// How long an append may take. Longer only delays changes; it is rebuilt later.
const APPEND_PATIENCE: Duration = Duration::from_secs(10);
/// How long opening, reading, filling and closing may take.
const WHOLE_PATIENCE: Duration = Duration::from_secs(60);

type Call = Box<dyn FnOnce(&mut Database) + Send>;

/// A handle of the database's thread. Dropping it closes the database, unless that has failed.
pub(super) struct Follower {
    calls: Option<mpsc::Sender<Call>>,
    /// Nothing is ever sent: its other end goes with the thread.
    ended: mpsc::Receiver<()>,
    /// A call has failed or not returned: it is not waited for any more.
    has_failed: bool,
}

impl Follower {
    /// Opens a database, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, DatabaseError> {
        let (calls, receiver) = mpsc::channel();
        let (opened, answer) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let path = path.to_owned();
        std::thread::Builder::new()
            .name("inlet-sled".to_owned())
            .spawn(move || run(path, opened, receiver, end))?;
        answer
            .recv_timeout(WHOLE_PATIENCE)
            .unwrap_or(Err(DatabaseError::Stuck))?;
        Ok(Self {
            calls: Some(calls),
            ended,
            has_failed: false,
        })
    }

    /// See [`Database::image`].
    pub(super) fn image(&mut self) -> Result<Image, DatabaseError> {
        self.ask(WHOLE_PATIENCE, |database| database.image())
    }

    /// See [`Database::fill`].
    pub(super) fn fill(&mut self, image: Image) -> Result<(), DatabaseError> {
        self.ask(WHOLE_PATIENCE, move |database| database.fill(&image))
    }

    /// See [`Database::append`].
    pub(super) fn append(&mut self, entries: &[Entry], oldest: u64) -> Result<(), DatabaseError> {
        let entries = entries.to_vec();
        self.ask(APPEND_PATIENCE, move |database| {
            database.append(&entries, oldest)
        })
    }

    /// Never returns, as sled does.
    #[cfg(test)]
    pub(super) fn hang(&mut self) -> Result<(), DatabaseError> {
        self.ask(Duration::from_millis(10), |_| {
            loop {
                std::thread::park();
            }
        })
    }

    fn ask<T: Send + 'static>(
        &mut self,
        patience: Duration,
        call: impl FnOnce(&mut Database) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let (reply, answer) = mpsc::channel();
        let call: Call = Box::new(move |database| {
            // Whoever asked may have given up.
            let _ = reply.send(call(database));
        });
        let sent = self.calls.as_ref().is_some_and(|it| it.send(call).is_ok());
        let answer = if sent {
            answer.recv_timeout(patience).ok()
        } else {
            None
        };
        let answer = answer.unwrap_or(Err(DatabaseError::Stuck));
        self.has_failed |= answer.is_err();
        answer
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.calls = None;
        if !self.has_failed
            && self.ended.recv_timeout(WHOLE_PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            tracing::error!("the database does not close; everything in it is in the journal too");
        }
    }
}

fn run(
    path: PathBuf,
    opened: mpsc::Sender<Result<(), DatabaseError>>,
    calls: mpsc::Receiver<Call>,
    end: mpsc::Sender<()>,
) {
    let mut database = match Database::open(&path) {
        Ok(database) => database,
        Err(error) => return drop(opened.send(Err(error))),
    };
    if opened.send(Ok(())).is_ok() {
        calls.iter().for_each(|call| call(&mut database));
    }
    database.close();
    drop(end);
}
