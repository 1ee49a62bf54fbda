//! The exchange against a model of an agent: cases by hand, then seeded runs with refusals, lost streams and resyncs.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use inlet_proto::digest::Digest;
use inlet_proto::name::Key;
use inlet_proto::v1;
use inlet_proto::v1::control_message::Kind as Control;
use prost::Message as _;

use super::*;
use crate::view::{PART_BYTES, Transfer, testing};

type Groups = BTreeMap<String, u64>;

fn view(revision: u64) -> Arc<View> {
    testing::view(revision, &Groups::from([("a".to_owned(), revision)]))
}

fn hello(revision: u64, digest: Option<Digest>, view: &Arc<View>) -> Input {
    Input::Hello {
        revision,
        digest,
        view: Arc::clone(view),
    }
}

/// `complete 3`, `same 2 3`, `delta 2 3`, `in force 3`, `refused 3`, `close: ...`.
fn describe(outputs: &[Output]) -> Vec<String> {
    let describe_one = |output: &Output| match output {
        Output::Send(Delivery { base, view }) => match base {
            Base::Nothing => format!("complete {}", view.revision()),
            Base::Same(base) => format!("same {base} {}", view.revision()),
            Base::View(base) => format!("delta {} {}", base.revision(), view.revision()),
        },
        Output::InForce(revision) => format!("in force {revision}"),
        Output::Refused(revision) => format!("refused {revision}"),
        Output::Close(reason) => format!("close: {reason}"),
    };
    outputs.iter().map(describe_one).collect()
}

/// What comes in, and what goes out for it.
type Step = (Input, &'static [&'static str]);

fn play<const N: usize>(cases: [(&str, Vec<Step>); N]) {
    for (name, steps) in cases {
        let mut exchange = Exchange::default();
        for (input, expected) in steps {
            let outputs = exchange.observe(input, Instant::now());
            assert_eq!(describe(&outputs), expected, "{name}");
        }
    }
}

#[test]
fn exchanges_go_as_the_interface_says() {
    use Input::{Ack, Nack, View};
    let [zero, one, two, three] = [0, 1, 2, 3].map(view);
    let v = |view: &Arc<super::View>| View(Arc::clone(view));
    play([
        (
            "a new agent gets everything, then deltas",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (Ack(1), &["in force 1"]),
                (v(&two), &["delta 1 2"]),
            ],
        ),
        (
            "one in flight; the next carries everything since",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (v(&two), &[]),
                (v(&three), &[]),
                (Ack(1), &["in force 1", "delta 1 3"]),
            ],
        ),
        (
            "an agent that has the content gets an empty delta",
            vec![
                (hello(1, Some(two.digest()), &two), &["same 1 2"]),
                (Ack(2), &["in force 2"]),
                (v(&three), &["delta 2 3"]),
            ],
        ),
        (
            "an agent with other content, or from the future, gets everything",
            vec![(hello(2, Some(one.digest()), &two), &["complete 2"])],
        ),
        (
            "a revision that was not reached yet is not believed",
            vec![(hello(9, Some(two.digest()), &two), &["complete 2"])],
        ),
        (
            "after a refusal the base stays and the next revision goes out",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (Ack(1), &["in force 1"]),
                (v(&two), &["delta 1 2"]),
                (Nack(2), &["refused 2"]),
                (v(&two), &[]),
                (v(&three), &["delta 1 3"]),
            ],
        ),
        (
            "an agent that keeps what it has from an empty history gets the first revision",
            vec![
                (hello(9, Some(two.digest()), &zero), &["complete 0"]),
                (Nack(0), &["refused 0"]),
                (v(&one), &["complete 1"]),
                (Ack(1), &["in force 1"]),
            ],
        ),
        (
            "Hello on the open stream asks for everything, and a late answer is no mistake",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (Ack(1), &["in force 1"]),
                (v(&two), &["delta 1 2"]),
                (hello(1, Some(one.digest()), &three), &["complete 3"]),
                (Ack(2), &[]),
                (Ack(3), &["in force 3"]),
            ],
        ),
    ]);
}

