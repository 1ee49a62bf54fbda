//! Answers of the API as JSON values, in the conventions of manifests: camelCase, enums by bare name, times as text.

use inlet_proto::{manifest, v1};
use serde_json::{Map, Value, json};

/// One resource, with what the server keeps.
pub(crate) fn resource(resource: &v1::Resource) -> Value {
    manifest::to_json(resource, true)
}

/// Several resources, as one document that `apply` accepts.
pub(crate) fn list(resources: &[v1::Resource]) -> Value {
    let items: Vec<_> = resources.iter().map(resource).collect();
    json!({"kind": "List", "items": items})
}

/// Several documents of resources, as `apply` accepts them.
pub(crate) fn documents(resources: &[v1::Resource]) -> String {
    let documents: Vec<_> = resources
        .iter()
        .map(|one| manifest::to_yaml(one, false))
        .collect();
    documents.join("---\n")
}

/// An agent.
pub(crate) fn agent(agent: &v1::Agent) -> Value {
    let mut labels: Vec<_> = agent.labels.iter().collect();
    labels.sort();
    let labels: Map<_, _> = labels
        .into_iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let mut value = json!({
        "name": agent.name,
        "labels": labels,
        "version": agent.version,
        "connected": agent.connected,
        "revisionInForce": agent.revision_in_force,
        "revisionWanted": agent.revision_wanted,
        "peer": agent.peer,
        "resources": agent.resources,
        "lastSeen": time(agent.last_seen.as_ref()),
    });
    if let Some(refused) = &agent.last_refusal {
        value["lastRefusal"] = refusal(refused);
    }
    value
}

fn refusal(refusal: &v1::Refusal) -> Value {
    let reason = |reason: &v1::refusal::Reason| json!({"resource": reason.key.as_ref().map(key), "message": reason.message});
    json!({
        "revision": refusal.revision,
        "time": time(refusal.time.as_ref()),
        "reasons": refusal.reasons.iter().map(reason).collect::<Vec<_>>(),
    })
}

/// The health of a target.
pub(crate) fn health(health: &v1::TargetHealth) -> Value {
    let target = health.target.clone().unwrap_or_default();
    let agent = |view: &v1::target_health::AgentView| {
        json!({
            "agent": view.agent,
            "state": view.state().as_str_name(),
            "reason": view.reason,
            "description": view.description,
            "since": time(view.since.as_ref()),
        })
    };
    json!({
        "target": {"address": target.address, "port": target.port},
        "state": health.state().as_str_name(),
        "reason": health.reason,
        "description": health.description,
        "agents": health.agents.iter().map(agent).collect::<Vec<_>>(),
    })
}

/// A revision, with what it changed.
pub(crate) fn revision(revision: &v1::Revision) -> Value {
    json!({
        "revision": revision.revision,
        "time": time(revision.time.as_ref()),
        "author": revision.author,
        "message": revision.message,
        "changes": changes(&revision.changes),
    })
}

/// What a change did, or would do.
pub(crate) fn applied(response: &v1::ApplyResponse) -> Value {
    json!({
        "revision": response.revision,
        "committed": response.committed,
        "changes": changes(&response.changes),
    })
}

/// Changes of resources.
pub(crate) fn changes(changes: &[v1::ResourceChange]) -> Value {
    changes.iter().map(change).collect()
}

fn change(change: &v1::ResourceChange) -> Value {
    let mut value = json!({
        "operation": change.operation().as_str_name(),
        "kind": change.key.as_ref().map(|key| key.kind.as_str()),
        "name": change.key.as_ref().map(|key| key.name.as_str()),
    });
    for (name, side) in [("before", &change.before), ("after", &change.after)] {
        if let Some(side) = side {
            value[name] = resource(side);
        }
    }
    value
}

/// `Kind/full/name`.
pub(crate) fn key(key: &v1::ResourceKey) -> String {
    format!("{}/{}", key.kind, key.name)
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_all_its_facts() {
        let reason = v1::refusal::Reason {
            key: Some(v1::ResourceKey {
                kind: "Listener".to_owned(),
                name: "shop/http".to_owned(),
            }),
            message: "in use".to_owned(),
        };
        let refusal = v1::Refusal {
            revision: 3,
            reasons: vec![reason],
            time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
        };
        let agent = agent(&v1::Agent {
            name: "edge-1".to_owned(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            revision_in_force: 2,
            revision_wanted: 3,
            last_refusal: Some(refusal),
            ..Default::default()
        });
        assert_eq!(agent["labels"], json!({"zone": "a"}));
        assert_eq!(agent["revisionInForce"], 2);
        assert_eq!(
            agent["lastRefusal"]["reasons"][0]["resource"],
            "Listener/shop/http"
        );
        assert_eq!(agent["lastRefusal"]["time"], "1970-01-01T00:00:01Z");
        assert_eq!(agent["lastSeen"], Value::Null);
    }

    #[test]
    fn what_a_list_prints_is_a_manifest() {
        let groups = ["a", "b"].map(|name| {
            v1::Resource::from(v1::TargetGroup {
                name: name.to_owned(),
                protocol: v1::Protocol::Http.into(),
                port: 80,
                uid: "0198".to_owned(),
                revision: 7,
                ..Default::default()
            })
        });
        for text in [list(&groups).to_string(), documents(&groups)] {
            let read = manifest::parse(&text, &mut |_| Err(String::new())).unwrap();
            let names: Vec<_> = read
                .iter()
                .map(|document| document.resource.key().unwrap().name)
                .collect();
            assert_eq!(names, ["a", "b"], "{text}");
        }
        assert!(list(&groups).to_string().contains("0198"));
        assert!(!documents(&groups).contains("0198"));
    }
}
