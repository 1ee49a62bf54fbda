//! `lbctl watch`: changes as they are made, until Ctrl-C. A connection that breaks is made anew, and nothing is missed.

use std::time::{Duration, Instant};

use clap::Args;
use inlet_proto::kind::Kind;
use inlet_proto::v1;
use jiff::tz::TimeZone;

use super::{Session, kind};
use crate::client::Client;
use crate::error::Error;
use crate::output::age::date;
use crate::output::style::Tone;
use crate::output::{Format, Out, clean, difference, form};

/// How long after a broken connection the next one is tried.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the control plane may be away.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(60);

/// Flags of `lbctl watch`.
#[derive(Args)]
pub(crate) struct Flags {
    /// Only changes of this kind, in singular or plural
    #[arg(value_parser = kind::parser())]
    kind: Option<Kind>,
    /// Begin after this revision [default: the current one]
    #[arg(long, value_name = "REV", value_parser = super::revision)]
    after: Option<u64>,
}

/// Runs it.
pub(crate) async fn run(flags: Flags, session: &Session) -> Result<(), Error> {
    let client = session.connect().await?;
    let after = match flags.after {
        Some(after) => after,
        None => client.current_revision().await?,
    };
    let mut watch = Watch {
        client: &client,
        out: &session.out,
        kind: flags.kind,
        after,
        first: true,
    };
    watch.run().await
}

struct Watch<'a> {
    client: &'a Client,
    out: &'a Out,
    kind: Option<Kind>,
    /// What was printed last.
    after: u64,
    /// Nothing was printed yet.
    first: bool,
}

impl Watch<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut broken: Option<Instant> = None;
        loop {
            let error = match self.follow(&mut broken).await {
                Ok(()) => None,
                Err(error) if error.is_passing() => Some(error),
                Err(error) => return Err(error),
            };
            let since = match broken {
                Some(since) => since,
                None => {
                    self.out.note("the connection is lost; trying again");
                    *broken.insert(Instant::now())
                }
            };
            if since.elapsed() > RECONNECT_PATIENCE {
                let ended = || {
                    Error::Failed("the control plane ends the stream again and again".to_owned())
                };
                return Err(error.unwrap_or_else(ended));
            }
            tokio::time::sleep(TRY_AGAIN_AFTER).await;
        }
    }

    /// Prints until the stream ends.
    async fn follow(&mut self, broken: &mut Option<Instant>) -> Result<(), Error> {
        let kinds = self
            .kind
            .iter()
            .map(|kind| kind.name().to_owned())
            .collect();
        let request = v1::WatchRequest {
            after_revision: Some(self.after),
            kinds,
        };
        let mut stream = self.client.watch(request).await?;
        while let Some(revision) = stream.next().await? {
            *broken = None;
            self.after = revision.revision;
            self.print(&revision)?;
        }
        Ok(())
    }

    fn print(&mut self, revision: &v1::Revision) -> Result<(), Error> {
        let is_first = std::mem::take(&mut self.first);
        match self.out.format {
            // A document a line, for tools that read streams.
            Format::Json => self.out.print(&format!("{}\n", form::revision(revision))),
            Format::Yaml => {
                if !is_first {
                    self.out.print("---\n")?;
                }
                self.out.value(&form::revision(revision))
            }
            Format::Name => self.out.print(&super::change::names(&revision.changes)),
            Format::Table | Format::Wide => {
                for line in lines(revision, &TimeZone::system(), self.out) {
                    self.out.line_as_is(&line)?;
                }
                Ok(())
            }
        }
    }
}

/// `7  2026-11-03 10:00:12  alice@desk  changed Listener/shop/http`, a line for each change.
fn lines(revision: &v1::Revision, zone: &TimeZone, out: &Out) -> Vec<String> {
    let time = date(revision.time.as_ref(), zone);
    let head = clean(&format!(
        "{}  {time}  {}",
        revision.revision, revision.author
    ));
    let head = out.style.paint(Tone::Faint, &head);
    let changes = revision.changes.iter();
    changes
        .map(|change| format!("{head}  {}", difference::line(change, out.style)))
        .collect()
}
