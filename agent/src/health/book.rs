//! What is known of every target: verdicts, who is to be probed when, who drains, and what is to be told.
//!
//! Decides everything and does nothing slow: the shell ([`super::scheduler`]) probes what [`Book::begin`] gives it,
//! says how that went to [`Book::finish`], and passes on [`Book::news`]. Time arrives as `now`, chance is seeded.
//!
//! One entry and one place in a queue a target, instead of a task and a timer each: 10,000 targets take about 3 MB,
//! and one timer. Invariants: no target is probed twice at a time; an entry's target is in the group that the table
//! in force says; of each name at most one piece of news waits, its last.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use inlet_proto::v1;

use crate::balance;
use crate::live::{self, TargetId};
use crate::table::{Algorithm, Group, GroupId, Service, Table};

use super::drain::{Drain, End, Rules};
use super::prober::Question;
use super::report;
use super::verdict::{Outcome, Thresholds, Verdict};

/// A new target is probed within this time, so that it serves soon; from then on it keeps a time of its own within
/// the interval, so that many targets do not pulse.
const FIRST_PROBE_WITHIN: Duration = Duration::from_secs(1);

/// Verdicts, times and drains of all targets.
#[derive(Debug)]
pub(super) struct Book {
    table: Arc<Table>,
    /// Listener ports of groups below HTTP, for `Host`.
    ports: HashMap<GroupId, u16>,
    probed: HashMap<TargetId, Probed>,
    /// The names of these.
    registered: HashSet<Name>,
    draining: HashMap<TargetId, Draining>,
    /// When the first of them ends, or earlier.
    drain_ends: Option<Instant>,
    /// Of each waiting entry its time, and older times that do not count any more.
    queue: BinaryHeap<Reverse<(Instant, TargetId)>>,
    /// Groups whose schedule is older than a verdict.
    stale: BTreeSet<GroupId>,
    news: BTreeMap<Name, v1::TargetVerdict>,
    registrations: u64,
    random: fastrand::Rng,
}

/// What a target is called in reports: one that drains and its successor, registered at the same address, share it.
pub(super) type Name = (Arc<str>, SocketAddr);

/// A probe to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Whom it is about.
    pub(super) target: TargetId,
    /// Which registration of that target; it may have gone and come back meanwhile.
    registration: u64,
    /// What to ask.
    pub(super) question: Question,
}

/// A registered target.
#[derive(Debug)]
struct Probed {
    target: Arc<live::Target>,
    group: GroupId,
    registration: u64,
    verdict: Verdict,
    since: Instant,
    /// When the next probe begins, or the one under way should have.
    due: Instant,
    running: bool,
    /// It was never probed.
    fresh: bool,
}

/// A deregistered target.
#[derive(Debug)]
struct Draining {
    target: Arc<live::Target>,
    since: Instant,
    drain: Drain,
}

impl Book {
    /// Nothing to probe yet.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            table: Arc::default(),
            ports: HashMap::new(),
            probed: HashMap::new(),
            registered: HashSet::new(),
            draining: HashMap::new(),
            drain_ends: None,
            queue: BinaryHeap::new(),
            stale: BTreeSet::new(),
            news: BTreeMap::new(),
            registrations: 0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Takes over what `after` has beyond `before`, the table of the call before this one. What both have goes on
    /// undisturbed. Cost: proportional to the groups that differ.
    pub(super) fn follow(&mut self, before: &Table, after: &Arc<Table>, now: Instant) {
        self.table = Arc::clone(after);
        self.ports = ports(after);
        for place in 0..before.groups.len().max(after.groups.len()) {
            let of = |table: &Table| table.groups.get(place).cloned().flatten();
            match (of(before), of(after)) {
                (Some(old), Some(new)) if Arc::ptr_eq(&old, &new) => {}
                (old, new) => self.follow_group(old.as_deref(), new.as_deref(), now),
            }
        }
        self.compact();
    }

    fn follow_group(&mut self, old: Option<&Group>, new: Option<&Group>, now: Instant) {
        let stays: BTreeSet<_> = new.into_iter().flat_map(ids).collect();
        if let Some(old) = old {
            // The delay in force is that of the revision that deregisters, if it still has the group.
            let rules = Rules::of(new.filter(|new| new.name == old.name).unwrap_or(old));
            for id in ids(old).filter(|id| !stays.contains(id)) {
                self.deregister(id, rules, now);
            }
        }
        let Some(new) = new else { return };
        for (target, _) in &new.pool.members {
            self.register(target, new, now);
        }
        if old.is_some_and(|old| old.health_check != new.health_check) {
            self.bring_forward(new, now);
        }
        // Compiled before the last verdicts, perhaps.
        self.stale.insert(new.id);
    }

