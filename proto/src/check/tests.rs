//! What the tables of cases in each file share: how to run them, and parts of well-formed messages.

use super::{Violation, check};
use crate::v1;

/// A well-formed group.
pub(super) fn http() -> v1::TargetGroup {
    v1::TargetGroup {
        name: "catalog".to_owned(),
        protocol: v1::Protocol::Http.into(),
        port: 9001,
        ..Default::default()
    }
}

/// The same below HTTP.
pub(super) fn tcp() -> v1::TargetGroup {
    v1::TargetGroup {
        protocol: v1::Protocol::Tcp.into(),
        ..http()
    }
}

/// A change to a well-formed message, and the violations that it makes, as `field: message`.
pub(super) type Case<M> = (fn(&mut M), &'static [&'static str]);

/// Applies every change to a fresh message and compares what is found.
pub(super) fn run<M: Into<v1::Resource>>(good: fn() -> M, cases: &[Case<M>]) {
    for (index, (change, expected)) in cases.iter().enumerate() {
        let mut message = good();
        change(&mut message);
        let found = check(&message.into())
            .into_iter()
            .map(show)
            .collect::<Vec<_>>();
        assert_eq!(found, *expected, "case {index}");
    }
}

fn show(violation: Violation) -> String {
    format!("{}: {}", violation.field, violation.message)
}

pub(super) fn rule() -> v1::Rule {
    let values = v1::ValuesCondition {
        values: vec!["/catalog/*".to_owned()],
        ..Default::default()
    };
    v1::Rule {
        name: "catalog".to_owned(),
        listener: "shop/http".to_owned(),
        priority: 10,
        conditions: vec![v1::Condition {
            kind: Some(v1::condition::Kind::PathPattern(values)),
        }],
        actions: vec![forward(&["catalog"])],
        ..Default::default()
    }
}

pub(super) fn forward(groups: &[&str]) -> v1::Action {
    let group = |name: &&str| v1::forward::WeightedTargetGroup {
        name: (*name).to_owned(),
        weight: None,
    };
    let forward = v1::Forward {
        target_groups: groups.iter().map(group).collect(),
        stickiness: None,
    };
    v1::Action {
        kind: Some(v1::action::Kind::Forward(forward)),
    }
}

pub(super) fn redirect(change: fn(&mut v1::Redirect)) -> v1::Action {
    let mut redirect = v1::Redirect {
        status_code: 301,
        ..Default::default()
    };
    change(&mut redirect);
    v1::Action {
        kind: Some(v1::action::Kind::Redirect(redirect)),
    }
}

pub(super) fn fixed_response(status_code: u32) -> v1::Action {
    let response = v1::FixedResponse {
        status_code,
        ..Default::default()
    };
    v1::Action {
        kind: Some(v1::action::Kind::FixedResponse(response)),
    }
}

#[test]
fn an_empty_envelope_is_refused() {
    let found = check(&v1::Resource::default());
    assert_eq!(found.len(), 1);
}

#[test]
fn certificates_are_not_served_yet() {
    let found = check(&v1::Certificate::default().into());
    let expected = Violation {
        field: String::new(),
        message: "kind Certificate is not supported yet".to_owned(),
    };
    assert_eq!(found, [expected]);
}
