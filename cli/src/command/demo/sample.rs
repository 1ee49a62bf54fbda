//! The sample configuration, as the manifest that a user would write, and the change to try.
//!
//! Pure: ports and names in, YAML out. `sample/*.yaml` are the templates, with `${name}` for what differs.

use inlet_proto::manifest::{self, Document};

use super::error::DemoError;
use super::ports::{Ports, ZONES};

/// The zones; each has an agent `edge-ZONE` with the label `zone=ZONE`.
pub(super) const ZONE_NAMES: [&str; ZONES] = ["a", "b"];
/// The agents, in the order of the zones.
pub(super) const AGENTS: [&str; ZONES] = ["edge-a", "edge-b"];
/// The target groups, with the number of their targets.
pub(super) const GROUPS: [(&str, usize); 3] = [("blue", 2), ("green", 1), ("echo", 1)];

const SHARED: &str = include_str!("sample/groups.yaml");
const ZONE: &str = include_str!("sample/zone.yaml");
const RELEASE: &str = include_str!("sample/release.yaml");
const SEPARATOR: &str = "---\n";

/// Ports of the sample backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BackendPorts {
    /// First target of group blue.
    pub(super) blue_1: u16,
    /// Second target of group blue.
    pub(super) blue_2: u16,
    /// The target of group green.
    pub(super) green: u16,
    /// The target of group echo.
    pub(super) echo: u16,
}

/// Weights of the two groups that share `/release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    /// Of group blue.
    pub(super) blue: u32,
    /// Of group green.
    pub(super) green: u32,
}

/// As the sample has it.
pub(super) const AT_FIRST: Shares = Shares { blue: 3, green: 1 };
/// As the change has it: the next release takes over.
pub(super) const RELEASED: Shares = Shares { blue: 0, green: 1 };

/// The whole sample.
pub(super) fn sample(ports: &Ports, backends: &BackendPorts) -> String {
    let mut documents = vec![fill(
        SHARED,
        &[
            ("blue-1", backends.blue_1.to_string()),
            ("blue-2", backends.blue_2.to_string()),
            ("green", backends.green.to_string()),
            ("echo", backends.echo.to_string()),
        ],
    )];
    for (index, zone) in ZONE_NAMES.into_iter().enumerate() {
        documents.push(fill(
            ZONE,
            &[
                ("zone", zone.to_owned()),
                ("http", ports.http[index].to_string()),
                ("tcp", ports.tcp[index].to_string()),
            ],
        ));
        documents.push(release(zone, AT_FIRST));
    }
    documents.join(SEPARATOR)
}

/// The change to try: one rule in each zone, at once.
pub(super) fn change() -> String {
    ZONE_NAMES
        .map(|zone| release(zone, RELEASED))
        .join(SEPARATOR)
}

/// The documents of a manifest of ours. Errors: [`DemoError::Sample`], which a test excludes.
pub(super) fn parse(manifest: &str) -> Result<Vec<Document>, DemoError> {
    let mut no_files = |name: &str| Err(format!("the sample has no file {name}"));
    manifest::parse(manifest, &mut no_files).map_err(|mut errors| {
        // There is at least one, or parsing would not have failed.
        DemoError::Sample(errors.swap_remove(0))
    })
}

fn release(zone: &str, shares: Shares) -> String {
    fill(
        RELEASE,
        &[
            ("zone", zone.to_owned()),
            ("blue", shares.blue.to_string()),
            ("green", shares.green.to_string()),
        ],
    )
}

fn fill(template: &str, values: &[(&str, String)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use inlet_proto::check::check;
    use inlet_proto::v1::action::Kind as Action;
    use inlet_proto::v1::resource::Kind as Body;

    use super::*;

    const PORTS: Ports = Ports {
        control_plane: 7400,
        admin: [7490, 7491],
        http: [8080, 8081],
        tcp: [8090, 8091],
    };
    const BACKENDS: BackendPorts = BackendPorts {
        blue_1: 9001,
        blue_2: 9002,
        green: 9003,
        echo: 9004,
    };

    fn keys(manifest: &str) -> BTreeSet<String> {
        let documents = parse(manifest).unwrap();
        let keys: BTreeSet<_> = documents
            .iter()
            .map(|document| document.resource.key().unwrap().to_string())
            .collect();
        assert_eq!(keys.len(), documents.len(), "a document is there twice");
        keys
    }

    #[test]
    fn the_sample_is_filled_in_and_well_formed() {
        let sample = sample(&PORTS, &BACKENDS);
        assert!(!sample.contains("${"), "{sample}");
        for document in parse(&sample).unwrap() {
            assert_eq!(check(&document.resource), [], "{:?}", document.resource);
        }
        let keys = keys(&sample);
        for key in [
            "TargetGroup/echo",
            "LoadBalancer/shop-a",
            "Listener/shop-b/http",
            "Listener/wire-b/tcp",
            "Rule/shop-a/http/release",
            "Rule/shop-b/http/preview",
        ] {
            assert!(keys.contains(key), "{key}: {keys:?}");
        }
        assert_eq!(keys.len(), 3 + 2 * 10);
    }

    #[test]
    fn groups_and_targets_are_those_that_are_checked() {
        let documents = parse(&sample(&PORTS, &BACKENDS)).unwrap();
        let groups: Vec<_> = documents
            .iter()
            .filter_map(|document| match &document.resource.kind {
                Some(Body::TargetGroup(group)) => Some((group.name.as_str(), group.targets.len())),
                _ => None,
            })
            .collect();
        assert_eq!(groups, GROUPS);
    }

    #[test]
    fn the_change_has_one_known_rule_in_each_zone_and_differs() {
        let sample = sample(&PORTS, &BACKENDS);
        let change = change();
        let changed = keys(&change);
        assert_eq!(
            changed.iter().collect::<Vec<_>>(),
            ["Rule/shop-a/http/release", "Rule/shop-b/http/release"]
        );
        assert!(changed.is_subset(&keys(&sample)));
        for document in parse(&change).unwrap() {
            let Some(Body::Rule(rule)) = &document.resource.kind else {
                panic!("not a rule")
            };
            let Some(Action::Forward(forward)) = &rule.actions[0].kind else {
                panic!("not a forward")
            };
            let weights: Vec<_> = forward.target_groups.iter().map(|g| g.weight).collect();
            assert_eq!(weights, [Some(RELEASED.blue), Some(RELEASED.green)]);
        }
    }
}
