//! Abandoned connections: opened and dropped, half of them within a head; half of either with a reset.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::neighbours::Scene;
use super::{Quantity, Report};
use crate::Connection;

/// Batches of connections, one after the other.
const BATCHES: usize = 2;
/// Clients that open connections.
const CLIENTS: usize = 32;
/// What half of them send before they drop their connection.
const PARTIAL_HEAD: &str = "GET /page HTTP/1.1\r\nHost: shop.exam";
/// Time for everything but opening.
const OVERHEAD: Duration = Duration::from_secs(180);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Connections in each of two batches
    #[arg(long, default_value_t = 10_000)]
    connections: usize,
    /// Connections a second: enough to see what they do, not so many that opening them takes the whole machine
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        // Twice what the rate asks for: a slow machine may lag behind.
        OVERHEAD + self.batch() * BATCHES as u32 * 2
    }

    fn batch(&self) -> Duration {
        Duration::from_secs_f64(self.connections as f64 / f64::from(self.rate))
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut scene = Scene::start().await;
    let mut failures = Vec::new();
    let mut last = None;
    for _ in 0..BATCHES {
        let others = scene.others();
        failures.extend(abandon(scene.port(), flags).await);
        last = Some(others.stop().await);
        let height = scene.memory();
        scene.note_height(height);
        scene.settled().await;
    }
    report.stated(
        "abandoned connections in a batch",
        Quantity::count(flags.connections),
    );
    report.none("connections refused", failures.len(), &failures);
    scene.tell_memory(report, flags.connections, None);
    let last = last.expect("there is a batch");
    scene.tell_others(report, &last);
}

/// Opens and drops a batch of connections at the rate; returns why some could not be opened.
async fn abandon(port: u16, flags: &Flags) -> Vec<String> {
    let (begun, batch, count) = (Instant::now(), flags.batch(), flags.connections);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(async move {
            let mut failures = Vec::new();
            for number in (client..count).step_by(CLIENTS) {
                sleep_until(begun + batch.mul_f64(number as f64 / count as f64)).await;
                if let Err(error) = open_and_drop(number, port).await {
                    failures.push(format!("connection {number}: {error}"));
                }
            }
            failures
        });
    }
    clients.join_all().await.into_iter().flatten().collect()
}

async fn open_and_drop(number: usize, port: u16) -> io::Result<()> {
    let mut connection = Connection::connect_as(number, port).await?;
    if number % 2 == 1 {
        connection.try_send(PARTIAL_HEAD).await?;
    }
    let with_reset = number % 4 >= 2;
    if with_reset {
        let socket = socket2::SockRef::from(connection.stream());
        socket.set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;

    #[tokio::test]
    async fn a_batch_opens_at_its_rate_asks_for_nothing_and_tells_what_is_refused() {
        let mut origin = Origin::named("one").await;
        let flags = Flags {
            connections: 100,
            rate: 1000,
        };
        let begun = Instant::now();
        let failures = abandon(origin.port, &flags).await;
        assert!(failures.is_empty(), "{failures:?}");
        assert!(begun.elapsed() >= flags.batch().mul_f64(0.9));
        assert!(origin.seen().is_empty());
        origin.stop().await;
        assert_eq!(abandon(origin.port, &flags).await.len(), 100);
    }
}
