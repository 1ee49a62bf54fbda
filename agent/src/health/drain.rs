//! What becomes of a deregistered target: it drains until its group's delay is over. Pure: time arrives as `now`.
//!
//! Transitions: draining -> over, once, when the delay is over. It shows as draining to the end even with nothing in
//! flight (specification: application load balancer, 9.10). At the end, requests still under way are cut; connections
//! below HTTP only if the group says so, else they go on unobserved (network load balancer, 7.4).
//! Registered again meanwhile, a target leaves this state and starts as a new one; whoever keeps [`Drain`] drops it.

use std::time::{Duration, Instant};

use crate::table::{Algorithm, Group};

/// How the targets of a group drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The deregistration delay.
    pub delay: Duration,
    /// What happens at its end.
    pub end: End,
}

/// What happens to what is still under way when the delay is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ends now.
    Cut,
    /// It goes on.
    LetGo,
}

/// A target that drains.
#[derive(Debug)]
pub struct Drain {
    until: Instant,
    end: End,
    over: bool,
}

impl Rules {
    /// Those of `group`.
    pub fn of(group: &Group) -> Self {
        // A group below HTTP is one whose flows are hashed.
        let below_http = group.algorithm == Algorithm::FlowHash;
        let end = match below_http && !group.connection_termination {
            true => End::LetGo,
            false => End::Cut,
        };
        Self {
            delay: group.deregistration_delay,
            end,
        }
    }
}

impl Drain {
    /// Deregistered at `now`.
    pub fn start(now: Instant, rules: Rules) -> Self {
        Self {
            until: now + rules.delay,
            end: rules.end,
            over: false,
        }
    }

    /// When to look again.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// Whether it is over, and how; told once.
    pub fn observe(&mut self, now: Instant) -> Option<End> {
        let ends = !self.over && now >= self.until;
        self.over |= ends;
        ends.then_some(self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::testing::group;

    #[test]
    fn a_drain_ends_once_and_not_before_its_delay_is_over() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        for (delay, end) in [
            (Duration::ZERO, End::Cut),
            (second * 300, End::Cut),
            (second * 5, End::LetGo),
        ] {
            let mut drain = Drain::start(start, Rules { delay, end });
            assert_eq!(drain.until(), start + delay);
            if delay > second {
                assert_eq!(drain.observe(start + delay - second), None);
            }
            assert_eq!(drain.observe(start + delay), Some(end), "{delay:?}");
            assert_eq!(drain.observe(start + delay + second), None);
        }
    }

    #[test]
    fn requests_are_cut_and_connections_only_if_the_group_says_so() {
        let cases = [
            (Algorithm::RoundRobin, false, End::Cut),
            (Algorithm::LeastOutstandingRequests, false, End::Cut),
            (Algorithm::FlowHash, false, End::LetGo),
            (Algorithm::FlowHash, true, End::Cut),
        ];
        for (algorithm, connection_termination, end) in cases {
            let group = Group {
                algorithm,
                connection_termination,
                ..group(0, &[])
            };
            let rules = Rules::of(&group);
            assert_eq!(rules.end, end, "{algorithm:?} {connection_termination}");
            assert_eq!(rules.delay, group.deregistration_delay);
        }
    }
}
