//! Admission, by tables: what is refused with which reasons, and what a change makes of a state.

mod admitted;
mod large;
mod quotas;
mod refused;

use std::collections::BTreeSet;

use prost_types::Timestamp;

use super::*;
use crate::testing::upserts;
use inlet_proto::name::Key;
use inlet_proto::v1;

/// A shop with every kind that refers or is referred to.
const SHOP: &str = "
{kind: LoadBalancer, name: shop, type: APPLICATION, addresses: [127.0.0.1]}
---
{kind: LoadBalancer, name: wire, type: NETWORK, addresses: [127.0.0.1]}
---
{kind: TargetGroup, name: web, protocol: HTTP, port: 9001, targets: [{address: 127.0.0.1}, {address: 127.0.0.2}]}
---
{kind: TargetGroup, name: raw, protocol: TCP, port: 9002}
---
{kind: TargetGroup, name: spare, protocol: HTTP, port: 9003, targets: [{address: 127.0.0.1}]}
---
{kind: Listener, name: http, loadBalancer: shop, protocol: HTTP, port: 8080,
 defaultActions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: Listener, name: tcp, loadBalancer: wire, protocol: TCP, port: 8081,
 defaultActions: [{forward: {targetGroups: [{name: raw}]}}]}
---
{kind: Rule, name: one, listener: shop/http, priority: 1, conditions: [{pathPattern: {values: [/one]}}],
 actions: [{forward: {targetGroups: [{name: web}]}}]}
---
{kind: Rule, name: two, listener: shop/http, priority: 2, conditions: [{pathPattern: {values: [/two]}}],
 actions: [{fixedResponse: {statusCode: 200}}]}
";

/// A change that puts a manifest.
fn put(text: &str) -> Change {
    let upserts = if text.trim().is_empty() {
        Vec::new()
    } else {
        upserts(text)
    };
    Change {
        upserts: upserts.into_iter().map(Into::into).collect(),
        ..Change::default()
    }
}

/// A change that deletes: `Kind/full/name`s.
fn delete(names: &[&str]) -> Change {
    Change {
        deletions: names.iter().map(|name| key(name)).collect(),
        ..Change::default()
    }
}

fn key(text: &str) -> Key {
    let (kind, name) = text.split_once('/').unwrap();
    Key::parse(kind, name).unwrap()
}

/// Judges a change under the default quotas; new uids are `REVISION.NUMBER`.
fn judge(state: &State, change: &Change) -> Result<Admitted, Vec<Violation>> {
    judge_with(state, change, &Quotas::default(), &BTreeSet::new())
}

fn judge_with(
    state: &State,
    change: &Change,
    quotas: &Quotas,
    anew: &BTreeSet<Key>,
) -> Result<Admitted, Vec<Violation>> {
    let revision = state.revision() + 1;
    let now = Timestamp {
        seconds: i64::try_from(revision).unwrap(),
        nanos: 0,
    };
    let terms = Terms { now, quotas, anew };
    let mut number = 0;
    admit(state, change, &terms, &mut || {
        number += 1;
        format!("{revision}.{number}")
    })
}

/// The state after a manifest on another.
#[track_caller]
fn after(state: &State, text: &str) -> State {
    judge(state, &put(text)).unwrap().state
}

fn shop() -> State {
    after(&State::empty(), SHOP)
}

/// `Reference Listener/shop/http defaultActions: text`, a line for each.
fn lines(refused: Result<Admitted, Vec<Violation>>) -> Vec<String> {
    let line = |it: Violation| {
        let key = it.key.map_or_else(|| "-".to_owned(), |key| key.to_string());
        let field = if it.field.is_empty() { "-" } else { &it.field };
        format!("{:?} {key} {field}: {}", it.kind, it.message)
    };
    refused.map_or_else(
        |found| found.into_iter().map(line).collect(),
        |_| Vec::new(),
    )
}

/// `changed Listener/shop/http`, a line for each.
fn changes(admitted: &Admitted) -> Vec<String> {
    let line = |changed: &Changed| {
        let operation = changed.operation().as_str_name().to_lowercase();
        format!("{operation} {}", changed.key)
    };
    admitted.changes.iter().map(line).collect()
}

fn kept(state: &State, name: &str) -> inlet_proto::kind::Kept {
    state.get(&key(name)).unwrap().kept().unwrap()
}

fn group(name: &str, port: u32) -> v1::TargetGroup {
    v1::TargetGroup {
        name: name.to_owned(),
        protocol: v1::Protocol::Http.into(),
        port,
        ..Default::default()
    }
}

fn upsert(resource: impl Into<v1::Resource>, origin: &str) -> Upsert {
    Upsert {
        resource: resource.into(),
        origin: origin.to_owned(),
        ..Upsert::default()
    }
}