    fn register(&mut self, target: &Arc<live::Target>, group: &Group, now: Instant) {
        if let Some(known) = self.probed.get_mut(&target.id) {
            known.group = group.id;
            return;
        }
        self.draining.remove(&target.id);
        target.deregistered.store(false, Ordering::Relaxed);
        target.cut.store(false, Ordering::Relaxed);
        target.healthy.store(false, Ordering::Relaxed);
        self.registrations += 1;
        let within = FIRST_PROBE_WITHIN.min(group.health_check.interval);
        let entry = Probed {
            target: Arc::clone(target),
            group: group.id,
            registration: self.registrations,
            verdict: Verdict::default(),
            since: now,
            due: now + within.mul_f64(self.random.f64()),
            running: false,
            fresh: true,
        };
        self.queue.push(Reverse((entry.due, target.id)));
        self.news.insert(name(target), entry.report(now));
        self.registered.insert(name(target));
        self.probed.insert(target.id, entry);
    }

    fn deregister(&mut self, id: TargetId, rules: Rules, now: Instant) {
        let Some(entry) = self.probed.remove(&id) else {
            return;
        };
        entry.target.deregistered.store(true, Ordering::Relaxed);
        self.registered.remove(&name(&entry.target));
        let draining = Draining {
            target: entry.target,
            since: now,
            drain: Drain::start(now, rules),
        };
        let until = draining.drain.until();
        self.drain_ends = Some(self.drain_ends.map_or(until, |first| first.min(until)));
        self.news
            .insert(name(&draining.target), draining.report(now));
        self.draining.insert(id, draining);
    }

    /// The interval may have become shorter, or the question another: nobody waits out the old interval.
    fn bring_forward(&mut self, group: &Group, now: Instant) {
        for id in ids(group) {
            let soon = now + group.health_check.interval.mul_f64(self.random.f64());
            let waits = |entry: &&mut Probed| !entry.running && soon < entry.due;
            if let Some(entry) = self.probed.get_mut(&id).filter(waits) {
                entry.due = soon;
                self.queue.push(Reverse((soon, id)));
            }
        }
    }

    /// Times that do not count any more would pile up with frequent changes.
    fn compact(&mut self) {
        if self.queue.len() > 2 * self.probed.len() {
            let waiting = self.probed.values().filter(|entry| !entry.running);
            let times = waiting.map(|entry| Reverse((entry.due, entry.target.id)));
            self.queue = times.collect();
        }
    }

    /// The probes whose time has come, at most `room` of them; each must come back to [`Self::finish`].
    pub(super) fn begin(&mut self, now: Instant, room: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < room {
            match self.queue.peek() {
                Some(Reverse((due, _))) if *due <= now => {}
                _ => break,
            }
            let Some(Reverse((due, id))) = self.queue.pop() else {
                break;
            };
            jobs.extend(self.job(due, id));
        }
        jobs
    }

    /// `None` = that time does not count any more.
    fn job(&mut self, due: Instant, id: TargetId) -> Option<Job> {
        let entry = self.probed.get_mut(&id)?;
        if entry.running || entry.due != due {
            return None;
        }
        let group = self.table.group(entry.group)?;
        entry.running = true;
        let check = &group.health_check;
        let address = entry.target.address;
        Some(Job {
            target: id,
            registration: entry.registration,
            question: Question {
                address: SocketAddr::new(
                    address.ip(),
                    check.port.unwrap_or_else(|| address.port()),
                ),
                probe: check.probe.clone(),
                host_port: self.ports.get(&entry.group).copied(),
                timeout: check.timeout,
            },
        })
    }

