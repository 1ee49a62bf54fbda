//! `lbctl describe`: a resource with everything around it: what it refers to, what refers to it, what is below it, how
//! its targets are, and on which agents it is in force.

use std::time::SystemTime;

use clap::Args;
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;
use inlet_proto::v1::resource::Kind as Body;
use inlet_proto::{manifest, v1};
use jiff::tz::TimeZone;

use super::{Session, kind};
use crate::client::{Client, Selection};
use crate::error::Error;
use crate::output::age::{age, date};
use crate::output::description::Description;
use crate::output::style::Style;
use crate::output::{Format, fleet, form, kinds};
use crate::relations;

/// Flags of `lbctl describe`.
#[derive(Args)]
pub(crate) struct Flags {
    /// Kind, in singular or plural
    #[arg(value_parser = kind::parser())]
    kind: Kind,
    /// Full name, as shop/https/catalog
    name: String,
}

/// A resource and what is around it.
#[derive(Debug, Default)]
struct Surroundings {
    resource: v1::Resource,
    refers_to: Vec<Key>,
    referred_by: Vec<Key>,
    /// Kind of the children, and they; none for kinds without any.
    children: Option<(Kind, Vec<v1::Resource>)>,
    /// `None` where there are no targets to look at.
    health: Option<Vec<v1::TargetHealth>>,
    /// Agents that it is placed on; `None` if it belongs to no load balancer.
    agents: Option<Vec<v1::Agent>>,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let key = kind::key(flags.kind, &flags.name)?;
    let client = session.connect().await?;
    let resource = client.get(&key).await?;
    let out = &session.out;
    match out.format {
        Format::Json => return out.value(&form::resource(&resource)),
        Format::Yaml => return out.print(&manifest::to_yaml(&resource, true)),
        Format::Name => return out.line(&key.to_string()),
        Format::Table | Format::Wide => {}
    }
    let surroundings = Surroundings::read(&key, resource, &client).await?;
    out.print(&surroundings.describe(&key, out.is_wide(), out.style, SystemTime::now()))
}

impl Surroundings {
    async fn read(key: &Key, resource: v1::Resource, client: &Client) -> Result<Self, Error> {
        Ok(Self {
            refers_to: relations::refers_to(&resource),
            referred_by: referred_by(key, client).await?,
            children: children(key, client).await?,
            health: health(key, client).await?,
            agents: agents(key, client).await?,
            resource,
        })
    }

    fn describe(&self, key: &Key, is_wide: bool, style: Style, now: SystemTime) -> String {
        let mut text = Description::new(&format!("{} {}", key.kind.name(), key.name), style);
        let kept = self.resource.kept().unwrap_or_default();
        let dated = |time: Option<prost_types::Timestamp>| {
            time.map_or_else(String::new, |time| {
                format!(
                    "{} ({} ago)",
                    date(Some(&time), &TimeZone::system()),
                    age(now, Some(&time))
                )
            })
        };
        text.facts(&[
            ("uid", kept.uid.clone()),
            ("revision", kept.revision.to_string()),
            ("created", dated(kept.create_time)),
            ("updated", dated(kept.update_time)),
        ]);
        text.section(
            "Manifest",
            &[manifest::to_yaml(&self.resource, false)],
            "empty",
        );
        text.section("Refers to", &names(&self.refers_to), "nothing");
        text.section("Referred to by", &names(&self.referred_by), "nothing");
        if let Some((kind, children)) = &self.children {
            let title = heading(*kind);
            text.table(&title, &kinds::table(*kind, children, is_wide, now), "none");
        }
        if let Some(health) = &self.health {
            text.table("Health", &fleet::health(health, is_wide), "no targets");
        }
        if let Some(agents) = &self.agents {
            text.table(
                "Agents",
                &fleet::agents(agents, is_wide, now),
                "no agent has the labels of its placement",
            );
        }
        text.into_text()
    }
}

