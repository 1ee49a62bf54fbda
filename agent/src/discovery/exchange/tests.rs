//! The exchange by hand, then against a model of the control plane on a stream that loses, repeats and damages parts.

mod cases;
mod emptied;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use fastrand::Rng;
use inlet_proto::kind::Kind;

use super::*;

/// Name of a group -> its revision.
type Groups = BTreeMap<String, u64>;

fn group(name: &str, revision: u64) -> v1::Resource {
    v1::TargetGroup {
        name: name.to_owned(),
        revision,
        ..Default::default()
    }
    .into()
}

fn key(name: &str) -> Key {
    Key::of(Kind::TargetGroup, name).unwrap()
}

fn digest(groups: &Groups) -> Digest {
    let mut digest = Digest::default();
    for (name, revision) in groups {
        digest.add(&key(name), *revision);
    }
    digest
}

fn groups(list: &[(&str, u64)]) -> Groups {
    let owned = list
        .iter()
        .map(|(name, revision)| ((*name).to_owned(), *revision));
    owned.collect()
}

fn seen(exchange: &Exchange) -> Groups {
    let view = exchange.view().iter();
    view.map(|(key, resource)| (key.name.clone(), resource.revision()))
        .collect()
}

/// What turns `base` into `next` as one part; no base = complete.
fn snapshot(base: Option<(u64, &Groups)>, revision: u64, next: &Groups) -> v1::Snapshot {
    let nothing = Groups::new();
    let (base_revision, base) = base.unwrap_or((0, &nothing));
    let upserts = next
        .iter()
        .filter(|(name, revision)| base.get(*name) != Some(revision));
    let removals = base.keys().filter(|name| !next.contains_key(*name));
    v1::Snapshot {
        revision,
        base_revision,
        upserts: upserts
            .map(|(name, revision)| group(name, *revision))
            .collect(),
        removals: removals.map(|name| (&key(name)).into()).collect(),
        digest: digest(next).to_bytes(),
        part: 1,
        parts: 1,
    }
}

/// The same as several parts of one resource each.
fn split(whole: &v1::Snapshot) -> Vec<v1::Snapshot> {
    let head = v1::Snapshot {
        upserts: Vec::new(),
        removals: Vec::new(),
        ..whole.clone()
    };
    let removals = whole.removals.iter().map(|key| v1::Snapshot {
        removals: vec![key.clone()],
        ..head.clone()
    });
    let upserts = whole.upserts.iter().map(|resource| v1::Snapshot {
        upserts: vec![resource.clone()],
        ..head.clone()
    });
    let mut parts: Vec<_> = removals.chain(upserts).collect();
    if parts.is_empty() {
        parts.push(head);
    }
    let count = u32::try_from(parts.len()).unwrap();
    for (number, part) in (1..).zip(&mut parts) {
        (part.part, part.parts) = (number, count);
    }
    parts
}

/// `hello 3`, `apply 3: a b`, `ack 3`, `nack 3: ...`, `close: ...`, or nothing.
fn describe(output: Option<Output>) -> String {
    match output {
        None => String::new(),
        Some(Output::Hello { revision, .. }) => format!("hello {revision}"),
        Some(Output::Apply {
            revision, changed, ..
        }) => {
            let names: Vec<_> = changed.into_iter().map(|key| key.name).collect();
            format!("apply {revision}: {}", names.join(" "))
        }
        Some(Output::Ack(revision)) => format!("ack {revision}"),
        Some(Output::Nack { revision, reasons }) => {
            format!("nack {revision}: {}", reasons[0].message)
        }
        Some(Output::Close(reason)) => format!("close: {reason}"),
    }
}

fn refused() -> Input {
    Input::Refused(vec![reason("no".to_owned())])
}

