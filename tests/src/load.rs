//! Clients that ask on and on, as fast as they can or at a fixed rate, and count what goes wrong.
//!
//! What they ask for is [`live`](crate::live)'s: `/` answers 200, and `/page` answers with a number that never goes
//! back on one connection. A failure is counted and the first few are kept in words; the client goes on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::client::{self, Connection, Response};
use crate::latencies::Latencies;

/// Requests on one connection before a client that keeps connections opens a new one.
const REQUESTS_PER_CONNECTION: usize = 500;
/// Failures that are kept in words.
const MAX_EXAMPLES: usize = 10;
/// What is asked for, in turn.
const PATHS: [&str; 2] = ["/", "/page"];

/// How many clients there are; each has one request under way at most.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    /// Those that keep a connection for many requests.
    pub keeping: usize,
    /// Those that open a connection for each request.
    pub fresh: usize,
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Latencies>,
    begun: Instant,
}

/// What a load has seen.
#[derive(Debug)]
pub struct Outcome {
    /// Requests that were answered well.
    pub answered: u64,
    /// Requests that were not.
    pub failed: u64,
    /// The first failures in words.
    pub examples: Vec<String>,
    /// How long the good answers took. At a fixed rate: since the request was due, so that a stall is not hidden by
    /// the requests that it kept from being sent.
    pub latencies: Latencies,
    /// How long the load ran.
    pub elapsed: Duration,
}

#[derive(Debug)]
struct Shared {
    port: u16,
    stop: AtomicBool,
    answered: AtomicU64,
    failed: AtomicU64,
    examples: Mutex<Vec<String>>,
}

/// When a client's requests are due.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Instant,
    /// `None` = as soon as the last one is answered.
    interval: Option<Duration>,
}

impl Load {
    /// Clients that ask again as soon as they are answered (closed loop).
    pub fn closed(port: u16, clients: Clients) -> Self {
        Self::start(port, clients, None)
    }

    /// Clients that together ask this often, whether or not the last answer was quick (open loop, but for at most one
    /// request under way per client).
    pub fn paced(port: u16, clients: Clients, requests_per_second: f64) -> Self {
        let count = (clients.keeping + clients.fresh).max(1) as f64;
        let interval = Duration::from_secs_f64(count / requests_per_second.max(0.001));
        Self::start(port, clients, Some(interval))
    }

    fn start(port: u16, clients: Clients, interval: Option<Duration>) -> Self {
        let mut load = Self {
            shared: Arc::new(Shared {
                port,
                stop: AtomicBool::new(false),
                answered: AtomicU64::new(0),
                failed: AtomicU64::new(0),
                examples: Mutex::default(),
            }),
            clients: JoinSet::new(),
            begun: Instant::now(),
        };
        let count = clients.keeping + clients.fresh;
        for number in 0..count {
            let schedule = Schedule::of(load.begun, interval, number, count);
            let shared = Arc::clone(&load.shared);
            if number < clients.keeping {
                load.clients.spawn(keep(shared, schedule));
            } else {
                load.clients.spawn(renew(shared, schedule));
            }
        }
        load
    }

    /// Requests that were answered well so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Lets the requests under way end, and says what was seen.
    pub async fn stop(self) -> Outcome {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut latencies = Latencies::default();
        for client in self.clients.join_all().await {
            latencies.merge(&client);
        }
        let examples = self.shared.examples.lock();
        Outcome {
            answered: self.shared.answered.load(Ordering::Relaxed),
            failed: self.shared.failed.load(Ordering::Relaxed),
            examples: examples.unwrap_or_else(PoisonError::into_inner).clone(),
            latencies,
            elapsed: self.begun.elapsed(),
        }
    }
}

impl Outcome {
    /// Good answers a second.
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64().max(0.001)
    }

    /// Every request was answered well.
    ///
    /// Panics with the first failures if not.
    #[track_caller]
    pub fn no_failure(&self) -> &Self {
        assert_eq!(self.failed, 0, "{}", self.examples.join("\n"));
        self
    }
}

impl Schedule {
    /// Of client `number` among `count`: their first requests are spread evenly over one interval.
    fn of(begun: Instant, interval: Option<Duration>, number: usize, count: usize) -> Self {
        let share = number as f64 / count.max(1) as f64;
        let first = begun + interval.unwrap_or_default().mul_f64(share);
        Self { first, interval }
    }

    /// When request `number` is due; `None` = now.
    fn due(&self, number: usize) -> Option<Instant> {
        let interval = self.interval?;
        Some(self.first + interval.mul_f64(number as f64))
    }

    /// Waits until request `number` is due; returns since when its answer is waited for.
    async fn wait(&self, number: usize) -> Instant {
        match self.due(number) {
            Some(due) => {
                sleep_until(due).await;
                due
            }
            None => Instant::now(),
        }
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn fail(&self, path: &str, what: &str) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut examples = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if examples.len() < MAX_EXAMPLES {
            examples.push(format!("GET {path}: {what}"));
        }
    }

    /// Counts an answer, or what came instead; says whether it was good.
    fn count(&self, path: &str, checked: Result<(), String>) -> bool {
        match &checked {
            Ok(()) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(what) => self.fail(path, what),
        }
        checked.is_ok()
    }
}

