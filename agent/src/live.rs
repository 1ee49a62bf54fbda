//! What outlives a table: counters, health, requests in flight, pools. Shared by the workers and the control runtime.
//!
//! Entries are made by `compile` through [`Registry`], which gives the same entry for the same name or address again,
//! so that swapping a table resets nothing. Counters that the hot path writes are sharded by worker: each shard has
//! one writer, so a relaxed load and store is enough; readers add the shards up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

/// A counter with one writer: no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the shard's owner may call it.
    pub fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Subtracts (for gauges); only the shard's owner may call it.
    pub fn sub(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_sub(amount),
            Ordering::Relaxed,
        );
    }

    /// The value now; any thread.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One `T` per worker, each on cache lines of its own.
#[derive(Debug)]
pub struct Shards<T>(Box<[Shard<T>]>);

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard<T>(T);

impl<T: Default> Shards<T> {
    /// `workers` shards.
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Shard::default()).collect())
    }

    /// The shard of one worker. Panics if there is no such worker: a bug in the caller.
    pub fn of(&self, worker: usize) -> &T {
        &self.0[worker].0
    }

    /// Sum over the shards of what `pick` shows.
    pub fn sum(&self, pick: impl Fn(&T) -> &Counter) -> u64 {
        self.0
            .iter()
            .fold(0, |sum, shard| sum.wrapping_add(pick(&shard.0).value()))
    }
}

/// Number of HTTP status classes counted: 1xx to 5xx.
pub const STATUS_CLASSES: usize = 5;

/// Upper bounds of the response time histogram, in microseconds; the last bucket has none.
pub const RESPONSE_TIME_BOUNDS_US: [u32; 12] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
];

/// Counters of one listener, one worker's share.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub connections: Counter,
    /// Connections open now.
    pub active_connections: Counter,
    /// Connections refused: over a limit, or no descriptor left.
    pub rejected_connections: Counter,
    /// Requests whose head was read (HTTP).
    pub requests: Counter,
    /// Bytes received from clients.
    pub received_bytes: Counter,
    /// Bytes sent to clients.
    pub sent_bytes: Counter,
    /// Responses by class, whoever made them (HTTP).
    pub responses: [Counter; STATUS_CLASSES],
    /// Responses that the agent made itself after a failure, by status: 400, 405, 408, 413, 414, 431, 460, 463, 464,
    /// 500, 501, 502, 503, 504, 505, 507 in this order, then all others. See [`MADE_STATUSES`].
    pub made: [Counter; MADE_STATUSES.len() + 1],
    /// Connections reset by the client, by the target, by the agent (TCP).
    pub resets: [Counter; 3],
}

/// The statuses that [`ListenerCounters::made`] counts one by one.
pub const MADE_STATUSES: [u16; 16] = [
    400, 405, 408, 413, 414, 431, 460, 463, 464, 500, 501, 502, 503, 504, 505, 507,
];

/// Counters of one target group, one worker's share.
#[derive(Debug, Default)]
pub struct GroupCounters {
    /// Requests or connections for which a target was chosen.
    pub requests: Counter,
    /// Responses of targets by class (HTTP).
    pub responses: [Counter; STATUS_CLASSES],
    /// Connections to targets that could not be opened or broke.
    pub connection_errors: Counter,
    /// Requests or connections sent to an unhealthy target because none was healthy.
    pub fail_open: Counter,
    /// Requests that found no target at all.
    pub no_target: Counter,
    /// Histogram of the time from request sent to response head, see [`RESPONSE_TIME_BOUNDS_US`].
    pub response_time: [Counter; RESPONSE_TIME_BOUNDS_US.len() + 1],
    /// Sum of these times, in microseconds.
    pub response_time_sum_us: Counter,
}

/// What outlives a table, of one listener.
#[derive(Debug)]
pub struct Listener {
    /// `loadBalancer/listener`.
    pub name: Arc<str>,
    /// Counters by worker.
    pub counters: Shards<ListenerCounters>,
}

/// What outlives a table, of one target group.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// Counters by worker.
    pub counters: Shards<GroupCounters>,
    /// Turns taken so far by round robin, on all workers.
    pub cursor: AtomicUsize,
}

/// Index of a target among all that this process ever knew and still needs; reused only after its target is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId(pub u32);

/// What outlives a table, of one target of one group.
#[derive(Debug)]
pub struct Target {
    /// Dense, for per-worker pools.
    pub id: TargetId,
    /// Name of its group.
    pub group: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its verdict is healthy.
    pub healthy: AtomicBool,
    /// Requests or connections under way to it, on all workers.
    pub in_flight: AtomicU32,
    /// It was deregistered: idle connections to it are not kept.
    pub deregistered: AtomicBool,
    /// Its time is over: what is still under way ends now (deregistration delay, connection termination).
    pub cut: AtomicBool,
}

/// The targets of a group at one revision, and which of them may be chosen now.
#[derive(Debug)]
pub struct Pool {
    /// All registered targets in the order of their names, with their weights (0..=999).
    pub members: Box<[(Arc<Target>, u32)]>,
    /// Made anew by `balance` whenever a verdict changes.
    pub schedule: ArcSwap<Schedule>,
}

/// Which targets may be chosen, in a form that makes choosing cheap.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Round robin and flow hash: one turn after the other, interleaved by weight. Empty = no target can be chosen.
    pub turns: Box<[Arc<Target>]>,
    /// The same targets once each, with their weights (at least 1), for least outstanding requests.
    pub eligible: Box<[(Arc<Target>, u32)]>,
    /// None is healthy: all are tried.
    pub fail_open: bool,
}

/// Counts one request or connection under way to a target, for as long as it lives.
#[derive(Debug)]
pub struct InFlight(Arc<Target>);

impl InFlight {
    /// One more.
    pub fn new(target: Arc<Target>) -> Self {
        target.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(target)
    }

    /// To whom.
    pub fn target(&self) -> &Arc<Target> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every entry that a table in force, or something under way, still needs, by name. Touched by the control runtime only.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
}

impl Registry {
    /// No entries; counters will have `workers` shards.
    pub fn new(workers: usize) -> Self {
        Self { workers }
    }

    /// Entries of all listeners, for metrics.
    pub fn listeners(&self) -> Vec<Arc<Listener>> {
        Vec::new()
    }

    /// Entries of all target groups, for metrics.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        Vec::new()
    }

    /// Entries of all targets, for metrics.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        Vec::new()
    }

    /// Shards that counters have.
    pub fn workers(&self) -> usize {
        self.workers
    }
}
