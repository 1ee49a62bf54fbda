//! The book in driven time.

use v1::target_health::State;

use super::*;
use crate::health::verdict::Reason;
use crate::table::testing::{group, table, target};
use crate::table::{Forward, Listener, Probe, TcpService};

const SECOND: Duration = Duration::from_secs(1);
const MANY: usize = usize::MAX;
const FAILED: Outcome = Outcome::Failed(Reason::FailedHealthChecks);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn targets(count: u16) -> Vec<Arc<live::Target>> {
    (0..count)
        .map(|id| target(id.into(), address(1000 + id)))
        .collect()
}

/// A book that follows one table, from `now` on.
struct Rig {
    book: Book,
    table: Arc<Table>,
    now: Instant,
}

impl Rig {
    fn new(groups: Vec<Group>) -> Self {
        let mut rig = Self {
            book: Book::new(7),
            table: Arc::default(),
            now: Instant::now(),
        };
        rig.follow(groups);
        rig
    }

    fn follow(&mut self, groups: Vec<Group>) {
        self.follow_table(table(groups));
    }

    fn follow_table(&mut self, table: Arc<Table>) {
        self.book.follow(&self.table, &table, self.now);
        self.table = table;
    }

    /// Lets time pass in small steps; every probe ends at once as `outcome` says. Returns their times.
    fn pass(&mut self, time: Duration, outcome: Outcome) -> Vec<(TargetId, Instant)> {
        let mut probes = Vec::new();
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(10);
            for job in self.book.begin(self.now, MANY) {
                probes.push((job.target, self.now));
                self.book.finish(&job, outcome, self.now);
            }
        }
        probes
    }

    fn states(&mut self) -> Vec<State> {
        let mut all = self.book.all(self.now);
        all.sort_by(|a, b| a.target.cmp(&b.target));
        all.iter().map(v1::TargetVerdict::state).collect()
    }

    fn news(&mut self) -> Vec<State> {
        let news = std::mem::take(self.book.news());
        news.values().map(v1::TargetVerdict::state).collect()
    }
}

fn distinct(probes: &[(TargetId, Instant)]) -> usize {
    let ids: BTreeSet<_> = probes.iter().map(|(id, _)| id).collect();
    ids.len()
}

#[test]
fn new_targets_are_probed_soon_and_then_spread_over_the_interval() {
    let mut rig = Rig::new(vec![group(0, &targets(1000))]);
    assert_eq!(
        distinct(&rig.pass(FIRST_PROBE_WITHIN, Outcome::Passed)),
        1000
    );
    rig.pass(10 * SECOND, Outcome::Passed);
    let round = rig.pass(10 * SECOND, Outcome::Passed);
    assert!(
        round.len() <= 1001 && distinct(&round) >= 999,
        "{}",
        round.len()
    );
    // No second has twice its share.
    for second in 0..10 {
        let from = rig.now - 10 * SECOND + second * SECOND;
        let within = round
            .iter()
            .filter(|(_, at)| (from..from + SECOND).contains(at));
        let count = within.count();
        assert!((50..200).contains(&count), "{count} in second {second}");
    }
}

#[test]
fn no_target_is_probed_twice_at_a_time_or_beyond_the_room() {
    let mut rig = Rig::new(vec![group(0, &targets(10))]);
    rig.now += SECOND;
    let jobs = rig.book.begin(rig.now, 4);
    assert_eq!(jobs.len(), 4);
    assert_eq!(rig.book.next(0), None);
    assert!(rig.book.next(1).unwrap() <= rig.now);
    rig.now += 100 * SECOND;
    assert_eq!(rig.book.begin(rig.now, MANY).len(), 6);
    assert!(rig.book.begin(rig.now, MANY).is_empty());
    for job in &jobs {
        rig.book.finish(job, Outcome::Passed, rig.now);
    }
    rig.now += 10 * SECOND;
    assert_eq!(rig.book.begin(rig.now, MANY).len(), 4);
}

#[test]
fn the_interval_does_not_depend_on_how_long_a_probe_takes() {
    let mut rig = Rig::new(vec![group(0, &targets(1))]);
    rig.pass(12 * SECOND, Outcome::Passed);
    let mut begun = Vec::new();
    for _ in 0..3 {
        rig.now = rig.book.next(1).unwrap();
        begun.push(rig.now);
        let jobs = rig.book.begin(rig.now, MANY);
        rig.now += 4 * SECOND;
        rig.book.finish(&jobs[0], FAILED, rig.now);
    }
    assert_eq!(begun[1] - begun[0], 10 * SECOND);
    assert_eq!(begun[2] - begun[1], 10 * SECOND);
}

