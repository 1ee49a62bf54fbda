//! What was acknowledged, and whether what is found explains it: pure.
//!
//! Change `n` of writer `w` makes rule `w<w>` answer `n`, creates group `w<w>-<n>` with [`TARGETS`] targets of weight
//! `n % 1000`, deletes the group of its change before, and has the message `w<w> <n>`. So every single resource tells
//! which change made it, and the history tells which changes there were and at which revision.

use std::collections::{BTreeMap, HashMap};

use inlet_proto::v1;

/// The listener of the writers' rules.
pub(super) const LISTENER: &str = "shop/http";
/// Targets of a writer's group.
pub(super) const TARGETS: usize = 3;

/// Where a writer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The last number that it tried; never tried again.
    pub(super) attempted: u64,
    /// The number of its change that is stored.
    pub(super) stored: Option<u64>,
    /// The revision of that change.
    revision: u64,
}

/// What was tried and acknowledged in all rounds, and what was found to be stored after the last.
#[derive(Debug)]
pub(super) struct Ledger {
    writers: Vec<Standing>,
    /// Message of the acknowledged change of each revision.
    acknowledged: BTreeMap<u64, String>,
    unacknowledged: usize,
    verified: u64,
}

/// What is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The current revision.
    pub(super) current: u64,
    /// The oldest revision that is kept.
    pub(super) oldest: u64,
    /// (revision, message) after the last verified one, the newest first.
    pub(super) revisions: Vec<(u64, String)>,
    /// By writer: what its rule answers, and the rule's revision.
    pub(super) rules: HashMap<usize, (String, u64)>,
    /// All target groups.
    pub(super) groups: Vec<Group>,
}

/// A target group, as far as it counts here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    name: String,
    revision: u64,
    weights: Vec<u32>,
}

impl Group {
    pub(super) fn of(group: &v1::TargetGroup) -> Self {
        Self {
            name: group.name.clone(),
            revision: group.revision,
            weights: group
                .targets
                .iter()
                .map(|target| target.weight.unwrap_or(1))
                .collect(),
        }
    }

    /// The group that change `number` of a writer makes.
    fn made_by(writer: usize, number: u64, revision: u64) -> Self {
        Self {
            name: group_name(writer, number),
            revision,
            weights: vec![weight(number); TARGETS],
        }
    }
}

impl Ledger {
    /// Nothing was tried, and `revision` is stored.
    pub(super) fn new(writers: usize, revision: u64) -> Self {
        Self {
            writers: vec![Standing::default(); writers],
            acknowledged: BTreeMap::new(),
            unacknowledged: 0,
            verified: revision,
        }
    }

    /// Where each writer goes on.
    pub(super) fn writers(&self) -> Vec<(usize, Standing)> {
        self.writers.iter().copied().enumerate().collect()
    }

    /// The last revision that was judged.
    pub(super) fn verified(&self) -> u64 {
        self.verified
    }

    /// How many changes were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many were found although they were not.
    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    /// Notes what a writer did: the last number it tried, and (revision, number) of what was acknowledged. Returns
    /// what cannot be.
    pub(super) fn note(
        &mut self,
        writer: usize,
        attempted: u64,
        acknowledged: &[(u64, u64)],
    ) -> Vec<String> {
        self.writers[writer].attempted = attempted;
        let mut problems = Vec::new();
        for (revision, number) in acknowledged {
            let message = message(writer, *number);
            if *revision <= self.verified {
                problems.push(format!("{message} was given revision {revision} again"));
            }
            if let Some(other) = self.acknowledged.insert(*revision, message.clone()) {
                problems.push(format!(
                    "{other} and {message} both are revision {revision}"
                ));
            }
        }
        problems
    }

    /// Judges what is stored after a restart, and takes it as what the writers go on from. Returns what cannot be.
    pub(super) fn judge(&mut self, found: &Found) -> Vec<String> {
        let mut problems = self.judge_revisions(found);
        for (revision, message) in found.revisions.iter().rev() {
            match change_of(message) {
                Some((writer, number)) if writer < self.writers.len() => {
                    problems.extend(self.step(writer, number, *revision));
                }
                _ => problems.push(format!("revision {revision} is of nobody: '{message}'")),
            }
        }
        problems.extend(self.judge_resources(found));
        self.verified = found.current;
        problems
    }

