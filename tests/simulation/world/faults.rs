//! What goes wrong, how often, and how long things take.

use inlet_proto::v1;

use super::{AGENTS, Event, MS, World};
use crate::agent::Inbound;
use crate::operator::any_port;

/// How often what happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Revisions.
    pub(crate) committed: u64,
    /// Changes that may not be, or could not be kept.
    pub(crate) not_admitted: u64,
    /// Snapshots put in force.
    pub(crate) applied: u64,
    /// Snapshots refused by an agent.
    pub(crate) refused: u64,
    /// Parts of snapshots that have several.
    pub(crate) in_parts: u64,
    /// Parts that never arrived.
    pub(crate) lost_parts: u64,
    /// Answers that never arrived.
    pub(crate) lost_answers: u64,
    /// Messages of a stream that the agent had given up.
    pub(crate) late: u64,
    /// Streams whose name a newer one took over.
    pub(crate) replaced: u64,
    /// Streams that the control plane ended for a reason.
    pub(crate) ended_by_plane: u64,
    /// Streams that the agent ended for a reason.
    pub(crate) ended_by_agent: u64,
    /// Snapshots that were not what they should be.
    pub(crate) confused: u64,
    /// Agents that wanted everything again on an open stream.
    pub(crate) resyncs: u64,
    /// Streams on which the control plane never did anything.
    pub(crate) stalled: u64,
    /// Connections that broke.
    pub(crate) broken: u64,
    /// Crashes of agents.
    pub(crate) agent_crashes: u64,
    /// Crashes of the control plane.
    pub(crate) plane_crashes: u64,
    /// Crashes after which there was a revision that nobody was told of.
    pub(crate) unanswered: u64,
}

impl Tally {
    fn counts(&mut self) -> [&mut u64; 18] {
        [
            &mut self.committed,
            &mut self.not_admitted,
            &mut self.applied,
            &mut self.refused,
            &mut self.in_parts,
            &mut self.lost_parts,
            &mut self.lost_answers,
            &mut self.late,
            &mut self.replaced,
            &mut self.ended_by_plane,
            &mut self.ended_by_agent,
            &mut self.confused,
            &mut self.resyncs,
            &mut self.stalled,
            &mut self.broken,
            &mut self.agent_crashes,
            &mut self.plane_crashes,
            &mut self.unanswered,
        ]
    }

    /// Another run's.
    pub(crate) fn add(&mut self, mut other: Self) {
        for (sum, more) in self.counts().into_iter().zip(other.counts()) {
            *sum += *more;
        }
    }

    /// A simulation in which nothing goes wrong proves nothing.
    pub(crate) fn assert_everything_happened(mut self) {
        let is_missing = self.counts().into_iter().any(|count| *count == 0);
        assert!(!is_missing, "something never happened: {self:?}");
    }
}

impl World {
    /// One thing goes wrong; then the next, until the faults end.
    pub(super) fn fault(&mut self) {
        if !self.is_faulty() {
            return self.heal();
        }
        let agent = self.rng.usize(..AGENTS);
        match self.rng.u8(..100) {
            0..=49 => self.break_wire(agent),
            50..=64 => self.crash_agent(agent),
            65..=69 => self.crash_plane(),
            70..=84 => self.take_or_free_a_port(agent),
            85..=89 => self.fill_the_disk(),
            _ => self.confused[agent] = true,
        }
        let delay = self.rng.u64(20..800) * MS;
        self.at(delay, Event::Fault);
    }

    /// Nothing goes wrong any more; what is under way still does.
    fn heal(&mut self) {
        self.note(format_args!("the faults end"));
        self.set_disk_full(false);
        self.confused = [false; AGENTS];
    }

    /// One or several changes; then the next, until the faults end.
    pub(super) fn change(&mut self) {
        if !self.is_faulty() {
            return;
        }
        if self.is_up {
            self.change_something();
        }
        let delay = if self.rng.u8(..4) == 0 {
            5
        } else {
            self.rng.u64(50..1500)
        };
        self.at(delay * MS, Event::Change);
    }

    pub(super) fn change_something(&mut self) {
        let current = self.plane.revision();
        if let Some(resources) = self.oracle.resources() {
            let asks = self.operator.next(current, resources);
            self.ask(asks);
        }
    }

    /// For a while no change can be kept.
    fn fill_the_disk(&mut self) {
        self.set_disk_full(true);
        let full = self.rng.u64(100..3000) * MS;
        self.at(full, Event::DiskFree);
    }

    pub(super) fn set_disk_full(&mut self, is_full: bool) {
        self.note(format_args!("disk full: {is_full}"));
        self.disk_is_full = is_full;
        self.plane.set_disk_full(is_full);
    }

    /// Each way loses its tail, and each end learns of it when it does.
    fn break_wire(&mut self, agent: usize) {
        let wire = self.agents[agent]
            .process
            .as_ref()
            .and_then(|process| process.wire);
        let Some(wire) = wire else { return };
        self.tally.broken += 1;
        let (to_agent, to_plane) = (self.tail(3000), self.tail(10_000));
        let (at_agent, at_plane) = (self.notice(), self.notice());
        let now = self.now;
        let Some(found) = self.wires.get_mut(&wire) else {
            return;
        };
        found.to_agent.cut(now, now + to_agent);
        found.to_plane.cut(now, now + to_plane);
        self.note(format_args!("{wire} of agent {agent} breaks"));
        let inbound = Inbound::Lost;
        self.at(at_agent, Event::Arrive { wire, inbound });
        self.at(at_plane, Event::Close { wire });
    }

