//! `lbctl history`: the revisions, and one of them as a diff.

use clap::{Args, Subcommand};
use inlet_proto::v1;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Session;
use crate::client::Client;
use crate::error::Error;
use crate::output::age::date;
use crate::output::description::Description;
use crate::output::table::Table;
use crate::output::{Format, Out, difference, form};

/// Revisions that the server gives at once at most.
const MAX_PAGE: u32 = 1000;

/// Flags of `lbctl history`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    action: Option<Action>,
    /// How many revisions, the newest first
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Subcommand)]
enum Action {
    /// Show what a revision changed, as a diff
    Show {
        /// Number of the revision
        #[arg(value_name = "REV", value_parser = super::revision)]
        revision: u64,
    },
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let client = session.connect().await?;
    match flags.action {
        Some(Action::Show { revision }) => show(revision, &client, &session.out).await,
        None => list(flags.limit, &client, &session.out).await,
    }
}

async fn list(limit: u32, client: &Client, out: &Out) -> Result<(), Error> {
    let revisions = newest(limit, client).await?;
    match out.format {
        Format::Json | Format::Yaml => {
            out.value(&revisions.iter().map(form::revision).collect::<Value>())
        }
        Format::Name => out.print(
            &revisions
                .iter()
                .map(|one| format!("{}\n", one.revision))
                .collect::<String>(),
        ),
        Format::Table | Format::Wide if revisions.is_empty() => {
            out.note("no revisions");
            Ok(())
        }
        Format::Table | Format::Wide => out.table(&table(&revisions, &TimeZone::system())),
    }
}

/// The newest revisions without what was before and after.
async fn newest(limit: u32, client: &Client) -> Result<Vec<v1::Revision>, Error> {
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut revisions = Vec::new();
    let mut request = v1::HistoryRequest {
        summary: true,
        ..Default::default()
    };
    loop {
        let missing = u32::try_from(wanted - revisions.len()).unwrap_or(u32::MAX);
        request.page_size = missing.min(MAX_PAGE);
        let page = client.history(request.clone()).await?;
        let is_last = page.next_page_token.is_empty() || page.revisions.is_empty();
        revisions.extend(page.revisions);
        revisions.truncate(wanted);
        if is_last || revisions.len() == wanted {
            return Ok(revisions);
        }
        request.page_token = page.next_page_token;
    }
}

fn table(revisions: &[v1::Revision], zone: &TimeZone) -> Table {
    let mut table = Table::new(&["#REVISION", "TIME", "AUTHOR", "~CHANGES", "~MESSAGE"]);
    for revision in revisions {
        table.row(vec![
            revision.revision.to_string().into(),
            date(revision.time.as_ref(), zone).into(),
            revision.author.as_str().into(),
            difference::summary(&revision.changes).into(),
            revision.message.as_str().into(),
        ]);
    }
    table
}

async fn show(number: u64, client: &Client, out: &Out) -> Result<(), Error> {
    let request = v1::HistoryRequest {
        revision: Some(number),
        ..Default::default()
    };
    let found = client.history(request).await?.revisions.into_iter().next();
    let revision = found.ok_or_else(|| Error::Failed(format!("there is no revision {number}")))?;
    match out.format {
        Format::Json | Format::Yaml => out.value(&form::revision(&revision)),
        Format::Name => out.print(&super::change::names(&revision.changes)),
        Format::Table | Format::Wide => {
            let sides = [
                format!("revision {}", number.saturating_sub(1)),
                format!("revision {number}"),
            ];
            let head = head(&revision, &TimeZone::system(), out);
            let diffs = difference::diffs(&revision.changes, [&sides[0], &sides[1]], out.style);
            out.print(&format!("{head}\n{diffs}"))
        }
    }
}

fn head(revision: &v1::Revision, zone: &TimeZone, out: &Out) -> String {
    let mut head = Description::new(&format!("Revision {}", revision.revision), out.style);
    head.facts(&[
        ("time", date(revision.time.as_ref(), zone)),
        ("author", revision.author.clone()),
        ("message", revision.message.clone()),
        ("changes", difference::summary(&revision.changes)),
    ]);
    head.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Style;

    #[test]
    fn each_revision_is_a_line() {
        let revision = v1::Revision {
            revision: 12,
            time: Some(prost_types::Timestamp {
                seconds: 1_000_000_000,
                nanos: 0,
            }),
            author: "alice@desk".to_owned(),
            message: "more targets".to_owned(),
            changes: Vec::new(),
        };
        let text = table(&[revision], &TimeZone::UTC).render(None, Style::new(false));
        assert_eq!(
            text,
            "REVISION   TIME                  AUTHOR       CHANGES   MESSAGE\n      \
             12   2001-09-09 01:46:40   alice@desk   nothing   more targets\n"
        );
    }
}
