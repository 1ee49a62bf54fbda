//! The events in the order of time, and what each does; after every step that touches an agent, the promise is checked.
//!
//! First faults and changes together, for [`FAULTS_MS`]; then the faults end and the world comes to rest; then a few
//! changes one at a time, so that every agent is offered every revision, with ports that are taken in between; at last
//! every port is free.

mod faults;
mod rest;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use fastrand::Rng;
use inlet_agent::discovery::exchange::{CloseReason, Output};
use inlet_agent::discovery::retry::{Loss, SETTLED_AFTER};
use inlet_control_plane::simulation::{Answer, Ask, Plane};
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Say;
use inlet_proto::v1::control_message::Kind as Said;
use prost::Message as _;
use prost::bytes::Bytes;

use crate::agent::{Agent, Inbound};
use crate::operator::Operator;
use crate::oracle::Oracle;
use crate::trace::Trace;
use crate::wire::Wire;

pub(crate) use faults::Tally;

/// Agents.
const AGENTS: usize = 20;
/// How long things go wrong.
const FAULTS_MS: u64 = 40_000;
/// Bytes of a part: a few resources, so that a snapshot has several.
const PART_BYTES: usize = 600;
/// Parts under way to an agent at most, as in the program.
const IN_FLIGHT: usize = 2;
/// A millisecond in the unit of time.
const MS: u64 = 1000;

/// All of it.
pub(crate) struct World {
    rng: Rng,
    begin: Instant,
    /// Microseconds since.
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Slot)>>,
    waiting: BTreeMap<u64, Event>,
    numbers: u64,
    plane: Plane,
    is_up: bool,
    disk_is_full: bool,
    agents: Vec<Agent>,
    wires: BTreeMap<u64, Wire>,
    operator: Operator,
    oracle: Oracle,
    faults_until: u64,
    /// For each agent, whether the next delta that reaches it is not what it should be.
    confused: [bool; AGENTS],
    /// Connections on which one was.
    confused_on: BTreeSet<u64>,
    /// Those of them on which the parts of a snapshot may not fit each other.
    torn: BTreeSet<u64>,
    trace: Trace,
    tally: Tally,
}

/// Where an event waits.
type Slot = u64;

/// What happens at some time.
#[derive(Debug)]
enum Event {
    /// An agent starts.
    Start(usize),
    /// An agent tries to connect.
    Connect { agent: usize, life: u64 },
    /// Something arrives at an agent.
    Arrive { wire: u64, inbound: Inbound },
    /// A part arrives at an agent.
    Part { wire: u64, part: Bytes },
    /// A message arrives at the control plane.
    Hear {
        wire: u64,
        message: v1::AgentMessage,
    },
    /// The control plane learns that a stream is over.
    Close { wire: u64 },
    /// A stream is told the current state.
    Look { wire: u64 },
    /// An agent has worked on a snapshot for long enough.
    Decide { agent: usize, life: u64 },
    /// An agent's clock.
    AgentTick { agent: usize, life: u64 },
    /// A session's clock.
    PlaneTick { wire: u64 },
    /// The control plane is up again.
    PlaneUp,
    /// The control plane's disk has room again.
    DiskFree,
    /// Something goes wrong.
    Fault,
    /// Somebody changes something.
    Change,
}