    /// Whether an agent's stream breaks just after it says something, which is heard long after it has another one.
    pub(super) fn is_last_word(&mut self) -> bool {
        self.is_faulty() && self.rng.u8(..50) == 0
    }

    /// The agent sees at once that its connection is broken; the control plane does not, and hears what was said.
    pub(super) fn break_at_agent(&mut self, wire: u64) {
        self.tally.broken += 1;
        let notice = self.long_delay() + self.long_delay();
        let now = self.now;
        if let Some(found) = self.wires.get_mut(&wire) {
            found.to_agent.cut(now, now);
            found.to_plane.cut(now, u64::MAX);
        }
        self.note(format_args!("{wire} breaks after the last word"));
        let inbound = Inbound::Lost;
        self.at(0, Event::Arrive { wire, inbound });
        self.at(notice, Event::Close { wire });
    }

    /// How long a broken connection still delivers what is under way.
    fn tail(&mut self, most_ms: u64) -> u64 {
        match self.rng.bool() {
            true => 0,
            false => self.rng.u64(..most_ms) * MS,
        }
    }

    /// How long an end takes to see that the connection is broken; at worst as long as its pings.
    fn notice(&mut self) -> u64 {
        let most_ms = if self.rng.bool() { 50 } else { 20_000 };
        self.rng.u64(..most_ms) * MS
    }

    fn crash_agent(&mut self, number: usize) {
        let wire = self.agents[number]
            .process
            .as_ref()
            .and_then(|process| process.wire);
        if self.agents[number].process.is_none() {
            return;
        }
        self.tally.agent_crashes += 1;
        if let Some(wire) = wire {
            let (tail, notice) = (self.tail(3000), self.notice());
            let now = self.now;
            if let Some(found) = self.wires.get_mut(&wire) {
                found.to_agent.cut(now, now);
                found.to_plane.cut(now, now + tail);
            }
            self.at(notice, Event::Close { wire });
        }
        let agent = &mut self.agents[number];
        agent.process = None;
        agent.life += 1;
        if self.rng.u8(..10) == 0 {
            // The disk is lost with the host.
            self.agents[number].kept = None;
        }
        self.note(format_args!("agent {number} crashes"));
        let down = self.rng.u64(10..5000) * MS;
        self.at(down, Event::Start(number));
    }

    /// It ends in the middle of a change or not, and comes back with what the store has.
    fn crash_plane(&mut self) {
        if !self.is_up {
            return;
        }
        self.tally.plane_crashes += 1;
        let acknowledged = self.plane.revision();
        let under_way = match (self.rng.bool(), self.oracle.resources()) {
            (true, Some(resources)) => self.operator.next(acknowledged, resources),
            _ => Vec::new(),
        };
        self.plane.crash(under_way);
        let found = self.plane.revision();
        assert!(
            found >= acknowledged,
            "{acknowledged} was acknowledged, and {found} is the last"
        );
        self.tally.unanswered += u64::from(found > acknowledged);
        self.oracle.record(found, self.plane.resources());
        self.note(format_args!(
            "control plane crashes at {acknowledged} and will have {found}"
        ));
        self.is_up = false;
        for wire in self.wires.keys().copied().collect::<Vec<_>>() {
            let (tail, notice) = (self.tail(1000), self.notice());
            let now = self.now;
            if let Some(wire) = self.wires.get_mut(&wire) {
                wire.to_agent.cut(now, now + tail);
                wire.to_plane.cut(now, now);
            }
            let inbound = Inbound::Lost;
            self.at(notice, Event::Arrive { wire, inbound });
        }
        let down = self.rng.u64(10..4000) * MS;
        self.at(down, Event::PlaneUp);
    }

    pub(super) fn take_or_free_a_port(&mut self, number: usize) {
        let port = any_port(&mut self.rng);
        let agent = &mut self.agents[number];
        if agent.taken.remove(&port) {
            self.note(format_args!("agent {number}: port {port} is free"));
        } else if agent.can_be_taken(port) {
            agent.taken.insert(port);
            self.note(format_args!("agent {number}: port {port} is taken"));
        }
    }

    /// Makes a delta something else than was sent: TCP never does, a mistake in the control plane could. Says whether.
    pub(super) fn confuse(&mut self, part: &mut v1::Snapshot) -> bool {
        if part.base_revision == 0 && self.rng.u8(..10) > 0 {
            return false;
        }
        match self.rng.u8(..4) {
            0 => part.upserts.pop().is_some(),
            1 => part.removals.pop().is_some(),
            2 if part.base_revision > 1 => {
                part.base_revision -= 1;
                true
            }
            _ => {
                part.digest[3] ^= 1;
                true
            }
        }
    }

    /// How long a message is under way.
    pub(super) fn delay(&mut self) -> u64 {
        match self.rng.u8(..100) {
            97.. if self.is_faulty() => self.rng.u64(..8000) * MS,
            90.. if self.is_faulty() => self.rng.u64(..1000) * MS,
            _ => self.short_delay(),
        }
    }

    pub(super) fn long_delay(&mut self) -> u64 {
        self.rng.u64(100..6000) * MS
    }

    pub(super) fn short_delay(&mut self) -> u64 {
        self.rng.u64(200..20_000)
    }

    /// How long an agent works on a snapshot.
    pub(super) fn work(&mut self) -> u64 {
        match self.rng.u8(..200) {
            // Longer than the control plane waits.
            199 if self.is_faulty() => self.rng.u64(29_000..40_000) * MS,
            180.. if self.is_faulty() => self.rng.u64(..3000) * MS,
            _ => self.rng.u64(500..50_000),
        }
    }
}
