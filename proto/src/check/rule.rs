//! Rule (specification: application load balancer, 7). Its conditions are in `condition`, its actions in `action`.

use super::action::Place;
use super::findings::Findings;
use super::{action, condition, field, limits};
use crate::kind::Kind;
use crate::v1;

pub(super) fn check(findings: &mut Findings, rule: &v1::Rule) {
    field::name(findings, &rule.name);
    field::labels(findings, "tags", &rule.tags);
    field::reference(findings, "listener", Kind::Listener, &rule.listener);
    field::required_range(findings, "priority", rule.priority, &limits::PRIORITY);
    condition::all(findings, &rule.conditions);
    findings.each("transforms", &rule.transforms, |findings, _| {
        findings.unsupported("", "a transform")
    });
    action::routing(findings, "actions", &rule.actions, Place::Rule);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, rule, run};

    #[test]
    fn rules() {
        let cases: &[Case<v1::Rule>] = &[
            (|_| {}, &[]),
            (|r| r.priority = 50_000, &[]),
            (
                |r| r.priority = 0,
                &["priority: a number is required: 1 to 50000"],
            ),
            (
                |r| r.priority = 50_001,
                &["priority: 50001 is out of range, 1 to 50000 are allowed"],
            ),
            (
                |r| r.listener = "shop".to_owned(),
                &["listener: 'shop' is not the name of a Listener: expected loadBalancer/listener"],
            ),
            (
                |r| r.transforms = vec![v1::Transform::default()],
                &["transforms[0]: a transform is not supported yet"],
            ),
            (
                |r| *r = v1::Rule::default(),
                &[
                    "name: a name is required",
                    "listener: a Listener is required: loadBalancer/listener",
                    "priority: a number is required: 1 to 50000",
                    "conditions: a condition is required",
                    "actions: an action is required: forward, redirect or fixedResponse",
                ],
            ),
        ];
        run(rule, cases);
    }
}
