//! Idle keep-alive connections: each has asked once and then says nothing.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::neighbours::Scene;
use super::{Quantity, Report};
use crate::Connection;

/// Memory that one idle connection may take.
const MOST_EACH: u64 = 2048;
/// Batches of connections, one after the other.
const BATCHES: usize = 2;
/// Connections that are being opened at a time.
const OPENERS: usize = 32;
/// Time for everything but the batches.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Time for opening and closing a batch.
const PER_BATCH: Duration = Duration::from_secs(120);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Connections; the full size is 15000, the hard limit of open files bounds it
    #[arg(long, default_value_t = 15_000)]
    connections: usize,
    /// Seconds for which they are idle, below the idle timeout of 60
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=40))]
    hold: u64,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        OVERHEAD + PER_BATCH * BATCHES as u32 + Duration::from_secs(self.hold) * BATCHES as u32
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut scene = Scene::start().await;
    let mut dropped = 0;
    let mut last = None;
    for _ in 0..BATCHES {
        let connections = open(scene.port(), flags.connections).await;
        let others = scene.others();
        sleep(Duration::from_secs(flags.hold)).await;
        last = Some(others.stop().await);
        let height = scene.memory();
        scene.note_height(height);
        dropped += connections.iter().filter(|held| !held.is_open()).count();
        drop(connections);
        scene.settled().await;
    }
    report.stated(
        "idle connections in a batch",
        Quantity::count(flags.connections),
    );
    report.none("connections closed while idle", dropped, &[]);
    scene.tell_memory(report, flags.connections, Some(MOST_EACH));
    let last = last.expect("there is a batch");
    scene.tell_others(report, &last);
}

/// Opens connections and asks once on each.
///
/// Panics if one is refused or not answered.
async fn open(port: u16, count: usize) -> Vec<Connection> {
    let mut openers = JoinSet::new();
    for opener in 0..OPENERS {
        openers.spawn(async move {
            let mut opened = Vec::new();
            for number in (opener..count).step_by(OPENERS) {
                let connected = Connection::connect_as(number, port).await;
                let mut connection = connected
                    .unwrap_or_else(|error| panic!("connection {number} of {count}: {error}"));
                connection.get("/page").await.expect(200);
                opened.push(connection);
            }
            opened
        });
    }
    openers.join_all().await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::open;
    use crate::Origin;

    #[tokio::test]
    async fn every_connection_asks_once_and_stays_open() {
        let mut origin = Origin::named("one").await;
        let connections = open(origin.port, 100).await;
        assert_eq!((connections.len(), origin.seen().len()), (100, 100));
        assert!(connections.iter().all(crate::Connection::is_open));
        origin.stop().await;
        let noticed = async || (!connections[99].is_open()).then_some(());
        let deadline = crate::eventually::seconds(20);
        crate::eventually("an end is seen", deadline, noticed).await;
    }
}
