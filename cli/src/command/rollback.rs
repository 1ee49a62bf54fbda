//! `lbctl rollback`: the configuration of an earlier revision becomes the next one.

use clap::Args;
use inlet_proto::v1;

use super::Session;
use super::change::{self, ChangeFlags};
use crate::error::Error;

/// Flags of `lbctl rollback`.
#[derive(Args)]
pub(crate) struct Flags {
    /// Revision whose configuration is wanted
    #[arg(value_name = "REV", value_parser = super::revision)]
    revision: u64,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let client = session.connect().await?;
    let request = v1::RollbackRequest {
        revision: flags.revision,
        message: flags.change.message.clone(),
        validate_only: flags.change.dry_run,
        ..Default::default()
    };
    let response = client.rollback(request).await?;
    change::finish(&flags.change, &response, &client, session).await
}