#[test]
fn a_kept_snapshot_is_applied_without_a_stream_and_without_an_answer() {
    let one = groups(&[("a", 1)]);
    let mut exchange = Exchange::default();
    let now = Instant::now();
    let kept = Input::Part(snapshot(None, 1, &one));
    assert_eq!(describe(exchange.observe(kept, now)), "apply 1: a");
    assert_eq!(exchange.observe(Input::Applied, now), None);
    assert_eq!(describe(exchange.observe(Input::Open, now)), "hello 1");
}

#[test]
fn a_control_plane_that_says_nothing_is_left() {
    let start = Instant::now();
    let mut exchange = Exchange::default();
    assert_eq!(exchange.deadline(), None);
    exchange.observe(Input::Open, start);
    assert_eq!(exchange.observe(Input::Tick, start), None);
    let later = start + Duration::from_secs(20);
    let first = v1::Snapshot {
        parts: 2,
        ..snapshot(None, 1, &Groups::new())
    };
    exchange.observe(Input::Part(first), later);
    let deadline = exchange.deadline().unwrap();
    assert_eq!(deadline, later + SNAPSHOT_TIMEOUT);
    let output = exchange.observe(Input::Tick, deadline);
    assert_eq!(
        describe(output),
        "close: no part of a snapshot came within 30 s"
    );
    assert_eq!(exchange.deadline(), None);
}

#[test]
fn what_cannot_be_read_or_is_too_much_is_refused_with_the_reason() {
    let unknown_kind = v1::Snapshot {
        upserts: vec![v1::Resource { kind: None }],
        ..snapshot(None, 1, &Groups::new())
    };
    let unknown_key = v1::Snapshot {
        removals: vec![v1::ResourceKey {
            kind: "Teapot".to_owned(),
            name: "a".to_owned(),
        }],
        ..snapshot(None, 1, &Groups::new())
    };
    let too_many = v1::Snapshot {
        removals: vec![(&key("a")).into(); MAX_RESOURCES + 1],
        ..snapshot(None, 1, &Groups::new())
    };
    for (part, expected) in [
        (
            unknown_kind,
            "nack 1: the snapshot has a kind of resource that this agent does not know: upgrade the agent",
        ),
        (unknown_key, "nack 1: unknown kind 'Teapot'"),
        (
            too_many,
            "nack 1: the snapshot is too large: more than 1000000 resources",
        ),
    ] {
        let mut exchange = Exchange::default();
        exchange.observe(Input::Open, Instant::now());
        let output = exchange.observe(Input::Part(part), Instant::now());
        assert_eq!(describe(output), expected);
        assert!(exchange.view().is_empty());
    }
}

#[test]
fn a_snapshot_of_too_many_parts_is_refused_once_it_is_over() {
    let part = |number| v1::Snapshot {
        part: number,
        parts: MAX_PARTS + 1,
        ..snapshot(None, 1, &Groups::new())
    };
    let mut exchange = Exchange::default();
    exchange.observe(Input::Open, Instant::now());
    for number in 1..=MAX_PARTS {
        let output = exchange.observe(Input::Part(part(number)), Instant::now());
        assert_eq!(output, None);
    }
    let output = exchange.observe(Input::Part(part(MAX_PARTS + 1)), Instant::now());
    assert_eq!(
        describe(output),
        "nack 1: the snapshot is too large: more than 4096 parts"
    );
}

#[test]
fn a_refusal_tells_bounded_reasons() {
    let mut exchange = Exchange::default();
    exchange.observe(Input::Open, Instant::now());
    exchange.observe(
        Input::Part(snapshot(None, 1, &Groups::new())),
        Instant::now(),
    );
    let long = reason("é".repeat(MAX_REASON_BYTES));
    let output = exchange.observe(Input::Refused(vec![long; MAX_REASONS + 5]), Instant::now());
    let Some(Output::Nack { reasons, .. }) = output else {
        panic!("{output:?}");
    };
    assert_eq!(reasons[0].message.len(), MAX_REASON_BYTES);
    assert_eq!(reasons[MAX_REASONS].message, "and 5 more reasons");
    assert_eq!(reasons.len(), MAX_REASONS + 1);
}