#[test]
fn what_an_agent_must_not_say_ends_the_stream() {
    use Input::{Ack, Nack, Tick};
    let one = view(1);
    play([
        (
            "the first message is Hello",
            vec![
                (
                    Ack(1),
                    &["close: the first message of a stream must be Hello"],
                ),
                (hello(0, None, &one), &[]),
            ],
        ),
        (
            "what was not sent cannot be answered",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (
                    Ack(7),
                    &["close: revision 7 was answered, but never sent on this stream"],
                ),
            ],
        ),
        (
            "an answer counts once",
            vec![
                (hello(0, None, &one), &["complete 1"]),
                (Ack(1), &["in force 1"]),
                (
                    Nack(1),
                    &["close: revision 1 was answered, but never sent on this stream"],
                ),
            ],
        ),
        (
            "time alone does nothing before the deadline",
            vec![(hello(0, None, &one), &["complete 1"]), (Tick, &[])],
        ),
    ]);
}

#[test]
fn a_snapshot_without_an_answer_ends_the_stream() {
    let start = Instant::now();
    let mut exchange = Exchange::default();
    assert_eq!(exchange.deadline(), None);
    exchange.observe(hello(0, None, &view(1)), start);
    let deadline = exchange.deadline().unwrap();
    assert_eq!(deadline, start + ANSWER_TIMEOUT);
    let outputs = exchange.observe(Input::Tick, deadline);
    assert_eq!(
        describe(&outputs),
        ["close: revision 1 was not answered within 30 s"]
    );
    assert_eq!(exchange.deadline(), None);
}

/// What the agent's end does with the messages, in the simplest form.
#[derive(Default)]
struct Agent {
    revision: u64,
    in_force: BTreeMap<Key, u64>,
    staged: Option<(BTreeMap<Key, u64>, u32)>,
}

impl Agent {
    fn digest(&self) -> Digest {
        digest(&self.in_force)
    }

    /// Takes a part; after the last one the answer, `None` = the digest does not match.
    fn take(&mut self, part: &[u8], refuse: bool) -> Option<Option<Input>> {
        let message = v1::ControlMessage::decode(part).unwrap();
        let Some(Control::Snapshot(snapshot)) = message.kind else {
            panic!("not a snapshot");
        };
        if snapshot.part == 1 {
            let base = if snapshot.base_revision == 0 {
                BTreeMap::new()
            } else {
                assert_eq!(snapshot.base_revision, self.revision, "a base that it has");
                self.in_force.clone()
            };
            self.staged = Some((base, 0));
        }
        let (staged, parts) = self.staged.as_mut().expect("parts come in order");
        *parts += 1;
        assert_eq!(*parts, snapshot.part, "parts come in order");
        for key in &snapshot.removals {
            staged
                .remove(&Key::try_from(key).unwrap())
                .expect("it was there");
        }
        for resource in &snapshot.upserts {
            staged.insert(resource.key().unwrap(), resource.revision());
        }
        if snapshot.part < snapshot.parts {
            return None;
        }
        let (staged, _) = self.staged.take().unwrap();
        if Digest::from_bytes(&snapshot.digest) != Some(digest(&staged)) {
            return Some(None);
        }
        if refuse {
            return Some(Some(Input::Nack(snapshot.revision)));
        }
        self.in_force = staged;
        self.revision = snapshot.revision;
        Some(Some(Input::Ack(snapshot.revision)))
    }
}

fn digest(resources: &BTreeMap<Key, u64>) -> Digest {
    let mut digest = Digest::default();
    for (key, revision) in resources {
        digest.add(key, *revision);
    }
    digest
}

