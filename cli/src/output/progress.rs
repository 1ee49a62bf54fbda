//! Shows that something is going on, once it takes longer than a second: one line on stderr that comes and goes.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

/// What takes less is not worth a word.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(250);

/// Whether progress is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    /// Shown on terminals only.
    pub(crate) fn new(shown: bool) -> Self {
        Self { shown }
    }

    /// Waits for something that `what` names.
    pub(crate) async fn during<T>(self, what: &str, work: impl Future<Output = T>) -> T {
        self.telling(|| what.to_owned(), work).await
    }

    /// Waits for something whose name changes.
    pub(crate) async fn telling<T>(
        self,
        what: impl Fn() -> String,
        work: impl Future<Output = T>,
    ) -> T {
        if !self.shown {
            return work.await;
        }
        let begun = Instant::now();
        let mut ticks = tokio::time::interval_at(begun + QUIET_FOR, EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut is_written = false;
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    if is_written {
                        write("");
                    }
                    return done;
                }
                _ = ticks.tick() => {
                    is_written = true;
                    write(&format!("{} ({} s)", super::clean(&what()), begun.elapsed().as_secs()));
                }
            }
        }
    }
}

/// Replaces the line.
fn write(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "\r\u{1b}[K{text}").and_then(|()| stderr.flush());
}