/// The control plane's end, in the simplest form, with every revision that it ever had.
struct Plane {
    history: Vec<Groups>,
    in_flight: Option<u64>,
    /// What it believes the agent to have.
    base: Option<u64>,
    answered: Option<u64>,
}

impl Plane {
    fn revision(&self) -> u64 {
        self.history.len() as u64 - 1
    }

    fn at(&self, revision: u64) -> &Groups {
        &self.history[usize::try_from(revision).unwrap()]
    }

    /// What is to be sent now, if anything.
    fn next(&mut self) -> Option<v1::Snapshot> {
        let revision = self.revision();
        if self.in_flight.is_some() || self.answered == Some(revision) {
            return None;
        }
        self.in_flight = Some(revision);
        let base = self.base.map(|base| (base, self.at(base)));
        Some(snapshot(base, revision, self.at(revision)))
    }
}

/// A control plane, an agent, and a stream between them that may be lost or damaged.
struct World {
    rng: Rng,
    plane: Plane,
    exchange: Exchange,
    /// The stream, if it is open.
    to_agent: Option<VecDeque<v1::Snapshot>>,
    to_plane: VecDeque<Output>,
    /// Where the agent was asked to apply something.
    applying: Option<u64>,
    refusals: usize,
    resyncs: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            plane: Plane {
                history: vec![Groups::new()],
                in_flight: None,
                base: None,
                answered: None,
            },
            exchange: Exchange::default(),
            to_agent: None,
            to_plane: VecDeque::new(),
            applying: None,
            refusals: 0,
            resyncs: 0,
        }
    }

    fn step(&mut self, calm: bool) {
        match self.rng.u32(0..100) {
            0..35 => self.agent_receives(),
            35..65 => self.plane_receives(),
            65..75 => self.decide(),
            75..85 if !calm => self.change(true),
            85..88 if !calm => self.lose(),
            88..92 if !calm => self.damage(),
            _ => self.connect(),
        }
        self.check();
    }

    /// The agent's host cannot have what contains the group `bad`.
    fn change(&mut self, may_be_bad: bool) {
        let mut groups = self.plane.history.last().unwrap().clone();
        let revision = self.plane.revision() + 1;
        let name = format!("g{}", self.rng.u32(0..12));
        match self.rng.u32(0..10) {
            0..3 => drop(groups.remove(&name)),
            3 => drop(groups.remove("bad")),
            4 if may_be_bad => drop(groups.insert("bad".to_owned(), revision)),
            _ => drop(groups.insert(name, revision)),
        }
        if !may_be_bad {
            groups.remove("bad");
        }
        self.plane.history.push(groups);
        self.send();
    }

    fn connect(&mut self) {
        if self.to_agent.is_none() && self.applying.is_none() {
            self.to_agent = Some(VecDeque::new());
            self.tell(Input::Open);
        }
    }

    fn lose(&mut self) {
        self.to_agent = None;
        self.to_plane.clear();
        (self.plane.in_flight, self.plane.base, self.plane.answered) = (None, None, None);
        self.tell(Input::Lost);
    }

    /// Repeats, drops, exchanges or falsifies parts on their way.
    fn damage(&mut self) {
        let Some(parts) = self.to_agent.as_mut().filter(|parts| !parts.is_empty()) else {
            return;
        };
        let one = self.rng.usize(0..parts.len());
        let other = self.rng.usize(0..parts.len());
        match self.rng.u32(0..5) {
            0 => parts.insert(other, parts[one].clone()),
            1 => drop(parts.remove(one)),
            2 => parts.swap(one, other),
            3 => parts[one].digest = vec![self.rng.u8(..); 16],
            _ => drop(parts[one].upserts.pop()),
        }
    }

    fn agent_receives(&mut self) {
        if self.applying.is_some() {
            return;
        }
        if let Some(part) = self.to_agent.as_mut().and_then(VecDeque::pop_front) {
            self.tell(Input::Part(part));
        }
    }

    fn decide(&mut self) {
        let Some(revision) = self.applying.take() else {
            return;
        };
        assert_eq!(
            seen(&self.exchange),
            *self.plane.at(revision),
            "what is to be applied is one revision, whole"
        );
        let bad = self.exchange.view().contains_key(&key("bad"));
        self.refusals += usize::from(bad);
        self.tell(if bad { refused() } else { Input::Applied });
    }

    fn tell(&mut self, input: Input) {
        match self.exchange.observe(input, Instant::now()) {
            None => {}
            Some(Output::Apply { revision, .. }) => self.applying = Some(revision),
            Some(Output::Close(_)) => self.lose(),
            Some(said) => self.to_plane.push_back(said),
        }
    }

    fn plane_receives(&mut self) {
        match self.to_plane.pop_front() {
            Some(Output::Hello { revision, digest }) => {
                let resync = self.plane.in_flight.is_some() || self.plane.answered.is_some();
                self.resyncs += usize::from(resync);
                let has_it = revision > 0 && digest == self::digest(self.plane.at(revision));
                self.plane.base = (has_it && !resync).then_some(revision);
                (self.plane.in_flight, self.plane.answered) = (None, None);
            }
            Some(Output::Ack(revision)) if self.plane.in_flight == Some(revision) => {
                (self.plane.base, self.plane.answered) = (Some(revision), Some(revision));
                self.plane.in_flight = None;
            }
            Some(Output::Nack { revision, .. }) if self.plane.in_flight == Some(revision) => {
                self.plane.answered = Some(revision);
                self.plane.in_flight = None;
            }
            Some(_) => return self.lose(),
            None => return,
        }
        self.send();
    }

    /// Sends what is due once the agent has introduced itself.
    fn send(&mut self) {
        let greeted = !self
            .to_plane
            .iter()
            .any(|said| matches!(said, Output::Hello { .. }));
        if let Some(parts) = self.to_agent.as_mut().filter(|_| greeted) {
            let parts_of = |whole| match self.rng.bool() {
                true => split(&whole),
                false => vec![whole],
            };
            parts.extend(self.plane.next().map(parts_of).into_iter().flatten());
        }
    }

    /// The agent forwards by exactly one revision, at any time.
    fn check(&self) {
        if self.applying.is_none() {
            let expected = self.plane.at(self.exchange.revision());
            assert_eq!(seen(&self.exchange), *expected, "a mixture");
            assert_eq!(self.exchange.digest(), digest(expected));
        }
    }
}

