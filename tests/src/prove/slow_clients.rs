//! Slow clients: each sends head and body a byte at a time, and gets its answer all the same.

use std::io;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::neighbours::Scene;
use super::{Quantity, Report};
use crate::Connection;

/// Memory that one slow client may take: its own connection with a partial head, and one to a target.
const MOST_EACH: u64 = 8192;
/// Batches of clients, one after the other.
const BATCHES: usize = 2;
/// What every client sends.
const REQUEST: &str = "POST / HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 24\r\n\r\na byte at a time, slowly";
/// From one look at the agent's memory to the next.
const LOOK: Duration = Duration::from_millis(250);
/// Time for everything but the batches.
const OVERHEAD: Duration = Duration::from_secs(120);
/// Time for answers and closing after a batch has sent its requests.
const PER_BATCH: Duration = Duration::from_secs(60);

/// How large the run is.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Clients at the same time
    #[arg(long, default_value_t = 2000)]
    clients: usize,
    /// Milliseconds from one byte of a client to the next
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    gap: u64,
}

impl Flags {
    pub(super) fn limit(&self) -> Duration {
        let request = self.gap() * REQUEST.len() as u32;
        OVERHEAD + (request + PER_BATCH) * BATCHES as u32
    }

    fn gap(&self) -> Duration {
        Duration::from_millis(self.gap)
    }
}

pub(super) async fn run(flags: &Flags, report: &mut Report) {
    let mut scene = Scene::start().await;
    let mut failures = Vec::new();
    let mut last = None;
    for _ in 0..BATCHES {
        let mut clients = start(scene.port(), flags);
        let others = scene.others();
        let mut height = 0;
        while !clients.is_empty() {
            height = height.max(scene.memory());
            sleep(LOOK).await;
            while let Some(client) = clients.try_join_next() {
                failures.extend(client.expect("a client does not panic").err());
            }
        }
        last = Some(others.stop().await);
        scene.note_height(height);
        scene.settled().await;
    }
    report.stated("slow clients in a batch", Quantity::count(flags.clients));
    report.none(
        "slow clients without their answer",
        failures.len(),
        &failures,
    );
    scene.tell_memory(report, flags.clients, Some(MOST_EACH));
    let last = last.expect("there is a batch");
    scene.tell_others(report, &last);
}

/// Starts all clients, spread evenly over the time between two bytes.
fn start(port: u16, flags: &Flags) -> JoinSet<Result<(), String>> {
    let (count, gap) = (flags.clients, flags.gap());
    let mut clients = JoinSet::new();
    for number in 0..count {
        clients.spawn(async move {
            sleep(gap.mul_f64(number as f64 / count as f64)).await;
            match ask_slowly(number, port, gap).await {
                Ok(200) => Ok(()),
                Ok(status) => Err(format!("client {number}: {status}")),
                Err(error) => Err(format!("client {number}: {error}")),
            }
        });
    }
    clients
}

async fn ask_slowly(number: usize, port: u16, gap: Duration) -> io::Result<u16> {
    let mut connection = Connection::connect_as(number, port).await?;
    let mut ticks = interval(gap);
    for byte in REQUEST.as_bytes().chunks(1) {
        ticks.tick().await;
        connection.try_send(byte).await?;
    }
    let answer = connection.try_response("POST").await?;
    Ok(answer.status)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{REQUEST, ask_slowly};
    use crate::Origin;

    #[tokio::test]
    async fn a_slow_client_sends_its_request_and_gets_the_answer() {
        let origin = Origin::named("one").await;
        let status = ask_slowly(5, origin.port, Duration::from_millis(1)).await;
        assert_eq!(status.expect("an answer"), 200);
        let body = REQUEST.split("\r\n\r\n").nth(1).expect("a body");
        assert_eq!(origin.only_seen().body, body.as_bytes());
    }

    #[test]
    fn the_slow_request_is_as_long_as_it_says() {
        let (head, body) = REQUEST.split_once("\r\n\r\n").expect("a head");
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }
}
