//! What all commands that change something have in common: their flags, and how they say what was done.

use std::time::Duration;

use clap::Args;
use inlet_proto::{duration, v1};

use super::Session;
use crate::client::Client;
use crate::error::Error;
use crate::output::{Format, Out, difference, form};
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
    tell(flags.dry_run, response, &session.out)?;
    flags
        .wait
        .follow(client, &session.out, response.revision)
        .await
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
    fn waits_have_units() {
        assert_eq!(patience("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(patience("1m30s"), Ok(Duration::from_secs(90)));
        assert!(patience("30").unwrap_err().contains("30s"));
        assert!(patience("-1s").is_err());
    }
}
