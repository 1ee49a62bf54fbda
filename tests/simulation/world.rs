//! The events in the order of time, and what each does; after every step that touches an agent, the promise is checked.
//!
//! First faults and changes together, for [`FAULTS_MS`]; then the faults end and the world comes to rest; then a few
//! changes one at a time, so that every agent is offered every revision, with ports that are taken in between; at last
//! every port is free.

mod faults;
mod fleet;
mod plane;
mod rest;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::{Duration, Instant};

use fastrand::Rng;
use inlet_control_plane::simulation::Plane;
use inlet_proto::v1;
use inlet_proto::v1::agent_message::Kind as Say;
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
