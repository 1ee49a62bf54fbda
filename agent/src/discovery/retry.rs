//! When to try again to reach the control plane, and what of it is worth a line in the log.
//!
//! One line when it is lost, one when it is back, none per try. A refusal is said once, in the control plane's words;
//! it ends only when a stream has lasted for [`SETTLED_AFTER`], because whoever is refused may be let in for a moment
//! before (two agents of one name push each other out).

use std::time::Duration;

use fastrand::Rng;

/// Longest wait before the first try after a loss.
const MIN_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between two tries.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// A stream that has lasted this long is a good one.
pub const SETTLED_AFTER: Duration = Duration::from_secs(10);

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The control plane is not there, or the way to it is cut.
    Unreachable(String),
    /// The control plane, or this agent, ended the stream for a reason that will come again.
    Refused(String),
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tell {
    /// There is a stream (again).
    Connected,
    /// There is none any more.
    Lost(String),
    /// The two do not get along.
    Refused(String),
}

/// What was tried and told so far.
#[derive(Debug)]
pub struct Retry {
    rng: Rng,
    /// Since the last good stream.
    losses: u32,
    told: Option<Tell>,
}

impl Retry {
    /// Nothing was tried yet. `rng` spreads the tries of a fleet.
    pub fn new(rng: Rng) -> Self {
        Self {
            rng,
            losses: 0,
            told: None,
        }
    }

    /// How long to wait now that there is no stream, and what to tell.
    pub fn lost(&mut self, loss: Loss) -> (Duration, Option<Tell>) {
        let wait = self.wait();
        self.losses = self.losses.saturating_add(1);
        let tell = match loss {
            Loss::Unreachable(_) if matches!(self.told, Some(Tell::Lost(_))) => None,
            Loss::Unreachable(why) => self.tell(Tell::Lost(why)),
            Loss::Refused(why) => self.tell(Tell::Refused(why)),
        };
        (wait, tell)
    }

    /// The control plane has sent something.
    pub fn heard(&mut self) -> Option<Tell> {
        match self.told {
            Some(Tell::Refused(_)) => None,
            _ => self.tell(Tell::Connected),
        }
    }

    /// The stream has lasted for [`SETTLED_AFTER`].
    pub fn settled(&mut self) -> Option<Tell> {
        self.losses = 0;
        self.tell(Tell::Connected)
    }

    fn tell(&mut self, tell: Tell) -> Option<Tell> {
        let is_new = self.told.as_ref() != Some(&tell);
        self.told = Some(tell);
        self.told.clone().filter(|_| is_new)
    }

    /// Doubles with every loss; the lower half is certain, the upper half chance.
    fn wait(&mut self) -> Duration {
        let doubled = 1_u32.checked_shl(self.losses).unwrap_or(u32::MAX);
        let longest = MIN_WAIT.saturating_mul(doubled).min(MAX_WAIT);
        longest.mul_f64(0.5 + self.rng.f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(why: &str) -> Loss {
        Loss::Unreachable(why.to_owned())
    }

    fn refused(why: &str) -> Loss {
        Loss::Refused(why.to_owned())
    }

    #[test]
    fn waits_double_within_bounds_until_a_stream_has_lasted() {
        let mut retry = Retry::new(Rng::with_seed(1));
        let mut longest = MIN_WAIT;
        for _ in 0..40 {
            let (wait, _) = retry.lost(unreachable(""));
            assert!(wait >= longest / 2 && wait <= longest, "{wait:?}");
            longest = (longest * 2).min(MAX_WAIT);
        }
        retry.heard();
        assert!(retry.lost(unreachable("")).0 >= MAX_WAIT / 2);
        retry.settled();
        assert!(retry.lost(unreachable("")).0 <= MIN_WAIT);
    }

    #[test]
    fn one_line_when_it_is_lost_and_one_when_it_is_back() {
        let mut retry = Retry::new(Rng::with_seed(1));
        let lost = |why: &str| Some(Tell::Lost(why.to_owned()));
        assert_eq!(retry.lost(unreachable("a")).1, lost("a"));
        assert_eq!(retry.lost(unreachable("b")).1, None);
        assert_eq!(retry.heard(), Some(Tell::Connected));
        assert_eq!(retry.heard(), None);
        assert_eq!(retry.settled(), None);
        assert_eq!(retry.lost(unreachable("c")).1, lost("c"));
    }

    #[test]
    fn a_refusal_is_said_once_until_a_stream_has_lasted() {
        let mut retry = Retry::new(Rng::with_seed(1));
        let said = |why: &str| Some(Tell::Refused(why.to_owned()));
        assert_eq!(retry.heard(), Some(Tell::Connected));
        assert_eq!(retry.lost(refused("name taken")).1, said("name taken"));
        assert_eq!(retry.heard(), None, "let in, to be pushed out again");
        assert_eq!(retry.lost(refused("name taken")).1, None);
        assert_eq!(retry.lost(refused("bad label")).1, said("bad label"));
        assert_eq!(retry.settled(), Some(Tell::Connected));
        assert_eq!(retry.lost(refused("bad label")).1, said("bad label"));
    }
}