/// A control plane, an agent, and the stream between them.
struct World {
    rng: Rng,
    now: Instant,
    groups: Groups,
    view: Arc<View>,
    exchange: Exchange,
    agent: Agent,
    to_agent: VecDeque<prost::bytes::Bytes>,
    to_control: VecDeque<Input>,
    unanswered: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            now: Instant::now(),
            groups: Groups::new(),
            view: testing::view(0, &Groups::new()),
            exchange: Exchange::default(),
            agent: Agent::default(),
            to_agent: VecDeque::new(),
            to_control: VecDeque::new(),
            unanswered: 0,
        }
    }

    fn step(&mut self, calm: bool) {
        match self.rng.u32(0..100) {
            0..30 => self.agent_receives(calm),
            30..60 => self.control_receives(),
            60..80 if !calm => self.change(),
            80..85 if !calm => self.reconnect(),
            85..88 if !calm => self.doubt(),
            _ => self.pass(),
        }
    }

    fn change(&mut self) {
        let name = format!("g{}", self.rng.u32(0..20));
        let revision = self.view.revision() + 1;
        match self.rng.u32(0..10) {
            0..3 => drop(self.groups.remove(&name)),
            // A revision that does not touch this view.
            3..5 => {}
            _ => drop(self.groups.insert(name, revision)),
        }
        self.view = testing::view(revision, &self.groups);
        self.tell(Input::View(Arc::clone(&self.view)));
    }

    fn tell(&mut self, input: Input) {
        for output in self.exchange.observe(input, self.now) {
            match output {
                Output::Send(delivery) => {
                    self.unanswered += 1;
                    let transfer = Transfer::encode(&delivery, PART_BYTES);
                    self.to_agent.extend(transfer.parts.iter().cloned());
                }
                Output::InForce(_) | Output::Refused(_) => self.unanswered -= 1,
                Output::Close(_) => return self.reconnect(),
            }
        }
        assert!(self.unanswered <= 1, "one snapshot is in flight");
    }

    fn agent_receives(&mut self, calm: bool) {
        let Some(part) = self.to_agent.pop_front() else {
            return;
        };
        let refuse = !calm && self.rng.u32(0..4) == 0;
        match self.agent.take(&part, refuse) {
            None => {}
            Some(Some(answer)) => self.to_control.push_back(answer),
            Some(None) => panic!("the digest does not match"),
        }
    }

    fn control_receives(&mut self) {
        let Some(mut input) = self.to_control.pop_front() else {
            return;
        };
        if let Input::Hello { view, .. } = &mut input {
            *view = Arc::clone(&self.view);
            self.unanswered = 0;
            self.to_agent.clear();
            self.agent.staged = None;
        }
        self.tell(input);
    }

    fn reconnect(&mut self) {
        self.to_agent.clear();
        self.to_control.clear();
        self.unanswered = 0;
        self.exchange = Exchange::default();
        self.agent.staged = None;
        if self.rng.u32(0..10) == 0 {
            self.agent = Agent::default();
        }
        let digest = Some(self.agent.digest());
        self.to_control
            .push_back(hello(self.agent.revision, digest, &self.view));
    }

    /// The agent asks for everything, as after a digest that did not match.
    fn doubt(&mut self) {
        if self.exchange.is_greeted() && self.to_control.is_empty() {
            self.to_control.push_back(hello(0, None, &self.view));
        }
    }

    fn pass(&mut self) {
        self.now += Duration::from_millis(self.rng.u64(0..2000));
        self.tell(Input::Tick);
    }

    fn is_settled(&self) -> bool {
        self.to_agent.is_empty() && self.to_control.is_empty() && self.unanswered == 0
    }
}

#[test]
fn agents_end_up_with_the_newest_view_whatever_happens() {
    for seed in 0..200 {
        let mut world = World::new(seed);
        world.reconnect();
        for _ in 0..400 {
            world.step(false);
        }
        world.change();
        for _ in 0..1000 {
            world.step(true);
        }
        assert!(world.is_settled(), "seed {seed}");
        assert_eq!(world.agent.revision, world.view.revision(), "seed {seed}");
        assert_eq!(world.agent.digest(), world.view.digest(), "seed {seed}");
        assert_eq!(world.agent.in_force.len(), world.view.len(), "seed {seed}");
    }
}