#[test]
fn the_last_admissible_revision_ends_up_in_force_whatever_happens_and_never_a_mixture() {
    let (mut refusals, mut resyncs) = (0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step(false);
        }
        // Faults end, also those that are still on their way.
        world.lose();
        world.change(false);
        for _ in 0..800 {
            world.step(true);
        }
        assert_eq!(
            world.exchange.revision(),
            world.plane.revision(),
            "seed {seed}"
        );
        refusals += world.refusals;
        resyncs += world.resyncs;
    }
    assert!(refusals > 0 && resyncs > 0, "{refusals} {resyncs}");
}

#[test]
fn an_unchanged_resource_is_the_same_one_after_a_complete_snapshot() {
    let one = groups(&[("a", 1), ("b", 1)]);
    let two = groups(&[("a", 1), ("b", 2)]);
    let mut exchange = Exchange::default();
    exchange.observe(Input::Part(snapshot(None, 1, &one)), Instant::now());
    exchange.observe(Input::Applied, Instant::now());
    let before = Arc::clone(&exchange.view()[&key("a")]);
    exchange.observe(Input::Part(snapshot(None, 2, &two)), Instant::now());
    exchange.observe(Input::Applied, Instant::now());
    assert!(Arc::ptr_eq(&before, &exchange.view()[&key("a")]));
}