/// One connection for many requests: what it sees never goes back to an older revision.
async fn keep(shared: Arc<Shared>, schedule: Schedule) -> Latencies {
    let mut latencies = Latencies::default();
    let mut kept: Option<(Connection, u64)> = None;
    for number in 0.. {
        if shared.stopped() {
            break;
        }
        let (path, begun) = (PATHS[number % PATHS.len()], schedule.wait(number).await);
        let (mut connection, mut newest) = match kept.take() {
            Some(kept) => kept,
            None => match Connection::connect(shared.port).await {
                Ok(connection) => (connection, 0),
                Err(error) => {
                    shared.fail(path, &error.to_string());
                    continue;
                }
            },
        };
        let answer = connection.try_get(path).await;
        let closes = !matches!(&answer, Ok(answer) if answer.header("connection").is_none());
        if shared.count(path, check(path, answer, &mut newest)) {
            latencies.record(begun.elapsed());
            let worn = number % REQUESTS_PER_CONNECTION == REQUESTS_PER_CONNECTION - 1;
            kept = (!closes && !worn).then_some((connection, newest));
        }
    }
    latencies
}

/// A connection for each request.
async fn renew(shared: Arc<Shared>, schedule: Schedule) -> Latencies {
    let mut latencies = Latencies::default();
    for number in 0.. {
        if shared.stopped() {
            break;
        }
        let (path, begun) = (PATHS[number % PATHS.len()], schedule.wait(number).await);
        let answer = client::fetch(shared.port, path).await;
        if shared.count(path, check(path, answer, &mut 0)) {
            latencies.record(begun.elapsed());
        }
    }
    latencies
}

/// Whether an answer is as it should be. `newest` is the largest number that this connection has seen.
fn check(path: &str, answer: std::io::Result<Response>, newest: &mut u64) -> Result<(), String> {
    let answer = answer.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("{}: {}", answer.status, answer.text()));
    }
    if path != "/page" {
        return Ok(());
    }
    let text = answer.text();
    let number: u64 = text
        .parse()
        .map_err(|_| format!("'{text}' instead of a number"))?;
    if number < *newest {
        return Err(format!("{number} after {newest}: an older revision"));
    }
    *newest = number;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use crate::eventually::{eventually, seconds};
    use crate::origin::Reply;

    const CLIENTS: Clients = Clients {
        keeping: 2,
        fresh: 1,
    };

    fn answer(status: u16, body: &str) -> std::io::Result<Response> {
        Ok(Response {
            status,
            head: format!("HTTP/1.1 {status} Because"),
            body: body.as_bytes().to_vec(),
        })
    }

    #[test]
    fn an_answer_is_good_if_it_is_200_and_no_older_than_the_last() {
        for (path, status, body, newest, good) in [
            ("/", 200, "anything", 7, true),
            ("/", 502, "", 7, false),
            ("/page", 200, "7", 7, true),
            ("/page", 200, "8", 7, true),
            ("/page", 200, "6", 7, false),
            ("/page", 200, "", 7, false),
        ] {
            let checked = check(path, answer(status, body), &mut newest.clone());
            assert_eq!(
                checked.is_ok(),
                good,
                "{path} {status} '{body}': {checked:?}"
            );
        }
    }

    #[test]
    fn paced_clients_take_turns() {
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        let offset = |number, request| {
            let schedule = Schedule::of(begun, Some(second), number, 4);
            schedule.due(request).map(|due| due - begun)
        };
        assert_eq!(offset(0, 0), Some(Duration::ZERO));
        assert_eq!(offset(1, 0), Some(second / 4));
        assert_eq!(offset(1, 2), Some(second * 2 + second / 4));
        assert_eq!(Schedule::of(begun, None, 3, 4).due(5), None);
    }

    #[tokio::test]
    async fn good_answers_are_counted_and_timed() {
        let origin = Origin::unrecorded("7").await;
        for load in [
            Load::closed(origin.port, CLIENTS),
            Load::paced(origin.port, CLIENTS, 300.0),
        ] {
            eventually("some are answered", seconds(20), async || {
                (load.answered() > 30).then_some(())
            })
            .await;
            let outcome = load.stop().await;
            assert_eq!(outcome.no_failure().answered, outcome.latencies.count());
        }
    }

    #[tokio::test]
    async fn failures_are_counted_with_examples_and_do_not_end_the_load() {
        let script = |seen: &crate::origin::Seen| match seen.target.as_str() {
            "/" => Reply::text(200, "good"),
            _ => Reply::raw("").then_close(),
        };
        let origin = Origin::scripted("half", script).await;
        let load = Load::closed(origin.port, CLIENTS);
        eventually("some are answered", seconds(20), async || {
            (load.answered() > 20).then_some(())
        })
        .await;
        let outcome = load.stop().await;
        assert!(outcome.failed >= 10, "{outcome:?}");
        assert_eq!(outcome.examples.len(), MAX_EXAMPLES);
        assert!(outcome.examples[0].contains("/page"), "{outcome:?}");
    }
}