impl World {
    /// Everything follows from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let operator = Operator::new(rng.fork());
        Self {
            rng,
            begin: Instant::now(),
            now: 0,
            events: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            numbers: 0,
            plane: Plane::new(PART_BYTES),
            is_up: true,
            disk_is_full: false,
            agents: (0..AGENTS).map(Agent::new).collect(),
            wires: BTreeMap::new(),
            operator,
            oracle: Oracle::default(),
            faults_until: FAULTS_MS * MS,
            confused: [false; AGENTS],
            confused_on: BTreeSet::new(),
            torn: BTreeSet::new(),
            trace: Trace::default(),
            tally: Tally::default(),
        }
    }

    /// Everything that happens is printed.
    pub(crate) fn print_trace(&mut self) {
        self.trace.is_printed = true;
    }

    /// What happened, in one number.
    pub(crate) fn trace_hash(&self) -> u64 {
        self.trace.hash()
    }

    /// What happened last.
    pub(crate) fn last(&self) -> String {
        self.trace.last()
    }

    /// How often what happened.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Runs it to its end. Panics if a promise is broken.
    pub(crate) fn run(&mut self) {
        let begin = self.operator.begin();
        self.ask(vec![begin]);
        assert_eq!(self.plane.revision(), 1, "the first change is admitted");
        for agent in 0..AGENTS {
            let at = self.rng.u64(..1000) * MS;
            self.at(at, Event::Start(agent));
        }
        self.at(0, Event::Change);
        self.at(0, Event::Fault);
        self.come_to_rest();
        self.check_rest();
        self.offer_one_by_one();
    }

    fn instant(&self) -> Instant {
        self.begin + Duration::from_micros(self.now)
    }

    fn is_faulty(&self) -> bool {
        self.now < self.faults_until
    }

    /// Something happens that many microseconds from now.
    fn at(&mut self, delay: u64, event: Event) {
        self.numbers += 1;
        let number = self.numbers;
        self.waiting.insert(number, event);
        self.events
            .push(Reverse((self.now + delay, number, number)));
    }

    /// The next event; false = nothing will happen any more.
    fn step(&mut self) -> bool {
        let Some(Reverse((at, _, slot))) = self.events.pop() else {
            return false;
        };
        debug_assert!(at >= self.now, "time goes on");
        self.now = at;
        let event = self.waiting.remove(&slot).expect("every event waits once");
        self.happen(event);
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(agent) => self.start(agent),
            Event::Connect { agent, life } => self.connect(agent, life),
            Event::Arrive { wire, inbound } => self.arrive(wire, inbound),
            Event::Part { wire, part } => self.deliver(wire, &part),
            Event::Hear { wire, message } => self.hear(wire, message),
            Event::Close { wire } => {
                self.plane.close(wire);
                self.forget_if_over(wire);
            }
            Event::Look { wire } => {
                if let Some(found) = self.wires.get_mut(&wire) {
                    found.will_look = false;
                    found.seen = self.plane.revision();
                }
                let looked = self.plane.look(wire, self.instant());
                self.after_plane(wire, looked);
            }
            Event::Decide { agent, life } if self.agents[agent].life == life => self.decide(agent),
            Event::AgentTick { agent, life } if self.agents[agent].life == life => {
                let now = self.instant();
                let Some(process) = &mut self.agents[agent].process else {
                    return;
                };
                if process.deciding.is_none() {
                    let output = process.tick(now);
                    self.after_agent(agent, output);
                }
            }
            Event::Decide { .. } | Event::AgentTick { .. } => {}
            Event::PlaneTick { wire } if self.is_stalled(wire) => {}
            Event::PlaneTick { wire } => {
                let ticked = self.plane.tick(wire, self.instant());
                self.after_plane(wire, ticked);
            }
            Event::PlaneUp => {
                self.is_up = true;
                self.note(format_args!(
                    "control plane up at {}",
                    self.plane.revision()
                ));
            }
            Event::DiskFree => self.set_disk_full(false),
            Event::Fault => self.fault(),
            Event::Change => self.change(),
        }
    }

    // The operator's side.

    /// Asks the control plane, and keeps what it acknowledges.
    fn ask(&mut self, asks: Vec<Ask>) {
        let before = self.plane.revision();
        for answer in self.plane.ask(asks) {
            match answer {
                Answer::Committed(revision) => {
                    assert!(!self.disk_is_full, "{revision} cannot have been kept");
                    self.tally.committed += 1;
                    self.note(format_args!("revision {revision}"));
                }
                Answer::Unchanged => self.note(format_args!("unchanged")),
                Answer::Refused(why) => {
                    self.tally.not_admitted += 1;
                    self.note(format_args!("not admitted: {why}"));
                }
            }
        }
        if self.plane.revision() != before {
            self.oracle
                .record(self.plane.revision(), self.plane.resources());
            self.tell_all();
        }
    }

    /// Every stream learns of the new state, each when its task gets to it.
    fn tell_all(&mut self) {
        let wires: Vec<u64> = self.wires.keys().copied().collect();
        for wire in wires {
            self.will_look(wire);
        }
    }

    fn will_look(&mut self, wire: u64) {
        let (current, is_greeted) = (self.plane.revision(), self.plane.is_greeted(wire));
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        let is_news = found.seen != current && is_greeted && !found.is_stalled;
        if is_news && !std::mem::replace(&mut found.will_look, true) {
            let delay = self.short_delay();
            self.at(delay, Event::Look { wire });
        }
    }

    // The control plane's side.

    fn hear(&mut self, wire: u64, message: v1::AgentMessage) {
        let Some(found) = self.wires.get(&wire) else {
            return;
        };
        let is_heard = found.to_plane.delivers(self.now) && !found.is_stalled;
        if !is_heard || !self.plane.is_open(wire) {
            return;
        }
        let agent = found.agent;
        if self.agents[agent]
            .process
            .as_ref()
            .is_none_or(|process| process.wire != Some(wire))
        {
            self.tally.late += 1;
        }
        self.note(format_args!(
            "control plane <- {agent} on {wire}: {}",
            name_of(&message)
        ));
        let heard = self.plane.hear(wire, message, self.instant());
        // What is new since it was opened it is told of although it has seen it by itself; that must do no harm.
        self.will_look(wire);
        self.after_plane(wire, heard);
        self.check_roster(agent);
        for old in self.plane.replaced() {
            self.tally.replaced += 1;
            self.end_at_plane(old, "replaced");
        }
    }

    /// What an agent is said to have, it has had.
    fn check_roster(&self, agent: usize) {
        let agent = &self.agents[agent];
        if let Some(known) = self.plane.agent(&agent.name) {
            let told = known.revision_in_force;
            assert!(
                agent.had.contains(&told),
                "{} never had {told} in force",
                agent.name
            );
        }
    }

    /// A session was told something: it may have ended, have something to send, or wait for something.
    fn after_plane(&mut self, wire: u64, result: Result<(), String>) {
        if let Err(why) = result {
            self.tally.ended_by_plane += 1;
            self.end_at_plane(wire, &why);
            return;
        }
        self.pump(wire);
        if let Some(deadline) = self.plane.deadline(wire) {
            let delay = self.until(deadline);
            self.at(delay, Event::PlaneTick { wire });
        }
    }

    /// The control plane ends a stream; the agent learns of it after all that was sent before.
    fn end_at_plane(&mut self, wire: u64, why: &str) {
        self.note(format_args!("control plane ends {wire}: {why}"));
        self.plane.close(wire);
        let delay = self.delay();
        let now = self.now;
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        if let Some(at) = found.to_agent.send(now, delay) {
            let inbound = Inbound::Lost;
            self.at(at - now, Event::Arrive { wire, inbound });
        }
    }

    /// Sends as many parts as the transport takes.
    fn pump(&mut self, wire: u64) {
        let now = self.instant();
        while self
            .wires
            .get(&wire)
            .is_some_and(|found| found.in_flight < IN_FLIGHT)
        {
            let Some(part) = self.plane.next_part(wire, now) else {
                return;
            };
            let delay = self.delay();
            let now = self.now;
            let Some(found) = self.wires.get_mut(&wire) else {
                return;
            };
            found.in_flight += 1;
            match found.to_agent.send(now, delay) {
                Some(at) => self.at(at - now, Event::Part { wire, part }),
                None => self.tally.lost_parts += 1,
            }
        }
    }

    // The agent's side.

    fn start(&mut self, number: usize) {
        let rng = self.rng.fork();
        let now = self.instant();
        let agent = &mut self.agents[number];
        let in_force = agent.start(rng, now);
        agent.check(&mut self.oracle);
        let life = agent.life;
        self.note(format_args!("agent {number} starts with {in_force}"));
        self.at(
            0,
            Event::Connect {
                agent: number,
                life,
            },
        );
    }

    fn connect(&mut self, agent: usize, life: u64) {
        if self.agents[agent].life != life {
            return;
        }
        let delay = self.delay();
        let now = self.instant();
        let is_up = self.is_up;
        let Some(process) = &mut self.agents[agent].process else {
            return;
        };
        if !is_up {
            let (wait, _) = process.retry.lost(Loss::Unreachable("down".to_owned()));
            return self.at(micros(wait), Event::Connect { agent, life });
        }
        self.numbers += 1;
        let number = self.numbers;
        process.wire = Some(number);
        process.open_since = None;
        let mut wire = Wire::new(agent, self.plane.revision());
        if self.is_faulty() && self.rng.u8(..100) == 0 {
            wire.is_stalled = true;
            self.tally.stalled += 1;
        }
        self.plane.open(number, now);
        if let Some(at) = wire.to_agent.send(self.now, delay) {
            let inbound = Inbound::Open;
            self.at(
                at - self.now,
                Event::Arrive {
                    wire: number,
                    inbound,
                },
            );
        }
        self.wires.insert(number, wire);
        self.note(format_args!("agent {agent} connects on {number}"));
        self.after_plane(number, Ok(()));
    }

    fn deliver(&mut self, wire: u64, part: &Bytes) {
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        found.in_flight -= 1;
        let agent = found.agent;
        if !found.to_agent.delivers(self.now) {
            self.tally.lost_parts += 1;
            return;
        }
        let message =
            v1::ControlMessage::decode(&part[..]).expect("the control plane encodes well");
        let Some(Said::Snapshot(mut snapshot)) = message.kind else {
            panic!("the control plane says only snapshots")
        };
        if snapshot.parts > 1 {
            self.tally.in_parts += 1;
        }
        let parts = snapshot.parts;
        if self.confused[agent] && self.confuse(&mut snapshot) {
            self.confused[agent] = false;
            self.confused_on.insert(wire);
            if parts > 1 {
                self.torn.insert(wire);
            }
            self.tally.confused += 1;
            self.note(format_args!(
                "agent {agent} gets something else than was sent"
            ));
        }
        let inbound = Inbound::Part(snapshot);
        self.arrive(wire, inbound);
        self.pump(wire);
    }

    fn arrive(&mut self, wire: u64, inbound: Inbound) {
        let now = self.now;
        let Some(found) = self.wires.get(&wire) else {
            return;
        };
        let agent = found.agent;
        let delivers = found.to_agent.delivers(now) || matches!(inbound, Inbound::Lost);
        let Some(process) = &mut self.agents[agent].process else {
            return;
        };
        if process.wire != Some(wire) || !delivers {
            return;
        }
        let is_loss = matches!(inbound, Inbound::Lost);
        if process.deciding.is_some() {
            // A shell may tell it of a loss at once, or when it gets to it; the exchange allows both.
            if !is_loss || !wire.is_multiple_of(2) {
                return process.inbox.push_back(inbound);
            }
            process.inbox.clear();
        }
        if let Inbound::Open = inbound {
            process.open_since = Some(now);
        }
        self.take_in(agent, wire, inbound);
    }

    /// An agent that has time takes in what has arrived.
    fn take_in(&mut self, number: usize, wire: u64, inbound: Inbound) {
        let now = self.instant();
        self.note_inbound(number, wire, &inbound);
        let Some(process) = &mut self.agents[number].process else {
            return;
        };
        let is_loss = matches!(inbound, Inbound::Lost);
        let is_part = matches!(inbound, Inbound::Part(_));
        let output = process.observe(inbound, now);
        if is_loss {
            process.inbox.clear();
            self.rest(number);
        }
        if is_part && matches!(output, Some(Output::Hello { .. })) {
            self.tally.resyncs += 1;
            // The two ends always know what the other builds on.
            assert!(
                self.confused_on.contains(&wire),
                "{number} wants everything again, and nobody confused it"
            );
        }
        self.after_agent(number, output);
    }

    /// The agent's stream is over: waits, then connects again.
    fn rest(&mut self, number: usize) {
        let now = self.now;
        let agent = &mut self.agents[number];
        let life = agent.life;
        let Some(process) = &mut agent.process else {
            return;
        };
        let lasted = process.open_since.map_or(0, |since| now - since);
        if lasted >= micros(SETTLED_AFTER) {
            process.retry.settled();
        }
        let (wait, _) = process.retry.lost(Loss::Unreachable("lost".to_owned()));
        let wire = process.wire.take();
        process.open_since = None;
        self.at(
            micros(wait),
            Event::Connect {
                agent: number,
                life,
            },
        );
        if let Some(wire) = wire {
            self.forget_if_over(wire);
        }
    }

    /// The exchange was told something: answers, and works on what it asks for.
    fn after_agent(&mut self, number: usize, output: Option<Output>) {
        let agent = &mut self.agents[number];
        agent.check(&mut self.oracle);
        let life = agent.life;
        match output {
            Some(Output::Close(reason)) => {
                self.tally.ended_by_agent += 1;
                self.note(format_args!("agent {number} ends its stream: {reason}"));
                let wire = self.agents[number].process.as_ref().and_then(|it| it.wire);
                let is_torn = wire.is_some_and(|wire| self.torn.contains(&wire));
                assert!(
                    matches!(reason, CloseReason::Silent) || is_torn,
                    "{number} ends a stream on which parts came in turn: {reason}"
                );
                self.hang_up(number);
                self.rest(number);
            }
            output => {
                if let Some(Output::Nack { revision, .. }) = &output {
                    agent.refused = Some(*revision);
                    self.note(format_args!("agent {number} cannot read {revision}"));
                }
                let say = self.agents[number].says(output);
                self.say(number, say);
            }
        }
        let Some(process) = &self.agents[number].process else {
            return;
        };
        if process.deciding.is_some() {
            let delay = self.work();
            self.at(
                delay,
                Event::Decide {
                    agent: number,
                    life,
                },
            );
        } else if let Some(deadline) = process.exchange.deadline() {
            let delay = self.until(deadline);
            self.at(
                delay,
                Event::AgentTick {
                    agent: number,
                    life,
                },
            );
        }
    }

    fn decide(&mut self, number: usize) {
        let now = self.instant();
        let Some(decided) = self.agents[number].decide(now) else {
            return;
        };
        let revision = decided.revision;
        match decided.reasons.first() {
            None => {
                self.tally.applied += 1;
                self.note(format_args!("agent {number} has {revision} in force"));
            }
            Some(reason) => {
                self.tally.refused += 1;
                self.note(format_args!("agent {number} refuses {revision}: {reason}"));
            }
        }
        if self.rng.u8(..10) < 7 {
            self.agents[number].keep();
        }
        self.say(number, decided.say);
        self.agents[number].check(&mut self.oracle);
        self.drain_inbox(number);
    }

    /// What has waited for the decision, until there is another one.
    fn drain_inbox(&mut self, number: usize) {
        loop {
            let Some(process) = &mut self.agents[number].process else {
                return;
            };
            let Some(wire) = process.wire.filter(|_| process.deciding.is_none()) else {
                return;
            };
            let Some(inbound) = process.inbox.pop_front() else {
                return;
            };
            self.take_in(number, wire, inbound);
        }
    }

    fn say(&mut self, number: usize, say: Option<Say>) {
        let Some(kind) = say else { return };
        let process = self.agents[number].process.as_ref();
        let Some(wire) = process.and_then(|process| process.wire) else {
            return;
        };
        let is_last = self.is_last_word();
        let delay = if is_last {
            self.long_delay()
        } else {
            self.delay()
        };
        let now = self.now;
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        let message = v1::AgentMessage { kind: Some(kind) };
        match found.to_plane.send(now, delay) {
            Some(at) => self.at(at - now, Event::Hear { wire, message }),
            None => self.tally.lost_answers += 1,
        }
        if is_last {
            self.break_at_agent(wire);
        }
    }

    /// The agent ends its stream; the control plane learns of it after all that was said before.
    fn hang_up(&mut self, number: usize) {
        let delay = self.delay();
        let now = self.now;
        let Some(process) = &mut self.agents[number].process else {
            return;
        };
        process.inbox.clear();
        let Some(wire) = process.wire else { return };
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        if let Some(at) = found.to_plane.send(now, delay) {
            self.at(at - now, Event::Close { wire });
        }
    }

    /// Neither end has the wire any more.
    fn forget_if_over(&mut self, wire: u64) {
        let Some(found) = self.wires.get(&wire) else {
            return;
        };
        let process = self.agents[found.agent].process.as_ref();
        let is_held = process.is_some_and(|process| process.wire == Some(wire));
        if !is_held && !self.plane.is_open(wire) {
            self.wires.remove(&wire);
        }
    }

    fn is_stalled(&self, wire: u64) -> bool {
        self.wires.get(&wire).is_some_and(|found| found.is_stalled)
    }

    fn until(&self, deadline: Instant) -> u64 {
        micros(deadline.saturating_duration_since(self.instant()))
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    fn note_inbound(&mut self, agent: usize, wire: u64, inbound: &Inbound) {
        match inbound {
            Inbound::Open => self.note(format_args!("agent {agent}: {wire} is open")),
            Inbound::Lost => self.note(format_args!("agent {agent}: {wire} is lost")),
            Inbound::Part(part) => self.note(format_args!(
                "agent {agent} <- {} on {}, part {} of {} on {wire}",
                part.revision, part.base_revision, part.part, part.parts
            )),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    // Up, so that what is due is due when the time has come.
    u64::try_from(duration.as_nanos().div_ceil(1000)).expect("a run is short")
}

fn name_of(message: &v1::AgentMessage) -> String {
    match &message.kind {
        Some(Say::Hello(hello)) => format!("Hello with {}", hello.revision),
        Some(Say::Ack(ack)) => format!("Ack {}", ack.revision),
        Some(Say::Nack(nack)) => format!("Nack {}", nack.revision),
        other => panic!("agents here do not say {other:?}"),
    }
}
