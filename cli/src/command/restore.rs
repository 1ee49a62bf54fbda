//! `lbctl restore`: the configuration becomes what a backup says, as one atomic change.

use std::path::Path;

use clap::Args;
use inlet_proto::details::MAX_MESSAGE_BYTES;
use inlet_proto::kind::Kind;
use inlet_proto::v1;

use super::Session;
use super::apply::upsert;
use super::backup::format::{self, Backup};
use super::change::{self, ChangeFlags};
use crate::error::Error;
use crate::manifests;

/// The largest backup, in bytes: YAML is longer than the message it becomes.
const MAX_BYTES: usize = 4 * MAX_MESSAGE_BYTES;

/// Flags of `lbctl restore`.
#[derive(Args)]
#[command(
    after_help = "What the backup does not have is deleted, targets included. Refused whole if anything is wrong with it."
)]
pub(crate) struct Flags {
    /// File that 'backup' has written, or '-' for standard input
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    change: ChangeFlags,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let name = if flags.file == "-" {
        "stdin"
    } else {
        flags.file.as_str()
    };
    let failed = |why: String| Error::Failed(format!("{name}: {why}"));
    let text = match flags.file.as_str() {
        "-" => manifests::text(std::io::stdin(), MAX_BYTES),
        path => manifests::file_text(Path::new(path), MAX_BYTES),
    };
    let text = text.map_err(failed)?;
    let backup = format::read(&text).map_err(|error| failed(error.to_string()))?;
    let upserts = upserts(&backup, name).map_err(Error::Manifests)?;
    let client = session.connect().await?;
    let message = match flags.change.message.as_str() {
        "" => format!("restore of a backup of revision {}", backup.revision),
        message => message.to_owned(),
    };
    let request = v1::ApplyRequest {
        upserts,
        prune: true,
        validate_only: flags.change.dry_run,
        message,
        ..Default::default()
    };
    let response = client.apply(request).await?;
    change::finish(&flags.change, &response, &client, session).await
}

/// Every resource of a backup, the targets of each group as its whole set. Errors: a line for each mistake.
fn upserts(backup: &Backup<'_>, name: &str) -> Result<Vec<v1::Upsert>, Vec<String>> {
    // Empty lines in place of the head keep the lines of mistakes right.
    let text = "\n".repeat(backup.head_lines) + backup.body;
    let written = manifests::parse(&text, name, Path::new(""))?;
    let whole = written.into_iter().map(|written| {
        let is_group = written.document.resource.kind_of() == Some(Kind::TargetGroup);
        v1::Upsert {
            all_targets: is_group,
            ..upsert(written)
        }
    });
    Ok(whole.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_targets_loses_them() {
        let text = format::write(
            "kind: TargetGroup\nname: a\nprotocol: HTTP\nport: 80\n",
            7,
            "now",
        );
        let upserts = upserts(&format::read(&text).unwrap(), "kept").unwrap();
        assert!(upserts[0].all_targets);
        assert_eq!(upserts[0].origin, "kept:6");
    }

    #[test]
    fn what_this_version_does_not_take_is_named_by_its_line() {
        let text = format::write(
            "kind: TargetGroup\nname: a\nprot: HTTP\nport: 80\n",
            7,
            "now",
        );
        let mistakes = upserts(&format::read(&text).unwrap(), "kept").unwrap_err();
        assert!(
            mistakes
                .iter()
                .any(|line| line.starts_with("kept:8: TargetGroup a: prot: unknown field")),
            "{mistakes:?}"
        );
    }
}
