//! The shell around [`Book`]: one task that probes what is due, ends drains, renews schedules and passes news on.
//!
//! Probes are tasks of their own, at most [`concurrency`] at a time, which this one joins. The book's lock is held for
//! short and never across an await. When the receiver of the news is full, they wait in the book, the last of each
//! target, and go out as soon as there is room.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inlet_proto::v1;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::edge::Edge;

use super::book::{Book, Job};
use super::prober;
use super::verdict::Outcome;

/// Most probes at a time, whatever the system allows.
const MAX_PROBES: u64 = 1024;
/// Fewest, however little it allows.
const MIN_PROBES: u64 = 16;
/// At most one of this many descriptors is a probe's.
const PROBES_SHARE: u64 = 16;

/// Schedules are made anew at most this often: many verdicts at once cost one pass over their group.
const SETTLE: Duration = Duration::from_millis(10);

/// What the task and [`super::Health`] share.
#[derive(Debug)]
pub(super) struct Shared {
    book: Mutex<Book>,
    /// The book has changed: look again.
    pub(super) changed: Notify,
    pub(super) edge: Arc<Edge>,
}

/// The task's own.
struct Scheduler {
    shared: Arc<Shared>,
    news: mpsc::Sender<v1::TargetVerdict>,
    probes: JoinSet<(Job, Outcome)>,
    concurrency: usize,
    scheduled_at: Instant,
    said_not_made: bool,
}

impl Shared {
    pub(super) fn new(seed: u64, edge: Arc<Edge>) -> Self {
        Self {
            book: Mutex::new(Book::new(seed)),
            changed: Notify::new(),
            edge,
        }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until told to stop; probes under way are ended then.
pub(super) async fn run(
    shared: Arc<Shared>,
    news: mpsc::Sender<v1::TargetVerdict>,
    stop: CancellationToken,
) {
    let mut scheduler = Scheduler {
        shared,
        news,
        probes: JoinSet::new(),
        concurrency: concurrency(),
        scheduled_at: Instant::now(),
        said_not_made: false,
    };
    while !stop.is_cancelled() {
        let next = scheduler.turn();
        tokio::select! {
            () = stop.cancelled() => {}
            () = scheduler.woken(next) => {}
        }
    }
    scheduler.probes.shutdown().await;
}

impl Scheduler {
    /// Does what is due; when there is more to do.
    fn turn(&mut self) -> Next {
        let now = Instant::now();
        let mut book = self.shared.book();
        if book.expire(now.into_std()) {
            self.shared.edge.wake_all();
        }
        let room = self.concurrency - self.probes.len();
        for job in book.begin(now.into_std(), room) {
            self.probes.spawn(async move {
                let outcome = prober::probe(&job.question).await;
                (job, outcome)
            });
        }
        if book.is_stale() && now >= self.scheduled_at + SETTLE {
            book.schedule();
            self.scheduled_at = now;
        }
        while let Some(entry) = book.news().first_entry() {
            match self.news.try_reserve() {
                Ok(permit) => permit.send(entry.remove()),
                Err(mpsc::error::TrySendError::Full(())) => break,
                // Nobody listens: the agent ends.
                Err(mpsc::error::TrySendError::Closed(())) => book.news().clear(),
            }
        }
        let room = self.concurrency - self.probes.len();
        let due = book.next(room).map(Instant::from_std);
        let settled = book.is_stale().then(|| self.scheduled_at + SETTLE);
        Next {
            at: due.into_iter().chain(settled).min(),
            news_wait: !book.news().is_empty(),
        }
    }

    async fn woken(&mut self, next: Next) {
        let ended = tokio::select! {
            () = self.shared.changed.notified() => None,
            Some(ended) = self.probes.join_next() => Some(ended),
            // Errors when nobody listens any more; the next turn clears the news.
            _ = self.news.reserve(), if next.news_wait => None,
            () = wait_until(next.at) => None,
        };
        if let Some(ended) = ended {
            self.finish(ended);
        }
    }

    /// Judges by this probe and by all others that have ended.
    fn finish(&mut self, ended: Result<(Job, Outcome), JoinError>) {
        let now = Instant::now().into_std();
        let shared = Arc::clone(&self.shared);
        let mut book = shared.book();
        let mut next = Some(ended);
        while let Some(ended) = next {
            match ended {
                Ok((job, outcome)) => {
                    self.say_not_made(outcome);
                    book.finish(&job, outcome, now);
                }
                Err(error) => tracing::error!(%error, "a health check has panicked"),
            }
            next = self.probes.try_join_next();
        }
    }

    /// Once, until probes can be made again.
    fn say_not_made(&mut self, outcome: Outcome) {
        let not_made = outcome == Outcome::NotMade;
        if not_made && !self.said_not_made {
            tracing::warn!(
                "health checks cannot be made: this host lacks descriptors, ports or memory"
            );
        }
        self.said_not_made = not_made;
    }
}

/// What a turn left to be done.
struct Next {
    at: Option<Instant>,
    news_wait: bool,
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Probes at a time on this host: traffic needs the descriptors more.
fn concurrency() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current;
    let probes = descriptors.map_or(MAX_PROBES, |limit| {
        (limit / PROBES_SHARE).clamp(MIN_PROBES, MAX_PROBES)
    });
    usize::try_from(probes).unwrap_or(usize::MAX)
}
