//! `lbctl apply`: one atomic change from manifests.

use clap::Args;
use inlet_proto::v1;

use super::Session;
use super::change::{self, ChangeFlags};
use crate::error::Error;
use crate::manifests::{self, Written};

/// Which manifests.
#[derive(Args)]
pub(crate) struct FileFlags {
    /// Manifest, folder of manifests (.yaml, .yml, .json, with the folders below it), or '-' for standard input
    #[arg(
        short,
        long = "file",
        visible_alias = "filename",
        value_name = "FILE|DIR|-",
        required = true
    )]
    pub(crate) files: Vec<String>,
}

/// Flags of `lbctl apply`.
#[derive(Args)]
#[command(
    after_help = "Prints what became of each resource and the new revision. If any document is bad, nothing is stored."
)]
pub(crate) struct Flags {
    #[command(flatten)]
    files: FileFlags,
    /// Delete everything that the manifests do not have; targets of a group that gives none stay
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let documents = manifests::read(&flags.files.files)?;
    let client = session.connect().await?;
    let request = v1::ApplyRequest {
        upserts: documents.into_iter().map(upsert).collect(),
        validate_only: flags.change.dry_run,
        message: flags.change.message.clone(),
        prune: flags.prune,
        ..Default::default()
    };
    let response = client.apply(request).await?;
    change::finish(&flags.change, &response, &client, session).await
}

/// A document as part of a change.
pub(crate) fn upsert(written: Written) -> v1::Upsert {
    v1::Upsert {
        resource: Some(written.document.resource),
        all_targets: written.document.all_targets,
        origin: written.origin,
    }
}