    /// Whether the acknowledged changes of all rounds are in the history that is kept, the newest first.
    pub(super) fn judge_kept(&self, revisions: &[(u64, String)]) -> Vec<String> {
        let Some((oldest, _)) = revisions.last() else {
            return vec!["no history is kept".to_owned()];
        };
        let kept: HashMap<u64, &String> = revisions.iter().map(|(r, m)| (*r, m)).collect();
        let expected = self.acknowledged.range(oldest..);
        let differs = expected.filter(|(revision, message)| kept.get(revision) != Some(message));
        differs
            .map(|(revision, message)| format!("revision {revision} is not {message} any more"))
            .collect()
    }

    /// No gap, nothing lost, nothing that was acknowledged as something else.
    fn judge_revisions(&mut self, found: &Found) -> Vec<String> {
        let mut problems = Vec::new();
        let first = found.oldest.max(self.verified + 1);
        let numbers = found.revisions.iter().rev().map(|(revision, _)| *revision);
        if !numbers.eq(first..=found.current) {
            let count = found.revisions.len();
            problems.push(format!(
                "{count} revisions where {first}..={} are expected",
                found.current
            ));
        }
        let stored: HashMap<u64, &String> = found.revisions.iter().map(|(r, m)| (*r, m)).collect();
        for (revision, message) in self.acknowledged.range(first..) {
            match stored.get(revision) {
                Some(stored) if *stored == message => {}
                Some(stored) => problems.push(format!(
                    "revision {revision} was acknowledged as {message} and is {stored}"
                )),
                None => problems.push(format!("revision {revision} ({message}) is lost")),
            }
        }
        let extra = stored.keys().filter(|r| !self.acknowledged.contains_key(r));
        self.unacknowledged += extra.count();
        problems
    }

    /// Follows one stored change.
    fn step(&mut self, writer: usize, number: u64, revision: u64) -> Option<String> {
        let standing = &mut self.writers[writer];
        let message = message(writer, number);
        let problem = if number > standing.attempted {
            Some(format!("{message} was never tried"))
        } else if standing.stored.is_some_and(|stored| number <= stored) {
            Some(format!("{message} is there again, as revision {revision}"))
        } else {
            None
        };
        standing.stored = Some(number);
        standing.revision = revision;
        problem
    }

    /// Every writer's resources are exactly those of its last stored change.
    fn judge_resources(&self, found: &Found) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expected = Vec::new();
        for (writer, standing) in self.writers.iter().enumerate() {
            let rule = standing
                .stored
                .map(|number| (number.to_string(), standing.revision));
            if found.rules.get(&writer) != rule.as_ref() {
                let is = found.rules.get(&writer);
                problems.push(format!("rule of writer {writer} is {is:?}, not {rule:?}"));
            }
            let group = |number| Group::made_by(writer, number, standing.revision);
            expected.extend(standing.stored.map(group));
        }
        let missing = expected
            .iter()
            .filter(|group| !found.groups.contains(group));
        problems.extend(missing.map(|group| format!("not there as it should be: {group:?}")));
        let spare = found
            .groups
            .iter()
            .filter(|group| !expected.contains(group));
        problems.extend(spare.map(|group| format!("half of a change: {group:?}")));
        problems
    }
}

/// The name of a writer's rule.
pub(super) fn rule_name(writer: usize) -> String {
    format!("w{writer}")
}

/// Whose rule this is.
pub(super) fn writer_of_rule(name: &str) -> Option<usize> {
    name.strip_prefix('w')?.parse().ok()
}

/// The name of the group of one change.
pub(super) fn group_name(writer: usize, number: u64) -> String {
    format!("w{writer}-{number}")
}

/// The weight of the targets of one change.
pub(super) fn weight(number: u64) -> u32 {
    (number % 1000) as u32
}

/// The message of one change.
pub(super) fn message(writer: usize, number: u64) -> String {
    format!("w{writer} {number}")
}