#[test]
fn an_unchanged_target_is_not_disturbed_by_a_change() {
    let all = targets(3);
    let mut rig = Rig::new(vec![group(0, &all[..2]), group(1, &all[2..])]);
    rig.pass(12 * SECOND, Outcome::Passed);
    rig.news();
    let before: Vec<_> = [0, 2].map(|id| rig.book.probed[&TargetId(id)].due).into();
    let (gone, stays) = (&all[1], &all[0]);
    rig.follow(vec![
        group(0, std::slice::from_ref(stays)),
        group(1, &all[2..]),
    ]);
    let after: Vec<_> = [0, 2].map(|id| rig.book.probed[&TargetId(id)].due).into();
    assert_eq!(before, after);
    assert!(stays.healthy.load(Ordering::Relaxed));
    assert!(gone.deregistered.load(Ordering::Relaxed));
    assert_eq!(rig.news(), [State::Draining]);
    assert_eq!(
        rig.states(),
        [State::Healthy, State::Draining, State::Healthy]
    );
}

#[test]
fn changed_settings_apply_in_place() {
    let all = targets(1);
    let mut rig = Rig::new(vec![group(0, &all)]);
    let slow = |interval, path: &str| {
        let mut group = group(0, &all);
        group.health_check.interval = interval;
        group.health_check.port = Some(9);
        group.health_check.probe = Probe::Http {
            path: path.into(),
            matcher: [(200, 200)].into(),
        };
        group
    };
    rig.follow(vec![slow(300 * SECOND, "/a")]);
    rig.pass(700 * SECOND, Outcome::Passed);
    rig.news();
    rig.follow(vec![slow(5 * SECOND, "/b")]);
    let next = rig.book.next(1).unwrap();
    assert!(next <= rig.now + 5 * SECOND);
    rig.now = next;
    let job = rig.book.begin(rig.now, MANY).remove(0);
    assert_eq!(job.question.address, address(9));
    assert!(matches!(&job.question.probe, Probe::Http { path, .. } if &**path == "/b"));
    rig.book.finish(&job, Outcome::Passed, rig.now);
    assert!(rig.news().is_empty(), "the verdict stays");
    assert_eq!(rig.states(), [State::Healthy]);
}

#[test]
fn a_drained_target_is_cut_at_the_end_of_the_delay_and_told_as_unused() {
    let all = targets(1);
    let mut rig = Rig::new(vec![group(0, &all)]);
    rig.pass(2 * SECOND, Outcome::Passed);
    rig.news();
    rig.follow(vec![group(0, &[])]);
    assert_eq!(rig.news(), [State::Draining]);
    assert!(rig.pass(299 * SECOND, Outcome::Passed).is_empty(), "probed");
    assert!(!rig.book.expire(rig.now));
    assert!(!all[0].cut.load(Ordering::Relaxed));
    assert_eq!(rig.states(), [State::Draining]);
    let end = rig.book.next(0).unwrap();
    assert!(rig.book.expire(end));
    assert!(all[0].cut.load(Ordering::Relaxed));
    assert_eq!(rig.news(), [State::Unused]);
    assert!(rig.states().is_empty());
    assert_eq!(rig.book.next(1), None);
}

#[test]
fn a_group_that_left_drains_by_its_own_rules() {
    let all = targets(1);
    let below_http = |connection_termination| Group {
        algorithm: Algorithm::FlowHash,
        deregistration_delay: 5 * SECOND,
        connection_termination,
        ..group(0, &all)
    };
    for termination in [false, true] {
        let mut rig = Rig::new(vec![below_http(termination)]);
        rig.pass(2 * SECOND, Outcome::Passed);
        rig.follow(vec![]);
        rig.now += 5 * SECOND;
        assert_eq!(rig.book.expire(rig.now), termination);
        assert_eq!(all[0].cut.load(Ordering::Relaxed), termination);
        assert_eq!(rig.news(), [State::Unused]);
    }
}

#[test]
fn a_target_registered_again_comes_back_as_a_new_one() {
    let all = targets(1);
    let mut rig = Rig::new(vec![group(0, &all)]);
    rig.now += SECOND;
    let old = rig.book.begin(rig.now, MANY).remove(0);
    rig.book.finish(&old, Outcome::Passed, rig.now);
    rig.now += 10 * SECOND;
    let old = rig.book.begin(rig.now, MANY).remove(0);
    rig.follow(vec![group(0, &[])]);
    rig.follow(vec![group(0, &all)]);
    assert!(!all[0].deregistered.load(Ordering::Relaxed));
    assert!(!all[0].healthy.load(Ordering::Relaxed));
    assert_eq!(rig.news(), [State::Initial], "only the last is told");
    rig.book.finish(&old, FAILED, rig.now);
    rig.book.finish(&old, FAILED, rig.now);
    assert_eq!(rig.states(), [State::Initial], "the old probe counts not");
    rig.pass(SECOND, Outcome::Passed);
    assert_eq!(rig.states(), [State::Healthy]);
    assert!(!rig.book.expire(rig.now + 1000 * SECOND));
    assert!(!all[0].cut.load(Ordering::Relaxed));

    // So it does after the end, with its last connection still open.
    rig.follow(vec![group(0, &[])]);
    assert!(rig.book.expire(rig.now + 1000 * SECOND));
    rig.follow(vec![group(0, &all)]);
    assert!(!all[0].cut.load(Ordering::Relaxed));
}

