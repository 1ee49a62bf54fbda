//! A simulated agent: says Hello, collects the parts of each snapshot, acknowledges it, reports when.
//!
//! It trusts the digest and keeps no resources; what it checks is that parts come in order and build on what it has.

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::unfold;
use inlet_proto::v1;
use inlet_proto::v1::agent_discovery_client::AgentDiscoveryClient;
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};
use tonic::Streaming;
use tonic::transport::Channel;

/// Messages that wait to be sent.
const OUTBOX: usize = 4;

/// An agent that is not connected yet.
#[derive(Debug)]
pub(super) struct Agent {
    name: String,
    channel: Channel,
    report: mpsc::Sender<Reached>,
}

/// A snapshot has arrived whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached {
    /// Its revision.
    pub(super) revision: u64,
    /// When.
    pub(super) at: Instant,
    /// Bytes of all its parts.
    pub(super) bytes: usize,
}

/// The snapshot that is being collected, and what is in force.
#[derive(Debug, Default)]
struct Collected {
    in_force: u64,
    parts: u32,
    bytes: usize,
}

impl Agent {
    pub(super) fn new(number: usize, channel: Channel, report: mpsc::Sender<Reached>) -> Self {
        Self {
            name: format!("edge-{number}"),
            channel,
            report,
        }
    }

    /// Follows the stream to its end; returns why it has ended. Waits for a permit until it has its first snapshot.
    pub(super) async fn run(self, joining: Arc<Semaphore>) -> String {
        let name = self.name.clone();
        match self.follow(joining).await {
            Ok(()) => format!("{name}: the stream ended"),
            Err(reason) => format!("{name}: {reason}"),
        }
    }

    async fn follow(self, joining: Arc<Semaphore>) -> Result<(), String> {
        let mut permit = joining.acquire().await.ok();
        let (say, mut hear) = self.open().await?;
        let mut collected = Collected::default();
        while let Some(message) = hear.message().await.map_err(|status| status.to_string())? {
            let bytes = message.encoded_len();
            let Some(v1::control_message::Kind::Snapshot(snapshot)) = message.kind else {
                continue;
            };
            let Some(reached) = collected.take(&snapshot, bytes, Instant::now())? else {
                continue;
            };
            permit = None;
            let ack = v1::Ack {
                revision: reached.revision,
            };
            send(&say, v1::agent_message::Kind::Ack(ack)).await?;
            let told = self.report.send(reached).await;
            told.map_err(|_| "the run has ended".to_owned())?;
        }
        drop(permit);
        Ok(())
    }

    async fn open(
        &self,
    ) -> Result<
        (
            mpsc::Sender<v1::AgentMessage>,
            Streaming<v1::ControlMessage>,
        ),
        String,
    > {
        let (say, outbox) = mpsc::channel(OUTBOX);
        let hello = v1::Hello {
            name: self.name.clone(),
            version: "simulated".to_owned(),
            ..Default::default()
        };
        send(&say, v1::agent_message::Kind::Hello(hello)).await?;
        let messages = unfold(outbox, async |mut outbox: mpsc::Receiver<_>| {
            let message = outbox.recv().await?;
            Some((message, outbox))
        });
        let mut client = AgentDiscoveryClient::new(self.channel.clone());
        let opened = client.stream(messages).await;
        let stream = opened.map_err(|status| status.to_string())?;
        Ok((say, stream.into_inner()))
    }
}

async fn send(
    say: &mpsc::Sender<v1::AgentMessage>,
    kind: v1::agent_message::Kind,
) -> Result<(), String> {
    let message = v1::AgentMessage { kind: Some(kind) };
    let sent = say.send(message).await;
    sent.map_err(|_| "the stream takes nothing more".to_owned())
}

impl Collected {
    /// Takes in one part; says so when the snapshot is whole. Errors: a part that does not belong here.
    fn take(
        &mut self,
        part: &v1::Snapshot,
        bytes: usize,
        now: Instant,
    ) -> Result<Option<Reached>, String> {
        if part.base_revision != 0 && part.base_revision != self.in_force {
            let (base, in_force) = (part.base_revision, self.in_force);
            return Err(format!("a delta on {base}, but {in_force} is in force"));
        }
        if part.part != self.parts + 1 || part.part > part.parts {
            let after = self.parts;
            return Err(format!(
                "part {} of {} after {after}",
                part.part, part.parts
            ));
        }
        self.parts += 1;
        self.bytes += bytes;
        if part.part < part.parts {
            return Ok(None);
        }
        let reached = Reached {
            revision: part.revision,
            at: now,
            bytes: self.bytes,
        };
        *self = Self {
            in_force: part.revision,
            ..Self::default()
        };
        Ok(Some(reached))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(revision: u64, base_revision: u64, part: u32, parts: u32) -> v1::Snapshot {
        v1::Snapshot {
            revision,
            base_revision,
            part,
            parts,
            ..Default::default()
        }
    }

    #[test]
    fn a_snapshot_is_there_with_its_last_part() {
        let mut collected = Collected::default();
        let now = Instant::now();
        let mut take = |snapshot, bytes| {
            let taken = collected.take(&snapshot, bytes, now);
            taken.map(|reached| reached.map(|reached| (reached.revision, reached.bytes)))
        };
        assert_eq!(take(part(5, 0, 1, 2), 100), Ok(None));
        assert_eq!(take(part(5, 0, 2, 2), 20), Ok(Some((5, 120))));
        assert_eq!(take(part(6, 5, 1, 1), 7), Ok(Some((6, 7))));
        assert_eq!(take(part(9, 0, 1, 1), 1), Ok(Some((9, 1))));
    }

    #[test]
    fn what_does_not_belong_here_is_an_error() {
        for (wrong, expected) in [
            (part(6, 4, 1, 1), "a delta on 4"),
            (part(6, 5, 2, 2), "part 2 of 2"),
            (part(6, 5, 1, 0), "part 1 of 0"),
        ] {
            let mut collected = Collected {
                in_force: 5,
                ..Collected::default()
            };
            let error = collected
                .take(&wrong, 1, Instant::now())
                .expect_err(expected);
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