fn names(keys: &[Key]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

/// `Target groups`.
fn heading(kind: Kind) -> String {
    let words = kind.plural().replace('-', " ");
    let (first, rest) = words.split_at(1);
    first.to_uppercase() + rest
}

async fn referred_by(key: &Key, client: &Client) -> Result<Vec<Key>, Error> {
    let mut keys = Vec::new();
    for (kind, path) in relations::places(key.kind) {
        let filter = format!("{path} = \"{}\"", key.name);
        let selection = Selection {
            filter,
            ..Selection::default()
        };
        keys.extend(
            client
                .list(*kind, &selection)
                .await?
                .iter()
                .filter_map(v1::Resource::key),
        );
    }
    Ok(keys)
}

/// The children of a load balancer or listener. Those of a group are in its health.
async fn children(key: &Key, client: &Client) -> Result<Option<(Kind, Vec<v1::Resource>)>, Error> {
    let kind = match key.kind {
        Kind::LoadBalancer => Kind::Listener,
        Kind::Listener => Kind::Rule,
        Kind::TargetGroup | Kind::Target | Kind::Certificate | Kind::Rule => return Ok(None),
    };
    let selection = Selection {
        parent: key.name.clone(),
        ..Selection::default()
    };
    Ok(Some((kind, client.list(kind, &selection).await?)))
}

/// Of all targets of a group, or of one target.
async fn health(key: &Key, client: &Client) -> Result<Option<Vec<v1::TargetHealth>>, Error> {
    let group = match (key.kind, key.parent()) {
        (Kind::TargetGroup, _) => key.clone(),
        (Kind::Target, Some(group)) => group,
        _ => return Ok(None),
    };
    let mut targets = client.health(&group).await?;
    if key.kind == Kind::Target {
        targets.retain(|health| {
            let target = health.target.as_ref();
            target.is_some_and(|target| {
                Key::target(&group.name, &target.address, target.port) == *key
            })
        });
    }
    Ok(Some(targets))
}

/// The agents that the resource's load balancer is placed on.
async fn agents(key: &Key, client: &Client) -> Result<Option<Vec<v1::Agent>>, Error> {
    let Some(name) = relations::balancer_of(key) else {
        return Ok(None);
    };
    let balancer = client.get(&kind::key(Kind::LoadBalancer, &name)?).await?;
    let Some(Body::LoadBalancer(balancer)) = &balancer.kind else {
        return Ok(None);
    };
    let mut agents = client.agents().await?;
    agents.retain(|agent| relations::is_placed_on(balancer, agent));
    Ok(Some(agents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_everything_around_the_resource() {
        let group = v1::TargetGroup {
            name: "catalog".to_owned(),
            protocol: v1::Protocol::Http.into(),
            port: 80,
            uid: "0198".to_owned(),
            revision: 7,
            ..Default::default()
        };
        let health = v1::TargetHealth {
            target: Some(v1::Target {
                address: "127.0.0.1".to_owned(),
                port: 9001,
                ..Default::default()
            }),
            state: v1::target_health::State::Unhealthy.into(),
            reason: "Target.Timeout".to_owned(),
            description: "Request timed out".to_owned(),
            ..Default::default()
        };
        let surroundings = Surroundings {
            resource: group.into(),
            referred_by: vec![Key::parse("Rule", "shop/http/catalog").unwrap()],
            health: Some(vec![health]),
            ..Surroundings::default()
        };
        let key = Key::parse("TargetGroup", "catalog").unwrap();
        let text = surroundings.describe(&key, false, Style::new(false), SystemTime::UNIX_EPOCH);
        let expected = "\
TargetGroup catalog
  uid        0198
  revision   7

Manifest
  kind: TargetGroup
  name: catalog
  protocol: HTTP
  port: 80

Refers to
  nothing

Referred to by
  Rule/shop/http/catalog

Health
  TARGET           STATE       REASON           DESCRIPTION         AGENTS
  127.0.0.1:9001   unhealthy   Target.Timeout   Request timed out   -
";
        assert_eq!(text, expected);
    }

    #[test]
    fn headings_are_words() {
        assert_eq!(heading(Kind::TargetGroup), "Target groups");
        assert_eq!(heading(Kind::Rule), "Rules");
    }
}