#[test]
fn of_a_draining_target_and_its_successor_only_the_successor_is_told() {
    // Compiling makes a new entry for an address whose old one still drains.
    let (old, new) = (target(0, address(1000)), target(1, address(1000)));
    let mut rig = Rig::new(vec![group(0, std::slice::from_ref(&old))]);
    rig.pass(SECOND, Outcome::Passed);
    rig.follow(vec![group(0, &[])]);
    assert_eq!(rig.news(), [State::Draining]);
    rig.follow(vec![group(0, std::slice::from_ref(&new))]);
    assert_eq!(rig.news(), [State::Initial]);
    rig.pass(SECOND, Outcome::Passed);
    assert_eq!(rig.news(), [State::Healthy]);
    assert_eq!(rig.states(), [State::Healthy]);
    assert!(rig.book.expire(rig.now + 300 * SECOND));
    assert!(old.cut.load(Ordering::Relaxed) && !new.cut.load(Ordering::Relaxed));
    assert!(rig.news().is_empty());

    // In one change too: the last word is the successor's.
    let third = target(2, address(1000));
    rig.follow(vec![group(0, std::slice::from_ref(&third))]);
    assert!(new.deregistered.load(Ordering::Relaxed));
    assert_eq!(rig.news(), [State::Initial]);
    // Both drain: the name is gone with the last.
    rig.now += SECOND;
    rig.follow(vec![group(0, &[])]);
    rig.news();
    rig.now += 299 * SECOND;
    assert!(rig.book.expire(rig.now));
    assert!(rig.news().is_empty());
    rig.now += SECOND;
    assert!(rig.book.expire(rig.now));
    assert_eq!(rig.news(), [State::Unused]);
}

#[test]
fn only_groups_whose_verdicts_changed_get_a_new_schedule() {
    let all = targets(2);
    let mut rig = Rig::new(vec![group(0, &all[..1]), group(1, &all[1..])]);
    assert!(rig.book.is_stale());
    rig.book.schedule();
    let schedule = |rig: &Rig, id| {
        rig.table
            .group(GroupId(id))
            .unwrap()
            .pool
            .schedule
            .load_full()
    };
    let before = [0, 1].map(|id| schedule(&rig, id));
    rig.now += SECOND;
    for job in rig.book.begin(rig.now, MANY) {
        let outcome = match job.target {
            TargetId(0) => Outcome::Passed,
            _ => Outcome::NotMade,
        };
        rig.book.finish(&job, outcome, rig.now);
    }
    rig.book.schedule();
    assert!(!Arc::ptr_eq(&before[0], &schedule(&rig, 0)));
    assert!(Arc::ptr_eq(&before[1], &schedule(&rig, 1)));
    assert!(!rig.book.is_stale());
}

#[test]
fn times_that_do_not_count_any_more_do_not_pile_up() {
    let all = targets(100);
    let mut rig = Rig::new(vec![group(0, &all)]);
    for round in 0..1000 {
        let mut group = group(0, &all);
        group.health_check.interval = (300 - round % 2) * SECOND;
        rig.follow(vec![group]);
    }
    assert!(rig.book.queue.len() <= 2 * all.len());
    assert_eq!(rig.pass(300 * SECOND, Outcome::Passed).len() / 100, 2);
}

#[test]
fn below_http_host_has_the_listeners_port() {
    let all = targets(1);
    let http = group(1, &[]);
    let tcp = Group {
        algorithm: Algorithm::FlowHash,
        ..group(0, &all)
    };
    let listener = Listener {
        id: crate::table::ListenerId(0),
        name: "edge/redis".into(),
        load_balancer: "edge".into(),
        addresses: [address(6379)].into(),
        port: 6379,
        service: Service::Tcp(TcpService {
            forward: Forward {
                groups: [(GroupId(0), 1)].into(),
                total_weight: 1,
            },
            idle_timeout: SECOND,
        }),
        live: Arc::new(live::Listener {
            name: "edge/redis".into(),
            counters: live::Shards::new(1),
        }),
    };
    let table = Table {
        listeners: vec![Some(Arc::new(listener))],
        groups: table(vec![tcp, http]).groups.clone(),
        ..Table::default()
    };
    let mut rig = Rig::new(vec![]);
    rig.follow_table(Arc::new(table));
    rig.now += SECOND;
    let job = rig.book.begin(rig.now, MANY).remove(0);
    assert_eq!(job.question.host_port, Some(6379));
}
