//! When the snapshot in force is written to disk: soon, but never in the way of the next change.
//!
//! The latest wins: while one is written or the disk rests, newer ones only make it due again. The disk rests after
//! each write for `REST_FACTOR` times as long as it took, at most `MAX_REST`, so that a burst of changes to a big
//! configuration does not become a burst of big writes. What is not kept yet when the agent is killed is fetched from
//! the control plane as a delta.
//!
//! ```text
//! Clean --note--> Due --begin--> Writing --ok--> Clean, resting
//!                  ^                |---failed--> Due, resting for RETRY_REST
//!                  |----note--------|
//! ```

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::CompleteSnapshot;
use super::disk::Disk;

/// How much longer the disk rests than it writes.
const REST_FACTOR: u32 = 9;
/// Longest rest after a write.
const MAX_REST: Duration = Duration::from_secs(1);
/// Rest after a write that failed.
const RETRY_REST: Duration = Duration::from_secs(10);
/// How long the answer to the control plane waits for the disk if the disk is free.
const ANSWER_PATIENCE: Duration = Duration::from_millis(250);
/// How long the end of the agent waits for the disk.
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the newest snapshot on disk.
#[derive(Debug)]
pub struct Keeper {
    disk: Arc<Disk>,
    /// What is in force is not what was written, or is being written.
    is_due: bool,
    writing: Option<Writing>,
    rested_at: Instant,
    has_failed: bool,
}

#[derive(Debug)]
struct Writing {
    since: Instant,
    task: JoinHandle<io::Result<()>>,
}

impl Keeper {
    /// Nothing is due yet.
    pub fn new(disk: Arc<Disk>) -> Self {
        Self {
            disk,
            is_due: false,
            writing: None,
            rested_at: Instant::now(),
            has_failed: false,
        }
    }

    /// Something else is in force than before.
    pub fn note(&mut self) {
        self.is_due = true;
    }

    /// The last write failed: what is on disk is older than what is in force.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Whether a write may begin now.
    pub fn is_free(&self) -> bool {
        self.is_due && self.writing.is_none() && self.rested_at <= Instant::now()
    }

    /// Waits until a write has ended, or one may begin: see [`Keeper::is_free`]. Pending while there is nothing to do.
    pub async fn turn(&mut self) {
        if self.writing.is_some() {
            return self.end().await;
        }
        match self.is_due {
            true => tokio::time::sleep_until(self.rested_at).await,
            false => std::future::pending().await,
        }
    }

    /// Begins to write, if it may.
    pub fn begin(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        if self.is_free() {
            self.start(snapshot());
        }
    }

    /// Waits for a write that has begun, but not long.
    pub async fn wait(&mut self) {
        // Going on without it is what the time is for.
        let _ = tokio::time::timeout(ANSWER_PATIENCE, self.end()).await;
    }

    /// Writes what is not written yet, within `FLUSH_PATIENCE`; the disk need not have rested.
    pub async fn flush(&mut self, snapshot: impl FnOnce() -> CompleteSnapshot) {
        let all = async {
            self.end().await;
            if self.is_due {
                self.start(snapshot());
                self.end().await;
            }
        };
        if tokio::time::timeout(FLUSH_PATIENCE, all).await.is_err() {
            tracing::warn!("the disk is too slow: the newest snapshot may not be kept");
        }
    }

    fn start(&mut self, snapshot: CompleteSnapshot) {
        self.is_due = false;
        let disk = Arc::clone(&self.disk);
        self.writing = Some(Writing {
            since: Instant::now(),
            task: tokio::task::spawn_blocking(move || disk.store(&snapshot)),
        });
    }

    /// Waits for the write under way, if there is one. Can be dropped at any time.
    async fn end(&mut self) {
        let Some(writing) = &mut self.writing else {
            return;
        };
        let ended = (&mut writing.task).await;
        let took = writing.since.elapsed();
        self.writing = None;
        let result = ended.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        self.rested_at = Instant::now() + rest(took, result.is_ok());
        self.judge(result);
    }

    fn judge(&mut self, result: io::Result<()>) {
        let failed_before = std::mem::replace(&mut self.has_failed, result.is_err());
        self.is_due |= self.has_failed;
        match result {
            Ok(()) if failed_before => {
                tracing::info!("the snapshot in force is kept on disk again");
            }
            Err(error) if !failed_before => tracing::error!(
                %error,
                "cannot keep the snapshot in force on disk: serving goes on, but a restart without the control plane \
                 would come up with an older one"
            ),
            _ => {}
        }
    }
}

fn rest(took: Duration, ok: bool) -> Duration {
    match ok {
        true => (took * REST_FACTOR).min(MAX_REST),
        false => RETRY_REST,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use inlet_proto::digest::Digest;

    use super::*;

    fn snapshot(revision: u64) -> CompleteSnapshot {
        CompleteSnapshot {
            revision,
            digest: Digest::default(),
            resources: Vec::new(),
        }
    }

    fn keeper(folder: &std::path::Path) -> Keeper {
        Keeper::new(Arc::new(Disk::new(folder)))
    }

    fn on_disk(keeper: &Keeper) -> u64 {
        let loaded = keeper.disk.load().unwrap();
        loaded.map_or(0, |snapshot| snapshot.revision)
    }

    #[test]
    fn the_disk_rests_in_proportion_and_within_bounds() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(5), true), ms(45));
        assert_eq!(rest(ms(500), true), MAX_REST);
        assert_eq!(rest(ms(5), false), RETRY_REST);
    }

    #[tokio::test]
    async fn the_first_change_is_written_at_once_and_the_latest_of_a_burst_after_a_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        assert!(!keeper.is_free());
        keeper.note();
        keeper.begin(|| snapshot(1));
        keeper.end().await;
        assert_eq!(on_disk(&keeper), 1);
        keeper.rested_at = Instant::now() + Duration::from_secs(3600);
        for revision in 2..5 {
            keeper.note();
            keeper.begin(|| snapshot(revision));
        }
        assert!(keeper.writing.is_none(), "the disk rests");
        keeper.rested_at = Instant::now();
        keeper.turn().await;
        keeper.begin(|| snapshot(5));
        keeper.turn().await;
        assert_eq!(on_disk(&keeper), 5);
        assert!(!keeper.is_due);
    }

    #[tokio::test]
    async fn the_end_writes_what_is_left_without_a_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = keeper(folder.path());
        keeper.rested_at = Instant::now() + Duration::from_secs(3600);
        keeper.note();
        keeper.flush(|| snapshot(3)).await;
        assert_eq!(on_disk(&keeper), 3);
        keeper
            .flush(|| panic!("nothing is left to be written"))
            .await;
    }

    #[tokio::test]
    async fn a_write_that_fails_is_tried_again_and_the_latest_wins() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut keeper = keeper(&data);
        keeper.note();
        keeper.begin(|| snapshot(1));
        keeper.end().await;
        assert!(keeper.has_failed() && keeper.is_due && !keeper.is_free());
        fs::create_dir(&data).unwrap();
        keeper.rested_at = Instant::now();
        keeper.turn().await;
        keeper.begin(|| snapshot(2));
        keeper.end().await;
        assert!(!keeper.has_failed() && !keeper.is_due);
        assert_eq!(on_disk(&keeper), 2);
    }
}