fn change_of(message: &str) -> Option<(usize, u64)> {
    let (writer, number) = message.split_once(' ')?;
    Some((writer_of_rule(writer)?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two writers: 0 tried three changes, of which two were acknowledged; 1 tried one, not acknowledged.
    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2, 1);
        assert!(ledger.note(0, 3, &[(2, 1), (3, 2)]).is_empty());
        assert!(ledger.note(1, 1, &[]).is_empty());
        ledger
    }

    /// What is stored if the third change of writer 0 was stored too, and the change of writer 1 was not.
    fn found() -> Found {
        Found {
            current: 4,
            oldest: 1,
            revisions: vec![
                (4, "w0 3".to_owned()),
                (3, "w0 2".to_owned()),
                (2, "w0 1".to_owned()),
            ],
            rules: HashMap::from([(0, ("3".to_owned(), 4))]),
            groups: vec![Group::made_by(0, 3, 4)],
        }
    }

    #[test]
    fn a_change_in_flight_may_be_there_or_not() {
        let mut ledger = ledger();
        assert_eq!(ledger.judge(&found()), Vec::<String>::new());
        assert_eq!((ledger.acknowledged(), ledger.unacknowledged()), (2, 1));
        assert_eq!(ledger.verified(), 4);
        let [(_, zero), (_, one)] = ledger.writers()[..] else {
            panic!("two writers")
        };
        assert_eq!((zero.attempted, zero.stored), (3, Some(3)));
        assert_eq!((one.attempted, one.stored), (1, None));
        // The next round finds only what is new.
        assert!(ledger.note(1, 2, &[(5, 2)]).is_empty());
        let mut next = found();
        next.current = 5;
        next.revisions = vec![(5, "w1 2".to_owned())];
        next.rules.insert(1, ("2".to_owned(), 5));
        next.groups.push(Group::made_by(1, 2, 5));
        assert_eq!(ledger.judge(&next), Vec::<String>::new());
        let all = [(5, "w1 2"), (4, "w0 3"), (3, "w0 2"), (2, "w0 1")];
        let mut all = all.map(|(revision, message)| (revision, message.to_owned()));
        assert_eq!(ledger.judge_kept(&all), Vec::<String>::new());
        all[2].1 = "w0 7".to_owned();
        assert_eq!(ledger.judge_kept(&all).len(), 1);
        assert_eq!(ledger.judge_kept(&[]).len(), 1);
    }

    #[test]
    fn whatever_is_lost_half_doubled_or_unexplained_is_told() {
        type Spoil = fn(&mut Found);
        let cases: [(&str, Spoil); 11] = [
            ("is lost", |found| {
                found.current = 2;
                found.revisions.drain(..2);
                found.rules.insert(0, ("1".to_owned(), 2));
                found.groups = vec![Group::made_by(0, 1, 2)];
            }),
            ("are expected", |found| drop(found.revisions.remove(1))),
            ("are expected", |found| found.current = 5),
            ("and is w0 3", |found| {
                found.revisions[1].1 = "w0 3".to_owned()
            }),
            ("never tried", |found| {
                found.revisions[0].1 = "w0 4".to_owned()
            }),
            ("there again", |found| {
                found.revisions[0].1 = "w0 2".to_owned()
            }),
            ("of nobody", |found| {
                found.revisions[0].1 = "w9 1".to_owned()
            }),
            ("rule of writer 0", |found| {
                found.rules.insert(0, ("2".to_owned(), 3));
            }),
            ("rule of writer 1", |found| {
                found.rules.insert(1, ("1".to_owned(), 5));
            }),
            ("half of a change", |found| {
                found.groups.push(Group::made_by(0, 2, 3));
            }),
            ("not there as it should be", |found| {
                found.groups[0].weights.pop();
            }),
        ];
        for (expected, spoil) in cases {
            let mut found = found();
            spoil(&mut found);
            let problems = ledger().judge(&found);
            assert!(
                problems.iter().any(|problem| problem.contains(expected)),
                "{expected}: {problems:?}"
            );
        }
    }

    #[test]
    fn a_revision_is_given_out_once() {
        let mut ledger = ledger();
        assert_eq!(ledger.note(1, 2, &[(3, 2)]).len(), 1);
        ledger.judge(&found());
        assert_eq!(ledger.note(1, 3, &[(4, 3)]).len(), 1);
    }

    #[test]
    fn messages_say_whose_change_it_is() {
        assert_eq!(change_of(&message(7, 12)), Some((7, 12)));
        for other in ["", "w 1", "w1", "v1 2", "w1 x"] {
            assert_eq!(change_of(other), None, "{other}");
        }
    }
}
