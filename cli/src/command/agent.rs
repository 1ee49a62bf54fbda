//! `lbctl agent`: the fleet.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use inlet_proto::kind::Kind;
use inlet_proto::v1;
use inlet_proto::v1::resource::Kind as Body;
use serde_json::Value;

use super::Session;
use crate::client::Selection;
use crate::error::Error;
use crate::output::age::age;
use crate::output::description::Description;
use crate::output::{Format, Out, fleet, form};
use crate::relations::is_placed_on;

/// Flags of `lbctl agent`.
#[derive(Args)]
pub(crate) struct Flags {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the agents: status, revision in force, labels
    List,
    /// Show an agent with its last refusal and the load balancers placed on it
    Describe {
        /// Name of the agent
        name: String,
    },
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    match flags.action {
        Action::List => list(session).await,
        Action::Describe { name } => describe(&name, session).await,
    }
}

async fn list(session: &Session) -> Result<(), Error> {
    let agents = session.connect().await?.agents().await?;
    let out = &session.out;
    match out.format {
        Format::Json | Format::Yaml => {
            out.value(&agents.iter().map(form::agent).collect::<Value>())
        }
        Format::Name => out.print(&agents.iter().map(name_line).collect::<String>()),
        Format::Table | Format::Wide if agents.is_empty() => {
            out.note("no agents");
            Ok(())
        }
        Format::Table | Format::Wide => {
            out.table(&fleet::agents(&agents, out.is_wide(), SystemTime::now()))?;
            for line in fleet::refusals(&agents) {
                out.note(&line);
            }
            Ok(())
        }
    }
}

async fn describe(name: &str, session: &Session) -> Result<(), Error> {
    let client = session.connect().await?;
    let agent = client.agent(name).await?;
    let out = &session.out;
    match out.format {
        Format::Json | Format::Yaml => return out.value(&form::agent(&agent)),
        Format::Name => return out.print(&name_line(&agent)),
        Format::Table | Format::Wide => {}
    }
    let balancers = client
        .list(Kind::LoadBalancer, &Selection::default())
        .await?;
    let placed = balancers
        .iter()
        .filter_map(|resource| match &resource.kind {
            Some(Body::LoadBalancer(balancer)) if is_placed_on(balancer, &agent) => {
                resource.key().map(|key| key.to_string())
            }
            _ => None,
        });
    out.print(&description(
        &agent,
        &placed.collect::<Vec<_>>(),
        SystemTime::now(),
        out,
    ))
}

fn name_line(agent: &v1::Agent) -> String {
    format!("Agent/{}\n", agent.name)
}

fn description(agent: &v1::Agent, balancers: &[String], now: SystemTime, out: &Out) -> String {
    let mut description = Description::new(&format!("Agent {}", agent.name), out.style);
    let ago = |time: Option<&prost_types::Timestamp>| format!("{} ago", age(now, time));
    description.facts(&[
        ("status", fleet::status(agent).text().to_owned()),
        ("labels", fleet::pairs(&agent.labels)),
        ("version", agent.version.clone()),
        ("address", agent.peer.clone()),
        ("last seen", ago(agent.last_seen.as_ref())),
        ("revision in force", agent.revision_in_force.to_string()),
        ("revision wanted", agent.revision_wanted.to_string()),
        ("resources", agent.resources.to_string()),
    ]);
    description.section("Load balancers", balancers, "none are placed here");
    match &agent.last_refusal {
        Some(refusal) => {
            let title = format!(
                "Refuses revision {}, {}",
                refusal.revision,
                ago(refusal.time.as_ref())
            );
            description.section(&title, &fleet::reasons(refusal), "without a reason");
        }
        None => description.section("Last refusal", &[], "none since a revision is in force"),
    }
    description.into_text()
}
