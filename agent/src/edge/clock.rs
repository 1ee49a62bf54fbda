//! The worker's wall clock, read once per tick instead of once per response.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Length of an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_BYTES: usize = 29;

/// The time of day, as of the last tick.
#[derive(Debug, Clone, Copy)]
pub struct Wall {
    /// The value of a `Date` header (RFC 9110, 5.6.7).
    pub date: [u8; DATE_BYTES],
    /// Seconds since 1970.
    pub unix_seconds: i64,
}

/// The time of day now, and at an instant before, both in microseconds since 1970. Reads the real clocks.
///
/// What is logged is measured by the clock that never jumps, and placed in the day by the time of its end.
pub fn now_and_then_us(then: Instant) -> (i64, i64) {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
    let age = i64::try_from(then.elapsed().as_micros()).unwrap_or(i64::MAX);
    (now, now.saturating_sub(age))
}

/// Cached clocks of one worker.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    wall: Cell<Wall>,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            wall: Cell::new(Wall::at(Timestamp::now())),
        }
    }

    /// Since the start; reads the real clock.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The cached time of day.
    pub fn wall(&self) -> Wall {
        self.wall.get()
    }

    /// Reads the time of day anew.
    pub fn refresh(&self) {
        let now = Timestamp::now();
        if now.as_second() != self.wall.get().unix_seconds {
            self.wall.set(Wall::at(now));
        }
    }
}

impl Wall {
    fn at(now: Timestamp) -> Self {
        let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let date = text
            .as_bytes()
            .try_into()
            .expect("an HTTP date of a four-digit year has 29 bytes");
        Self {
            date,
            unix_seconds: now.as_second(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_in_the_form_that_http_wants() {
        let wall = Wall::at(Timestamp::from_second(784_111_777).unwrap());
        assert_eq!(&wall.date, b"Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
