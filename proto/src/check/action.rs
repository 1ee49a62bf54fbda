//! Actions of rules and listeners (specification: application load balancer, 7.3; network load balancer, 4.4).

use super::findings::Findings;
use super::{field, limits, redirect};
use crate::kind::Kind;
use crate::v1;
use crate::v1::Protocol;
use crate::v1::action::Kind as Body;

/// Whose actions they are: what is known of the listener narrows what is legal.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// A rule's; only the name of its listener is known.
    Rule,
    /// A listener's default.
    Listener(&'a v1::Listener),
}

impl Place<'_> {
    /// The protocol, if it relays connections and so can only forward.
    fn relays(self) -> Option<Protocol> {
        match self {
            Self::Rule => None,
            Self::Listener(listener) => match listener.protocol() {
                Protocol::Unspecified | Protocol::Http | Protocol::Https => None,
                protocol => Some(protocol),
            },
        }
    }
}

/// A list that must hold exactly one routing action.
pub(super) fn routing(
    findings: &mut Findings,
    list: &str,
    actions: &[v1::Action],
    place: Place<'_>,
) {
    let allowed = match place.relays() {
        Some(_) => "forward",
        None => "forward, redirect or fixedResponse",
    };
    match actions.len() {
        0 => findings.refuse(list, format!("an action is required: {allowed}")),
        1 => {}
        count => findings.refuse(
            list,
            format!("{count} actions are given, exactly one of {allowed} is allowed"),
        ),
    }
    findings.each(list, actions, |findings, action| {
        one(findings, action, place, allowed)
    });
}

fn one(findings: &mut Findings, action: &v1::Action, place: Place<'_>, allowed: &str) {
    let only_forward = place
        .relays()
        .map(|protocol| format!("a {} listener can only forward", protocol.as_str_name()));
    match (&action.kind, only_forward) {
        (None, _) => findings.refuse("", format!("an action is required: {allowed}")),
        (Some(Body::Forward(given)), _) => {
            findings.inside("forward", |findings| forward(findings, given))
        }
        (Some(Body::Redirect(_)), Some(refusal)) => findings.refuse("redirect", refusal),
        (Some(Body::FixedResponse(_)), Some(refusal)) => findings.refuse("fixedResponse", refusal),
        (Some(Body::Redirect(given)), None) => {
            findings.inside("redirect", |findings| {
                redirect::check(findings, given, place)
            });
        }
        (Some(Body::FixedResponse(given)), None) => {
            findings.inside("fixedResponse", |findings| fixed_response(findings, given));
        }
    }
}

fn forward(findings: &mut Findings, forward: &v1::Forward) {
    let (count, max) = (
        forward.target_groups.len(),
        limits::TARGET_GROUPS_PER_ACTION,
    );
    if count == 0 {
        findings.refuse("targetGroups", "a target group is required");
    } else if count > max {
        findings.refuse(
            "targetGroups",
            format!("{count} are given, at most {max} are allowed"),
        );
    }
    findings.each("targetGroups", &forward.target_groups, |findings, group| {
        field::reference(findings, "name", Kind::TargetGroup, &group.name);
        if let Some(weight) = group.weight {
            field::range(findings, "weight", weight, &limits::WEIGHT);
        }
    });
    field::distinct(
        findings,
        "targetGroups",
        &forward.target_groups,
        |group| group.name.clone(),
        |group| group.name.clone(),
    );
    if forward.stickiness.is_some() {
        findings.unsupported("stickiness", "the stickiness of a forward action");
    }
}

