//! Waiting for a condition with a deadline: the only place where tests let time pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time between two looks at a condition.
const POLL: Duration = Duration::from_millis(20);

/// Looks again and again until `condition` gives a value, and returns it.
///
/// Panics with `what` when `deadline` has passed.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(
            Instant::now() < end,
            "did not happen within {deadline:?}: {what}"
        );
        sleep(POLL).await;
    }
}

/// Lets `duration` pass while checking that `condition` holds all along: for promises that nothing happens.
///
/// Panics with `what` as soon as it does not hold.
pub async fn throughout(what: &str, duration: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + duration;
    while Instant::now() < end {
        assert!(condition().await, "did not hold: {what}");
        sleep(POLL).await;
    }
}

/// Seconds, for deadlines in tests.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
