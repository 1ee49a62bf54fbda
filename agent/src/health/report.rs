//! Verdicts in the words of the discovery stream. Source: application load balancer, 9.7 (states, reasons, texts).

use std::borrow::Cow;
use std::time::Duration;

use inlet_proto::v1;
use v1::target_health::State;

use crate::live;

use super::verdict::Verdict;

/// A registered target, `age` after its verdict.
pub(super) fn registered(
    target: &live::Target,
    verdict: Verdict,
    age: Duration,
) -> v1::TargetVerdict {
    let (state, words): (_, (_, Cow<'_, str>)) = match verdict {
        Verdict::Initial { .. } => (
            State::Initial,
            (
                "Elb.InitialHealthChecking",
                "Initial health checks in progress".into(),
            ),
        ),
        Verdict::Healthy { .. } => (State::Healthy, ("", "".into())),
        Verdict::Unhealthy { reason, .. } => {
            (State::Unhealthy, (reason.code(), reason.description()))
        }
    };
    report(target, state, words, age)
}

/// A deregistered target, `age` after its deregistration.
pub(super) fn draining(target: &live::Target, age: Duration) -> v1::TargetVerdict {
    let words = (
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress".into(),
    );
    report(target, State::Draining, words, age)
}

/// A target that this agent has nothing to do with any more: whoever hears it forgets what was said before.
pub(super) fn gone(target: &live::Target) -> v1::TargetVerdict {
    let words = (
        "Target.NotRegistered",
        "Target is not registered to the target group".into(),
    );
    report(target, State::Unused, words, Duration::ZERO)
}

fn report(
    target: &live::Target,
    state: State,
    (reason, description): (&str, Cow<'_, str>),
    age: Duration,
) -> v1::TargetVerdict {
    v1::TargetVerdict {
        target_group: target.group.to_string(),
        target: target.address.to_string(),
        state: state.into(),
        reason: reason.to_owned(),
        description: description.into_owned(),
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::verdict::Reason;
    use crate::table::testing::target;

    #[test]
    fn every_state_has_the_words_of_the_specification() {
        let target = target(0, "[fd00::1]:80".parse().unwrap());
        let second = Duration::from_secs(1);
        let unhealthy = Verdict::Unhealthy {
            passed: 1,
            reason: Reason::Timeout,
        };
        let healthy = Verdict::Healthy { failed: 1 };
        let cases = [
            (
                registered(&target, Verdict::default(), second),
                (State::Initial, "Elb.InitialHealthChecking"),
                "Initial health checks in progress",
            ),
            (
                registered(&target, healthy, second),
                (State::Healthy, ""),
                "",
            ),
            (
                registered(&target, unhealthy, second),
                (State::Unhealthy, "Target.Timeout"),
                "Request timed out",
            ),
            (
                draining(&target, second),
                (State::Draining, "Target.DeregistrationInProgress"),
                "Target deregistration is in progress",
            ),
        ];
        for (told, (state, reason), description) in cases {
            let expected = v1::TargetVerdict {
                target_group: "catalog".to_owned(),
                target: "[fd00::1]:80".to_owned(),
                state: state.into(),
                reason: reason.to_owned(),
                description: description.to_owned(),
                age_ms: 1000,
            };
            assert_eq!(told, expected);
        }
        assert_eq!(gone(&target).state(), State::Unused);
    }
}