fn fixed_response(findings: &mut Findings, response: &v1::FixedResponse) {
    match response.status_code {
        200..=299 | 400..=599 => {}
        0 => findings.refuse(
            "statusCode",
            "a status is required: 200 to 299 or 400 to 599",
        ),
        code => findings.refuse(
            "statusCode",
            format!("{code} is not 200 to 299 or 400 to 599"),
        ),
    }
    let given = response.content_type.as_str();
    if !given.is_empty() && !limits::CONTENT_TYPES.contains(&given) {
        let allowed = limits::CONTENT_TYPES.join(", ");
        findings.refuse("contentType", format!("'{given}' is not one of {allowed}"));
    }
    let (chars, max) = (response.body.chars().count(), limits::BODY_CHARS);
    if chars > max {
        findings.refuse(
            "body",
            format!("{chars} characters are given, at most {max} are allowed"),
        );
    }
    if response.status_code == 204 && chars > 0 {
        findings.refuse("body", "an answer with the status 204 has no body");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, fixed_response, forward, rule, run};

    fn forwarded(rule: &mut v1::Rule) -> &mut v1::Forward {
        match &mut rule.actions[0].kind {
            Some(Body::Forward(forward)) => forward,
            _ => unreachable!("the sample forwards"),
        }
    }

    fn answered(rule: &mut v1::Rule, change: fn(&mut v1::FixedResponse)) {
        let mut action = fixed_response(200);
        if let Some(Body::FixedResponse(response)) = &mut action.kind {
            change(response);
        }
        rule.actions = vec![action];
    }

    #[test]
    fn a_rule_has_exactly_one_action() {
        let cases: &[Case<v1::Rule>] = &[
            (|_| {}, &[]),
            (
                |r| r.actions.clear(),
                &["actions: an action is required: forward, redirect or fixedResponse"],
            ),
            (
                |r| r.actions.push(v1::Action::default()),
                &[
                    "actions: 2 actions are given, exactly one of forward, redirect or fixedResponse is allowed",
                    "actions[1]: an action is required: forward, redirect or fixedResponse",
                ],
            ),
        ];
        run(rule, cases);
    }

    #[test]
    fn forwards() {
        let cases: &[Case<v1::Rule>] = &[
            (
                |r| r.actions = vec![forward(&["a", "b", "c", "d", "e"])],
                &[],
            ),
            (|r| forwarded(r).target_groups[0].weight = Some(0), &[]),
            (
                |r| r.actions = vec![forward(&["a", "b", "c", "d", "e", "f"])],
                &["actions[0].forward.targetGroups: 6 are given, at most 5 are allowed"],
            ),
            (
                |r| r.actions = vec![forward(&[])],
                &["actions[0].forward.targetGroups: a target group is required"],
            ),
            (
                |r| r.actions = vec![forward(&["a", "a"])],
                &["actions[0].forward.targetGroups[1]: 'a' is given already at targetGroups[0]"],
            ),
            (
                |r| r.actions = vec![forward(&[""])],
                &["actions[0].forward.targetGroups[0].name: a TargetGroup is required: one name"],
            ),
            (
                |r| forwarded(r).target_groups[0].weight = Some(1000),
                &[
                    "actions[0].forward.targetGroups[0].weight: 1000 is out of range, 0 to 999 are allowed",
                ],
            ),
            (
                |r| forwarded(r).stickiness = Some(v1::forward::GroupStickiness::default()),
                &[
                    "actions[0].forward.stickiness: the stickiness of a forward action is not supported yet",
                ],
            ),
        ];
        run(rule, cases);
    }

    #[test]
    fn fixed_responses() {
        let cases: &[Case<v1::Rule>] = &[
            (
                |r| answered(r, |a| a.content_type = "application/json".to_owned()),
                &[],
            ),
            (|r| answered(r, |a| a.body = "x".repeat(1024)), &[]),
            (|r| answered(r, |a| a.status_code = 599), &[]),
            (
                |r| answered(r, |a| a.status_code = 0),
                &[
                    "actions[0].fixedResponse.statusCode: a status is required: 200 to 299 or 400 to 599",
                ],
            ),
            (
                |r| answered(r, |a| a.status_code = 302),
                &["actions[0].fixedResponse.statusCode: 302 is not 200 to 299 or 400 to 599"],
            ),
            (
                |r| answered(r, |a| a.content_type = "text/xml".to_owned()),
                &[concat!(
                    "actions[0].fixedResponse.contentType: 'text/xml' is not one of text/plain, text/css, text/html, ",
                    "application/javascript, application/json",
                )],
            ),
            (
                |r| answered(r, |a| a.body = "x".repeat(1025)),
                &[
                    "actions[0].fixedResponse.body: 1025 characters are given, at most 1024 are allowed",
                ],
            ),
            (
                |r| {
                    answered(r, |a| {
                        a.status_code = 204;
                        a.body = "x".to_owned();
                    });
                },
                &["actions[0].fixedResponse.body: an answer with the status 204 has no body"],
            ),
        ];
        run(rule, cases);
    }
}