    /// A probe has ended: judges, and sets the time of the next one, which does not depend on how long this one took.
    pub(super) fn finish(&mut self, job: &Job, outcome: Outcome, now: Instant) {
        let Some(entry) = self.probed.get_mut(&job.target) else {
            return;
        };
        let group = match self.table.group(entry.group) {
            Some(group) if entry.registration == job.registration => group,
            _ => return,
        };
        debug_assert!(entry.running);
        entry.running = false;
        let check = &group.health_check;
        let share = match std::mem::take(&mut entry.fresh) {
            true => self.random.f64(),
            false => 1.0,
        };
        let next = entry.due + check.interval.mul_f64(share);
        entry.due = next.max(now).min(now + check.interval);
        self.queue.push(Reverse((entry.due, job.target)));
        let thresholds = Thresholds {
            healthy: check.healthy_threshold,
            unhealthy: check.unhealthy_threshold,
        };
        if entry.verdict.observe(outcome, thresholds).is_none() {
            return;
        }
        entry.since = now;
        let healthy = matches!(entry.verdict, Verdict::Healthy { .. });
        if entry.target.healthy.swap(healthy, Ordering::Relaxed) != healthy {
            self.stale.insert(entry.group);
        }
        let report = entry.report(now);
        tracing::info!(
            targetGroup = %entry.target.group,
            target = %entry.target.address,
            state = if healthy { "healthy" } else { "unhealthy" },
            reason = (!healthy).then_some(&report.reason),
            description = (!healthy).then_some(&report.description),
            "a target's health has changed"
        );
        self.news.insert(name(&entry.target), report);
    }

    /// Ends the drains whose time is over. Says whether something under way was cut: its connections must be woken.
    #[must_use]
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        if self.drain_ends.is_none_or(|first| now < first) {
            return false;
        }
        let mut cut = false;
        let over = self.draining.extract_if(|_, draining| {
            let end = draining.drain.observe(now);
            if end == Some(End::Cut) {
                draining.target.cut.store(true, Ordering::Relaxed);
                cut = true;
            }
            end.is_some()
        });
        let over: Vec<_> = over.collect();
        for (_, draining) in over {
            let name = name(&draining.target);
            // Of a successor, what was said last holds.
            let drains = |entry: &Draining| self::name(&entry.target) == name;
            if !self.registered.contains(&name) && !self.draining.values().any(drains) {
                self.news.insert(name, report::gone(&draining.target));
            }
        }
        let ends = self.draining.values().map(|entry| entry.drain.until());
        self.drain_ends = ends.min();
        cut
    }

    /// Makes the schedules anew of the groups whose verdicts have changed.
    pub(super) fn schedule(&mut self) {
        for id in std::mem::take(&mut self.stale) {
            if let Some(group) = self.table.group(id) {
                let pool = &group.pool;
                pool.schedule
                    .store(Arc::new(balance::schedule(&pool.members)));
            }
        }
    }

    /// Whether [`Self::schedule`] has something to do.
    pub(super) fn is_stale(&self) -> bool {
        !self.stale.is_empty()
    }

    /// When the next drain ends, or, if there is `room`, the next probe begins.
    pub(super) fn next(&self, room: usize) -> Option<Instant> {
        let probe = self.queue.peek().map(|Reverse((due, _))| *due);
        let probe = probe.filter(|_| room > 0);
        self.drain_ends.into_iter().chain(probe).min()
    }

    /// What is to be told and was not taken yet.
    pub(super) fn news(&mut self) -> &mut BTreeMap<Name, v1::TargetVerdict> {
        &mut self.news
    }

    /// Every verdict now, draining targets included.
    pub(super) fn all(&self, now: Instant) -> Vec<v1::TargetVerdict> {
        let draining = self.draining.values();
        let draining = draining.filter(|entry| !self.registered.contains(&name(&entry.target)));
        let draining = draining.map(|entry| entry.report(now));
        let probed = self.probed.values().map(|entry| entry.report(now));
        probed.chain(draining).collect()
    }
}

impl Probed {
    fn report(&self, now: Instant) -> v1::TargetVerdict {
        let age = now.saturating_duration_since(self.since);
        report::registered(&self.target, self.verdict, age)
    }
}

impl Draining {
    fn report(&self, now: Instant) -> v1::TargetVerdict {
        report::draining(&self.target, now.saturating_duration_since(self.since))
    }
}

fn name(target: &live::Target) -> Name {
    (Arc::clone(&target.group), target.address)
}

fn ids(group: &Group) -> impl Iterator<Item = TargetId> {
    group.pool.members.iter().map(|(target, _)| target.id)
}

/// The port of a listener that forwards to each group below HTTP; of several, the first.
fn ports(table: &Table) -> HashMap<GroupId, u16> {
    let mut ports = HashMap::new();
    for listener in table.listeners.iter().flatten() {
        if let Service::Tcp(service) = &listener.service {
            for (group, _) in &service.forward.groups {
                let is_below_http = table
                    .group(*group)
                    .is_some_and(|group| group.algorithm == Algorithm::FlowHash);
                if is_below_http {
                    ports.entry(*group).or_insert(listener.port);
                }
            }
        }
    }
    ports
}

#[cfg(test)]
mod tests;
