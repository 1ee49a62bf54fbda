//! What all commands that change something have in common: their flags, and how they say what was done.

use std::time::Duration;

use clap::Args;
use inlet_proto::v1::resource::Kind as Body;
use inlet_proto::{duration, v1};

use super::Session;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Format, Out, difference, form};
use crate::relations::is_placed_on;
use crate::rollout;

/// How long `--wait` waits if it does not say.
const DEFAULT_PATIENCE: &str = "30s";

/// Flags of a command that changes something.
#[derive(Args)]
pub(crate) struct ChangeFlags {
    /// Say what would happen and keep nothing
    #[arg(long, conflicts_with = "wait")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) wait: WaitFlags,
    /// Kept with the revision, shown by 'history'
    #[arg(
        short,
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) message: String,
}

/// `--wait`.
#[derive(Args)]
pub(crate) struct WaitFlags {
    /// Wait until every agent that is connected has the revision in force
    ///
    /// Prints each refusal with the agent, the resource and the reason, and exits with 1 if an agent refuses the
    /// revision or does not have it in time. Agents that are not connected are named and not waited for; with none
    /// connected there is nothing to wait for, and that is no failure.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_PATIENCE, value_parser = patience)]
    wait: Option<Duration>,
}

impl WaitFlags {
    /// Waits if that was asked for.
    pub(crate) async fn follow(
        &self,
        client: &Client,
        out: &Out,
        revision: u64,
    ) -> Result<(), Error> {
        match self.wait {
            Some(patience) => rollout::follow(client, out, revision, patience).await,
            None => Ok(()),
        }
    }
}

/// Says what a change did and waits if that was asked for.
pub(crate) async fn finish(
    flags: &ChangeFlags,
    response: &v1::ApplyResponse,
    client: &Client,
    session: &Session,
) -> Result<(), Error> {
    let out = &session.out;
    tell(flags.dry_run, response, out)?;
    flags.wait.follow(client, out, response.revision).await?;
    if flags.wait.wait.is_some() {
        let agents = client.agents().await?;
        for name in nowhere(&response.changes, &agents) {
            out.note(&format!(
                "LoadBalancer/{name}: no connected agent has the labels of its placement: nobody serves it"
            ));
        }
    }
    Ok(())
}

/// Names of the load balancers among these changes that no connected agent serves. In force everywhere is easily
/// taken for served.
fn nowhere<'a>(changes: &'a [v1::ResourceChange], agents: &[v1::Agent]) -> Vec<&'a str> {
    let balancers =
        changes
            .iter()
            .filter_map(|change| match change.after.as_ref()?.kind.as_ref()? {
                Body::LoadBalancer(balancer) => Some(balancer),
                _ => None,
            });
    let is_served = |balancer: &v1::LoadBalancer| {
        agents
            .iter()
            .any(|agent| agent.connected && is_placed_on(balancer, agent))
    };
    balancers
        .filter(|balancer| !is_served(balancer))
        .map(|balancer| balancer.name.as_str())
        .collect()
}

fn tell(dry_run: bool, response: &v1::ApplyResponse, out: &Out) -> Result<(), Error> {
    match out.format {
        Format::Json | Format::Yaml => return out.value(&form::applied(response)),
        Format::Name => return out.print(&names(&response.changes)),
        Format::Table | Format::Wide => {}
    }
    for change in &response.changes {
        out.line_as_is(&difference::line(change, out.style))?;
    }
    let revision = response.revision;
    out.line(&match (dry_run, response.committed) {
        (true, _) => format!("revision {revision} stays: this was a dry run"),
        (false, true) => format!("revision {revision}"),
        (false, false) => format!("revision {revision} stays: nothing changes"),
    })
}

/// `Kind/name` a line.
pub(crate) fn names(changes: &[v1::ResourceChange]) -> String {
    let keys = changes.iter().filter_map(|change| change.key.as_ref());
    keys.map(|key| form::key(key) + "\n").collect()
}

fn patience(text: &str) -> Result<Duration, String> {
    let parsed = duration::parse(text).map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_balancers_that_nobody_serves_are_found() {
        let labels = |zone: &str| [("zone".to_owned(), zone.to_owned())].into();
        let balancer = |name: &str, zone: &str| v1::ResourceChange {
            after: Some(
                v1::LoadBalancer {
                    name: name.to_owned(),
                    placement: labels(zone),
                    ..Default::default()
                }
                .into(),
            ),
            ..Default::default()
        };
        let agent = |zone: &str, connected| v1::Agent {
            labels: labels(zone),
            connected,
            ..Default::default()
        };
        let changes = [
            balancer("here", "a"),
            balancer("gone", "b"),
            balancer("far", "z"),
            v1::ResourceChange::default(),
        ];
        let agents = [agent("a", true), agent("b", false)];
        assert_eq!(nowhere(&changes, &agents), ["gone", "far"]);
    }

    #[test]
    fn waits_have_units() {
        assert_eq!(patience("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(patience("1m30s"), Ok(Duration::from_secs(90)));
        assert!(patience("30").unwrap_err().contains("30s"));
        assert!(patience("-1s").is_err());
    }
}
