//! `lbctl diff`: what `apply` would change, or what differs between two revisions.

mod compose;

use clap::Args;
use inlet_proto::v1;
use inlet_proto::v1::resource_change::Operation;

use super::{Session, apply, change};
use crate::client::Client;
use crate::error::Error;
use crate::manifests;
use crate::output::{Format, Out, difference, form};
use compose::Composition;

/// Flags of `lbctl diff`.
#[derive(Args)]
#[command(
    override_usage = "lbctl diff [OPTIONS] --file <FILE|DIR|->\n       lbctl diff [OPTIONS] <REV> [REV]"
)]
pub(crate) struct Flags {
    /// Manifest, folder of manifests, or '-' for standard input: shows what 'apply' would change
    #[arg(
        short,
        long = "file",
        visible_alias = "filename",
        value_name = "FILE|DIR|-",
        required_unless_present = "revisions",
        conflicts_with = "revisions"
    )]
    files: Vec<String>,
    /// As with 'apply --prune'
    #[arg(long, conflicts_with = "revisions")]
    prune: bool,
    /// Two revisions, or one to compare the current one with
    #[arg(value_name = "REV", num_args = 1..=2, value_parser = super::revision)]
    revisions: Vec<u64>,
    /// Exit with 1 if anything differs
    #[arg(long)]
    exit_code: bool,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let out = &session.out;
    let (changes, sides) = if flags.revisions.is_empty() {
        let documents = manifests::read(&flags.files)?;
        let client = session.connect().await?;
        let upserts = documents.into_iter().map(apply::upsert).collect();
        let request = v1::ApplyRequest {
            upserts,
            prune: flags.prune,
            validate_only: true,
            ..Default::default()
        };
        let response = client.apply(request).await?;
        (
            response.changes,
            [
                format!("revision {}", response.revision),
                "after apply".to_owned(),
            ],
        )
    } else {
        between(&flags.revisions, &session.connect().await?, out).await?
    };
    let changes: Vec<_> = changes
        .into_iter()
        .filter(|change| change.operation() != Operation::Unchanged)
        .collect();
    tell(&changes, [&sides[0], &sides[1]], out)?;
    if flags.exit_code && !changes.is_empty() {
        Err(Error::Told)
    } else {
        Ok(())
    }
}

fn tell(changes: &[v1::ResourceChange], sides: [&str; 2], out: &Out) -> Result<(), Error> {
    match out.format {
        Format::Json | Format::Yaml => return out.value(&form::changes(changes)),
        Format::Name => return out.print(&change::names(changes)),
        Format::Table | Format::Wide => {}
    }
    if changes.is_empty() {
        out.note("nothing differs");
    }
    out.print(&difference::diffs(changes, sides, out.style))
}

/// The changes that lead from the first revision to the second, or to the current one.
async fn between(
    revisions: &[u64],
    client: &Client,
    out: &Out,
) -> Result<(Vec<v1::ResourceChange>, [String; 2]), Error> {
    let current = client.current_revision().await?;
    let from = revisions.first().copied().unwrap_or(current);
    let to = revisions.get(1).copied().unwrap_or(current);
    let sides = [from, to].map(|revision| format!("revision {revision}"));
    let (low, high) = (from.min(to), from.max(to));
    if high > current {
        return Err(Error::Failed(format!(
            "revision {high} does not exist yet; the current one is {current}"
        )));
    }
    let composing = compose(client, low, high);
    let composition = out
        .progress
        .during("reading the revisions between", composing)
        .await?;
    let composition = if from <= to {
        composition
    } else {
        composition.reversed()
    };
    Ok((composition.into_changes(), sides))
}

/// Everything between two revisions as one change. `high` exists, so the watch gives it.
async fn compose(client: &Client, low: u64, high: u64) -> Result<Composition, Error> {
    let mut composition = Composition::default();
    if low == high {
        return Ok(composition);
    }
    let request = v1::WatchRequest {
        after_revision: Some(low),
        kinds: Vec::new(),
    };
    let mut stream = client.watch(request).await?;
    while let Some(revision) = stream.next().await? {
        let number = revision.revision;
        if number <= high {
            composition.add(revision.changes);
        }
        if number >= high {
            return Ok(composition);
        }
    }
    Err(Error::Failed(format!(
        "the control plane ended its answer before revision {high}: try again"
    )))
}
