//! Judges a target by its probes: thresholds, states, reasons and their texts. Pure: no clock, no socket.
//!
//! Transitions: `Initial` becomes healthy with the first passed probe, whatever the threshold, and unhealthy after
//! `thresholds.unhealthy` failed ones in a row. `Healthy` becomes unhealthy after as many. `Unhealthy` becomes healthy
//! after `thresholds.healthy` passed ones in a row, and tells when it fails for another reason than before.
//! A probe that says nothing about the target, as this host could not make it, changes nothing.
//!
//! Source: application load balancer, 9.7; network load balancer, 8.1.

use std::borrow::Cow;

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The target is well.
    Passed,
    /// It is not.
    Failed(Reason),
    /// This host could not ask, for want of descriptors or ports, say: nothing is known.
    NotMade,
}

/// Why a target is unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It answered with a status that the matcher does not have.
    ResponseCodeMismatch {
        /// Which.
        status: u16,
    },
    /// It did not answer in time.
    Timeout,
    /// It could not be connected to, closed early, or did not speak HTTP.
    FailedHealthChecks,
}

/// Probes in a row that it takes to change a verdict; both at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Passed, from unhealthy to healthy.
    pub healthy: u32,
    /// Failed, to unhealthy.
    pub unhealthy: u32,
}

/// What is thought of a target. Starts `Initial`; every change of verdict is returned exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Registered, no probe has passed, too few have failed.
    Initial {
        /// Failed in a row.
        failed: u32,
    },
    /// Gets traffic.
    Healthy {
        /// Failed in a row.
        failed: u32,
    },
    /// Gets traffic only if nobody in its group is healthy.
    Unhealthy {
        /// Passed in a row.
        passed: u32,
        /// Why the last failed probe failed.
        reason: Reason,
    },
}

/// A change of verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// Gets traffic from now on.
    Healthy,
    /// Gets none from now on.
    Unhealthy(Reason),
    /// As unhealthy as before, for another reason.
    OtherReason(Reason),
}

impl Reason {
    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::ResponseCodeMismatch { .. } => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
        }
    }

    /// Its text.
    pub fn description(self) -> Cow<'static, str> {
        match self {
            Self::ResponseCodeMismatch { status } => {
                format!("Health checks failed with these codes: [{status}]").into()
            }
            Self::Timeout => "Request timed out".into(),
            Self::FailedHealthChecks => "Health checks failed".into(),
        }
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::Initial { failed: 0 }
    }
}

impl Verdict {
    /// Takes in one probe; what has changed by it.
    pub fn observe(&mut self, outcome: Outcome, thresholds: Thresholds) -> Option<Transition> {
        debug_assert!(thresholds.healthy > 0 && thresholds.unhealthy > 0);
        match outcome {
            Outcome::Passed => self.passed(thresholds.healthy),
            Outcome::Failed(reason) => self.failed(reason, thresholds.unhealthy),
            Outcome::NotMade => None,
        }
    }

    fn passed(&mut self, enough: u32) -> Option<Transition> {
        match self {
            Self::Healthy { failed } => {
                *failed = 0;
                None
            }
            Self::Unhealthy { passed, .. } if *passed + 1 < enough => {
                *passed += 1;
                None
            }
            Self::Initial { .. } | Self::Unhealthy { .. } => {
                *self = Self::Healthy { failed: 0 };
                Some(Transition::Healthy)
            }
        }
    }

    fn failed(&mut self, reason: Reason, enough: u32) -> Option<Transition> {
        match self {
            Self::Initial { failed } | Self::Healthy { failed } if *failed + 1 < enough => {
                *failed += 1;
                None
            }
            Self::Initial { .. } | Self::Healthy { .. } => {
                *self = Self::Unhealthy { passed: 0, reason };
                Some(Transition::Unhealthy(reason))
            }
            Self::Unhealthy {
                passed,
                reason: before,
            } => {
                *passed = 0;
                let changed = std::mem::replace(before, reason) != reason;
                changed.then_some(Transition::OtherReason(reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: Reason = Reason::ResponseCodeMismatch { status: 503 };
    const LATE: Reason = Reason::Timeout;
    const THRESHOLDS: Thresholds = Thresholds {
        healthy: 3,
        unhealthy: 2,
    };

    /// `+` passed, `-` 503, `t` timed out, `?` not made -> `H`, `U` (for 503), `T` (timed out), lower case = only the
    /// reason is another, `.` nothing changed.
    fn judge(probes: &str) -> String {
        let mut verdict = Verdict::default();
        let seen = probes.chars().map(|probe| {
            let outcome = match probe {
                '+' => Outcome::Passed,
                '-' => Outcome::Failed(BAD),
                't' => Outcome::Failed(LATE),
                _ => Outcome::NotMade,
            };
            match verdict.observe(outcome, THRESHOLDS) {
                None => '.',
                Some(Transition::Healthy) => 'H',
                Some(Transition::Unhealthy(BAD)) => 'U',
                Some(Transition::Unhealthy(_)) => 'T',
                Some(Transition::OtherReason(BAD)) => 'u',
                Some(Transition::OtherReason(_)) => 't',
            }
        });
        seen.collect()
    }

    #[test]
    fn verdicts_change_at_the_thresholds_and_are_told_once() {
        let cases = [
            ("the first passed probe is enough at first", "+++", "H.."),
            (
                "and so it is after a failed one, which counts no more",
                "-+--",
                ".H.U",
            ),
            ("a new target fails after two", "--", ".U"),
            ("the last reason counts", "-t", ".T"),
            ("failures count in a row only", "+-+-+--", "H.....U"),
            (
                "an unhealthy target passes three in a row",
                "--++-+++",
                ".U.....H",
            ),
            ("another reason is told once", "--tt-", ".Ut.u"),
            ("what was not made counts neither way", "?+?-?-?", ".H...U."),
            ("nor does it break a row", "--+?+?+", ".U....H"),
        ];
        for (what, probes, expected) in cases {
            assert_eq!(judge(probes), expected, "{what}");
        }
    }

    #[test]
    fn a_changed_threshold_counts_from_the_next_probe_on() {
        let strict = Thresholds {
            healthy: 2,
            unhealthy: 5,
        };
        let mut verdict = Verdict::Healthy { failed: 3 };
        assert_eq!(verdict.observe(Outcome::Failed(LATE), strict), None);
        let lax = Thresholds {
            unhealthy: 2,
            ..strict
        };
        assert_eq!(
            verdict.observe(Outcome::Failed(LATE), lax),
            Some(Transition::Unhealthy(LATE))
        );
    }

    #[test]
    fn reasons_have_the_words_of_the_specification() {
        let cases = [
            (
                BAD,
                "Target.ResponseCodeMismatch",
                "Health checks failed with these codes: [503]",
            ),
            (LATE, "Target.Timeout", "Request timed out"),
            (
                Reason::FailedHealthChecks,
                "Target.FailedHealthChecks",
                "Health checks failed",
            ),
        ];
        for (reason, code, description) in cases {
            assert_eq!((reason.code(), &*reason.description()), (code, description));
        }
    }
}
